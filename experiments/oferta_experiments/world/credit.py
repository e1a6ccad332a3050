"""Applications: asked for, approved or rejected, and funded; and changes of what is owed."""

import numpy as np

from oferta_experiments.world.answers import Shown, or_usual
from oferta_experiments.world.arrays import Flags, Ints, Reals
from oferta_experiments.world.loans import after_payment, level_instalment, reference_rate
from oferta_experiments.world.log import ACTIVE
from oferta_experiments.world.products import CONDITIONS, ONCE_PER, Products
from oferta_experiments.world.response import approved_chance
from oferta_experiments.world.sales import (
    Chunk,
    Credit,
    buy_car,
    car_credit,
    day_of,
    open_finance,
    priced,
)
from oferta_experiments.world.state import ALWAYS, NEVER, NONE, State
from oferta_experiments.world.times import DAY_S, later, months_of

_CASH = -1.0
_TRADED = 0.75  # of a refinanced car's worth may be lent


def choose_car(chunk: Chunk, who: Ints, product: Ints | None = None) -> Ints:
    """The car that each customer wants: by taste and purse, among those that `product` is for."""
    products, people = chunk.products, chunk.people
    cars = np.flatnonzero(products.of_family("car"))
    dear = np.log(products.price[cars] / 11.0)[None, :] - np.log(people.income[who])[:, None]
    logit = (
        0.8 * np.log(products.weight[cars])
        + 1.3 * people.preference[np.ix_(who, cars)]
        - 2.2 * np.maximum(dear, 0.0)
    )
    if product is not None:
        logit[~_fits(products, product, cars)] = -np.inf
    return cars[chunk.luck.best("car", who, logit)]


def car_for(chunk: Chunk, who: Ints, product: Ints) -> Ints:
    """The car that a finance product is taken for: the one in mind if it is for that."""
    target = chunk.state.target[who]
    fits = _fits(chunk.products, product, np.maximum(target, 0)[:, None])[:, 0]
    return np.where((target != NONE) & fits, target, choose_car(chunk, who, product))


def choose_finance(chunk: Chunk, who: Ints, car: Ints) -> Ints:
    """How each customer would pay for a car: a product that is for it, or NONE for cash."""
    products, people, state = chunk.products, chunk.people, chunk.state
    offered = np.flatnonzero(for_cars(products))
    logit = 0.8 * np.log(products.weight[offered]) + 1.1 * people.preference[np.ix_(who, offered)]
    for number, product in enumerate(offered):
        fits = _fits(products, np.full(len(who), product), car[:, None])[:, 0]
        if products.once_per[product] == ONCE_PER.index("customer"):
            fits &= state.had_finance[who] == 0
        logit[~fits, number] = -np.inf
    cash = (
        _CASH
        + 0.8 * np.log(people.income[who] / 2500)
        + 1.5 * np.log(people.price_sensitivity[who])
    )
    logit = np.column_stack([logit, cash])
    return np.append(offered, NONE)[chunk.luck.best("finance", who, logit)]


def for_cars(products: Products) -> Flags:
    """`(P,)` which loans and leases pay for a car that is being bought."""
    credit = products.of_family("loan", "lease")
    # Refinancing is for the car that there is; a thing's loan is not for a car.
    buys = np.array([spec.sim.clock in {"purchase", "maturity"} for spec in products.specs])
    return np.asarray(credit & buys)


def _fits(products: Products, product: Ints, cars: Ints) -> Flags:
    """`(rows, cars)` whether the finance product is for the car; `cars` is 1-D or `(rows, 1)`."""
    fits = np.ones(np.broadcast_shapes((len(product), 1), np.shape(np.atleast_2d(cars))), np.bool_)
    for limit in (products.body, products.fuel, products.condition):
        asked = limit[product][:, None]
        fits &= (asked == 0) | (asked == limit[cars])
    return fits


