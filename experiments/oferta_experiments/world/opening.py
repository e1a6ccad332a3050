"""How the world stands on its first day: cars bought before, contracts under way, covers held."""

from typing import Final

import numpy as np

from oferta_experiments.world.arrays import Flags, Ints
from oferta_experiments.world.credit import choose_car, choose_finance, sell_car
from oferta_experiments.world.loans import level_balance, principal_balance
from oferta_experiments.world.log import ENDED
from oferta_experiments.world.moments import moments, possible
from oferta_experiments.world.response import chance
from oferta_experiments.world.sales import (
    Chunk,
    cover_price,
    end_finance,
    part_with_car,
    take_cover,
)
from oferta_experiments.world.sell import enter_market
from oferta_experiments.world.state import NEVER, NONE
from oferta_experiments.world.times import DAY_S, LAST_DAY, first_day, later, months_of

_HAS_CAR: Final = 0.88
_LONGEST: Final = 62  # months since the car was bought
_ELSEWHERE: Final = 0.12
_INSURED: Final = 0.75
_VALUED: Final = 0.1
_OWNERS: Final = 0.35
_SEEKERS: Final = 0.4
_JOINED_BY_BUYING: Final = 0.7
_COVER: Final = -3.0


def open_world(chunk: Chunk, start: int) -> None:
    """The state of customers who joined before month `start`, and the events that led to it."""
    people, state, rng = chunk.people, chunk.state, chunk.luck.stream("opening")
    today = int(first_day(start))
    who = np.flatnonzero((people.joined < today) & (rng.random(len(people)) < _HAS_CAR))
    month = start - rng.integers(1, _LONGEST, len(who))
    day = first_day(month) + rng.integers(0, LAST_DAY, len(who))
    # Most became customers by buying a car.
    joined = np.minimum(later(people.joined[who], 0), today - 1)
    by_buying = (rng.random(len(who)) < _JOINED_BY_BUYING) & (joined > today - 30 * _LONGEST)
    day = np.where(by_buying, joined, day)
    # Whoever bought before joining bought elsewhere, for cash as far as we know.
    here = (day >= people.joined[who]) & (rng.random(len(who)) >= _ELSEWHERE)
    at = day * DAY_S + rng.integers(9 * 3600, 19 * 3600, len(who))
    car = choose_car(chunk, who)
    plan = np.where(here, choose_finance(chunk, who, car), NONE)
    sell_car(chunk, who, car, product=plan, at=at, told=here)
    _bring_forward(chunk, today)
    state.valued[rng.random(len(people)) < _VALUED] = today - 90
    _hold_covers(chunk, today)


def _bring_forward(chunk: Chunk, today: int) -> None:
    """What would have been paid by now; contracts that ran out before have ended."""
    state, products = chunk.state, chunk.products
    over = np.flatnonzero(state.has_finance() & (state.final_due < today))
    returned = products.of_kind("lease")[state.product[over]]
    day = state.final_due[over].copy()
    end_finance(chunk, over, day=day, status=ENDED)
    part_with_car(chunk, over[returned], day=day[returned])
    who = np.flatnonzero(state.has_finance())
    # One due date a month, the first of them in the month after it began; today's are to come.
    paid = months_of(np.full(len(who), today)) - months_of(state.opened[who]) - 1
    paid = np.maximum(paid, 0)
    state.payments[who] = paid
    falling = ~state.level[who]
    amount, term = state.amount[who], state.term[who]
    level = level_balance(amount, state.rate[who], state.instalment[who], paid)
    state.balance[who] = np.where(falling, principal_balance(amount, term, paid), level)


def _hold_covers(chunk: Chunk, today: int) -> None:
    """Insurance and services taken before the first day, still lasting."""
    state, products, people = chunk.state, chunk.products, chunk.people
    rng = chunk.luck.stream("covers")
    can = possible(state, products, moments(state, products, today), today)
    lasting = products.of_family("insurance", "service") & (products.months > 0)
    motor = np.flatnonzero(products.motor)
    insured = np.flatnonzero(state.has_car() & (rng.random(len(people)) < _INSURED))
    insured = insured[can[np.ix_(insured, motor)].any(axis=1)]
    liking = people.preference[np.ix_(insured, motor)] + 0.8 * np.log(products.weight[motor])
    liking = np.where(can[np.ix_(insured, motor)], liking, -np.inf)
    chosen = motor[chunk.luck.best("motor", insured, liking)]
    _hold(chunk, insured, chosen, today)
    logit = _COVER + 0.8 * np.log(products.weight) + people.preference
    holds = (rng.random(logit.shape) < chance(logit)) & can & lasting & ~products.motor
    holds &= (people.joined < today)[:, None]
    for product in np.flatnonzero(holds.any(axis=0)):
        who = np.flatnonzero(holds[:, product])
        _hold(chunk, who, np.full(len(who), product), today)
    free = state.has_car() & (state.motor_end(products) == NEVER)
    state.elsewhere[free] = today + rng.integers(0, 365, int(free.sum()))


def _hold(chunk: Chunk, who: Ints, product: Ints, today: int) -> None:
    """Covers that began within their term before today, not before the car nor the customer."""
    if not len(who):
        return
    state, products, people, luck = chunk.state, chunk.products, chunk.people, chunk.luck
    ago = np.floor(luck.share(f"ago {product[0]}", who) * products.months[product]).astype(np.int64)
    month = months_of(np.full(len(who), today)) - ago
    day = first_day(month) - luck.whole(f"day {product[0]}", who, 1, LAST_DAY)
    day = np.maximum(day, np.maximum(people.joined[who], state.bought[who]))
    day = np.minimum(day, today - 1)
    day = first_day(months_of(day)) + np.minimum(day - first_day(months_of(day)), LAST_DAY - 1)
    ends = later(day, products.months[product])
    kept = ends >= today
    who, product, day = who[kept], product[kept], day[kept]
    price = cover_price(chunk, who, product, day=today)
    chunk.events.add("purchase", who, product, at=day * DAY_S + 36_000, value=price)
    take_cover(chunk, who, product, day=day, price=price)


def latecomers(chunk: Chunk, *, among: Flags) -> None:
    """Customers who joined this month: most look for a car, some have one from elsewhere."""
    state, people, luck = chunk.state, chunk.people, chunk.luck
    who = np.flatnonzero(among)
    draw = luck.share("comes with", who)
    owners = who[draw < _OWNERS]
    if len(owners):
        day = later(people.joined[owners], -luck.whole("owned for", owners, 6, _LONGEST))
        sell_car(
            chunk,
            owners,
            choose_car(chunk, owners),
            product=np.full(len(owners), NONE),
            at=day * DAY_S,
            told=np.zeros(len(owners), np.bool_),
        )
        state.elsewhere[owners] = people.joined[owners] + luck.whole(
            "insured until", owners, 0, 365
        )
    seekers = who[draw > _SEEKERS]
    enter_market(chunk, seekers, day=people.joined[seekers])
