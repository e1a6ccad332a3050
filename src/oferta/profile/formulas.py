"""The formulas of derived facts, checked once: what a base and one customer are computed by."""

from collections.abc import Iterable, Mapping
from datetime import date
from functools import lru_cache
from typing import Final, Protocol

from oferta.profile.facts import FACTS, FORMULAS, STORED, FactKind
from oferta.rules.language import Expression, parse

TODAY: Final = "today"
TIER: Final = "value_tier"
TIER_BEFORE: Final = "value_tier_before"
VALUE: Final = "customer_value"
_EPOCH: Final = date(1970, 1, 1)


class ValueTiers(Protocol):
    """Value by a formula, cut into tiers: as a policy declares it (`oferta.policy.file`)."""

    @property
    def formula(self) -> str:
        """An arithmetic expression over the facts, derived ones among them."""
        ...

    @property
    def bounds(self) -> Mapping[str, float]:
        """Tier -> the least value it takes, ascending."""
        ...

    @property
    def hysteresis(self) -> float:
        """A tier once reached is kept until the value is this share below its bound."""
        ...


def day_number(day: date) -> int:
    """Whole days since 1970: what rules see of a date."""
    return (day - _EPOCH).days


@lru_cache(maxsize=1)
def formulas() -> dict[str, Expression]:
    """The formulas over stored facts, checked: name -> expression."""
    columns = kinds_of((*STORED, TODAY))
    return {
        name: parse(text, columns, wanted=FACTS[name].kind, place=f"facts.{name}")
        for name, text in FORMULAS.items()
    }


def value_expression(
    tiers: ValueTiers, attributes: Mapping[str, FactKind] | None = None
) -> Expression:
    """The formula of a customer's value, checked over all facts but the tier itself.

    Raises:
        RuleInvalid: it cannot be read, or gives no number.
    """
    columns: dict[str, FactKind] = kinds_of(name for name in FACTS if name != TIER)
    columns |= attributes or {}
    return parse(tiers.formula, columns, wanted="number", place="value.formula")


def tier_expression(tiers: ValueTiers) -> Expression:
    """The value tier over `VALUE`, the formula's result, and the tier before.

    Raises:
        RuleInvalid: the names of the tiers are too long for one rule.
    """
    columns: dict[str, FactKind] = {VALUE: "number", TIER_BEFORE: "text"}
    return parse(tier_text(tiers), columns, wanted="text", place="value.bounds")


def kinds_of(names: Iterable[str]) -> dict[str, FactKind]:
    """The kinds of these facts, as the rule language wants its columns."""
    return {name: FACTS[name].kind for name in names}


def tier_text(tiers: ValueTiers) -> str:
    """The value tier in the rule language.

    A customer is in the highest tier whose bound the value reaches; of the tier before and those
    below it, a bound less its hysteresis is enough. Below the lowest bound, and where the value is
    unknown, there is no tier.
    """
    names = list(tiers.bounds)
    cases = []
    for place, name in reversed(list(enumerate(names))):
        bound = float(tiers.bounds[name])
        kept = bound - abs(bound) * tiers.hysteresis
        reached = ", ".join(_quoted(one) for one in names[place:])
        cases.append(
            f"WHEN {VALUE} >= {bound!r} OR ({VALUE} >= {kept!r} AND {TIER_BEFORE} IN ({reached})) "
            f"THEN {_quoted(name)}"
        )
    return f"CASE {' '.join(cases)} END"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
