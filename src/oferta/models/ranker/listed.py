"""Candidates of several models, put into order by trees: for catalogues too large to score whole.

The trees learn from a cut of the data, made as a test would be: the models are fitted on what was
before it, and what came after says which of their candidates were chosen.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.sparse import csr_array

from oferta.interactions.histories import Histories
from oferta.models.data import TrainingData, Validation
from oferta.models.popularity import shares
from oferta.models.protocol import FittedRecommender
from oferta.models.ranker.booster import Examples, Trees, grow
from oferta.models.ranker.learning import Learning
from oferta.models.ranker.pairs import (
    PART_COLUMNS,
    Candidates,
    ProductFacts,
    candidates_of,
    pair_columns,
)
from oferta.models.ranker.profile import Known, categorical_columns
from oferta.models.recommend import block_size
from oferta.scoring.topk import ProductMask

_LATELY_DAYS = 30.0
_PAIRS = 2_000_000  # to learn from: some 300 MB and two minutes
_WATCHED = 0.2  # of the rows say when to stop
_BAGS = 3  # trees grown from other draws, whose mean is taken: one alone is swayed by its draws
_FEWEST = 50  # chosen candidates below which nothing is learnt
_GAP = np.float32(1.0)  # between the last candidate and the best of the rest


@dataclass(frozen=True, slots=True, eq=False)
class Sorter:
    """Parts, and the trees that sort what they list.

    Attributes:
        parts: fitted models by name, the best first: it ranks what is no candidate.
        trees: None where there was nothing to learn from; the best part then ranks alone.
        facts: of the products.
        n: candidates of each part.
        known: what the trees are told.
        repeatable: whether what is held may be listed.
    """

    parts: Mapping[str, FittedRecommender]
    trees: Trees | None
    facts: ProductFacts
    n: int
    known: Known
    repeatable: bool

    def score(self, histories: Histories) -> NDArray[np.float32]:
        """`(customers, products) float32`: candidates as the trees say, all others below them."""
        if self.trees is None or not len(histories):
            return next(iter(self.parts.values())).score(histories)
        scores = [part.score(histories) for part in self.parts.values()]
        candidates = self._candidates(scores, histories)
        said = self.trees.score(self._columns(histories, candidates))
        owner = candidates.owners()
        lowest = np.full(len(histories), np.inf, np.float32)
        np.minimum.at(lowest, owner, said)
        lowest[~np.isfinite(lowest)] = 0
        ranked = scores[0]
        ranked -= ranked.max(axis=1, keepdims=True)
        ranked /= np.maximum(-ranked.min(axis=1, keepdims=True), np.float32(1e-12))
        ranked += lowest[:, None] - _GAP
        ranked[owner, candidates.product] = said
        return ranked

    def examples(
        self, validation: Validation, rows: NDArray[np.int64], categorical: tuple[int, ...]
    ) -> Examples:
        """What the trees learn from: the candidates of `rows` of the validation."""
        columns, labels, owners = [], [], []
        size = block_size(self.facts.columns.shape[0])
        wanted = validation.test.owners() * np.int64(len(self.facts.columns))
        wanted = wanted + validation.test.product
        removed = ProductMask(
            np.ones(len(self.facts.columns), np.bool_)
            if validation.ranked is None
            else validation.ranked,
            validation.removed.indptr,
            validation.removed.product,
        )
        for start in range(0, len(rows), size):
            some = rows[start : start + size]
            histories = validation.histories.take(some)
            scores = [part.score(histories) for part in self.parts.values()]
            candidates = candidates_of(scores, self.n, mask=removed.take(some))
            owner = some[candidates.owners()]
            columns.append(self._columns(histories, candidates))
            labels.append(
                np.isin(owner * np.int64(len(self.facts.columns)) + candidates.product, wanted)
            )
            owners.append(owner)
        label = np.concatenate(labels).astype(np.int32)
        return Examples(
            columns=np.concatenate(columns),
            label=label,
            weight=np.ones(len(label), np.float32),
            owner=np.concatenate(owners),
            categorical=categorical,
        )

    def _candidates(self, scores: list[NDArray[np.float32]], histories: Histories) -> Candidates:
        every = np.ones(len(self.facts.columns), np.bool_)
        mask = ProductMask(every)
        if not self.repeatable:
            mask = ProductMask(every, histories.indptr, histories.product)
        return candidates_of(scores, self.n, mask=mask)

    def _columns(self, histories: Histories, candidates: Candidates) -> NDArray[np.float32]:
        return pair_columns(histories, candidates, self.facts, known=self.known)


def learn_order(
    inner: Mapping[str, FittedRecommender],
    data: TrainingData,
    learning: Learning,
    *,
    n: int,
    rng: Generator,
) -> tuple[Trees | None, tuple[str, ...]]:
    """The trees that `data.validation` teaches, and the names of the parts, the best first.

    `inner` are the parts as fitted on the validation's own data.
    """
    if data.validation is None:
        return None, tuple(inner)
    validation = data.validation()
    rows = np.flatnonzero(np.diff(validation.test.indptr) > 0)
    most = max(_PAIRS // (n * len(inner)), 1)
    if len(rows) > most:
        rows = np.sort(rng.choice(rows, most, replace=False))
    sorter = sorter_of(inner, None, validation.data, n=n)
    names = _best_first(inner, sorter, validation, rows)
    sorter = replace(sorter, parts={name: inner[name] for name in names})
    first = PART_COLUMNS * len(inner)
    customer = first + 5 + sorter.facts.columns.shape[1] - (sorter.facts.traits is None)
    categorical = categorical_columns(data.customer_features, first=customer)
    examples = sorter.examples(validation, rows, categorical)
    if int(examples.label.sum()) < _FEWEST:
        return None, names
    params = {
        **learning.params,
        "objective": learning.objective,
        # Few cuts of few customers: trees of different rows and columns agree on less noise.
        "bagging_fraction": 0.5,
        "bagging_freq": 1,
        "feature_fraction": 0.4,
        "min_data_in_leaf": int(np.clip(len(examples.label) // 2000, 3, 200)),
        "lambdarank_truncation_level": 30,
    }
    if learning.objective == "lambdarank":
        params |= {"metric": "ndcg", "eval_at": [10]}
    draw = rng.random(int(examples.owner.max()) + 1)[examples.owner] < _WATCHED
    rounds = grow(
        examples.of(~draw),
        params,
        rounds=learning.rounds,
        watched=examples.of(draw),
        patience=learning.patience,
    ).count
    seeds = range(learning.params["seed"], learning.params["seed"] + _BAGS)
    grown = [grow(examples, {**params, "seed": seed}, rounds=rounds) for seed in seeds]
    return Trees.mean_of(grown), names


def sorter_of(
    parts: Mapping[str, FittedRecommender], trees: Trees | None, data: TrainingData, *, n: int
) -> Sorter:
    """The sorter of parts fitted on `data`."""
    return Sorter(
        parts=parts,
        trees=trees,
        facts=_facts(data),
        n=n,
        known=Known.of(data),
        repeatable=data.repeatable,
    )


def _best_first(
    parts: Mapping[str, FittedRecommender],
    sorter: Sorter,
    validation: Validation,
    rows: NDArray[np.int64],
) -> tuple[str, ...]:
    # By how many of the ten that each lists first were chosen.
    hits = {}
    for name, part in parts.items():
        own = replace(sorter, parts={name: part}, n=10)
        hits[name] = int(own.examples(validation, rows, ()).label.sum())
    return tuple(sorted(parts, key=lambda name: (-hits[name], name)))


def _facts(data: TrainingData) -> ProductFacts:
    past = data.histories
    holders = np.bincount(past.product, minlength=len(data.products))
    lately = shares(data, half_life_days=_LATELY_DAYS, by_segment=False)[-1]
    columns = np.stack([np.log1p(holders), np.log(lately + 1e-6)], axis=1).astype(np.float32)
    traits = None
    if data.product_features is not None:
        matrix = data.product_features.matrix
        length = np.sqrt(np.asarray(matrix.sum(axis=1)).ravel())  # its entries are ones
        own = np.repeat(1 / np.maximum(length, 1), np.diff(matrix.indptr)).astype(np.float32)
        traits = csr_array((own, matrix.indices, matrix.indptr), shape=matrix.shape)
    return ProductFacts(columns, traits)
