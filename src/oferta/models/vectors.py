"""A fitted model that is vectors of customers and products, with a fold-in for changed pasts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oferta.errors import ArtefactInvalid
from oferta.interactions.histories import Histories
from oferta.models.data import TrainingData
from oferta.models.protocol import Arrays, Embeddings
from oferta.scoring.live import EmbeddingScorer
from oferta.scoring.reasons import Reason
from oferta.scoring.stored import take_array

_SMOOTHING = 50.0  # customers of overall taste that each segment's mean starts with


@dataclass(frozen=True, slots=True, eq=False)
class FittedVectors:
    """Score = inner product of a customer's and a product's vector.

    Attributes:
        customers: `(customers, d) float32`, of the training data's rows.
        scorer: the products' vectors, those of customers without a past, and the fold-in.
    """

    customers: NDArray[np.float32]
    scorer: EmbeddingScorer
    reason: Reason = "similar_taste"

    def score(self, histories: Histories) -> NDArray[np.float32]:
        """`(customers, products) float32`: stored vectors for known customers, else folded in."""
        return np.asarray(self.vectors(histories) @ self.scorer.products.T)

    def vectors(self, histories: Histories) -> NDArray[np.float32]:
        """`(customers, d) float32`."""
        stored = (histories.known >= 0) & (np.diff(histories.indptr) > 0)
        vectors = np.empty((len(histories), self.customers.shape[1]), np.float32)
        vectors[stored] = self.customers[histories.known[stored]]
        if not stored.all():
            others = np.flatnonzero(~stored)
            vectors[others] = self.scorer.vectors(histories.take(others))
        return vectors

    def live_scorer(self) -> EmbeddingScorer:
        """The products' vectors and the fold-in."""
        return self.scorer

    def embeddings(self) -> Embeddings | None:
        """The vectors of customers and products."""
        return Embeddings(self.customers, self.scorer.products)

    def arrays(self) -> Arrays:
        """`customers`, `products`, `cold`."""
        return {
            "customers": self.customers,
            "products": self.scorer.products,
            "cold": self.scorer.cold,
        }


def restore_vectors(
    arrays: Arrays, *, length: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """`customers`, `products` and `cold` from what `FittedVectors.arrays` gave.

    Raises:
        ArtefactInvalid: an array is missing, of a wrong dtype, or its vectors are not `length`.
    """
    customers = take_array(arrays, "customers", np.float32, 2)
    products = take_array(arrays, "products", np.float32, 2)
    cold = take_array(arrays, "cold", np.float32, 2)
    if not customers.shape[1] == products.shape[1] == cold.shape[1] == length:
        raise ArtefactInvalid("model arrays", f"vectors are not {length} long")
    return customers, products, cold


def mean_vectors(data: TrainingData, customers: NDArray[np.float32]) -> NDArray[np.float32]:
    """`(segments + 1, d) float32`: the mean customer of each segment, last: of all.

    Customers without a past do not count: theirs says nothing. Small segments lean on everybody.
    """
    past = data.histories
    buyers = np.flatnonzero(np.diff(past.indptr) > 0)
    rows = np.zeros((len(data.segments) + 1, customers.shape[1]), np.float64)
    if len(buyers):
        overall = customers[buyers].mean(axis=0, dtype=np.float64)
        segment = past.segment[buyers]
        np.add.at(rows, segment[segment >= 0], customers[buyers[segment >= 0]])
        size = np.bincount(segment[segment >= 0], minlength=len(rows))[:, None]
        rows = (rows + _SMOOTHING * overall) / (size + _SMOOTHING)
    return rows.astype(np.float32)
