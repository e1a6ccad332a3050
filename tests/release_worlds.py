"""Scores folders whose every row can be checked by whoever reads it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from oferta import columns
from oferta.events.types import event_types
from oferta.interactions.idmap import IdMap
from oferta.interactions.weighting import Weighting
from oferta.models.build import training_data
from oferta.profile.facts import FACTS, STORED
from oferta.scoring.live import LiveScorer, NeighbourScorer
from oferta.scoring.reasons import REASONS
from oferta_training.live_part import LivePart, write_live
from oferta_training.scores import (
    CUSTOMERS,
    POPULAR,
    SIMILAR,
    ScoresFolder,
    part_name,
    write_manifest,
)
from oferta_training.whole_base import FOLDER, Base

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
PRODUCTS = pl.Schema({**columns.PRODUCTS.schema(), "base_rate": pl.Float64()})
SECRET = b"a secret of the tests, 32 bytes."


def write_scores(
    path: Path,
    *,
    customers: int = 60,
    products: int = 9,
    top_n: int = 4,
    release_n: int | None = None,
    version: int = 1,
    name: str = "model",
    dataset: str | None = None,
    per_part: int = 25,
    dataset_at: datetime = NOON - timedelta(hours=2),
    empty: float = 0.0,
    same_first: bool = False,
    statuses: Mapping[str, str] | None = None,
    ends_at: Mapping[str, datetime] | None = None,
    held: Mapping[str, Sequence[str]] | None = None,
    profiles: bool = False,
    live: LiveScorer | None = None,
    pasts: Mapping[str, Mapping[str, float]] | None = None,
    covered: Sequence[str] = (),
    data_until: datetime = NOON - timedelta(hours=3),
) -> ScoresFolder:
    """A folder in which customer i's list starts with product (i x 7 + version) mod products.

    Lists are of unequal lengths: top_n - (i mod 2), and none for the first share `empty`. Every
    fifth customer is cold. With `profiles`, `expected_facts` are known of each, products have base
    rates, and lists but those of cold customers have chances. `live` is a scorer of all products,
    and `pasts` says how many of each product customers have.
    """
    path.mkdir(parents=True)
    ids = sorted(f"c{index:07d}" for index in range(customers))
    names = [f"p{index:03d}" for index in range(products)]
    lengths = np.full(customers, min(top_n, products)) - np.arange(customers) % 2
    lengths[: round(empty * customers)] = 0
    owners = np.repeat(np.arange(customers), lengths)
    ranks = np.arange(len(owners)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    first = np.zeros_like(owners) if same_first else owners * 7 + version
    chosen = (first + ranks) % products
    product = pl.Series(names, dtype=pl.String)
    lists = pl.DataFrame(
        {
            "customer_id": pl.Series(ids)[owners],
            "product_id": product[chosen],
            "score": (version + 1 / (1 + ranks)).astype(np.float32),
            "rank": (ranks + 1).astype(np.uint32),
            "model": [f"{name}/{version}"] * len(owners),
            "reason": pl.Series(REASONS)[owners % len(REASONS)],
            "because": product[(chosen + 1) % products],
            "probability": [
                chance_of(owner, rank) if profiles and owner % 5 else None
                for owner, rank in zip(owners.tolist(), ranks.tolist(), strict=True)
            ],
        },
        schema=columns.SCORES,
    ).with_columns(pl.when(pl.col("rank") > 1).then("because"))
    for part, start in enumerate(range(0, customers, per_part)):
        inside = (owners >= start) & (owners < start + per_part)
        lists.filter(pl.Series(inside)).write_parquet(path / part_name(part))
    pl.DataFrame(
        {
            "customer_id": ids,
            "segment": [("old", "new", None)[index % 3] for index in range(customers)],
            "held": [list((held or {}).get(customer, [])) for customer in ids],
            "cold": [index % 5 == 0 for index in range(customers)],
        },
        schema=CUSTOMERS,
    ).write_parquet(path / "customers.parquet")
    pl.DataFrame(
        {
            "product_id": names,
            "name": [f"Product {name}" for name in names],
            "category": ["cards" if index % 2 else None for index in range(products)],
            "status": [(statuses or {}).get(name, "active") for name in names],
            "ends_at": [(ends_at or {}).get(name) for name in names],
            "base_rate": [0.5 / (1 + at) if profiles else None for at in range(products)],
        },
        schema_overrides=PRODUCTS,
    ).pipe(_with_all, PRODUCTS).write_parquet(path / "products.parquet")
    popular = [("old", "p001"), (None, "p000"), (None, "p002")]
    pl.DataFrame(
        {
            "segment": [segment for segment, _ in popular],
            "product_id": [name for _, name in popular],
            "score": [3.0, 2.0, 1.0],
            "rank": [1, 1, 2],
        },
        schema=POPULAR,
    ).write_parquet(path / "popular.parquet")
    pl.DataFrame(
        {
            "product_id": ["p000", "p000", "p004"],
            "similar_id": ["p001", "p003", "p002"],
            "score": [0.9, 0.3, 0.5],
            "rank": [1, 2, 1],
        },
        schema=SIMILAR,
    ).write_parquet(path / "similar.parquet")
    write_manifest(
        path,
        model=f"{name}/{version}",
        model_run=f"run{version}",
        trained_at=NOON - timedelta(days=1),
        created_at=NOON,
        dataset=dataset or f"data{version}",
        dataset_at=dataset_at,
        top_n=top_n,
        release_n=release_n,
        base=_write_base(path, ids, per_part=per_part, version=version) if profiles else None,
        live=None
        if live is None
        else _write_live(path, live, ids, names, pasts or {}, top_n=top_n, until=data_until),
        covered=covered,
    )
    return ScoresFolder.open(path)


def _write_base(path: Path, ids: list[str], *, per_part: int, version: int) -> Base:
    known = [expected_facts(index, version=version) for index in range(len(ids))]
    facts = {name: [each.get(name) for each in known] for name in (*STORED, "attr_hobby")}
    kinds = {"number": pl.Float64(), "text": pl.String(), "boolean": pl.Boolean()}
    frame = pl.DataFrame(
        {
            "customer_id": ids,
            **facts,
            "evidence": [expected_evidence(index, version=version) for index in range(len(ids))],
        },
        schema_overrides={
            "customer_id": pl.String(),
            "attr_hobby": pl.String(),
            **{name: kinds.get(FACTS[name].kind, pl.Float64()) for name in STORED},
        },
    ).with_columns(
        pl.col(name).cast(pl.Int32).cast(pl.Date) for name in STORED if FACTS[name].kind == "date"
    )
    (path / FOLDER).mkdir()
    parts = []
    for part, start in enumerate(range(0, len(ids), per_part)):
        parts.append(f"{FOLDER}/{part_name(part)}")
        frame.slice(start, per_part).write_parquet(path / parts[-1])
    return Base(tuple(parts), tuple(facts), NOON, "UTC", by_product=False)


def _write_live(
    path: Path,
    scorer: LiveScorer,
    ids: list[str],
    names: list[str],
    pasts: Mapping[str, Mapping[str, float]],
    *,
    top_n: int,
    until: datetime,
) -> LivePart:
    rows = [
        (customer, product, "purchase", until, quantity)
        for customer, had in pasts.items()
        for product, quantity in had.items()
    ]
    rows = rows or [(ids[0], names[0], "impression", until, 1.0)]
    columns = ["customer_id", "product_id", "event_type", "timestamp", "quantity"]
    data = training_data(
        pl.DataFrame(rows, schema=columns, orient="row")
        .with_columns(pl.col("timestamp").cast(pl.Datetime("us", "UTC")))
        .lazy(),
        customers=IdMap.of(ids),
        products=IdMap.of(names),
        types=event_types(),
        weighting=Weighting(),
    )
    return write_live(
        path,
        scorer,
        data,
        reason="bought_together",
        length=top_n,
        weights={name: kind.weight for name, kind in event_types().items()},
        weighting=Weighting(),
        places=np.arange(len(names), dtype=np.int32),
        segment=np.full(len(ids), -1, np.int32),
    )


def neighbours(products: int, *, towards: int = 1) -> NeighbourScorer:
    """Having product i speaks for product i + `towards`, and less for the next ones."""
    return NeighbourScorer(
        indptr=np.arange(products + 1, dtype=np.int64) * 3,
        neighbour=(
            (np.repeat(np.arange(products), 3) + np.tile([0, 1, 2], products) + towards) % products
        ).astype(np.int32),
        weight=np.tile([1.0, 0.5, 0.25], products).astype(np.float32),
        base=np.linspace(0.01, 0, products, dtype=np.float32)[None, :],
        step_decay=1.0,
        binary=False,
    )


def chance_of(index: int, rank: int) -> float:
    """The chance of the product at `rank`, from 0, in the list of customer `index`."""
    return 1 / (2 + rank + index % 7)


def expected_facts(index: int, *, version: int) -> dict[str, float | str | bool]:
    """What the profile of customer `index` knows."""
    facts: dict[str, float | str | bool] = {
        "region": f"region {index % 4}",
        "has_finance": index % 2 == 0,
        "contract_end": 20_000.0 + index,
        "purchases": float(version),
    }
    if index % 3:
        facts["income"] = 1000.5 + index
    if index % 5 == 1:
        facts["attr_hobby"] = "chess"
    return facts


def expected_evidence(index: int, *, version: int) -> str:
    """The JSON of the evidence of customer `index`."""
    return f'{{"customer":{index},"version":{version}}}'


def expected_products(index: int, *, products: int, top_n: int, version: int) -> list[int]:
    """Positions of the products in customer `index`'s list."""
    length = min(top_n, products) - index % 2
    return [(index * 7 + version + rank) % products for rank in range(length)]


def _with_all(frame: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    absent = [
        pl.lit(None, dtype).alias(name)
        for name, dtype in schema.items()
        if name not in frame.columns
    ]
    return frame.with_columns(absent).select(schema.names())
