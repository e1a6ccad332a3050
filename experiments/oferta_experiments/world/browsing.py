"""What customers do by themselves: look for a car, take things unasked, look around."""

from typing import Final

import numpy as np

from oferta_experiments.world.arrays import Flags, Ints, Reals, Tastes
from oferta_experiments.world.cars import age_years
from oferta_experiments.world.credit import sell_car
from oferta_experiments.world.moments import Moments
from oferta_experiments.world.people import CHANNELS
from oferta_experiments.world.products import CLOCKS
from oferta_experiments.world.response import chance, unasked_logit
from oferta_experiments.world.sales import Chunk, car_credit, day_of
from oferta_experiments.world.sell import enter_market, sell
from oferta_experiments.world.state import NEVER, NONE
from oferta_experiments.world.times import DAY_S, LAST_DAY, first_day, months_of

_APP, _WEB, _DEALER = (CHANNELS.index(name) for name in ("app", "web", "dealer"))
_LOOKS: Final = -5.4
_LOOKS_CARLESS: Final = 2.8
_LOOKS_FREED: Final = 2.0
_LOOKS_BY_YEAR: Final = 0.22  # of the car's age beyond five years
_BUYS: Final = 0.34
_LOST: Final = 0.1
_VIEWS: Final = 0.9
_CURIOSITY: Final = 0.55
_SERVICED: Final = 0.09
_VALUED: Final = 0.3  # of the cars that are serviced
_BY_APP: Final = 0.5
_AT_THE_TARGET: Final = 0.65
_LOOKED_BEFORE: Final = 0.6
_ASKED_BEFORE: Final = 0.5


def begin_looking(chunk: Chunk, at: Moments, *, month: int, active: Flags) -> None:
    """Some customers begin to look for a car: most at the end of their finance."""
    state = chunk.state
    start = int(first_day(month))
    logit = np.full(len(state.car), _LOOKS)
    logit += np.maximum(at.boost[:, CLOCKS.index("maturity")], 0)
    logit += np.maximum(at.boost[:, CLOCKS.index("equity_positive")], 0) * 0.5
    logit += np.where(state.has_car(), 0, _LOOKS_CARLESS)
    logit += np.where(start - state.freed <= 120, _LOOKS_FREED, 0)  # noqa: PLR2004 - days
    old = np.maximum(age_years(state.registered, start) - 5, 0) * state.has_car()
    logit += _LOOKS_BY_YEAR * np.minimum(old, 8)
    begins = (
        active
        & (state.market < start)
        & (chunk.luck.share("begins to look", np.arange(len(logit))) < chance(logit))
    )
    who = np.flatnonzero(begins)
    enter_market(chunk, who, day=start + chunk.luck.whole("looks from", who, 0, 14))


def look_for_cars(chunk: Chunk, *, month: int, active: Flags) -> None:
    """A month of those who look: searches, calculators, quotes, visits; some buy, some are lost."""
    state, luck = chunk.state, chunk.luck
    start = int(first_day(month))
    who = np.flatnonzero(active & (state.market >= start) & (state.since <= start + 22))
    # A purchase waits for the end of a contract that runs out this month.
    last = np.maximum(state.freed[who], np.maximum(state.opened[who], state.bought[who]) + 1)
    earliest = np.maximum(np.maximum(state.since[who], last) - start, 0)
    day = np.minimum(np.maximum(luck.whole("buys on", who, 4, 27), earliest), LAST_DAY - 1)
    at = (start + day) * DAY_S + luck.whole("buys at", who, 9 * 3600, 19 * 3600)
    _journey(chunk, who, start=start, until=at)
    draw = luck.share("buys", who)
    buys = (draw < _BUYS) & (last < start + LAST_DAY)
    lost = draw > 1 - _LOST
    state.market[who[lost]] = NEVER
    who, at = who[buys], at[buys]
    car, plan = state.target[who], state.plan[who]
    sell_car(chunk, who, car, product=plan, at=at, channel=_DEALER)


