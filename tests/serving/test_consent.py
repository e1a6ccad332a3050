"""Consent over HTTP: what may be said, what it does to the very next list."""

import itertools
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import orjson
import pytest
from serving.conftest import RealRedis, make_app, serving
from serving.consents import OUT, path, recommended, said, say, sent, told
from serving.refusals import refused
from serving.worlds import NOON, ODD_ID, shop

from oferta.events.event import Position
from oferta.profile.recent import Recent, RecentEvent
from oferta.store.customer_records import seal_recent

_NAMES = itertools.count()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def api(redis_process: RealRedis, home: Path) -> Iterator[httpx.Client]:
    redis_process.publish(shop())
    with serving(make_app(redis_process, home)) as client:
        yield client


def _stranger() -> str:
    return f"stranger-{next(_NAMES)}"


def test_who_opts_out_gets_everybodys_list_at_once_and_their_own_when_they_opt_in(
    api: httpx.Client,
):
    own = recommended(api, "anna")
    assert own["personalised"] is True
    stored = say(api, "anna", "personalisation", "out")
    assert (stored["applied"], stored["consents"]["personalisation"]) == ("now", False)
    after = recommended(api, "anna")
    assert {item["source"] for item in after["items"]} == {"popular"}
    assert (after["personalised"], after["degraded"], after["level"]) == (False, False, "L0")
    assert after["items"] == api.get("/v1/popular").json()["items"]
    say(api, "anna", "personalisation", "in")
    assert recommended(api, "anna") == own


def test_who_refused_by_the_source_gets_everybodys_list_until_they_agree_here(
    api: httpx.Client,
):
    assert _bytes(api, "hugo", "") == _bytes(api, "nobody", "?personalise=false")
    say(api, "hugo", "marketing", "in")
    assert recommended(api, "hugo")["cold"] is False
    say(api, "hugo", "personalisation", "in")
    agreed = recommended(api, "hugo")
    assert (agreed["cold"], agreed["degraded"]) == (False, False)  # no list yet: the next release
    assert {item["source"] for item in agreed["items"]} == {"popular"}


def test_what_somebody_did_lately_is_not_in_the_list_of_who_refused(
    api: httpx.Client, redis_process: RealRedis
):
    """Whether they refused here, by the source, or for this one answer."""
    plain = _bytes(api, "nobody", "?personalise=false")
    declined = RecentEvent(
        Position(int(NOON) * 1000, 1), "decline", "warranty", NOON, "app", None, {}
    )
    record = seal_recent(Recent(1, (declined,), newest=declined.position), at=NOON)
    with redis_process.client() as redis:
        keys = [
            redis_process.space.recent(redis_process.space.digest(name))
            for name in ("ines", "gina", "dora", "bela")
        ]
        redis.mset(dict.fromkeys(keys, record))
        say(api, "gina", "personalisation", "out")
        try:
            assert "warranty" not in _products(recommended(api, "bela"))  # of who did not refuse
            assert _bytes(api, "ines", "") == plain
            assert _bytes(api, "gina", "") == plain
            assert _bytes(api, "dora", "?personalise=false") == plain
        finally:
            redis.delete(*keys)
            say(api, "gina", "personalisation", "in")


def _products(answer: dict) -> list[str]:
    return [item["product_id"] for item in answer["items"]]


def test_a_batch_respects_each_customers_word(api: httpx.Client):
    say(api, "cleo", "personalisation", "out")
    asked = {"customer_ids": ["bela", "cleo"]}
    results = api.post("/v1/recommendations/batch", json=asked).json()["results"]
    assert [one["answer"]["personalised"] for one in results] == [True, False]
    asked |= {"personalise": False}
    results = api.post("/v1/recommendations/batch", json=asked).json()["results"]
    assert [one["answer"]["personalised"] for one in results] == [False, False]


@pytest.mark.parametrize("query", ["", "?n=3&offset=2", "?category=service"])
def test_without_personalisation_any_two_customers_get_the_same_bytes(
    api: httpx.Client, query: str
):
    """By the query, and by their word; known, cold, with and without holdings, unknown."""
    customers = [*shop().customers, _stranger()]
    asked = (query + "&" if query else "?") + "personalise=false"
    lists = {name: _bytes(api, name, asked) for name in customers}
    assert len(set(lists.values())) == 1
    refusing = [name for name in customers if name not in {"anna", "bela"}]
    for name in refusing:
        say(api, name, "personalisation", "out")
    lists |= {name: _bytes(api, name, query) for name in refusing}
    assert len(set(lists.values())) == 1
    for name in refusing:
        say(api, name, "personalisation", "in")


def _bytes(api: httpx.Client, name: str, query: str) -> bytes:
    answer = api.get(f"/v1/customers/{quote(name, safe='')}/recommendations{query}")
    head, id_, tail = answer.content.partition(orjson.dumps(name))
    assert id_
    return head + tail


