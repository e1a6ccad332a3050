"""What a row of each table must satisfy by itself; the first reason that holds is its reason."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final

import polars as pl

from oferta.catalogue.products import STATUSES
from oferta.columns import (
    ATTRIBUTES,
    CONSENT,
    CONTRACTS,
    CUSTOMERS,
    EVENTS,
    PRODUCTS,
    VEHICLES,
)
from oferta.events.parse import Fault
from oferta.events.types import EventType
from oferta.ids import ID_PATTERN, MAX_ID_CHARS

MAX_CELL_BYTES: Final = 65_536
FUTURE_TOLERANCE: Final = timedelta(minutes=5)
EARLIEST: Final = datetime(1971, 1, 1, tzinfo=UTC)
"""Seconds read as milliseconds land in January 1970."""
LATEST: Final = datetime(2201, 1, 1, tzinfo=UTC)
EARLIEST_CAR: Final = datetime(1886, 1, 1, tzinfo=UTC)
"""The patent of the first one: classic cars are older than computers' clocks."""
CONSENT_STATES: Final = ("in", "out")
MAX_RATE: Final = 100.0
MAX_TERM: Final = 600

_ID_FORM: Final = f"^(?:{ID_PATTERN})$"


def id_faults(column: str) -> list[Fault]:
    """The rule of `oferta.ids.id_fault` over a text column. An absent id is an empty one.

    A surrogate cannot occur in a frame: its text is UTF-8.
    """
    cell = pl.col(column)
    return [
        Fault("id.empty", cell.is_null() | (cell == "")),
        Fault("id.too_long", cell.str.len_chars() > MAX_ID_CHARS),
        Fault("id.dots", (cell == ".") | (cell == "..")),
        Fault("id.control", ~cell.str.contains(_ID_FORM)),
    ]


def long_cell_faults(columns: list[str]) -> list[Fault]:
    """Texts that are no cell but a document."""
    if not columns:
        return []
    cells = [pl.col(name).str.len_bytes() > MAX_CELL_BYTES for name in columns]
    return [Fault("cell.too_long", pl.any_horizontal(cells))]


def table_faults(name: str, *, now: datetime, types: Mapping[str, EventType]) -> list[Fault]:
    """The rules of the table called `name`, in the order in which they speak."""
    return _RULES[name](now, types)


def normalise(name: str, frame: pl.DataFrame, *, types: Mapping[str, EventType]) -> pl.DataFrame:
    """Accepted rows in one form: what takes back has a positive quantity and value.

    Its type says that it takes back; some sources say so again with a minus sign.
    """
    if name != EVENTS.name:
        return frame
    return frame.with_columns(
        pl.when(_takes_back(types))
        .then(pl.col(amount).abs())
        .otherwise(pl.col(amount))
        .alias(amount)
        for amount in ("quantity", "value")
    )


def _takes_back(types: Mapping[str, EventType]) -> pl.Expr:
    return pl.col("event_type").is_in([t.name for t in types.values() if t.meaning == "reversal"])


def _event_faults(now: datetime, types: Mapping[str, EventType]) -> list[Fault]:
    kind, quantity, value = pl.col("event_type"), pl.col("quantity"), pl.col("value")
    takes_back = _takes_back(types)
    event_id = pl.col("event_id")
    return [
        *id_faults("customer_id"),
        *id_faults("product_id"),
        *(Fault(f.code, event_id.is_not_null() & f.rows) for f in id_faults("event_id")),
        Fault("event_type.invalid", kind.is_null() | ~kind.str.contains(_ID_FORM)),
        *_past("timestamp", now),
        Fault("quantity.negative", (quantity < 0) & ~takes_back),
        Fault("quantity.zero", quantity == 0),
        Fault("value.negative", (value < 0) & ~takes_back),
    ]


def _product_faults(now: datetime, types: Mapping[str, EventType]) -> list[Fault]:
    del now, types
    return [
        *id_faults("product_id"),
        Fault("price.negative", pl.col("price_minor") < 0),
        Fault("status.unknown", ~pl.col("status").is_in(STATUSES)),
        Fault("dates.order", pl.col("ends_at") <= pl.col("starts_at")),
    ]


