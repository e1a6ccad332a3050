"""A release's live model as a serving process holds it: with what may be listed when."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

import numpy as np
from numpy.typing import NDArray

from oferta.events.types import EventType
from oferta.profile.recent import RecentEvent
from oferta.scoring.blas import one_blas_thread
from oferta.scoring.live_model import LiveModel, Past
from oferta.scoring.topk import ProductMask
from oferta.store.release import CatalogueEntry, Suggestion

Suggestions = tuple[Suggestion, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """Whose list is to follow which events.

    Attributes:
        past: what the release knows of the customer's past.
        events: what it does not know of.
        barred: positions in the catalogue that the list must not hold.
    """

    past: Past
    events: Sequence[RecentEvent]
    barred: frozenset[int]


@dataclass(frozen=True, slots=True, eq=False)
class Following:
    """What makes lists after new events. Immutable; safe between threads.

    Attributes:
        model: the live model.
        row_of: `(catalogue,) int32`: the model's row of each product, -1 for none.
        active: `(products,) bool`, whether each of the model's products is in the catalogue and not
            hidden; `starts`, `ends`: `(products,) float64`, when it may be sold.
        turns: the instants at which something starts or ends to be sold, ascending.
    """

    model: LiveModel
    row_of: NDArray[np.int32]
    active: NDArray[np.bool_]
    starts: NDArray[np.float64]
    ends: NDArray[np.float64]
    turns: tuple[float, ...]

    def turn(self, now: float) -> int:
        """Which of the stretches between `turns` it is: in one, the same products are sold."""
        return bisect_right(self.turns, now)

    @one_blas_thread()
    def lists(self, questions: Sequence[Question], *, now: float) -> list[Suggestions | None]:
        """Each customer's list; None where the events say nothing of their taste.

        Cost: see docs/fresh.md.
        """
        model = self.model
        pasts, changed = model.pasts([one.past for one in questions], [q.events for q in questions])
        rows = np.flatnonzero(changed)
        made: list[Suggestions | None] = [None] * len(questions)
        if not len(rows):
            return made
        if len(rows) < len(questions):
            pasts = pasts.take(rows)
        best, because = model.lists(pasts, self._mask([questions[at] for at in rows.tolist()], now))
        # A table with a place for "none" at its end: -1 stays -1.
        places = np.append(model.places, np.int32(-1))
        columns = places[best.products].tolist(), best.scores.tolist(), places[because].tolist()
        for at, *listed in zip(rows.tolist(), *columns, strict=True):
            made[at] = tuple(
                Suggestion(product, score, model.reason, None if named < 0 else named)
                for product, score, named in zip(*listed, strict=True)
                if product >= 0
            )
        return made

    def _mask(self, questions: Sequence[Question], now: float) -> ProductMask:
        sold = self.active & (self.starts <= now) & (now < self.ends)
        barred = [
            [row for row in self.row_of[list(one.barred)].tolist() if row >= 0]
            if one.barred
            else []
            for one in questions
        ]
        counts = [len(each) for each in barred]
        return ProductMask(
            sold,
            np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            np.array([row for each in barred for row in each], np.int32),
        )


def following_of(
    model: LiveModel, catalogue: Sequence[CatalogueEntry], types: Mapping[str, EventType]
) -> Following:
    """Prepare `model` for serving: about 1 us a product, to be done off the event loop.

    Args:
        model: of the release.
        catalogue: the release's.
        types: how much events count of which the release says nothing.
    """
    weights = {name: kind.weight for name, kind in types.items()} | dict(model.weighing.weights)
    entries = [catalogue[place] if place >= 0 else None for place in model.places.tolist()]
    row_of = np.full(len(catalogue), -1, np.int32)
    placed = np.flatnonzero(model.places >= 0)
    row_of[model.places[placed]] = placed
    starts = [-inf if e is None or e.starts_at is None else e.starts_at for e in entries]
    ends = [inf if e is None or e.ends_at is None else e.ends_at for e in entries]
    return Following(
        replace(model, weighing=replace(model.weighing, weights=weights)),
        row_of,
        np.array([e is not None and e.status == "active" for e in entries], np.bool_),
        np.array(starts, np.float64),
        np.array(ends, np.float64),
        tuple(sorted({*starts, *ends} - {-inf, inf})),
    )
