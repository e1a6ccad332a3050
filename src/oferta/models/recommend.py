"""Lists for many customers from a fitted model, block by block, in bounded memory."""

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from oferta.interactions.histories import Histories
from oferta.progress import Progress
from oferta.scoring.blas import one_blas_thread
from oferta.scoring.topk import ProductMask, TopK, top_k

_BLOCK_BYTES = 8 << 20


class Scorer(Protocol):
    """Anything that scores pasts: a fitted model or a live scorer."""

    def score(self, histories: Histories) -> NDArray[np.float32]:
        """`(customers, products) float32`, freshly made."""
        ...


def block_size(n_products: int) -> int:
    """Customers a block: 8 MiB of scores, where the processor's cache still helps."""
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

    Gives the first customer's row of each block with the block's lists, in order. `mask` has one
    row of exclusions per customer of `histories`, where it has any. `block` None: a size that suits
    the cache. Blocks are worked on by as many threads as there are processors; a few are in memory
    at any time.
    """
    if not len(histories):
        return

    def lists(start: int, stop: int) -> tuple[int, TopK]:
        scores = model.score(histories.slice(start, stop))
        allowed = None if mask is None else mask.slice(start, stop)
        return scores.shape[1], top_k(scores, k, mask=allowed)

    waiting: deque[tuple[int, int, Future[tuple[int, TopK]]]] = deque()
    workers = _processors()
    with (
        progress.task("recommend", total=len(histories)) as advance,
        one_blas_thread(),
        ThreadPoolExecutor(workers, thread_name_prefix="recommend") as pool,
    ):
        # One customer tells how wide the catalogue is, and so how many make a block.
        size = block or block_size(lists(0, 1)[0])
        starts = iter(range(0, len(histories), size))
        try:
            while True:
                for start in islice(starts, workers + 1 - len(waiting)):
                    stop = min(start + size, len(histories))
                    waiting.append((start, stop, pool.submit(lists, start, stop)))
                if not waiting:
                    return
                start, stop, future = waiting.popleft()
                yield start, future.result()[1]
                advance(stop - start)
        finally:
            for _, _, future in waiting:
                future.cancel()


def _processors() -> int:
    # Those that this process may use, which in a container are fewer than the machine has.
    usable = getattr(os, "sched_getaffinity", None)
    return len(usable(0)) if usable else os.cpu_count() or 1


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
