"""Records, answers and receipts: exact round trips, and replays that tell the truth."""

import json
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from offer_worlds import FACTS, chance, engine, known, offer, policy, request, seller, situation

from oferta.decisions.answer import answer_json, receipt_json
from oferta.decisions.coding import decode, encode
from oferta.decisions.decide import decide
from oferta.decisions.decision import Decision
from oferta.decisions.record import from_json, pack_record, to_json, unpack_record
from oferta.decisions.replay import differences, replay
from oferta.decisions.request import Known, Request, Wish
from oferta.decisions.whys import STAFF, WHYS
from oferta.errors import RecordCorrupt

SELLER = engine(
    offer(
        "loan",
        margin="0.05 * amount",
        incentive={"text": {"en": "A gift.", "zh": "礼品。"}, "amount": 100, "funder": "dealers"},
    ),
    offer("roadside"),
    offer("cover", eligibility=["income > 9000"]),
    policy=policy(
        caps=[{"name": "week", "scope": "family", "limit": 3, "period": "7d"}],
        weights=[
            {
                "name": "keen",
                "when": "intent > 0.4",
                "families": ["loan"],
                "factor": 1.5,
                "text": {"en": "You looked at loans.", "zh": "您近期关注过贷款。"},
            }
        ],
        levers=[{"families": ["loan"], "factor": 1.1, "reason": "Board, 2026-09"}],
    ),
)
ASKED = request(wish=Wish(amount=15_000, months=24, instalment=400), explain=True)
DECISION = decide(SELLER, ASKED, known())


def test_a_decision_is_the_same_after_json():
    assert from_json(to_json(DECISION)) == DECISION


def test_a_record_is_the_same_after_packing():
    record = unpack_record(pack_record(ASKED, known(), DECISION))
    assert (record.request, record.known, record.decision) == (ASKED, known(), DECISION)


def test_round_trips_over_random_worlds():
    rng = chance("records")
    for _ in range(20):
        sold = seller(rng)
        asked, about = situation(rng, sold)
        decision = decide(sold.engine, asked, about)
        assert decode(Request, encode(asked)) == asked
        assert decode(Known, encode(about)) == about
        assert from_json(to_json(decision)) == decision
        assert encode(decode(Decision, encode(decision))) == encode(decision)


def test_a_record_keeps_what_the_engine_looks_at_and_no_more():
    about = known({**FACTS, "secret": "not for the record"})
    record = unpack_record(pack_record(ASKED, about, DECISION, engine=SELLER))
    assert "secret" not in record.known.customer.facts
    assert set(record.known.customer.propensities) == {"loan", "roadside", "cover"}
    assert replay(SELLER, record) == DECISION


def test_a_replay_knows_what_was_bought_or_declined_by_then():
    about = replace(known(), settled={"roadside": "declined"}, events=3)
    decision = decide(SELLER, ASKED, about)
    record = unpack_record(pack_record(ASKED, about, decision, engine=SELLER))
    assert (record.known.settled, record.known.events) == ({"roadside": "declined"}, 3)
    assert replay(SELLER, record) == decision != decide(SELLER, ASKED, known())


def test_a_replay_with_other_rules_says_what_is_different():
    record = unpack_record(pack_record(ASKED, known(), DECISION, engine=SELLER))
    changed = engine(offer("loan", margin="0.05 * amount"), policy=policy())
    told = {one.field for one in differences(record.decision, replay(changed, record))}
    assert {"offers", "versions", "rejected"} <= told


@pytest.mark.parametrize(
    "data", [b"", b"x", b"\x78\x9c", pack_record(ASKED, known(), DECISION)[:-9]]
)
def test_foreign_or_cut_bytes_are_refused(data: bytes):
    with pytest.raises(RecordCorrupt):
        unpack_record(data)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b'{"id": 1, "what": 2}'])
def test_foreign_json_is_refused(data: bytes):
    with pytest.raises(RecordCorrupt):
        from_json(data)


def test_an_id_is_of_the_question_the_state_and_the_answer():
    again = decide(SELLER, ASKED, known())
    assert again.id == DECISION.id
    assert DECISION.id.startswith("d_")
    assert len(DECISION.id) == 26
    others = {
        decide(SELLER, replace(ASKED, customer_id="c2"), known()).id,
        decide(SELLER, replace(ASKED, request_id="r1"), known()).id,
        decide(SELLER, replace(ASKED, n=1), known()).id,
        decide(SELLER, ASKED, known({**FACTS, "intent": 0.1})).id,
        decide(SELLER, ASKED, known(state=DECISION.state)).id,
        DECISION.id,
    }
    assert len(others) >= 5  # what changes no offer may change no id


