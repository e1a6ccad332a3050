"""What somebody did lately, as it is read before a change and written after."""

from typing import NamedTuple

from oferta.errors import RecordCorrupt
from oferta.profile.recent import NOTHING_RECENT, Recent
from oferta.store.customer_records import open_recent, seal_recent
from oferta.store.decision_records import mark_of
from oferta_serving.consuming.metrics import ConsumerMetrics


class Read(NamedTuple):
    """A record as it was read. `mark`: what the store compares before it is replaced."""

    recent: Recent
    mark: bytes


def read_recent(record: bytes | None, metrics: ConsumerMetrics) -> Read:
    """What a record says. One that is damaged is begun anew: the archive has the events."""
    try:
        recent = NOTHING_RECENT if record is None else open_recent(record)
    except RecordCorrupt:
        metrics.damaged.inc()
        recent = NOTHING_RECENT
    return Read(recent, mark_of(record))


def written(new: Recent, was: Read, *, at: float) -> bytes | None:
    """The record of `new`; None where nothing changed."""
    return None if new is was.recent else seal_recent(new, at=at)
