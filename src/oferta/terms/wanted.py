"""What is wished and what can be afforded: all that terms are fitted to.

Neither can reach a price. A wish moves amount, term, deposit, excess and mileage inside an offer's
ranges; means decide whether the result may be offered. What the card then says follows from
`oferta.terms.quote.CardInputs`, of which only the declared tier, the car's value and its condition
are found here.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal


def money(value: float | None) -> Decimal | None:
    """An amount in the currency's main unit as `Decimal` to the cent, half a cent up."""
    return (
        None
        if value is None
        else Decimal(int(value * 100 + (0.5 if value >= 0 else -0.5))).scaleb(-2)
    )


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the customer said they want, and what the offer starts from; None: not known.

    Attributes:
        amount: to be lent, the deposit not counted.
        months: the term.
        deposit: to be paid at the start.
        instalment: the most they want to pay a month.
        excess: of an insurance, for each claim.
        mileage_km_year: of a lease.
        start_amount: what the offer's expression gives: `amount.start` of a loan, `car_value` of a
            lease, `insured_value` of an insurance.
        payoff: what would settle the contract: re-termed, or paused by a payment holiday.
        arrears: what is late: paid off by a payment plan.
        remaining_months: of the contract that is re-termed, or that a payment holiday pauses.
    """

    amount: Decimal | None = None
    months: int | None = None
    deposit: Decimal | None = None
    instalment: Decimal | None = None
    excess: Decimal | None = None
    mileage_km_year: int | None = None
    start_amount: Decimal | None = None
    payoff: Decimal | None = None
    arrears: Decimal | None = None
    remaining_months: int | None = None


@dataclass(frozen=True, slots=True)
class Means:
    """What can be afforded, and what the card asks of customer and car; None: not known.

    `instalment <= share * (income - spending) - (instalments - replaced)` is a hard rule of loans,
    leases and, unless `relief`, servicing. Unknown spending and instalments count as none; an
    unknown income is refused or let pass, as the policy says.

    Attributes:
        tier: declared risk tier.
        income, spending: net, a month.
        instalments: existing ones, a month.
        share: of what is left of the income that instalments may take.
        unknown_income: what happens where the income is not known.
        car_value: of the car behind the loan; None: being bought, or not known.
        condition: `new` or `used`.
        replaced: the part of `instalments` that ends when this begins (a contract that is
            re-termed, paused or refinanced); None: not known, so nothing ends.
        relief: an instalment is late: servicing makes a burden bearable, and is not refused because
            the income does not carry it.
    """

    tier: str | None = None
    income: Decimal | None = None
    spending: Decimal | None = None
    instalments: Decimal | None = None
    share: Decimal = Decimal("0.4")
    unknown_income: Literal["refuse", "allow"] = "refuse"
    car_value: Decimal | None = None
    condition: str | None = None
    replaced: Decimal | None = None
    relief: bool = False

    @property
    def affordable(self) -> Decimal | None:
        """The highest instalment a month that is affordable, at least 0; None: income unknown."""
        if self.income is None:
            return None
        kept = (self.instalments or _NONE) - (self.replaced or _NONE)
        left = self.share * (self.income - (self.spending or _NONE)) - max(kept, _NONE)
        return max(left, _NONE)


_NONE: Final = Decimal(0)
