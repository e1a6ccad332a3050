"""A disk that fails under the ledger: 503, and nothing is acknowledged that is not there."""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from serving.conftest import RealRedis, RealServer, ServerStarter
from serving.consents import OUT, path, recommended
from serving.worlds import shop

from oferta.privacy.ledger import Ledger, ledger_path

SYNC = "fsync,fdatasync"
WRITE = "pwrite64"


@contextmanager
def failing(server: RealServer, calls: str, error: str) -> Iterator[None]:
    """While it lasts, these system calls of the server's process fail."""
    asked = ["-e", f"trace={calls}", "-e", f"inject={calls}:error={error}", "-o", "/dev/null"]
    tracer = subprocess.Popen(["strace", "-f", "-q", "-p", str(server.process.pid), *asked])
    try:
        time.sleep(0.7)  # until it is attached to every thread
        assert tracer.poll() is None
        yield
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait()


@pytest.mark.needs_tool("strace")
@pytest.mark.parametrize(("calls", "error"), [(SYNC, "EIO"), (WRITE, "ENOSPC")])
def test_a_word_that_did_not_reach_the_disk_is_not_acknowledged(
    redis_process: RealRedis, start_server: ServerStarter, calls: str, error: str
):
    redis_process.publish(shop())
    server = start_server(redis_process.url)
    with httpx.Client(base_url=server.address, timeout=10) as api:
        assert api.put(path("bela"), json=OUT).status_code == 200
        with failing(server, calls, error):
            for _ in range(3):
                answer = api.put(path("anna"), json=OUT)
                assert (answer.status_code, answer.json()["code"]) == (503, "consent.not_stored")
            assert recommended(api, "bela")["personalised"] is False
            assert api.get(path("bela")).status_code == 200
        acknowledged = api.put(path("cleo"), json=OUT)
        assert acknowledged.status_code == 200
        assert recommended(api, "cleo")["personalised"] is False
    server.process.kill()
    server.process.wait()
    ledger = Ledger(ledger_path(Path(start_server.home)))
    assert ledger.broken_at() is None
    for name in ("bela", "cleo"):
        assert ledger.consents_of(name).said == {"personalisation": False}
    ledger.close()
    again = start_server(redis_process.url)
    with httpx.Client(base_url=again.address, timeout=10) as api:
        assert recommended(api, "cleo")["personalised"] is False
        assert api.put(path("anna"), json=OUT).status_code == 200
        assert recommended(api, "anna")["personalised"] is False
