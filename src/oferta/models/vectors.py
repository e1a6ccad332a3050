"""A fitted model that is vectors of customers and products, with a fold-in for changed pasts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oferta.errors import ArtefactInvalid
from oferta.interactions.histories import Histories
from oferta.models.attributes import customer_effects, describe_products
from oferta.models.data import TrainingData
from oferta.models.protocol import Arrays, Embeddings
from oferta.scoring.fold_in import FoldIn
from oferta.scoring.live import EmbeddingScorer
from oferta.scoring.packed import pack_live, unpack_live
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
        """`customers` and the arrays of the live scorer."""
        return {"customers": self.customers, **pack_live(self.scorer)}


def vectors_of(
    data: TrainingData,
    *,
    products: NDArray[np.float32],
    fold_in: FoldIn,
    customers: NDArray[np.float32] | None = None,
) -> FittedVectors:
    """The model of these product vectors, for customers with a past, without one, and changed.

    `customers` None: folded in from their pasts. Rows of customers without a past, and those of
    products that nobody chose, are made here, of features where the data has any.
    """
    if customers is None:
        nothing = np.zeros((1, products.shape[1]), np.float32)
        customers = EmbeddingScorer(products, nothing, fold_in).vectors(data.histories)
    cold = mean_vectors(data, customers)
    return completed(
        data,
        customers=customers,
        scorer=EmbeddingScorer(
            products=describe_products(data, products),
            cold=cold,
            fold_in=fold_in,
            attributes=customer_effects(data, customers, base=cold),
        ),
    )


def completed(
    data: TrainingData, *, customers: NDArray[np.float32], scorer: EmbeddingScorer
) -> FittedVectors:
    """The model of `scorer`, which says the vectors of customers without a past."""
    empty = np.flatnonzero(np.diff(data.histories.indptr) == 0)
    customers[empty] = scorer.vectors(data.histories.take(empty))
    return FittedVectors(customers, scorer)


def restore_vectors(arrays: Arrays) -> FittedVectors:
    """The model that `FittedVectors.arrays` gave.

    Raises:
        ArtefactInvalid: an array is missing, of a wrong dtype, or vectors are of different lengths.
    """
    customers = take_array(arrays, "customers", np.float32, 2)
    take_array(arrays, "precision", np.float32, 2)
    scorer = unpack_live({name: one for name, one in arrays.items() if name != "customers"})
    if not isinstance(scorer, EmbeddingScorer) or customers.shape[1] != scorer.products.shape[1]:
        raise ArtefactInvalid("model arrays", "customers and products have unlike vectors")
    return FittedVectors(customers, scorer)


def length_of(factors: int, n_products: int) -> int:
    """How long the vectors of a catalogue are: `factors`, at most half as many as products.

    With more, a model of few products remembers every customer and foresees nothing.
    """
    return min(factors, max(n_products // 2, 1))


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
