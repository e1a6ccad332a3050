"""What the service counts. Labels are routes, codes, tenants and our own words: never an id."""

import os
from copy import copy
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from oferta.home import DEFAULT_TENANT

MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
CONTENT_TYPE = "text/plain; version=1.0.0; charset=utf-8"

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.08, 0.1, 0.25, 0.5, 1, 2.5, 5)
"""A usual answer takes 1 ms, the promise for a hung Redis is 80 ms, a slow body may take 5 s."""


class Metrics:
    """The counters of one process, or of all workers together where there are several."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        registry = self._registry
        self.requests = Counter(
            "oferta_http_requests", "Requests answered.", ["route", "status"], registry=registry
        )
        self.seconds = Histogram(
            "oferta_http_request_seconds",
            "Time from the request's head to the last byte of its answer.",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.refused = Counter(
            "oferta_requests_refused",
            "Requests refused, by problem code.",
            ["code"],
            registry=registry,
        )
        self.answers = Counter(
            "oferta_answers",
            "Answers, by the level of the ladder and by where they came from.",
            ["level", "served_from"],
            registry=registry,
        )
        self.degraded = Counter(
            "oferta_answers_degraded",
            "Lists that are not what they should be, and why.",
            ["reason"],
            registry=registry,
        )
        self.damaged = Counter(
            "oferta_records_damaged",
            "Rows of a release that were missing or corrupt.",
            ["kind"],
            registry=registry,
        )
        self.store_failures = Counter(
            "oferta_store_failures",
            "Calls of Redis that failed or came too late.",
            registry=registry,
        )
        self.store_evicts = Gauge(
            "oferta_store_evicts",
            "1 while Redis may remove what it should keep: its policy is not noeviction.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.under_way = Gauge(
            "oferta_requests_under_way",
            "Requests that have had their turn and are not answered yet.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._breaker_open = Gauge(
            "oferta_store_breaker_open",
            "1 while Redis is left alone.",
            ["tenant"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._release = Gauge(
            "oferta_release",
            "Number of the release being served, 0 for none.",
            ["tenant"],
            registry=registry,
            multiprocess_mode="livemin",
        )
        self._release_created = Gauge(
            "oferta_release_created_seconds",
            "When that release was made, epoch seconds.",
            ["tenant"],
            registry=registry,
            multiprocess_mode="livemin",
        )
        self.decisions = Counter(
            "oferta_decisions",
            "Decisions answered, by outcome: offers, none or later.",
            ["outcome"],
            registry=registry,
        )
        self.conflicts = Counter(
            "oferta_decision_conflicts",
            "Decisions made anew, because a customer's state or a total cap had changed.",
            ["what"],
            registry=registry,
        )
        self.feedback = Counter(
            "oferta_feedback", "Feedback heard, by type.", ["type"], registry=registry
        )
        self.events = Counter(
            "oferta_events",
            "Events, by what was answered: accepted, parked, duplicate or refused.",
            ["state"],
            registry=registry,
        )
        self._rules_refused = Gauge(
            "oferta_rules_refused",
            "1 while policy, catalogue or rate cards on disk have mistakes and are not used.",
            ["tenant"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.overloaded = Counter(
            "oferta_requests_overloaded",
            "Requests turned away because too much was going on, by how urgent they were.",
            ["turn"],
            registry=registry,
        )
        self._consent_behind = Gauge(
            "oferta_consent_copy_behind",
            "1 while words of the consent ledger are missing in Redis.",
            ["tenant"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._observed: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self._served: dict[tuple[str, str], Counter] = {}
        self._look_at(DEFAULT_TENANT)

    def of(self, tenant: str) -> "Metrics":
        """The same counters, and the gauges of this tenant."""
        own = copy(self)
        own._look_at(tenant)  # noqa: SLF001 - a copy of ourselves
        return own

    def _look_at(self, tenant: str) -> None:
        self.breaker_open = self._breaker_open.labels(tenant)
        self.release = self._release.labels(tenant)
        self.release_created = self._release_created.labels(tenant)
        self.rules_refused = self._rules_refused.labels(tenant)
        self.consent_behind = self._consent_behind.labels(tenant)

    def observe(self, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        pair = self._observed.get((route, status))
        if pair is None:
            pair = (self.requests.labels(route, str(status)), self.seconds.labels(route))
            self._observed[route, status] = pair
        counter, histogram = pair
        counter.inc()
        histogram.observe(seconds)

    def served(self, source: str, *, level: str, trouble: str | None) -> None:
        """Count one answer."""
        counter = self._served.get((level, source))
        if counter is None:
            counter = self._served[level, source] = self.answers.labels(level, source)
        counter.inc()
        if trouble is not None:
            self.degraded.labels(trouble).inc()

    def exposed(self) -> bytes:
        """All of them in Prometheus's text format."""
        folder = os.environ.get(MULTIPROCESS_VARIABLE)
        if folder is None:
            return generate_latest(self._registry)
        everyone = CollectorRegistry()
        MultiProcessCollector(everyone, path=folder)  # type: ignore[no-untyped-call] # upstream
        return generate_latest(everyone)


def share_between_workers(folder: Path) -> None:
    """Let workers that are started from now on count together, in files under `folder`.

    The metrics library reads the variable when it is imported, so only child processes heed it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for left_over in folder.glob("*.db"):
        left_over.unlink()
    os.environ[MULTIPROCESS_VARIABLE] = str(folder)
