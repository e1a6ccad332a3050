"""Who was forgotten is a stranger at once, also while Redis refuses to remove what it has."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from serving.conftest import CLOCK, RealRedis, publish_decisions, serving
from serving.decision_worlds import RuleSet
from serving.decisions import ONE, ask, body
from serving.refusals import refused

from oferta.clock import SystemClock
from oferta.store.consent_copies import ConsentCopies
from oferta.store.decisions_redis import RedisDecisions
from oferta.store.events_redis import RedisEvents
from oferta.store.redis import RedisReader
from oferta.store.wire import Wire
from oferta_serving.app import create_app
from oferta_serving.erasing.places import Ground
from oferta_serving.ports import TenantPorts
from oferta_serving.settings import ServingSettings


@pytest.fixture
def api(redis_process: RealRedis, rules: RuleSet, tmp_path: Path) -> Iterator[httpx.Client]:
    """The small seller's API, which erases."""
    url, space = redis_process.url, redis_process.space
    with redis_process.client() as redis:
        redis.flushall()
    publish_decisions(redis_process)
    wire, copying = Wire(url, deadline_s=5.0), Wire(url, deadline_s=5.0)
    reader = RedisReader(url, space, deadline_s=5.0)

    async def close() -> None:
        for each in (wire, reader, copying):
            await each.close()

    ports = TenantPorts(
        reader,
        space,
        tmp_path,
        decisions=RedisDecisions(url, space, deadline_s=5.0),
        events=RedisEvents(url, space, deadline_s=5.0),
        copies=ConsentCopies(copying, space),
        ground=Ground(tmp_path, space, wire, reader, SystemClock()),
        on_stop=close,
    )
    app = create_app(
        ServingSettings.model_validate({"decisions": rules.settings}), ports, clock=CLOCK
    )
    with serving(app) as client:
        yield client


def test_nothing_of_theirs_is_answered_though_redis_refuses_writes(
    api: httpx.Client, redis_process: RealRedis
):
    first = ask(api, "anna", request_id="req-0000001")
    api.post(ONE, json=body("emil", request_id="req-0000002"))
    with redis_process.client() as redis:
        redis.config_set("min-replicas-to-write", 1)
        try:
            for who in ("anna", "emil"):
                assert api.delete(f"/v1/customers/{who}").status_code == 202
            refused(api.get(f"/v1/decisions/{first['decision_id']}"), 404, "decision.unknown")
            again = api.post(ONE, json=body("emil", request_id="req-0000002"))
            refused(again, 409, "request_id.withdrawn")
            profile = api.get("/v1/customers/anna/profile").json()
            there = redis.exists(redis_process.space.state(redis_process.space.digest("anna")))
        finally:
            redis.config_set("min-replicas-to-write", 0)
    assert there, "this test is to find something that was not removed"
    assert (profile["contacts"], profile["known"], profile["state_version"]) == ([], False, 0)
