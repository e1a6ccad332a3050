"""What is asked for many customers at once, and what comes back: one value a customer."""

from dataclasses import dataclass, fields, replace
from decimal import Decimal
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from oferta.terms.cents import cents, e4
from oferta.terms.quote import Quote, UnfitCode
from oferta.terms.wanted import Means, Wanted, money

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CODES: Final[tuple[UnfitCode, ...]] = get_args(UnfitCode)
"""What `Quotes.code` counts from."""

UNKNOWN: Final = -(2**62)
"""Cents of what is not known."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Wish and means of many customers; the meaning of each is that of `Wanted` and `Means`.

    Arrays are (customers,) and of float64 in the currency's main unit, NaN where unknown; None
    where nobody's is known. `relief` is of bool; None: nobody has it. `tier` and `condition` are
    int64 positions in `tiers` and `conditions`, -1 where unknown.
    """

    size: int
    tier: Ints
    tiers: tuple[str, ...]
    condition: Ints | None = None
    conditions: tuple[str, ...] = ("new", "used")
    start_amount: Floats | None = None
    payoff: Floats | None = None
    arrears: Floats | None = None
    remaining_months: Floats | None = None
    amount: Floats | None = None
    months: Floats | None = None
    deposit: Floats | None = None
    instalment: Floats | None = None
    excess: Floats | None = None
    mileage_km_year: Floats | None = None
    income: Floats | None = None
    spending: Floats | None = None
    instalments: Floats | None = None
    replaced: Floats | None = None
    car_value: Floats | None = None
    relief: NDArray[np.bool_] | None = None
    share: Decimal = Decimal("0.4")
    unknown_income: Literal["refuse", "allow"] = "refuse"

    def cents(self, name: str) -> Ints:
        """A column of money in cents, rounded as `oferta.terms.wanted.money`; else `UNKNOWN`."""
        values = getattr(self, name)
        if values is None:
            return np.full(self.size, UNKNOWN)
        known = np.isfinite(values)
        whole = np.trunc(values * 100 + np.where(values >= 0, 0.5, -0.5))
        return np.where(known, whole, UNKNOWN).astype(np.int64)

    def whole(self, name: str) -> Ints:
        """A column of whole numbers; `UNKNOWN` where there is none."""
        values = getattr(self, name)
        if values is None:
            return np.full(self.size, UNKNOWN)
        return np.where(np.isfinite(values), values, UNKNOWN).astype(np.int64)

    def without_instalments(self) -> "Columns":
        """As if nobody had any."""
        return replace(self, instalments=None, replaced=None)

    def taken(self, rows: Ints) -> "Columns":
        """These customers alone, in the order of `rows`."""
        changed: dict[str, Any] = {
            one.name: value[rows]
            for one in fields(self)
            if isinstance(value := getattr(self, one.name), np.ndarray)
        }
        return replace(self, size=len(rows), **changed)

    def one(self, at: int) -> tuple[Wanted, Means]:
        """Wish and means of one customer, as `oferta.terms.fit.quote` takes them."""

        def number(name: str) -> float | None:
            column = getattr(self, name)
            return None if column is None or not np.isfinite(column[at]) else float(column[at])

        def whole(name: str) -> int | None:
            value = number(name)
            return None if value is None else int(value)

        tier = int(self.tier[at])
        condition = -1 if self.condition is None else int(self.condition[at])
        wanted = Wanted(
            amount=money(number("amount")),
            months=whole("months"),
            deposit=money(number("deposit")),
            instalment=money(number("instalment")),
            excess=money(number("excess")),
            mileage_km_year=whole("mileage_km_year"),
            start_amount=money(number("start_amount")),
            payoff=money(number("payoff")),
            arrears=money(number("arrears")),
            remaining_months=whole("remaining_months"),
        )
        means = Means(
            tier=None if tier < 0 else self.tiers[tier],
            income=money(number("income")),
            spending=money(number("spending")),
            instalments=money(number("instalments")),
            share=self.share,
            unknown_income=self.unknown_income,
            car_value=money(number("car_value")),
            condition=None if condition < 0 else self.conditions[condition],
            replaced=money(number("replaced")),
            relief=self.relief is not None and bool(self.relief[at]),
        )
        return wanted, means


