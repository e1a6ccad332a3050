"""Decisions over HTTP and a real Redis: made, kept, given back, explained."""

import httpx
import pytest
from serving.conftest import RealRedis
from serving.decisions import MANY, MANY_CUSTOMERS, ONE, ask, body, made
from serving.refusals import refused
from serving.worlds import ODD_ID

from oferta_serving.deciding import schemas

pytestmark = pytest.mark.usefixtures("nobody_spoken_to")


def test_an_answer_has_offers_with_terms_reasons_and_versions(desk: httpx.Client):
    answer = ask(desk, explain=True)

    assert answer["outcome"] == "offers"
    assert made(answer) == ["charger", "car-loan", "warranty"]
    loan = answer["offers"][1]
    assert loan["terms"]["rate"] == 5.4
    assert loan["terms"]["annual_rate"] > loan["terms"]["rate"]
    assert len(loan["terms"]["schedule"]) == loan["terms"]["months"] + 1
    assert loan["reasons"][0]["text"].keys() == {"en", "zh"}
    score = loan["score"]
    factors = score["accept"] * score["approved"] * score["context"] * score["lever"]
    assert score["value"] == pytest.approx(factors * (score["margin"] - score["expected_loss"]))
    assert answer["versions"]["release"] >= 1
    assert (answer["degraded"], answer["stale"], answer["repeated"]) == (False, False, False)
    assert "schedule" not in ask(desk)["offers"][1]["terms"]


def test_the_receipt_tells_what_the_answer_was_and_why_the_rest_was_not(desk: httpx.Client):
    answer = ask(desk, "bela", request_id="r/1", explain=True)
    found = desk.get(f"{ONE}/{answer['decision_id']}")
    receipt = found.json()

    schemas.ReceiptAnswer.model_validate_json(found.content, strict=True)
    assert receipt["request_id"] == "r/1"
    for member in ("decision_id", "offers", "versions", "decided_at", "outcome"):
        assert receipt[member] == answer[member]
    rejected = {one["offer_id"]: (one["stage"], one["code"]) for one in receipt["rejected"]}
    assert rejected["car-loan"] == ("eligibility", "rule.eligibility")
    assert rejected["warranty"] == ("eligibility", "rule.eligibility")
    assert rejected["not-yet"][0] == "status"
    assert receipt["funnel"][-1] == {"stage": "room", "left": len(answer["offers"])}
    assert {"cap": "installers/charger", "used": 1, "limit": 5} in receipt["caps"]


@pytest.mark.parametrize(
    "decision_id",
    ["x", "d_", "d_" + "0" * 24, "d_" + "0" * 25, "batch", "%E5%AE%B6", "d_{a}" + "0" * 21],
)
def test_a_decision_that_nobody_made_is_not_found(desk: httpx.Client, decision_id: str):
    refused(desk.get(f"{ONE}/{decision_id}"), 404, "decision.unknown")


def test_a_repeated_request_gives_the_stored_decision_and_reserves_nothing(desk: httpx.Client):
    first = ask(desk, request_id="once", explain=True)
    again = [ask(desk, request_id="once", explain=True) for _ in range(4)]

    assert all(one == {**first, "repeated": True} for one in again)
    assert ask(desk, request_id="twice")["decision_id"] != first["decision_id"]
    # Two of three places are taken, whatever was repeated.
    assert made(ask(desk, request_id="thrice")) == made(first)
    assert "charger" not in made(ask(desk, request_id="four"))


def test_a_request_id_is_each_customer_s_own(desk: httpx.Client):
    anna, odd = (ask(desk, name, request_id="same") for name in ("anna", ODD_ID))

    assert anna["decision_id"] != odd["decision_id"]
    assert odd["repeated"] is False


def test_caps_count_what_was_decided_and_free_what_was_not_shown_in_time(desk: httpx.Client):
    offers = [made(ask(desk)) for _ in range(4)]

    assert offers[:3] == [["charger", "car-loan", "warranty"]] * 3
    assert offers[3] == ["roadside"]
    later = ask(desk)
    assert made(later) == ["roadside"]