def sell_car(
    chunk: Chunk,
    who: Ints,
    car: Ints,
    *,
    product: Ints,
    at: Ints,
    channel: Ints | int = NONE,
    told: Flags | None = None,
    shown: Shown | None = None,
) -> Flags:
    """Cars bought at `at` (epoch seconds), by cash or by credit; `(rows,)` whether they were.

    Of a car that was bought elsewhere (`told` is false) there is no event. `shown`: the terms that
    were offered; None: the usual ones.
    """
    products, state, luck = chunk.products, chunk.state, chunk.luck
    day = day_of(at)
    price = np.round(products.price[car] * luck.factor("price", who, 0.06) / 10) * 10
    used = products.condition[car] == CONDITIONS.index("used")
    credit = product != NONE
    terms = car_credit(chunk, who, product, price=price, used=used, month=months_of(day))
    if shown is not None:
        terms = _as_shown(chunk.products, product, terms, shown, most=price)
    sold = ~credit
    sold[credit] = _decided(
        chunk,
        who[credit],
        product[credit],
        terms=terms.only(credit),
        value=price[credit],
        at=at[credit],
        channel=channel if isinstance(channel, int) else channel[credit],
    )
    mine = np.flatnonzero(sold)
    buy_car(chunk, who[mine], car[mine], day=day[mine], price=price[mine])
    heard = mine if told is None else mine[told[mine]]
    chunk.events.add("purchase", who[heard], car[heard], at=at[heard], value=price[heard])
    funded = sold & credit
    open_finance(chunk, who[funded], product[funded], day=day[funded], credit=terms.only(funded))
    state.market[who[credit & ~sold]] = NEVER
    return np.asarray(sold)


def sell_refinance(
    chunk: Chunk,
    who: Ints,
    product: Ints,
    *,
    at: Ints,
    channel: Ints | int = NONE,
    shown: Shown | None = None,
) -> Flags:
    """Loans for the car that there is: what is owed (or part of its worth) lent anew."""
    state, people, products = chunk.state, chunk.people, chunk.products
    day = day_of(at)
    value = state.value(products, day if len(day) == len(state.car) else int(day.max()))[who]
    own = state.finance[who] != NONE
    amount = np.where(own, state.balance[who], np.round(_TRADED * value / 100) * 100)
    amount = np.maximum(np.round(amount, 2), 500.0)
    rate = reference_rate(
        people.tier[who],
        months_of(day),
        used=np.ones(len(who), np.bool_),
        promotional=np.zeros(len(who), np.bool_),
    )
    terms = priced(
        products,
        product,
        amount=amount,
        months=products.months[product],
        rate=rate,
        final=np.zeros(len(who)),
    )
    if shown is not None:
        terms = _as_shown(products, product, terms, shown, most=amount)
    sold = _decided(chunk, who, product, terms=terms, value=value, at=at, channel=channel)
    open_finance(chunk, who[sold], product[sold], day=day[sold], credit=terms.only(sold))
    return sold


def sell_small_loan(
    chunk: Chunk,
    who: Ints,
    product: Ints,
    *,
    at: Ints,
    channel: Ints | int = NONE,
    shown: Shown | None = None,
) -> Flags:
    """A loan beside the car's finance, for things."""
    people, products, state = chunk.people, chunk.products, chunk.state
    day = day_of(at)
    flags = np.zeros(len(who), np.bool_)
    rate = reference_rate(people.tier[who], months_of(day), used=flags, promotional=flags) + 1.0
    amount = (
        np.round(products.price[product] * (0.5 + 1.1 * chunk.luck.share("things", who)) / 50) * 50
    )
    months = products.months[product]
    terms = priced(
        products, product, amount=amount, months=months, rate=rate, final=np.zeros(len(who))
    )
    if shown is not None:
        terms = _as_shown(products, product, terms, shown, most=amount * 4)
    value = np.full(len(who), np.inf)
    sold = _decided(chunk, who, product, terms=terms, value=value, at=at, channel=channel)
    mine, taken = who[sold], terms.only(sold)
    ends = later(day[sold], taken.months)
    state.contract[mine, product[sold]] = chunk.contracts.open(
        who=mine,
        product=product[sold],
        vehicle=NONE,
        starts=day[sold],
        ends=ends,
        amount=taken.amount,
        rate=taken.rate,
        term=taken.months,
        instalment=taken.instalment,
        final=0.0,
        status=ACTIVE,
    )
    state.until[mine, product[sold]], state.blocked[mine, product[sold]] = ends, ends
    return sold


