"""The truth of answers: how likely a customer says yes, is approved, defaults, and what it earns.

Everything is a logit whose parts add up: the product's own, the customer's taste, the moment, the
channel, the terms, and being tired of contacts. Nothing here knows the engine or its policy.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from oferta.catalogue.families import FAMILIES
from oferta_experiments.world.arrays import Ints, Reals, Tastes
from oferta_experiments.world.moments import Moments
from oferta_experiments.world.people import People
from oferta_experiments.world.products import Products
from oferta_experiments.world.state import State

OFFERED: Final = {
    "loan": -5.9,
    "lease": -6.0,
    "insurance": -5.0,
    "service": -5.0,
    "trade_in": -4.6,
    "servicing": -4.3,
    "car": -5.6,
}
"""Logit of a yes to an offer, by family, for a product of weight one."""
UNASKED: Final = {
    "loan": -7.0,
    "lease": -7.4,
    "insurance": -6.1,
    "service": -6.4,
    "trade_in": -7.2,
    "servicing": -5.6,
    "car": -9.0,
}
"""Logit of asking for it unasked within a month."""
_POPULARITY: Final = 0.8
_TIRED: Final = 0.45
_RATE: Final = 0.35  # per percentage point above the reference
_PRICE: Final = 1.1  # per e-fold above the usual price
_BURDEN: Final = 2.4  # per share of free income beyond
_BEARABLE: Final = 0.3
_OTHER_AMOUNT: Final = 0.8  # per e-fold away from the wish
_OTHER_TERM: Final = 0.35
_APPROVAL: Final = 3.3
_BY_TIER: Final = np.array([0.0, 0.4, 1.0, 2.0, 3.4])
LOSS_GIVEN_DEFAULT: Final = 0.42
_FUNDING: Final = 0.021  # what lent money costs the seller, a year
_COMMISSION: Final = {"insurance": 0.24, "service": 0.35, "car": 0.03}
_TRADE_IN: Final = 180.0
_SERVICING: Final = 60.0


@dataclass(frozen=True, slots=True)
class Seen:
    """The terms that customers see, `(rows,)` each; NaN where a product has none.

    Attributes:
        amount: lent or insured; months: the term; instalment: a month, fees included.
        rate: percent a year; price: a year's premium, or a month's or one-off price.
        reference_rate, reference_price: what is usual; wished_amount, wished_months: the wish.
    """

    amount: Reals
    months: Reals
    instalment: Reals
    rate: Reals
    price: Reals
    reference_rate: Reals
    reference_price: Reals
    wished_amount: Reals
    wished_months: Reals


def product_logit(products: Products, by_family: dict[str, float]) -> Reals:
    """`(P,)` logits of products to a customer without taste at no moment."""
    families = np.array([by_family[name] for name in FAMILIES])
    return np.asarray(families[products.family] + _POPULARITY * np.log(products.weight))


def accept_logit(
    products: Products,
    people: People,
    state: State,
    *,
    at: Moments,
    who: Ints,
    product: Ints,
    channel: Ints,
) -> Reals:
    """`(rows,)` logits of a yes to an offer at its usual terms; the product must be possible."""
    tired = np.maximum(state.contacts[who] - people.tolerance[who], 0.0)
    return np.asarray(
        product_logit(products, OFFERED)[product]
        + people.preference[who, product]
        + at.boost[who, products.clock[product]]
        + people.channel[who, channel]
        - _TIRED * tired
    )


def terms_logit(people: People, who: Ints, seen: Seen) -> Reals:
    """`(rows,)` what the terms add: nothing where they are usual, bearable and as wished."""
    free = np.maximum(people.income - people.spending - people.others, 100.0)[who]
    burden = np.nan_to_num(seen.instalment / free)
    dear = people.price_sensitivity[who]
    added = (
        -dear * _RATE * np.nan_to_num(seen.rate - seen.reference_rate)
        - dear * _PRICE * np.nan_to_num(_log_ratio(seen.price, seen.reference_price))
        - people.instalment_sensitivity[who] * _BURDEN * np.maximum(burden - _BEARABLE, 0.0)
        - _OTHER_AMOUNT * np.abs(np.nan_to_num(_log_ratio(seen.amount, seen.wished_amount)))
        - _OTHER_TERM * np.abs(np.nan_to_num(_log_ratio(seen.months, seen.wished_months)))
    )
    return np.asarray(np.clip(added, -6.0, 2.0))


def _log_ratio(value: Reals, usual: Reals) -> Reals:
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.log(value / usual)
    return np.where(np.isfinite(ratio), ratio, 0.0)


def approved_chance(people: People, who: Ints, *, instalment: Reals, loan_to_value: Reals) -> Reals:
    """`(rows,)` chance that credit is approved, by what a lender sees and a little of the truth."""
    free = np.maximum(people.income - people.spending - people.others, 100.0)[who]
    logit = (
        _APPROVAL
        - _BY_TIER[people.tier[who]]
        - 5.0 * people.default_risk[who]
        - 3.0 * np.maximum(instalment / free - 0.5, 0.0)
        - 2.5 * np.maximum(loan_to_value - 0.95, 0.0)
    )
    return chance(logit)


def default_chance(people: People, who: Ints, months: Reals) -> Reals:
    """`(rows,)` chance that credit defaults over its term, most of it in the first three years."""
    years = np.minimum(months / 12, 3.0)
    return np.asarray(1 - (1 - 0.55 * people.default_risk[who]) ** years)


def margin(
    products: Products, product: Ints, *, amount: Reals, months: Reals, rate: Reals, price: Reals
) -> Reals:
    """`(rows,)` EUR that a sale earns before losses: interest less funding, or a commission."""
    family = products.family[product]
    credit = amount * months / 12 * 0.55 * np.maximum(rate / 100 - _FUNDING, 0.0)
    earned = np.where(np.isin(family, [0, 1]), np.nan_to_num(credit), 0.0)
    for name, share in _COMMISSION.items():
        earned = np.where(family == FAMILIES.index(name), share * np.nan_to_num(price), earned)
    earned = np.where(family == FAMILIES.index("trade_in"), _TRADE_IN, earned)
    return np.where(family == FAMILIES.index("servicing"), _SERVICING, earned)


def unasked_logit(products: Products, people: People, *, at: Moments) -> Tastes:
    """`(n, P)` logits of asking for a product within a month without having been offered it."""
    own = product_logit(products, UNASKED).astype(np.float32)
    moment = at.boost.astype(np.float32)[:, products.clock]
    return np.asarray(own + people.preference + moment, np.float32)


def chance(logit: Reals | Tastes) -> Reals:
    """Logits as chances."""
    return np.asarray(1 / (1 + np.exp(-logit)))


def usual_price(
    products: Products,
    product: Ints,
    *,
    value: Reals,
) -> Reals:
    """`(rows,)` EUR: the usual premium, price or amount of products, for a car of this value.

    Motor insurance costs more for dearer cars; monthly prices are of a year.
    """
    price = products.price[product]
    of_value = np.clip((np.maximum(value, 3_000.0) / 18_000.0) ** 0.5, 0.5, 2.2)
    monthly = (products.family[product] == FAMILIES.index("service")) & (
        products.months[product] > 0
    )
    price = np.where(monthly, price * 12, price)
    usual = np.where(products.motor[product], price * of_value, price)
    return np.asarray(np.round(usual, 2), np.float64)