def test_a_dry_run_reserves_nothing_and_stores_nothing(
    desk: httpx.Client, redis_process: RealRedis
):
    with redis_process.client() as redis:
        before = set(redis.scan_iter("*:d:*"))
        answers = [ask(desk, dry_run=True, request_id="dry") for _ in range(5)]
        assert set(redis.scan_iter("*:d:*")) == before
        assert not list(redis.scan_iter("*:c:*"))
        assert not list(redis.scan_iter("*:q:*"))

    assert all(answer == answers[0] for answer in answers)
    assert answers[0]["decision_id"] is None
    assert ask(desk, request_id="dry")["repeated"] is False


def test_consent_vulnerability_and_arrears_close_what_they_must(desk: httpx.Client):
    cleo, dora, emil = (ask(desk, name) for name in ("cleo", "dora", "emil"))

    assert (cleo["personalised"], cleo["disclosure"]) == (False, None)
    assert (dora["outcome"], dora["why"][0]["code"]) == ("none", "customer.vulnerable")
    assert (emil["outcome"], made(emil)) == ("none", [])
    mail = ask(desk, "cleo", channel="email", placements=["newsletter"])
    assert (mail["outcome"], made(mail)) == ("none", [])


def test_without_personalisation_any_two_customers_get_the_same_bytes(desk: httpx.Client):
    asked = [desk.post(ONE, json=body(name, personalise=False)) for name in ("anna", "bela", "zoe")]
    offers = [answer.content.partition(b'"offers":')[2].partition(b',"why"')[0] for answer in asked]

    assert offers[0]
    assert offers[0] == offers[1] == offers[2]
    assert made(asked[0].json())


def test_any_channel_lets_the_engine_choose(desk: httpx.Client):
    answer = ask(desk, channel="any", placements=None, context={"kwh": 7.5, "station": "n-1"})

    assert answer["outcome"] == "offers"
    assert {offer["channel"] for offer in answer["offers"]} == {answer["channel"]}


def test_context_weighs_and_is_a_reason(desk: httpx.Client):
    stop = {"placements": ["charging-stop"], "context": {"kwh": 7, "station": "n-1"}}
    (charger,) = ask(desk, **stop)["offers"]

    assert charger["score"]["context"] == 2.0
    assert charger["reasons"][0]["text"]["zh"] == "您正在充电。"


