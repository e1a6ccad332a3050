"""The profile of every customer, from a dataset, as of one instant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl

from oferta.events.dataset import Dataset
from oferta.profile.attributes import STATED, dtype_of, stated_facts
from oferta.profile.behaviour import CONTACTS, activity_facts, wish_facts
from oferta.profile.consent import consent_facts
from oferta.profile.contracts import contract_facts, known_contracts, leading_contracts
from oferta.profile.derived import with_stage
from oferta.profile.facts import FACTS, STORED, FactKind
from oferta.profile.formulas import TIER_BEFORE
from oferta.profile.intent import intent_facts
from oferta.profile.moment import Moment
from oferta.profile.needs import ALIKE, Peers, peers_of, with_needs
from oferta.profile.products import product_kinds
from oferta.profile.settings import ProfileSettings
from oferta.profile.vehicles import known_vehicles, leading_vehicles, vehicle_evidence

ATTRIBUTE = "attr_"
_NO_CONTRACTS = {
    "has_finance": False,
    "in_arrears": False,
    "days_in_arrears": 0.0,
    "contracts_active": 0.0,
    "contracts_ended": 0.0,
}
_PIECES = ("attributes", "contracts", "vehicles", "intent", "wish", "needs")


@dataclass(frozen=True, slots=True)
class _Tables:
    """The tables of a dataset, of all customers or of some."""

    customers: pl.LazyFrame
    events: pl.LazyFrame
    consent: pl.LazyFrame | None
    contracts: pl.LazyFrame | None
    vehicles: pl.LazyFrame | None
    attributes: pl.LazyFrame | None


def build_profiles(
    dataset: Dataset,
    *,
    as_of: datetime,
    zone: ZoneInfo,
    settings: ProfileSettings | None = None,
    attributes: Mapping[str, FactKind] | None = None,
    customers: pl.LazyFrame | None = None,
    peers: Peers | None = None,
    tiers_before: pl.LazyFrame | None = None,
) -> pl.LazyFrame:
    """One row a customer: `customer_id`, every fact of `STORED`, `attr_NAME`s, `evidence`.

    Nothing that happened after `as_of` is in it. Numbers are Float64, texts String, dates Date,
    truth values Boolean; `evidence` is a JSON object (docs/profile.md). Nothing is read before it
    is collected, save for the peers: one pass that counts what similar customers hold.

    Args:
        dataset: what is known.
        as_of: an aware instant.
        zone: in which days are counted.
        settings: trust, fading and assumptions; None: the defaults.
        attributes: the seller's own attributes, name -> kind, as the policy declares them.
        customers: only these (`customer_id`); None: all.
        peers: of the whole base, where `customers` are a part of it (`peers_in`).
        tiers_before: `customer_id`, `value_tier` of the profiles before these; None: not known.
    """
    said = settings or ProfileSettings()
    moment = _moment(dataset, as_of, zone, said)
    if peers is None:
        peers = peers_in(dataset, as_of=as_of, zone=zone, settings=said)
    tables = _tables(dataset, customers)
    facts = _facts(dataset, tables, moment, said, attributes or {})
    if tiers_before is not None:
        before = tiers_before.select("customer_id", pl.col("value_tier").alias(TIER_BEFORE))
        facts = facts.drop(TIER_BEFORE).join(before, on="customer_id", how="left")
    staged = with_stage(facts, today=moment.today)
    whole = with_needs(staged, peers, settings=said.needs)
    own = [f"{ATTRIBUTE}{name}" for name in attributes or {}]
    return whole.select("customer_id", *STORED, *own, _evidence().alias("evidence"))


def peers_in(
    dataset: Dataset, *, as_of: datetime, zone: ZoneInfo, settings: ProfileSettings | None = None
) -> Peers:
    """What similar customers hold, over the whole base; reads the dataset once."""
    said = settings or ProfileSettings()
    moment = _moment(dataset, as_of, zone, said)
    tables = _tables(dataset, None)
    types, sold = dataset.event_types, product_kinds(dataset.products(), roles=said.roles)
    # The stage hangs on what is done and what runs; all else would be made for nothing.
    activity = activity_facts(tables.events, types=types, moment=moment, settings=said)
    facts = _complete(
        _joined(tables, [activity, *_clock(tables, sold, moment, said)]),
        {},
        contracts=tables.contracts is not None,
    )
    holdings = with_stage(facts, today=moment.today).select(*ALIKE, "held")
    return peers_of(holdings, settings=said.needs)


def _moment(dataset: Dataset, as_of: datetime, zone: ZoneInfo, settings: ProfileSettings) -> Moment:
    end = dataset.manifest.last_time
    closed = timedelta(days=settings.books_days)
    return Moment(as_of, zone, latest=end is None or as_of >= end - closed)


def _tables(dataset: Dataset, customers: pl.LazyFrame | None) -> _Tables:
    def only(rows: pl.LazyFrame | None) -> pl.LazyFrame | None:
        if rows is None or customers is None:
            return rows
        return rows.join(customers.select("customer_id"), on="customer_id", how="semi")

    everyone, events = only(dataset.customers()), only(dataset.events())
    assert everyone is not None  # noqa: S101 - `only` gives None for None alone
    assert events is not None  # noqa: S101 - likewise
    return _Tables(
        everyone,
        events,
        only(dataset.consent()),
        only(dataset.contracts()),
        only(dataset.vehicles()),
        only(dataset.attributes()),
    )


def _facts(
    dataset: Dataset,
    tables: _Tables,
    moment: Moment,
    settings: ProfileSettings,
    attributes: Mapping[str, FactKind],
) -> pl.LazyFrame:
    """`customer_id`, `STORED`, `attr_NAME`s, `held` and the pieces of evidence but needs."""
    types = dataset.event_types
    sold = product_kinds(dataset.products(), roles=settings.roles)
    parts = [
        _stated(tables, moment, settings, attributes),
        activity_facts(tables.events, types=types, moment=moment, settings=settings),
        intent_facts(tables.events, sold, types=types, moment=moment, settings=settings.intent),
        *_clock(tables, sold, moment, settings),
    ]
    wishes = wish_facts(tables.events, moment=moment, settings=settings)
    if wishes is not None:
        parts.append(wishes)
    if tables.consent is not None:
        read_at = dataset.manifest.created_at
        parts.append(consent_facts(tables.consent, moment=moment, read_at=read_at))
    return _complete(_joined(tables, parts), attributes, contracts=tables.contracts is not None)


def _joined(tables: _Tables, parts: Sequence[pl.LazyFrame]) -> pl.LazyFrame:
    facts = tables.customers.select("customer_id")
    for part in parts:
        facts = facts.join(part, on="customer_id", how="left")
    return facts


def _stated(
    tables: _Tables,
    moment: Moment,
    settings: ProfileSettings,
    attributes: Mapping[str, FactKind],
) -> pl.LazyFrame:
    """What sources state: facts, and the seller's own attributes as `attr_NAME`.

    An attribute of the seller's may be called as a fact is: then it is that fact's value, too.
    """
    kinds: dict[str, FactKind] = {name: FACTS[name].kind for name in STATED}
    kinds |= {name: kind for name, kind in attributes.items() if name not in kinds}
    stated = stated_facts(
        tables.customers, tables.attributes, kinds=kinds, moment=moment, trust=settings.trust
    )
    own = [
        pl.col(name).cast(dtype_of(kind), strict=False).alias(f"{ATTRIBUTE}{name}")
        for name, kind in attributes.items()
    ]
    return stated.with_columns(own).drop(name for name in attributes if name not in STATED)


def _clock(
    tables: _Tables, sold: pl.DataFrame, moment: Moment, settings: ProfileSettings
) -> list[pl.LazyFrame]:
    """The facts of contracts and vehicles, which lean on each other."""
    parts: list[pl.LazyFrame] = []
    contracts = leading = None
    if tables.contracts is not None:
        contracts = known_contracts(tables.contracts, sold, moment=moment, settings=settings)
        leading = leading_contracts(contracts, moment=moment)
        parts.append(leading.drop("leading_contract", "leading_vehicle"))
    cars = pl.LazyFrame(schema={"customer_id": pl.String(), "vehicle_id": pl.String()})
    if tables.vehicles is not None:
        vehicles = known_vehicles(
            tables.vehicles, tables.contracts, moment=moment, settings=settings.vehicles
        )
        lead = leading_vehicles(vehicles, leading, moment=moment, settings=settings.vehicles)
        parts += [lead.drop("vehicle_id"), vehicle_evidence(vehicles, moment=moment)]
        cars = lead.select("customer_id", "vehicle_id")
    if contracts is not None:
        parts.append(contract_facts(contracts, cars, moment=moment))
    return parts


def _complete(
    facts: pl.LazyFrame, attributes: Mapping[str, FactKind], *, contracts: bool
) -> pl.LazyFrame:
    """Every column there is, and what one source says for another."""
    wanted: dict[str, pl.DataType] = {
        **{name: dtype_of(FACTS[name].kind) for name in STORED},
        **{f"{ATTRIBUTE}{name}": dtype_of(kind) for name, kind in attributes.items()},
        **dict.fromkeys(("first_contract", "first_bought"), pl.Date()),
        **dict.fromkeys(("factory_warranty_end", "extended_warranty_end"), pl.Date()),
        **dict.fromkeys(CONTACTS, pl.UInt32()),
        "ours": pl.Float64(),
        "held": pl.List(pl.String()),
        **{f"{piece}_json": pl.String() for piece in _PIECES},
    }
    known = facts.collect_schema().names()
    facts = facts.with_columns(
        pl.lit(None, dtype).alias(name) for name, dtype in wanted.items() if name not in known
    ).with_columns(
        pl.max_horizontal("factory_warranty_end", "extended_warranty_end").alias("warranty_end"),
        pl.coalesce("instalments", "ours").alias("instalments"),
        pl.coalesce("customer_since", pl.min_horizontal("first_contract", "first_bought")).alias(
            "customer_since"
        ),
        pl.col("has_vehicle").fill_null(value=False),
        pl.col("purchases").fill_null(0.0),
        pl.col("quotes_30d").fill_null(0.0),
        pl.col("calculator_30d").fill_null(0.0),
        pl.col("intent").fill_null(0.0),
    )
    if contracts:
        # Of a customer without contracts it is known that there are none with us.
        nobody = pl.col("contracts_active").is_null()
        facts = facts.with_columns(
            *(
                pl.when(nobody).then(pl.lit(nothing)).otherwise(pl.col(name)).alias(name)
                for name, nothing in _NO_CONTRACTS.items()
            ),
            pl.col("held").fill_null([]),
        )
    return facts


def _evidence() -> pl.Expr:
    pieces = [
        pl.when(pl.col(f"{piece}_json").is_not_null()).then(
            pl.concat_str(pl.lit(f'"{piece}":'), pl.col(f"{piece}_json"))
        )
        for piece in _PIECES
    ]
    text = pl.concat_list(pieces).list.drop_nulls().list.join(",")
    return pl.concat_str(pl.lit("{"), text, pl.lit("}"))
