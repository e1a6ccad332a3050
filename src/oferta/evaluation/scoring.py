"""Lists for test rows and the values of every metric, block by block, in bounded memory."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oferta.evaluation import metrics
from oferta.evaluation.protocol import Protocol
from oferta.evaluation.rows import Lists, Rows
from oferta.models.protocol import FittedRecommender
from oferta.models.recommend import block_size
from oferta.progress import Progress
from oferta.scoring.topk import ProductMask, top_k


@dataclass(frozen=True, slots=True)
class Crowd:
    """What the customers of train have: the measure of what is popular and what is new.

    Attributes:
        holders: `(products,) int64`, how many train customers have each.
        customers: how many there are.
    """

    holders: NDArray[np.int64]
    customers: int


@dataclass(frozen=True, slots=True)
class Judged:
    """A model's lists, judged.

    Attributes:
        values: metric -> `(rows,) float64`; of `coverage@k` there is none: it is of all lists.
        coverage: `coverage@k` -> the share of all products that are in any list.
    """

    values: Mapping[str, NDArray[np.float64]]
    coverage: Mapping[str, float]


def judge(
    model: FittedRecommender, rows: Rows, *, protocol: Protocol, crowd: Crowd, progress: Progress
) -> Judged:
    """Every metric of `protocol` for `rows`.

    Memory: the lists, 4 bytes a slot, and one block of scores; never rows times products.
    """
    lists = make_lists(model, rows, max(protocol.k), crowd=crowd, progress=progress)
    hit = metrics.hits(lists, rows.test.indptr, rows.test.product)
    size = np.diff(rows.test.indptr)
    values = dict(
        metrics.accuracy(hit, size, k=protocol.k, recall_by=protocol.recall, idcg=protocol.idcg)
    )
    bits = metrics.self_information(crowd.holders, crowd.customers)
    top = metrics.most_popular_tenth(crowd.holders).astype(np.float64)
    coverage = {}
    for k in protocol.k:
        cut = lists[:, :k]
        values[f"novelty@{k}"] = metrics.mean_over_list(cut, bits)
        values[f"popularity_share@{k}"] = metrics.mean_over_list(cut, top)
        coverage[f"coverage@{k}"] = len(np.unique(cut[cut >= 0])) / max(len(crowd.holders), 1)
    return Judged(values, coverage)


def make_lists(
    model: FittedRecommender, rows: Rows, k: int, *, crowd: Crowd, progress: Progress
) -> NDArray[np.int32]:
    """`(rows, k) int32`, best first, -1 where fewer products could be listed."""
    n_products = len(crowd.holders)
    mask = ProductMask(np.ones(n_products, np.bool_), rows.removed.indptr, rows.removed.product)
    lists = np.full((len(rows), k), -1, np.int32)
    block = block_size(n_products)
    with progress.task("make lists", total=len(rows)) as advance:
        for start in range(0, len(rows), block):
            stop = min(start + block, len(rows))
            scores = model.score(rows.histories.slice(start, stop))
            if rows.candidates is not None:
                scores = _only(scores, rows.candidates, start, stop)
            found = top_k(scores, k, mask=mask.slice(start, stop)).products
            lists[start:stop, : found.shape[1]] = found
            advance(stop - start)
    return lists


def _only(
    scores: NDArray[np.float32], candidates: Lists, start: int, stop: int
) -> NDArray[np.float32]:
    entries = slice(int(candidates.indptr[start]), int(candidates.indptr[stop]))
    owner = np.repeat(np.arange(stop - start), np.diff(candidates.indptr[start : stop + 1]))
    listed = owner, candidates.product[entries]
    ranked = np.full_like(scores, -np.inf)
    ranked[listed] = scores[listed]
    return ranked
