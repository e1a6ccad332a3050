"""How far an answer is from what it should be, and that it says so: L0 to L4."""

import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

import httpx
import orjson
import pytest
from serving.conftest import RealRedis, make_app, publish_decisions, serving
from serving.decision_worlds import RuleSet
from serving.worlds import NOON, SECRET, shop

from oferta.errors import RecordCorrupt
from oferta.profile.recent import Recent
from oferta.store.contract import Pointer
from oferta.store.customer_records import seal_recent
from oferta.store.head import manifest_digest
from oferta.store.keys import KeySpace
from oferta.store.redis import RedisWriter
from oferta_serving import lasthead
from oferta_serving.deciding.schemas import DecisionDegraded
from oferta_serving.ladder import RUNGS, rung
from oferta_serving.schemas import DegradedReason

LIST = "/v1/customers/anna/recommendations"


@pytest.fixture
def client(redis_process: RealRedis, tmp_path: Path) -> Iterator[httpx.Client]:
    with redis_process.client() as redis:
        redis.flushall()
    redis_process.publish(shop())
    with serving(make_app(redis_process, tmp_path)) as client:
        until(lambda: client.get(LIST).json()["level"] == "L0")
        yield client


def until(true: Callable[[], bool], *, seconds: float = 3) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def flip(redis_process: RealRedis, key: bytes) -> None:
    with redis_process.client() as redis:
        value = bytearray(redis.get(key))
        value[-1] ^= 1
        redis.set(key, bytes(value))


def test_every_reason_has_its_level():
    assert set(RUNGS) == {*get_args(DegradedReason), *get_args(DecisionDegraded)}
    assert rung(None, from_disk=True) == "L0"
    assert rung("store_unavailable") == "L3"
    assert rung("store_unavailable", from_disk=True) == "L4"


def test_l0_and_l1_differ_by_what_the_customer_did_lately(
    client: httpx.Client, redis_process: RealRedis
):
    key = redis_process.space.recent(redis_process.space.digest("anna"))
    with redis_process.client() as redis:
        redis.set(key, seal_recent(Recent(version=1), at=NOON))
    plain = client.get(LIST).json()
    assert (plain["level"], plain["degraded"]) == ("L0", False)
    flip(redis_process, key)
    answer = client.get(LIST).json()
    assert (answer["level"], answer["degraded_reason"]) == ("L1", "recent_unreadable")
    assert answer["items"] == plain["items"]
    counted = 'oferta_answers_total{level="L1",served_from="personalised"} 1.0'
    assert counted in client.get("/metrics").text


def test_an_unreadable_consent_is_everybodys_list_whatever_else_can_be_read(
    redis_process: RealRedis, tmp_path: Path
):
    """On a machine that does not keep the ledger: there the copy in Redis is all there is."""
    with redis_process.client() as redis:
        redis.flushall()
    redis_process.publish(shop())
    space, answers = redis_process.space, []
    with (
        serving(make_app(redis_process, tmp_path / "keeper")) as keeper,
        serving(make_app(redis_process, tmp_path / "other", privacy={"ledger": False})) as client,
        redis_process.client() as redis,
    ):
        until(lambda: client.get(LIST).json()["level"] == "L0")
        for name in ("anna", "bela"):
            redis.set(space.consent(space.digest(name)), b"no record")
            path = f"/v1/customers/{name}/recommendations"
            answers.append(client.get(path).json())
            assert keeper.get(path).json()["level"] == "L0"
    for answer in answers:
        assert (answer["level"], answer["degraded_reason"]) == ("L3", "consent_unreadable")
        assert answer["personalised"] is False
        del answer["customer_id"]
    assert answers[0] == answers[1]


