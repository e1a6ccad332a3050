"""A whole base of random customers, as batch scoring would leave it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import numpy as np
import polars as pl
from offer_worlds import TERMS, Seller, customer

from oferta.decisions.request import Customer
from oferta.profile.facts import FACTS, STORED, FactKind

PRODUCTS: Sequence[str] = tuple(TERMS)
POPULAR: Mapping[str, float] = dict.fromkeys(TERMS, 0.05)

_DTYPES = {"number": pl.Float64(), "text": pl.String(), "boolean": pl.Boolean(), "date": pl.Date()}


def customers(rng: Random, count: int) -> dict[str, Customer]:
    """Random customers by id, with chances as exact as the base keeps them."""
    return {f"c{number:05d}": _narrow(customer(rng)) for number in range(count)}


def _narrow(one: Customer) -> Customer:
    chances = {
        product: chance._replace(
            probability=None
            if chance.probability is None
            else float(np.float32(chance.probability)),
            score=float(np.float32(chance.score)),
        )
        for product, chance in one.propensities.items()
    }
    return replace(one, propensities=chances)


def wide(sold: Seller, people: Mapping[str, Customer]) -> pl.DataFrame:
    """One wide row a customer, with every stored fact and the seller's own attributes."""
    attributes = {f"attr_{name}": kind for name, kind in sold.engine.policy.attributes.items()}
    return wide_rows(people, PRODUCTS, attributes)


def wide_rows(
    people: Mapping[str, Customer], products: Sequence[str], attributes: Mapping[str, FactKind]
) -> pl.DataFrame:
    """Likewise, of any seller."""
    kinds: dict[str, FactKind] = {name: FACTS[name].kind for name in STORED} | attributes
    columns = {
        name: pl.Series(name, [one.facts.get(name) for one in people.values()], strict=False)
        .cast(pl.Int32 if kind == "date" else _DTYPES[kind])
        .cast(_DTYPES[kind])
        for name, kind in kinds.items()
    }
    by_product = {
        name: pl.Series(
            name,
            [
                [getattr(one.propensities.get(product), name, None) for product in products]
                for one in people.values()
            ],
            dtype=pl.Array(pl.Float32, len(products)),
        )
        for name in ("probability", "score")
    }
    return pl.DataFrame({"customer_id": list(people), **columns, **by_product})


def scores_folder(
    folder: Path,
    frame: pl.DataFrame,
    *,
    parts: int = 2,
    rates: Mapping[str, float] = POPULAR,
) -> Path:
    """A folder of scores with nothing but what is read of a whole base."""
    (folder / "base").mkdir(parents=True)
    bounds = np.linspace(0, len(frame), parts + 1).astype(int)
    names = []
    for number in range(parts):
        name = f"base/part-{number:05d}.parquet"
        part = frame[bounds[number] : bounds[number + 1]]
        part.with_columns(pl.lit("{}").alias("evidence")).write_parquet(folder / name)
        names.append(name)
    products = {"product_id": list(rates), "base_rate": list(rates.values())}
    pl.DataFrame(products).write_parquet(folder / "products.parquet")
    now = datetime(2026, 11, 23, 6, tzinfo=UTC).isoformat()
    base = {"parts": names, "as_of": now, "zone": "UTC", "by_product": True, "facts": []}
    fields = {"created_at": now, "model": "als/3", "customers": len(frame), "base": base}
    (folder / "manifest.json").write_text(json.dumps(fields), encoding="utf-8")
    return folder
