"""What would come of offers: the whole truth of an answer, for many customers at once."""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from oferta_experiments.world.arrays import Flags, Ints, Reals
from oferta_experiments.world.loans import level_instalment, reference_rate
from oferta_experiments.world.moments import Moments
from oferta_experiments.world.people import People
from oferta_experiments.world.products import CONDITIONS, Products
from oferta_experiments.world.response import (
    LOSS_GIVEN_DEFAULT,
    Seen,
    accept_logit,
    approved_chance,
    chance,
    default_chance,
    margin,
    terms_logit,
    usual_price,
)
from oferta_experiments.world.state import NONE, State
from oferta_experiments.world.times import months_of

_USUAL_LOAN_TO_VALUE = 0.85
_USUAL_FINAL = {"balloon": 0.35, "residual_value": 0.45, "lease": 0.5}
_USUAL_EXCESS = 300.0
_EXCESS = 0.12  # per e-fold of excess above the usual: a higher one is liked less


@dataclass(frozen=True, slots=True)
class Shown:
    """The terms of offers as customers see them, `(rows,)` each; NaN: the usual ones.

    Attributes:
        amount: lent, or insured. months: the term. rate: percent a year. instalment: a month.
        price: a year's premium, a year of a monthly price, or what is paid once.
    """

    amount: Reals
    months: Reals
    rate: Reals
    instalment: Reals
    price: Reals
    excess: Reals

    @classmethod
    def usual(cls, count: int) -> Self:
        """Nothing is said: the usual terms."""
        absent = np.full(count, np.nan)
        return cls(absent, absent, absent, absent, absent, absent)

    def only(self, rows: Ints) -> Self:
        """Of some rows."""
        return type(self)(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


@dataclass(frozen=True, slots=True)
class Responses:
    """What would come of each offer, `(rows,)` each.

    Attributes:
        accept: chance of a yes; 0 where the customer cannot have the product.
        approved: chance that it is granted then; 1 where nothing is asked.
        default: chance that granted credit defaults over its term; 0 elsewhere.
        margin: EUR earned if it is granted and does not default; loss: EUR lost if it does.
    """

    accept: Reals
    approved: Reals
    default: Reals
    margin: Reals
    loss: Reals

    @property
    def value(self) -> Reals:
        """Expected EUR of making the offer."""
        return np.asarray(self.accept * self.approved * (self.margin - self.default * self.loss))


def respond(
    products: Products,
    people: People,
    state: State,
    *,
    at: Moments,
    can: Flags,
    day: int,
    who: Ints,
    product: Ints,
    channel: Ints,
    shown: Shown,
) -> Responses:
    """The truth of offering `product` to `who` by `channel` at terms `shown`, on `day`.

    `at` and `can` are `moments` and `possible` of that day.
    """
    seen, owes = _seen(products, people, state, day=day, who=who, product=product, shown=shown)
    logit = accept_logit(products, people, state, at=at, who=who, product=product, channel=channel)
    logit += terms_logit(people, who, seen)
    dearer = np.log(np.maximum(shown.excess, 1.0) / _USUAL_EXCESS)
    logit -= np.where(np.isnan(shown.excess), 0.0, _EXCESS * dearer)
    credit = products.of_family("loan", "lease")[product]
    value = np.where(owes > 0, state.value(products, day)[who], seen.amount / _USUAL_LOAN_TO_VALUE)
    approved = approved_chance(
        people,
        who,
        instalment=seen.instalment,
        loan_to_value=seen.amount / np.maximum(value, 1.0),
    )
    return Responses(
        accept=np.where(can[who, product], chance(logit), 0.0),
        approved=np.where(credit, approved, 1.0),
        default=np.where(credit, default_chance(people, who, seen.months), 0.0),
        margin=margin(
            products,
            product,
            amount=seen.amount,
            months=seen.months,
            rate=seen.rate,
            price=seen.price,
        ),
        loss=np.where(credit, LOSS_GIVEN_DEFAULT * seen.amount, 0.0),
    )


def _seen(
    products: Products,
    people: People,
    state: State,
    *,
    day: int,
    who: Ints,
    product: Ints,
    shown: Shown,
) -> tuple[Seen, Reals]:
    """Terms with the usual ones where nothing is said, and what is owed on a car now."""
    credit = products.of_family("loan", "lease")[product]
    month = int(months_of(np.array([day]))[0])
    looks = (state.market[who] >= day) & (state.target[who] != NONE)
    car = np.maximum(state.target[who], 0)
    own_term = products.of_kind("lease", "balloon", "residual_value", "promotional")[product]
    rate = reference_rate(
        people.tier[who],
        month,
        used=np.where(looks, products.condition[car], products.condition[product])
        == CONDITIONS.index("used"),
        promotional=products.of_kind("promotional")[product],
    )
    refinances = products.needs[product] > 0
    refinances &= credit & ~np.isin(products.needs[product], [5])
    owes = np.where(refinances & state.has_finance()[who], state.balance[who], 0.0)
    lease = products.of_family("lease")[product]
    wish = np.where(
        looks, products.price[car] * np.where(lease, 1.0, 1 - people.deposit[who]), np.nan
    )
    wish = np.where(credit, np.where(owes > 0, owes, wish), np.nan)
    usual_months = np.where(own_term, products.months[product], people.months[who])
    usual_months = np.where(credit, usual_months, products.months[product]).astype(np.float64)
    amount = or_usual(shown.amount, np.where(np.isnan(wish), products.price[product], wish))
    months = or_usual(shown.months, np.where(usual_months > 0, usual_months, np.nan))
    final = np.zeros(len(who))
    for kind, share in _USUAL_FINAL.items():
        final = np.where(products.of_kind(kind)[product], share * amount, final)
    asked = or_usual(shown.rate, rate)
    term = np.where(np.isnan(months), 1, months).astype(np.int64)
    usual_instalment = level_instalment(amount, np.maximum(asked, 0.1), term, final)
    usual = usual_price(products, product, value=state.value(products, day)[who])
    nothing = np.full(len(who), np.nan)
    seen = Seen(
        amount=amount,
        months=np.where(credit, months, nothing),
        instalment=np.where(credit, or_usual(shown.instalment, usual_instalment), nothing),
        rate=np.where(credit, asked, nothing),
        price=np.where(credit, nothing, or_usual(shown.price, usual)),
        reference_rate=rate,
        reference_price=usual,
        wished_amount=wish,
        wished_months=np.where(credit, usual_months, nothing),
    )
    return seen, owes


def or_usual(value: Reals, usual: Reals) -> Reals:
    """`value`, and `usual` where it is NaN."""
    return np.where(np.isnan(value), usual, value)
