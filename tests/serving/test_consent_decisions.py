"""Consent said over HTTP rules over the profile's in the very next decision."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from serving.conftest import RealRedis, make_app, publish_decisions, serving
from serving.consents import say
from serving.decision_worlds import RuleSet
from serving.decisions import MANY, ONE, ask, body, made
from serving.refusals import refused

from oferta.privacy.consents import Consents
from oferta.privacy.ledger import ledger_path
from oferta.store.customer_records import seal_consents

MAIL = {"channel": "email", "placements": ["newsletter"]}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def api(redis_process: RealRedis, rules: RuleSet, home: Path) -> Iterator[httpx.Client]:
    """The small seller's API with a ledger of its own."""
    with redis_process.client() as redis:
        redis.flushall()
    publish_decisions(redis_process)
    with serving(make_app(redis_process, home, decisions=rules.settings)) as client:
        yield client


def test_who_opts_out_gets_what_anybody_gets_and_their_own_again_after_opting_in(
    api: httpx.Client,
):
    own = ask(api)
    assert (own["personalised"], own["disclosure"] is not None) == (True, True)
    say(api, "anna", "personalisation", "out")
    after = ask(api)
    assert (after["personalised"], after["disclosure"]) == (False, None)
    assert made(after) == made(ask(api, "nobody-knows-me", personalise=False))
    assert {offer["selection"] for offer in after["offers"]} == {"non_personalised"}
    say(api, "anna", "personalisation", "in")
    assert made(ask(api)) == made(own)


def test_what_was_said_here_wins_over_the_profile_both_ways(api: httpx.Client):
    assert ask(api, "cleo")["personalised"] is False  # by the profile
    say(api, "cleo", "personalisation", "in")
    assert ask(api, "cleo")["personalised"] is True
    assert ask(api, "cleo", **MAIL)["why"][0]["code"] == "consent.channel"
    say(api, "cleo", "email", "in")
    assert ask(api, "cleo", **MAIL)["outcome"] == "offers"


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ({"purpose": "marketing"}, "consent.marketing"),
        ({"purpose": "email"}, "consent.channel"),
        ({"purpose": "marketing", "channel": "email"}, "consent.channel"),
    ],
)
def test_an_opt_out_of_marketing_stops_messages_at_once(api: httpx.Client, word: dict, code: str):
    assert ask(api, **MAIL)["outcome"] == "offers"
    say(api, "anna", state="out", **word)
    silent = ask(api, **MAIL)
    assert (silent["outcome"], silent["why"][0]["code"]) == ("none", code)
    assert ask(api)["outcome"] == "offers"  # when they come to us
    rows = api.post(MANY, json={"customer_ids": ["anna", "bela"], **MAIL}).json()["results"]
    assert [one["answer"]["outcome"] for one in rows] == ["none", "offers"]


def test_a_stored_decision_is_not_given_again_to_who_no_longer_agrees(api: httpx.Client):
    ask(api, request_id="r-1")
    ask(api, request_id="r-2", **MAIL)
    assert ask(api, request_id="r-1")["repeated"] is True
    say(api, "anna", "marketing", "out")
    assert ask(api, request_id="r-1")["repeated"] is True  # it was no message
    refused(api.post(ONE, json=body(request_id="r-2", **MAIL)), 409, "request_id.withdrawn")
    say(api, "anna", "personalisation", "out")
    refused(api.post(ONE, json=body(request_id="r-1")), 409, "request_id.withdrawn")
    assert ask(api, request_id="r-3")["personalised"] is False
    assert ask(api, request_id="r-3")["repeated"] is True


def test_help_with_a_contract_in_arrears_is_owed_whatever_was_refused(api: httpx.Client):
    before = ask(api, "emil")
    say(api, "emil", "personalisation", "out")
    after = ask(api, "emil")
    assert made(after) == made(before)


def test_who_must_not_be_promoted_to_stays_closed_when_they_agree(api: httpx.Client):
    say(api, "dora", "personalisation", "in")
    assert ask(api, "dora")["outcome"] == "none"


def test_while_nobody_can_say_what_was_agreed_nothing_is_personal(api: httpx.Client, home: Path):
    folder = ledger_path(home).parent
    folder.rename(home / "away")
    answer = ask(api)
    while answer["degraded_reason"] is None:
        answer = ask(api)
    assert answer["degraded_reason"] == "consent_unknown"
    assert (answer["personalised"], answer["level"]) == (False, "L3")
    assert ask(api, **MAIL)["outcome"] == "none"


def test_who_was_forgotten_is_decided_for_as_a_stranger(
    api: httpx.Client, redis_process: RealRedis
):
    key = redis_process.space.consent(redis_process.space.digest("emil"))
    with redis_process.client() as redis:
        redis.set(key, seal_consents(Consents({}, 5, erased=True), at=1.0))
    assert made(ask(api, "emil")) == made(ask(api, "nobody-knows-me", personalise=False))


def test_the_profile_shows_the_consent_that_holds(api: httpx.Client):
    say(api, "anna", "marketing", "out")
    facts = api.get("/v1/customers/anna/profile").json()["facts"]
    assert (facts["consent_marketing"], facts["consent_email"]) == (False, True)


def test_a_seller_who_does_not_personalise_decides_alike_for_all(
    redis_process: RealRedis, rules: RuleSet, tmp_path: Path
):
    publish_decisions(redis_process)
    app = make_app(
        redis_process, tmp_path, decisions=rules.settings, privacy={"personalise": False}
    )
    with serving(app) as api:
        answers = [ask(api, name) for name in ("anna", "bela", "nobody-knows-me")]
        assert {answer["personalised"] for answer in answers} == {False}
        assert len({str(made(answer)) for answer in answers}) == 1
