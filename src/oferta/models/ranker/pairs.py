"""Pairs of a customer and a candidate product, and what is known of each, for trees that rank."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from oferta.interactions.histories import Histories
from oferta.models.ranker.profile import Known, customer_columns
from oferta.scoring.topk import ProductMask, top_k

PART_COLUMNS = 3
"""Columns of each part: score, distance from the best, rank."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Candidate products by customer.

    Attributes:
        indptr: `(customers + 1,) int64`; those of customer `u` are `product[indptr[u]:...]`.
        product: `(pairs,) int32`, ascending within a customer.
        parts: `(pairs, 3 * parts) float32`: of each part the product's score, by how many times
            the scores' spread it is below the customer's best, and the rank in the part's list
            (from 1; one more than the longest list where the part did not list it).
    """

    indptr: NDArray[np.int64]
    product: NDArray[np.int32]
    parts: NDArray[np.float32]

    def owners(self) -> NDArray[np.int64]:
        """`(pairs,)`: the customer of each."""
        return np.repeat(np.arange(len(self.indptr) - 1), np.diff(self.indptr))


def candidates_of(
    scores: Sequence[NDArray[np.float32]], n: int, *, mask: ProductMask
) -> Candidates:
    """The `n` best of each of `scores` `(customers, products)` that `mask` allows, united."""
    customers, products = scores[0].shape
    lists = [top_k(one.copy(), n, mask=mask) for one in scores]
    cells = np.concatenate(
        [
            (np.arange(customers)[:, None] * products + one.products)[one.products >= 0]
            for one in lists
        ]
    )
    cells = np.unique(cells)
    row, product = cells // products, (cells % products).astype(np.int32)
    columns = []
    for one, listed in zip(scores, lists, strict=True):
        value = one[row, product]
        rank = np.full(len(cells), n + 1, np.float32)
        ranked = np.nonzero(listed.products >= 0)
        at = np.searchsorted(cells, ranked[0] * products + listed.products[ranked])
        rank[at] = ranked[1] + 1
        best = listed.scores[:, 0] if listed.scores.shape[1] else np.zeros(customers)
        columns += [value, ((best[row] - value) / _spread(one)[row]), rank]
    counts = np.bincount(row, minlength=customers)
    return Candidates(
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        product,
        np.stack(columns, axis=1).astype(np.float32),
    )


def _spread(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    found = scores.std(axis=1)
    return np.asarray(np.where(found > 0, found, 1), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class ProductFacts:
    """What is known of products.

    Attributes:
        columns: `(products, 2) float32`: log of the holders, of the share lately.
        traits: `(products, features) float32`, rows of length one; None without features.
    """

    columns: NDArray[np.float32]
    traits: csr_array | None


def pair_columns(
    histories: Histories, candidates: Candidates, facts: ProductFacts, *, known: Known
) -> NDArray[np.float32]:
    """`(pairs, columns) float32`: parts, pair, product, customer."""
    owner = candidates.owners()
    return np.hstack(
        [
            candidates.parts,
            _past_columns(histories, candidates, owner),
            _likeness(histories, candidates, facts, owner),
            facts.columns[candidates.product],
            customer_columns(histories, known)[owner],
        ]
    )


def _past_columns(
    histories: Histories, candidates: Candidates, owner: NDArray[np.int64]
) -> NDArray[np.float32]:
    # Weight, count, recency and age of the product in the customer's past; NaN where it is not.
    width = int(max(candidates.product.max(initial=0), histories.product.max(initial=0))) + 1
    held = histories.owners() * width + histories.product
    asked = owner * width + candidates.product
    found = np.full((len(asked), 4), np.nan, np.float32)
    if not len(held):
        return found
    at = np.minimum(np.searchsorted(held, asked), len(held) - 1)
    there = held[at] == asked
    entry = at[there]
    for column, values in enumerate(
        (histories.weight, histories.count, histories.recency, histories.age_days)
    ):
        if values is not None:
            found[there, column] = values[entry]
    return found


def _likeness(
    histories: Histories, candidates: Candidates, facts: ProductFacts, owner: NDArray[np.int64]
) -> NDArray[np.float32]:
    # Share of the past that has the candidate's features: cosine of the two.
    traits = facts.traits
    if traits is None:
        return np.zeros((len(owner), 0), np.float32)
    past = csr_array(
        (histories.weight, histories.product, histories.indptr),
        shape=(len(histories), traits.shape[0]),
    )
    likes: csr_array = past @ traits
    taste = likes.toarray()
    taste /= np.maximum(np.linalg.norm(taste, axis=1, keepdims=True), 1e-12)
    said = np.empty(len(owner), np.float32)
    for start in range(0, len(owner), 1 << 18):
        piece = slice(start, start + (1 << 18))
        rows: csr_array = traits[candidates.product[piece]]
        entries = np.repeat(owner[piece], np.diff(rows.indptr))
        terms = rows.data * taste[entries, rows.indices]
        row = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
        said[piece] = np.bincount(row, terms, rows.shape[0])
    return said[:, None]
