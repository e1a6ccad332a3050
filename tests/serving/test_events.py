"""Events over HTTP and a real Redis: durable first, each id once, each row for itself."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from serving.conftest import RealRedis, make_app, serving
from serving.consumers import EVENTS, claim_of, forget_events
from serving.refusals import refused
from serving.worlds import NOON, shop

from oferta.events.event import decode_event
from oferta.events.types import BUILT_IN
from oferta_serving.events.rows import MAX_ATTRIBUTES, MAX_ROWS
from oferta_serving.events.schemas import EventsAnswer

DAY = 86_400
NOBODY = "needed: customer_id, session_id, or both"


@pytest.fixture(autouse=True)
def nothing_happened(redis_process: RealRedis) -> None:
    forget_events(redis_process)


def event(number: int = 1, **fields: object) -> dict[str, object]:
    return {"event_id": f"event-{number:04d}", "customer_id": "anna", "type": "view", **fields}


def rfc(seconds: float) -> str:
    return datetime.fromtimestamp(NOON + seconds, UTC).isoformat()


def tell(client: httpx.Client, *events: dict[str, object]) -> dict:
    answer = client.post(EVENTS, json={"events": list(events)})
    assert answer.status_code in {200, 202}, answer.text
    EventsAnswer.model_validate_json(answer.content, strict=True)
    return answer.json()


def waiting(redis_process: RealRedis) -> list:
    """The events in all streams, as they were accepted."""
    with redis_process.client() as redis:
        return [
            decode_event(fields[b"e"])
            for shard in range(16)
            for _, fields in redis.xrange(redis_process.space.events(shard))
        ]


def test_an_event_is_stored_before_its_sender_is_told(
    client: httpx.Client, redis_process: RealRedis
):
    said = event(
        session_id="s-1",
        product_id="car",
        occurred_at=rfc(-60),
        channel="app",
        value=12.5,
        quantity=2,
        placement="home",
        release=7,
        attributes={"wished_amount": 9000, "button": "big", "first": True},
    )
    answer = client.post(EVENTS, json=said)
    assert answer.status_code == 202
    assert answer.json()["results"][0]["state"] in {"accepted", "parked"}
    (stored,) = waiting(redis_process)
    assert (stored.id, stored.customer_id, stored.session_id) == ("event-0001", "anna", "s-1")
    assert (stored.at, stored.received_at) == (NOON - 60, NOON)
    assert (stored.value, stored.quantity, stored.release) == (12.5, 2.0, 7)
    assert stored.attributes == said["attributes"]
    claim = claim_of(redis_process, "anna", "event-0001")
    assert claim is not None
    assert claim.state == "pending"


def test_the_same_again_is_a_duplicate_whatever_the_order_of_its_fields(client: httpx.Client):
    first = client.post(EVENTS, json=event(value=3, channel="app"))
    again = client.post(EVENTS, json=dict(reversed(event(value=3, channel="app").items())))
    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json()["results"] == [{"index": 0, "status": 200, "state": "duplicate"}]
    assert (again.json()["accepted"], again.json()["duplicates"]) == (0, 1)


def test_the_same_id_with_another_body_is_a_conflict(client: httpx.Client):
    client.post(EVENTS, json=event(value=3))
    problem = refused(client.post(EVENTS, json=event(value=4)), 409, "event.conflict")
    assert problem["where"] == "event_id"
    mixed = tell(client, event(value=4), event(2))
    assert [row["status"] for row in mixed["results"]] == [409, 202]


def test_an_event_that_was_claimed_by_who_died_is_stored_when_it_is_sent_again(
    client: httpx.Client, redis_process: RealRedis
):
    client.post(EVENTS, json=event())
    with redis_process.client() as redis:  # as if it had never come to the stream
        for shard in range(16):
            redis.delete(redis_process.space.events(shard))
    assert client.post(EVENTS, json=event()).json()["duplicates"] == 1
    assert [each.id for each in waiting(redis_process)] == ["event-0001"]


def test_an_id_twice_in_one_call_is_stored_once(client: httpx.Client, redis_process: RealRedis):
    told = tell(client, event(), event(), event(2))
    assert [row["state"] for row in told["results"]] == ["accepted", "duplicate", "accepted"]
    assert len(waiting(redis_process)) == 2


def test_ids_are_a_customers_own(client: httpx.Client, redis_process: RealRedis):
    told = tell(client, event(), event(customer_id="bela"), event(customer_id=None, session_id="s"))
    assert told["accepted"] == 3
    assert len(waiting(redis_process)) == 3


def test_a_product_that_is_not_on_sale_is_parked(client: httpx.Client):
    told = tell(client, event(product_id="car"), event(2, product_id="nothing-of-ours"), event(3))
    assert [row["state"] for row in told["results"]][1:] == ["parked", "accepted"]


@pytest.mark.parametrize(
    ("change", "code", "facts"),
    [
        ({"event_id": None}, "event.row", {"where": "event_id"}),
        ({"event_id": "short"}, "event.row", {"problem": "needed, 8 to 64 characters"}),
        ({"event_id": "e" * 65}, "event.row", {"where": "event_id"}),
        ({"event_id": "event\n0001"}, "event.row", {"where": "event_id"}),
        ({"event_id": 12345678}, "event.row", {"where": "event_id"}),
        (
            {"customer_id": None},
            "event.row",
            {"problem": NOBODY},
        ),
        ({"customer_id": ""}, "event.row", {"where": "customer_id"}),
        ({"customer_id": 7}, "event.row", {"where": "customer_id"}),
        ({"session_id": "\ud800"}, "event.row", {"where": "session_id"}),
        ({"product_id": "p" * 129}, "event.row", {"where": "product_id"}),
        ({"type": None}, "event.row", {"where": "type", "allowed": list(BUILT_IN)}),
        ({"type": "veiw"}, "event.type", {"nearest": "view", "allowed": list(BUILT_IN)}),
        ({"type": "kalkulator"}, "event.type", {"nearest": "calculator"}),
        ({"channel": "App Store"}, "event.row", {"where": "channel"}),
        ({"placement": 3}, "event.row", {"where": "placement"}),
        ({"value": "12"}, "event.row", {"where": "value"}),
        ({"value": True}, "event.row", {"where": "value"}),
        ({"value": 1e13}, "event.row", {"where": "value"}),
        ({"quantity": []}, "event.row", {"where": "quantity"}),
        ({"release": 1.5}, "event.row", {"where": "release"}),
        ({"release": True}, "event.row", {"where": "release"}),
        ({"attributes": []}, "event.row", {"where": "attributes"}),
        ({"attributes": {"deep": {"er": 1}}}, "event.row", {"where": "attributes.deep"}),
        ({"attributes": {"none": None}}, "event.row", {"where": "attributes.none"}),
        ({"attributes": {"long": "x" * 257}}, "event.row", {"where": "attributes.long"}),
        ({"attributes": {"a b": 1}}, "event.row", {"where": "attributes"}),
        ({"attributes": {"torn": "\ud800"}}, "event.row", {"where": "attributes.torn"}),
        (
            {"attributes": {f"a{n}": 1 for n in range(MAX_ATTRIBUTES + 1)}},
            "event.row",
            {"where": "attributes"},
        ),
        ({"chanel": "app"}, "event.row", {"where": "chanel", "nearest": "channel"}),
        ({"occurred_at": rfc(301)}, "event.time", {"problem": "in the future"}),
        ({"occurred_at": rfc(-8 * DAY)}, "event.time", {"problem": "too long ago"}),
        ({"occurred_at": int(NOON)}, "event.time", {"where": "occurred_at"}),
        ({"occurred_at": int(NOON * 1000)}, "event.time", {"where": "occurred_at"}),
        ({"occurred_at": "2027-01-15T08:00:00"}, "event.time", {"where": "occurred_at"}),
        ({"occurred_at": "58949-01-15T08:00:00Z"}, "event.time", {"where": "occurred_at"}),
        ({"decision_id": "d_" + "0" * 24}, "event.decision", {"where": "decision_id"}),
        (
            {"customer_id": None, "session_id": "s", "decision_id": "d_" + "0" * 24},
            "event.row",
            {"where": "customer_id"},
        ),
    ],
)
def test_a_bad_row_is_named_and_costs_the_others_nothing(
    client: httpx.Client, change: dict, code: str, facts: dict
):
    told = tell_raw(client, event(1), {**event(2), **change}, event(3))
    good, bad, other = told["results"]
    assert (good["status"], other["status"]) == (202, 202)
    assert bad["problem"]["code"] == code
    assert facts.items() <= bad["problem"].items()
    assert (told["accepted"], told["refused"]) == (2, 1)
    alone = client.post(EVENTS, content=_json({**event(2), **change}), headers=JSON)
    refused(alone, bad["status"], code)


JSON = {"Content-Type": "application/json"}


def _json(value: object) -> bytes:
    return json.dumps(value).encode()  # unlike orjson it writes half of a surrogate pair


def tell_raw(client: httpx.Client, *events: object) -> dict:
    answer = client.post(EVENTS, content=_json({"events": list(events)}), headers=JSON)
    assert answer.status_code == 202, answer.text
    EventsAnswer.model_validate_json(answer.content, strict=True)
    return answer.json()


def test_times_up_to_the_bounds_are_taken(client: httpx.Client):
    told = tell(
        client, event(1, occurred_at=rfc(299)), event(2, occurred_at=rfc(-7 * DAY + 60)), event(3)
    )
    assert told["accepted"] == 3


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"events": []}, 422, "events.empty"),
        ({"events": [{}] * (MAX_ROWS + 1)}, 413, "events.too_large"),
        ({"events": {}}, 422, "body.type"),
        ({"events": [], "more": 1}, 422, "body.unknown_field"),
        ({"events": [{}, 7]}, 422, "events.all_refused"),
    ],
)
def test_a_call_of_which_nothing_can_be_used_is_refused(
    client: httpx.Client, body: object, status: int, code: str
):
    refused(client.post(EVENTS, json=body), status, code)


def test_five_hundred_at_once_are_taken(client: httpx.Client):
    assert tell(client, *(event(n, customer_id=f"c{n % 50}") for n in range(MAX_ROWS)))[
        "accepted"
    ] == (MAX_ROWS)


def test_a_type_of_ones_own_is_declared(redis_process: RealRedis, tmp_path: Path):
    redis_process.publish(shop())
    types = {"kalkulator": "calculator", "callback": 0.4}
    with serving(make_app(redis_process, tmp_path, events={"types": types})) as client:
        told = tell(client, event(1, type="kalkulator"), event(2, type="callback"))
        assert told["accepted"] == 2
        problem = refused(client.post(EVENTS, json=event(3, type="calback")), 422, "event.type")
        assert problem["nearest"] == "callback"


def test_a_shard_that_is_nearly_full_refuses_and_forgets_nothing(
    redis_process: RealRedis, tmp_path: Path
):
    redis_process.publish(shop())
    with serving(make_app(redis_process, tmp_path, events={"stream_cap": 100})) as client:
        tell(client, *(event(n) for n in range(80)))
        time.sleep(0.15)  # for as long a shard's length is believed
        answer = client.post(EVENTS, json=event(100))
        refused(answer, 503, "events.backlog")
        assert answer.headers["retry-after"] == "1"
        assert len(waiting(redis_process)) == 80
        other = client.post(EVENTS, json=event(1, customer_id="someone in another shard"))
        assert other.status_code == 202
        assert claim_of(redis_process, "anna", "event-0100") is None


def test_a_full_redis_refuses_events_and_is_read_all_the_same(
    client: httpx.Client, redis_process: RealRedis
):
    with redis_process.client() as redis:
        redis.config_set("maxmemory", 1)
        try:
            for _ in range(20):
                answer = client.post(EVENTS, json=event())
                refused(answer, 503, "events.store_unavailable")
                assert answer.headers["retry-after"] == "1"
            listed = client.get("/v1/customers/anna/recommendations").json()
        finally:
            redis.config_set("maxmemory", 0)
    assert (listed["degraded"], listed["level"]) == (False, "L0")
    assert client.post(EVENTS, json=event()).status_code in {200, 202}


def test_a_redis_without_room_on_its_disk_refuses_events(
    client: httpx.Client, redis_process: RealRedis
):
    with redis_process.client() as redis:
        redis.config_set("min-replicas-to-write", 1)  # as MISCONF: it can be read, not written
        try:
            refused(client.post(EVENTS, json=event()), 503, "events.store_unavailable")
        finally:
            redis.config_set("min-replicas-to-write", 0)
    assert client.post(EVENTS, json=event()).status_code == 202
