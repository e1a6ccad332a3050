"""A pair of a customer and a product as one row of numbers: what trees read."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from oferta.models.propensity.knowledge import Knowledge

OF_A_PAIR: Final = (
    "product",
    "category",
    "price",
    "base",
    "score",
    "behind",
    "bought",
    "met",
    "recent",
    "ends",
    "category_bought",
    "category_met",
    "category_ends",
)
"""Columns before the customer's facts. `score` and how far it is behind the customer's best are the
model's; the ages of a category are those of its product that is nearest in time."""

CATEGORICAL: Final = (0, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """What is known of products.

    Attributes:
        category: `(products,) int32`: a code each.
        price: `(products,) float32`: log of one more than it, NaN where it is not known.
    """

    category: NDArray[np.int32]
    price: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.category)


def pair_columns(
    known: Knowledge,
    scores: NDArray[np.float32],
    described: Described,
    *,
    rows: NDArray[np.integer],
) -> NDArray[np.float32]:
    """`(customers, products, columns) float32` of the customers at `rows`, ascending.

    `scores`: `(customers, products)` of the model that scores them.
    """
    bought, met, ends = (each.of_rows(rows) for each in (known.bought, known.met, known.ends))
    running = np.where(ends >= 0, ends, np.float32(np.nan))
    blocks = (
        np.arange(len(described)),
        described.category,
        described.price,
        log_odds(known.base),
        scores,
        scores.max(axis=1, keepdims=True) - scores,
        bought,
        met,
        np.nan_to_num(known.recent.of_rows(rows)),
        ends,
        *(_nearest(each, described.category) for each in (bought, met, running)),
    )
    facts = known.facts[rows]
    columns = np.empty((*scores.shape, len(blocks) + facts.shape[1]), np.float32)
    for place, block in enumerate(blocks):
        columns[:, :, place] = block
    columns[:, :, len(blocks) :] = facts[:, None, :]
    return columns


def log_odds(share: NDArray[np.floating]) -> NDArray[np.float64]:
    """The log of the odds of a share between 0 and 1, both excluded."""
    exact = np.asarray(share, np.float64)
    return np.asarray(np.log(exact / (1 - exact)))


def _nearest(days: NDArray[np.float32], category: NDArray[np.int32]) -> NDArray[np.float32]:
    """`(customers, products)`: the least of the customer's days over products of the category."""
    least = np.full((len(days), int(category.max(initial=-1)) + 1), np.inf, np.float32)
    filled = np.where(np.isnan(days), np.float32(np.inf), days)
    for product, own in enumerate(category.tolist()):
        np.minimum(least[:, own], filled[:, product], out=least[:, own])
    return np.where(np.isinf(least), np.float32(np.nan), least)[:, category]
