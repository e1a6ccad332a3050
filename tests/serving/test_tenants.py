"""S1: no tenant reads or alters anything of another, on any route, with any scope."""

import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
from serving.callers import make_key
from serving.conftest import CLOCK, RealRedis, serving
from serving.decision_worlds import (
    CUSTOMERS,
    consenting,
    publish_seller,
    seller,
    write_base,
    write_rules,
)
from serving.decisions import body
from serving.openapi_requests import Operation, operations
from serving.refusals import refused
from serving.worlds import SECRET, entry

from oferta.home import tenant_folder
from oferta.store.key_secret import SECRET_VARIABLE
from oferta.store.keys import KeySpace
from oferta.store.redis import RedisWriter
from oferta.store.tenants import space_of
from oferta_serving import server
from oferta_serving.principal import SCOPES, Scope
from oferta_serving.server import AppFactory
from oferta_serving.settings import ServingSettings

TENANTS = ("default", "dealer")
MARKS = {"default": ("424242", "bankmark"), "dealer": ("717171", "dealermark")}
"""What is in every kind of data of a tenant and in nobody else's: a sum, a name."""

ONLY = {"default": "yann", "dealer": "zoe"}
"""A customer of one tenant alone. `anna` is a customer of both."""

NOBODY = "somebody-else"


@dataclass(frozen=True)
class Both:
    """The API of two tenants, and what each of them has."""

    client: httpx.Client
    redis: RealRedis
    keys: Mapping[tuple[str, Scope], str]
    ids: Mapping[str, Mapping[str, str]]
    document: list[Operation]
    every: str
    """A key of the default tenant that opens everything."""

    def ask(self, operation: Operation, tenant: str, ids: Mapping[str, str]) -> httpx.Response:
        """With the tenant's key for what the route needs."""
        scope: Scope = operation.scope  # type: ignore[assignment] # of the table
        return operation.ask(self.client, ids, self.keys[tenant, scope])


def publish_tenant(redis: RealRedis, folder: Path, tenant: str, space: KeySpace) -> dict[str, str]:
    """A release and rules with the tenant's marks; the files that it decides by."""
    money, word = MARKS[tenant]
    customers = {
        **CUSTOMERS,
        "anna": consenting(income=float(money)),
        ONLY[tenant]: consenting(income=float(money)),
    }
    plain = seller(customers)
    products = tuple(replace(each, name=f"{word} {each.name}") for each in plain.catalogue)
    world = replace(plain, catalogue=(*products, entry(f"{word}-only", status="hidden")))
    writer = RedisWriter(redis.url, space)
    publish_seller(writer, space, customers, world=world)
    writer.close()
    rules = write_rules(folder / "rules" / tenant)
    rules.replace("catalogue/all.toml", 'id = "roadside"', f'id = "{word}-roadside"')
    base = folder / "scores" / tenant
    base.mkdir(parents=True)
    return {**rules.settings, "base": str(write_base(base, customers))}


@pytest.fixture(scope="module")
def both(redis_process: RealRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    with two_tenants(redis_process, tmp_path_factory.mktemp("tenants")) as made:
        yield made


class two_tenants:  # noqa: N801 - used as a context
    """Both tenants, published and served as `oferta serve` does."""

    def __init__(self, redis: RealRedis, folder: Path) -> None:
        self.redis, self.folder = redis, folder

    def __enter__(self) -> Both:
        home = self.folder / "home"
        home.mkdir()
        self.patch = pytest.MonkeyPatch()
        self.patch.setenv(SECRET_VARIABLE, SECRET.decode())
        with self.redis.client() as client:
            client.flushall()
        files = {}
        for tenant in TENANTS:
            space = server.space_of(tenant_folder(home, tenant))
            files[tenant] = publish_tenant(self.redis, self.folder, tenant, space)
        settings = ServingSettings.model_validate(
            {"decisions": files["default"], "tenants": {"dealer": files["dealer"]}}
        )
        keys = {
            (tenant, scope): make_key(home, f"{tenant}-{scope}", scope, tenant=tenant)
            for tenant in TENANTS
            for scope in SCOPES
        }
        every = make_key(home, "every", *SCOPES)
        self.serving = serving(AppFactory(settings, self.redis.url, home, clock=CLOCK)())
        client = self.serving.__enter__()
        document = sorted(
            (each for each in operations(client.get("/openapi.json").json()) if each.scope),
            key=lambda each: each.method == "DELETE",  # who is forgotten shows nothing any more
        )
        ids = {tenant: left_behind(client, tenant, keys, document) for tenant in TENANTS}
        return Both(client, self.redis, keys, ids, document, every)

    def __exit__(self, *error: object) -> None:
        self.serving.__exit__(None, None, None)
        self.patch.undo()


def decided(client: httpx.Client, asked: Mapping[str, object], key: str) -> str:
    """The id of a decision; a busy machine may need another moment until it can be made."""
    deadline = time.monotonic() + 20
    while True:
        answer = client.post("/v1/decisions", json=asked, headers={"X-API-Key": key})
        if answer.status_code == 200:
            return answer.json()["decision_id"] or "d_" + "0" * 24
        assert answer.status_code == 503, answer.text
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.1)


