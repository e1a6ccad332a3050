"""Every fault of a table at once, each with the number of its rows."""

from collections.abc import Iterable, Iterator

import polars as pl

from oferta.columns import Table
from oferta.errors import DecisionsRefused


def typed(frame: pl.DataFrame, table: Table, *, place: str) -> pl.DataFrame:
    """`frame` with the known columns in the types of `table`; ids of any type become text.

    Raises:
        DecisionsRefused: no rows, a required column that is not there, a cell that is null or, in
            a column of numbers, no finite number.
    """
    missing = [name for name in table.required if name not in frame.columns]
    if missing:
        have = ", ".join(frame.columns)
        refuse(place, [f"no column '{name}' (there are: {have})" for name in missing])
    if frame.is_empty():
        refuse(place, ["no rows"])
    present = [column for column in table.columns if column.name in frame.columns]
    casts = [pl.col(column.name).cast(column.dtype, strict=False) for column in present]
    known = frame.with_columns(casts)
    refuse(place, _bad_cells(known, [column.name for column in present]))
    return known


def refuse(place: str, problems: Iterable[str]) -> None:
    """Say all `problems` of `place`, if there are any.

    Raises:
        DecisionsRefused: there is at least one.
    """
    said = tuple(problems)
    if said:
        raise DecisionsRefused(place, said)


def rows(count: int) -> str:
    """A count of rows in words.

    >>> rows(1), rows(1200)
    ('1 row', '1,200 rows')
    """
    return f"{count:,} row{'' if count == 1 else 's'}"


def some(values: pl.Series) -> str:
    """The first few of `values`, to recognise them by."""
    shown = [f"'{value}'" for value in values.head(3)]
    return ", ".join(shown) + (", ..." if len(values) > len(shown) else "")


def _bad_cells(frame: pl.DataFrame, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        column = frame[name]
        if column.dtype.is_float():
            # Text that is no number was made null by the cast.
            bad = int((~column.is_finite().fill_null(value=False)).sum())
            if bad:
                yield f"{name}: {rows(bad)} without a finite number"
        elif bad := column.null_count():
            yield f"{name}: {rows(bad)} without a value"
