"""Bad requests: callers without a key, or with one that is not for this.

The numbers are those of the project's list of faults.
"""

import json
import stat
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import structlog
from fastapi.routing import APIRoute
from serving.callers import THEN, YEAR, Hands, make_key
from serving.conftest import CLOCK, RealRedis, make_app, serving
from serving.refusals import BATCH, MARK, RECOMMENDATIONS, refused
from serving.worlds import shop
from structlog.testing import LogCapture

from oferta_serving.access import audit
from oferta_serving.access.attempts import MOST_WRONG, SHUT_S
from oferta_serving.access.keyfile import KeyFile
from oferta_serving.access.keyring import LOOK_S, Keyring
from oferta_serving.access.scopes import BEARER, PUBLIC, ROUTES
from oferta_serving.principal import SCOPES, Scope
from oferta_serving.problems import RequestRefused


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keyed")


@pytest.fixture(scope="module")
def keys(home: Path) -> dict[Scope, str]:
    """A key for each scope alone."""
    return {scope: make_key(home, scope, scope) for scope in SCOPES}


@pytest.fixture(scope="module")
def keyed(redis_process: RealRedis, home: Path, keys: dict[Scope, str]) -> Iterator[httpx.Client]:
    """The API where keys were made."""
    del keys
    redis_process.publish(shop())
    with serving(make_app(redis_process, home)) as client:
        yield client


def test_fault_57_no_key_a_wrong_one_and_two(keyed: httpx.Client, keys: dict[Scope, str]):
    right = {"X-API-Key": keys["serve"]}
    assert keyed.get(RECOMMENDATIONS, headers=right).status_code == 200
    refused(keyed.get(RECOMMENDATIONS), 401, "key.missing")
    for wrong in (MARK, keys["serve"][:-1], keys["serve"] + "A", keys["serve"].upper(), ""):
        answer = keyed.get(RECOMMENDATIONS, headers={"X-API-Key": wrong})
        refused(answer, 401, "key.invalid")
    both = [("X-API-Key", keys["serve"]), ("X-API-Key", keys["serve"])]
    refused(keyed.get(RECOMMENDATIONS, headers=both), 401, "key.invalid")
    refused(keyed.post(BATCH, json={"customer_ids": ["a"]}), 401, "key.missing")
    for path in (
        "/v1/no-such-route",
        "/",
        "/health/status",
        "/metrics",
        "/metrics/",
        "/health/ready/x",
    ):
        refused(keyed.get(path), 401, "key.missing")
    for path in ("/health/ready", "/health/live", "/openapi.json", "/docs"):
        assert keyed.get(path).status_code == 200


def test_fault_57_prometheus_sends_its_key_as_it_can_and_to_its_route_alone(
    keyed: httpx.Client, keys: dict[Scope, str]
):
    for headers in (
        {"X-API-Key": keys["operate"]},
        {"Authorization": f"Bearer {keys['operate']}"},
        {"Authorization": f"bearer {keys['operate']}"},
    ):
        assert "oferta_http_requests_total" in keyed.get("/metrics", headers=headers).text
    for wrong in ("", "Bearer", f"Bearer {MARK}", f"Basic {keys['operate']}"):
        refused(keyed.get("/metrics", headers={"Authorization": wrong}), 401, "key.invalid")
    serve = {"Authorization": f"Bearer {keys['serve']}"}
    refused(keyed.get("/metrics", headers=serve), 403, "key.scope")
    refused(keyed.get(RECOMMENDATIONS, headers=serve), 401, "key.missing")


def test_fault_57_a_key_in_the_url(keyed: httpx.Client, keys: dict[Scope, str]):
    key = keys["serve"]
    for query in (f"api_key={key}", f"X-API-Key={key}", f"n=3&apikey={MARK}", f"category={key}"):
        for headers in ({}, {"X-API-Key": key}):
            answer = keyed.get(f"{RECOMMENDATIONS}?{query}", headers=headers)
            refused(answer, 400, "key.in_query")
            assert key not in answer.text