def test_an_answer_reads_as_documented():
    told = orjson.loads(answer_json(DECISION))
    assert told["decision_id"] == DECISION.id
    assert told["decision_type"] == "marketing"
    assert told["outcome"] == "offers"
    assert told["personalised"] is True
    assert set(told["disclosure"]) == {"en", "zh"}
    assert told["age_s"] == 3600.0
    assert told["decided_at"] == "2026-11-23T12:00:00Z"
    assert told["versions"]["release"] == 7
    loan = told["offers"][0]
    assert (loan["rank"], loan["offer_id"], loan["name"]["zh"]) == (1, "loan", "产品loan")
    assert loan["incentive"] == {
        "text": {"en": "A gift.", "zh": "礼品。"},
        "amount": 100.0,
        "funder": "dealers",
    }
    assert loan["terms"]["changes"][0]["what"] == "months"
    assert "schedule" not in loan["terms"]
    assert {reason["code"] for reason in loan["reasons"]} >= {"weight.keen", "counter.months"}
    score = loan["score"]
    product = score["accept"] * score["approved"] * (score["margin"] - score["expected_loss"])
    assert product * score["context"] * score["lever"] == score["value"]


def test_a_receipt_tells_staff_why_one_offer_was_not_made():
    sold = engine(
        offer("roadside", id="paused", status="paused"),
        offer("cover", eligibility=["income > 9000"]),
        policy=policy(),
    )
    told = orjson.loads(receipt_json(decide(sold, ASKED, known())))
    rejected = {row["offer_id"]: row for row in told["rejected"]}
    assert rejected["paused"]["code"] == "offer.not_approved"
    assert rejected["paused"]["text"]["en"].startswith("This offer is not approved")
    assert rejected["cover"]["text"]["en"] == WHYS["rule.eligibility"].en
    assert set(STAFF) <= set(WHYS)


def test_amounts_are_numbers_to_the_cent():
    terms = orjson.loads(answer_json(DECISION))["offers"][0]["terms"]
    for name in ("amount", "instalment", "total_payable", "total_cost", "deposit"):
        assert isinstance(terms[name], int | float)
        assert round(terms[name], 2) == terms[name]


def test_a_schedule_comes_with_explain_and_ends_at_nothing():
    terms = orjson.loads(answer_json(DECISION, explain=True))["offers"][0]["terms"]
    assert len(terms["schedule"]) == terms["months"] + 1
    assert terms["schedule"][-1]["balance"] == 0


def test_a_receipt_has_funnel_rejections_and_caps():
    told = orjson.loads(receipt_json(DECISION))
    assert told["funnel"][0] == {"stage": "candidates", "left": 3}
    assert told["funnel"][-1] == {"stage": "room", "left": 2}
    (rejected,) = told["rejected"]
    assert rejected["code"] == "rule.eligibility"
    assert rejected["detail"] == "income > 9000"
    assert rejected["text"]["zh"] == "不满足方案的条件"
    assert {"cap": "week/loan", "used": 1, "limit": 3} in told["caps"]


def test_a_none_is_honest():
    sold = engine(offer("roadside", eligibility=["income > 9000"]), policy=policy())
    told = orjson.loads(answer_json(decide(sold, request(personalise=False), known())))
    assert (told["outcome"], told["offers"], told["later_on"]) == ("none", [], None)
    assert told["disclosure"] is None
    assert told["why"][0]["code"] == "rule.eligibility"


GOLDEN = Path(__file__).with_name("answer.json")


def test_the_answers_form_is_that_of_the_golden_file():
    """Other processes read it: a field that goes or changes its type is a new version."""

    def shape(value: object) -> object:
        if isinstance(value, dict):
            return {name: shape(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [shape(value[0])] if value else []
        return (
            "number"
            if isinstance(value, int | float) and not isinstance(value, bool)
            else (type(value).__name__)
        )

    found = shape(orjson.loads(receipt_json(DECISION)))
    assert found == json.loads(GOLDEN.read_text(encoding="utf-8"))
