"""A generated base of an auto financier's customers, scored for every product and profiled."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
from numpy.random import Generator

from oferta import columns
from oferta.clock import SystemClock
from oferta.profile.facts import FACTS, STORED
from oferta_training.scores import (
    CUSTOMERS,
    POPULAR,
    SIMILAR,
    ScoresFolder,
    part_name,
    write_manifest,
)
from oferta_training.whole_base import FOLDER, Base

LISTED = 20
_TYPES = {"number": pl.Float64(), "text": pl.String(), "boolean": pl.Boolean(), "date": pl.Date()}


def write_seller(
    folder: Path, products: list[str], *, customers: int, rng: Generator
) -> ScoresFolder:
    """A scores folder of `products` with a profile of every customer: half of them borrowers."""
    (folder / FOLDER).mkdir(parents=True)
    n = len(products)
    names = [f"c{number:08d}" for number in range(customers)]
    scores = rng.beta(1, 20, (customers, n))
    order = np.argsort(-scores, axis=1)
    chance = np.take_along_axis(scores, order, axis=1).ravel()
    product = pl.Series(products)
    pl.DataFrame(
        {
            "customer_id": np.repeat(names, n),
            "product_id": product.gather(order.ravel()),
            "score": chance,
            "rank": np.tile(np.arange(1, n + 1), customers),
            "model": pl.repeat("bench/1", customers * n, eager=True),
            "reason": pl.repeat("bought_together", customers * n, eager=True),
            "because": product.gather((order.ravel() + 1) % n),
            "probability": chance,
        }
    ).cast(columns.SCORES).write_parquet(folder / part_name(0))
    pl.DataFrame(
        {"customer_id": names, "segment": None, "held": [[]] * customers, "cold": False},
        schema=CUSTOMERS,
    ).write_parquet(folder / "customers.parquet")
    _write_catalogue(folder, products)
    now = SystemClock().now()
    profiles = _profiles(customers, rng)
    place = f"{FOLDER}/{part_name(0)}"
    pl.DataFrame(
        {
            "customer_id": names,
            **{name: profiles.get(name) for name in STORED},
            "evidence": [_EVIDENCE] * customers,
        },
        schema_overrides={name: _TYPES[FACTS[name].kind] for name in STORED},
    ).write_parquet(folder / place)
    return write_manifest(
        folder,
        model="bench/1",
        model_run="bench",
        trained_at=now,
        created_at=now,
        dataset="generated",
        dataset_at=now,
        top_n=n,
        release_n=LISTED,
        base=Base((place,), STORED, now, "UTC", by_product=False),
    )


def _write_catalogue(folder: Path, products: list[str]) -> None:
    schema = pl.Schema({**columns.PRODUCTS.schema(), "base_rate": pl.Float64()})
    known = {
        "product_id": products,
        "name": products,
        "status": "active",
        "repeatable": True,
        "base_rate": 0.03,
    }
    absent = {name: None for name in schema if name not in known}
    catalogue = pl.DataFrame({**known, **absent}, schema_overrides=schema)
    catalogue.select(schema.names()).write_parquet(folder / "products.parquet")
    pl.DataFrame(
        {
            "segment": None,
            "product_id": products,
            "score": np.linspace(1, 0.1, len(products)),
            "rank": np.arange(1, len(products) + 1),
        }
    ).cast(POPULAR).write_parquet(folder / "popular.parquet")
    pl.DataFrame(schema=SIMILAR).write_parquet(folder / "similar.parquet")


def _profiles(customers: int, rng: Generator) -> dict[str, object]:
    """Facts as a seller knows them, half of what there may be; all consent to everything."""
    today = SystemClock().now().date()

    def days(low: int, high: int) -> list[object]:
        return [today + timedelta(days=int(each)) for each in rng.integers(low, high, customers)]

    def one_of(*values: str) -> list[str]:
        return [str(value) for value in rng.choice(values, customers)]

    yes = [True] * customers
    return {
        "region": one_of("north", "south", "east", "west"),
        "employment": one_of("employed", "self_employed", "retired"),
        "income": rng.uniform(1500, 7000, customers),
        "spending": rng.uniform(500, 2000, customers),
        "instalments": rng.uniform(0, 500, customers),
        "risk_tier": one_of("A", "B", "C", "D", "E"),
        "vulnerable": [False] * customers,
        "digital": yes,
        **{name: yes for name in STORED if name.startswith("consent_")},
        "has_finance": rng.random(customers) < 0.5,  # noqa: PLR2004 - half of them
        "contract_kind": one_of("balloon", "equal_instalment"),
        "contract_start": days(-1400, -100),
        "contract_end": days(10, 900),
        "contract_months": rng.choice([24.0, 36.0, 48.0], customers),
        "payoff": rng.uniform(1000, 30_000, customers),
        "balloon_amount": rng.uniform(1000, 12_000, customers),
        "balloon_due": days(10, 900),
        "in_arrears": [False] * customers,
        "days_in_arrears": 0.0,
        "insurance_renewal": days(1, 365),
        "warranty_end": days(-300, 700),
        "contracts_active": rng.integers(0, 3, customers).astype(float),
        "contracts_ended": rng.integers(0, 3, customers).astype(float),
        "has_vehicle": yes,
        "vehicle_body": one_of("saloon", "suv", "electric", "commercial"),
        "vehicle_fuel": one_of("petrol", "diesel", "electric"),
        "vehicle_condition": one_of("new", "used"),
        "vehicle_registered": days(-4000, -100),
        "vehicle_use": one_of("private", "commute", "ride_hailing"),
        "mileage_km": rng.uniform(1000, 150_000, customers),
        "market_value": rng.uniform(3000, 40_000, customers),
        "intent": rng.random(customers),
        "last_active": days(-90, 0),
        "purchases": rng.integers(0, 5, customers).astype(float),
    }


_EVIDENCE = '{"attributes":{"income":{"value":3200,"source":"crm","observed_at":"2026-05-01"}}}'
