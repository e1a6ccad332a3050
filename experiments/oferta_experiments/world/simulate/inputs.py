"""What a policy is told of customers: ingested, profiled and scored as a seller would, by night."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
from numpy.random import default_rng

from oferta.clock import FixedClock
from oferta.decisions.request import Customer, FactValue, Propensity
from oferta.events.dataset import Dataset, open_dataset
from oferta.events.guards import IngestOptions
from oferta.events.ingest import ingest
from oferta.policy.file import Policy
from oferta.profile.build import build_profiles
from oferta.profile.facts import STORED
from oferta.progress import Silent
from oferta_experiments.world import tables
from oferta_experiments.world.build import Lived, source_toml
from oferta_experiments.world.observed import attributes
from oferta_experiments.world.sales import Chunk
from oferta_experiments.world.times import DAY_S
from oferta_training.score import Wanted, score
from oferta_training.scores import ScoresFolder

_EVENING = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Told:
    """What is known on one day: customers by id, base rates by product, and what scored."""

    customers: Mapping[str, Customer]
    popular: Mapping[str, float]
    model: str
    at: float


def scored(
    chunk: Chunk, lived: Lived, *, seed: int, day: int, model: str, policy: Policy, home: Path
) -> Told:
    """Profiles and propensities as of the first instant of `day`, as a release would hold them."""
    with TemporaryDirectory(dir=home) as place:
        dataset = _dataset(chunk, lived, seed=seed, day=day, home=home, place=Path(place))
        at = _instant(day)
        wanted = Wanted(profiles=True, as_of=at, policy=policy)
        folder = score(
            home,
            model=model,
            dataset=dataset.path,
            clock=FixedClock(at + _EVENING),
            progress=Silent(),
            wanted=wanted,
        )
        return Told(_customers(folder), _base_rates(folder), folder.model, at.timestamp())


def profiled(
    chunk: Chunk,
    lived: Lived,
    *,
    seed: int,
    day: int,
    policy: Policy,
    home: Path,
    popular: Mapping[str, float],
) -> Told:
    """Profiles alone, beside base rates that are known already: no model has scored anybody."""
    with TemporaryDirectory(dir=home) as place:
        dataset = _dataset(chunk, lived, seed=seed, day=day, home=home, place=Path(place))
        at = _instant(day)
        profiles = build_profiles(
            dataset, as_of=at, zone=policy.zone, attributes=policy.attributes
        ).drop("evidence")
        facts = _facts(profiles.collect())
        customers = {key: Customer(one, {}) for key, one in facts.items()}
        return Told(customers, popular, "", at.timestamp())


def write_source(chunk: Chunk, lived: Lived, *, seed: int, day: int, place: Path) -> None:
    """The tables of a chunk as they stand on the morning of `day`."""
    ids = lived.ids
    rng = default_rng([seed, 4, ids.part])
    frames = {
        "products": tables.products(chunk.products),
        "events": tables.events(chunk, ids, end=day),
        "customers": tables.customers(chunk, ids),
        "consent": tables.consent(chunk, ids, lived.sent.consents),
        "contracts": tables.contracts(chunk, ids, end=day),
        "vehicles": tables.vehicles(chunk, ids, end=day),
        "attributes": attributes(chunk, ids, end=day, rng=rng),
    }
    place.mkdir(parents=True, exist_ok=True)
    for name, frame in frames.items():
        path = place / f"{name}.parquet"
        frame.write_parquet(path)
        # Of the day that they tell of: consent older than the newest event is refused.
        os.utime(path, (day * DAY_S, day * DAY_S))
    (place / "source.toml").write_text(source_toml(), encoding="utf-8")


def _dataset(
    chunk: Chunk, lived: Lived, *, seed: int, day: int, home: Path, place: Path
) -> Dataset:
    write_source(chunk, lived, seed=seed, day=day, place=place / "source")
    clock = FixedClock(_instant(day) + _EVENING)
    ingest(
        place / "source",
        place / "dataset",
        options=IngestOptions(strict=True),
        clock=clock,
        progress=Silent(),
    )
    return open_dataset(place / "dataset", home=home, clock=clock, progress=Silent())


def _customers(folder: ScoresFolder) -> dict[str, Customer]:
    wide = folder.wide().drop("evidence").collect()
    products = folder.product_rows()["product_id"].to_list()
    facts = _facts(wide.drop("probability", "score"))
    scores = wide.select("customer_id", "probability", "score").iter_rows()
    return {
        customer: Customer(facts[customer], _propensities(products, chances, scored))
        for customer, chances, scored in scores
    }


def _propensities(
    products: Sequence[str],
    chances: Sequence[float | None] | None,
    scores: Sequence[float | None] | None,
) -> dict[str, Propensity]:
    if chances is None or scores is None:
        return {}
    return {
        product: Propensity(chance, value, "model", None)
        for product, chance, value in zip(products, chances, scores, strict=True)
        if value is not None
    }


def _facts(frame: pl.DataFrame) -> dict[str, dict[str, FactValue]]:
    """Facts by customer; dates as days since 1970, unknown ones left out."""
    dates = [name for name, dtype in frame.schema.items() if dtype == pl.Date]
    plain = frame.with_columns(pl.col(dates).cast(pl.Int32).cast(pl.Float64))
    names = [name for name in plain.columns if name in STORED or name.startswith("attr_")]
    told = plain.select("customer_id", *names).iter_rows()
    return {
        row[0]: {
            name: value for name, value in zip(names, row[1:], strict=True) if value is not None
        }
        for row in told
    }


def _base_rates(folder: ScoresFolder) -> dict[str, float]:
    rows = folder.product_rows()
    if "base_rate" not in rows.columns:
        return {}
    rates = rows.select("product_id", "base_rate").drop_nulls()
    return {str(product): float(rate) for product, rate in rates.iter_rows()}


def _instant(day: int) -> datetime:
    return datetime.fromtimestamp(day * DAY_S, UTC)
