"""What a sale changes: the car, the finance, the cover; and the contracts that remain of it."""

from dataclasses import dataclass

import numpy as np

from oferta.catalogue.families import FAMILIES
from oferta_experiments.world.arrays import Flags, Ints, Reals
from oferta_experiments.world.cars import (
    PLAN_KM,
    USED_WARRANTY_MONTHS,
    WARRANTY_MONTHS,
    age_years,
    is_electric,
    worth,
)
from oferta_experiments.world.loans import first_instalment, level_instalment, reference_rate
from oferta_experiments.world.log import (
    ACTIVE,
    ENDED,
    SETTLED,
    EventLog,
    Ledger,
    close,
    contract_ledger,
    vehicle_ledger,
)
from oferta_experiments.world.luck import Luck
from oferta_experiments.world.people import People
from oferta_experiments.world.products import CLOCKS, CONDITIONS, ONCE_PER, Products
from oferta_experiments.world.response import usual_price
from oferta_experiments.world.state import ALWAYS, NEVER, NONE, State
from oferta_experiments.world.times import DAY_S, later

FINAL_SHARE = {"balloon": 0.35, "residual_value": 0.45, "lease": 0.5}
"""Of the car's price: what is due at the end."""


@dataclass(slots=True)
class Chunk:
    """Some customers, where they stand, and what happened to them so far."""

    products: Products
    people: People
    state: State
    luck: Luck
    events: EventLog
    contracts: Ledger
    vehicles: Ledger

    @classmethod
    def begin(cls, products: Products, people: People, luck: Luck) -> "Chunk":
        """A chunk in which nothing has happened."""
        state = State.blank(len(people), len(products))
        return cls(products, people, state, luck, EventLog(), contract_ledger(), vehicle_ledger())


@dataclass(frozen=True, slots=True)
class Credit:
    """Terms of credit, `(rows,)` each."""

    amount: Reals
    months: Ints
    rate: Reals
    instalment: Reals
    final: Reals

    def only(self, rows: Flags) -> "Credit":
        """Of some rows."""
        return Credit(
            self.amount[rows],
            self.months[rows],
            self.rate[rows],
            self.instalment[rows],
            self.final[rows],
        )


def car_credit(
    chunk: Chunk, who: Ints, product: Ints, *, price: Reals, used: Flags, month: Ints
) -> Credit:
    """The terms that a customer would get for a car of `price`, by wish and tier."""
    products, people = chunk.products, chunk.people
    lease = products.of_family("lease")[product]
    own_term = products.of_kind("lease", "balloon", "residual_value", "promotional")[product]
    amount = np.where(lease, price, np.round(price * (1 - people.deposit[who]) / 100) * 100)
    months = np.where(own_term, products.months[product], people.months[who])
    share = np.zeros(len(who))
    for kind, part in FINAL_SHARE.items():
        share = np.where(products.of_kind(kind)[product], part, share)
    # The longer the term, the less is left at its end.
    final = np.minimum(np.round(price * share * (36 / months) ** 0.3), amount * 0.8)
    rate = reference_rate(
        people.tier[who], month, used=used, promotional=products.of_kind("promotional")[product]
    )
    return priced(chunk.products, product, amount=amount, months=months, rate=rate, final=final)


def priced(
    products: Products, product: Ints, *, amount: Reals, months: Ints, rate: Reals, final: Reals
) -> Credit:
    """The instalment that belongs to these terms."""
    falling = products.of_kind("equal_principal")[product]
    level = level_instalment(amount, rate, months, final)
    instalment = np.where(falling, first_instalment(amount, rate, months), level)
    return Credit(amount, months.astype(np.int64), rate, instalment, final)


def open_finance(chunk: Chunk, who: Ints, product: Ints, *, day: Ints, credit: Credit) -> None:
    """Begin contracts on the customers' cars; what was owed on them before is settled."""
    state = chunk.state
    owing = state.finance[who] != NONE
    end_finance(chunk, who[owing], day=day[owing], status=SETTLED)
    ends = later(day, credit.months)
    state.finance[who] = chunk.contracts.open(
        who=who,
        product=product,
        vehicle=state.vehicle[who],
        starts=day,
        ends=ends,
        amount=credit.amount,
        rate=credit.rate,
        term=credit.months,
        instalment=credit.instalment,
        final=credit.final,
        status=ACTIVE,
    )
    state.product[who], state.amount[who], state.rate[who] = product, credit.amount, credit.rate
    state.term[who], state.instalment[who] = credit.months, credit.instalment
    state.final[who], state.balance[who] = credit.final, credit.amount
    state.payments[who], state.missed[who], state.holiday[who] = 0, 0, 0
    state.unpaid[who], state.opened[who], state.final_due[who] = NEVER, day, ends
    state.level[who] = ~chunk.products.of_kind("equal_principal")[product]
    state.had_finance[who] += 1
    once = chunk.products.once_per[product] == ONCE_PER.index("customer")
    state.blocked[who[once], product[once]] = ALWAYS


def end_finance(chunk: Chunk, who: Ints, *, day: Ints, status: int) -> None:
    """End the customers' finance: run out, settled early or written off."""
    state = chunk.state
    close(chunk.contracts, state.finance[who], day=day, status=status)
    state.finance[who], state.product[who] = NONE, NONE
    state.balance[who], state.missed[who], state.holiday[who] = 0.0, 0, 0
    state.unpaid[who], state.freed[who] = NEVER, day


