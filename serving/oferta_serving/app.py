"""The composition root: where the parts of a serving process meet, and nowhere else."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    nullcontext,
)
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.exceptions import HTTPException

from oferta.clock import Clock
from oferta.privacy.ledger import ledger_path
from oferta.store.consent_copies import ConsentCopies
from oferta.store.contract import Reader
from oferta.store.decisions import DecisionStore
from oferta.store.events import EventStore
from oferta.store.keys import KeySpace
from oferta_serving.access.keyring import Keyring
from oferta_serving.answers import Answers
from oferta_serving.breaker import Breaker
from oferta_serving.consent.following import Following
from oferta_serving.consent.keeping import Keeping
from oferta_serving.consent.words import Words
from oferta_serving.deciding.store_health import StoreHealth
from oferta_serving.documented import with_problem_schema
from oferta_serving.erasing.places import Ground
from oferta_serving.erasing.requests import Erasing
from oferta_serving.events.receiver import UNAVAILABLE, Receiver
from oferta_serving.fresh import Freshener
from oferta_serving.gate import Gate
from oferta_serving.live import Releases
from oferta_serving.lookup import Lookup
from oferta_serving.metrics import Metrics
from oferta_serving.pages import add_pages
from oferta_serving.problems import RequestRefused
from oferta_serving.responses import BareRoute, Refusals
from oferta_serving.routes.base import add_base_routes
from oferta_serving.routes.batch import add_batch_routes
from oferta_serving.routes.consent import add_consent_routes
from oferta_serving.routes.customers import add_customer_routes
from oferta_serving.routes.decisions import add_decision_routes
from oferta_serving.routes.events import add_event_routes
from oferta_serving.routes.feedback import add_feedback_routes
from oferta_serving.routes.operations import add_operation_routes
from oferta_serving.routes.privacy import add_privacy_routes
from oferta_serving.routes.products import add_product_routes
from oferta_serving.routes.profiles import add_profile_routes
from oferta_serving.schemas import ProblemAnswer
from oferta_serving.services import Process, Services
from oferta_serving.settings import ServingSettings
from oferta_serving.turns import Turns

if TYPE_CHECKING:
    from oferta_serving.base.live import LiveBase
    from oferta_serving.deciding.parts import Deciding

FIRST_READ_S = 2.0
"""How long a start waits for the live release before it serves what it has."""


def create_app(
    settings: ServingSettings,
    reader: Reader,
    *,
    space: KeySpace,
    home: Path,
    decisions: DecisionStore | None = None,
    events: EventStore | None = None,
    copies: ConsentCopies | None = None,
    ground: Ground | None = None,
    keyring: Keyring | None = None,
    clock: Clock | None = None,
    process: Process | None = None,
    tenants: Mapping[str, FastAPI] | None = None,
    on_stop: Callable[[], Awaitable[None]] | None = None,
) -> FastAPI:
    """The API over one store, behind the gate.

    Args:
        settings: of `serving.toml`.
        reader: where releases are read from.
        space: the keys, under the publisher's secret.
        home: the state folder, where the last head is kept.
        decisions: where decisions are kept; needed where the settings say what they are made with.
        events: where events go; None: they are not taken.
        copies: where words of consent are copied to for other machines; None: there are none.
        ground: what erasures and exports work on; None: there are none.
        keyring: who may call; None: those whose keys the state folder has.
        clock: tells when offers start and end, where no `process` is given; else the machine's.
        process: what all tenants share; one of its own, unless given.
        tenants: the applications of further tenants, from `tenant_app` with the same `process`.
        on_stop: closes the reader, on the loop that used it.
    """
    process = process or Process.of(settings, clock=clock)
    others = dict(tenants or {})
    app = tenant_app(
        settings,
        reader,
        space=space,
        home=home,
        process=process,
        decisions=decisions,
        events=events,
        copies=copies,
        ground=ground,
        others=tuple(others.values()),
        on_stop=on_stop,
    )
    if settings.shows_docs:
        add_pages(app)
        with_problem_schema(
            app.openapi(),
            ProblemAnswer.model_json_schema(ref_template="#/components/schemas/{model}"),
        )
    app.add_middleware(
        Gate,
        limits=settings.limits,
        keyring=keyring or Keyring(home, process.clock, audit=process.audit),
        audit=process.audit,
        rates=process.rates,
        tenants=others,
        turns=Turns(process.turnstile),
        metrics=process.metrics,
        access_log=settings.access_log,
    )
    return app


def tenant_app(
    settings: ServingSettings,
    reader: Reader,
    *,
    space: KeySpace,
    home: Path,
    process: Process,
    decisions: DecisionStore | None = None,
    events: EventStore | None = None,
    copies: ConsentCopies | None = None,
    ground: Ground | None = None,
    others: Sequence[FastAPI] = (),
    on_stop: Callable[[], Awaitable[None]] | None = None,
) -> FastAPI:
    """The routes over the services of one tenant. Nobody but the gate may call it.

    Args:
        settings: as they are for this tenant.
        reader: as of `create_app`, and so are the other parts, each this tenant's own.
        space: the tenant's keys.
        home: the tenant's state folder.
        process: what it shares with other tenants.
        decisions: where its decisions are kept.
        events: where its events go.
        copies: where its words of consent are copied to.
        ground: what its erasures and exports work on.
        others: applications that start and stop with this one.
        on_stop: closes the reader, on the loop that used it.
    """
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
        folder=home / "serving",
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
    consent = _consent(settings, copies, space=space, home=home, clock=clock, metrics=metrics)
    deciding = _deciding(
        settings,
        decisions,
        words=consent.words,
        space=space,
        releases=releases,
        breaker=breaker,
        metrics=metrics,
        clock=clock,
    )
    services = Services(
        settings=settings,
        clock=clock,
        space=space,
        metrics=metrics,
        breaker=breaker,
        releases=releases,
        lookup=Lookup(
            reader,
            space,
            releases,
            words=consent.words,
            personal=settings.privacy.personalise,
            freshener=freshener,
            breaker=breaker,
            metrics=metrics,
        ),
        answers=Answers(clock, metrics, settings.freshness, settings.fallback),
        draining=process.draining,
        turnstile=process.turnstile,
        watch=process.watch,
        rates=process.rates,
        tenants=tuple(other.state.services for other in others),
        consent=consent,
        receiver=None
        if events is None
        else Receiver(
            events,
            space=space,
            releases=releases,
            health=StoreHealth(breaker, releases, code=UNAVAILABLE),
            metrics=metrics,
            deciding=deciding,
            words=consent.words,
        ),
        erasing=Erasing(ground) if ground is not None and settings.privacy.ledger else None,
        deciding=deciding,
        base=None if deciding is None else _base(deciding, settings, home=home, clock=clock),
    )
    on_stop = _closing(events, services.erasing, on_stop)
    app = FastAPI(
        title="oferta",
        version=version("oferta"),
        summary="Recommendations for every customer, with their reasons.",
        description="Errors are problems (RFC 9457) with a stable `code`; see docs/api.md.",
        openapi_url="/openapi.json" if settings.shows_docs else None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan(services, others, on_stop),
        # Its spans would tell a collector every URL, and a URL holds a customer's id.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.services = services
    refusals = Refusals(metrics, process.audit)
    app.add_exception_handler(RequestRefused, refusals.refused)
    app.add_exception_handler(HTTPException, refusals.unrouted)
    app.add_exception_handler(Exception, refusals.failed)
    # Straight into the application's own router: an included one is matched twice per request.
    app.router.route_class = BareRoute
    for add in (
        add_customer_routes,
        add_batch_routes,
        add_consent_routes,
        add_product_routes,
        add_decision_routes,
        add_feedback_routes,
        add_event_routes,
        add_profile_routes,
        add_privacy_routes,
        add_base_routes,
        add_operation_routes,
    ):
        add(app.router, services)
    return app


def _consent(
    settings: ServingSettings,
    copies: ConsentCopies | None,
    *,
    space: KeySpace,
    home: Path,
    clock: Clock,
    metrics: Metrics,
) -> Keeping | Following:
    follow_s = settings.store.refresh_ms / 1000
    if not settings.privacy.ledger:
        return Following(copies, metrics=metrics, follow_s=follow_s)
    return Keeping(
        ledger_path(home),
        copies,
        space,
        clock=clock,
        metrics=metrics,
        follow_s=follow_s,
    )


def _closing(
    events: EventStore | None,
    erasing: Erasing | None,
    on_stop: Callable[[], Awaitable[None]] | None,
) -> Callable[[], Awaitable[None]]:
    async def closed() -> None:
        if erasing is not None:
            await erasing.close()
        if events is not None:
            await events.close()
        if on_stop is not None:
            await on_stop()

    return closed


def _deciding(
    settings: ServingSettings,
    store: DecisionStore | None,
    *,
    words: Words,
    space: KeySpace,
    releases: Releases,
    breaker: Breaker,
    metrics: Metrics,
    clock: Clock,
) -> "Deciding | None":
    if store is None or settings.decisions.policy is None:
        return None
    # The engine takes a tenth of a second to import: only where decisions are made.
    from oferta_serving.deciding.parts import deciding_parts  # noqa: PLC0415

    return deciding_parts(
        settings,
        store,
        words=words,
        space=space,
        releases=releases,
        breaker=breaker,
        metrics=metrics,
        clock=clock,
    )


def _base(
    deciding: "Deciding", settings: ServingSettings, *, home: Path, clock: Clock
) -> "Callable[[], LiveBase]":
    @cache
    def made() -> "LiveBase":
        from oferta_serving.base.live import LiveBase  # noqa: PLC0415 - data frames

        return LiveBase(deciding, settings.decisions, home=home, clock=clock)

    return made


def _lifespan(
    services: Services,
    others: Sequence[FastAPI],
    on_stop: Callable[[], Awaitable[None]] | None,
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        releases = services.releases
        await releases.restore()
        try:
            async with asyncio.timeout(FIRST_READ_S):
                await asyncio.gather(releases.refresh(), services.consent.look())
        except TimeoutError:
            pass  # it goes on in the background
        following = {
            asyncio.create_task(releases.follow()),
            asyncio.create_task(services.consent.follow()),
            asyncio.create_task(services.turnstile.watch()),
        }
        if services.watch is not None:
            following.add(asyncio.create_task(services.watch.follow()))
        try:
            async with AsyncExitStack() as stack:
                for other in others:
                    await stack.enter_async_context(other.router.lifespan_context(other))
                await stack.enter_async_context(_following(services))
                yield
        finally:
            for task in following:
                task.cancel()
            await asyncio.wait(following)
            await releases.close()
            await services.consent.close()
            if on_stop is not None:
                await on_stop()

    return lifespan


def _following(services: Services) -> AbstractAsyncContextManager[None]:
    return nullcontext() if services.deciding is None else services.deciding.following()
