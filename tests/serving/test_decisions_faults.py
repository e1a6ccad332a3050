"""Decisions when Redis hangs, dies or lies, and when the files to decide by have mistakes."""

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from serving.conftest import (
    RealRedis,
    make_app,
    publish_decisions,
    serving,
)
from serving.decision_worlds import RuleSet, write_rules
from serving.decisions import FEEDBACK, MANY, ONE, ask, body, made
from serving.refusals import refused
from serving.worlds import NOON

from oferta_serving.exposition import FOR_S

RECOMMENDATIONS = "/v1/customers/anna/recommendations"


@pytest.fixture
def own(tmp_path: Path) -> RuleSet:
    return write_rules(tmp_path / "rules")


@pytest.fixture
def client(redis_process: RealRedis, own: RuleSet, tmp_path: Path) -> Iterator[httpx.Client]:
    """The small seller's API over a Redis of this test's own state."""
    if redis_process.process is None:
        redis_process.start()
    with redis_process.client() as raw:
        raw.flushall()
    publish_decisions(redis_process)
    with serving(make_app(redis_process, tmp_path, decisions=own.settings)) as client:
        yield client


def heals(client: httpx.Client, *, seconds: float = 3) -> dict:
    until = time.monotonic() + seconds
    while (answer := client.post(ONE, json=body())).status_code != 200:
        assert time.monotonic() < until, answer.text
        time.sleep(0.02)
    return answer.json()


def not_decided(client: httpx.Client, code: str) -> None:
    for dry_run in (False, True):
        answer = client.post(ONE, json=body(dry_run=dry_run))
        refused(answer, 503, code)
        assert answer.headers["retry-after"] == "1"


def no_decision(client: httpx.Client, code: str) -> None:
    not_decided(client, code)
    many = {"customer_ids": ["anna"], "channel": "app"}
    refused(client.post(MANY, json=many), 503, code)


def test_without_redis_there_is_no_decision_and_there_are_lists(
    client: httpx.Client, redis_process: RealRedis
):
    answer = heals(client)
    row = {"decision_id": answer["decision_id"], "offer_id": "car-loan", "type": "click"}
    redis_process.kill()

    no_decision(client, "decisions.store_unavailable")
    refused(client.post(FEEDBACK, json=row), 503, "decisions.store_unavailable")
    receipt = client.get(f"{ONE}/{answer['decision_id']}")
    refused(receipt, 503, "decisions.store_unavailable")
    assert client.get(RECOMMENDATIONS).status_code == 200

    redis_process.start()
    time.sleep(0.7)
    no_decision(client, "decisions.release_unavailable")  # it is back, and empty
    publish_decisions(redis_process)
    assert heals(client)["outcome"] == "offers"


def test_a_hung_redis_is_told_of_within_the_deadline_then_at_once(
    client: httpx.Client, redis_process: RealRedis
):
    heals(client)
    redis_process.signal(signal.SIGSTOP)
    try:
        times = []
        for _ in range(12):
            started = time.perf_counter()
            answer = client.post(ONE, json=body(), timeout=20)
            times.append(time.perf_counter() - started)
            refused(answer, 503, "decisions.store_unavailable")
        assert min(times) < 0.05  # the breaker is open: nobody waits
    finally:
        redis_process.signal(signal.SIGCONT)
    heals(client)


def test_a_full_redis_decides_nothing_and_changes_nothing(
    client: httpx.Client, redis_process: RealRedis
):
    before = heals(client)
    with redis_process.client() as redis:
        redis.config_set("maxmemory", 1)
        try:
            refused(client.post(ONE, json=body()), 503, "decisions.store_unavailable")
        finally:
            redis.config_set("maxmemory", 0)
        assert len(list(redis.scan_iter("*:d:*"))) == 1
    assert made(heals(client)) == made(before)


@pytest.mark.parametrize("damage", ["gone", "altered"])
def test_a_damaged_profile_is_replaced_by_the_release_before_or_nothing_is_decided(
    client: httpx.Client, redis_process: RealRedis, damage: str
):
    damage_profile(redis_process, 1, damage)
    not_decided(client, "decisions.profile_unreadable")
    many = client.post(MANY, json={"customer_ids": ["anna", "zoe"], "channel": "web"}).json()
    assert many["results"][0]["problem"]["code"] == "decisions.profile_unreadable"
    assert many["results"][1]["status"] == 200

    publish_decisions(redis_process)  # release 2: the release before it is the damaged one
    publish_decisions(redis_process)  # release 3
    until = time.monotonic() + 3
    while heals(client)["versions"]["release"] != 3:
        assert time.monotonic() < until
        time.sleep(0.05)
    damage_profile(redis_process, 3, damage)
    answer = ask(client)
    assert (answer["degraded"], answer["degraded_reason"]) == (True, "previous_release")
    assert answer["personalised"] is True
    assert answer["versions"]["release"] == 2
    damage_profile(redis_process, 2, damage)
    not_decided(client, "decisions.profile_unreadable")


