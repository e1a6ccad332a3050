"""Rows of customers who were forgotten, in what a source delivers again: counted, and not kept."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

import polars as pl

from oferta.events.stage import TEXT, Staged
from oferta.privacy.tables import CUSTOMER, replace_table

Forgotten = Callable[[Collection[str]], Collection[str]]
"""Of these ids, those of customers who were forgotten."""

REASON_ERASED: Final = "erased"


def drop_forgotten(staged: Staged, forgotten: Forgotten | None) -> None:
    """Take their rows out of a staged table, and out of those that it rejected.

    A rejected row keeps the source's own cells; of these nothing may stay either.
    """
    names = {file.known.get(CUSTOMER) for file in staged.plan.files} - {None}
    if forgotten is None or not names:
        return
    found: set[str] = set()
    for part in staged.parts:
        rows = pl.scan_parquet(part, glob=False)
        gone = _gone(rows, CUSTOMER, forgotten)
        if gone:
            theirs = pl.col(CUSTOMER).is_in(gone)
            count = int(rows.filter(theirs).select(pl.len()).collect().item())
            staged.tally.accepted -= count
            staged.tally.rejected[REASON_ERASED] += count
            replace_table(part, rows.filter(~theirs))
            found.update(gone)
    for name in sorted(str(name) for name in names):
        _scrub(staged.rejected, name, forgotten, found)


def _scrub(path: Path, column: str, forgotten: Forgotten, found: set[str]) -> None:
    rows = pl.scan_parquet(path, glob=False)
    if column not in rows.collect_schema().names():
        return
    gone = sorted({*found, *_gone(rows, column, forgotten)})
    if gone:
        cells = [pl.col(column).is_in(gone), pl.col(TEXT).str.contains_any(gone)]
        theirs = pl.any_horizontal(cells).fill_null(value=False)
        replace_table(path, rows.filter(~theirs))


def _gone(rows: pl.LazyFrame, column: str, forgotten: Forgotten) -> list[str]:
    ids = rows.select(pl.col(column).unique().drop_nulls()).collect(engine="streaming")[column]
    return sorted(forgotten(ids.to_list()))
