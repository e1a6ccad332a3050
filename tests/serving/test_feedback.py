"""Feedback over HTTP and a real Redis: heard at once, once, each row for itself."""

from datetime import UTC, datetime

import httpx
import orjson
import pytest
from serving.conftest import RealRedis
from serving.decisions import FEEDBACK, ask, made
from serving.refusals import refused
from serving.worlds import NOON

from oferta.policy.feedback import FEEDBACK as TYPES
from oferta_serving.deciding import schemas

pytestmark = pytest.mark.usefixtures("nobody_spoken_to")

NEVER = "d_" + "0" * 24


def row(answer: dict, offer: str, kind: str, **fields: object) -> dict[str, object]:
    return {"decision_id": answer["decision_id"], "offer_id": offer, "type": kind, **fields}


def tell(desk: httpx.Client, *rows: dict[str, object]) -> list[dict]:
    answer = desk.post(FEEDBACK, json={"feedback": list(rows)})
    assert answer.status_code == 200, answer.text
    schemas.FeedbackAnswer.model_validate_json(answer.content, strict=True)
    return answer.json()["results"]


def rfc(seconds: float) -> str:
    return datetime.fromtimestamp(NOON + seconds, UTC).isoformat()


def test_a_decline_silences_the_offer_at_once_and_in_every_channel(desk: httpx.Client):
    before = ask(desk)
    tell(desk, row(before, "car-loan", "decline"))

    assert made(before)[1] == "car-loan"
    for place in ({}, {"channel": "web", "placements": []}, {"channel": "any", "placements": []}):
        context = {"context": {"kwh": 1, "station": "x"}}
        assert "car-loan" not in made(ask(desk, **place, **context))
    receipt = desk.get(f"/v1/decisions/{ask(desk)['decision_id']}").json()
    codes = {one["offer_id"]: one["code"] for one in receipt["rejected"]}
    assert codes["car-loan"].startswith("silence.")


def test_a_later_comes_back_when_the_customer_said(desk: httpx.Client):
    tell(desk, row(ask(desk), "warranty", "later", until=rfc(86_400)))
    answer = ask(desk, offers=["warranty"], dry_run=True)

    assert answer["outcome"] == "later"
    assert answer["later_on"] == rfc(86_400).replace("+00:00", "Z")


def test_arrears_told_today_close_promotion_today(desk: httpx.Client):
    answer = ask(desk)
    tell(desk, row(answer, "car-loan", "arrears"))

    assert made(ask(desk)) == []


def test_an_impression_keeps_the_place_in_a_total_cap(desk: httpx.Client, redis_process: RealRedis):
    """Five places: shown ones last for the period, the others until the hold is over."""
    answers = [ask(desk, f"m{number}", offers=["charger"]) for number in range(5)]
    assert all(made(answer) == ["charger"] for answer in answers)
    full = ask(desk, "m9", offers=["charger"])
    assert (made(full), full["why"][0]["code"]) == ([], "cap.total")

    tell(desk, *(row(answer, "charger", "impression") for answer in answers[:2]))
    with redis_process.client() as redis:
        ends = [end for _, end in redis.zrange(counter(redis_process), 0, -1, withscores=True)]
    half_hour, week = (NOON + 1800) * 1000, (NOON + 7 * 86_400) * 1000
    assert sorted(ends) == [half_hour] * 3 + [week] * 2


def test_what_a_non_personalised_answer_showed_counts_in_total_too(
    desk: httpx.Client, redis_process: RealRedis
):
    answer = ask(desk, "cleo", offers=["charger"])
    assert answer["personalised"] is False
    tell(desk, row(answer, "charger", "click"))

    with redis_process.client() as redis:
        ((_, end),) = redis.zrange(counter(redis_process), 0, -1, withscores=True)
    assert end == (NOON + 7 * 86_400) * 1000


def counter(redis_process: RealRedis) -> bytes:
    return redis_process.space.total("installers/charger")