def left_behind(
    client: httpx.Client,
    tenant: str,
    keys: Mapping[tuple[str, Scope], str],
    document: list[Operation],
) -> dict[str, str]:
    """What a tenant's customer leaves behind on every route; the ids that lead to it."""
    word = MARKS[tenant][1]
    ids = {
        "customer_id": ONLY[tenant],
        "product_id": f"{word}-only",
        "offer_id": f"{word}-roadside",
        "event_id": f"{word}-event",
        "session_id": f"{word}-session",
        "erasure_id": "er_" + "0" * 24,
    }
    ids["decision_id"] = decided(client, body(ONLY[tenant]), keys[tenant, "serve"])
    for operation in document:
        if operation.method in {"POST", "PUT"}:
            scope: Scope = operation.scope  # type: ignore[assignment] # of the table
            answer = operation.ask(client, ids, keys[tenant, scope])
            assert answer.status_code in {200, 202, 422}, (operation, answer.text)
    victim = next((each for each in document if each.method == "DELETE"), None)
    if victim is not None:
        answer = victim.ask(client, {**ids, "customer_id": f"{word}-gone"}, keys[tenant, "privacy"])
        ids["erasure_id"] = answer.json().get("erasure_id") or ids["erasure_id"]
    return ids


def unknown(ids: Mapping[str, str]) -> dict[str, str]:
    """Ids of the same form that nobody has."""
    made = {name: f"nobodys-{name}" for name in ids}
    nothing = "f" * 20
    return {
        **made,
        "customer_id": NOBODY,
        "offer_id": "nobodymark-roadside",  # as near to an offer that there is
        "decision_id": ids["decision_id"][:-20] + nothing,
        "erasure_id": ids["erasure_id"][:-20] + nothing,
    }


_CHANCE = re.compile(
    rb'"(request_id|decision_id|erasure_id|seed|probability|selection)": ?("[^"]*"|[0-9.]+)'
)


def told(answer: httpx.Response, ids: Mapping[str, str]) -> bytes:
    """An answer without its own number, without what chance made, and without the ids sent."""
    text = _CHANCE.sub(b"", answer.content)
    for name, value in ids.items():
        text = text.replace(json.dumps(value).encode(), name.encode())
    return b"%d %b" % (answer.status_code, text)


def other_of(tenant: str) -> str:
    return next(name for name in TENANTS if name != tenant)


def shown(tenant: str) -> tuple[bytes, bytes]:
    """What only this tenant's data hold, and no request carries."""
    money, word = MARKS[tenant]
    return money.encode(), f"{word} ".encode()


def leaks(both: Both, tenant: str) -> list[str]:
    """Where `tenant`'s keys reach anything of the other."""
    other = other_of(tenant)
    foreign, nobody = both.ids[other], unknown(both.ids[other])
    found = []
    for operation in both.document:
        there, nowhere, shared = (
            both.ask(operation, tenant, ids)
            for ids in (foreign, nobody, {**foreign, "customer_id": "anna"})
        )
        for answer in (there, shared):
            if answer.status_code >= 500:
                found.append(f"{operation}: {answer.status_code}")
            if any(mark in answer.content for mark in shown(other)):
                found.append(f"{operation}: shows what is the other's")
        if told(there, foreign) != told(nowhere, nobody):
            found.append(f"{operation}: tells the other's ids from nobody's")
    return found


