"""A small shop as source files: two kinds of customers who buy from two kinds of products.

Car owners buy `car-*`, home owners `home-*`, in unequal numbers; everybody buys `account`. So the
right next product of a customer is one of their own kind, by construction.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
from numpy.random import default_rng

CAR = tuple(f"car-{number}" for number in range(9))
HOME = tuple(f"home-{number}" for number in range(7))
START = datetime(2025, 1, 1, tzinfo=UTC)
CAR_OWNERS, HOME_OWNERS = 90, 50
LONELY = "nobody-1"  # a customer without events


def write_shop(folder: Path, *, seed: int = 1) -> Path:
    """Events, products and customers as CSV. 181 days; the last 28 hold a purchase of most."""
    folder.mkdir(parents=True)
    rng = default_rng(seed)
    rows: list[tuple[str, str, str, str]] = []
    for customer, kind in _customers():
        chosen = rng.permutation(kind)[:4].tolist()
        for place, product in enumerate(["account", *chosen]):
            day = 30 * place + int(rng.integers(0, 28)) + (30 if place == 4 else 0)
            rows.append((customer, product, "purchase", _at(day)))
            rows.append((customer, product, "view", _at(max(day - 1, 0))))
    frame = pl.DataFrame(
        rows, schema=["customer_id", "product_id", "event_type", "timestamp"], orient="row"
    )
    frame.sort("timestamp", "customer_id", "product_id").write_csv(folder / "events.csv")
    _products(folder)
    customers = [(customer, kind[0][:3]) for customer, kind in _customers()]
    pl.DataFrame(
        [*customers, (LONELY, "hom")], schema=["customer_id", "kind"], orient="row"
    ).write_csv(folder / "customers.csv")
    return folder


def _customers() -> Sequence[tuple[str, tuple[str, ...]]]:
    return [
        *((f"c{number:03d}", CAR) for number in range(CAR_OWNERS)),
        *((f"h{number:03d}", HOME) for number in range(HOME_OWNERS)),
    ]


def _products(folder: Path) -> None:
    """`car-0` is hidden, `home-0` has ended, `car-1` may be sold to a customer again, as the
    job says of no other."""
    rows = [
        (
            product,
            product.replace("-", " ").capitalize(),
            product.partition("-")[0],
            "hidden" if product == "car-0" else "active",
            "2025-06-01T00:00:00Z" if product == "home-0" else None,
            "true" if product == "car-1" else None,
        )
        for product in ("account", *CAR, *HOME)
    ]
    pl.DataFrame(
        rows,
        schema=["product_id", "name", "category", "status", "ends_at", "repeatable"],
        orient="row",
    ).write_csv(folder / "products.csv")


def _at(day: int) -> str:
    return (START + timedelta(days=day)).strftime("%Y-%m-%dT%H:%M:%SZ")
