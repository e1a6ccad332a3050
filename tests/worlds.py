"""Small worlds whose right answer is known by construction. Rectangular, with unequal blocks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from oferta.events.types import event_types
from oferta.interactions.idmap import IdMap
from oferta.interactions.segments import Segments
from oferta.interactions.weighting import Weighting
from oferta.models.build import training_data
from oferta.models.data import TrainingData

DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True, eq=False)
class BlockWorld:
    """Blocks of customers, each with its own products; each customer lacks one of their block.

    Attributes:
        data: what models are fitted on; a customer's segment is their block.
        missing: `(customers,)`, the product that each customer lacks: what to recommend first.
        block: `(customers,)`, each customer's block.
        product_block: `(products,)`, each product's block.
    """

    data: TrainingData
    missing: NDArray[np.int32]
    block: NDArray[np.int32]
    product_block: NDArray[np.int32]


def events(rows: Sequence[tuple[object, ...]], *names: str) -> pl.LazyFrame:
    """Events from tuples; `names` default to customer_id, product_id, event_type, seq."""
    columns = names or ("customer_id", "product_id", "event_type", "seq")
    return pl.DataFrame(
        list(rows), schema=list(columns), orient="row", infer_schema_length=None
    ).lazy()


def read(
    frame: pl.LazyFrame,
    *,
    customers: IdMap | None = None,
    products: IdMap | None = None,
    segments: Segments | None = None,
    weighting: Weighting | None = None,
    now_us: int | None = None,
) -> TrainingData:
    """`frame` as training data over the ids in it."""
    whole = frame.collect()
    return training_data(
        frame,
        customers=customers or IdMap.of(whole["customer_id"]),
        products=products or IdMap.of(whole["product_id"]),
        types=event_types(),
        weighting=weighting or Weighting(),
        now_us=now_us,
        segments=segments,
    )


def block_world(
    blocks: Sequence[tuple[int, int]] = ((40, 5), (27, 8), (61, 4)), *, ordered: bool = True
) -> BlockWorld:
    """Blocks of (customers, products).

    A customer buys the products of their block in a circle, beginning after the one they lack: so
    the one they lack is also the one that comes next.
    """
    rows, missing, block = [], [], []
    for number, (customers, products) in enumerate(blocks):
        for customer in range(customers):
            lacks = customer % products
            for step in range(products - 1):
                product = (lacks + 1 + step) % products
                rows.append(
                    (f"c{number}-{customer:03}", f"p{number}-{product}", "purchase", step + 1)
                )
            missing.append(f"p{number}-{lacks}")
            block.append(number)
    frame = events(rows)
    ids = IdMap.of([row[0] for row in rows])  # in the order of the loop: ids sort that way
    codes = np.array(block, np.int32)
    segments = Segments(tuple(f"block={number}" for number in range(len(blocks))), codes)
    data = read(frame if ordered else frame.drop("seq"), customers=ids, segments=segments)
    product_block = [int(one[1 : one.index("-")]) for one in data.products.ids]
    return BlockWorld(
        data=data,
        missing=data.products.rows(missing),
        block=codes,
        product_block=np.array(product_block, np.int32),
    )


def random_world(
    *, customers: int = 70, products: int = 45, per_customer: int = 9, seed: int = 1
) -> TrainingData:
    """Random purchases, some repeated, with popular products; for oracles."""
    rng = np.random.default_rng(seed)
    popular = 1 / np.arange(1, products + 1)
    rows = [
        (f"c{customer:04}", f"p{product:03}", "purchase", step)
        for customer in range(customers)
        for step, product in enumerate(
            rng.choice(products, rng.integers(1, 2 * per_customer), p=popular / popular.sum())
        )
    ]
    return read(
        events(rows),
        customers=IdMap.of([f"c{one:04}" for one in range(customers)]),
        products=IdMap.of([f"p{one:03}" for one in range(products)]),
    )
