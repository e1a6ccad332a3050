"""A chunk as the tables that a seller's systems would export, each with its own view of things."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from oferta.columns import INSTANT
from oferta_experiments.world.arrays import Flags, Ints, Reals
from oferta_experiments.world.cars import USES
from oferta_experiments.world.contacts import PURPOSES, Consents
from oferta_experiments.world.loans import level_balance
from oferta_experiments.world.log import ACTIVE, EVENT_TYPES, WISHED
from oferta_experiments.world.people import CHANNELS, REGIONS
from oferta_experiments.world.products import (
    BODIES,
    CONDITIONS,
    FUELS,
    MOTOR,
    Products,
    ProductSpec,
)
from oferta_experiments.world.sales import Chunk
from oferta_experiments.world.state import ALWAYS, NEVER, NONE
from oferta_experiments.world.times import DAY_S, LAST_DAY, first_day, months_of

_US: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Numbering:
    """How rows become ids: `first` is the first customer's number, `part` the chunk's."""

    part: int
    first: int

    def customers(self, who: Ints) -> pl.Series:
        """Customer ids."""
        return _ids("c", 7, who + self.first)

    def of(self, letter: str, numbers: Ints) -> pl.Series:
        """Ids of contracts (`k`), vehicles (`v`) or events (`e`)."""
        return _ids(f"{letter}{self.part:04d}-", 6, numbers)


def _ids(prefix: str, width: int, numbers: Ints) -> pl.Series:
    column = pl.Series(numbers).cast(pl.String).str.zfill(width)
    return (pl.Series([prefix]) + column).alias("id") if len(column) else column


def instants(seconds: Ints | Reals) -> pl.Series:
    """Epoch seconds as aware instants."""
    return pl.Series(np.asarray(seconds, np.int64) * _US).cast(INSTANT)


def days(day: Ints, known: Flags | None = None) -> pl.Series:
    """Days as instants of their midnight; null where not `known`."""
    series = instants(day * DAY_S)
    return series if known is None else _only(series, known)


def _only(series: pl.Series, known: Flags) -> pl.Series:
    return pl.select(pl.when(pl.Series(known)).then(series).otherwise(None)).to_series()


def named(names: tuple[str, ...] | list[str], places: Ints) -> pl.Series:
    """Names by position; null at `NONE`."""
    table = pl.Series([*names, None], dtype=pl.String)
    return table.gather(np.where(places == NONE, len(names), places))


def events(chunk: Chunk, ids: Numbering, *, end: int) -> pl.DataFrame:
    """The events before day `end`."""
    columns = chunk.events.columns()
    before = columns["at"] < end * DAY_S
    columns = {name: column[before] for name, column in columns.items()}
    count = len(columns["who"])
    products = chunk.products.ids
    return pl.DataFrame(
        {
            "event_id": ids.of("e", np.arange(count)),
            "customer_id": ids.customers(columns["who"].astype(np.int64)),
            "product_id": named(products, columns["product"].astype(np.int64)),
            "event_type": named(EVENT_TYPES, columns["type"].astype(np.int64)),
            "timestamp": instants(columns["at"]),
            "channel": named(CHANNELS, columns["channel"].astype(np.int64)),
            "value": columns["value"],
            **{name: columns[name] for name in WISHED},
            "wished_model": named(products, columns["model"].astype(np.int64)),
        }
    ).with_columns(
        pl.col("value", *(name for name in WISHED if name != "wished_months")).fill_nan(None),
        pl.col("wished_months").fill_nan(None).cast(pl.Int64),
    )


def customers(chunk: Chunk, ids: Numbering) -> pl.DataFrame:
    """Everybody who joined, whether they ever did anything or not."""
    people = chunk.people
    business = people.use == USES.index("commercial")
    return pl.DataFrame(
        {
            "customer_id": ids.customers(np.arange(len(people))),
            "region": named(REGIONS, people.region),
            "segment": np.where(business, "business", "private"),
            "customer_since": days(people.joined),
        }
    )


def consent(chunk: Chunk, ids: Numbering, consents: Consents) -> pl.DataFrame:
    """What was said when they joined, and what was taken back since."""
    who, purpose = np.nonzero(consents.asked)
    first = pl.DataFrame(
        {
            "customer_id": ids.customers(who),
            "purpose": named(PURPOSES, purpose),
            "state": np.where(consents.given[who, purpose], "in", "out"),
            "at": days(chunk.people.joined[who]),
            "source": pl.repeat("contract", len(who), eager=True),
        }
    )
    who, purpose = np.nonzero(consents.withdrawn < ALWAYS)
    later = pl.DataFrame(
        {
            "customer_id": ids.customers(who),
            "purpose": named(PURPOSES, purpose),
            "state": pl.repeat("out", len(who), eager=True),
            "at": days(consents.withdrawn[who, purpose]),
            "source": pl.repeat("app", len(who), eager=True),
        }
    )
    return pl.concat([first, later], how="vertical_relaxed").sort("customer_id", "at", "purpose")


def contracts(chunk: Chunk, ids: Numbering, *, end: int) -> pl.DataFrame:
    """Every contract that began before day `end`, as it stands on that day."""
    ledger, state, products = chunk.contracts, chunk.state, chunk.products
    number = np.arange(ledger.count)
    product = ledger.whole("product")
    active = ledger.whole("status") == ACTIVE
    car_finance = np.zeros(ledger.count, np.bool_)
    held = state.finance[state.has_finance()]
    car_finance[held] = True
    credit = products.of_family("loan", "lease")[product]
    payoff = np.full(ledger.count, np.nan)
    payoff[held] = state.balance[state.has_finance()]
    beside = np.flatnonzero(active & credit & ~car_finance)
    paid = months_of(np.full(len(beside), end)) - months_of(ledger.whole("starts")[beside]) - 1
    payoff[beside] = level_balance(
        ledger.real("amount")[beside],
        ledger.real("rate")[beside],
        ledger.real("instalment")[beside],
        np.maximum(paid, 0),
    )
    late = np.zeros(ledger.count, np.int64)
    behind = state.has_finance() & (state.missed > 0)
    late[state.finance[behind]] = end - state.unpaid[behind]
    status = named(["active", "ended", "settled", "ended"], ledger.whole("status"))
    there = (
        chunk.vehicles.whole("gone") == ALWAYS if chunk.vehicles.count else np.zeros(1, np.bool_)
    )
    vehicle = ledger.whole("vehicle")
    kept = (vehicle != NONE) & there[np.maximum(vehicle, 0)]
    has_final = ledger.real("final") > 0
    due = active & credit
    of_month = np.minimum(
        ledger.whole("starts") - first_day(months_of(ledger.whole("starts"))), LAST_DAY - 1
    )
    month = months_of(np.full(ledger.count, end))
    return pl.DataFrame(
        {
            "contract_id": ids.of("k", number),
            "customer_id": ids.customers(ledger.whole("who")),
            "product_id": named(products.ids, product),
            "vehicle_id": _only(ids.of("v", np.maximum(vehicle, 0)), kept),
            "starts_at": days(ledger.whole("starts")),
            "ends_at": days(ledger.whole("ends")),
            "amount": np.round(ledger.real("amount"), 2),
            "rate": _only(pl.Series(ledger.real("rate")), credit),
            "term_months": ledger.whole("term"),
            "instalment": ledger.real("instalment"),
            "repayment": named([spec.kind for spec in products.specs], product),
            "final_amount": _only(pl.Series(ledger.real("final")), has_final),
            "final_due": days(ledger.whole("ends"), has_final),
            "payoff": np.round(payoff, 2),
            "as_of": days(np.full(ledger.count, end), due),
            "status": pl.select(
                pl.when(pl.Series(late > 0)).then(pl.lit("arrears")).otherwise(status)
            ).to_series(),
            "next_due": days(first_day(month) + of_month, due),
            "days_in_arrears": _only(pl.Series(late), due),
        }
    ).with_columns(pl.col("payoff").fill_nan(None))


def vehicles(chunk: Chunk, ids: Numbering, *, end: int) -> pl.DataFrame:
    """The cars that customers have on day `end`."""
    state, products, people = chunk.state, chunk.products, chunk.people
    who = np.flatnonzero(state.has_car())
    mine = state.taken(who)
    spec = products.specs
    valued = mine.valued > NEVER
    at = np.where(valued, np.minimum(mine.valued, end), end)
    seen = np.minimum(np.maximum(mine.seen, mine.bought), end)
    planned = products.of_kind("lease", "residual_value", "balloon")[mine.product]
    planned &= mine.finance != NONE
    car = mine.car
    return pl.DataFrame(
        {
            "vehicle_id": ids.of("v", mine.vehicle),
            "customer_id": ids.customers(who),
            "make": named([one.make or "" for one in spec], car),
            "model": named([one.name.en for one in spec], car),
            "body": named(BODIES, products.body[car]),
            "fuel": named(FUELS, products.fuel[car]),
            "condition": named(CONDITIONS, products.condition[car]),
            "use": named(USES, people.use[who]),
            "registered_at": days(mine.registered),
            "price": mine.car_value,
            "mileage_km": mine.km(seen),
            "mileage_at": days(seen),
            "mileage_plan_km_year": _only(pl.Series(mine.plan_km), planned),
            "market_value": _only(pl.Series(mine.value(products, at)), valued),
            "valued_at": days(at, valued),
        }
    )


def products(catalogue: Products) -> pl.DataFrame:
    """What is sold."""
    return pl.DataFrame(
        {
            "product_id": catalogue.ids,
            "name": [spec.name.en for spec in catalogue.specs],
            "name_zh": [spec.name.zh for spec in catalogue.specs],
            "category": [spec.family for spec in catalogue.specs],
            "family": [spec.family for spec in catalogue.specs],
            "kind": [spec.kind for spec in catalogue.specs],
            "price_minor": [round(spec.price * 100) for spec in catalogue.specs],
            "status": ["active"] * len(catalogue),
            "repeatable": [spec.repeatable for spec in catalogue.specs],
            "make": [spec.make for spec in catalogue.specs],
            "body": [spec.body for spec in catalogue.specs],
            "fuel": [spec.fuel for spec in catalogue.specs],
            "condition": [spec.condition for spec in catalogue.specs],
            "role": [_role(spec) for spec in catalogue.specs],
        },
        schema_overrides=dict.fromkeys(("make", "body", "fuel", "condition", "role"), pl.String),
    )


def _role(spec: ProductSpec) -> str | None:
    """What its contracts are to a customer's clock, as profiles have it."""
    if spec.id in MOTOR:
        return "motor_insurance"
    ends = {"warranty_end": "warranty", "service_plan_end": "service_plan"}
    return ends.get(spec.sim.clock) if spec.family == "service" else None
