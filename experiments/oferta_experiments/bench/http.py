"""One personalised answer, and many in one call, against a bare handler returning the same bytes.

The server worker is pinned to one core, the load generator and Redis to the other. Both sides run
in turn, several times; medians are compared.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median

import httpx
import psutil
import redis
from numpy.random import default_rng

from oferta.store.connecting import StoreSettings, connect
from oferta_experiments.bench.load import Asked, Load, generator, run_load
from oferta_experiments.bench.published import publish_scores
from oferta_experiments.bench.releases import write_scores
from oferta_experiments.bench.rows import Row

_CUSTOMERS, _ASKED, _BATCH, _N = 20_000, 400, 500, 10
SERVER_CORE, LOAD_CORE = 0, 1
_SECONDS, _ROUNDS = 6, 3
_RATE_BAR, _P99_BAR, _BATCH_BAR, _BATCH_STRETCH = 0.6, 2.0, 6.0, 20.0


def http_rows(work: Path) -> list[Row]:
    """The two HTTP rows; a machine with one core cannot separate the sides, and says so."""
    if (os.cpu_count() or 1) < 2:  # noqa: PLR2004 - two sides
        return [Row("HTTP rows", "SKIPPED: one core only", "-", None, "-", None)]
    settings = StoreSettings(work)  # never the Redis that the environment names
    scores = write_scores(work / "scores", customers=_CUSTOMERS, rng=default_rng(1))
    with connect(settings) as store:
        publish_scores(scores, store, work)
        pin_redis(work, [LOAD_CORE])
        with serving(work) as ours, _bare(store.url, ours) as bare:
            return _measure(ours, bare, work)


def _measure(ours: str, bare: str, work: Path) -> list[Row]:
    asked = [f"c{number * 7 % _CUSTOMERS:08d}" for number in range(_ASKED)]
    mine = [Asked(f"/v1/customers/{customer}/recommendations?n={_N}") for customer in asked]
    theirs = [Asked(f"/bare/{customer}") for customer in asked]
    batch = [f"c{number * 11 % _CUSTOMERS:08d}" for number in range(_BATCH)]
    body = ('{"customer_ids": ["' + '", "'.join(batch) + f'"], "n": {_N}}}').encode()
    single: list[Load] = []
    anchor: list[Load] = []
    many: list[Load] = []
    load = partial(run_load, seconds=_SECONDS, cores=[LOAD_CORE], work=work)
    for _ in range(_ROUNDS):
        single.append(load(ours, mine))
        anchor.append(load(bare, theirs))
        many.append(load(ours, [Asked("/v1/recommendations/batch", body)]))
    failed = sum(one.failed for one in (*single, *anchor, *many))
    if failed:
        raise RuntimeError(f"{failed} requests failed: the figures would mean nothing")
    rate = median(one.rps / other.rps for one, other in zip(single, anchor, strict=True))
    p99 = median(one.p99_ms / other.p99_ms for one, other in zip(single, anchor, strict=True))
    times = median(one.rps * _BATCH / other.rps for one, other in zip(many, single, strict=True))
    own, their = median(one.rps for one in single), median(one.rps for one in anchor)
    return [
        Row(
            what=f"one personalised answer over HTTP, n={_N} ({generator()})",
            ours=f"{own:,.0f} requests/s a worker",
            anchor=f"bare FastAPI + GET of the same bytes {their:,.0f}/s",
            ratio=rate,
            bar=f">= {_RATE_BAR}",
            met=rate >= _RATE_BAR,
        ),
        Row(
            what="its p99 at the same load",
            ours=f"{median(one.p99_ms for one in single):.1f} ms",
            anchor=f"bare {median(one.p99_ms for one in anchor):.1f} ms",
            ratio=p99,
            bar=f"<= {_P99_BAR:.0f}",
            met=p99 <= _P99_BAR,
        ),
        Row(
            what=f"{_BATCH} customers in one call, customers/s against the single call's",
            ours=f"{median(one.rps for one in many) * _BATCH:,.0f} customers/s",
            anchor=f"single {own:,.0f}/s",
            ratio=times,
            bar=f">= {_BATCH_BAR:.0f} (stretch {_BATCH_STRETCH:.0f})",
            met=times >= _BATCH_BAR,
        ),
    ]


@contextmanager
def serving(work: Path, *more: str, cores: Sequence[int] = (SERVER_CORE,)) -> Iterator[str]:
    """`oferta serve` with `more` options on these cores; its address, once it is ready."""
    command = [sys.executable, "-m", "oferta", "serve", "--port", "8765", "--home", str(work)]
    environment = {name: value for name, value in os.environ.items() if name != "OFERTA_REDIS_URL"}
    probe = "http://127.0.0.1:8765/health/ready"
    with running([*command, *more], environment, probe, work / "ours.log", cores=cores):
        yield "http://127.0.0.1:8765"


@contextmanager
def _bare(redis_url: str, ours: str) -> Iterator[str]:
    """The anchor, with the very bytes that our own answers have."""
    store = redis.Redis.from_url(redis_url)
    with httpx.Client(base_url=ours) as client:
        for number in range(_ASKED):
            customer = f"c{number * 7 % _CUSTOMERS:08d}"
            answer = client.get(f"/v1/customers/{customer}/recommendations", params={"n": _N})
            store.set(f"bare:{customer}", answer.raise_for_status().content)
    store.close()
    module = "oferta_experiments.bench.bare:app"
    command = [
        *(sys.executable, "-m", "uvicorn", module, "--port", "8766"),
        *("--no-access-log", "--log-level", "error"),
    ]
    environment = {**os.environ, "OFERTA_BENCH_REDIS": redis_url}
    probe = "http://127.0.0.1:8766/bare/c00000000"
    with running(command, environment, probe, Path(os.devnull)):
        yield "http://127.0.0.1:8766"


@contextmanager
def running(
    command: list[str],
    environment: dict[str, str],
    probe: str,
    log: Path,
    *,
    cores: Sequence[int] = (SERVER_CORE,),
) -> Iterator[None]:
    """A server pinned to its cores, from ready to stopped."""
    pinned = ["taskset", "-c", ",".join(map(str, cores)), *command]
    with log.open("wb") as printed:
        server = subprocess.Popen(  # noqa: S603 - our own
            pinned, env=environment, stdout=printed, stderr=subprocess.STDOUT
        )
    try:
        for _ in range(300):
            if server.poll() is not None:
                raise RuntimeError(f"{command} ended with {server.returncode}; see {log}")
            try:
                if httpx.get(probe, timeout=1.0).is_success:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        yield
    finally:
        server.terminate()
        server.wait(20)


def pin_redis(work: Path, cores: Sequence[int]) -> None:
    """Let the embedded Redis of `work` run on these cores alone."""
    for process in psutil.process_iter(["name", "cwd"]):
        if process.info["name"] == "redis-server" and str(work) in (process.info["cwd"] or ""):
            process.cpu_affinity(list(cores))