@pytest.mark.parametrize(
    ("fields", "code", "where"),
    [
        ({"placements": ["charging-stop"]}, "context.missing", "context.kwh"),
        (
            {"placements": ["charging-stop"], "context": {"kwh": None, "station": "x"}},
            "context.missing",
            "context.kwh",
        ),
        (
            {"placements": ["charging-stop"], "context": {"kwh": "7", "station": "x"}},
            "context.invalid",
            "context.kwh",
        ),
        (
            {"placements": ["charging-stop"], "context": {"kwh": 7}},
            "context.missing",
            "context.station",
        ),
        ({"context": {"kw": 7}}, "context.unknown", "context"),
        ({"context": {"never-repeat-this": 7}}, "context.unknown", "context"),
        ({"context": {"Kwh!": 7}}, "context.unknown", "context"),
        ({"context": {"kwh": [7]}}, "context.invalid", "context"),
        ({"context": []}, "body.type", "context"),
        ({"channel": "apq"}, "channel.unknown", "channel"),
        ({"channel": "never-repeat-this"}, "channel.unknown", "channel"),
        ({"channel": "APP"}, "name.invalid", "channel"),
        ({"channel": 7}, "body.type", "channel"),
        ({"placements": ["hme"]}, "placement.unknown", "placements[0]"),
        ({"placements": ["home", "web-home"]}, "placement.channel", "placements[1]"),
        ({"placements": ["home", "home"]}, "placement.repeated", "placements[1]"),
        ({"placements": "home"}, "body.type", "placements"),
        ({"placements": [7]}, "body.type", "placements"),
        ({"placements": ["home"] * 21}, "parameter.out_of_range", "placements"),
        ({"n": 0}, "parameter.out_of_range", "n"),
        ({"n": "3"}, "body.type", "n"),
        ({"n": True}, "body.type", "n"),
        ({"request_id": ""}, "request_id.invalid", "request_id"),
        ({"request_id": 7}, "body.type", "request_id"),
        ({"request_id": "a\nb"}, "request_id.invalid", "request_id"),
        ({"wish": 7}, "body.type", "wish"),
        ({"wish": {"amout": 7}}, "body.unknown_field", "wish.amout"),
        ({"wish": {"amount": "7"}}, "body.type", "wish.amount"),
        ({"wish": {"amount": True}}, "body.type", "wish.amount"),
        ({"wish": {"amount": -1}}, "parameter.out_of_range", "wish.amount"),
        ({"wish": {"months": 2.5}}, "body.type", "wish.months"),
        ({"wish": {"product": "never-repeat-this"}}, "wish.unknown", "wish.product"),
        ({"wish": {"product": 7}}, "wish.unknown", "wish.product"),
        ({"filter": "family ="}, "filter.invalid", "filter"),
        ({"filter": "family + 1"}, "filter.invalid", "filter"),
        ({"filter": ""}, "parameter.out_of_range", "filter"),
        ({"filter": 7}, "body.type", "filter"),
        ({"explain": 1}, "body.type", "explain"),
        ({"dry_run": "true"}, "body.type", "dry_run"),
        ({"personalise": None}, "body.type", "personalise"),
        ({"customer_id": 7}, "id.type", "customer_id"),
        ({"customer_id": ""}, "id.empty", "customer_id"),
        ({"customer_id": ".."}, "id.dots", "customer_id"),
        ({"customer_id": "x" * 129}, "id.too_long", "customer_id"),
        ({"reserve": True}, "body.unknown_field", "reserve"),
    ],
)
def test_a_wrong_field_is_named_and_never_repeated(
    desk: httpx.Client, fields: dict, code: str, where: str | None
):
    problem = refused(desk.post(ONE, json={**body(), **fields}), 422, code)
    assert problem.get("where") == where


@pytest.mark.parametrize(
    ("fields", "nearest"),
    [
        ({"placements": ["hme"]}, "home"),
        ({"channel": "emial", "placements": []}, "email"),
        ({"context": {"kwhh": 1}}, "kwh"),
        ({"placements": ["never-repeat-this"]}, None),
    ],
)
def test_an_unknown_name_gets_the_nearest_known_one(
    desk: httpx.Client, fields: dict, nearest: str | None
):
    assert desk.post(ONE, json={**body(), **fields}).json().get("nearest") == nearest


def test_an_unknown_offer_is_not_found(desk: httpx.Client):
    problem = refused(desk.post(ONE, json=body(offers=["chargr"])), 404, "offer.unknown")
    assert (problem["where"], problem["nearest"]) == ("offers[0]", "charger")


@pytest.mark.parametrize("missing", ["customer_id", "channel"])
def test_a_missing_field_is_named(desk: httpx.Client, missing: str):
    fields = {name: value for name, value in body().items() if name != missing}
    assert refused(desk.post(ONE, json=fields), 422, "body.missing_field")["where"] == missing


def test_filters_wishes_and_named_offers_narrow_the_answer(desk: httpx.Client):
    assert made(ask(desk, filter="family = 'loan'", dry_run=True)) == ["car-loan"]
    assert made(ask(desk, offers=["roadside", "warranty"], n=1, dry_run=True)) == ["warranty"]
    (loan,) = ask(desk, wish={"amount": 12000, "months": 48}, offers=["car-loan"], dry_run=True)[
        "offers"
    ]
    assert (loan["terms"]["amount"], loan["terms"]["months"]) == (12000.0, 48)
    assert loan["reasons"][0]["code"] == "wish.met" or loan["terms"]["changes"] == []


