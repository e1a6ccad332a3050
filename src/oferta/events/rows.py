"""What a reader gives: rows with their place, and the lines that are no rows."""

from dataclasses import dataclass

import polars as pl

ROW = "__row"
"""The place of a row in its file, from 1, a CSV's header not counted."""

RAW = "raw:"
"""Prefix of the source's own cells while rows are judged."""


@dataclass(frozen=True, slots=True)
class BrokenRow:
    """A line whose cells cannot be told apart: rejected with its text."""

    row: int
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that belong together: `frame` has `ROW` and the source's columns under their names."""

    frame: pl.DataFrame
    broken: tuple[BrokenRow, ...] = ()

    @property
    def rows(self) -> int:
        """How many rows the source had here, broken ones among them."""
        return self.frame.height + len(self.broken)