def buy_car(chunk: Chunk, who: Ints, car: Ints, *, day: Ints, price: Reals) -> None:
    """A car for each customer, in place of the one they had."""
    state, people, products, luck = chunk.state, chunk.people, chunk.products, chunk.luck
    had = state.vehicle[who] != NONE
    part_with_car(chunk, who[had], day=day[had])
    used = products.condition[car] == CONDITIONS.index("used")
    age = np.where(used, luck.whole("age of car", who, 24, 73), 0)
    registered = np.where(used, later(day, -age), day)
    km_year = people.km_year[who]
    driven = 14_500 * age / 12 * luck.factor("odometer", who, 0.2)
    start_km = np.asarray(np.round(np.where(used, driven, 10.0)), np.float64)
    state.vehicle[who] = chunk.vehicles.open(
        who=who, car=car, registered=registered, price=price, bought=day, gone=ALWAYS
    )
    state.car[who], state.car_value[who] = car, price
    years = age_years(registered, day)
    state.car_share[who] = worth(years, start_km, is_electric(products, car))
    state.car_luck[who] = np.round(luck.factor("worth", who, 0.04), 4)
    state.registered[who], state.bought[who] = registered, day
    state.start_km[who], state.km_year[who] = start_km, km_year
    plans = np.searchsorted(PLAN_KM, km_year * (0.8 + 0.35 * luck.share("plan", who)))
    state.plan_km[who] = PLAN_KM[np.minimum(plans, len(PLAN_KM) - 1)]
    state.warranty[who] = later(day, np.where(used, USED_WARRANTY_MONTHS, WARRANTY_MONTHS))
    state.valued[who], state.seen[who] = NEVER, day
    state.market[who], state.target[who], state.plan[who] = NEVER, NONE, NONE
    uninsured = state.motor_end(products)[who] == NEVER
    state.elsewhere[who] = np.where(uninsured, day + 365, NEVER)


def part_with_car(chunk: Chunk, who: Ints, *, day: Ints) -> None:
    """The car is sold, traded in or handed back; its finance and its own covers end."""
    state, products = chunk.state, chunk.products
    financed = state.finance[who] != NONE
    end_finance(chunk, who[financed], day=day[financed], status=SETTLED)
    chunk.vehicles.whole("gone")[state.vehicle[who]] = day
    of_car = products.once_per == ONCE_PER.index("vehicle")
    rows, columns = np.nonzero((state.contract[who] != NONE) & of_car)
    close(chunk.contracts, state.contract[who[rows], columns], day=day[rows], status=ENDED)
    for place in np.flatnonzero(of_car):
        state.until[who, place], state.contract[who, place] = NEVER, NONE
        state.blocked[who, place] = NEVER
    state.vehicle[who], state.car[who] = NONE, NONE
    state.warranty[who] = NEVER


def take_cover(chunk: Chunk, who: Ints, product: Ints, *, day: Ints, price: Reals) -> None:
    """Insurance or service from `day` on; motor insurance takes the place of what there was."""
    state, products = chunk.state, chunk.products
    motor = products.motor[product]
    if motor.any():
        mine, columns = who[motor], np.flatnonzero(products.motor)
        rows, found = np.nonzero(state.until[np.ix_(mine, columns)] > day[motor][:, None])
        close(
            chunk.contracts,
            state.contract[mine[rows], columns[found]],
            day=day[motor][rows],
            status=ENDED,
        )
        state.until[np.ix_(mine, columns)] = NEVER
        state.elsewhere[mine] = NEVER
    months = products.months[product]
    lasting = months > 0
    ends = later(day, np.maximum(months, 1))
    once = products.once_per[product]
    again = np.where(lasting, ends - 20, NEVER)
    again = np.where(once == ONCE_PER.index("year"), np.maximum(again, day + 345), again)
    again = np.where(np.isin(once, [2, 3]), ALWAYS, again)
    state.blocked[who, product] = again
    rows = np.flatnonzero(lasting)
    who, product, day, ends, price = who[rows], product[rows], day[rows], ends[rows], price[rows]
    insured = products.family[product] == FAMILIES.index("insurance")
    value = np.maximum(state.value(products, int(day.max())) if len(day) else np.zeros(1), 0.0)
    number = chunk.contracts.open(
        who=who,
        product=product,
        vehicle=np.where(products.needs[product] > 0, state.vehicle[who], NONE),
        starts=day,
        ends=ends,
        amount=np.where(insured, value[who], price) if len(who) else price,
        rate=0.0,
        term=products.months[product],
        instalment=np.round(price / 12, 2),
        final=0.0,
        status=ACTIVE,
    )
    state.until[who, product], state.contract[who, product] = ends, number
    longer = products.clock[product] == CLOCKS.index("warranty_end")
    state.warranty[who[longer]] = np.maximum(state.warranty[who[longer]], ends[longer])


def cover_price(chunk: Chunk, who: Ints, product: Ints, *, day: int) -> Reals:
    """The usual price of a cover for the customers' cars: a year's, or once."""
    value = chunk.state.value(chunk.products, day)[who]
    return usual_price(chunk.products, product, value=value)


def day_of(seconds: Ints) -> Ints:
    """The day of each epoch second."""
    return np.asarray(seconds // DAY_S)
