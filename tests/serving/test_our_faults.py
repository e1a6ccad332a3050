"""A fault of ours is a problem like any other, and says nothing of who asked."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest
import structlog
from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from serving.conftest import CLOCK, serving
from serving.worlds import SECRET, publish, shop
from structlog.testing import LogCapture

from oferta.store.keys import KeySpace
from oferta.store.memory import MemoryStore
from oferta_serving import gate
from oferta_serving.app import create_app
from oferta_serving.ports import TenantPorts
from oferta_serving.settings import ServingSettings

CUSTOMER = "anna"


class BrokenStore(MemoryStore):
    """Gives heads, and breaks its contract on rows."""

    async def fetch(self, keys: Sequence[bytes]) -> list[bytes | None]:
        if any(b":r:" in key for key in keys):
            raise ZeroDivisionError(CUSTOMER)  # what went wrong may name who asked
        return await super().fetch(keys)


def test_an_unforeseen_error_is_a_500_problem(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    said = LogCapture()
    monkeypatch.setattr(gate, "log", structlog.wrap_logger(None, processors=[said]))
    space = KeySpace(SECRET)
    store = BrokenStore(space, CLOCK)
    publish(store, space, shop())
    app = create_app(ServingSettings(), TenantPorts(store, space, tmp_path), clock=CLOCK)

    with caplog.at_level(logging.ERROR), serving(app) as client:
        answer = client.get("/v1/customers/anna/recommendations")
        metrics = client.get("/metrics").text

    assert answer.status_code == 500
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.json()["code"] == "internal"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert "ZeroDivision" not in answer.text
    assert answer.headers.get_list("x-request-id") == [answer.json()["request_id"]]
    assert 'requests_refused_total{code="internal"} 1.0' in metrics
    (line,) = said.entries
    trace = line.pop("exception")
    assert line == {
        "event": "request.failed",
        "log_level": "error",
        "route": "/v1/customers/{customer_id}/recommendations",
        "request_id": answer.json()["request_id"],
    }
    assert trace.endswith("ZeroDivisionError")
    assert "test_our_faults.py" in trace
    assert "anna" not in trace + caplog.text
    assert 'recommendations",status="500"} 1.0' in metrics


def test_an_answer_that_breaks_off_is_cut_so_that_nobody_takes_it_for_a_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    space = KeySpace(SECRET)
    store = MemoryStore(space, CLOCK)
    publish(store, space, shop())
    app = create_app(ServingSettings(), TenantPorts(store, space, tmp_path), clock=CLOCK)

    @app.get("/docs/half")
    async def half(request: Request) -> Response:
        def parts() -> Iterator[bytes]:
            yield b"{"
            raise KeyError(CUSTOMER)

        del request
        return StreamingResponse(parts())

    with (
        caplog.at_level(logging.ERROR),
        serving(app) as client,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        client.get("/docs/half")
    assert "HalfAnswered" in caplog.text
    assert CUSTOMER not in caplog.text
