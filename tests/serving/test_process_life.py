"""A serving process that is told to stop, killed, starved of descriptors, or loses its outputs."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import orjson
import psutil
import pytest
from chaos.table import record
from raw_http import Ask, Client, Reply
from serving.conftest import RealRedis, publish_decisions
from serving.decision_worlds import RuleSet
from serving.worlds import SECRET

ROUNDS = int(os.environ.get("OFERTA_CHAOS_STOPS", "3"))
KILLS = int(os.environ.get("OFERTA_CHAOS_WORKERS", "2"))
PATH = "/v1/customers/anna/recommendations"


@dataclass
class Serve:
    """`oferta serve` under the conditions of a test."""

    redis: RealRedis
    home: Path
    rules: RuleSet
    settings: str = "[stop]\nnotice_s = 0.3\n"
    before: str = ""
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *arguments: str) -> tuple[subprocess.Popen[str], int]:
        """The process and its port."""
        config = self.home / f"serving-{len(self.processes)}.toml"
        decisions = "\n".join(f'{name} = "{path}"' for name, path in self.rules.settings.items())
        config.write_text(f"{self.settings}\n[decisions]\n{decisions}\n")
        command = [sys.executable, "-c", "from oferta.cli import main; main()", "serve"]
        command += ["--port", "0", "--home", str(self.home / "state"), "--config", str(config)]
        shell = f'{self.before} exec "$@"'
        process = subprocess.Popen(
            ["bash", "-c", shell, "bash", *command, *arguments],
            env={
                **os.environ,
                "OFERTA_REDIS_URL": self.redis.url,
                "OFERTA_KEY_SECRET": SECRET.decode(),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.processes.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("oferta serves on"), process.communicate()
        return process, int(line.split()[3].rpartition(":")[2])

    def end(self) -> None:
        for process in self.processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()
            process.wait()


@pytest.fixture
def serve(redis_process: RealRedis, rules: RuleSet, tmp_path: Path):
    if redis_process.process is None:
        redis_process.start()
    publish_decisions(redis_process)
    starter = Serve(redis_process, tmp_path, rules)
    yield starter
    starter.end()


def decision(number: int) -> Ask:
    fields = {"customer_id": "anna", "channel": "web", "request_id": f"life-{number}"}
    return Ask("/v1/decisions", orjson.dumps(fields))


@pytest.mark.chaos
@pytest.mark.timeout(60 + 20 * ROUNDS)
def test_r13_processes_take_turns_and_no_request_is_lost(serve: Serve):  # noqa: C901 - one scene
    """As behind a balancer: who cannot connect asks the other process. What was answered stands."""
    ports = [serve.start()[1], serve.start()[1]]
    statuses: Counter[int] = Counter()
    made: list[str] = []
    stopping: list[float] = []
    over = False

    async def ask(clients: list[Client], number: int, request: Ask) -> Reply:
        for attempt in range(20):
            reply = await clients[(number + attempt) % 2].send(request, retry_on_connect=True)
            if reply.status:
                return reply
        return reply

    async def caller(at: int) -> None:
        clients = [Client(port) for port in ports]
        number = 0
        while not over:
            number += 1
            for index, port in enumerate(ports):
                if clients[index].port != port:
                    await clients[index].close()
                    clients[index] = Client(port)
            wants = decision(at * 1_000_000 + number) if number % 4 == 0 else Ask(PATH)
            reply = await ask(clients, number, wants)
            statuses[reply.status] += 1
            if wants.body is not None and reply.status == 200:
                made.append(reply.json()["decision_id"])
            await asyncio.sleep(0.005)
        for client in clients:
            await client.close()

    async def deploy() -> None:
        nonlocal over
        for number in range(ROUNDS):
            await asyncio.sleep(0.5)
            old = serve.processes[number]
            started = time.monotonic()
            old.send_signal(signal.SIGTERM)
            await asyncio.to_thread(old.wait, 15)
            stopping.append(time.monotonic() - started)
            assert old.returncode == 0
            _, ports[number % 2] = await asyncio.to_thread(serve.start)
        over = True

    async def all_of_it() -> None:
        await asyncio.gather(deploy(), *(caller(at) for at in range(4)))

    asyncio.run(all_of_it())
    record(
        "Graceful stops (R13)",
        {
            "answers other than 200": statuses.total() - statuses[200],
            "answers of 200": statuses[200],
            "decisions made": len(made),
            "stops": len(stopping),
            "longest stop (s)": round(max(stopping), 2),
        },
        f"OFERTA_CHAOS_STOPS={ROUNDS} pytest tests/serving/test_process_life.py -k r13",
    )
    assert set(statuses) == {200}, statuses
    assert statuses[200] > 50 * ROUNDS
    assert max(stopping) <= 12
    assert made
    with httpx.Client(base_url=f"http://127.0.0.1:{ports[0]}", timeout=5) as client:
        for decision_id in made[:: max(1, len(made) // 50)]:
            assert client.get(f"/v1/decisions/{decision_id}").status_code == 200


@pytest.mark.chaos
@pytest.mark.timeout(60 + 10 * KILLS)
def test_r12_a_killed_worker_costs_its_connections_one_failure_each(serve: Serve):
    parent, port = serve.start("--workers", "2")
    failures = answers = 0
    killed: set[int] = set()

    async def ask_on() -> None:
        nonlocal failures, answers
        client = Client(port)
        for _ in range(KILLS):
            worker = await asyncio.to_thread(_worker_of, parent.pid, killed)
            for step in range(60):
                reply = await client.send(Ask(PATH))
                failures += reply.status != 200
                answers += reply.status == 200
                if step == 20:
                    os.kill(worker, signal.SIGKILL)
                    killed.add(worker)
                await asyncio.sleep(0.01)
        await client.close()

    asyncio.run(ask_on())
    record(
        "Workers killed (R12)",
        {"failures, of one connection": failures, "answers of 200": answers, "kills": KILLS},
        f"OFERTA_CHAOS_WORKERS={KILLS} pytest tests/serving/test_process_life.py -k r12",
    )
    assert failures <= KILLS
    assert answers >= 59 * KILLS
    assert _worker_of(parent.pid, killed)  # replaced


def _worker_of(parent: int, without: set[int]) -> int:
    """A worker that serves, of two."""
    deadline = time.monotonic() + 15
    while True:
        workers = {
            child.pid
            for child in psutil.Process(parent).children(recursive=True)
            if child.pid not in without and "spawn_main" in " ".join(child.cmdline())
        }
        if len(workers) >= 2:
            time.sleep(1.5)  # the new one starts
            return min(workers)
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_fault_94_without_descriptors_it_waits_and_serves_again(serve: Serve):
    serve.before = "ulimit -n 64;"
    process, port = serve.start()
    assert _get(port).status_code == 200
    lines = []
    for _ in range(120):
        line = socket.create_connection(("127.0.0.1", port), timeout=1)
        lines.append(line)
    time.sleep(0.5)
    assert process.poll() is None
    for line in lines:
        line.close()
    _until(lambda: _status(port) == 200, seconds=5)
    process.terminate()
    _, said = process.communicate(timeout=15)
    assert process.returncode == 0
    assert "open_files.few" in said
    assert "limit=64" in said
    assert len(said.splitlines()) < 100  # told, not repeated for every connection


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_fault_96_it_serves_when_nobody_reads_its_outputs_any_more(serve: Serve, log_format: str):
    serve.settings = f'access_log = true\nlog_format = "{log_format}"\n' + serve.settings
    process, port = serve.start()
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    process.stderr.close()
    for _ in range(20):
        assert _get(port).status_code == 200
    assert httpx.get(f"http://127.0.0.1:{port}/nothing").status_code == 404
    process.terminate()
    assert process.wait(15) == 0


def test_fault_96_a_slow_reader_of_its_log_does_not_stop_it(serve: Serve):
    """A pipe holds 64 kB; nobody empties it."""
    serve.settings = "access_log = true\n" + serve.settings
    process, port = serve.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=5) as client:
        for _ in range(1500):
            assert client.get("/health/live").status_code == 200
    process.kill()


def _get(port: int) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{port}{PATH}", timeout=5)


def _status(port: int) -> int:
    try:
        return _get(port).status_code
    except httpx.TransportError:
        return 0


def _until(true: Callable[[], bool], *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)
