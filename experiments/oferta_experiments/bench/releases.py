"""Publishing to a real Redis, and what a customer costs there."""

import shutil
import subprocess
from pathlib import Path
from statistics import median

import numpy as np
import polars as pl
from numpy.random import Generator, default_rng

from oferta import columns
from oferta.clock import SystemClock
from oferta.store.connecting import StoreSettings, connect
from oferta_experiments.bench.published import publish_scores
from oferta_experiments.bench.rows import Row, seconds
from oferta_training.scores import CUSTOMERS, POPULAR, SIMILAR, ScoresFolder, write_manifest

_CUSTOMERS, _PRODUCTS, _LIST = 300_000, 2_000, 20
_RATE_BAR, _RATE_STRETCH, _BYTES_BAR = 0.2, 0.5, 300
_ROUNDS = 3


def release_rows(work: Path) -> list[Row]:
    """The whole protocol with 300,000 customers, verification included."""
    scores = write_scores(work / "scores", customers=_CUSTOMERS, rng=default_rng(1))
    settings = StoreSettings(work / "publish")  # never the Redis that the environment names
    with connect(settings) as store:
        before = store.writer.capacity().used_bytes

        def once() -> None:
            publish_scores(scores, store, settings.home)

        once()
        each = (store.writer.capacity().used_bytes - before) / _CUSTOMERS
        pairs = [
            (_CUSTOMERS / seconds(once), _redis_benchmark(work / "publish")) for _ in range(_ROUNDS)
        ]
    rate = median(ours for ours, _ in pairs)
    ratios = [ours / anchor for ours, anchor in pairs if anchor is not None]
    ratio = median(ratios) if ratios else None
    anchors = [anchor for _, anchor in pairs if anchor is not None]
    return [
        Row(
            what=f"Redis memory per customer, top-{_LIST}, {_CUSTOMERS:,} customers",
            ours=f"{each:.0f} B",
            anchor="-",
            ratio=None,
            bar=f"<= {_BYTES_BAR} B",
            met=each <= _BYTES_BAR,
        ),
        Row(
            what="publishing, the whole protocol: pack, write, verify, swap",
            ours=f"{rate:,.0f} customers/s",
            anchor=f"redis-benchmark -P 64 SET, one key {median(anchors):,.0f}/s"
            if anchors
            else "redis-benchmark is not installed: SKIPPED",
            ratio=ratio,
            bar=f">= {_RATE_BAR} (stretch {_RATE_STRETCH})",
            met=None if ratio is None else ratio >= _RATE_BAR,
        ),
    ]


def write_scores(folder: Path, *, customers: int, rng: Generator) -> ScoresFolder:
    """A scores folder of generated lists: 20 distinct products each, popular ones more often."""
    folder.mkdir(parents=True)
    products = pl.Series([f"p{number:05d}" for number in range(_PRODUCTS)])
    names = pl.Series([f"c{number:08d}" for number in range(customers)])
    starts = (rng.beta(1, 3, customers) * _PRODUCTS).astype(np.int64)
    steps = 1 + 2 * rng.integers(0, 40, customers)
    listed = (starts[:, None] + steps[:, None] * np.arange(_LIST)) % _PRODUCTS
    score = -np.sort(-rng.random((customers, _LIST)), axis=1)
    pl.DataFrame(
        {
            "customer_id": names.gather(np.repeat(np.arange(customers), _LIST)),
            "product_id": products.gather(listed.ravel()),
            "score": score.ravel(),
            "rank": np.tile(np.arange(1, _LIST + 1), customers),
            "model": pl.repeat("bench/1", customers * _LIST, eager=True),
            "reason": pl.repeat("bought_together", customers * _LIST, eager=True),
            "because": products.gather((listed.ravel() + 1) % _PRODUCTS),
            "probability": None,
        }
    ).cast(columns.SCORES).write_parquet(folder / "part-00000.parquet")
    pl.DataFrame(
        {"customer_id": names, "segment": None, "held": [[]] * customers, "cold": False},
        schema=CUSTOMERS,
    ).write_parquet(folder / "customers.parquet")
    catalogue = pl.DataFrame({"product_id": products, "name": products, "status": "active"})
    missing = {
        column.name: pl.lit(None, column.dtype)
        for column in columns.PRODUCTS.columns
        if column.name not in catalogue.columns
    }
    catalogue.with_columns(**missing).with_columns(repeatable=pl.lit(value=True)).select(
        columns.PRODUCTS.names
    ).cast(columns.PRODUCTS.schema()).write_parquet(folder / "products.parquet")
    pl.DataFrame(
        {
            "segment": None,
            "product_id": products.head(100),
            "score": np.linspace(1, 0.1, 100),
            "rank": np.arange(1, 101),
        }
    ).cast(POPULAR).write_parquet(folder / "popular.parquet")
    pl.DataFrame(schema=SIMILAR).write_parquet(folder / "similar.parquet")
    now = SystemClock().now()
    return write_manifest(
        folder,
        model="bench/1",
        model_run="bench",
        trained_at=now,
        created_at=now,
        dataset="generated",
        dataset_at=now,
        top_n=_LIST,
    )


def _redis_benchmark(home: Path) -> float | None:
    program = shutil.which("redis-benchmark")
    socket = next((home / "redis").glob("*.sock"), None)
    if program is None or socket is None:
        return None
    done = subprocess.run(  # noqa: S603 - found on PATH
        [
            program,
            "-s",
            str(socket),
            "-t",
            "set",
            "-P",
            "64",
            "-n",
            "1000000",
            "-d",
            "200",
            "--csv",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout.strip().splitlines()[-1].split(",")[1].strip('"'))
