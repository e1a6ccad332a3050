"""The API over a cluster of which one node is away: its customers fall back, all others do not."""

import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from redis_servers import RedisCluster, until
from serving.conftest import make_app, serving
from serving.decision_worlds import publish_seller, write_rules
from serving.decisions import MANY, MANY_CUSTOMERS, ONE, body
from serving.worlds import NOON, SECRET

from oferta.store.keys import KeySpace
from oferta.store.redis import RedisWriter

pytestmark = pytest.mark.needs_tool("redis-server")

SPACE = KeySpace(SECRET)
NAMES = list(MANY_CUSTOMERS)


@dataclass(frozen=True)
class Place:
    """As much of a Redis as the API must know."""

    url: str
    space: KeySpace


@pytest.fixture
def desk(cluster: RedisCluster, tmp_path: Path) -> Iterator[httpx.Client]:
    cluster.empty()
    writer = RedisWriter(cluster.url, SPACE)
    publish_seller(writer, SPACE, MANY_CUSTOMERS)
    writer.close()
    rules = write_rules(tmp_path / "rules").settings
    with serving(make_app(Place(cluster.url, SPACE), tmp_path, decisions=rules)) as client:  # type: ignore[arg-type]  # enough of one
        soon(lambda: level(client, NAMES[0]) == "L0")
        yield client


def soon(came: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not came():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def level(client: httpx.Client, name: str) -> str:
    answer = client.get(f"/v1/customers/{name}/recommendations?n=2")
    assert answer.status_code == 200
    found: str = answer.json()["level"]
    return found


@pytest.mark.parametrize("key", [SPACE.pointer(), SPACE.state(SPACE.digest(NAMES[0]))])
def test_only_the_customers_of_a_node_that_is_away_fall_back(
    cluster: RedisCluster, desk: httpx.Client, key: bytes
):
    """Wherever the pointer lies, and however few ask."""
    port = cluster.owner(key)
    theirs = [name for name in NAMES if cluster.owner(SPACE.state(SPACE.digest(name))) == port]
    others = [name for name in NAMES if name not in theirs]
    assert theirs
    assert others
    client = desk
    process = cluster.processes[port]
    process.send_signal(signal.SIGSTOP)
    try:
        soon(lambda: level(client, theirs[0]) == "L3")
        end = time.monotonic() + 1.5  # far longer than a breaker takes to open
        while time.monotonic() < end:
            assert [level(client, name) for name in theirs[:2]] == ["L3", "L3"]
            time.sleep(0.1)
        calm = [level(client, name) for name in others]
        assert calm.count("L0") >= len(others) - 1  # the machine may stall
        answer = client.post("/v1/recommendations/batch", json={"customer_ids": NAMES}).json()
        levels = {NAMES[one["index"]]: one["answer"]["level"] for one in answer["results"]}
        assert {levels[name] for name in theirs} == {"L3"}
        assert {levels[name] for name in others} == {"L0"}
    finally:
        process.send_signal(signal.SIGCONT)
    soon(lambda: [level(client, name) for name in theirs] == ["L0"] * len(theirs))


def test_decisions_are_made_for_whom_they_can_be_kept(cluster: RedisCluster, desk: httpx.Client):
    counted = {cluster.owner(SPACE.total("any")), cluster.owner(SPACE.bundle("any"))}
    port = next(each for each in cluster.ports if each not in counted)
    theirs = [name for name in NAMES if cluster.owner(SPACE.state(SPACE.digest(name))) == port]
    other = next(name for name in NAMES if name not in theirs)
    assert desk.post(ONE, json=body(other)).status_code == 200  # the rules are kept by now
    cluster.kill(port)
    try:
        soon(lambda: level(desk, theirs[0]) == "L3")
        soon(lambda: desk.post(ONE, json=body(theirs[0])).status_code == 503)
        assert desk.post(ONE, json=body(other)).status_code == 200
        asked = {"customer_ids": NAMES, "channel": "app", "placements": ["home"]}
        results = desk.post(MANY, json=asked).json()["results"]
        statuses = {NAMES[one["index"]]: one["status"] for one in results}
        assert {name for name, status in statuses.items() if status == 503} == set(theirs)
        assert {status for name, status in statuses.items() if name not in theirs} == {200}
    finally:
        cluster.start_node(port)
        until(cluster.whole)
    soon(lambda: desk.post(ONE, json=body(theirs[0])).status_code == 200)


def test_events_are_taken_for_whom_they_can_be_kept(cluster: RedisCluster, desk: httpx.Client):
    """An event lies in two slots: its customer's, and its shard's."""
    port = cluster.ports[0]
    nodes = {
        name: {cluster.owner(key) for key in (SPACE.state(digest), SPACE.events(shard))}
        for name in NAMES
        if (digest := SPACE.digest(name)) and (shard := SPACE.shard(digest)) is not None
    }
    lost = next(name for name in NAMES if port in nodes[name])
    kept = next(name for name in NAMES if port not in nodes[name])
    cluster.kill(port)
    try:
        soon(lambda: told(desk, lost, "event-lost-1") == 503)
        soon(lambda: told(desk, kept, "event-kept-1") == 202)
    finally:
        cluster.start_node(port)
        until(cluster.whole)
    soon(lambda: told(desk, lost, "event-lost-1") == 202)


def told(client: httpx.Client, name: str, event_id: str) -> int:
    event = {
        "event_id": event_id,
        "customer_id": name,
        "product_id": "car-loan",
        "type": "click",
        "occurred_at": datetime.fromtimestamp(NOON, UTC).isoformat(),
    }
    return client.post("/v1/events", json={"events": [event]}).status_code
