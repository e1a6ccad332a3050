"""The row of columns that rules compute on: facts, what hangs on the day, context, channel."""

from collections.abc import Mapping
from datetime import date
from typing import Final

from oferta.decisions.request import FactValue
from oferta.policy.file import ValueTiers
from oferta.profile.facts import FACTS, FORMULAS, FactKind
from oferta.rules.language import parse
from oferta.rules.program import Program

_EPOCH: Final = date(1970, 1, 1).toordinal()


def day_number(day: date) -> float:
    """Whole days since 1970, as rules count days."""
    return float(day.toordinal() - _EPOCH)


def anyones_row(day: date, context: Mapping[str, FactValue]) -> dict[str, FactValue]:
    """The row of nobody in particular: the day and the context, no fact of a customer."""
    return {"today": day_number(day), **context}


class Deriver:
    """Facts that hang on the day, for one customer: the formulas of the profile and the value tier.

    Immutable; the same texts as for the whole base.
    """

    __slots__ = ("_bounds", "_names", "_program")

    def __init__(self, columns: Mapping[str, FactKind], value: ValueTiers) -> None:
        """`columns`: what the value's formula may read.

        Raises:
            RuleInvalid: the value's formula is wrong.
        """
        kinds = {name: fact.kind for name, fact in FACTS.items()}
        formulas = [
            parse(text, kinds, wanted=FACTS[name].kind, place=name)
            for name, text in FORMULAS.items()
        ]
        worth = parse(value.formula, columns, wanted="number", place="value.formula")
        self._names = tuple(FORMULAS)
        self._bounds = tuple(value.bounds.items())
        self._program = Program([*formulas, worth])

    def derive(self, facts: Mapping[str, FactValue], *, today: int) -> dict[str, FactValue]:
        """The derived facts as of a day (whole days since 1970)."""
        values = self._program({**facts, "today": float(today)})
        derived = dict(zip(self._names, values, strict=False))
        worth = values[-1]
        tier: str | None = None
        if isinstance(worth, float):
            for name, bound in self._bounds:
                if worth >= bound:
                    tier = name
        derived["value_tier"] = tier
        return derived
