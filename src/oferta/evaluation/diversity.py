"""How unlike each other the products of a list are, by who has them."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array

_CELLS = 8_000_000  # of a block of similarities, or of customers made dense: 32 MB
_GATHERED = 4_000_000  # similarities of list entries read at once
_SPARSE_S = 1e-8  # a pair of a sparse product
_DENSE_S = 1e-10  # a cell times a cell in BLAS


def diversity(
    lists: NDArray[np.int32], matrix: csr_array, *, k: Sequence[int]
) -> dict[int, NDArray[np.float64]]:
    """`k` -> `(rows,)`: 1 - the mean cosine of all pairs of the first `k` products of each list.

    The cosine of two products is of their columns in `matrix`: customers with both, by the root of
    customers with one times customers with the other (intra-list diversity, Ziegler et al. 2005,
    with who has both as similarity). A product that nobody has is like no other. Lists of fewer
    than two products are 0: there is nothing to vary.

    Args:
        lists: `(rows, longest)`, product rows, best first; -1 where a list is shorter.
        matrix: `(customers, products)`, of which only what is not 0 counts.
        k: lengths, none above `longest`.

    Memory: 100 MB beside what is given. Cost: that of the listed products' square, in blocks.
    """
    longest = lists.shape[1]
    total = np.zeros((len(lists), longest))  # by row and rank: similarity to all better ranks
    listed = np.unique(lists[lists >= 0])
    place = np.full(matrix.shape[1] + 1, len(listed), np.int64)  # the last: of -1, no product
    place[listed] = np.arange(len(listed))
    at = place[lists]
    owner, rank = np.nonzero(lists >= 0)
    order = np.argsort(at[owner, rank], kind="stable")
    owner, rank = owner[order], rank[order]
    product = at[owner, rank]
    for start, similar in _similarities(matrix, listed):
        low, high = np.searchsorted(product, [start, start + len(similar)])
        step = max(_GATHERED // longest, 1)
        for first in range(low, high, step):
            part = slice(first, min(first + step, high))
            others = at[owner[part]]
            known = similar[(product[part] - start)[:, None], others]
            better = np.arange(longest) < rank[part, None]
            total[owner[part], rank[part]] = (known * better).sum(axis=1)
    found = {}
    for length in k:
        size = (lists[:, :length] >= 0).sum(axis=1)
        pairs = size * (size - 1) / 2
        mean = total[:, :length].sum(axis=1) / np.maximum(pairs, 1)
        found[length] = np.where(pairs > 0, 1 - mean, 0.0)
    return found


def _similarities(
    matrix: csr_array, listed: NDArray[np.integer]
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Blocks of rows of the listed products' similarities, and where each begins.

    `(block, listed + 1)`: the last column, of no product, is 0.
    """
    had = csc_array(matrix)[:, listed]
    had = csc_array((np.ones(had.nnz, np.float32), had.indices, had.indptr), shape=had.shape)
    rows = csr_array(had)
    holders = np.diff(had.indptr)
    norm = np.sqrt(np.maximum(holders, 1)).astype(np.float32)
    per_customer = np.diff(rows.indptr).astype(np.float64)
    dense_s = float(had.shape[0]) * len(listed) ** 2 * _DENSE_S
    is_dense = dense_s < float((per_customer**2).sum()) * _SPARSE_S
    block = max(_CELLS // (len(listed) + 1), 1)
    for start in range(0, len(listed), block):
        stop = min(start + block, len(listed))
        both = np.zeros((stop - start, len(listed) + 1), np.float32)
        if is_dense:
            for part in _dense(rows):
                both[:, :-1] += part[:, start:stop].T @ part
        else:
            both[:, :-1] = (had[:, start:stop].T @ rows).toarray()
        both[:, :-1] /= norm[start:stop, None] * norm
        yield start, both


def _dense(rows: csr_array) -> Iterator[NDArray[np.float32]]:
    step = max(_CELLS // max(rows.shape[1], 1), 1)
    for start in range(0, rows.shape[0], step):
        yield rows[start : start + step].toarray()