def _as_shown(
    products: Products, product: Ints, terms: Credit, shown: Shown, *, most: Reals
) -> Credit:
    """The terms that were offered where they were said, at `most` so much lent."""
    amount = np.minimum(or_usual(shown.amount, terms.amount), most)
    months = or_usual(shown.months, terms.months.astype(np.float64)).astype(np.int64)
    rate = np.maximum(or_usual(shown.rate, terms.rate), 0.1)
    final = np.minimum(terms.final, 0.8 * amount)
    return priced(products, product, amount=amount, months=months, rate=rate, final=final)


def _decided(
    chunk: Chunk,
    who: Ints,
    product: Ints,
    *,
    terms: Credit,
    value: Reals,
    at: Ints,
    channel: Ints | int,
) -> Flags:
    """Apply, be approved or rejected, be funded at `at`; `(rows,)` whether they were."""
    luck = chunk.luck
    approved = luck.share("approved", who) < approved_chance(
        chunk.people,
        who,
        instalment=terms.instalment,
        loan_to_value=np.divide(terms.amount, value),
    )
    asked = at - luck.whole("asked", who, DAY_S, 4 * DAY_S)
    answered = asked + luck.whole("answered", who, 1800, DAY_S)
    add = chunk.events.add
    add("apply", who, product, at=asked, channel=channel, value=terms.amount)
    add("approved", who[approved], product[approved], at=answered[approved])
    add("rejected", who[~approved], product[~approved], at=answered[~approved])
    add("funded", who[approved], product[approved], at=at[approved], value=terms.amount[approved])
    return approved


def change_finance(chunk: Chunk, who: Ints, product: Ints, *, at: Ints) -> None:
    """Servicing: another term, a plan for arrears, a holiday, a better rate, a later balloon."""
    state, products = chunk.state, chunk.products
    day = day_of(at)
    named = np.array(products.ids)[product]
    planned = who[(named == "payment-plan") | (named == "loan-re-terming")]
    state.missed[planned], state.unpaid[planned] = 0, NEVER
    paused = who[named == "payment-holiday"]
    state.holiday[paused] += 2
    _extend(chunk, paused, months=2)
    re_termed = who[named == "loan-re-terming"]
    _extend(chunk, re_termed, months=12)
    put_off = who[named == "balloon-extension"]
    _extend(chunk, put_off, months=12)
    state.final[put_off] = 0.0
    better = who[named == "loyalty-rate"]
    state.rate[better] = np.maximum(np.round(state.rate[better] - 0.8, 1), 0.9)
    _reprice(chunk, np.concatenate([re_termed, put_off, better]))
    days = np.where(products.once_per[product] == ONCE_PER.index("any"), day + 180, day + 365)
    once = np.isin(products.once_per[product], [2, 3])
    state.blocked[who, product] = np.where(once, ALWAYS, days)


def _extend(chunk: Chunk, who: Ints, *, months: int) -> None:
    state = chunk.state
    state.term[who] += months
    state.final_due[who] = later(state.final_due[who], months)
    _write(chunk, who)


def _reprice(chunk: Chunk, who: Ints) -> None:
    """A new level instalment for what is owed over what is left of the term."""
    state = chunk.state
    left = np.maximum(state.term[who] - state.payments[who], 1)
    instalment = level_instalment(state.balance[who], state.rate[who], left, state.final[who])
    state.instalment[who], state.level[who] = instalment, True
    _write(chunk, who)


def _write(chunk: Chunk, who: Ints) -> None:
    state, contracts = chunk.state, chunk.contracts
    number = state.finance[who]
    contracts.whole("ends")[number] = state.final_due[who]
    contracts.whole("term")[number] = state.term[who]
    contracts.real("rate")[number] = state.rate[who]
    contracts.real("instalment")[number] = state.instalment[who]
    contracts.real("final")[number] = state.final[who]
    contracts.whole("served")[number] = 1


def pay(state: State, who: Ints) -> None:
    """One instalment of each: what is owed after it."""
    falling = ~state.level[who]
    interest = state.balance[who] * state.rate[who] / 1200
    paid = np.where(falling, state.amount[who] / state.term[who] + interest, state.instalment[who])
    state.balance[who] = after_payment(state.balance[who], state.rate[who], paid)
