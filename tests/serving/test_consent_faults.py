"""Consent when things break: Redis, its copies, the ledger, the machine; it holds all the same."""

import shutil
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from serving.conftest import RealRedis, make_app, serving
from serving.consents import OUT, path, recommended, say
from serving.refusals import refused
from serving.worlds import shop

from oferta.privacy.consents import Consents
from oferta.privacy.ledger import ledger_path
from oferta.store import codec
from oferta.store.customer_records import open_consents, seal_consents


@pytest.fixture
def anew(redis_process: RealRedis, tmp_path: Path) -> Iterator[httpx.Client]:
    """An API with a ledger of its own, for tests that break things."""
    with redis_process.client() as redis:
        redis.flushall()
    redis_process.publish(shop())
    with serving(make_app(redis_process, tmp_path)) as client:
        yield client


def test_what_opted_out_before_a_restart_is_out_after_it(redis_process: RealRedis, tmp_path: Path):
    redis_process.publish(shop())
    with serving(make_app(redis_process, tmp_path)) as api:
        say(api, "anna", "personalisation", "out")
    with redis_process.client() as redis:
        redis.flushall()
    redis_process.publish(shop())
    with serving(make_app(redis_process, tmp_path)) as api:
        assert recommended(api, "anna")["personalised"] is False
        assert _copied(redis_process, "anna") == Consents({"personalisation": False}, 1)
        assert recommended(api, "bela")["personalised"] is True


def test_an_opt_out_while_redis_hangs_is_stored_and_holds_when_it_is_back(
    anew: httpx.Client, redis_process: RealRedis
):
    redis_process.signal(signal.SIGSTOP)
    try:
        stored = say(anew, "anna", "personalisation", "out")
        assert stored["applied"] == "pending"
        assert recommended(anew, "anna")["personalised"] is False
    finally:
        redis_process.signal(signal.SIGCONT)
    deadline = time.monotonic() + 10
    while recommended(anew, "bela")["personalised"] is False:  # until Redis is trusted again
        assert recommended(anew, "anna")["personalised"] is False
        assert time.monotonic() < deadline
        time.sleep(0.02)
    while _copied(redis_process, "anna") is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert recommended(anew, "anna")["personalised"] is False


def test_copies_that_are_lost_are_not_missed_here_and_brought_again(
    anew: httpx.Client, redis_process: RealRedis
):
    say(anew, "anna", "personalisation", "out")
    with redis_process.client() as redis:
        redis.delete(redis_process.space.consent(redis_process.space.digest("anna")))
        redis.delete(redis_process.space.consents())
    assert recommended(anew, "anna")["personalised"] is False
    deadline = time.monotonic() + 10
    while _copied(redis_process, "anna") is None:
        assert recommended(anew, "anna")["personalised"] is False
        assert time.monotonic() < deadline


def test_a_copy_of_a_lost_ledger_holds_until_its_customer_speaks_and_a_damaged_one_gives_way(
    anew: httpx.Client, redis_process: RealRedis
):
    key = redis_process.space.consent(redis_process.space.digest("anna"))
    newer = Consents({"personalisation": False}, 900)
    with redis_process.client() as redis:
        redis.set(key, seal_consents(newer, at=1.0))
        # The ledger has no number 900: it was restored from a backup, and the copy knows better.
        assert recommended(anew, "anna")["personalised"] is False
        said = say(anew, "anna", "personalisation", "in")
        assert said["applied"] == "now"
        assert _copied(redis_process, "anna") == Consents({"personalisation": True}, 902)
        assert recommended(anew, "anna")["personalised"] is True
        record = bytearray(redis.get(key) or b"")
        record[14] ^= 0x40  # now its number is far greater, and its checksum wrong
        redis.set(key, bytes(record))
        say(anew, "anna", "marketing", "in")
        assert _copied(redis_process, "anna") == Consents(
            {"personalisation": True, "marketing": True}, 903
        )


def test_a_ledger_restored_from_a_backup_numbers_on_above_its_copies(
    redis_process: RealRedis, tmp_path: Path
):
    redis_process.publish(shop())
    before, after = tmp_path / "before", tmp_path / "after"
    with serving(make_app(redis_process, before)) as api:
        say(api, "bela", "marketing", "out")
    shutil.copytree(before, after)
    with serving(make_app(redis_process, before)) as api:
        for state in ("out", "in", "out"):
            say(api, "anna", "personalisation", state)
    with serving(make_app(redis_process, after)) as api:
        assert recommended(api, "anna")["personalised"] is False  # by the copy
        (entry,) = say(api, "anna", "marketing", "in")["stored"]
        assert entry["seq"] > 4
        assert recommended(api, "anna")["personalised"] is False  # the ledger took the no back
        say(api, "anna", "personalisation", "in")
        assert recommended(api, "anna")["personalised"] is True


