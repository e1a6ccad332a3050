"""What a caller learns of a request for a decision that is refused: enough to mend it."""

import httpx
import pytest
from serving.decisions import FEEDBACK, MANY, ONE, ask, body, made
from serving.refusals import BATCH, MARK, refused

from oferta.policy.feedback import FEEDBACK as TYPES
from oferta_serving import schemas

pytestmark = pytest.mark.usefixtures("nobody_spoken_to")


def problem_of(desk: httpx.Client, code: str, status: int = 422, **fields: object) -> dict:
    answer = desk.post(ONE, json=body(**fields))
    schemas.ProblemAnswer.model_validate_json(answer.content, strict=True)
    return refused(answer, status, code)


@pytest.mark.parametrize(
    "other",
    [
        {"n": 1},
        {"wish": {"months": 36}},
        {"channel": "web", "placements": ["web-home"]},
        {"filter": "family = 'loan'"},
        {"offers": ["car-loan"]},
        {"personalise": False},
    ],
)
def test_a_request_id_is_of_one_question(desk: httpx.Client, other: dict[str, object]):
    asked: dict[str, object] = {"request_id": "once", "wish": {"months": 48}, "n": 2}
    first = ask(desk, **asked)
    problem = problem_of(desk, "request_id.reused", 409, **{**asked, **other})

    assert problem["where"] == "request_id"
    assert ask(desk, **asked) == {**first, "repeated": True}


def test_a_request_id_of_a_batch_is_of_one_question_too(desk: httpx.Client):
    asked = {"customer_ids": ["anna"], "channel": "app", "reserve": True, "request_id": "all"}
    desk.post(MANY, json=asked)
    again = desk.post(MANY, json=asked).json()["results"]
    (other,) = desk.post(MANY, json={**asked, "n": 1}).json()["results"]

    assert again[0]["answer"]["repeated"] is True
    assert (other["status"], other["problem"]["code"]) == (409, "request_id.reused")


@pytest.mark.parametrize(
    ("fields", "where", "near"),
    [
        ({"placement": ["home"]}, "placement", "placements"),
        ({"wish": {"amout": 7}}, "wish.amout", "amount"),
        ({"xq": 1}, "xq", None),
        ({MARK: 1}, None, None),
        ({"wish": {MARK: 1}}, "wish", None),
        ({"x" * 65: 1}, None, None),
    ],
)
def test_an_unknown_field_is_named_where_its_name_is_plain(
    desk: httpx.Client, fields: dict[str, object], where: str | None, near: str | None
):
    problem = problem_of(desk, "body.unknown_field", **fields)

    assert (problem.get("where"), problem.get("nearest")) == (where, near)
    assert "x" * 65 not in str(problem)


def test_an_unknown_field_of_a_batch_of_lists_is_named(desk: httpx.Client):
    answer = desk.post(BATCH, json={"customer_id": ["anna"]})
    problem = refused(answer, 422, "body.unknown_field")

    assert (problem["where"], problem["nearest"]) == ("customer_id", "customer_ids")


def test_a_wrong_filter_is_told_what_and_where(desk: httpx.Client):
    problem = problem_of(desk, "filter.invalid", filter="family = 'loan' AND incme > 5")

    assert problem["expression"] == "family = 'loan' AND incme > 5"
    assert problem["position"] == problem["expression"].index("incme")
    assert problem["nearest"] == "income"
    assert problem["problem"]
    long = problem_of(desk, "filter.invalid", filter="incme > 5 OR " * 100)
    assert len(long["expression"]) == 200


def test_an_unknown_wish_is_told_the_nearest_and_offers_are_told_apart(desk: httpx.Client):
    near = problem_of(desk, "wish.unknown", wish={"product": "road-side"})
    assert near["nearest"] == "roadside"
    offer = problem_of(desk, "wish.unknown", wish={"product": "not-yet"})
    assert "offer" in offer["problem"]
    assert offer["nearest"] != "not-yet"


def test_without_named_placements_those_are_filled_whose_context_was_sent(desk: httpx.Client):
    plain = ask(desk, placements=[], dry_run=True)
    stop = ask(desk, placements=[], dry_run=True, context={"kwh": 7, "station": "n"})

    assert {offer["placement"] for offer in plain["offers"]} == {"home"}
    assert "charger" in made(plain)
    assert {offer["placement"] for offer in stop["offers"]} == {"home", "charging-stop"}


def test_all_the_context_that_a_placement_lacks_is_named_at_once(desk: httpx.Client):
    problem = problem_of(desk, "context.missing", placements=["charging-stop"])

    assert problem["placement"] == "charging-stop"
    assert problem["missing"] == ["kwh", "station"]


def test_a_bad_row_of_feedback_is_told_what_is_allowed(desk: httpx.Client):
    good = {"decision_id": ask(desk)["decision_id"], "offer_id": "car-loan", "type": "click"}
    rows = [
        good,
        {**good, "type": "clik"},
        {**good, "occured_at": "x"},
        {**good, "value": "4"},
        {name: one for name, one in good.items() if name != "offer_id"},
    ]
    told = desk.post(FEEDBACK, json={"feedback": rows}).json()["results"]
    kind, unknown, value, missing = (one["problem"] for one in told[1:])

    assert (kind["where"], kind["nearest"]) == ("type", "click")
    assert kind["allowed"] == list(TYPES)
    assert (unknown["where"], unknown["nearest"]) == ("occured_at", "occurred_at")
    assert (value["where"], missing["where"]) == ("value", "offer_id")
    (only,) = desk.post(FEEDBACK, json=rows[1]).json()["errors"]
    assert (only["nearest"], only["allowed"]) == ("click", list(TYPES))
