"""`oferta serve` as an operator meets it: a process, signals, workers."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest
from serving.conftest import RealRedis, ServerStarter
from serving.worlds import shop

STRANGER = "stranger-4711"
PATH = f"/v1/customers/{STRANGER}/recommendations"

pytestmark = pytest.mark.usefixtures("_published")


@pytest.fixture(scope="module")
def _published(redis_process: RealRedis) -> None:
    redis_process.publish(shop())


def test_it_serves_stops_politely_and_logs_no_id(
    redis_process: RealRedis, start_server: ServerStarter
):
    server = start_server(redis_process.url)
    assert server.get(PATH).json()["cold"] is True
    with httpx.Client(base_url=server.address) as kept_alive:
        assert kept_alive.get(PATH).status_code == 200
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        # Told to stop: still serving, but not ready, so that a balancer turns away.
        assert kept_alive.get(PATH).status_code == 200
        assert kept_alive.get("/health/ready").status_code == 503
    _, errors = server.process.communicate(timeout=10)
    assert server.process.returncode == 0
    assert "release.loaded" in errors
    assert STRANGER not in errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_stops_at_once_without_a_traceback(
    redis_process: RealRedis, start_server: ServerStarter, number: signal.Signals
):
    server = start_server(redis_process.url)
    server.process.send_signal(number)
    time.sleep(0.2 if number == signal.SIGTERM else 0.03)  # else two of one kind may be one
    server.process.send_signal(number)
    started = time.monotonic()
    _, errors = server.process.communicate(timeout=10)
    assert time.monotonic() - started < 1.5
    assert "Traceback" not in errors


def test_workers_share_the_port_the_counters_and_are_replaced(
    redis_process: RealRedis, start_server: ServerStarter
):
    server = start_server(redis_process.url, "--workers", "2")
    asked = 20
    for _ in range(asked):
        assert ask(server.address).status_code == 200
    route = "/v1/customers/{customer_id}/recommendations"
    line = f'oferta_http_requests_total{{route="{route}",status="200"}}'
    exposed = httpx.get(server.address + "/metrics").text
    assert f"{line} {asked}.0" in exposed
    workers = sorted(workers_of(server.process.pid))
    assert len(workers) == 2
    subprocess.run(["kill", "-9", str(workers[0])], check=True)
    for _ in range(5):
        assert ask(server.address).status_code == 200
    deadline = time.monotonic() + 15
    while len(replaced := workers_of(server.process.pid) - {workers[0]}) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert workers[1] in replaced
    server.process.send_signal(signal.SIGTERM)
    _, errors = server.process.communicate(timeout=20)
    assert server.process.returncode == 0
    assert "worker.died" in errors


def workers_of(parent: int) -> set[int]:
    """The process ids of the serving processes."""
    return {
        child.pid
        for child in psutil.Process(parent).children()
        if child.is_running() and any("spawn_main" in word for word in child.cmdline())
    }


def ask(address: str) -> httpx.Response:
    """A request of its own connection, again if it met a worker that had just died."""
    deadline = time.monotonic() + 15
    while True:
        try:
            return httpx.get(address + PATH, timeout=5)
        except httpx.TransportError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def run_serve(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-c", "from oferta.cli import main; main()", "serve"),
            *("--home", str(home), *arguments),
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_what_cannot_be_served_is_refused_with_what_to_do(
    redis_process: RealRedis, start_server: ServerStarter, tmp_path: Path
):
    open_to_all = run_serve("--host", "0.0.0.0", home=tmp_path)  # noqa: S104
    assert open_to_all.returncode == 2
    assert "oferta keys create" in open_to_all.stderr
    server = start_server(redis_process.url)
    port = server.address.rpartition(":")[2]
    taken = run_serve("--port", port, home=tmp_path)
    assert taken.returncode == 2
    assert "Choose another --port" in taken.stderr


def test_serving_never_imports_what_trains():
    code = (
        "import sys, oferta_serving.server; "
        "print([m for m in ('implicit', 'lightfm', 'mlflow', 'polars', 'oferta.models')"
        " if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
