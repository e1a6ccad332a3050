"""Loads on loopback: closed ones by wrk where it is on PATH, else by a small one; paced ones.

A closed load asks as soon as it was answered: it measures how much can be done. A paced one asks at
its own rate, however long answers take: it measures how long they take at that load.
"""

import asyncio
import os
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

_CONNECTIONS = 16


@dataclass(frozen=True, slots=True)
class Load:
    """What a load met: requests a second, and the 99th percentile of their latency."""

    rps: float
    p99_ms: float
    failed: int


def generator() -> str:
    """Which program makes the load."""
    return "wrk" if shutil.which("wrk") else "the built-in generator"


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a closed load asks for."""

    paths: list[str]
    bodies: Sequence[bytes]
    seconds: int
    connections: int


def run_load(
    address: str,
    paths: list[str],
    *,
    seconds: int,
    cores: list[int],
    work: Path,
    bodies: Sequence[bytes] = (),
    connections: int = _CONNECTIONS,
) -> Load:
    """Ask for `paths` in turn (POST with `bodies` in turn, if given) for `seconds`."""
    asked = _Asked(paths, bodies, seconds, connections)
    if shutil.which("wrk"):
        return _wrk(address, asked, cores=cores, work=work)
    os.sched_setaffinity(0, set(cores))
    return asyncio.run(_built_in(address, asked))


def run_paced(
    address: str,
    paths: list[str],
    *,
    seconds: int,
    rate: int,
    core: int,
    bodies: Sequence[bytes] = (),
) -> Load:
    """Ask `rate` times a second, in even steps; latency counts from when a request was due."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        return asyncio.run(_paced(address, paths, seconds, rate, bodies))
    finally:
        os.sched_setaffinity(0, before)


def _wrk(address: str, asked: _Asked, *, cores: list[int], work: Path) -> Load:
    paths, bodies = asked.paths, asked.bodies
    script = work / "load.lua"
    listed = ",".join(f"'{path}'" for path in paths)
    sent = "nil"
    head = ""
    if bodies:
        places = work / "bodies"
        places.write_bytes(b"\n".join(bodies))
        head = (
            f"local bodies = {{}}\nfor line in io.lines('{places}') do\n"
            "  bodies[#bodies + 1] = line\nend\n"
            "wrk.method = 'POST'\nwrk.headers['Content-Type'] = 'application/json'\n"
        )
        sent = "bodies[(at - 1) % #bodies + 1]"
    script.write_text(
        f"{head}local paths = {{{listed}}}\nlocal at = 0\n"
        "function request()\n  at = at + 1\n"
        f"  return wrk.format(nil, paths[(at - 1) % #paths + 1], nil, {sent})\nend\n",
        encoding="utf-8",
    )
    command = [
        *("taskset", "-c", ",".join(map(str, cores)), "wrk", "-t1", f"-c{asked.connections}"),
        *(f"-d{asked.seconds}s", "--timeout", "20", "--latency", "-s", str(script), address),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - ours
    return _read(done.stdout)


def _read(printed: str) -> Load:
    rps = re.search(r"Requests/sec:\s+([\d.]+)", printed)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", printed)
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", printed)
    if rps is None or p99 is None:
        raise ValueError(f"wrk printed something else: {printed}")
    scale = {"us": 1e-3, "ms": 1.0, "s": 1e3}[p99[2]]
    return Load(float(rps[1]), float(p99[1]) * scale, int(failed[1]) if failed else 0)


async def _built_in(address: str, asked: _Asked) -> Load:
    until = time.monotonic() + asked.seconds
    taken: list[float] = []
    failures = 0

    async def client(first: int) -> None:
        nonlocal failures
        line = await _Line.open(address)
        at = first
        while time.monotonic() < until:
            began = time.monotonic()
            failures += not await line.ask(asked.paths, asked.bodies, at)
            taken.append(time.monotonic() - began)
            at += asked.connections
        line.close()

    await asyncio.gather(*(client(number) for number in range(asked.connections)))
    return _summed(taken, asked.seconds, failures)


async def _paced(
    address: str, paths: list[str], seconds: int, rate: int, bodies: Sequence[bytes]
) -> Load:
    count = seconds * rate
    start = time.monotonic() + 0.05
    taken: list[float] = []
    failures = 0
    following = iter(range(count))

    async def client() -> None:
        nonlocal failures
        line = await _Line.open(address)
        for at in following:
            due = start + at / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            failures += not await line.ask(paths, bodies, at)
            taken.append(time.monotonic() - due)
        line.close()

    await asyncio.gather(*(client() for _ in range(_CONNECTIONS)))
    return _summed(taken, seconds, failures)


def _summed(taken: list[float], seconds: int, failures: int) -> Load:
    taken.sort()
    return Load(len(taken) / seconds, taken[int(len(taken) * 0.99)] * 1e3, failures)


@dataclass(frozen=True, slots=True)
class _Line:
    """One connection, asked one thing at a time."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    host: str

    @classmethod
    async def open(cls, address: str) -> "_Line":
        target = urlsplit(address)
        reader, writer = await asyncio.open_connection(target.hostname, target.port)
        return cls(reader, writer, target.netloc)

    async def ask(self, paths: list[str], bodies: Sequence[bytes], at: int) -> bool:
        """Ask for the path and body whose turn it is; whether that was answered with 200."""
        body = bodies[at % len(bodies)] if bodies else None
        self.writer.write(_request(paths[at % len(paths)], self.host, body))
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, flags=re.IGNORECASE)
        await self.reader.readexactly(int(length[1]) if length else 0)
        return b" 200 " in head.split(b"\r\n", 1)[0]

    def close(self) -> None:
        self.writer.close()


def _request(path: str, host: str, body: bytes | None) -> bytes:
    if body is None:
        return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
