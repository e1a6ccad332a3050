"""The whole examination, area by area: what can be looked at although other things are broken."""

from collections.abc import Iterator
from pathlib import Path

from oferta.clock import Clock
from oferta.errors import OfertaError, StoreUnavailable
from oferta.store.connecting import Store, StoreSettings, connect
from oferta.store.server_facts import server_facts
from oferta_serving.doctor.finding import Finding, wrong
from oferta_serving.doctor.machine_findings import machine_findings
from oferta_serving.doctor.redis_findings import redis_findings
from oferta_serving.doctor.release_findings import release_findings
from oferta_serving.doctor.settings_findings import read_settings, settings_findings
from oferta_serving.settings import ServingSettings, read_environment


def examine(config: Path | None, home: Path, *, clock: Clock) -> Iterator[Finding]:
    """All findings. Changes nothing, but for the embedded Redis, which it starts where needed."""
    settings, told = read_settings(config)
    yield from told
    yield from settings_findings(settings, home)
    yield from machine_findings(home, connections=settings.store.connections)
    try:
        store = connect(StoreSettings(home, read_environment().redis_url))
    except OfertaError as error:
        yield wrong(
            "redis", "address", str(error), "Set OFERTA_REDIS_URL to the Redis to serve by."
        )
        return
    with store:
        yield from _stored(store, settings, clock)


def _stored(store: Store, settings: ServingSettings, clock: Clock) -> Iterator[Finding]:
    try:
        yield from redis_findings(server_facts(store.url), local=store.url.startswith("unix:"))
        yield from release_findings(store, settings.freshness, clock=clock)
    except StoreUnavailable as error:
        remedy = "See that Redis runs and can be reached from here, and that the password is right."
        yield wrong("redis", "answer", str(error), remedy)