@pytest.mark.parametrize(("hours", "level"), [(23, "L2"), (25, "L3")])
def test_a_replaced_release_stands_in_for_a_day(
    redis_process: RealRedis, tmp_path: Path, hours: int, level: str
):
    redis_process.publish(replace(shop(), created_at=NOON - (hours + 24) * 3600))
    live = redis_process.publish(replace(shop(), created_at=NOON - hours * 3600))
    space = redis_process.space
    with serving(make_app(redis_process, tmp_path)) as client, redis_process.client() as redis:
        until(lambda: client.get(LIST).json()["level"] == "L0")
        redis.delete(space.bucket(live, 1, space.digest("anna")))
        assert client.get(LIST).json()["level"] == level


def test_what_was_rolled_back_from_stands_in_for_nothing(redis_process: RealRedis, tmp_path: Path):
    good = redis_process.publish(shop())
    bad = redis_process.publish(replace(shop(), model="bad/2"))
    space = redis_process.space
    writer = RedisWriter(redis_process.url, space)
    (manifest,) = writer.records([space.manifest(good)])
    assert manifest is not None
    fence = writer.reserve_fence()
    assert writer.swap(Pointer(good, bad, fence, NOON, manifest_digest(manifest)))
    writer.close()
    with serving(make_app(redis_process, tmp_path)) as client, redis_process.client() as redis:
        until(lambda: client.get(LIST).json()["level"] == "L0")
        redis.delete(space.bucket(good, 1, space.digest("anna")))
        answer = client.get(LIST).json()
    assert (answer["level"], answer["model"]) == ("L3", shop().model)


@pytest.mark.usefixtures("client")
def test_l4_is_the_release_on_disk_and_no_other_secrets(redis_process: RealRedis, tmp_path: Path):
    path = tmp_path / "serving" / lasthead.FILE_NAME
    until(path.exists)
    redis_process.kill()
    try:
        with serving(make_app(redis_process, tmp_path)) as second:
            for question in (LIST, "/v1/popular"):
                answer = second.get(question).json()
                assert (answer["level"], bool(answer["items"])) == ("L4", True)
            assert second.get("/health/status").json()["restored_from_disk"] is True
            redis_process.start()
            redis_process.publish(shop())
            until(lambda: second.get(LIST).json()["level"] == "L0", seconds=2)
            until(lambda: second.get("/v1/popular").json()["level"] == "L0", seconds=2)
        assert lasthead.restore(path.parent, KeySpace(SECRET)) is not None
        with pytest.raises(RecordCorrupt, match="another secret"):
            lasthead.restore(path.parent, KeySpace(b"another secret, as long as any"))
    finally:
        if redis_process.process is None:
            redis_process.start()


def test_fault_67_a_batch_stops_when_its_client_goes(
    redis_process: RealRedis, rules: RuleSet, tmp_path: Path
):
    """Its customers are read from a Redis that hangs for seconds; nobody is there any more."""
    if redis_process.process is None:
        redis_process.start()
    publish_decisions(redis_process)
    names = [f"m{number % 60}-{number}" for number in range(500)]
    body = orjson.dumps({"customer_ids": names, "channel": "app", "placements": ["home"]})
    head = f"POST /v1/decisions/batch HTTP/1.1\r\nHost: o\r\nContent-Length: {len(body)}\r\n"
    head += "Content-Type: application/json\r\n\r\n"
    with serving(make_app(redis_process, tmp_path, decisions=rules.settings)) as client:
        port = client.base_url.port
        assert port is not None
        redis_process.signal(signal.SIGSTOP)
        try:
            with socket.create_connection(("127.0.0.1", port)) as line:
                line.sendall(head.encode() + body)
                until(lambda: client.get("/health/status").json()["under_way"] == 1)
            gone = 'oferta_http_requests_total{route="/v1/decisions/batch",status="499"} 1.0'
            until(lambda: gone in client.get("/metrics").text)
        finally:
            redis_process.signal(signal.SIGCONT)
        decided = [
            line
            for line in client.get("/metrics").text.splitlines()
            if line.startswith("oferta_decisions_total")
        ]
        assert not decided  # not one was answered
        status = client.get("/health/status").json()
        assert status["under_way"] == 0
        one = {"customer_id": "anna", "channel": "web"}
        until(lambda: client.post("/v1/decisions", json=one).status_code == 200)
