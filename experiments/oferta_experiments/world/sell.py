"""One door for every sale, whatever is sold and however it came about."""

from dataclasses import dataclass

import numpy as np

from oferta.catalogue.families import FAMILIES
from oferta_experiments.world.answers import Shown
from oferta_experiments.world.arrays import Flags, Ints
from oferta_experiments.world.credit import (
    car_for,
    change_finance,
    choose_car,
    choose_finance,
    for_cars,
    sell_car,
    sell_refinance,
    sell_small_loan,
)
from oferta_experiments.world.moments import SMALL_LOAN
from oferta_experiments.world.products import ONCE_PER
from oferta_experiments.world.sales import (
    Chunk,
    cover_price,
    day_of,
    part_with_car,
    take_cover,
)
from oferta_experiments.world.state import ALWAYS, NONE
from oferta_experiments.world.times import DAY_S, months_of

_LOOKS_FOR_DAYS = 60


def sell(
    chunk: Chunk,
    who: Ints,
    product: Ints,
    *,
    at: Ints,
    channel: Ints | int = NONE,
    event: str,
    shown: Shown | None = None,
) -> Flags:
    """Sell `product` to each customer at epoch second `at`; `(rows,)` whether it came about.

    A customer may come more than once for insurance and services; what changes their car or their
    finance happens to the first of their rows only. `event` is the type of a sale that needs no
    approval. `shown`: the terms of credit that were offered; None: the usual ones.
    """
    products = chunk.products
    family = products.family[product]
    light = np.isin(family, [FAMILIES.index("insurance"), FAMILIES.index("service")])
    light &= ~products.motor[product]
    at, in_time = _after_the_last(chunk, who, at, heavy=~light)
    done = light | (_first(who, among=~light) & in_time)
    car = products.of_family("car")[product] & done
    buys = for_cars(products)[product] & done
    small = (products.price[product] <= SMALL_LOAN) & products.of_family("loan")[product] & done
    again = products.of_family("loan", "lease")[product] & done & ~buys & ~small
    order = _Order(who, product, at, channel, shown)
    for rows, run in ((car, _car), (buys, _with_credit), (small, _small), (again, _again)):
        mine = np.flatnonzero(rows)
        if len(mine):
            done[mine] = run(chunk, order.only(mine))
    rest = np.flatnonzero(done & ~car & ~buys & ~small & ~again)
    _others(chunk, who[rest], product[rest], at=at[rest], channel=channel, rows=rest, event=event)
    return done


def _after_the_last(chunk: Chunk, who: Ints, at: Ints, *, heavy: Flags) -> tuple[Ints, Flags]:
    """Moments after whatever changed car and finance last; whether they are in the same month."""
    state = chunk.state
    last = np.maximum(state.opened, np.maximum(state.bought, state.freed))[who]
    moved = np.where(heavy, np.maximum(at, (last + 1) * DAY_S + at % DAY_S), at)
    return moved, np.asarray(months_of(day_of(moved)) == months_of(day_of(at)))


def _first(who: Ints, *, among: Flags) -> Flags:
    first = np.zeros(len(who), np.bool_)
    rows = np.flatnonzero(among)
    _, at = np.unique(who[rows], return_index=True)
    first[rows[at]] = True
    return first


@dataclass(frozen=True, slots=True)
class _Order:
    """What is sold to whom, when, by which channel, at which terms."""

    who: Ints
    product: Ints
    at: Ints
    channel: Ints | int
    shown: Shown | None

    def only(self, rows: Ints) -> "_Order":
        return _Order(
            self.who[rows],
            self.product[rows],
            self.at[rows],
            self.channel if isinstance(self.channel, int) else self.channel[rows],
            None if self.shown is None else self.shown.only(rows),
        )


def _car(chunk: Chunk, order: _Order) -> Flags:
    who, car = order.who, order.product
    # The terms shown are of the car; how it is paid for is the customer's own choice.
    product = choose_finance(chunk, who, car)
    return sell_car(chunk, who, car, product=product, at=order.at, channel=order.channel)


def _with_credit(chunk: Chunk, order: _Order) -> Flags:
    return sell_car(
        chunk,
        order.who,
        car_for(chunk, order.who, order.product),
        product=order.product,
        at=order.at,
        channel=order.channel,
        shown=order.shown,
    )


def _small(chunk: Chunk, order: _Order) -> Flags:
    return sell_small_loan(
        chunk, order.who, order.product, at=order.at, channel=order.channel, shown=order.shown
    )


def _again(chunk: Chunk, order: _Order) -> Flags:
    return sell_refinance(
        chunk, order.who, order.product, at=order.at, channel=order.channel, shown=order.shown
    )


def _others(
    chunk: Chunk,
    who: Ints,
    product: Ints,
    *,
    at: Ints,
    channel: Ints | int,
    rows: Ints,
    event: str,
) -> None:
    products, state = chunk.products, chunk.state
    if not len(who):
        return
    by = channel if isinstance(channel, int) else channel[rows]
    day = day_of(at)
    price = cover_price(chunk, who, product, day=int(day.min()))
    chunk.events.add(event, who, product, at=at, channel=by, value=price)
    covers = products.of_family("insurance", "service")[product]
    # One product at a time: two of a customer must not change the same row at once.
    for one in np.unique(product[covers]):
        mine = np.flatnonzero(product == one)
        take_cover(chunk, who[mine], product[mine], day=day[mine], price=price[mine])
    serviced = products.of_family("servicing")[product]
    change_finance(chunk, who[serviced], product[serviced], at=at[serviced])
    named = np.array(products.ids)[product]
    state.valued[who[named == "car-valuation"]] = day[named == "car-valuation"]
    trade = products.of_family("trade_in")[product]
    yearly = products.once_per[product] == ONCE_PER.index("year")
    pause = np.where(yearly, 345, 180)
    state.blocked[who[trade], product[trade]] = (day + pause)[trade]
    sells = named == "car-buyback"
    part_with_car(chunk, who[sells], day=day[sells])
    looks = np.isin(named, ["trade-in-bonus", "trade-in-electric-bonus", "next-car-reservation"])
    enter_market(chunk, who[looks], day=day[looks])


def enter_market(chunk: Chunk, who: Ints, *, day: Ints) -> None:
    """These customers begin to look for a car, or go on for longer."""
    state = chunk.state
    state.since[who] = np.where(state.market[who] >= day, state.since[who], day)
    lasts = chunk.luck.whole("looks for", who, _LOOKS_FOR_DAYS // 2, 2 * _LOOKS_FOR_DAYS)
    state.market[who] = np.minimum(day + lasts, ALWAYS)
    state.target[who] = choose_car(chunk, who)
    state.plan[who] = choose_finance(chunk, who, state.target[who])
