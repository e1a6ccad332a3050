"""A closed-loop load on loopback: wrk where it is on PATH, else a small one of our own."""

import asyncio
import os
import re
import shutil
import subprocess
import time
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


def run_load(
    address: str,
    paths: list[str],
    *,
    seconds: int,
    core: int,
    work: Path,
    body: bytes | None = None,
) -> Load:
    """Ask for `paths` in turn (POST with `body` if given) for `seconds`, from one core."""
    if shutil.which("wrk"):
        return _wrk(address, paths, seconds=seconds, core=core, work=work, body=body)
    os.sched_setaffinity(0, {core})
    return asyncio.run(_built_in(address, paths, seconds, body))


def _wrk(
    address: str, paths: list[str], *, seconds: int, core: int, work: Path, body: bytes | None
) -> Load:
    script = work / "load.lua"
    post = ""
    if body is not None:
        text = body.decode().replace("\\", "\\\\").replace("'", "\\'")
        post = (
            f"wrk.method = 'POST'\nwrk.body = '{text}'\n"
            "wrk.headers['Content-Type'] = 'application/json'\n"
        )
    listed = ",".join(f"'{path}'" for path in paths)
    script.write_text(
        f"{post}local paths = {{{listed}}}\nlocal at = 0\n"
        "function request()\n  at = at % #paths + 1\n  return wrk.format(nil, paths[at])\nend\n",
        encoding="utf-8",
    )
    command = [
        *("taskset", "-c", str(core), "wrk", "-t1", f"-c{_CONNECTIONS}", f"-d{seconds}s"),
        *("--latency", "-s", str(script), address),
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


async def _built_in(address: str, paths: list[str], seconds: int, body: bytes | None) -> Load:
    target = urlsplit(address)
    until = time.monotonic() + seconds
    taken: list[float] = []
    failures = 0

    async def client(first: int) -> None:
        nonlocal failures
        reader, writer = await asyncio.open_connection(target.hostname, target.port)
        at = first
        while time.monotonic() < until:
            began = time.monotonic()
            writer.write(_request(paths[at % len(paths)], target.netloc, body))
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head, flags=re.IGNORECASE)
            await reader.readexactly(int(length[1]) if length else 0)
            failures += b" 200 " not in head.split(b"\r\n", 1)[0]
            taken.append(time.monotonic() - began)
            at += _CONNECTIONS
        writer.close()

    await asyncio.gather(*(client(number) for number in range(_CONNECTIONS)))
    taken.sort()
    return Load(len(taken) / seconds, taken[int(len(taken) * 0.99)] * 1e3, failures)


def _request(path: str, host: str, body: bytes | None) -> bytes:
    if body is None:
        return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
