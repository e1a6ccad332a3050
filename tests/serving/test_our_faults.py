"""A fault of ours is a problem like any other, and says nothing of who asked."""

import logging
from collections.abc import Sequence
from pathlib import Path

import pytest
from serving.conftest import CLOCK, serving
from serving.worlds import SECRET, publish, shop

from oferta.store.keys import KeySpace
from oferta.store.memory import MemoryStore
from oferta_serving.app import create_app
from oferta_serving.ports import TenantPorts
from oferta_serving.settings import ServingSettings


class BrokenStore(MemoryStore):
    """Gives heads, and breaks its contract on rows."""

    async def fetch(self, keys: Sequence[bytes]) -> list[bytes | None]:
        if any(b":r:" in key for key in keys):
            raise ZeroDivisionError
        return await super().fetch(keys)


def test_an_unforeseen_error_is_a_500_problem(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    space = KeySpace(SECRET)
    store = BrokenStore(space, CLOCK)
    publish(store, space, shop())
    app = create_app(ServingSettings(), TenantPorts(store, space, tmp_path), clock=CLOCK)

    with caplog.at_level(logging.ERROR), serving(app) as client:
        answer = client.get("/v1/customers/anna/recommendations")
        metrics = client.get("/metrics").text

    assert answer.status_code == 500
    assert answer.json()["code"] == "internal"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert "ZeroDivision" not in answer.text
    assert "ZeroDivisionError" in caplog.text
    assert "anna" not in caplog.text
    assert 'recommendations",status="500"} 1.0' in metrics
