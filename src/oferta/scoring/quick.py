"""A live scorer for single customers, thousands of times: what repeats is worked out once.

The lists are those of the scorer itself. Batches of millions use that one; here a call is of one
customer, or of some hundred, and costs what their pasts cost.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from oferta.interactions.histories import Histories
from oferta.interactions.ranges import indices_of_ranges
from oferta.scoring.blas import one_blas_thread
from oferta.scoring.fold_in import (
    Eigenspace,
    because_vectors,
    eigenspace,
    fold_in_vectors,
)
from oferta.scoring.live import (
    EmbeddingScorer,
    LiveScorer,
    NeighbourScorer,
    largest_terms,
    past_weights,
    segment_rows,
)

ScorerKind = Literal["embedding", "neighbours"]


@dataclass(frozen=True, slots=True, eq=False)
class Quick:
    """A live scorer with what it needs for every customer. Immutable; safe between threads."""

    scorer: LiveScorer
    space: Eigenspace | None = None

    @property
    def kind(self) -> ScorerKind:
        """Which of the two shapes it has."""
        return "embedding" if isinstance(self.scorer, EmbeddingScorer) else "neighbours"

    @property
    def products(self) -> int:
        """How many products it scores."""
        scorer = self.scorer
        return len(scorer.products if isinstance(scorer, EmbeddingScorer) else scorer.base.T)

    @property
    def hears(self) -> bool:
        """Whether what a customer did changes anything about their scores."""
        scorer = self.scorer
        if isinstance(scorer, EmbeddingScorer):
            return scorer.fold_in is not None
        return bool(len(scorer.neighbour))

    @property
    def ordered(self) -> bool:
        """Whether the order of a past matters."""
        return isinstance(self.scorer, NeighbourScorer) and self.scorer.step_decay != 1.0

    @one_blas_thread()
    def score(self, histories: Histories) -> NDArray[np.float32]:
        """`(customers, products) float32`, as the scorer's own; the caller may overwrite it."""
        scorer = self.scorer
        if not isinstance(scorer, EmbeddingScorer) or scorer.fold_in is None:
            return scorer.score(histories)
        vectors = scorer.cold[segment_rows(histories, len(scorer.cold))]
        fold_in_vectors(scorer.fold_in, scorer.products, histories, into=vectors, space=self.space)
        return np.asarray(vectors @ scorer.products.T)

    def because(self, histories: Histories, products: NDArray[np.int32]) -> NDArray[np.int32]:
        """`(customers, k) int32`, as the scorer's own."""
        scorer = self.scorer
        if isinstance(scorer, NeighbourScorer):
            return _named_neighbours(scorer, histories, products)
        if scorer.fold_in is None:
            return scorer.because(histories, products)
        return because_vectors(
            scorer.fold_in, scorer.products, histories, products, space=self.space
        )


def quick(scorer: LiveScorer) -> Quick:
    """Prepare `scorer`: some milliseconds, and as much memory again as product vectors take."""
    if isinstance(scorer, EmbeddingScorer) and scorer.fold_in is not None:
        return Quick(scorer, eigenspace(scorer.fold_in, scorer.products))
    return Quick(scorer)


def _named_neighbours(
    scorer: NeighbourScorer, histories: Histories, products: NDArray[np.int32]
) -> NDArray[np.int32]:
    # A table from product to place in the list: the scorer's own search sorts all its weights.
    named = np.full(products.shape, -1, np.int32)
    if not len(scorer.neighbour) or not products.shape[1]:
        return named
    weights = past_weights(histories, step_decay=scorer.step_decay, binary=scorer.binary)
    place = np.full(scorer.base.shape[1], -1, np.int32)
    for row, listed in enumerate(products):
        past = slice(int(histories.indptr[row]), int(histories.indptr[row + 1]))
        own = histories.product[past]
        if not len(own):
            continue
        known = listed[listed >= 0]
        place[known] = np.arange(len(known), dtype=np.int32)
        starts = scorer.indptr[own]
        sizes = scorer.indptr[own + 1] - starts
        at = indices_of_ranges(starts, sizes)
        column = place[scorer.neighbour[at]]
        entry = np.repeat(np.arange(len(own)), sizes)
        met = (column >= 0) & (scorer.neighbour[at] != own[entry])
        terms = np.zeros((len(own), products.shape[1]), np.float32)
        terms[entry[met], column[met]] = scorer.weight[at[met]] * weights[past][entry[met]]
        named[row] = largest_terms(histories.slice(row, row + 1), terms)[0]
        place[known] = -1
    return named
