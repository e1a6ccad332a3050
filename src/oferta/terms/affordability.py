"""The most that an instalment may be: by what was wished, and by what can be afforded."""

from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from typing import Final

from oferta.terms.cents import amount, cents
from oferta.terms.quote import Unfit, UnfitCode
from oferta.terms.wanted import Means, Wanted

NO_LIMIT: Final = 10**15


@dataclass(frozen=True, slots=True)
class Limit:
    """Bounds of a monthly instalment in cents; None: there is none."""

    budget: int | None
    affordable: int | None

    @property
    def most(self) -> int:
        """The lower of the two."""
        budget, affordable = self.budget, self.affordable
        if affordable is None:
            return NO_LIMIT if budget is None else budget
        return affordable if budget is None or affordable < budget else budget

    def with_help(self, share: float) -> "Limit":
        """As if what is affordable were only this share of what can be carried: with a guarantor.

        The budget stays: nobody else's money changes what was wished.
        """
        affordable = self.affordable
        return Limit(self.budget, None if affordable is None else int(affordable / share))

    def exceeded(self, least: int | None = None) -> Unfit:
        """Why nothing fits: the lower bound, and the lowest instalment that could be made."""
        by_means = self.affordable is not None and self.affordable <= self.most
        code: UnfitCode = "affordability.exceeded" if by_means else "budget.exceeded"
        facts = [("limit", str(amount(self.most)))]
        if least is not None:
            facts.append(("least_instalment", str(amount(least))))
        return Unfit(code, tuple(facts))


def credit_limit(wanted: Wanted, means: Means) -> Limit | Unfit:
    """The bounds for what is lent or leased: budget and affordability, both hard."""
    affordable = means.affordable
    if affordable is None and means.unknown_income == "refuse":
        return Unfit("affordability.unknown")
    return Limit(_budget(wanted), None if affordable is None else whole(affordable))


def premium_limit(wanted: Wanted) -> Limit:
    """The bound for premiums and prices: the budget alone, nothing is lent."""
    return Limit(_budget(wanted), None)


def _budget(wanted: Wanted) -> int | None:
    return None if wanted.instalment is None else cents(wanted.instalment)


def whole(affordable: Decimal) -> int:
    """In cents, rounded down."""
    return int(affordable.scaleb(2).to_integral_value(ROUND_FLOOR))
