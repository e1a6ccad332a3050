"""What a study has done so far, on disk: a run that was killed goes on from it.

    <home>/studies/<name>-<key>/
      study.json         how variants are judged, and on what: the key is a hash of it
      rows.parquet       the test rows: customer_id, past
      <slot>.json, <slot>.parquet    a variant: what is kept of it, its value per row
      <slot>-<share>.json            the same variant, learnt from a share of the customers
      trials.log         the trials of the searches, as an Optuna journal

A variant's slot is its name and a hash of what is asked of it alone, so that changing one variant,
or what is only reported, leaves the others as they are. A file is there whole or not at all.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
from numpy.typing import NDArray

from oferta.errors import SettingsInvalid
from oferta.events.dataset import Dataset
from oferta.settings import parse
from oferta_experiments.study.files import write_whole
from oferta_experiments.study.finished import Finished, Learnt
from oferta_experiments.study.spec import StudySpec

_FORMAT = 2


@dataclass(frozen=True, slots=True, eq=False)
class Done:
    """A variant that was judged, or that could not be.

    Attributes:
        slot: where it is kept.
        found: what is kept of it.
        values: metric -> `(rows,) float64`; empty where there are no figures.
    """

    slot: str
    found: Finished
    values: Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class State:
    """The state of one study, judged in one way, on one content of data."""

    folder: Path

    @property
    def key(self) -> str:
        """Names this study on this data."""
        return self.folder.name

    def read(self, slot: str) -> Done | None:
        """What `keep` stored, or None where there is no such variant, or it has no figures."""
        path = self._path(slot)
        if not path.is_file():
            return None
        found = parse(orjson.loads(path.read_bytes()), Finished, place=path)
        if found.card is None:
            return None
        values = pl.read_parquet(path.with_suffix(".parquet"))
        columns = {column.name: column.to_numpy() for column in values.get_columns()}
        return Done(slot, found, columns)

    def keep(self, done: Done) -> None:
        """Store a variant."""
        path = self._path(done.slot)
        if done.values:
            write_whole(path.with_suffix(".parquet"), pl.DataFrame(dict(done.values)))
        # Last: it says that the other is there.
        write_whole(path, done.found.model_dump(mode="json"))

    def read_learnt(self, slot: str, share: float) -> Learnt | None:
        """What `keep_learnt` stored, or None."""
        path = self._path(f"{slot}-{share:.4f}")
        if not path.is_file():
            return None
        return parse(orjson.loads(path.read_bytes()), Learnt, place=path)

    def keep_learnt(self, slot: str, learnt: Learnt) -> None:
        """Store a point of the learning curve."""
        write_whole(self._path(f"{slot}-{learnt.share:.4f}"), learnt.model_dump(mode="json"))

    def rows(self) -> pl.DataFrame | None:
        """The test rows, `customer_id` and `past`; None before the first variant is judged."""
        path = self.folder / "rows.parquet"
        return pl.read_parquet(path) if path.is_file() else None

    def keep_rows(self, rows: pl.DataFrame) -> None:
        """Store the test rows."""
        write_whole(self.folder / "rows.parquet", rows)

    @property
    def trials(self) -> Path:
        """The journal of the searches."""
        return self.folder / "trials.log"

    def _path(self, slot: str) -> Path:
        return self.folder / f"{slot}.json"


def slot_of(name: str, asked: Mapping[str, Any]) -> str:
    """Where the variant `name` is kept, of which `asked` is asked."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", name)
    # Two names may look alike without their signs.
    told = orjson.dumps([name, asked], option=orjson.OPT_SORT_KEYS)
    return f"{plain}-{blake2b(told, digest_size=6).hexdigest()}"


def fingerprint(dataset: Dataset, candidates: pl.DataFrame | None) -> str:
    """Of all content that figures are made of: the data, and the candidates where there are any."""
    if candidates is None:
        return dataset.fingerprint
    rows = candidates.cast(pl.String).hash_rows().to_numpy()
    return f"{dataset.fingerprint}+{blake2b(rows.tobytes(), digest_size=8).hexdigest()}"


def open_state(home: Path, name: str, spec: StudySpec, fingerprint: str) -> tuple[State, bool]:
    """The state of the study `name`, and whether another one of it was found, and left alone.

    Another evaluation or other data have another key, so nothing of theirs is gone on with.
    """
    asked = {
        "format": _FORMAT,
        "evaluation": spec.protocol.model_dump(mode="json"),
        "data": fingerprint,
    }
    key = blake2b(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS), digest_size=6).hexdigest()
    state = State(home / "studies" / f"{name}-{key}")
    others = [one for one in state.folder.parent.glob(f"{name}-????????????") if one.is_dir()]
    changed = bool(others) and state.folder not in others
    if not (state.folder / "study.json").is_file():
        state.folder.mkdir(parents=True, exist_ok=True)
        write_whole(state.folder / "study.json", asked)
    return state, changed


def find_state(home: Path, key: str) -> State:
    """The state called `key`.

    Raises:
        SettingsInvalid: it is not there.
    """
    state = State(home / "studies" / key)
    if not (state.folder / "study.json").is_file():
        raise SettingsInvalid(
            state.folder,
            ["the values per customer are not there: `oferta study run` makes them again"],
        )
    return state
