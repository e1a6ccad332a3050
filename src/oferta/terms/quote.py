"""What a price is made from, and what an offer costs: the values of the terms room.

Money is `Decimal` to the cent inside this room. Nothing here knows a customer: a price follows from
the inputs of the card, and what is fitted follows from what was wished and what can be afforded.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final, Literal

NOTHING: Final = Decimal("0.00")

Kind = Literal[
    "equal_instalment",
    "equal_principal",
    "balloon",
    "residual_value",
    "promotional",
    "lease",
    "insurance",
    "price",
    "re_term",
    "payment_plan",
    "payment_holiday",
]


@dataclass(frozen=True, slots=True)
class CardInputs:
    """All that a rate, a fee or a premium may depend on: the whole price firewall in one type.

    Attributes:
        product: product id.
        tier: declared risk tier; None where the card does not ask for one.
        amount: lent, insured, or the price itself.
        months: the term.
        loan_to_value: amount over the car's value; None: no car, or none is known.
        condition: `new` or `used`; None likewise.
        excess: of an insurance; None elsewhere.
        mileage_km_year: of a lease; None elsewhere.
        on: the day the card is read.
    """

    product: str
    tier: str | None
    amount: Decimal
    months: int
    on: date
    loan_to_value: Decimal | None = None
    condition: str | None = None
    excess: Decimal | None = None
    mileage_km_year: int | None = None


@dataclass(frozen=True, slots=True)
class Fee:
    """One itemised fee: paid at the start, or with every instalment."""

    name: str
    amount: Decimal
    paid: Literal["start", "monthly"]


@dataclass(frozen=True, slots=True)
class Price:
    """What the card says: a yearly nominal rate in percent and its fees, or a premium or price.

    Attributes:
        rate: percent a year; 0 where nothing is lent.
        premium: a year's premium, or the price; None where something is lent.
        version: of the card.
    """

    rate: Decimal
    fees: tuple[Fee, ...]
    premium: Decimal | None
    version: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a schedule: number 0 is the contract's day, with deposit and fees at the start."""

    number: int
    due: date
    payment: Decimal
    interest: Decimal
    principal: Decimal
    fees: Decimal
    balance: Decimal


@dataclass(frozen=True, slots=True)
class Change:
    """One way in which a counter-offer differs from the wish; a `guarantor` or `cover` is added."""

    what: Literal[
        "months", "deposit", "amount", "instalment", "guarantor", "cover", "excess", "mileage"
    ]
    wished: Decimal | None
    offered: Decimal | None


@dataclass(frozen=True, slots=True)
class Quote:
    """What an offer asks for, without what takes the whole schedule to know: cheap to make.

    `oferta.terms.complete.complete` makes `Terms` of it, whose fields of the same names are these.
    """

    kind: Kind
    product: str
    currency: str
    start: date
    amount: Decimal
    deposit: Decimal
    months: int
    rate: Decimal
    instalment: Decimal
    final_payment: Decimal
    fees: tuple[Fee, ...]
    card: str
    price: Decimal = NOTHING
    residual: Decimal = NOTHING
    holiday_months: int = 0
    excess: Decimal | None = None
    mileage_km_year: int | None = None
    changes: tuple[Change, ...] = ()
    guarantor: bool = False
    cover: str | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of one offer, to the cent.

    Attributes:
        amount: lent (credit), insured value (insurance), or price.
        deposit: paid by the customer at the start, for the car.
        instalment: the regular payment a month, with monthly fees; the first one where they fall;
            0 where all is paid at once.
        final_payment: balloon or residual with the last instalment; 0 where there is none.
        rate: nominal, percent a year; annual_rate: effective, fees included, re-solved from the
            cash flows, percent a year to two digits; None where nothing is lent.
        total_payable: everything the customer pays, deposit included; total_cost: of credit, that
            less amount and deposit (elsewhere the price).
        changes: how it differs from what was wished; empty: as wished, or nothing was.
        guarantor: whether it holds only with a guarantor.
        card: the rate card's version.
        price: a year's premium, or the price; 0 where something is lent.
        residual: what a leased car is reckoned at when it goes back: never paid; 0 elsewhere.
        holiday_months: so many of the `months`, the first ones, are without payment.
        cover: product id of the insurance without which the offer does not hold; its premium is
            one of the monthly fees, so it is in the instalment and in the annual rate.
    """

    kind: Kind
    product: str
    currency: str
    start: date
    amount: Decimal
    deposit: Decimal
    months: int
    rate: Decimal
    instalment: Decimal
    final_payment: Decimal
    fees: tuple[Fee, ...]
    annual_rate: Decimal | None
    total_payable: Decimal
    total_cost: Decimal
    card: str
    excess: Decimal | None = None
    mileage_km_year: int | None = None
    changes: tuple[Change, ...] = ()
    guarantor: bool = False
    price: Decimal = NOTHING
    residual: Decimal = NOTHING
    holiday_months: int = 0
    cover: str | None = None


UnfitCode = Literal[
    "card.none",  # the card has no cell for these inputs
    "amount.range",  # nothing within the offer's range
    "amount.unknown",  # the expression of the start amount is null
    "car_value.unknown",  # the offer is on the customer's own car, and its value is null
    "ltv.exceeded",
    "affordability.exceeded",
    "affordability.unknown",  # income is not known and the policy refuses then
    "budget.exceeded",
    "instalment.not_lower",  # there to lower the contract's instalment, and it does not
    "kind.unsupported",
]


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why no terms of an offer's range can be made."""

    code: UnfitCode
    facts: tuple[tuple[str, str], ...] = ()
