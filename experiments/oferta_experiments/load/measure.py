"""The loads, ours and the bare handler's in turn, at each number of clients."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import httpx
import redis

from oferta.progress import Progress
from oferta_experiments.bench.http import LOAD_CORE, running
from oferta_experiments.bench.load import Asked, Load, run_load
from oferta_experiments.load.kinds import LISTED, LISTS_ASKED, Kind, active, still

CLIENTS = (1, 8, 32, 128)
_BARE = "http://127.0.0.1:8766"


@dataclass(frozen=True, slots=True)
class Measured:
    """One kind at one number of clients: the medians of all rounds, and of the rounds' ratios.

    Attributes:
        refused: share of our answers that were refusals.
    """

    kind: str
    clients: int
    refused: float
    ours: Load
    anchor: Load
    rate: float
    p50: float
    p99: float
    bar: float | None


@dataclass(frozen=True, slots=True)
class Plan:
    """How long each load lasts, how often, by how many clients."""

    seconds: int = 5
    rounds: int = 3
    clients: Sequence[int] = CLIENTS


def measure(
    ours: str,
    kinds: Callable[[int], list[Kind]],
    plan: Plan,
    *,
    work: Path,
    progress: Progress,
) -> list[Measured]:
    """All kinds at all numbers of clients, both sides in turn in every round.

    What a server refuses in time under more clients than it can serve (503) is no failure, and no
    answer either: rates count what was answered.
    """
    taken: dict[tuple[str, int], list[tuple[Load, Load]]] = {}
    bars: dict[str, float | None] = {}
    names = [kind.name for kind in kinds(0)]
    total = plan.rounds * len(plan.clients) * len(names)
    turn = 0
    with progress.task("load", total=total) as advance:
        for _ in range(plan.rounds):
            for clients in plan.clients:
                for kind in kinds(turn):
                    pair = (
                        _load(ours, kind.ours, clients, plan, work),
                        _load(_BARE, kind.anchor, clients, plan, work),
                    )
                    taken.setdefault((kind.name, clients), []).append(pair)
                    bars[kind.name] = kind.bar
                    advance(1)
                turn += 1
    return [
        summed(name, clients, taken[name, clients], bars[name], seconds=plan.seconds)
        for name in names
        for clients in plan.clients
    ]


def _load(address: str, asked: Sequence[Asked], clients: int, plan: Plan, work: Path) -> Load:
    load = run_load(
        address, asked, seconds=plan.seconds, cores=[LOAD_CORE], work=work, connections=clients
    )
    return replace(load, rps=load.rps - load.failed / plan.seconds)


def summed(
    kind: str,
    clients: int,
    pairs: Sequence[tuple[Load, Load]],
    bar: float | None,
    *,
    seconds: int,
) -> Measured:
    """What the rounds of one kind, each ours and the anchor's, come to."""
    refused = sum(ours.failed for ours, _ in pairs)
    answered = sum(ours.rps for ours, _ in pairs) * seconds
    return Measured(
        kind,
        clients,
        refused / max(1.0, refused + answered),
        _median([ours for ours, _ in pairs]),
        _median([anchor for _, anchor in pairs]),
        rate=median(ours.rps / anchor.rps for ours, anchor in pairs),
        p50=median(ours.p50_ms / anchor.p50_ms for ours, anchor in pairs),
        p99=median(ours.p99_ms / anchor.p99_ms for ours, anchor in pairs),
        bar=bar,
    )


def _median(loads: Sequence[Load]) -> Load:
    return Load(
        median(one.rps for one in loads),
        median(one.p50_ms for one in loads),
        median(one.p99_ms for one in loads),
        sum(one.failed for one in loads),
    )


@contextmanager
def bare(redis_url: str, ours: str) -> Iterator[None]:
    """The anchor, with the very bytes that our own answers have."""
    with redis.Redis.from_url(redis_url) as store, httpx.Client(base_url=ours) as client:
        for customer in (of(number) for of in (still, active) for number in range(LISTS_ASKED)):
            answer = client.get(f"/v1/customers/{customer}/recommendations", params={"n": LISTED})
            store.set(f"bare:{customer}", answer.raise_for_status().content)
        decision = client.post(
            "/v1/decisions",
            json={"customer_id": "c00000007", "channel": "app", "placements": ["home"]},
        )
        store.set("bare:decision", decision.raise_for_status().content)
    command = [sys.executable, "-m", "uvicorn", "oferta_experiments.load.bare:app"]
    command += ["--port", "8766", "--no-access-log", "--log-level", "error"]
    environment = {**os.environ, "OFERTA_LOAD_REDIS": redis_url}
    with running(command, environment, f"{_BARE}/bare/c00000000", Path(os.devnull)):
        yield


@contextmanager
def consuming(work: Path) -> Iterator[None]:
    """`oferta consume` on the load's core: what it takes is told by the load, as in life."""
    command = ["taskset", "-c", str(LOAD_CORE), sys.executable, "-m", "oferta", "consume"]
    command += ["--home", str(work)]
    with (work / "consume.log").open("wb") as printed:
        consumer = subprocess.Popen(  # noqa: S603 - our own
            command, stdout=printed, stderr=subprocess.STDOUT
        )
    try:
        yield
    finally:
        consumer.terminate()
        consumer.wait(20)
