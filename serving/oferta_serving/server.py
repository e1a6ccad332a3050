"""Running the API: sockets, workers, and a stop that loses no request."""

import logging
import math
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import parent_process
from pathlib import Path
from types import FrameType

from fastapi import FastAPI
from uvicorn import Config, Server

from oferta.clock import Clock, SystemClock
from oferta.errors import SettingsInvalid
from oferta.home import tenant_folder
from oferta.store.consent_copies import ConsentCopies
from oferta.store.decisions_redis import RedisDecisions
from oferta.store.events_redis import RedisEvents
from oferta.store.rates import RedisRates
from oferta.store.redis import RedisReader
from oferta.store.tenants import space_of
from oferta.store.wire import Wire
from oferta_serving import descriptors, logs
from oferta_serving.app import create_app
from oferta_serving.erasing.places import PATIENT_S, Ground
from oferta_serving.metrics import share_between_workers
from oferta_serving.ports import TenantPorts
from oferta_serving.protocol import guarded
from oferta_serving.services import Draining, Process
from oferta_serving.settings import ServingSettings
from oferta_serving.tenant_app import tenant_app
from oferta_serving.workers import Workers

_BACKLOG = 2048
_COPYING = 4  # connections that words of consent are copied through
_COUNTING = 4  # connections that usage of keys is counted through
_COUNT_S = 0.02  # a request waits so long for tokens; then its worker grants some by itself
_PATIENT = 2  # connections of erasures and exports, which nobody's list waits for
_COPY_S = 0.2  # how long a word that is on disk waits for Redis


@dataclass(frozen=True)
class AppFactory:
    """Makes the application in the process that serves it: it is what workers are sent."""

    settings: ServingSettings
    redis_url: str = field(repr=False)  # may carry a password
    home: Path
    draining: Draining = field(default_factory=Draining)
    clock: Clock = field(default_factory=SystemClock)

    def __call__(self) -> FastAPI:
        """The application over its own connections, one within for each further tenant."""
        logs.configure(self.settings.log_format)
        descriptors.allow(self.settings.store.connections)
        counting = Wire(self.redis_url, connections=_COUNTING, deadline_s=_COUNT_S)
        rates = RedisRates(counting, space_of(self.home))
        process = Process.of(
            self.settings,
            clock=self.clock,
            draining=self.draining,
            rates=rates,
            redis_url=self.redis_url,
        )
        tenants = {name: self._tenant(name, process) for name in self.settings.tenants}
        app = create_app(
            self.settings,
            self._ports(self.settings, self.home, process.rates.close),
            process=process,
            tenants=tenants,
        )
        guarded(self.settings.limits, process.turnstile)
        return app

    def _tenant(self, name: str, process: Process) -> FastAPI:
        settings, home = self.settings.of(name), tenant_folder(self.home, name)
        return tenant_app(settings, self._ports(settings, home), process=process)

    def _ports(
        self, settings: ServingSettings, home: Path, *closed: Callable[[], Awaitable[None]]
    ) -> TenantPorts:
        """A tenant's stores, under its own secret; what is `closed` with them."""
        space = space_of(home)
        connections = settings.store.connections
        reader = RedisReader(self.redis_url, space, connections=connections)
        copies = ConsentCopies(
            Wire(self.redis_url, connections=_COPYING, deadline_s=_COPY_S), space
        )

        patient = RedisReader(self.redis_url, space, connections=_PATIENT, deadline_s=PATIENT_S)
        wire = Wire(self.redis_url, connections=_PATIENT, deadline_s=PATIENT_S)

        async def close() -> None:
            for each in (reader.close, copies.close, patient.close, wire.close, *closed):
                await each()

        return TenantPorts(
            reader,
            space,
            home,
            decisions=RedisDecisions(
                self.redis_url,
                space,
                connections=connections,
                log_lines=settings.decisions.log_lines,
                deadline_s=settings.decisions.deadline_ms / 1000,
            ),
            events=RedisEvents(
                self.redis_url, space, keeping=settings.events.keeping, connections=connections
            ),
            copies=copies,
            ground=Ground(home, space, wire, patient, self.clock),
            on_stop=close,
        )


class PoliteServer(Server):
    """Told to stop, it first says so for a while, so that a balancer turns away from it."""

    def __init__(
        self, config: Config, *, draining: Draining, notice_s: float, ready: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._draining = draining
        self._notice_s = notice_s
        self._ready = ready
        self._stop_at: float | None = None
        self._parent = parent_process()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening."""
        await super().startup(sockets)
        if self.started:
            self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGTERM: not ready, then drained. A second one, or Ctrl-C: at once."""
        if sig != signal.SIGTERM:
            super().handle_exit(sig, frame)
        elif self._stop_at is None:
            self._draining.begun = True
            self._stop_at = time.monotonic() + self._notice_s
        else:
            self.force_exit = True
            self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: whether to stop now."""
        if self._stop_at is not None and time.monotonic() >= self._stop_at:
            self.should_exit = True
        if self._parent is not None and not self._parent.is_alive():
            self.should_exit = True  # nobody is left to tell this worker to stop
        return await super().on_tick(counter)


def run(settings: ServingSettings, redis_url: str, home: Path) -> None:
    """Serve until told to stop.

    Raises:
        SettingsInvalid: the address cannot be listened to.
    """
    listener = _listen(settings.host, settings.port)
    work = _Work(AppFactory(settings, redis_url, home))
    said = _said(_address(listener), docs=settings.shows_docs)
    if settings.workers == 1:
        work(listener, ready=partial(_say_hello, said))
    else:
        share_between_workers(home / "serving" / "metrics")
        logs.configure(settings.log_format)
        _say_hello(said)
        Workers(work, listener, count=settings.workers).run()


@dataclass(frozen=True)
class _Work:
    """What one process does; spawned workers are sent it."""

    factory: AppFactory

    def __call__(self, listener: socket.socket, *, ready: Callable[[], None] | None = None) -> None:
        settings = self.factory.settings
        config = Config(
            self.factory,
            factory=True,
            http=guarded(settings.limits),
            ws="none",
            log_config=None,
            log_level=logging.ERROR,
            access_log=False,  # the gate's own names no customer
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=15,
            timeout_graceful_shutdown=math.ceil(settings.stop.drain_s),
            backlog=_BACKLOG,
        )
        server = PoliteServer(
            config,
            draining=self.factory.draining,
            notice_s=settings.stop.notice_s,
            ready=ready or _nothing,
        )
        # Told twice to go, it breaks off what waits, the application's own end among it: whatever
        # uvicorn says of that is no error to tell of.
        logging.getLogger("uvicorn.error").addFilter(lambda _: not server.force_exit)
        server.run(sockets=[listener])


def _said(address: str, *, docs: bool) -> str:
    shown = f"docs {address}/docs   " if docs else ""
    return f"oferta serves on {address}   {shown}health {address}/health/ready   Ctrl-C stops\n"


def _say_hello(said: str) -> None:
    sys.stdout.write(said)
    sys.stdout.flush()


def _nothing() -> None:
    return None


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise SettingsInvalid(
            "host, port",
            [f"{host}:{port} cannot be listened to ({error.strerror}). Choose another --port."],
        ) from None


def _address(listener: socket.socket) -> str:
    host, port, *_ = listener.getsockname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
