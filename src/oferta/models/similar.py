"""Products alike: by the angle between their vectors."""

import numpy as np
from numpy.typing import NDArray

from oferta.scoring.topk import ProductMask, TopK, top_k

_ROWS = 1024


def similar_products(
    vectors: NDArray[np.float32], k: int, *, offerable: NDArray[np.bool_] | None = None
) -> TopK:
    """For each product the `k` others of largest cosine; `scores` are the cosines.

    Never the product itself. A product whose vector is zero or not finite (nobody chose it) has no
    list and is in none. `offerable`: `(products,) bool`, who may be listed.
    """
    size = len(vectors)
    k = min(k, size)
    clean = np.where(np.isfinite(vectors).all(axis=1, keepdims=True), vectors, 0)
    length = np.linalg.norm(clean.astype(np.float64), axis=1)
    alive = length > 0
    unit = (clean / np.where(alive, length, 1)[:, None]).astype(np.float32)
    allowed = alive if offerable is None else alive & offerable
    products = np.full((size, k), -1, np.int32)
    scores = np.full((size, k), -np.inf, np.float32)
    for start in range(0, size, _ROWS):
        rows = np.arange(start, min(start + _ROWS, size))
        cosine = unit[rows] @ unit.T
        cosine[rows - start, rows] = -np.inf
        cosine[~alive[rows]] = -np.inf
        best = top_k(cosine, k, mask=ProductMask(allowed))
        products[rows], scores[rows] = best.products, best.scores
    return TopK(products, scores)
