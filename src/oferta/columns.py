"""The tables of a dataset: every column's name and type, stated once.

Whatever a source calls them, these are the names inside. A column not listed is an *attribute*:
kept as it is, under its own name.
"""

from dataclasses import dataclass

import polars as pl

INSTANT = pl.Datetime("us", "UTC")


@dataclass(frozen=True, slots=True)
class Column:
    """One known column of a table.

    `words` are the values that have a meaning; others are kept, with a warning at ingest.
    """

    name: str
    dtype: pl.DataType
    required: bool = False
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """One table of a dataset: its known columns and the columns whose values identify a row."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the columns without which the table is refused."""
        return tuple(column.name for column in self.columns if column.required)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all known columns, in order."""
        return tuple(column.name for column in self.columns)

    def schema(self) -> pl.Schema:
        """The known columns as a Polars schema."""
        return pl.Schema({column.name: column.dtype for column in self.columns})


EVENTS = Table(
    "events",
    (
        Column("event_id", pl.String()),
        Column("customer_id", pl.String(), required=True),
        Column("product_id", pl.String(), required=True),
        Column("event_type", pl.String(), required=True),
        Column("timestamp", INSTANT),
        Column("seq", pl.Int64()),  # a customer's own order, where no time is known
        Column("quantity", pl.Float64()),  # how many units; absent means one
        Column("value", pl.Float64()),  # money or any other amount: never a count
        Column("rating", pl.Float64()),
        Column("channel", pl.String()),
    ),
    key=("event_id", "product_id"),  # a basket is one event of several products
)

PRODUCTS = Table(
    "products",
    (
        Column("product_id", pl.String(), required=True),
        Column("name", pl.String()),
        Column("category", pl.String()),
        Column("price_minor", pl.Int64()),  # in the currency's smallest unit
        Column("starts_at", INSTANT),
        Column("ends_at", INSTANT),  # first instant at which it is no longer sold
        Column("status", pl.String()),  # active (also when absent), hidden, paused or archived
        Column("repeatable", pl.Boolean()),  # may be offered to a customer who has it
    ),
    key=("product_id",),
)

CUSTOMERS = Table(
    "customers", (Column("customer_id", pl.String(), required=True),), key=("customer_id",)
)

CONSENT = Table(
    "consent",
    (
        Column("customer_id", pl.String(), required=True),
        Column("purpose", pl.String(), required=True),
        Column("channel", pl.String()),
        Column("state", pl.String(), required=True),  # in or out
        Column("at", INSTANT, required=True),
        Column("source", pl.String()),
    ),
    key=("customer_id", "purpose", "channel", "at"),
)

REPAYMENTS = (
    "equal_instalment",
    "equal_principal",
    "balloon",
    "residual_value",
    "promotional",
    "lease",
    "insurance",
    "price",
    "re_term",
    "payment_plan",
    "payment_holiday",
)
"""How a contract is paid: the words of `oferta.terms.quote.Kind`."""

CONTRACT_STATUSES = ("active", "arrears", "ended", "settled")
BODIES = ("saloon", "suv", "pickup", "luxury", "commercial", "electric")
FUELS = ("petrol", "diesel", "hybrid", "electric")
USES = ("private", "commute", "ride_hailing", "commercial")

CONTRACTS = Table(
    "contracts",
    (
        Column("contract_id", pl.String(), required=True),
        Column("customer_id", pl.String(), required=True),
        Column("product_id", pl.String(), required=True),
        Column("vehicle_id", pl.String()),
        Column("starts_at", INSTANT, required=True),
        Column("ends_at", INSTANT),  # first instant after it; renewals are due then
        Column("amount", pl.Float64()),  # lent or insured, in the currency's main unit
        Column("rate", pl.Float64()),  # nominal, percent a year
        Column("term_months", pl.Int64()),
        Column("instalment", pl.Float64()),  # or premium, a month
        Column("repayment", pl.String(), words=REPAYMENTS),
        Column("final_amount", pl.Float64()),  # balloon or residual value
        Column("final_due", INSTANT),
        Column("payoff", pl.Float64()),  # what would settle it at `as_of`
        Column("as_of", INSTANT),
        # Absent is active; of a word that is none of these the dates decide.
        Column("status", pl.String(), words=CONTRACT_STATUSES),
        Column("next_due", INSTANT),
        Column("days_in_arrears", pl.Int64()),
    ),
    key=("contract_id",),
)

VEHICLES = Table(
    "vehicles",
    (
        Column("vehicle_id", pl.String(), required=True),
        Column("customer_id", pl.String(), required=True),
        Column("make", pl.String()),
        Column("model", pl.String()),
        Column("body", pl.String(), words=BODIES),
        Column("fuel", pl.String(), words=FUELS),
        Column("condition", pl.String(), words=("new", "used")),  # when bought
        Column("use", pl.String(), words=USES),
        Column("registered_at", INSTANT),
        Column("price", pl.Float64()),  # paid when bought, in the currency's main unit
        Column("mileage_km", pl.Float64()),  # at `mileage_at`
        Column("mileage_at", INSTANT),
        Column("mileage_plan_km_year", pl.Float64()),
        Column("market_value", pl.Float64()),  # at `valued_at`
        Column("valued_at", INSTANT),
    ),
    key=("vehicle_id",),
)

ATTRIBUTES = Table(
    "attributes",
    (
        Column("customer_id", pl.String(), required=True),
        Column("name", pl.String(), required=True),
        Column("value", pl.String(), required=True),
        Column("source", pl.String()),  # crm, survey, bureau, partner, ...
        Column("observed_at", INSTANT, required=True),
    ),
    key=("customer_id", "name", "source", "observed_at"),
)

ID_COLUMNS = ("event_id", "customer_id", "product_id", "contract_id", "vehicle_id")

TABLES = {
    table.name: table
    for table in (EVENTS, PRODUCTS, CUSTOMERS, CONSENT, CONTRACTS, VEHICLES, ATTRIBUTES)
}

WISHES = {
    "wished_amount": pl.Float64(),
    "wished_months": pl.Float64(),
    "wished_deposit": pl.Float64(),
    "wished_instalment": pl.Float64(),
    "wished_model": pl.String(),
}
"""Attributes of events that have a meaning: what the customer typed into a calculator or search."""

SCORES = pl.Schema(
    {
        "customer_id": pl.String(),
        "product_id": pl.String(),
        "score": pl.Float32(),
        "rank": pl.UInt32(),  # from 1
        "model": pl.String(),  # name/version of the registered model
        "reason": pl.String(),  # a code of `oferta.scoring.reasons`
        "because": pl.String(),  # the product that the reason names, where it names one
        # The calibrated chance that it is chosen; null of popular lists and uncalibrated models.
        "probability": pl.Float32(),
    }
)
"""Batch scores: what releases, exports, audiences and what-ifs read. Sorted by customer, rank."""
