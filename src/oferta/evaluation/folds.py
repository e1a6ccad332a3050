"""One cut of the data, ready to fit models on and to judge them by."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.random import default_rng

from oferta.errors import UnknownName
from oferta.evaluation.pasts import Reading, latest
from oferta.evaluation.protocol import Protocol
from oferta.evaluation.rows import Rows, make_rows
from oferta.evaluation.scoring import Crowd
from oferta.evaluation.source import Source, read, targets
from oferta.evaluation.splits import Split, split
from oferta.interactions.idmap import IdMap
from oferta.interactions.segments import segments_of
from oferta.models.data import TrainingData


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """Everything that folds are made of.

    Attributes:
        events: see `oferta.evaluation.source.read`.
        target: the event types to foresee.
        reading: how events become pasts.
        candidates: what alone is ranked, where the protocol says so.
    """

    events: pl.DataFrame
    target: frozenset[str]
    reading: Reading
    candidates: pl.DataFrame | None


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
    """
    events = read(source, protocol)
    products = source.products().select("product_id").collect()["product_id"].cast(pl.String)
    everybody = IdMap.of(events["customer_id"])
    attributes = source.customers()
    known = attributes.collect_schema().names()
    for name in protocol.segments:
        if name not in known:
            raise UnknownName("customer attribute", name, known)
    attributes = attributes.select("customer_id", *protocol.segments)
    reading = Reading(
        products=IdMap.of(pl.concat([products, events["product_id"].rename("product_id")])),
        types=source.event_types,
        weighting=protocol.weighting,
        everybody=everybody,
        segments=segments_of(
            attributes.collect(),
            protocol.segments,
            customers=everybody,
            min_size=protocol.segment_customers,
        ),
    )
    return Material(events, targets(events, source.event_types, protocol), reading, candidates)


def cut_into(material: Material, protocol: Protocol) -> Iterator[Fold]:
    """The folds of `protocol`, one at a time: only one is in memory.

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
        yield make_fold(parts, material, protocol)


def make_fold(parts: Split, material: Material, protocol: Protocol) -> Fold:
    """The fold that a split gives."""
    learnt = parts.before(protocol.fit)
    data = material.reading.data(learnt, now=parts.starts_at or latest(learnt))
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
    return Fold(parts, data, rows, Crowd(holders.astype(np.int64), buyers))
