"""The price firewall of the catalogue: what the figures that a price hangs on may be made from.

A starting amount, the value of a car and an insured value are inputs of the rate card. They may be
expressions, and an expression over what somebody did would price them by it.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from oferta.profile.facts import FACTS, FactKind
from oferta.rules.language import Expression

_WISHES: Final = ("wished_amount", "wished_months", "wished_deposit", "wished_instalment")
"""Figures that the customer named; not when, which is behaviour again."""
_MONEY: Final = ("income", "spending", "instalments")
_OWED: Final = (
    "contract_kind",
    "contract_product",
    "contract_start",
    "contract_end",
    "contract_months",
    "contract_rate",
    "contract_instalment",
    "payoff",
    "balloon_amount",
    "balloon_due",
    "insurance_renewal",
    "warranty_end",
    "service_plan_end",
)
"""Of the leading contract; not how many there were, nor how well they were paid."""
_DERIVED: Final = (
    "today",
    "months_to_maturity",
    "days_to_balloon",
    "days_to_renewal",
    "days_to_warranty_end",
    "equity",
    "loan_to_value",
    "vehicle_age_months",
    "mileage_over_plan",
    "free_income",
)
"""What follows from contract, car and money; `stage` and `value_tier` follow from behaviour."""

PRICING: Final[frozenset[str]] = frozenset(
    (
        *_WISHES,
        *_MONEY,
        *_OWED,
        *_DERIVED,
        *(name for name, fact in FACTS.items() if fact.origin == "vehicle"),
    )
)
"""The facts that may be in a figure that a price hangs on. A list of what may, not of what may not:
a new fact stays outside until somebody lets it in."""

_CONTEXT: Final = "context_"


def may_price(column: str, kind: FactKind) -> bool:
    """Whether a column of rules may be in a figure that a price hangs on.

    Besides `PRICING` these are the numbers that a placement declares: of the car that is looked at.
    """
    return column in PRICING or (column.startswith(_CONTEXT) and kind == "number")


def price_problems(
    expression: Expression, columns: Mapping[str, FactKind], place: str
) -> Iterator[str]:
    """Columns that may not be in it; `place` names the offer and the key."""
    for column in sorted(expression.columns):
        if not may_price(column, columns[column]):
            yield (
                f"{place}: a price may not hang on '{column}': wishes, contract, car, money and "
                "numbers of the placement's context may; behaviour, the seller's own attributes, "
                "value tier, stage and channel may rank an offer, and never price it"
            )


def margin_problems(expression: Expression, place: str) -> Iterator[str]:
    """A margin over the channel: it is one figure, whichever way the offer is made."""
    if "channel" in expression.columns:
        yield (
            f"{place}: a margin may not hang on 'channel': it is computed once for all of them; "
            "use a context weight of the policy"
        )