def test_the_same_feedback_is_heard_once_however_often_it_is_told(desk: httpx.Client):
    answer = ask(desk)
    with_id = row(answer, "car-loan", "impression", feedback_id="f-1")
    without = row(answer, "car-loan", "rating", value=4)
    first = tell(desk, with_id, without, with_id)
    again = tell(desk, with_id, without)

    assert [one["repeated"] for one in first] == [False, False, True]
    assert [one["repeated"] for one in again] == [True, True]
    receipt = desk.get(f"/v1/decisions/{ask(desk)['decision_id']}").json()
    assert receipt["state_version"] == 4  # two decisions, two things heard


def test_each_row_is_for_itself(desk: httpx.Client):
    answer = ask(desk)
    good = row(answer, "car-loan", "impression")
    results = tell(
        desk,
        good,
        {**good, "decision_id": NEVER},
        {**good, "decision_id": "never-repeat-this"},
        {**good, "offer_id": "roadside"},
        {**good, "type": "sneeze"},
        {**good, "value": "4"},
        {**good, "occurred_at": rfc(3600)},
        {**good, "occurred_at": rfc(-3600)},
        {**good, "occurred_at": "yesterday"},
        {**good, "occurred_at": "2027-01-15T08:00:00"},
        {**good, "until": "2027-13-45T08:00:00Z"},
        {**good, "more": 1},
        {name: value for name, value in good.items() if name != "type"},
        row(answer, "car-loan", "click"),
    )

    assert [one["status"] for one in results] == [200, 404, 404, *[422] * 10, 200]
    assert [one["problem"]["code"] for one in results[1:-1]] == [
        "decision.unknown",
        "decision.unknown",
        "feedback.offer",
        "feedback.type",
        "feedback.row",
        "feedback.time",
        "feedback.time",
        "feedback.time",
        "feedback.time",
        "feedback.time",
        "feedback.row",
        "feedback.row",
    ]


def test_a_row_may_come_alone(desk: httpx.Client):
    answer = ask(desk)
    told = desk.post(FEEDBACK, json=row(answer, "car-loan", "impression"))

    assert told.json() == {
        "accepted": 1,
        "refused": 0,
        "results": [{"index": 0, "status": 200, "repeated": False}],
    }


def test_every_type_is_heard(desk: httpx.Client):
    answer = ask(desk)
    results = tell(desk, *(row(answer, "warranty", kind) for kind in TYPES))
    assert [one["status"] for one in results] == [200] * len(TYPES)


def test_rows_of_many_customers_come_in_one_call(desk: httpx.Client):
    answers = [ask(desk, f"m{number}") for number in range(30)]
    results = tell(desk, *(row(answer, "car-loan", "decline") for answer in answers))

    assert [one["status"] for one in results] == [200] * 30
    assert all("car-loan" not in made(ask(desk, f"m{number}")) for number in range(0, 30, 7))


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        ({"feedback": []}, 422, "feedback.empty"),
        ({"feedback": [{}] * 501}, 413, "feedback.too_large"),
        ({"feedback": {}}, 422, "body.type"),
        ({"feedback": [], "more": 1}, 422, "body.unknown_field"),
        ({"feedback": [7, "never-repeat-this"]}, 422, "feedback.all_refused"),
        ({}, 422, "feedback.all_refused"),
        (
            {"decision_id": NEVER, "offer_id": "car-loan", "type": "click"},
            422,
            "feedback.all_refused",
        ),
    ],
)
def test_a_call_without_a_usable_row_is_refused(
    desk: httpx.Client, sent: dict, status: int, code: str
):
    refused(desk.post(FEEDBACK, json=sent), status, code)
    refused(desk.post(f"{FEEDBACK}?a=1", json=sent), 422, "parameter.unknown")


def test_decisions_and_feedback_are_in_the_log_of_their_slot(
    desk: httpx.Client, redis_process: RealRedis
):
    answer = ask(desk, "bela")
    tell(desk, row(answer, "roadside", "rating", value=4.5, feedback_id="f-9"))
    space = redis_process.space
    with redis_process.client() as redis:
        lines = [
            orjson.loads(fields[b"e"])
            for _, fields in redis.xrange(space.log(space.tag(space.digest("bela"))))
        ]

    decided, heard = lines[-2:]
    assert decided == {"kind": "decision", "decision_id": answer["decision_id"], "at": NOON}
    assert heard["kind"] == "feedback"
    assert (heard["type"], heard["value"], heard["feedback_id"]) == ("rating", 4.5, "f-9")
