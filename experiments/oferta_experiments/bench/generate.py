"""Generated customers of any number, for growth and speed: simulated, and only that.

Products are in groups; a customer prefers two of the groups and popular products within them, so
that models have something to learn. Written in bounded memory.
"""

from pathlib import Path

import numpy as np
import polars as pl
from numpy.random import Generator
from numpy.typing import NDArray

_GROUPS = 40
_BLOCK = 100_000
_OWN_TASTE = 0.7  # share of purchases within the two groups a customer prefers
_YEAR_S = 365 * 86_400
_START_S = 1_735_689_600  # 2025-01-01


def write_source(
    folder: Path, *, customers: int, products: int, events_each: int, rng: Generator
) -> None:
    """Write `events/*.parquet`, `products.parquet` and `customers.parquet` into `folder`.

    A customer has 1 to `2 * events_each - 1` purchases in one year.
    """
    (folder / "events").mkdir(parents=True, exist_ok=True)
    group = rng.integers(0, _GROUPS, products)
    popularity = np.arange(1, products + 1, dtype=np.float64) ** -0.8
    names = pl.Series([f"p{number:05d}" for number in range(products)])
    pl.DataFrame(
        {
            "product_id": names,
            "name": [f"Product {number}" for number in range(products)],
            "category": [f"group {number}" for number in group],
        }
    ).write_parquet(folder / "products.parquet")
    ids = pl.Series("customer_id", [f"c{number:08d}" for number in range(customers)])
    ids.to_frame().write_parquet(folder / "customers.parquet")
    for part, start in enumerate(range(0, customers, _BLOCK)):
        block = ids[start : start + _BLOCK]
        owner, chosen, at = _purchases(len(block), group, popularity, events_each, rng)
        pl.DataFrame(
            {
                "customer_id": block.gather(owner),
                "product_id": names.gather(chosen),
                "event_type": pl.repeat("purchase", len(owner), eager=True),
                "timestamp": pl.Series(at * 1_000_000).cast(pl.Datetime("us", "UTC")),
            }
        ).write_parquet(folder / "events" / f"part-{part:04d}.parquet")


def _purchases(
    customers: int,
    group: NDArray[np.int64],
    popularity: NDArray[np.float64],
    events_each: int,
    rng: Generator,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    count = rng.integers(1, 2 * events_each, customers)
    owner = np.repeat(np.arange(customers), count)
    taste = rng.integers(0, _GROUPS, (customers, 2))
    wanted = np.where(
        rng.random(len(owner)) < _OWN_TASTE,
        taste[owner, rng.integers(0, 2, len(owner))],
        rng.integers(0, _GROUPS, len(owner)),
    )
    chosen = np.empty(len(owner), np.int64)
    for one in range(_GROUPS):
        members = np.flatnonzero(group == one)
        members = members if len(members) else np.arange(len(group))
        share = popularity[members] / popularity[members].sum()
        asked = wanted == one
        chosen[asked] = rng.choice(members, asked.sum(), p=share)
    at = _START_S + rng.integers(0, _YEAR_S, len(owner))
    return owner, chosen, at
