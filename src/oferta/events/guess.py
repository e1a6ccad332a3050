"""Attributes that came as text: are they numbers, dates or truth values throughout?

CSV and NDJSON say nothing of types, and an age that stays text is no use to a model. A column gets
a type only if every cell has that form; codes with leading zeros stay text.
"""

from dataclasses import dataclass
from typing import Final

import polars as pl

from oferta.events.plan import TablePlan


@dataclass(frozen=True, slots=True)
class _Form:
    dtype: pl.DataType
    pattern: str


_FORMS: Final = (
    _Form(pl.Int64(), r"^-?(?:0|[1-9][0-9]{0,17})$"),
    _Form(pl.Float64(), r"^-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]+)?$"),
    _Form(pl.Boolean(), r"^(?:true|false)$"),
    _Form(pl.Date(), r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"),
)


class Guesses:
    """The forms still possible for each text attribute, narrowed batch by batch."""

    def __init__(self, plan: TablePlan) -> None:
        declared = {column.name for column in plan.declared}
        self._left: dict[str, list[_Form]] = {
            name: list(_FORMS)
            for name, dtype in plan.attributes.items()
            if dtype == pl.String
            and name not in declared
            and any(file.file.format != "parquet" for file in plan.files)
        }
        self._seen: set[str] = set()

    def update(self, frame: pl.DataFrame) -> None:
        """Narrow by the rows of `frame`."""
        for name, forms in self._left.items():
            if not forms:
                continue
            cells = frame[name].drop_nulls()
            if not cells.len():
                continue
            self._seen.add(name)
            # Most text is plainly text: a look at the first cells saves the rest.
            for sample in (cells.head(100), cells):
                forms[:] = [form for form in forms if _fits(sample, form)]

    def dtypes(self) -> dict[str, pl.DataType]:
        """The attributes that have a form throughout, and their type."""
        return {
            name: forms[0].dtype
            for name, forms in self._left.items()
            if forms and name in self._seen
        }


def _fits(cells: pl.Series, form: _Form) -> bool:
    if not cells.str.contains(form.pattern).all():
        return False
    return form.dtype != pl.Date or cells.str.to_date("%Y-%m-%d", strict=False).null_count() == 0
