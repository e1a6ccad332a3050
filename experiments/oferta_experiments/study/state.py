"""What a study has done so far, on disk: a run that was killed goes on from it.

    <home>/studies/<name>-<key>/
      study.json         what was asked: the key is a hash of it and of the data
      rows.parquet       the test rows: customer_id, past
      <variant>.json, <variant>.parquet    a finished variant: its figures, its value per row
      trials.log         the trials of the searches, as an Optuna journal

A file is there whole or not at all; nothing in it depends on when it was written.
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
from oferta_experiments.study.spec import StudySpec

_FORMAT = 1
_UNASKED = {"question", "guards"}
"""What may be changed without another figure."""


@dataclass(frozen=True, slots=True, eq=False)
class Done:
    """A finished variant, or one that could not be judged, as it was stored.

    Attributes:
        facts: plain values; see `oferta_experiments.study.run`.
        values: metric -> `(rows,) float64`; empty where there are no figures.
    """

    facts: Mapping[str, Any]
    values: Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class State:
    """The state of one study on one content of data."""

    folder: Path

    @property
    def key(self) -> str:
        """Names this study on this data."""
        return self.folder.name

    def has(self, name: str) -> bool:
        """Whether `name` is finished."""
        return self._path(name, "json").is_file()

    def read(self, name: str) -> Done:
        """What `keep` stored."""
        facts = orjson.loads(self._path(name, "json").read_bytes())
        path = self._path(name, "parquet")
        values = pl.read_parquet(path) if path.is_file() else pl.DataFrame()
        return Done(facts, {column.name: column.to_numpy() for column in values.get_columns()})

    def keep(
        self,
        name: str,
        facts: Mapping[str, Any],
        values: Mapping[str, NDArray[np.float64]] | None = None,
    ) -> None:
        """Store a finished variant."""
        if values:
            write_whole(self._path(name, "parquet"), pl.DataFrame(dict(values)))
        write_whole(self._path(name, "json"), facts)  # last: it says that the other is there

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

    def _path(self, name: str, kind: str) -> Path:
        plain = re.sub(r"[^A-Za-z0-9_-]", "_", name)
        # Two names may look alike without their signs.
        mark = blake2b(name.encode(), digest_size=3).hexdigest()
        return self.folder / f"{plain}-{mark}.{kind}"


def fingerprint(dataset: Dataset, candidates: pl.DataFrame | None) -> str:
    """Of all content that figures are made of: the data, and the candidates where there are any."""
    if candidates is None:
        return dataset.fingerprint
    rows = candidates.cast(pl.String).hash_rows().to_numpy()
    return f"{dataset.fingerprint}+{blake2b(rows.tobytes(), digest_size=8).hexdigest()}"


def open_state(home: Path, name: str, spec: StudySpec, fingerprint: str) -> tuple[State, bool]:
    """The state of the study `name`, and whether another one of it was found, and left alone.

    Another study.toml or other data have another key, so nothing of theirs is gone on with.
    """
    asked = {
        "format": _FORMAT,
        "spec": spec.model_dump(mode="json", exclude=_UNASKED),
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


def write_whole(path: Path, content: pl.DataFrame | Mapping[str, Any]) -> None:
    """Write beside and rename: a reader never sees half a file."""
    beside = path.with_name(path.name + ".part")
    if isinstance(content, pl.DataFrame):
        content.write_parquet(beside)
    else:
        beside.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2))
    beside.replace(path)
