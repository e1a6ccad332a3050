"""A fitted model that is a matrix: what having one product says for every other."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from oferta.errors import ArtefactInvalid
from oferta.interactions.histories import Histories
from oferta.models.protocol import Arrays, Embeddings
from oferta.scoring.live import NeighbourScorer, past_weights, segment_rows
from oferta.scoring.reasons import Reason
from oferta.scoring.stored import take_array

NEIGHBOURS = 200
"""Entries a row that travel to serving, at least; more where the catalogue is small."""

LIVE_ENTRIES = 4_000_000
"""Entries in all that may travel, 32 MB. On ml-1m 200 a row gave .87 of EASE's own top 20, 1,000
gave .97: long pasts are sums of many small weights."""

TIE = 1e-6
"""What the base row's largest entry is scaled to where it must only break ties and serve customers
without a past: below the resolution that any metric sees, above that of float32 near zero."""

_ROWS = 512
_DENSE_CUT_FROM = 0.05  # density above which partitioning whole rows beats sorting the entries
_DENSE_FROM = 0.02  # density of the past above which a BLAS product beats the sparse one

Weights: TypeAlias = "NDArray[np.float32] | csr_array"


@dataclass(frozen=True, slots=True, eq=False)
class FittedItemToItem:
    """Score = base of the segment + past times weights.

    Attributes:
        weights: `(products, products) float32`, dense or sparse with sorted rows: row `i` is what
            having `i` says.
        base: `(segments + 1, products) float32`, for every customer by segment; last: unknown.
        step_decay: what one step back in the past is multiplied by.
        binary: whether any past weight counts as one.
        reason: why this model lists a product.
    """

    weights: Weights
    base: NDArray[np.float32]
    step_decay: float
    binary: bool
    reason: Reason

    def score(self, histories: Histories) -> NDArray[np.float32]:
        """`(customers, products) float32`: `past @ weights + base`."""
        width = self.base.shape[1]
        weight = past_weights(histories, step_decay=self.step_decay, binary=self.binary)
        past = csr_array(
            (weight, histories.product, histories.indptr), shape=(len(histories), width)
        )
        scores = self._times(past)
        scores += self.base[segment_rows(histories, len(self.base))]
        return scores

    def _times(self, past: csr_array) -> NDArray[np.float32]:
        if isinstance(self.weights, csr_array):
            return (past @ self.weights).toarray()
        dense = past.nnz > _DENSE_FROM * past.shape[0] * past.shape[1]
        return np.asarray((past.toarray() if dense else past) @ self.weights)

    def live_scorer(self) -> NeighbourScorer:
        """The largest weights of each row by magnitude; all where the catalogue is small."""
        width = self.base.shape[1]
        cut = strongest(self.weights, max(NEIGHBOURS, LIVE_ENTRIES // max(width, 1)))
        return NeighbourScorer(
            indptr=cut.indptr.astype(np.int64),
            neighbour=cut.indices.astype(np.int32),
            weight=cut.data,
            base=self.base,
            step_decay=self.step_decay,
            binary=self.binary,
        )

    def embeddings(self) -> Embeddings | None:
        """None: there are no vectors."""
        return None

    def arrays(self) -> Arrays:
        """`base`, and `weights` or the three arrays of its sparse form."""
        if not isinstance(self.weights, csr_array):
            return {"base": self.base, "weights": self.weights}
        return {
            "base": self.base,
            "indptr": self.weights.indptr.astype(np.int64),
            "indices": self.weights.indices.astype(np.int32),
            "data": self.weights.data,
        }


def restore_weights(arrays: Arrays) -> tuple[Weights, NDArray[np.float32]]:
    """`weights` and `base` from what `FittedItemToItem.arrays` gave.

    Raises:
        ArtefactInvalid: an array is missing, of a wrong dtype, or they do not fit together.
    """
    base = take_array(arrays, "base", np.float32, 2)
    width = base.shape[1]
    if "weights" in arrays:
        dense = take_array(arrays, "weights", np.float32, 2)
        if dense.shape != (width, width):
            raise ArtefactInvalid("model arrays", f"'weights' is {dense.shape}, base {base.shape}")
        return dense, base
    indptr = take_array(arrays, "indptr", np.int64, 1)
    indices = take_array(arrays, "indices", np.int32, 1)
    data = take_array(arrays, "data", np.float32, 1)
    fits = (
        len(indptr) == width + 1
        and indptr[0] == 0
        and indptr[-1] == len(indices) == len(data)
        and bool((np.diff(indptr) >= 0).all())
        and (not len(indices) or (indices.min() >= 0 and indices.max() < width))
    )
    if not fits:
        raise ArtefactInvalid("model arrays", "the sparse weights do not fit together")
    return csr_array((data, indices, indptr), shape=(width, width)), base


def tie_breaker(share: NDArray[np.float32]) -> NDArray[np.float32]:
    """`share` scaled so that its largest entry is `TIE`."""
    return (share * (TIE / max(float(share.max(initial=0)), 1e-12))).astype(np.float32)


def strongest(weights: Weights, k: int) -> csr_array:
    """The `k` entries of each row that are largest by magnitude, no zeros, rows sorted.

    Of equals the one of the lower column stays.
    """
    size, width = weights.shape
    if isinstance(weights, csr_array) and weights.nnz < _DENSE_CUT_FROM * size * width:
        return _cut(weights, k)
    blocks = [
        _cut(_dense_cut(_dense(weights[start : start + _ROWS]), k), k)
        for start in range(0, size, _ROWS)
    ]
    cut: csr_array = vstack(blocks, format="csr")
    return cut


def _dense(block: Weights) -> NDArray[np.float32]:
    return block.toarray() if isinstance(block, csr_array) else block


def _dense_cut(block: NDArray[np.float32], k: int) -> csr_array:
    # All that may stay, ties at the k-th place included.
    size = np.abs(block)
    width = block.shape[1]
    if k < width:
        size[size < np.partition(size, width - k, axis=1)[:, width - k, None]] = 0
    rows, columns = np.nonzero(size)
    return csr_array((block[rows, columns], (rows, columns)), shape=block.shape)


def _cut(weights: csr_array, k: int) -> csr_array:
    weights.sort_indices()
    lengths = np.diff(weights.indptr)
    owner = np.repeat(np.arange(weights.shape[0]), lengths)
    keep = weights.data != 0
    long = np.flatnonzero((lengths > k)[owner])
    if len(long):
        order = long[np.lexsort((weights.indices[long], -np.abs(weights.data[long]), owner[long]))]
        first = np.searchsorted(owner[order], owner[order])
        keep[order[np.arange(len(order)) - first >= k]] = False
    indptr = np.concatenate([[0], np.cumsum(np.bincount(owner[keep], minlength=len(lengths)))])
    return csr_array((weights.data[keep], weights.indices[keep], indptr), shape=weights.shape)