def test_a_service_that_does_not_personalise_asks_nobody(redis_process: RealRedis, tmp_path: Path):
    redis_process.publish(shop())
    app = make_app(redis_process, tmp_path, privacy={"personalise": False})
    with serving(app) as api:
        assert _bytes(api, "anna", "") == _bytes(api, "bela", "") == _bytes(api, "nobody", "")
        assert recommended(api, "anna")["personalised"] is False
        redis_process.signal(signal.SIGSTOP)
        try:
            assert recommended(api, "anna")["degraded"] is False
        finally:
            redis_process.signal(signal.SIGCONT)


@pytest.mark.parametrize("value", ["1", "False", "", "no"])
def test_personalise_is_true_or_false(api: httpx.Client, value: str):
    asked = api.get(f"/v1/customers/anna/recommendations?personalise={value}")
    refused(asked, 422, "parameter.boolean")


def test_what_was_said_is_told_with_its_history(api: httpx.Client):
    name = _stranger()
    assert told(api, name)["history"] == []
    body = {
        "consents": [
            said("marketing", "in", proof="form-1", policy_version="2026-11"),
            said("marketing", "out", channel="email", at="2027-01-10T09:00:00+01:00"),
            said("training", "out"),
        ]
    }
    stored = sent(api, name, body)
    assert [one["repeated"] for one in stored["stored"]] == [False] * 3
    answer = told(api, name)
    assert {k: v for k, v in answer["consents"].items() if v is not None} == {
        "marketing": True,
        "email": False,
        "training": False,
    }
    first, second, _ = answer["history"]
    assert (first["proof"], first["policy_version"]) == ("form-1", "2026-11")
    assert (first["at"], first["received_at"]) == ("2027-01-15T08:00:00Z",) * 2
    assert second["at"] == "2027-01-10T08:00:00Z"
    again = sent(api, name, body)
    assert [one["repeated"] for one in again["stored"]] == [True] * 3
    assert len(told(api, name)["history"]) == 3


def test_an_id_that_needs_encoding_is_one_customer(api: httpx.Client):
    say(api, ODD_ID, "personalisation", "out")
    assert told(api, ODD_ID)["customer_id"] == ODD_ID
    assert recommended(api, ODD_ID)["personalised"] is False
    say(api, ODD_ID, "personalisation", "in")


@pytest.mark.parametrize(
    ("at", "state", "holds"),
    [
        ("2027-01-15T07:57:00Z", "out", "2027-01-15T08:00:00Z"),  # clocks differ
        ("2027-02-15T07:57:00Z", "out", "2027-01-15T08:00:00Z"),  # a wrong clock, no wrong mind
        ("2027-01-15T08:04:00Z", "in", "2027-01-15T08:00:00Z"),
        ("2027-01-15T07:57:00Z", "in", "2027-01-15T07:57:00Z"),
        ("2027-01-14T07:57:00.123456Z", "out", "2027-01-14T07:57:00.123456Z"),
    ],
)
def test_from_when_a_word_counts(api: httpx.Client, at: str, state: str, holds: str):
    (entry,) = say(api, _stranger(), "marketing", state, at=at)["stored"]
    assert entry["at"] == holds


WRONG = [
    ({"purpose": "personalization"}, "consent.word", {"nearest": "personalisation"}),
    ({"state": "OUT"}, "consent.word", {"where": "state", "allowed": ["in", "out"]}),
    ({"state": False}, "consent.word", {"where": "state"}),
    ({"source": None}, "consent.word", {"where": "source"}),
    ({"source": ""}, "consent.word", {"where": "source"}),
    ({"source": "x" * 129}, "consent.word", {"where": "source"}),
    ({"proof": 7}, "consent.word", {"where": "proof"}),
    ({"chanel": "email"}, "consent.word", {"where": "chanel", "nearest": "channel"}),
    ({"channel": "email"}, "consent.channel", {"where": "channel"}),
    ({"channel": "fax", "purpose": "marketing"}, "consent.word", {"where": "channel"}),
    ({"at": "yesterday"}, "consent.time", {"where": "at"}),
    ({"at": "2027-01-15"}, "consent.time", {}),
    ({"at": "1970-01-01T00:00:00Z"}, "consent.time", {}),
    ({"at": "2027-13-15T00:00:00Z"}, "consent.time", {}),
    ({"at": "2027-01-15T08:06:00Z", "state": "in"}, "consent.time", {}),
]


@pytest.mark.parametrize(("change", "code", "facts"), WRONG)
def test_a_wrong_word_is_told_and_nothing_is_stored(
    api: httpx.Client, change: dict, code: str, facts: dict
):
    name = _stranger()
    answer = api.put(path(name), json={"consents": [OUT, {**OUT, **change}]})
    (error,) = refused(answer, 422, "consent.invalid")["errors"]
    assert (error["index"], error["code"]) == (1, code)
    assert facts.items() <= error.items()
    assert told(api, name)["history"] == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"consents": []}, "consent.count"),
        ({"consents": [OUT] * 51}, "consent.count"),
        ({"consents": OUT}, "body.type"),
        ({"consents": [OUT], "source": "app"}, "body.unknown_field"),
        ({"consents": [None]}, "consent.invalid"),
        ({}, "consent.invalid"),
    ],
)
def test_a_wrong_body_is_refused(api: httpx.Client, body: object, code: str):
    refused(api.put(path(_stranger()), json=body), 422, code)
