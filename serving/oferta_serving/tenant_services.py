"""How the parts that serve one tenant are put together, and nowhere else."""

import time
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from oferta.clock import Clock
from oferta.privacy.ledger import ledger_path
from oferta_serving.answers import Answers
from oferta_serving.breaker import Breaker
from oferta_serving.consent.following import Following
from oferta_serving.consent.keeping import Keeping
from oferta_serving.consent.words import Words
from oferta_serving.deciding.store_health import StoreHealth
from oferta_serving.erasing.requests import Erasing
from oferta_serving.events.receiver import UNAVAILABLE, Receiver
from oferta_serving.fresh import Freshener
from oferta_serving.live import Releases
from oferta_serving.lookup import Lookup
from oferta_serving.metrics import Metrics
from oferta_serving.ports import TenantPorts
from oferta_serving.services import Process, Services
from oferta_serving.settings import ServingSettings

if TYPE_CHECKING:
    from oferta_serving.base.live import LiveBase
    from oferta_serving.deciding.parts import Deciding


def tenant_services(
    settings: ServingSettings,
    ports: TenantPorts,
    *,
    process: Process,
    others: tuple[Services, ...] = (),
) -> Services:
    """The services of one tenant; nothing is started yet.

    Args:
        settings: as they are for this tenant.
        ports: its own.
        process: what it shares with other tenants.
        others: the services of those, for whoever tells how the process is.
    """
    reader, space = ports.reader, ports.space
    clock, metrics = process.clock, process.metrics.of(space.tenant)
    breaker = Breaker(
        open_after=settings.store.open_after,
        probe_s=settings.store.probe_ms / 1000,
        clock=time.monotonic,
    )
    process.turnstile.widen_while(lambda: breaker.struggling)
    releases = Releases(
        reader,
        space,
        breaker=breaker,
        metrics=metrics,
        folder=ports.home / "serving",
        refresh_s=settings.store.refresh_ms / 1000,
        types=settings.events.known_types(),
    )
    freshener = Freshener(
        reader,
        space,
        releases,
        types=settings.events.known_types(),
        suppress_declined_d=settings.events.suppress_declined_d,
        clock=clock,
        metrics=metrics,
    )
    consent = _consent(settings, ports, clock=clock, metrics=metrics)
    lookup = Lookup(
        reader,
        space,
        releases,
        words=consent.words,
        personal=settings.privacy.personalise,
        freshener=freshener,
        breaker=breaker,
        metrics=metrics,
    )
    deciding = _deciding(
        settings,
        ports,
        words=consent.words,
        releases=releases,
        breaker=breaker,
        metrics=metrics,
        clock=clock,
    )
    receiver = None
    if ports.events is not None:
        receiver = Receiver(
            ports.events,
            space=space,
            releases=releases,
            health=StoreHealth(breaker, releases, code=UNAVAILABLE),
            metrics=metrics,
            deciding=deciding,
            words=consent.words,
        )
    erasing = None
    if ports.ground is not None and settings.privacy.ledger:
        erasing = Erasing(ports.ground)
    return Services(
        settings=settings,
        clock=clock,
        space=space,
        metrics=metrics,
        breaker=breaker,
        releases=releases,
        lookup=lookup,
        answers=Answers(clock, metrics, settings.freshness, settings.fallback),
        draining=process.draining,
        turnstile=process.turnstile,
        watch=process.watch,
        rates=process.rates,
        tenants=others,
        consent=consent,
        receiver=receiver,
        erasing=erasing,
        deciding=deciding,
        base=None if deciding is None else _base(deciding, settings, ports, clock=clock),
    )


def _consent(
    settings: ServingSettings, ports: TenantPorts, *, clock: Clock, metrics: Metrics
) -> Keeping | Following:
    follow_s = settings.store.refresh_ms / 1000
    if not settings.privacy.ledger:
        seen = ledger_path(ports.home).with_name("copies-seen")
        return Following(ports.copies, metrics=metrics, follow_s=follow_s, seen=seen)
    return Keeping(
        ledger_path(ports.home),
        ports.copies,
        ports.space,
        clock=clock,
        metrics=metrics,
        follow_s=follow_s,
    )


def _deciding(
    settings: ServingSettings,
    ports: TenantPorts,
    *,
    words: Words,
    releases: Releases,
    breaker: Breaker,
    metrics: Metrics,
    clock: Clock,
) -> "Deciding | None":
    if ports.decisions is None or settings.decisions.policy is None:
        return None
    # The engine takes a tenth of a second to import: only where decisions are made.
    from oferta_serving.deciding.parts import deciding_parts  # noqa: PLC0415

    return deciding_parts(
        settings,
        ports.decisions,
        words=words,
        space=ports.space,
        releases=releases,
        breaker=breaker,
        metrics=metrics,
        clock=clock,
    )


def _base(
    deciding: "Deciding", settings: ServingSettings, ports: TenantPorts, *, clock: Clock
) -> "Callable[[], LiveBase]":
    @cache
    def made() -> "LiveBase":
        from oferta_serving.base.live import LiveBase  # noqa: PLC0415 - data frames

        return LiveBase(deciding, settings.decisions, home=ports.home, clock=clock)

    return made
