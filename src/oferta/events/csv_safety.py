"""Text that a spreadsheet would run as a formula, made harmless in exports and read back whole.

Inside, a cell is stored exactly as it came. Only when it leaves as CSV for people does a cell that
begins like a formula get an apostrophe in front, which spreadsheets hide.
"""

from typing import Final

import polars as pl

FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
_GUARD: Final = "'"
_GUARDED: Final = f"^{_GUARD}*[=+\\-@\t\r]"


def safe_csv_cell(column: str) -> pl.Expr:
    """The text column `column` for a CSV export: a guard before whatever could be a formula.

    A cell that already has guards before a formula's sign gets one more, so that
    `original_csv_cell` always gives back the very text.
    """
    cell = pl.col(column)
    return pl.when(cell.str.contains(_GUARDED)).then(_GUARD + cell).otherwise(cell).alias(column)


def original_csv_cell(column: str) -> pl.Expr:
    """The reverse of `safe_csv_cell`."""
    cell = pl.col(column)
    guarded = cell.str.contains(f"^{_GUARD}+[=+\\-@\t\r]")
    return pl.when(guarded).then(cell.str.slice(1)).otherwise(cell).alias(column)