def _journey(chunk: Chunk, who: Ints, *, start: int, until: Ints) -> None:
    state, people, products = chunk.state, chunk.people, chunk.products
    rng = chunk.luck.stream("journey")
    add = chunk.events.add
    target, plan = state.target[who], state.plan[who]
    digital = np.where(rng.random(len(who)) < _BY_APP, _APP, _WEB)

    def drawn(mean: float) -> tuple[Ints, Ints]:
        rows = np.repeat(np.arange(len(who)), rng.poisson(mean * people.activity[who] ** 0.5))
        begin = np.maximum(np.maximum(start, state.since[who]) * DAY_S, 0)
        span = np.maximum(until - DAY_S - begin, 3600)
        return rows, begin[rows] + np.round(rng.random(len(rows)) * span[rows]).astype(np.int64)

    rows, at = drawn(2.5)
    cars = np.flatnonzero(products.of_family("car"))
    # Every other look is at another car.
    other = cars[rng.integers(0, len(cars), len(rows))]
    seen = np.where(rng.random(len(rows)) < _AT_THE_TARGET, target[rows], other)
    add("view", who[rows], seen, at=at, channel=digital[rows])
    used = products.condition[target] == 2  # noqa: PLR2004 - position of `used`
    price = products.price[target]
    month = months_of(np.full(len(who), start))
    terms = car_credit(chunk, who, np.maximum(plan, 0), price=price, used=used, month=month)
    wish = {
        "wished_amount": np.round(terms.amount * rng.uniform(0.92, 1.05, len(who)) / 100) * 100,
        "wished_months": terms.months.astype(np.float64),
        "wished_deposit": np.round(price * people.deposit[who] / 100) * 100,
        "wished_instalment": np.round(terms.instalment * rng.uniform(0.85, 1.02, len(who)) / 5) * 5,
    }

    def wished(rows: Ints, *names: str) -> dict[str, Reals]:
        return {name: wish[name][rows] for name in names}

    rows, at = drawn(0.9)
    add(
        "search",
        who[rows],
        target[rows],
        at=at,
        channel=digital[rows],
        wished=wished(rows, "wished_amount"),
        model=target[rows],
    )
    for event, mean in (("calculator", 1.3), ("quote", 0.6)):
        rows, at = drawn(mean)
        rows, at = rows[plan[rows] != NONE], at[plan[rows] != NONE]
        add(
            event,
            who[rows],
            plan[rows],
            at=at,
            channel=digital[rows] if event == "calculator" else _DEALER,
            value=wish["wished_amount"][rows],
            wished=wished(rows, *wish),
            model=target[rows],
        )
    rows, at = drawn(0.55)
    add("dealer_visit", who[rows], target[rows], at=at, channel=_DEALER, model=target[rows])


def ask_unasked(chunk: Chunk, at: Moments, can: Flags, *, month: int, active: Flags) -> None:
    """Whatever customers take without having been offered it, but for the next car."""
    products, rng = chunk.products, chunk.luck.stream("unasked")
    logit = unasked_logit(products, chunk.people, at=at)
    usual = ~products.of_family("car") & (products.clock != CLOCKS.index("purchase"))
    takes = np.zeros(logit.shape, np.bool_)
    draw = rng.random((len(logit), int(usual.sum())), dtype=np.float32)
    takes[:, usual] = draw < chance(logit[:, usual])
    who, product = np.nonzero(takes & can & active[:, None])
    moment = _moment(chunk, who, month, first=6)
    sold = sell(chunk, who, product, at=moment, event="purchase")
    who, product, moment = who[sold], product[sold], moment[sold]
    looked = rng.random(len(who)) < _LOOKED_BEFORE
    before = moment - rng.integers(3600, 12 * DAY_S, len(who))
    chunk.events.add("view", who[looked], product[looked], at=before[looked], channel=_APP)
    insured = products.of_family("insurance")[product] & (rng.random(len(who)) < _ASKED_BEFORE)
    asked = before + rng.integers(0, 3600, len(who))
    chunk.events.add("quote", who[insured], product[insured], at=asked[insured], channel=_WEB)
    _look_around(chunk, logit, can, month=month, active=active)


def _moment(chunk: Chunk, who: Ints, month: int, *, first: int) -> Ints:
    """A moment of the month for each row, not before their finance of this month ended."""
    start = int(first_day(month))
    day = start + chunk.luck.whole("day", who, first, LAST_DAY - 1)
    day = np.maximum(day, np.minimum(chunk.state.freed[who], start + LAST_DAY - 1))
    return np.asarray(day * DAY_S + chunk.luck.whole("hour", who, 7 * 3600, 22 * 3600))


def _look_around(chunk: Chunk, logit: Tastes, can: Flags, *, month: int, active: Flags) -> None:
    """Views without an end in mind: what one might like, more than what one can have."""
    rng = chunk.luck.stream("looks around")
    count = rng.poisson(_VIEWS * chunk.people.activity) * active
    who = np.repeat(np.arange(len(count)), count)
    likes = np.cumsum(np.exp(_CURIOSITY * logit) * np.where(can, 1.0, 0.15), axis=1)
    draw = rng.random(len(who)) * likes[who, -1]
    product = (likes[who] < draw[:, None]).sum(axis=1)
    start = int(first_day(month)) * DAY_S
    at = start + rng.integers(0, LAST_DAY * DAY_S, len(who))
    channel = np.where(rng.random(len(who)) < _BY_APP, _APP, _WEB)
    chunk.events.add("view", who, product, at=at, channel=channel)


def visit_workshops(chunk: Chunk, *, month: int, active: Flags) -> None:
    """Services of cars: the odometer is read, and now and then the car is valued."""
    state, products, luck = chunk.state, chunk.products, chunk.luck
    everybody = np.arange(len(active))
    who = np.flatnonzero(active & state.has_car() & (luck.share("serviced", everybody) < _SERVICED))
    at = _moment(chunk, who, month, first=0)
    plans = products.clock == CLOCKS.index("service_plan_end")
    electric = products.fuel[state.car[who]] == 4  # noqa: PLR2004 - position of `electric`
    standard = int(np.flatnonzero(plans & (products.fuel == 0))[0])
    special = int(np.flatnonzero(plans & (products.fuel > 0))[0])
    product = np.where(electric, special, standard)
    # A car that came later this month is not serviced before.
    here = day_of(at) >= state.bought[who]
    who, product, at = who[here], product[here], at[here]
    chunk.events.add("service_visit", who, product, at=at, channel=_DEALER)
    state.seen[who] = day_of(at)
    valued = luck.share("valued", who) < _VALUED
    state.valued[who[valued]] = day_of(at)[valued]
