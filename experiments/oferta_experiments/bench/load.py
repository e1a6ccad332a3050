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
    """What a load met: requests a second, the median and the 99th percentile of their latency."""

    rps: float
    p50_ms: float
    p99_ms: float
    failed: int


@dataclass(frozen=True, slots=True)
class Asked:
    """One request of a load; one with a body is a POST."""

    path: str
    body: bytes | None = None


def generator() -> str:
    """Which program makes the load."""
    return "wrk" if shutil.which("wrk") else "the built-in generator"


def run_load(
    address: str,
    asked: Sequence[Asked],
    *,
    seconds: int,
    cores: Sequence[int],
    work: Path,
    connections: int = _CONNECTIONS,
) -> Load:
    """Ask for all of `asked` in turn, and again from the first, for `seconds`."""
    if shutil.which("wrk"):
        return _wrk(address, asked, seconds, connections, cores=cores, work=work)
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(cores))
    try:
        return asyncio.run(_built_in(address, asked, seconds, connections))
    finally:
        os.sched_setaffinity(0, before)


def run_paced(address: str, asked: Sequence[Asked], *, seconds: int, rate: int, core: int) -> Load:
    """Ask `rate` times a second, in even steps; latency counts from when a request was due."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        return asyncio.run(_paced(address, asked, seconds, rate))
    finally:
        os.sched_setaffinity(0, before)


_SCRIPT = """
local lines, requests, at = {}, {}, 0
for line in io.lines('%s') do lines[#lines + 1] = line end
function init()
  for place, line in ipairs(lines) do
    local path, body = line:match('^(%%S+) ?(.*)$')
    if body == '' then
      requests[place] = wrk.format('GET', path)
    else
      requests[place] = wrk.format('POST', path, {['Content-Type'] = 'application/json'}, body)
    end
  end
end
function request()
  at = at + 1
  return requests[(at - 1) %% #requests + 1]
end
"""
"""Requests are put together before the load starts: the generator must not be what is measured."""


def _wrk(
    address: str,
    asked: Sequence[Asked],
    seconds: int,
    connections: int,
    *,
    cores: Sequence[int],
    work: Path,
) -> Load:
    lines, script = work / "requests", work / "load.lua"
    lines.write_bytes(
        b"\n".join(one.path.encode() + b" " + (one.body or b"") for one in asked) + b"\n"
    )
    script.write_text(_SCRIPT % lines, encoding="utf-8")
    command = [
        *("taskset", "-c", ",".join(map(str, cores)), "wrk", "-t1", f"-c{connections}"),
        *(f"-d{seconds}s", "--timeout", "20", "--latency", "-s", str(script), address),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - ours
    return _read(done.stdout)


def _read(printed: str) -> Load:
    rps = re.search(r"Requests/sec:\s+([\d.]+)", printed)
    p50, p99 = (re.search(rf"{share}%\s+([\d.]+)(us|ms|s)", printed) for share in (50, 99))
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", printed)
    if rps is None or p50 is None or p99 is None:
        raise ValueError(f"wrk printed something else: {printed}")
    return Load(float(rps[1]), _ms(p50), _ms(p99), int(failed[1]) if failed else 0)


def _ms(told: re.Match[str]) -> float:
    return float(told[1]) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[told[2]]


async def _built_in(address: str, asked: Sequence[Asked], seconds: int, connections: int) -> Load:
    until = time.monotonic() + seconds
    taken: list[float] = []
    failures = 0

    async def client(first: int) -> None:
        nonlocal failures
        line = await _Line.open(address)
        at = first
        while time.monotonic() < until:
            began = time.monotonic()
            failures += not await line.ask(asked[at % len(asked)])
            taken.append(time.monotonic() - began)
            at += connections
        line.close()

    await asyncio.gather(*(client(number) for number in range(connections)))
    return _summed(taken, seconds, failures)


async def _paced(address: str, asked: Sequence[Asked], seconds: int, rate: int) -> Load:
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
            failures += not await line.ask(asked[at % len(asked)])
            taken.append(time.monotonic() - due)
        line.close()

    await asyncio.gather(*(client() for _ in range(_CONNECTIONS)))
    return _summed(taken, seconds, failures)


def _summed(taken: list[float], seconds: int, failures: int) -> Load:
    taken.sort()
    half, most = taken[len(taken) // 2], taken[int(len(taken) * 0.99)]
    return Load(len(taken) / seconds, half * 1e3, most * 1e3, failures)


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

    async def ask(self, asked: Asked) -> bool:
        """Ask for it; whether that was answered with 200 or 202."""
        self.writer.write(_request(asked.path, self.host, asked.body))
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, flags=re.IGNORECASE)
        await self.reader.readexactly(int(length[1]) if length else 0)
        return head.split(b" ", 2)[1] in {b"200", b"202"}

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
