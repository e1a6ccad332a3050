"""The composition root: where the parts of a serving process meet, and nowhere else."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.exceptions import HTTPException

from oferta.clock import Clock, SystemClock
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
from oferta_serving.events.receiver import UNAVAILABLE, Receiver
from oferta_serving.gate import Gate
from oferta_serving.live import Releases
from oferta_serving.lookup import Lookup
from oferta_serving.metrics import Metrics
from oferta_serving.overload import Turnstile
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
from oferta_serving.routes.products import add_product_routes
from oferta_serving.routes.profiles import add_profile_routes
from oferta_serving.schemas import ProblemAnswer
from oferta_serving.services import Draining, Services
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
    keyring: Keyring | None = None,
    clock: Clock | None = None,
    draining: Draining | None = None,
    on_stop: Callable[[], Awaitable[None]] | None = None,
) -> FastAPI:
    """The API over one store.

    Args:
        settings: of `serving.toml`.
        reader: where releases are read from.
        space: the keys, under the publisher's secret.
        home: the state folder, where the last head is kept.
        decisions: where decisions are kept; needed where the settings say what they are made with.
        events: where events go; None: they are not taken.
        copies: where words of consent are copied to for other machines; None: there are none.
        keyring: who may call; None: those whose keys the state folder has.
        clock: tells when offers start and end; the machine's, unless given.
        draining: set by the server when it is told to stop.
        on_stop: closes the reader, on the loop that used it.
    """
    clock = clock or SystemClock()
    metrics = Metrics()
    breaker = Breaker(
        open_after=settings.store.open_after,
        probe_s=settings.store.probe_ms / 1000,
        clock=time.monotonic,
    )
    releases = Releases(
        reader,
        space,
        breaker=breaker,
        metrics=metrics,
        folder=home / "serving",
        refresh_s=settings.store.refresh_ms / 1000,
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
    turnstile = Turnstile(settings.overload, metrics, clock=time.monotonic)
    services = Services(
        settings=settings,
        clock=clock,
        space=space,
        metrics=metrics,
        breaker=breaker,
        releases=releases,
        lookup=Lookup(
            reader, space, releases, words=consent.words, breaker=breaker, metrics=metrics
        ),
        answers=Answers(clock, metrics, settings.freshness, settings.fallback),
        draining=draining or Draining(),
        turnstile=turnstile,
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
        ),
        deciding=deciding,
        base=None if deciding is None else _base(deciding, settings, home=home, clock=clock),
    )
    on_stop = _closing(events, on_stop)
    app = FastAPI(
        title="oferta",
        version=version("oferta"),
        summary="Recommendations for every customer, with their reasons.",
        description="Errors are problems (RFC 9457) with a stable `code`; see docs/api.md.",
        openapi_url="/openapi.json" if settings.shows_docs else None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan(services, on_stop),
        # Its spans would tell a collector every URL, and a URL holds a customer's id.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.services = services
    refusals = Refusals(metrics)
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
        add_base_routes,
        add_operation_routes,
    ):
        add(app.router, services)
    if settings.shows_docs:
        add_pages(app)
        with_problem_schema(
            app.openapi(),
            ProblemAnswer.model_json_schema(ref_template="#/components/schemas/{model}"),
        )
    app.add_middleware(
        Gate,
        limits=settings.limits,
        keyring=keyring or Keyring(home, clock),
        tenants={},
        turns=Turns(turnstile),
        metrics=metrics,
        access_log=settings.access_log,
    )
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
        ledger_path(home, space.tenant),
        copies,
        space,
        clock=clock,
        metrics=metrics,
        follow_s=follow_s,
    )


def _closing(
    events: EventStore | None, on_stop: Callable[[], Awaitable[None]] | None
) -> Callable[[], Awaitable[None]]:
    async def closed() -> None:
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
    services: Services, on_stop: Callable[[], Awaitable[None]] | None
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
        following = asyncio.gather(releases.follow(), services.consent.follow())
        try:
            async with _following(services):
                yield
        finally:
            following.cancel()
            await asyncio.wait({following})
            await releases.close()
            await services.consent.close()
            if on_stop is not None:
                await on_stop()

    return lifespan


def _following(services: Services) -> AbstractAsyncContextManager[None]:
    return nullcontext() if services.deciding is None else services.deciding.following()
