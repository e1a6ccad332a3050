"""What the calendar does to contracts: instalments, arrears, last payments, renewals."""

from typing import Final

import numpy as np

from oferta_experiments.world.arrays import Flags, Ints
from oferta_experiments.world.credit import pay
from oferta_experiments.world.log import ENDED, WRITTEN_OFF, close
from oferta_experiments.world.products import ONCE_PER
from oferta_experiments.world.response import chance
from oferta_experiments.world.sales import (
    Chunk,
    cover_price,
    end_finance,
    part_with_car,
    take_cover,
)
from oferta_experiments.world.state import NEVER, NONE
from oferta_experiments.world.times import DAY_S, LAST_DAY, first_day, months_of

_MISSES: Final = 0.6  # of the yearly chance to default, each month
_CURES: Final = 0.5
_WORSENS: Final = 0.27
_WRITTEN_OFF_FROM: Final = 4
_GRACE_DAYS: Final = 10
_HANDED_BACK: Final = 0.6
_RENEWS: Final = {"insurance": 1.5, "service": -0.1}


def pay_instalments(chunk: Chunk, month: int) -> None:
    """This month's instalments, and the ends that they bring."""
    state, people, luck = chunk.state, chunk.people, chunk.luck
    financed = np.flatnonzero(state.has_finance())
    start = int(first_day(month))
    opened = state.opened[financed]
    of_month = np.minimum(opened - first_day(months_of(opened)), LAST_DAY - 1)
    due = start + of_month
    begun = due > opened
    who, due = financed[begun], due[begun]
    paused = state.holiday[who] > 0
    state.holiday[who[paused]] -= 1
    resting = who[paused]
    state.balance[resting] *= 1 + state.rate[resting] / 1200
    who, due = who[~paused], due[~paused]
    last = due >= state.final_due[who]
    draw = luck.share("pays", who)
    late = state.missed[who] > 0
    risk = people.default_risk[who]
    missed = np.where(late, draw < _WORSENS + risk, draw < _MISSES * risk) & ~last
    cured = late & ((draw > 1 - _CURES) | last)
    paying = who[~missed]
    pay(state, paying)
    # Whoever catches up pays all that was left open with this instalment.
    caught_up = who[cured]
    for _ in range(int(state.missed[caught_up].max()) if len(caught_up) else 0):
        behind = caught_up[state.missed[caught_up] > 0]
        state.balance[behind] = np.maximum(state.balance[behind] - state.instalment[behind], 0.0)
        state.missed[behind] -= 1
    state.unpaid[caught_up] = NEVER
    behind, since = who[missed], due[missed]
    state.unpaid[behind] = np.where(state.missed[behind] > 0, state.unpaid[behind], since)
    state.missed[behind] += 1
    state.balance[behind] *= 1 + state.rate[behind] / 1200
    state.payments[who] += 1
    told = (since + _GRACE_DAYS) * DAY_S + luck.whole("told of arrears", behind, 0, DAY_S)
    chunk.events.add(
        "arrears", behind, state.product[behind], at=told, value=state.instalment[behind]
    )
    _write_off(chunk, behind, since)
    _end(chunk, who[last], due[last])


def _write_off(chunk: Chunk, who: Ints, day: Ints) -> None:
    state = chunk.state
    lost = (state.missed[who] >= _WRITTEN_OFF_FROM) & (
        chunk.luck.share("written off", who) < _HANDED_BACK
    )
    who, day = who[lost], day[lost] + _GRACE_DAYS
    end_finance(chunk, who, day=day, status=WRITTEN_OFF)
    part_with_car(chunk, who, day=day)


def _end(chunk: Chunk, who: Ints, day: Ints) -> None:
    """The last payment is made, or the car goes back instead of it."""
    state, products = chunk.state, chunk.products
    kind = state.product[who]
    lease = products.of_kind("lease")[kind]
    returns = products.of_kind("residual_value")[kind]
    back = lease | (returns & (chunk.luck.share("handed back", who) < _HANDED_BACK))
    end_finance(chunk, who, day=day, status=ENDED)
    part_with_car(chunk, who[back], day=day[back])


def renew_covers(chunk: Chunk, month: int) -> None:
    """Insurance and services that run out this month: renewed, or over."""
    state, products, people = chunk.state, chunk.products, chunk.people
    start, end = int(first_day(month)), int(first_day(month + 1))
    who, product = np.nonzero((state.until >= start) & (state.until < end))
    if len(who):
        day = state.until[who, product]
        close(chunk.contracts, state.contract[who, product], day=day, status=ENDED)
        stays = _renews(chunk, who, product) & (
            state.has_car()[who] | (products.needs[product] == 0)
        )
        state.until[who, product], state.contract[who, product] = NEVER, NONE
        left = products.motor[product] & ~stays
        state.elsewhere[who[left]] = day[left] + 365
        who, product, day = who[stays], product[stays], day[stays]
        price = cover_price(chunk, who, product, day=start)
        said = day * DAY_S - chunk.luck.whole("renewal said", who, DAY_S // 2, 12 * DAY_S)
        chunk.events.add("renewal", who, product, at=said, value=price)
        for one in np.unique(product):
            mine = np.flatnonzero(product == one)
            take_cover(chunk, who[mine], product[mine], day=day[mine], price=price[mine])
    passed = np.flatnonzero((state.elsewhere != NEVER) & (state.elsewhere < start))
    state.elsewhere[passed] += 365
    del people


def _renews(chunk: Chunk, who: Ints, product: Ints) -> Flags:
    products, people = chunk.products, chunk.people
    logit = np.full(len(who), -np.inf)
    yearly = products.once_per[product] == ONCE_PER.index("year")
    for family, usual in _RENEWS.items():
        mine = products.of_family(family)[product] & yearly  # type: ignore[arg-type]
        logit[mine] = usual
    logit += 0.6 * people.preference[who, product] - 0.4 * (people.price_sensitivity[who] - 1)
    return chunk.luck.stream("renews").random((len(people), len(products)))[who, product] < chance(
        logit
    )