def damage_profile(redis_process: RealRedis, release: int, damage: str) -> None:
    space = redis_process.space
    key = space.profile(release, 1, space.digest("anna"))
    with redis_process.client() as redis:
        record = redis.get(key)
        assert isinstance(record, bytes)
        if damage == "gone":
            redis.delete(key)
        else:
            redis.set(key, record[:-9] + bytes([record[-9] ^ 1]) + record[-8:])


def test_a_damaged_state_decides_nothing_until_it_is_removed(
    client: httpx.Client, redis_process: RealRedis
):
    answer = heals(client)
    key = redis_process.space.state(redis_process.space.digest("anna"))
    with redis_process.client() as redis:
        redis.setrange(key, 40, b"\xff")
        not_decided(client, "decisions.state_unreadable")
        row = {"decision_id": answer["decision_id"], "offer_id": "car-loan", "type": "click"}
        told = client.post(FEEDBACK, json=row).json()
        assert told["errors"] == [{"index": 0, "code": "decisions.state_unreadable"}]
        assert client.post(ONE, json=body("bela")).status_code == 200
        redis.delete(key)
    assert ask(client)["outcome"] == "offers"


def test_a_damaged_decision_is_as_good_as_unknown(client: httpx.Client, redis_process: RealRedis):
    decision_id = heals(client)["decision_id"]
    with redis_process.client() as redis:
        redis.setrange(redis_process.space.decision(decision_id), 60, b"\xff")
    refused(client.get(f"{ONE}/{decision_id}"), 404, "decision.unknown")
    assert 'oferta_records_damaged_total{kind="decision"} 1.0' in client.get("/metrics").text


def test_a_release_without_profiles_decides_for_nobody_in_particular(
    client: httpx.Client, redis_process: RealRedis
):
    publish_decisions(redis_process, with_profiles=False)
    until = time.monotonic() + 3
    while not (answer := ask(client, dry_run=True))["degraded"]:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert answer["degraded_reason"] == "no_profiles"
    assert answer["personalised"] is False


def test_arrears_told_before_a_release_of_older_data_still_close_promotion(
    client: httpx.Client, redis_process: RealRedis
):
    """Made after it was told, of yesterday's books: it cannot know."""
    answer = ask(client)
    told = {"decision_id": answer["decision_id"], "offer_id": made(answer)[0], "type": "arrears"}
    assert client.post(FEEDBACK, json={"feedback": [told]}).status_code == 200
    for data_at, knows in ((NOON + 1, True), (NOON - 24 * 3600, False)):
        publish_decisions(redis_process, created_at=NOON + 1, profile_at=data_at)
        until = time.monotonic() + 3
        while bool(made(ask(client, dry_run=True))) is not knows:
            assert time.monotonic() < until
            time.sleep(0.05)


def test_an_old_release_is_stale_and_then_decides_nothing(
    client: httpx.Client, redis_process: RealRedis
):
    assert ask(client)["stale"] is False
    publish_decisions(redis_process, created_at=NOON - 27 * 3600)
    until = time.monotonic() + 3
    while not ask(client, dry_run=True)["stale"]:
        assert time.monotonic() < until
        time.sleep(0.05)
    publish_decisions(redis_process, created_at=NOON - 400 * 3600)
    while client.post(ONE, json=body(dry_run=True)).status_code == 200:
        assert time.monotonic() < until + 3
        time.sleep(0.05)
    no_decision(client, "decisions.release_unavailable")


def test_a_saved_file_is_in_the_very_next_answer(client: httpx.Client, own: RuleSet):
    """Each change shows in the first answer after it, however soon that is asked for."""
    before = heals(client)
    time.sleep(0.06)  # of two looks within a twentieth of a second the second is spared
    own.replace("rate_cards/2026.toml", "rates.A = [4.9, 5.4]", "rates.A = [4.9, 7.7]")
    after = ask(client)
    assert [o["terms"]["rate"] for o in after["offers"] if o["family"] == "loan"] == [7.7]
    assert after["versions"]["rate_card"] != before["versions"]["rate_card"]
    assert after["versions"]["policy"] == before["versions"]["policy"]

    time.sleep(0.06)
    own.replace("catalogue/all.toml", 'id = "charger"', 'id = "charger-2"')
    own.replace("policy.toml", '"charger"', '"charger-2"')
    assert made(ask(client))[0] == "charger-2"