def _customer_faults(now: datetime, types: Mapping[str, EventType]) -> list[Fault]:
    del now, types
    return id_faults("customer_id")


def _consent_faults(now: datetime, types: Mapping[str, EventType]) -> list[Fault]:
    del types
    state, purpose = pl.col("state"), pl.col("purpose")
    # A no is honoured whatever its clock said; only a yes must be from the past.
    dated_yes = [Fault(f.code, (state == "in") & f.rows) for f in _past("at", now)]
    return [
        *id_faults("customer_id"),
        Fault("id.empty", purpose.is_null() | (purpose == "")),
        Fault("consent.state", state.is_null() | ~state.is_in(CONSENT_STATES)),
        Fault("time.missing", pl.col("at").is_null()),
        *dated_yes,
    ]


def _contract_faults(now: datetime, types: Mapping[str, EventType]) -> list[Fault]:
    del types
    starts, ends, vehicle = pl.col("starts_at"), pl.col("ends_at"), pl.col("vehicle_id")
    rate, term = pl.col("rate"), pl.col("term_months")
    return [
        *id_faults("contract_id"),
        *id_faults("customer_id"),
        *id_faults("product_id"),
        *(Fault(f.code, vehicle.is_not_null() & f.rows) for f in id_faults("vehicle_id")),
        Fault("time.missing", starts.is_null()),
        *(_range(name) for name in ("starts_at", "ends_at", "final_due", "next_due")),
        *_past("as_of", now),
        Fault("dates.order", (ends <= starts) | (pl.col("final_due") < starts)),
        *_not_negative("amount", "instalment", "final_amount", "payoff"),
        Fault("rate.range", (rate < 0) | (rate > MAX_RATE)),
        Fault("term.range", (term < 1) | (term > MAX_TERM)),
        Fault("arrears.negative", pl.col("days_in_arrears") < 0),
    ]


def _vehicle_faults(now: datetime, types: Mapping[str, EventType]) -> list[Fault]:
    del types
    registered = pl.col("registered_at")
    # Seconds read as milliseconds land in January 1970.
    wrong_unit = (registered.dt.year() == 1970) & (registered.dt.month() == 1)  # noqa: PLR2004
    return [
        *id_faults("vehicle_id"),
        *id_faults("customer_id"),
        Fault("time.range", (registered < EARLIEST_CAR) | (registered >= LATEST) | wrong_unit),
        *_past("mileage_at", now),
        *_past("valued_at", now),
        *_not_negative("price", "market_value"),
        Fault(
            "mileage.negative",
            (pl.col("mileage_km") < 0) | (pl.col("mileage_plan_km_year") < 0),
        ),
    ]


def _attribute_faults(now: datetime, types: Mapping[str, EventType]) -> list[Fault]:
    del types
    name, value = pl.col("name"), pl.col("value")
    return [
        *id_faults("customer_id"),
        Fault("attribute.name", name.is_null() | ~name.str.contains(_ID_FORM)),
        Fault("attribute.value", value.is_null() | (value == "")),
        Fault("time.missing", pl.col("observed_at").is_null()),
        *_past("observed_at", now),
    ]


def _not_negative(*columns: str) -> list[Fault]:
    return [Fault("amount.negative", pl.any_horizontal([pl.col(name) < 0 for name in columns]))]


def _range(column: str) -> Fault:
    at = pl.col(column)
    return Fault("time.range", (at < EARLIEST) | (at >= LATEST))


def _past(column: str, now: datetime) -> list[Fault]:
    at = pl.col(column)
    return [
        _range(column),
        Fault("time.future", at > now + FUTURE_TOLERANCE),
    ]


_Rules = Callable[[datetime, Mapping[str, EventType]], list[Fault]]
_RULES: Final[Mapping[str, _Rules]] = MappingProxyType(
    {
        EVENTS.name: _event_faults,
        PRODUCTS.name: _product_faults,
        CUSTOMERS.name: _customer_faults,
        CONSENT.name: _consent_faults,
        CONTRACTS.name: _contract_faults,
        VEHICLES.name: _vehicle_faults,
        ATTRIBUTES.name: _attribute_faults,
    }
)
"""Keyed by table: a new rule goes into the function of its table."""