def test_a_batch_answers_each_customer_once_and_reserves_nothing(
    desk: httpx.Client, redis_process: RealRedis
):
    ids = ["anna", 7, "bela", "anna", "", "nobody", ODD_ID]
    asked = {"customer_ids": ids, "channel": "app", "placements": ["home"]}
    answer = desk.post(MANY, json=asked)
    schemas.DecisionBatchAnswer.model_validate_json(answer.content, strict=True)
    results = answer.json()["results"]

    assert [one["index"] for one in results] == [0, 1, 2, 4, 5, 6]
    assert [one["status"] for one in results] == [200, 422, 200, 422, 200, 200]
    assert (answer.json()["served"], answer.json()["refused"]) == (4, 2)
    assert results[0]["answer"] == ask(desk, "anna", dry_run=True)
    assert results[4]["answer"]["personalised"] is False
    with redis_process.client() as redis:
        assert not list(redis.scan_iter("*:c:*"))


def test_a_batch_that_reserves_is_like_so_many_single_decisions(desk: httpx.Client):
    """Sixty customers, five places for the charger: exactly five get it."""
    asked = {
        "customer_ids": list(MANY_CUSTOMERS),
        "channel": "app",
        "placements": ["home"],
        "reserve": True,
        "request_id": "campaign-7",
    }
    first, again = (desk.post(MANY, json=asked).json() for _ in range(2))
    answers = [one["answer"] for one in first["results"]]

    assert sum("charger" in made(one) for one in answers) == 5
    assert len({one["decision_id"] for one in answers}) == 60
    assert [one["answer"]["decision_id"] for one in again["results"]] == [
        one["decision_id"] for one in answers
    ]
    assert all(one["answer"]["repeated"] for one in again["results"])
    receipt = desk.get(f"{ONE}/{answers[-1]['decision_id']}").json()
    assert ("charger", "contact") in {(r["offer_id"], r["stage"]) for r in receipt["rejected"]}


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"customer_ids": []}, 422, "batch.empty"),
        ({"customer_ids": ["", 7]}, 422, "batch.all_invalid"),
        ({"customer_ids": ["a"] * 501}, 413, "batch.too_large"),
        ({"customer_ids": "anna"}, 422, "body.type"),
        ({"customer_ids": ["anna"], "dry_run": True}, 422, "body.unknown_field"),
        ({"customer_ids": ["anna"], "reserve": 1}, 422, "body.type"),
        ({"customer_ids": ["anna"], "placements": ["hme"]}, 422, "placement.unknown"),
        ({}, 422, "body.missing_field"),
    ],
)
def test_a_wrong_batch_is_refused_whole(desk: httpx.Client, fields: dict, status: int, code: str):
    refused(desk.post(MANY, json={"channel": "app", **fields}), status, code)


def test_a_query_means_nothing_here(desk: httpx.Client):
    refused(desk.post(f"{ONE}?n=3", json=body()), 422, "parameter.unknown")
    refused(desk.post(f"{MANY}?n=3", json={}), 422, "parameter.unknown")
    refused(desk.get(f"{ONE}/x?n=3"), 422, "parameter.unknown")


def test_decisions_are_counted_by_outcome_and_never_by_customer(desk: httpx.Client):
    ask(desk)
    ask(desk, "dora")
    text = desk.get("/metrics").text

    assert 'oferta_decisions_total{outcome="offers"}' in text
    assert 'oferta_decisions_total{outcome="none"}' in text
    assert "anna" not in text


def test_neither_keys_nor_ids_show_who_a_customer_is(desk: httpx.Client, redis_process: RealRedis):
    answer = ask(desk, "bela", request_id="who-am-i")
    with redis_process.client() as redis:
        keys = b" ".join(redis.scan_iter("*"))

    assert b"bela" not in keys
    assert b"who-am-i" not in keys
    assert answer["decision_id"][2:5].encode() in keys
