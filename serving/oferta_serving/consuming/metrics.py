"""What a consumer counts. Labels are our own words: never an id."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 600)
"""A usual event takes some milliseconds; the promise is 0.25 s; minutes are a backlog."""


class ConsumerMetrics:
    """The counters of one consumer."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        self.applied = Counter(
            "oferta_events_applied", "Events that had their effect.", registry=registry
        )
        self.duplicates = Counter(
            "oferta_event_duplicates",
            "Entries of events that had been applied before.",
            registry=registry,
        )
        self.parked = Counter(
            "oferta_events_parked", "Events that wait for their product.", registry=registry
        )
        self.unparked = Counter(
            "oferta_events_unparked", "Events whose product has appeared.", registry=registry
        )
        self.dead = Counter(
            "oferta_events_dead", "Events that became dead letters.", ["reason"], registry=registry
        )
        self.failed = Counter(
            "oferta_event_failures",
            "Attempts to apply an event that failed, by the error's name.",
            ["error"],
            registry=registry,
        )
        self.lost = Counter(
            "oferta_events_lost",
            "Entries that were removed before anybody had applied them. Must stay 0.",
            registry=registry,
        )
        self.restored = Counter(
            "oferta_events_restored",
            "Events that Redis lost when it died, appended again by the consumer that had them.",
            registry=registry,
        )
        self.taken_over = Counter(
            "oferta_events_taken_over",
            "Events that another consumer left unfinished.",
            registry=registry,
        )
        self.conflicts = Counter(
            "oferta_event_conflicts",
            "Changes computed anew, because somebody's record had changed.",
            registry=registry,
        )
        self.damaged = Counter(
            "oferta_event_records_damaged",
            "Records of what somebody did lately that were unreadable, and begun anew.",
            registry=registry,
        )
        self.forgotten = Counter(
            "oferta_events_forgotten",
            "Events dropped because their customer was forgotten.",
            registry=registry,
        )
        self.merged = Counter(
            "oferta_sessions_merged",
            "Sessions that turned out to be a customer's.",
            registry=registry,
        )
        self.store_failures = Counter(
            "oferta_consumer_store_failures",
            "Calls of Redis that failed or came too late.",
            registry=registry,
        )
        self.effect_seconds = Histogram(
            "oferta_event_effect_seconds",
            "Time from accepting an event to its effect.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.backlog = Gauge(
            "oferta_events_backlog_ratio",
            "Of the fullest shard: entries in its stream, as a share of its cap.",
            registry=registry,
        )
        self.aside = Gauge(
            "oferta_events_aside",
            "Events that are set aside: parked, or dead.",
            ["where"],
            registry=registry,
        )
        self.archived = Gauge(
            "oferta_events_archived", "Events that this process archived.", registry=registry
        )
        self.archive_stopped = Gauge(
            "oferta_archive_stopped",
            "1 while the archive cannot be written: the streams fill up.",
            registry=registry,
        )