def test_fault_57_every_route_refuses_keys_of_every_other_scope(
    keyed: httpx.Client, keys: dict[Scope, str]
):
    """And deciding that costs nothing of what the request carried."""
    for route, needed in ROUTES.items():
        method, path = route.split()
        for scope, key in keys.items():
            answer = keyed.request(
                method, path.replace("{", "").replace("}", ""), headers={"X-API-Key": key}
            )
            if scope != needed:
                refused(answer, 403, "key.scope")
            else:
                assert answer.status_code not in {401, 403}


def test_every_route_stands_in_the_table_of_scopes_or_is_public(
    redis_process: RealRedis, tmp_path: Path
):
    app = make_app(redis_process, tmp_path)
    served = {
        f"{method} {route.path_format}"
        for route in app.routes
        if isinstance(route, APIRoute) and not route.path.startswith("/docs")
        for method in route.methods
    }
    public = {f"GET {path}" for path in PUBLIC}

    assert served - public == ROUTES.keys()


def test_the_openapi_document_names_the_scope_of_every_route(client: httpx.Client):
    document = client.get("/openapi.json").json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            scope = ROUTES.get(f"{method.upper()} {path}")
            either = ["apiKey", "bearer"] if path == BEARER else ["apiKey"]
            asked = [] if scope is None else [{name: [scope]} for name in either]
            assert operation["security"] == asked
            assert scope is None or {"401", "403", "429"} <= operation["responses"].keys()


def code_of(ring: Keyring, key: str, address: str = "a") -> str:
    try:
        return ring.principal(key.encode(), address).name
    except RequestRefused as refusal:
        return refusal.code


def test_what_is_kept_cannot_open(tmp_path: Path):
    key = make_key(tmp_path, "app", "serve")
    path = tmp_path / "api-keys.json"
    secret = key.partition(".")[2]

    assert len(secret) == 43
    assert secret not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text())["keys"][0]["prefix"] == key[7:19]
    assert [each.name for each in tmp_path.iterdir() if "draft" in each.name] == []


def test_expired_and_revoked_keys_are_told_to_who_has_them_and_to_nobody_else(
    tmp_path: Path, hands: Hands
):
    old = make_key(tmp_path, "old", "serve", lives=timedelta(days=1), now=THEN - YEAR)
    app = make_key(tmp_path, "app", "serve")
    ring = Keyring(tmp_path, CLOCK, seconds=hands)

    assert code_of(ring, old) == "key.expired"
    assert code_of(ring, old[:-2] + "AA") == "key.invalid"
    assert code_of(ring, app) == "app"
    KeyFile(tmp_path).revoke("app", now=THEN)
    hands.at = LOOK_S
    assert code_of(ring, app) == "key.revoked"
    assert code_of(ring, app[:-2] + "AA") == "key.invalid"


def test_a_key_is_rotated_without_a_gap_and_only_two_live_at_once(tmp_path: Path, hands: Hands):
    file = KeyFile(tmp_path)
    first = make_key(tmp_path, "app", "serve", "events", tenant="dealer")
    with pytest.raises(Exception, match="rotate"):
        make_key(tmp_path, "app", "serve")
    second = file.rotate("app", lives=YEAR, now=THEN).text
    with pytest.raises(Exception, match=f"revoke {first[7:19]}"):
        file.rotate("app", lives=YEAR, now=THEN)
    ring = Keyring(tmp_path, CLOCK, seconds=hands)
    for key in (first, second):
        principal = ring.principal(key.encode(), "a")
        assert (principal.name, principal.tenant) == ("app", "dealer")
        assert principal.scopes == {"serve", "events"}

    file.revoke(first[7:19], now=THEN)
    hands.at = LOOK_S

    assert code_of(ring, first) == "key.revoked"
    assert code_of(ring, second) == "app"
    file.rotate("app", lives=YEAR, now=THEN)


def test_the_first_key_shuts_the_door_and_a_lost_file_does_not_open_it(
    tmp_path: Path, hands: Hands
):
    ring = Keyring(tmp_path, CLOCK, seconds=hands)
    assert ring.principal(None, "a").name == "local"
    key = make_key(tmp_path, "app", "serve")
    hands.at = 1.0
    with pytest.raises(RequestRefused, match=r"key\.missing"):
        ring.principal(None, "a")
    (tmp_path / "api-keys.json").rename(tmp_path / "elsewhere")
    hands.at = 2.0
    assert code_of(ring, key) == "key.invalid"
    (tmp_path / "elsewhere").rename(tmp_path / "api-keys.json")
    hands.at = 3.0
    assert code_of(ring, key) == "app"


