"""Numbers as rows of a scores folder's tables."""

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from oferta import columns
from oferta.interactions.idmap import IdMap
from oferta.models.data import TrainingData
from oferta.models.similar import similar_products
from oferta.scoring.reasons import REASONS
from oferta.scoring.topk import TopK
from oferta_training.scores import CUSTOMERS, SIMILAR


def customer_rows(data: TrainingData, held: pl.DataFrame, said: Mapping[str, bool]) -> pl.DataFrame:
    """CUSTOMERS, and `personalisation`: whether they agreed to it; null: they did not say.

    Args:
        data: the customers.
        held: `customer, product` rows of what may not be offered again.
        said: by customer, who agreed or refused by the source.
    """
    labels = pl.Series("segment", [*data.segments, None], dtype=pl.String)
    code = data.histories.segment
    lists = (
        held.with_columns(data.products.take(held["product"].to_numpy()).alias("id"))
        .group_by("customer")
        .agg(pl.col("id").sort())
    )
    return (
        pl.DataFrame(
            {
                "customer_id": data.customers.ids,
                "segment": labels.gather(np.where(code < 0, len(data.segments), code)),
                "cold": np.diff(data.histories.indptr) == 0,
            }
        )
        .with_row_index("customer")
        .with_columns(pl.col("customer").cast(pl.Int32))
        .join(lists, on="customer", how="left", maintain_order="left")
        .select("customer_id", "segment", pl.col("id").fill_null([]).alias("held"), "cold")
        .cast(CUSTOMERS)
        .with_columns(
            pl.Series("personalisation", map(said.get, data.customers.ids), dtype=pl.Boolean)
        )
    )


def similar_rows(
    vectors: NDArray[np.float32], products: IdMap, n: int, *, sellable: NDArray[np.bool_]
) -> pl.DataFrame:
    """SIMILAR: the `n` products nearest to each by `vectors`, of those that are sellable."""
    best = similar_products(vectors, n, offerable=sellable)
    return (
        _long(best, owners=products.ids)
        .rename({"id": "product_id", "product": "similar"})
        .with_columns(products.take(best.products[best.products >= 0]).alias("similar_id"))
        .select(SIMILAR.names())
        .cast(SIMILAR)
    )


def score_rows(
    data: TrainingData,
    start: int,
    best: TopK,
    *,
    because: NDArray[np.int32],
    reason: NDArray[np.uint8],
    chance: NDArray[np.float32],
) -> pl.DataFrame:
    """SCORES of the customers from `start` on, but for the model's name."""
    listed = best.products >= 0
    ids = data.customers.ids.slice(start, len(best.products))
    owner = np.nonzero(listed)[0]
    named = np.where((reason < REASONS.index("popular_in_segment"))[:, None], because, -1)
    return (
        _long(best, owners=ids)
        .with_columns(
            data.products.take(best.products[listed]).alias("product_id"),
            pl.lit("").alias("model"),
            pl.Series("reason", REASONS, dtype=pl.String).gather(reason[owner]),
            data.products.take(named[listed]).alias("because"),
            pl.Series("probability", chance[listed]).fill_nan(None),
        )
        .rename({"id": "customer_id"})
        .select(columns.SCORES.names())
        .cast(columns.SCORES)
    )


def _long(best: TopK, *, owners: pl.Series) -> pl.DataFrame:
    """`id, product, score, rank` rows of lists, the lists' owners being `ids`."""
    listed = best.products >= 0
    owner, rank = np.nonzero(listed)
    return pl.DataFrame(
        {
            "id": owners.gather(owner),
            "product": best.products[listed],
            "score": best.scores[listed],
            "rank": (rank + 1).astype(np.uint32),
        }
    )
