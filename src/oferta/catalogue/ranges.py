"""The terms that an offer allows: ranges a marketer states, never prices.

Rates and fees are in the rate card alone. Amounts are in the currency's main unit; shares are of
the car's price (or of the amount, where no car is in the offer).
"""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from oferta.settings import Settings

Share = Annotated[float, Field(ge=0, le=1)]
Months = Annotated[int, Field(ge=1, le=120)]
Excess = Annotated[float, Field(ge=0)]
Kilometres = Annotated[int, Field(gt=0)]

CreditKind = Literal[
    "equal_instalment", "equal_principal", "balloon", "residual_value", "promotional"
]
"""Repayment of a loan. `promotional` is repaid in equal instalments at a promotional rate."""


def _choices(name: str, listed: Sequence[float], start: float | None = None) -> None:
    """Refuses choices that are none, out of order or twice in it, or without the first choice.

    Raises:
        ValueError: which of them, naming the key.
    """
    if not listed or list(listed) != sorted(set(listed)):
        raise ValueError(f"{name}: at least one, ascending, each once")
    if start is not None and start not in listed:
        raise ValueError(f"start_{name}: {start:g} is none of {list(listed)}")


class AmountRange(Settings):
    """How much may be lent."""

    min: Annotated[float, Field(gt=0)]
    max: Annotated[float, Field(gt=0)]
    start: str
    """Where nothing is wished: an arithmetic expression over the profile, as `balloon_amount`."""

    @model_validator(mode="after")
    def _ordered(self) -> "AmountRange":
        if self.max < self.min:
            raise ValueError(f"max {self.max:g} is below min {self.min:g}")
        return self


class ShareRange(Settings):
    """A deposit, a balloon or a residual, as a share."""

    min: Share = 0.0
    max: Share = 0.0
    start: Share = 0.0

    @model_validator(mode="after")
    def _ordered(self) -> "ShareRange":
        if not self.min <= self.start <= self.max:
            raise ValueError(
                f"min <= start <= max does not hold: {self.min}, {self.start}, {self.max}"
            )
        return self


class RequiredCover(Settings):
    """An insurance that makes a higher loan to value possible: the last resort of a counter-offer.

    Its premium becomes a monthly fee of the loan, so that the annual rate holds it.
    """

    product: str
    max_loan_to_value: Annotated[float, Field(gt=0, le=2)]


class CreditTerms(Settings):
    """The ranges of a loan, of any repayment kind."""

    kind: CreditKind
    amount: AmountRange
    months: tuple[Months, ...]
    """The terms sold, ascending; the first choice is `start_months`."""
    start_months: int
    deposit: ShareRange = ShareRange()
    final: ShareRange = ShareRange()
    """Balloon or residual value, of the car's price; for those kinds alone."""
    car_value: str | None = None
    """What the car behind the loan is worth, as an arithmetic expression over the profile:
    `market_value` where it is the customer's own, without which there is no offer; None: the car is
    being bought, and its price is amount and deposit together."""
    max_loan_to_value: Annotated[float, Field(gt=0, le=2)] = 1.0
    """Amount over the car's value: a hard rule."""
    ends_contract: bool = False
    """Whether the customer's leading contract ends when this begins, as with a refinance or a
    trade-in: its instalment then no longer counts against affordability."""
    guarantor_from: Annotated[float, Field(gt=0)] | None = None
    """From this share of affordability on, a guarantor makes the offer possible; None: never.
    0.8: where the customer alone can afford 80 % of the instalment."""
    cover: RequiredCover | None = None
    """None: no insurance makes a higher loan to value possible."""

    @model_validator(mode="after")
    def _coherent(self) -> "CreditTerms":
        _choices("months", self.months, self.start_months)
        ends_large = self.kind in {"balloon", "residual_value"}
        if ends_large and self.final.max <= 0:
            raise ValueError(f"final: a {self.kind} loan states its last payment's range")
        if not ends_large and self.final.max > 0:
            raise ValueError(f"final: a loan of kind {self.kind} has no last payment of its own")
        return self


class LeaseTerms(Settings):
    """The ranges of a lease: the car goes back at the end."""

    kind: Literal["lease"]
    car_value: str
    """Arithmetic expression over the profile: what the leased car costs."""
    months: tuple[Months, ...]
    start_months: int
    residual: ShareRange
    mileage_km_year: tuple[Kilometres, ...]
    """The allowances sold, ascending; the first choice is `start_mileage_km_year`."""
    start_mileage_km_year: int

    @model_validator(mode="after")
    def _coherent(self) -> "LeaseTerms":
        _choices("months", self.months, self.start_months)
        _choices("mileage_km_year", self.mileage_km_year, self.start_mileage_km_year)
        return self


class InsuranceTerms(Settings):
    """Cover for a yearly premium; a higher excess costs less."""

    kind: Literal["insurance"]
    insured_value: str
    """Arithmetic expression over the profile, as `market_value`."""
    excess: tuple[Excess, ...]
    """The excesses sold, ascending; the first choice is `start_excess`."""
    start_excess: float
    months: Months = 12

    @model_validator(mode="after")
    def _coherent(self) -> "InsuranceTerms":
        _choices("excess", self.excess, self.start_excess)
        return self


class PriceTerms(Settings):
    """A service, a package or a trade-in: one price, at once or by the month."""

    kind: Literal["price"]
    months: Months = 12
    paid: Literal["once", "monthly"] = "monthly"


class ServicingTerms(Settings):
    """A change of what is owed already: the payoff re-termed, planned, or paused."""

    kind: Literal["re_term", "payment_plan", "payment_holiday"]
    months: tuple[Months, ...] = ()
    """`re_term`: the new remaining terms; `payment_plan`: over how many months arrears are paid;
    `payment_holiday`: the remaining term where the contract's is not known, at most one."""
    holiday_months: Annotated[int, Field(ge=0, le=12)] = 0
    lowers: bool = False
    """`re_term`: there to lower the instalment, so never made at the contract's or above it."""

    @model_validator(mode="after")
    def _coherent(self) -> "ServicingTerms":
        pauses = self.kind == "payment_holiday"
        if self.months or not pauses:
            _choices("months", self.months)
        if pauses and len(self.months) > 1:
            raise ValueError("months: a payment holiday keeps the remaining term; one at most")
        if pauses is not (self.holiday_months > 0):
            raise ValueError("holiday_months: at least one of a payment holiday, of no other kind")
        if self.lowers and self.kind != "re_term":
            raise ValueError(f"lowers: a {self.kind} lowers no instalment")
        return self


TermsRange = CreditTerms | LeaseTerms | InsuranceTerms | PriceTerms | ServicingTerms