def test_a_worker_that_starts_where_the_keys_got_lost_lets_nobody_in(tmp_path: Path, hands: Hands):
    key = make_key(tmp_path, "app", "serve")
    (tmp_path / "api-keys.json").rename(tmp_path / "elsewhere")
    ring = Keyring(tmp_path, CLOCK, seconds=hands)
    with pytest.raises(RequestRefused, match=r"key\.missing"):
        ring.principal(None, "127.0.0.1")
    assert code_of(ring, key) == "key.invalid"
    (tmp_path / "elsewhere").rename(tmp_path / "api-keys.json")
    hands.at = LOOK_S
    assert code_of(ring, key) == "app"


def test_a_damaged_file_changes_nothing_and_a_start_with_one_lets_nobody_in(
    tmp_path: Path, hands: Hands
):
    key = make_key(tmp_path, "app", "serve")
    ring = Keyring(tmp_path, CLOCK, seconds=hands)
    path = tmp_path / "api-keys.json"
    path.write_text(path.read_text()[:-20])
    hands.at = 1.0

    assert code_of(ring, key) == "app"
    assert code_of(Keyring(tmp_path, CLOCK, seconds=hands), key) == "key.invalid"


def test_wrong_keys_are_slowed_and_never_shut_out_the_right_one(tmp_path: Path, hands: Hands):
    """The prefix is no secret, and behind a proxy all have its address."""
    key, other = make_key(tmp_path, "app", "serve"), make_key(tmp_path, "other", "serve")
    wrong = key[:-2] + "AA"
    ring = Keyring(tmp_path, CLOCK, seconds=hands)
    assert [code_of(ring, wrong) for _ in range(MOST_WRONG + 1)] == [
        *["key.invalid"] * MOST_WRONG,
        "key.attempts",
    ]
    assert code_of(ring, key) == "app"
    assert code_of(ring, wrong) == "key.attempts"
    assert code_of(ring, wrong, "another address") == "key.invalid"
    assert code_of(ring, other[:-2] + "AA") == "key.invalid"
    hands.at = SHUT_S
    assert code_of(ring, wrong) == "key.invalid"


def test_a_clock_of_keys_costs_little(tmp_path: Path):
    """Deciding who asks: 2 us; the bound is loose, for busy machines."""
    key = make_key(tmp_path, "app", "serve").encode()
    ring = Keyring(tmp_path, CLOCK)
    started = time.process_time()
    for _ in range(2000):
        ring.principal(key, "a")
    assert (time.process_time() - started) / 2000 < 30e-6


def test_the_audit_names_whose_key_was_refused_and_never_the_key(
    tmp_path: Path, hands: Hands, monkeypatch: pytest.MonkeyPatch
):
    """A flood of wrong keys fills no disk."""
    said = LogCapture()
    monkeypatch.setattr(audit, "log", structlog.wrap_logger(None, processors=[said]))
    key = make_key(tmp_path, "app", "serve", tenant="dealer")
    ring = Keyring(tmp_path, CLOCK, audit=audit.Audit(hands), seconds=hands)
    for at in range(500):
        code_of(ring, f"oferta_{at:012x}.{'A' * 43}", f"10.0.0.{at}")
    code_of(ring, key[:-2] + "AA", "10.9.9.9")
    assert len(said.entries) == audit.MOST_PER_S
    hands.at = 1.0
    code_of(ring, key[:-2] + "AA", "10.9.9.9")
    more, last = said.entries[audit.MOST_PER_S :]
    assert (more["event"], more["count"]) == ("keys.refused_more", 481)
    assert last == {
        "event": "key.refused",
        "log_level": "warning",
        "code": "key.invalid",
        "name": "app",
        "prefix": key[7:19],
        "tenant": "dealer",
        "address": "10.9.9.9",
    }
    assert key.partition(".")[2][:20] not in str(said.entries)
