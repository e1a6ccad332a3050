"""One cut of the data, ready to fit models on and to judge them by."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import polars as pl
from numpy.random import default_rng
from numpy.typing import NDArray

from oferta.errors import UnknownName
from oferta.evaluation.cuts import Cut
from oferta.evaluation.held_out import cut_like, hold_out
from oferta.evaluation.pasts import Reading, latest
from oferta.evaluation.protocol import Protocol
from oferta.evaluation.rows import Rows, make_rows
from oferta.evaluation.scoring import Crowd
from oferta.evaluation.source import Source, read, targets
from oferta.evaluation.splits import Split, split
from oferta.features.known import features_of
from oferta.interactions.idmap import IdMap
from oferta.interactions.segments import segments_of
from oferta.models.data import TrainingData, Validation
from oferta.privacy.findings import Finding
from oferta.privacy.protected import require_allowed

_DRAW = 3  # sets the draws of who is learnt from apart from those of the cuts


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """Everything that folds are made of.

    Attributes:
        events: see `oferta.evaluation.source.read`.
        target: the event types to foresee.
        reading: how events become pasts.
        candidates: what alone is ranked, where the protocol says so.
        groups: name -> `(products,) float64`, 1 for the products of a group whose exposure is told.
        protected: the protected attributes that models may use, each with its reason.
    """

    events: pl.DataFrame
    target: frozenset[str]
    reading: Reading
    candidates: pl.DataFrame | None
    groups: Mapping[str, NDArray[np.float64]]
    protected: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """A split, what models are fitted on, and the rows that judge them."""

    split: Split
    data: TrainingData
    rows: Rows
    crowd: Crowd

    def counts(self) -> dict[str, int]:
        """Events by part, test rows and pairs, and what was set aside."""
        return {
            **self.split.counts(),
            "test_rows": len(self.rows),
            "test_pairs": len(self.rows.test.product),
            **self.rows.counts,
        }


def gather(source: Source, protocol: Protocol, candidates: pl.DataFrame | None) -> Material:
    """What `protocol` needs of `source`.

    Raises:
        UnknownName: a column, event type or attribute that is not there.
        SourceRefused: nothing that could be foreseen is there.
        ProtectedAttribute: models would use one without a stated reason.
    """
    events = read(source, protocol)
    products = source.products().select("product_id").collect()["product_id"].cast(pl.String)
    everybody = IdMap.of(events["customer_id"])
    attributes = source.customers()
    used = (*protocol.segments, *protocol.customer_features)
    known = attributes.collect_schema().names()
    for name in (*used, *protocol.allow_protected):
        if name not in known:
            raise UnknownName("customer attribute", name, known)
    looked_at = attributes.select(*dict.fromkeys((*used, *protocol.allow_protected))).collect()
    protected = require_allowed(looked_at, used, protocol.allow_protected)
    ids = IdMap.of(pl.concat([products, events["product_id"].rename("product_id")]))
    reading = Reading(
        products=ids,
        types=source.event_types,
        weighting=protocol.weighting,
        everybody=everybody,
        segments=segments_of(
            attributes.select("customer_id", *protocol.segments).collect(),
            protocol.segments,
            customers=everybody,
            min_size=protocol.segment_customers,
        ),
        features=features_of(
            attributes,
            source.products(),
            customer_columns=protocol.customer_features,
            product_columns=protocol.product_features,
            customers=everybody,
            products=ids,
        ),
        repeatable=protocol.keep_seen,
    )
    return Material(
        events=events,
        target=targets(events, source.event_types, protocol),
        reading=reading,
        candidates=candidates,
        groups={name: _members(source, name, ids) for name in protocol.exposure},
        protected=protected,
    )


def _members(source: Source, group: str, products: IdMap) -> NDArray[np.float64]:
    """1 for the products whose column has the value: `category=loan`."""
    column, _, value = group.partition("=")
    known = source.products().collect_schema().names()
    if column not in known:
        raise UnknownName("product attribute", column, known)
    there = source.products().filter(pl.col(column).cast(pl.String) == value)
    members = np.zeros(len(products))
    members[products.rows(there.select("product_id").collect()["product_id"].cast(pl.String))] = 1
    return members


def cut_into(material: Material, protocol: Protocol, *, share: float = 1.0) -> Iterator[Fold]:
    """The folds of `protocol`, one at a time: only one is in memory.

    With a `share` below 1, models learn from that share of the customers of train.

    Raises:
        SplitRefused: the data cannot give the split, or not that many folds.
    """
    for fold in range(protocol.folds):
        parts = split(
            material.events,
            protocol.cut,
            target=material.target,
            rng=default_rng([protocol.seed, fold]),
            fold=fold,
        )
        yield make_fold(parts, material, protocol, share=share)


def make_fold(
    parts: Split,
    material: Material,
    protocol: Protocol,
    *,
    share: float = 1.0,
    like: Cut | None = None,
    depth: int = 0,
) -> Fold:
    """The fold that a split gives.

    Models learn from a `share` of the customers. The data can be cut again for models that need
    it, by `like`; None: the way `parts` was.
    """
    learnt = _of_some(parts.before(protocol.fit), share, protocol.seed)
    cut = like or cut_like(protocol.cut, parts)
    data = replace(
        material.reading.data(learnt, now=parts.starts_at or latest(learnt)),
        validation=validation_of(learnt, cut, material=material, protocol=protocol, depth=depth),
    )
    rows = make_rows(
        parts,
        data,
        protocol=protocol,
        target=material.target,
        reading=material.reading,
        candidates=material.candidates,
    )
    holders = np.bincount(data.histories.product, minlength=len(data.products))
    buyers = int((np.diff(data.histories.indptr) > 0).sum())
    crowd = Crowd(holders.astype(np.int64), buyers, material.groups, data.matrix)
    return Fold(parts, data, rows, crowd)


def validation_of(
    train: pl.DataFrame, cut: Cut, *, material: Material, protocol: Protocol, depth: int = 0
) -> Callable[[], Validation]:
    """What gives the validation of `train`, made by `cut` when first asked for, then kept.

    Raises, when asked:
        SplitRefused: train has nothing to set aside.
    """

    @cache
    def made() -> Validation:
        parts, how = hold_out(
            train, cut, target=material.target, seed=protocol.seed, depth=depth + 1
        )
        fold = make_fold(
            parts,
            replace(material, candidates=None),
            protocol.model_copy(update={"history": "train", "fit": "train", "candidates": False}),
            like=how,
            depth=depth + 1,
        )
        rows = fold.rows
        return Validation(fold.data, rows.histories, rows.test, rows.removed, rows.ranked)

    return made


def _of_some(events: pl.DataFrame, share: float, seed: int) -> pl.DataFrame:
    """The events of a share of the customers, drawn by the seed; a larger share holds a smaller."""
    if share >= 1:
        return events
    ids = events.select(pl.col("customer_id").unique().sort())
    draw = default_rng([seed, 0, _DRAW]).random(len(ids))
    return events.join(ids.filter(pl.Series(draw) < share), on="customer_id", how="semi")
