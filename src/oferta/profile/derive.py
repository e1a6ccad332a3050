"""Facts that hang on the day they are asked for, by one text for a base and for one customer."""

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING

from oferta.profile.facts import FactKind
from oferta.profile.formulas import (
    TIER,
    TIER_BEFORE,
    TODAY,
    VALUE,
    ValueTiers,
    formulas,
    tier_expression,
    value_expression,
)
from oferta.rules.kinds import Value
from oferta.rules.program import Program

if TYPE_CHECKING:
    import polars as pl


class Deriver:
    """Derived facts of one customer at a time. Immutable; safe to share between threads.

    Args:
        tiers: how value tiers are cut; None: `value_tier` is null.
        attributes: the seller's own facts that the value's formula may read, `attr_NAME` -> kind.

    Raises:
        RuleInvalid: the tiers' formula cannot be read.
    """

    def __init__(
        self, tiers: ValueTiers | None = None, *, attributes: Mapping[str, FactKind] | None = None
    ) -> None:
        self._formulas = Program(list(formulas().values()))
        self._names = tuple(formulas())
        self._value = None if tiers is None else Program([value_expression(tiers, attributes)])
        self._tier = None if tiers is None else Program([tier_expression(tiers)])

    def derive(self, facts: Mapping[str, Value], *, today: int) -> dict[str, Value]:
        """`facts` with `today`, every formula and `value_tier`.

        Dates are whole days since 1970, so is `today`. Whatever `facts` says of a derived fact is
        overwritten.
        """
        row = {**facts, TODAY: float(today)}
        row.update(zip(self._names, self._formulas(row), strict=True))
        row[TIER] = None
        if self._value is not None and self._tier is not None:
            before = row.get(TIER_BEFORE)
            (row[TIER],) = self._tier({VALUE: self._value(row)[0], TIER_BEFORE: before})
        return row


def with_derived(
    frame: "pl.LazyFrame | pl.DataFrame",
    *,
    today: date,
    policy_value: ValueTiers | None,
    attributes: Mapping[str, FactKind] | None = None,
) -> "pl.LazyFrame":
    """Profiles with `today`, every formula and `value_tier`; dates become Float64 whole days.

    The reference for `Deriver`: the same texts by Polars. Columns that are no facts stay.

    Raises:
        RuleInvalid: the tiers' formula cannot be read.
    """
    # Who serves single customers needs no data frames: they cost half a second at start.
    from oferta.profile.derived import with_formulas  # noqa: PLC0415

    return with_formulas(frame, today=today, tiers=policy_value, attributes=attributes or {})