def test_a_damaged_copy_does_not_matter_where_the_ledger_is(
    anew: httpx.Client, redis_process: RealRedis
):
    key = redis_process.space.consent(redis_process.space.digest("anna"))
    with redis_process.client() as redis:
        redis.set(key, b"damaged" * 20)
    assert recommended(anew, "anna")["personalised"] is True
    say(anew, "anna", "personalisation", "out")
    with redis_process.client() as redis:
        redis.set(key, b"damaged" * 20)
    assert recommended(anew, "anna")["personalised"] is False


def test_a_ledger_that_vanishes_closes_everything_until_it_is_back(
    anew: httpx.Client, tmp_path: Path
):
    say(anew, "anna", "personalisation", "out")
    folder = ledger_path(tmp_path).parent
    away = folder.rename(tmp_path / "away")
    _until(anew, "bela", personalised=False)
    assert recommended(anew, "bela")["degraded_reason"] == "consent_unknown"
    ready = anew.get("/health/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert [one["name"] for one in ready.json()["checks"] if not one["ok"]] == ["consent"]
    refused(anew.put(path("bela"), json=OUT), 503, "consent.not_stored")
    refused(anew.get(path("anna")), 503, "consent.ledger_unavailable")
    assert not folder.exists()  # no new one, in which nobody ever refused anything
    away.rename(folder)
    _until(anew, "bela", personalised=True)
    assert recommended(anew, "anna")["personalised"] is False


def test_a_ledger_that_is_held_is_told_within_its_time(anew: httpx.Client, tmp_path: Path):
    holder = sqlite3.connect(ledger_path(tmp_path), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    answer = anew.put(path("anna"), json=OUT)
    assert time.monotonic() - began < 4
    refused(answer, 503, "consent.not_stored")
    assert answer.headers["retry-after"] == "1"
    assert recommended(anew, "anna")["personalised"] is True  # nothing was acknowledged
    holder.execute("ROLLBACK")
    holder.close()
    say(anew, "anna", "personalisation", "out")
    assert recommended(anew, "anna")["personalised"] is False


def test_a_machine_without_the_ledger_believes_complete_copies_alone(
    redis_process: RealRedis, tmp_path: Path
):
    with redis_process.client() as redis:
        redis.flushall()
        redis_process.publish(shop())
        elsewhere = make_app(redis_process, tmp_path / "elsewhere", privacy={"ledger": False})
        with serving(elsewhere) as other:
            assert recommended(other, "anna")["degraded_reason"] == "consent_unknown"
            refused(other.put(path("anna"), json=OUT), 404, "consent.not_kept_here")
            refused(other.get(path("anna")), 404, "consent.not_kept_here")
            with serving(make_app(redis_process, tmp_path / "here")) as here:
                _until(other, "anna", personalised=True)
                assert say(here, "anna", "personalisation", "out")["applied"] == "now"
                assert recommended(other, "anna")["personalised"] is False
                assert recommended(other, "bela")["personalised"] is True
            marker = redis.get(redis_process.space.consents())
            redis.delete(redis_process.space.consents())
            _until(other, "bela", personalised=False)
            redis.set(redis_process.space.consents(), marker or b"")
            _until(other, "bela", personalised=True)
            redis.set(redis_process.space.consents(), b"0-0000000000000000")  # an older state
            _until(other, "bela", personalised=False)


def test_who_was_forgotten_is_a_stranger_who_refused_everything(
    anew: httpx.Client, redis_process: RealRedis
):
    key = redis_process.space.consent(redis_process.space.digest("anna"))
    with redis_process.client() as redis:
        redis.set(key, seal_consents(Consents({"personalisation": True}, 5, erased=True), at=1.0))
    assert recommended(anew, "anna")["personalised"] is False


def _copied(redis_process: RealRedis, name: str) -> Consents | None:
    with redis_process.client() as redis:
        record = redis.get(redis_process.space.consent(redis_process.space.digest(name)))
    assert record is None or len(record) > codec.HEADER.size
    return None if record is None else open_consents(record)


def _until(api: httpx.Client, name: str, *, personalised: bool) -> None:
    deadline = time.monotonic() + 10
    while recommended(api, name)["personalised"] is not personalised:
        assert time.monotonic() < deadline
        time.sleep(0.02)
