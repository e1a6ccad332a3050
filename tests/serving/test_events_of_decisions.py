"""Events that answer a decision: checked against it, and known to the next one."""

import httpx
import pytest
from serving.conftest import RealRedis
from serving.consumers import EVENTS, forget_events
from serving.decisions import ask, made
from serving.refusals import refused

pytestmark = pytest.mark.usefixtures("nobody_spoken_to")


@pytest.fixture(autouse=True)
def nothing_happened(redis_process: RealRedis) -> None:
    forget_events(redis_process)


def event(answer: dict, kind: str, number: int = 1, **fields: object) -> dict[str, object]:
    return {
        "event_id": f"event-{number:04d}",
        "customer_id": "anna",
        "decision_id": answer["decision_id"],
        "type": kind,
        **fields,
    }


def test_a_decline_silences_the_offer_of_the_next_decision(desk: httpx.Client):
    before = ask(desk)
    assert made(before)[1] == "car-loan"
    assert desk.post(EVENTS, json=event(before, "decline", offer_id="car-loan")).status_code == 202
    assert "car-loan" not in made(ask(desk))


def test_sent_again_it_is_heard_once(desk: httpx.Client, redis_process: RealRedis):
    before = ask(desk)
    said = event(before, "impression", offer_id="car-loan")
    assert desk.post(EVENTS, json=said).json()["accepted"] == 1
    assert desk.post(EVENTS, json=said).json()["duplicates"] == 1
    with redis_process.client() as redis:
        lines = [
            fields[b"e"]
            for key in redis.scan_iter("*}:l")
            for _, fields in redis.xrange(key)
            if b'"feedback"' in fields[b"e"] and before["decision_id"].encode() in fields[b"e"]
        ]
    assert len(lines) == 1


def test_the_offer_is_found_by_its_product(desk: httpx.Client):
    before = ask(desk)
    product = before["offers"][1]["products"][0]
    answer = desk.post(EVENTS, json=event(before, "decline", product_id=product))
    assert answer.status_code == 202, answer.text
    assert made(before)[1] not in made(ask(desk))


def test_a_decision_of_somebody_else_is_as_unknown_as_none(desk: httpx.Client):
    answer = ask(desk)
    theirs = event(answer, "click", customer_id="bela", offer_id=made(answer)[0])
    foreign = refused(desk.post(EVENTS, json=theirs), 422, "event.decision")
    never = event({"decision_id": "d_" + "0" * 24}, "click")
    unknown = refused(desk.post(EVENTS, json=never), 422, "event.decision")
    del foreign["request_id"], unknown["request_id"]
    assert foreign == unknown


def test_an_offer_that_was_not_made_is_refused(desk: httpx.Client):
    answer = ask(desk)
    refused(
        desk.post(EVENTS, json=event(answer, "click", offer_id="charger-x")), 422, "event.offer"
    )
    refused(desk.post(EVENTS, json=event(answer, "click")), 422, "event.offer")  # of several, which


def test_what_followed_a_decision_needs_no_offer(desk: httpx.Client):
    answer = ask(desk)
    assert desk.post(EVENTS, json=event(answer, "calculator")).status_code == 202


def test_a_dead_redis_takes_no_events(desk: httpx.Client, redis_process: RealRedis):
    redis_process.kill()
    try:
        plain = {"event_id": "event-0001", "customer_id": "anna", "type": "view"}
        answer = desk.post(EVENTS, json=plain)
        refused(answer, 503, "events.store_unavailable")
        assert answer.headers["retry-after"] == "1"
    finally:
        redis_process.start()
