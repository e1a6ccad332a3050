"""The rate card as its files state it: tables that a pricing manager reads and writes.

Money is in the card's currency, rates in percent a year, bands are `[from, to]`. A band of months
takes both its ends; one of amounts takes its start and ends just before its end, but for the last,
which takes that too; one of loan to value begins just above its start and takes its end, so that
exactly 80 % still is of the band up to 0.8.
"""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from oferta.settings import Settings

Money = Annotated[Decimal, Field(ge=0, le=10_000_000, decimal_places=2)]
Percent = Annotated[Decimal, Field(ge=0, le=100, decimal_places=4)]
Points = Annotated[Decimal, Field(ge=-100, le=100, decimal_places=4)]
Ratio = Annotated[Decimal, Field(ge=0, le=10, decimal_places=4)]
Months = Annotated[int, Field(ge=1, le=120)]
Condition = Literal["new", "used"]
Tier = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,16}$")]
Products = Annotated[tuple[str, ...], Field(min_length=1)]


class FeeRule(Settings):
    """A fee: a fixed sum, or percent of the amount within bounds."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    paid: Literal["start", "monthly"]
    fixed: Money | None = None
    percent: Percent | None = None
    least: Money = Decimal(0)
    most: Money | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> "FeeRule":
        if (self.fixed is None) == (self.percent is None):
            raise ValueError(f"fee '{self.name}': either fixed or percent")
        if self.fixed is not None and (self.least or self.most is not None):
            raise ValueError(f"fee '{self.name}': least and most are bounds of a percentage")
        if self.most is not None and self.most < self.least:
            raise ValueError(f"fee '{self.name}': most {self.most} is below least {self.least}")
        return self


class CreditTable(Settings):
    """Rates of loans and of what is re-termed, by tier and term, with points added to them.

    `rate = rates[tier][term band] + amount_points + loan_to_value_points + condition_points`. Where
    the condition of the car is not known, its highest points count; likewise the last band of loan
    to value where no value is known.
    """

    products: Products
    months: tuple[tuple[Months, Months], ...] = Field(min_length=1)
    amount: tuple[tuple[Money, Money], ...] = Field(min_length=1)
    loan_to_value: tuple[tuple[Ratio, Ratio], ...] = ()
    """Empty: whatever it is, and no car is needed."""
    rates: dict[Tier, tuple[Percent | Literal["none"], ...]] = Field(min_length=1)
    """By tier, one for each band of months; `"none"`: not sold there. A tier that is not named has
    no cell."""
    amount_points: tuple[Points, ...] = ()
    loan_to_value_points: tuple[Points, ...] = ()
    condition_points: dict[Condition, Points] = Field(default_factory=dict)
    """Empty: the same for both; a condition that is not named has no cell."""
    fees: tuple[FeeRule, ...] = ()

    @model_validator(mode="after")
    def _coherent(self) -> "CreditTable":
        problems = [
            *_band_problems("months", self.months, step=1),
            *_band_problems("amount", self.amount),
            *_band_problems("loan_to_value", self.loan_to_value),
            *_fee_problems(self.fees),
        ]
        for tier, row in self.rates.items():
            if len(row) != len(self.months):
                problems.append(
                    f"rates.{tier}: {len(row)} rates for {len(self.months)} bands of months"
                )
        for name, points, bands in (
            ("amount", self.amount_points, self.amount),
            ("loan_to_value", self.loan_to_value_points, self.loan_to_value),
        ):
            if points and len(points) != len(bands):
                problems.append(f"{name}_points: {len(points)} for {len(bands)} bands")
        if not problems and self._lowest() < 0:
            problems.append(f"the points take a rate below 0, down to {self._lowest()}")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _lowest(self) -> Decimal:
        stated = [rate for row in self.rates.values() for rate in row if rate != "none"]
        return (
            min((rate for rate in stated if isinstance(rate, Decimal)), default=Decimal(0))
            + min(self.amount_points, default=Decimal(0))
            + min(self.loan_to_value_points, default=Decimal(0))
            + min(self.condition_points.values(), default=Decimal(0))
        )


class LeaseTable(CreditTable):
    """Rates of leases on the car's value (`amount`), and a fee a month by mileage allowance."""

    mileage_km_year: tuple[Annotated[int, Field(gt=0)], ...] = Field(min_length=1)
    mileage_fee: tuple[Money, ...]

    @model_validator(mode="after")
    def _mileages(self) -> "LeaseTable":
        _paired("mileage_km_year", self.mileage_km_year, "mileage_fee", self.mileage_fee)
        if list(self.mileage_fee) != sorted(self.mileage_fee):
            raise ValueError("mileage_fee: a larger allowance costs no less")
        if self.loan_to_value:
            raise ValueError("loan_to_value: a lease has none")
        return self


