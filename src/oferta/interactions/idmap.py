"""The border between the ids of the world and the rows of a matrix."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

import numpy as np
import polars as pl
from numpy.typing import NDArray


@dataclass(frozen=True)
class IdMap:
    """Ids and their rows, 0 to n-1: sorted by the ids' code points, immutable, no duplicates.

    Because rows are in id order, a tie broken by row is a tie broken by id, in every process.
    """

    ids: pl.Series

    @staticmethod
    def of(ids: Sequence[str] | pl.Series) -> "IdMap":
        """The map of the distinct ids given, in whatever order they come."""
        series = pl.Series("id", ids, dtype=pl.String).drop_nulls().unique().sort()
        return IdMap(series)

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, ids: pl.Series | Sequence[str]) -> NDArray[np.int32]:
        """Each id's row, -1 for an id that is not in the map. One join, whatever the number."""
        asked = pl.Series("id", ids, dtype=pl.String).to_frame()
        found = asked.join(self.frame("id", "row"), on="id", how="left", maintain_order="left")
        return found["row"].fill_null(-1).to_numpy().astype(np.int32, copy=False)

    def row(self, one: str) -> int | None:
        """The row of one id, or None. Binary search: no index is built."""
        at = int(self.ids.search_sorted(one))
        return at if at < len(self.ids) and self.ids[at] == one else None

    def id(self, row: int) -> str:
        """The id of one row."""
        return str(self.ids[int(row)])

    def take(self, rows: NDArray[np.integer]) -> pl.Series:
        """The ids of many rows, in their order; null where a row is negative."""
        found = self.ids.gather(np.where(rows < 0, 0, rows))
        return pl.select(pl.when(pl.Series(rows >= 0)).then(found)).to_series().rename("id")

    def frame(self, id_column: str, row_column: str) -> pl.DataFrame:
        """Ids and rows as two columns, for joins."""
        rows = pl.arange(len(self), dtype=pl.Int32, eager=True)
        return pl.DataFrame([self.ids.alias(id_column), rows.alias(row_column)])

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the ids in order: two maps with the same rows have the same."""
        digest = sha256()
        for chunk in self.ids.to_frame().iter_slices(1 << 16):
            digest.update("\0".join(chunk["id"].to_list()).encode())
            digest.update(b"\0")
        return digest.hexdigest()
