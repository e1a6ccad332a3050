"""A customer's row in stored models: made nobody's, and the arrays stay as long as they are.

The id becomes a random one, the past is emptied, vectors become zero. What a model learned of
everybody, weights between products say, stays until it is trained again: receipts say by when.
"""

import asyncio
import os
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray
from safetensors import safe_open

from oferta.errors import ArtefactInvalid
from oferta.interactions.texts import pack_texts, unpack_texts
from oferta.privacy.folders import recovered, replacing, unfinished
from oferta.privacy.places import Row, Subject
from oferta.scoring.artefact import ARRAYS, MANIFEST, read_artefact, write_artefact

_IDS: Final = "customers."
_ENDS, _BYTES = f"{_IDS}ends", f"{_IDS}bytes"
_PAST: Final = "past."
_OF_EVENTS: Final = ("product", "weight", "recency", "age_days", "count")
_OF_CUSTOMERS: Final = ("segment", "features")  # -1: none

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class ModelRows:
    """All models that a state folder keeps, of every version: a `Place`.

    Of a tracking server elsewhere nothing is known here: whoever runs it must see to it.
    """

    home: Path
    name: str = "models"

    async def erase(self, subject: Subject) -> int:
        """See `Place.erase`."""
        return await asyncio.to_thread(self.erase_now, subject.customer_id)

    async def export(self, subject: Subject) -> Sequence[Row]:
        """See `Place.export`: in which models they are, and how long their past is there."""
        return await asyncio.to_thread(self._rows, subject.customer_id)

    async def holds(self, subject: Subject) -> bool:
        """See `Place.holds`."""
        return await asyncio.to_thread(
            lambda: any(_row(one, subject.customer_id) is not None for one in self._artefacts())
        )

    def customers(self) -> set[str]:
        """Everybody who has a row in any model."""
        return {one for folder in self._artefacts() for one in _customers(folder)}

    def erase_now(self, customer_id: str) -> int:
        """The same, for who knows but the id.

        Raises:
            ArtefactInvalid: a model is damaged.
        """
        for manifest in self._folder.rglob(f".*.erasing*/{MANIFEST}"):
            for folder in unfinished(manifest.parent.parent):
                recovered(folder)
        return sum(erase_from_model(one, customer_id) for one in self._artefacts())

    def _rows(self, customer_id: str) -> list[Row]:
        rows: list[Row] = []
        for folder in self._artefacts():
            at = _row(folder, customer_id)
            if at is None:
                continue
            with _opened(folder) as arrays:
                ends = arrays.get_tensor(f"{_PAST}indptr")
            rows.append(
                {
                    "artefact": str(folder.relative_to(self.home)),
                    "products_in_past": int(ends[at + 1] - ends[at]),
                }
            )
        return rows

    def _artefacts(self) -> list[Path]:
        found = (path.parent for path in sorted(self._folder.rglob(ARRAYS)))
        return [one for one in found if not one.name.startswith(".") and _has_customers(one)]

    @property
    def _folder(self) -> Path:
        return self.home / "mlflow-artifacts"


def scrub_models(home: Path, forgotten: Callable[[Collection[str]], Collection[str]]) -> int:
    """Make the rows of whoever was forgotten nobody's, in all models of a state folder; how many.

    Raises:
        ArtefactInvalid: a model is damaged.
    """
    models = ModelRows(home)
    return sum(models.erase_now(one) for one in sorted(forgotten(models.customers())))


def erase_from_model(folder: Path, customer_id: str) -> int:
    """Make a customer's row of one stored model nobody's; 1, or 0 where they have none.

    Raises:
        ArtefactInvalid: the model is damaged.
    """
    recovered(folder)
    at = _row(folder, customer_id)
    if at is None:
        return 0
    named = orjson.loads((folder / MANIFEST).read_bytes())["arrays"]
    artefact = read_artefact(folder, allowed=named)
    with replacing(folder) as built:
        made = built / folder.name
        write_artefact(made, _without(artefact.arrays, at), artefact.meta)
        for path in made.iterdir():
            path.rename(built / path.name)
        made.rmdir()
    return 1


def _without(arrays: Arrays, at: int) -> dict[str, NDArray[Any]]:
    ids = unpack_texts({name[len(_IDS) :]: arrays[name] for name in (_BYTES, _ENDS)}, "id")
    ids[at] = f"erased-{secrets.token_hex(12)}"
    count = len(ids)
    left = dict(arrays)
    left |= {f"{_IDS}{name}": array for name, array in pack_texts(ids).items()}
    ends = arrays.get(f"{_PAST}indptr")
    if ends is not None:
        gone = slice(int(ends[at]), int(ends[at + 1]))
        left[f"{_PAST}indptr"] = np.concatenate(
            (ends[: at + 1], ends[at + 1 :] - (ends[at + 1] - ends[at]))
        ).astype(ends.dtype)
        for name in _OF_EVENTS:
            if f"{_PAST}{name}" in arrays:
                left[f"{_PAST}{name}"] = np.delete(arrays[f"{_PAST}{name}"], gone, axis=0)
    for name, array in arrays.items():
        if name.endswith(".customers") and len(array) == count:
            left[name] = _with_row(array, at, 0)
    for name in _OF_CUSTOMERS:
        if f"{_PAST}{name}" in arrays:
            left[f"{_PAST}{name}"] = _with_row(arrays[f"{_PAST}{name}"], at, -1)
    return left


def _with_row(array: NDArray[Any], at: int, value: int) -> NDArray[Any]:
    changed = array.copy()
    changed[at] = value
    return changed


def _row(folder: Path, customer_id: str) -> int | None:
    """Which row of a stored model is the customer's."""
    wanted = customer_id.encode("utf-8", "surrogatepass")
    with _opened(folder) as arrays:
        raw, ends = arrays.get_tensor(_BYTES).tobytes(), arrays.get_tensor(_ENDS)
    start = raw.find(wanted)
    while start >= 0 and wanted:
        row = int(np.searchsorted(ends, start, side="right"))
        first = int(ends[row - 1]) if row else 0
        if first == start and int(ends[row]) == start + len(wanted):
            return row
        start = raw.find(wanted, start + 1)
    return None


def _customers(folder: Path) -> Iterator[str]:
    with _opened(folder) as arrays:
        parts = {name[len(_IDS) :]: arrays.get_tensor(name) for name in (_BYTES, _ENDS)}
    yield from unpack_texts(parts, "id")


def _has_customers(folder: Path) -> bool:
    with _opened(folder) as arrays:
        return {_BYTES, _ENDS} <= set(arrays.keys())


def _opened(folder: Path) -> Any:  # noqa: ANN401 - safetensors has no type for it
    try:
        return safe_open(os.fspath(folder / ARRAYS), framework="numpy")
    except (OSError, ValueError) as error:
        raise ArtefactInvalid(folder, f"{ARRAYS} cannot be read ({error})") from None