def held(both: Both, tenant: str) -> dict[bytes, bytes]:
    """Everything that Redis holds of a tenant, once what was begun for it has ended."""
    with both.redis.client() as redis:
        now = dict[bytes, bytes]()
        while True:
            pattern = b"{%s[:}]*" % tenant.encode()
            keys = [key for key in redis.scan_iter(pattern) if b":u}" not in key]
            before, now = now, {key: redis.dump(key) or b"" for key in sorted(keys)}
            if now == before:
                return now
            time.sleep(0.3)


def views(both: Both, tenant: str) -> list[bytes]:
    """Everything that the tenant itself can read of its customer."""
    return [
        told(both.ask(each, tenant, both.ids[tenant]), {})
        for each in both.document
        if each.method == "GET" and each.scope != "operate"  # how busy the process is
    ]


@pytest.mark.parametrize("tenant", TENANTS)
def test_no_route_shows_or_alters_what_is_another_tenant_s(both: Both, tenant: str):
    """S1, generated from the OpenAPI document: every route, with the scope that it needs."""
    other = other_of(tenant)
    before, seen = held(both, other), views(both, other)
    assert len(before) > 100
    assert any(MARKS[other][0].encode() in view for view in seen)

    assert leaks(both, tenant) == []
    assert held(both, other) == before
    assert views(both, other) == seen


@pytest.mark.parametrize("tenant", TENANTS)
def test_no_other_scope_opens_a_route_whoever_s_ids_it_is_asked_with(both: Both, tenant: str):
    for operation in both.document:
        for scope in SCOPES:
            if scope == operation.scope:
                continue
            for ids in both.ids.values():
                key = both.keys[tenant, scope]
                refused(operation.ask(both.client, ids, key), 403, "key.scope")


@pytest.mark.parametrize("tenant", TENANTS)
def test_what_is_another_tenant_s_is_not_found_as_what_nobody_has(both: Both, tenant: str):
    foreign = both.ids[other_of(tenant)]
    codes = {
        "GET /v1/decisions/{decision_id}": "decision.unknown",
        "GET /v1/products/{product_id}/similar": "product.unknown",
        "GET /v1/offers/{offer_id}/audience": "offer.unknown",
        "GET /v1/customers/{customer_id}/profile": "customer.unknown",
    }
    asked = {str(each): both.ask(each, tenant, foreign) for each in both.document}
    for name, code in codes.items():
        refused(asked[name], 404, code)


def test_each_tenant_sees_its_own(both: Both):
    """Else nothing above would mean anything."""
    for tenant in TENANTS:
        own = both.ids[tenant]
        for operation in both.document:
            if operation.path == "/metrics":
                continue
            if operation.method == "GET" and "product" not in operation.path:
                answer = both.ask(operation, tenant, own)
                assert answer.status_code == 200, (operation, answer.text)


def test_what_names_all_tenants_is_for_the_default_one(both: Both):
    (metrics,) = [each for each in both.document if each.path == "/metrics"]
    assert 'tenant="dealer"' in both.ask(metrics, "default", {}).text
    refused(both.ask(metrics, "dealer", {}), 403, "key.scope")


def test_a_tenant_that_is_not_served_here_is_refused(
    both: Both, tmp_path: Path, redis_process: RealRedis, monkeypatch: pytest.MonkeyPatch
):
    del both
    monkeypatch.setenv(SECRET_VARIABLE, SECRET.decode())
    key = make_key(tmp_path, "app", "serve", tenant="elsewhere")
    factory = AppFactory(ServingSettings(), redis_process.url, tmp_path, clock=CLOCK)
    with serving(factory()) as client:
        answer = client.get("/v1/popular", headers={"X-API-Key": key})
        refused(answer, 403, "key.tenant")


def test_a_shared_key_space_would_be_found(
    redis_process: RealRedis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The matrix fails where tenants share their keys: that it holds means something."""
    monkeypatch.setattr(server, "space_of", lambda _home: space_of(tmp_path / "home"))
    with two_tenants(redis_process, tmp_path) as shared:
        assert leaks(shared, "default")
