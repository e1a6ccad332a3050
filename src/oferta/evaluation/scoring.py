"""Lists for test rows and the values of every metric, block by block, in bounded memory."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from oferta.evaluation import metrics
from oferta.evaluation.diversity import diversity
from oferta.evaluation.protocol import Protocol
from oferta.evaluation.rows import Rows
from oferta.interactions.lists import Lists
from oferta.models.protocol import FittedRecommender
from oferta.models.recommend import block_size
from oferta.progress import Progress
from oferta.scoring.topk import ProductMask, top_k

_SLAB = 16_384


@dataclass(frozen=True, slots=True)
class Crowd:
    """What the customers of train have: the measure of what is popular and what is new.

    Attributes:
        holders: `(products,) int64`, how many train customers have each.
        customers: how many there are.
        groups: name -> `(products,) float64`, 1 for the members: whose exposure is told.
        matrix: `(customers, products)`, who has what; None: diversity is not asked for.
    """

    holders: NDArray[np.int64]
    customers: int
    groups: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    matrix: csr_array | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """A model's lists, judged.

    Attributes:
        values: metric -> `(rows,) float64`; of `coverage@k` there is none: it is of all lists.
        coverage: `coverage@k` -> the share of all products that are in any list.
        lists: `(rows, largest k) int32`, the products listed; -1 where a list is shorter.
    """

    values: Mapping[str, NDArray[np.float64]]
    coverage: Mapping[str, float]
    lists: NDArray[np.int32]


def judge(
    model: FittedRecommender, rows: Rows, *, protocol: Protocol, crowd: Crowd, progress: Progress
) -> Judged:
    """Every metric of `protocol` for `rows`.

    Memory: 8 bytes a row and metric, the lists, and one block of scores; never rows times products.
    """
    bits = metrics.self_information(crowd.holders, crowd.customers)
    top = metrics.most_popular_tenth(crowd.holders).astype(np.float64)
    listed = {k: np.zeros(len(crowd.holders), np.bool_) for k in protocol.k}
    parts: list[dict[str, NDArray[np.float64]]] = []
    every: list[NDArray[np.int32]] = []
    for start, lists, below in _lists(model, rows, max(protocol.k), crowd=crowd, progress=progress):
        indptr = rows.test.indptr[start : start + len(lists) + 1]
        hit = metrics.hits(lists, indptr - indptr[0], rows.test.product[indptr[0] : indptr[-1]])
        values = dict(
            metrics.accuracy(
                hit, np.diff(indptr), k=protocol.k, recall_by=protocol.recall, idcg=protocol.idcg
            )
        )
        for k in protocol.k:
            cut = lists[:, :k]
            values[f"novelty@{k}"] = metrics.mean_over_list(cut, bits)
            values[f"popularity_share@{k}"] = metrics.mean_over_list(cut, top)
            for group, members in crowd.groups.items():
                values[f"exposure:{group}@{k}"] = metrics.mean_over_list(cut, members)
            if rows.ranked is not None:
                values[f"auc@{k}"] = below
            listed[k][cut[cut >= 0]] = True
        parts.append(values)
        every.append(lists)
    values = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    lists = np.concatenate(every)
    if crowd.matrix is not None:
        unlike = diversity(lists, crowd.matrix, k=protocol.k)
        values |= {f"diversity@{k}": found for k, found in unlike.items()}
    return Judged(
        values,
        {f"coverage@{k}": float(seen.mean()) for k, seen in listed.items()},
        lists,
    )


def _lists(
    model: FittedRecommender, rows: Rows, k: int, *, crowd: Crowd, progress: Progress
) -> Iterator[tuple[int, NDArray[np.int32], NDArray[np.float64]]]:
    """The first row of each slab, its lists, and its AUC where only some products are ranked.

    Lists are best first, -1 where there are fewer products.
    """
    n_products = len(crowd.holders)
    ranked = np.ones(n_products, np.bool_) if rows.ranked is None else rows.ranked
    mask = ProductMask(ranked, rows.removed.indptr, rows.removed.product)
    block = block_size(n_products)
    with progress.task("make lists", total=len(rows)) as advance:
        for slab in range(0, len(rows), _SLAB):
            end = min(slab + _SLAB, len(rows))
            lists = np.full((end - slab, k), -1, np.int32)
            below = np.zeros(end - slab)
            for start in range(slab, end, block):
                stop = min(start + block, end)
                scores = model.score(rows.histories.slice(start, stop))
                if rows.candidates is not None:
                    scores = _only(scores, rows.candidates, start, stop)
                if rows.ranked is not None:
                    below[start - slab : stop - slab] = _auc(scores, rows, start, stop)
                found = top_k(scores, k, mask=mask.slice(start, stop)).products
                lists[start - slab : stop - slab, : found.shape[1]] = found
                advance(stop - start)
            yield slab, lists, below


def _auc(scores: NDArray[np.float32], rows: Rows, start: int, stop: int) -> NDArray[np.float64]:
    ranked = scores if rows.ranked is None else np.where(rows.ranked, scores, -np.inf)
    out = rows.removed.indptr[start : stop + 1]
    owner = np.repeat(np.arange(stop - start), np.diff(out))
    ranked[owner, rows.removed.product[out[0] : out[-1]]] = -np.inf
    asked = rows.test.indptr[start : stop + 1]
    return metrics.auc(ranked, asked - asked[0], rows.test.product[asked[0] : asked[-1]])


def _only(
    scores: NDArray[np.float32], candidates: Lists, start: int, stop: int
) -> NDArray[np.float32]:
    entries = slice(int(candidates.indptr[start]), int(candidates.indptr[stop]))
    owner = np.repeat(np.arange(stop - start), np.diff(candidates.indptr[start : stop + 1]))
    listed = owner, candidates.product[entries]
    ranked = np.full_like(scores, -np.inf)
    ranked[listed] = scores[listed]
    return ranked