class InsuranceTable(Settings):
    """Premiums a year: percent of the insured value by excess, and never less than a minimum."""

    products: Products
    insured: tuple[Money, Money]
    excess: tuple[Money, ...] = Field(min_length=1)
    percent: tuple[Percent, ...]
    minimum: tuple[Money, ...]
    condition_points: dict[Condition, Points] = Field(default_factory=dict)
    """Added to the percentage; empty: the same for both."""
    fees: tuple[FeeRule, ...] = ()

    @model_validator(mode="after")
    def _coherent(self) -> "InsuranceTable":
        _paired("excess", self.excess, "percent", self.percent)
        _paired("excess", self.excess, "minimum", self.minimum)
        problems = [*_band_problems("insured", (self.insured,)), *_fee_problems(self.fees)]
        for name, values in (("percent", self.percent), ("minimum", self.minimum)):
            if list(values) != sorted(values, reverse=True):
                problems.append(f"{name}: a higher excess costs no more")
        if min(self.percent) + min(self.condition_points.values(), default=Decimal(0)) < 0:
            problems.append("condition_points: take a percentage below 0")
        if problems:
            raise ValueError("; ".join(problems))
        return self


class PriceTable(Settings):
    """Prices of services, packages and trade-ins: once, or by the month.

    `monthly` has a price a month for each of `months`, which is the shortest term that has it.
    """

    products: Products
    once: Money | None = None
    months: tuple[Months, ...] = ()
    monthly: tuple[Money, ...] = ()
    fees: tuple[FeeRule, ...] = ()

    @model_validator(mode="after")
    def _coherent(self) -> "PriceTable":
        if (self.once is None) == (not self.monthly):
            raise ValueError("either once, or months and monthly")
        if self.once is None:
            _paired("months", self.months, "monthly", self.monthly)
        elif self.months:
            raise ValueError("months: a price paid once has no terms")
        if problems := _fee_problems(self.fees):
            raise ValueError("; ".join(problems))
        return self


class CardFile(Settings):
    """One rate card: the tables in force from a day until a newer card's."""

    valid_from: date
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    credit: tuple[CreditTable, ...] = ()
    lease: tuple[LeaseTable, ...] = ()
    insurance: tuple[InsuranceTable, ...] = ()
    price: tuple[PriceTable, ...] = ()


def _band_problems(
    name: str, bands: Sequence[tuple[Decimal | int, Decimal | int]], *, step: int = 0
) -> list[str]:
    """What is wrong with `bands`; a band begins `step` after the end of the one before."""
    problems = [
        f"{name}: [{low}, {high}] ends before it begins"
        for low, high in bands
        if (high < low if step else high <= low)
    ]
    for (low, high), (next_low, next_high) in pairwise(bands):
        pair = f"[{low}, {high}] and [{next_low}, {next_high}]"
        if next_low < low:
            problems.append(f"{name}: {pair} are not in ascending order")
        elif next_low < high + step:
            problems.append(f"{name}: {pair} overlap")
        elif next_low > high + step:
            problems.append(f"{name}: between {pair} is a hole")
    return problems


def _fee_problems(fees: Sequence[FeeRule]) -> list[str]:
    names = [fee.name for fee in fees]
    twice = sorted({name for name in names if names.count(name) > 1})
    return [f"fees: '{name}' stands twice" for name in twice]


def _paired(name: str, keys: Sequence[Decimal | int], other: str, values: Sequence[object]) -> None:
    if list(keys) != sorted(set(keys)):
        raise ValueError(f"{name}: ascending, each once")
    if len(keys) != len(values):
        raise ValueError(f"{other}: {len(values)} for {len(keys)} of {name}")
