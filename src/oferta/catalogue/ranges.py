"""The terms that an offer allows: ranges a marketer states, never prices.

Rates and fees are in the rate card alone. Amounts are in the currency's main unit; shares are of
the car's price (or of the amount, where no car is in the offer).
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from oferta.settings import Settings

Share = Annotated[float, Field(ge=0, le=1)]
Months = Annotated[int, Field(ge=1, le=120)]

CreditKind = Literal[
    "equal_instalment", "equal_principal", "balloon", "residual_value", "promotional"
]
"""Repayment of a loan. `promotional` is repaid in equal instalments at a promotional rate."""


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
    `market_value` where it is the customer's own; None: the car is being bought, and its price is
    amount and deposit together."""
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
        if not self.months or list(self.months) != sorted(set(self.months)):
            raise ValueError("months: at least one, ascending, each once")
        if self.start_months not in self.months:
            raise ValueError(f"start_months: {self.start_months} is none of {list(self.months)}")
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
    mileage_km_year: tuple[int, ...]
    start_mileage_km_year: int


class InsuranceTerms(Settings):
    """Cover for a yearly premium; a higher excess costs less."""

    kind: Literal["insurance"]
    insured_value: str
    """Arithmetic expression over the profile, as `market_value`."""
    excess: tuple[Annotated[float, Field(ge=0)], ...]
    start_excess: float
    months: int = 12


class PriceTerms(Settings):
    """A service, a package or a trade-in: one price, at once or by the month."""

    kind: Literal["price"]
    months: int = 12
    paid: Literal["once", "monthly"] = "monthly"


class ServicingTerms(Settings):
    """A change of what is owed already: the payoff re-termed, planned, or paused."""

    kind: Literal["re_term", "payment_plan", "payment_holiday"]
    months: tuple[Months, ...] = ()
    """`re_term`: the new remaining terms; `payment_plan`: over how many months arrears are paid."""
    holiday_months: Annotated[int, Field(ge=0, le=12)] = 0


TermsRange = CreditTerms | LeaseTerms | InsuranceTerms | PriceTerms | ServicingTerms
