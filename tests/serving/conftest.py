"""A real Redis, and the API over it, for one test module each."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from redis import Redis
from redis.exceptions import RedisError
from serving.callers import Hands
from serving.decision_worlds import CUSTOMERS, RuleSet, publish_seller, write_rules
from serving.decisions import MANY_CUSTOMERS
from serving.refusals import Raw, read_all
from serving.worlds import NOON, SECRET, World, publish, shop
from uvicorn import Config, Server

from oferta.clock import Clock, FixedClock
from oferta.store.consent_copies import ConsentCopies
from oferta.store.decisions_redis import RedisDecisions
from oferta.store.events_redis import RedisEvents
from oferta.store.keys import KeySpace
from oferta.store.local import find_binary
from oferta.store.redis import RedisReader, RedisWriter
from oferta.store.wire import Wire
from oferta_serving.app import create_app
from oferta_serving.deciding.totals import MAX_AGE_S
from oferta_serving.ports import TenantPorts
from oferta_serving.protocol import guarded
from oferta_serving.settings import ServingSettings

CLOCK = FixedClock(datetime.fromtimestamp(NOON, UTC))


@dataclass
class RealRedis:
    """A redis-server process of this test's own, which it may hang, kill and restart."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None
    space: KeySpace = field(default_factory=lambda: KeySpace(SECRET))

    @property
    def url(self) -> str:
        return f"unix://{self.folder}/redis.sock"

    def start(self) -> None:
        arguments = ["--port", "0", "--unixsocket", "redis.sock", "--save", "", "--dir", "."]
        self.process = subprocess.Popen(
            [str(find_binary()), *arguments],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 10
        while True:
            try:
                with Redis.from_url(self.url) as client:
                    client.ping()
            except RedisError:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            else:
                return

    def signal(self, number: int) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        if self.process is not None:
            self.signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def client(self) -> Redis:
        return Redis.from_url(self.url)

    def publish(self, world: World) -> int:
        writer = RedisWriter(self.url, self.space)
        try:
            return publish(writer, self.space, world)
        finally:
            writer.close()


@pytest.fixture(scope="module")
def redis_process() -> Iterator[RealRedis]:
    folder = Path(tempfile.mkdtemp(prefix="oferta-"))  # short: a socket's path has 107 characters
    server = RealRedis(folder)
    server.start()
    yield server
    server.kill()
    shutil.rmtree(folder)


def make_app(
    redis_process: RealRedis,
    home: Path,
    *,
    clock: Clock = CLOCK,
    **settings: object,
) -> FastAPI:
    """The API over this Redis, at noon."""
    chosen = ServingSettings.model_validate(settings)
    reader = RedisReader(redis_process.url, redis_process.space)
    copies = ConsentCopies(Wire(redis_process.url, deadline_s=5.0), redis_process.space)

    async def close() -> None:
        await reader.close()
        await copies.close()

    ports = TenantPorts(
        reader,
        redis_process.space,
        home,
        decisions=RedisDecisions(redis_process.url, redis_process.space, deadline_s=5.0),
        events=RedisEvents(
            redis_process.url, redis_process.space, keeping=chosen.events.keeping, deadline_s=5.0
        ),
        copies=copies,
        on_stop=close,
    )
    return create_app(chosen, ports, clock=clock)


@contextmanager
def serving(app: FastAPI) -> Iterator[httpx.Client]:
    """The app behind our own HTTP protocol, in a thread of this process."""
    listener = socket.create_server(("127.0.0.1", 0))
    services = app.state.services
    http = guarded(services.settings.limits, services.turnstile)
    config = Config(app, http=http, log_config=None, ws="none", server_header=False)
    server = Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        port = listener.getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            while not server.started:
                assert thread.is_alive()
                time.sleep(0.01)
            yield client
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@pytest.fixture(scope="module")
def client(
    redis_process: RealRedis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """The API over a published shop. For tests that change nothing in Redis."""
    redis_process.publish(shop())
    with serving(make_app(redis_process, tmp_path_factory.mktemp("home"))) as client:
        yield client


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> RuleSet:
    """What a small seller decides by. For tests that put back what they change."""
    return write_rules(tmp_path_factory.mktemp("rules"))


@pytest.fixture(scope="module")
def desk(
    redis_process: RealRedis, rules: RuleSet, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """The API of the small seller, who decides."""
    publish_decisions(redis_process)
    home = tmp_path_factory.mktemp("home")
    with serving(make_app(redis_process, home, decisions=rules.settings)) as client:
        yield client


def publish_decisions(redis_process: RealRedis, **options: object) -> None:
    """Publish the small seller's release."""
    writer = RedisWriter(redis_process.url, redis_process.space)
    names = {**CUSTOMERS, **MANY_CUSTOMERS}
    publish_seller(writer, redis_process.space, names, **options)  # type: ignore[arg-type] # its own
    writer.close()


@pytest.fixture
def nobody_spoken_to(redis_process: RealRedis, desk: httpx.Client) -> None:
    """Forget contacts, request ids and totals."""
    del desk
    with redis_process.client() as redis:
        totals = list(redis.scan_iter("*:t:*"))
        for pattern in ("*:c:*", "*:q:*", "*:t:*"):
            for key in redis.scan_iter(pattern):
                redis.delete(key)
    if totals:
        time.sleep(MAX_AGE_S)  # a process remembers counts for so long


@pytest.fixture
def hands() -> Hands:
    """A clock that stands at 0 until the test moves it."""
    return Hands()


@pytest.fixture
def raw(client: httpx.Client) -> Raw:
    """Sends bytes as they are and reads until the server closes or pauses."""

    def exchange(data: bytes) -> bytes:
        host, port = client.base_url.host, client.base_url.port
        assert port is not None
        with socket.create_connection((host, port), timeout=3) as line:
            line.sendall(data)
            return read_all(line)

    return exchange


@dataclass
class RealServer:
    """`oferta serve` as a process of its own."""

    process: subprocess.Popen[str]
    address: str

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.address + path, timeout=5)


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator["ServerStarter"]:
    starter = ServerStarter(tmp_path / "home")
    yield starter
    starter.stop_all()


@dataclass
class ServerStarter:
    """Starts servers and sees to it that none is left behind."""

    home: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def __call__(self, redis_url: str, *arguments: str, **environment: str) -> RealServer:
        process = subprocess.Popen(
            [
                *(sys.executable, "-c", "from oferta.cli import main; main()", "serve"),
                *("--port", "0", "--home", str(self.home), *arguments),
            ],
            env={
                **os.environ,
                "OFERTA_REDIS_URL": redis_url,
                "OFERTA_KEY_SECRET": SECRET.decode(),
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("oferta serves on http://"), process.communicate()
        return RealServer(process, line.split()[3])

    def stop_all(self) -> None:
        for process in self.started:
            with suppress(ProcessLookupError):  # workers too, whatever became of their parent
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
