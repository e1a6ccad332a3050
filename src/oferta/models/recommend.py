"""Lists for many customers from a fitted model, block by block, in bounded memory."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from oferta.interactions.histories import Histories
from oferta.progress import Progress
from oferta.scoring.topk import ProductMask, TopK, top_k

_BLOCK_BYTES = 16 << 20


class Scorer(Protocol):
    """Anything that scores pasts: a fitted model or a live scorer."""

    def score(self, histories: Histories) -> NDArray[np.float32]:
        """`(customers, products) float32`, freshly made."""
        ...


def block_size(n_products: int) -> int:
    """Customers a block: 16 MiB of scores, which is where the processor's cache still helps."""
    return max(64, min(8192, _BLOCK_BYTES // (4 * max(n_products, 1))))


def top_k_blocks(
    model: Scorer,
    histories: Histories,
    k: int,
    *,
    mask: ProductMask | None,
    block: int | None = None,
    progress: Progress,
) -> Iterator[tuple[int, TopK]]:
    """The `k` best products of every customer that `mask` allows, a block of customers at a time.

    Gives the first customer's row of each block with the block's lists. `mask` has one row of
    exclusions per customer of `histories`, where it has any. `block` None: a size that suits the
    cache.
    """
    if not len(histories):
        return
    with progress.task("recommend", total=len(histories)) as advance:
        start, size = 0, block or 64
        while start < len(histories):
            stop = min(start + size, len(histories))
            scores = model.score(histories.slice(start, stop))
            lists = top_k(scores, k, mask=None if mask is None else mask.slice(start, stop))
            yield start, lists
            advance(stop - start)
            start, size = stop, block or block_size(scores.shape[1])


def recommend(
    model: Scorer,
    histories: Histories,
    k: int,
    *,
    mask: ProductMask | None,
    block: int | None = None,
    progress: Progress,
) -> TopK:
    """The lists of all customers at once, see `top_k_blocks`; at most as wide as the catalogue."""
    blocks = [
        lists
        for _, lists in top_k_blocks(model, histories, k, mask=mask, block=block, progress=progress)
    ]
    if not blocks:
        return TopK(np.full((0, k), -1, np.int32), np.full((0, k), -np.inf, np.float32))
    return TopK(
        np.concatenate([lists.products for lists in blocks]),
        np.concatenate([lists.scores for lists in blocks]),
    )