@dataclass(frozen=True, slots=True)
class Quotes:
    """One offer for many customers: what `oferta.terms.fit.quote` says of each, in arrays.

    Money is float64 in the currency's main unit, exact to the cent; NaN where nothing fits.

    Attributes:
        fits: bool; code: int64 position in `CODES` where nothing fits, else -1.
        months: int64; 0 where nothing fits.
        rate: percent a year; price: premium or price; final_payment, excess: as in `Quote`.
        guarantor: bool.
    """

    fits: NDArray[np.bool_]
    code: Ints
    amount: Floats
    deposit: Floats
    months: Ints
    rate: Floats
    instalment: Floats
    final_payment: Floats
    price: Floats
    excess: Floats
    guarantor: NDArray[np.bool_]


class Filling:
    """Quotes being filled: everything unfit with `card.none` until it is found or refused."""

    def __init__(self, size: int) -> None:
        self.code = np.full(size, CODES.index("card.none"))
        self.lent = np.zeros(size, np.int64)
        self.deposit = np.zeros(size, np.int64)
        self.months = np.zeros(size, np.int64)
        self.rate_e4 = np.zeros(size, np.int64)
        self.due = np.zeros(size, np.int64)
        self.final = np.zeros(size, np.int64)
        self.price = np.zeros(size, np.int64)
        self.excess = np.full(size, UNKNOWN)
        self.guarantor = np.zeros(size, np.bool_)

    def refuse(self, rows: Ints, code: UnfitCode) -> None:
        """Nothing fits these, for this reason."""
        self.code[rows] = CODES.index(code)

    def put(self, rows: Ints, others: "Filling") -> None:
        """Takes over what was found for these rows."""
        for name, column in vars(self).items():
            column[rows] = getattr(others, name)

    def put_one(self, at: int, found: Quote) -> None:
        """Takes over one quote that was made by itself."""
        self.code[at] = -1
        self.lent[at], self.deposit[at] = cents(found.amount), cents(found.deposit)
        self.months[at], self.rate_e4[at] = found.months, e4(found.rate)
        self.due[at], self.final[at] = cents(found.instalment), cents(found.final_payment)
        self.guarantor[at] = found.guarantor

    def quotes(self) -> Quotes:
        """As they are given back."""
        fits = self.code < 0

        def money(whole: Ints) -> Floats:
            return np.where(fits & (whole != UNKNOWN), whole / 100, np.nan)

        return Quotes(
            fits=fits,
            code=self.code,
            amount=money(self.lent),
            deposit=money(self.deposit),
            months=np.where(fits, self.months, 0),
            rate=np.where(fits, self.rate_e4 / 10_000, np.nan),
            instalment=money(self.due),
            final_payment=money(self.final),
            price=money(self.price),
            excess=money(self.excess),
            guarantor=self.guarantor & fits,
        )


def affordable(columns: Columns) -> Ints:
    """The highest affordable instalment in whole cents, at least 0; `UNKNOWN`: no income known."""
    income, spending = columns.cents("income"), _or_none(columns.cents("spending"))
    kept = _or_none(columns.cents("instalments")) - _or_none(columns.cents("replaced"))
    share = int(columns.share.scaleb(9))
    if columns.share.scaleb(9) != share:
        raise ValueError(f"share {columns.share} has more than nine digits")
    known = income != UNKNOWN
    left = share * (np.where(known, income, 0) - spending) // 10**9 - np.maximum(kept, 0)
    return np.where(known, np.maximum(left, 0), UNKNOWN)


def _or_none(whole: Ints) -> Ints:
    return np.where(whole == UNKNOWN, 0, whole)