def test_files_with_mistakes_are_refused_whole_and_the_old_ones_stay(
    client: httpx.Client, own: RuleSet
):
    before = heals(client)
    own.replace("catalogue/all.toml", "risk_tier IN", "risk_teir IN")
    own.replace("rate_cards/2026.toml", "once = 480", "once = 499")
    time.sleep(0.06)
    during = ask(client)
    assert during["versions"] == before["versions"]
    assert 'oferta_rules_refused{tenant="default"} 1.0' in client.get("/metrics").text
    ready = client.get("/health/ready").json()
    assert ready["status"] == "degraded"
    (check,) = [one for one in ready["checks"] if one["name"] == "rules"]
    assert check["ok"] is False
    assert check["detail"].startswith("1 mistake")
    for rule in ("risk_teir", "car-loan", "eligibility"):  # anybody may ask: no commercial rules
        assert rule not in str(ready)
    (mistake,) = client.get("/health/status").json()["rules_refused"]
    assert "risk_teir" in mistake
    assert "car-loan" in mistake

    own.replace("catalogue/all.toml", "risk_teir IN", "risk_tier IN")
    time.sleep(0.06)
    after = ask(client)
    assert after["versions"]["rate_card"] != before["versions"]["rate_card"]
    time.sleep(FOR_S)
    assert 'oferta_rules_refused{tenant="default"} 0.0' in client.get("/metrics").text
    assert client.get("/health/ready").json()["status"] == "ready"


def test_a_process_that_starts_on_mistakes_decides_once_they_are_mended(
    redis_process: RealRedis, client: httpx.Client, own: RuleSet, tmp_path: Path
):
    heals(client)
    own.replace("policy.toml", "limit = 3", "limit = 0")
    with serving(make_app(redis_process, tmp_path, decisions=own.settings)) as other:
        refused(other.post(ONE, json=body()), 503, "decisions.rules_unavailable")
        assert other.get("/v1/popular").status_code == 200
        own.replace("policy.toml", "limit = 0", "limit = 3")
        assert heals(other)["outcome"] == "offers"


def test_without_files_to_decide_by_the_routes_say_so(redis_process: RealRedis, tmp_path: Path):
    if redis_process.process is None:
        redis_process.start()
    publish_decisions(redis_process)
    with serving(make_app(redis_process, tmp_path)) as plain:
        refused(plain.post(ONE, json=body()), 404, "decisions.not_configured")
        refused(plain.post(MANY, json={}), 404, "decisions.not_configured")
        refused(plain.post(FEEDBACK, json={}), 404, "decisions.not_configured")
        refused(plain.get(f"{ONE}/x"), 404, "decisions.not_configured")
        assert plain.get("/health/ready").json()["status"] == "ready"


def at_once(client: httpx.Client, asked: list[dict[str, object]]) -> list[dict]:
    """The answers to all of these, asked from as many threads at the same moment."""
    answers: list[httpx.Response] = []

    def caller(one: dict[str, object]) -> None:
        with httpx.Client(base_url=client.base_url, timeout=20) as own_client:
            answers.append(own_client.post(ONE, json=one))

    threads = [threading.Thread(target=caller, args=(one,)) for one in asked]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} <= {200, 503}
    return [answer.json() for answer in answers if answer.status_code == 200]


def test_callers_at_once_never_get_more_than_the_caps_allow(client: httpx.Client):
    """Thirty ask for one customer at once: three places, each given once."""
    given = at_once(client, [body(offers=["warranty"])] * 30)

    assert sum(made(answer) == ["warranty"] for answer in given) == 3
    assert len(given) > 15


def test_a_place_in_a_total_cap_is_given_back_when_somebody_else_was_faster(
    client: httpx.Client, redis_process: RealRedis
):
    """Three customers, each asked about by eight at once: as many places taken as offers made."""
    asked = [body(name, offers=["charger"], n=1) for name in ("anna", "bela", "m1")] * 8
    given = at_once(client, asked)
    chargers = sum(made(answer) == ["charger"] for answer in given)
    with redis_process.client() as redis:
        taken = redis.zcard(redis_process.space.total("installers/charger"))

    assert taken == chargers
    assert 1 <= chargers <= 5  # one may meet a place that is about to be given back
    assert "oferta_decision_conflicts_total" in client.get("/metrics").text
