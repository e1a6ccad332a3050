"""The row of columns that rules compute on: facts, what hangs on the day, context, channel."""

from collections.abc import Mapping
from datetime import date
from typing import Final

from oferta.decisions.request import FactValue

_EPOCH: Final = date(1970, 1, 1).toordinal()


def day_number(day: date) -> float:
    """Whole days since 1970, as rules count days."""
    return float(day.toordinal() - _EPOCH)


def anyones_row(day: date, context: Mapping[str, FactValue]) -> dict[str, FactValue]:
    """The row of nobody in particular: the day and the context, no fact of a customer."""
    return {"today": day_number(day), **context}
