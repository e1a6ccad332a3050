"""Bad requests, on every route that the OpenAPI document has: none is forgotten.

The numbers are those of the project's list of faults.
"""

import gzip
import json
import re
from collections.abc import Iterator

import pytest
from serving.conftest import RealRedis
from serving.openapi_requests import Operation
from serving.refusals import JSON, refused
from serving.test_tenants import Both, two_tenants

METHODS = ("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "POST", "PATCH", "DELETE")
IDS = {
    "customer_id": "anna",
    "product_id": "car-loan",
    "offer_id": "car-loan",
    "decision_id": "d_" + "0" * 24,
    "erasure_id": "er_" + "0" * 24,
}


ROW_BY_ROW = {
    "/v1/customers/{customer_id}/consent": "consent.invalid",
    "/v1/feedback": "feedback.all_refused",
    "/v1/events": "event.row",
}
"""Who takes many rows says of each what is wrong with it, of a single one too."""


@pytest.fixture(scope="module")
def both(redis_process: RealRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    with two_tenants(redis_process, tmp_path_factory.mktemp("tenants")) as made:
        yield made


@pytest.fixture(scope="module")
def headers(both: Both) -> dict[str, str]:
    return {"X-API-Key": both.every}


def path_of(operation: Operation) -> str:
    return re.sub(r"{(\w+)}", lambda name: IDS.get(name[1], "some-id"), operation.path)


def answers(operation: Operation, path: str) -> bool:
    """Whether the path is one of the operation's; `/decisions/batch` may be a decision's, too."""
    return re.fullmatch(re.sub(r"{\w+}", "[^/]*", operation.path), path) is not None


def with_a_body(both: Both) -> list[Operation]:
    found = [each for each in both.document if each.body is not None]
    assert len(found) >= 6
    return found


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"x":NaN}', 400, "json.not_finite"),
        (b'{"x":[-Infinity]}', 400, "json.not_finite"),
        (b'{"x":' + b"9" * 400 + b"}", 422, "number.too_large"),
        (b'{"x":' + b"9" * 5000 + b"}", 422, "number.too_large"),
        (b'{"x":1e999}', 422, "number.too_large"),
        (b'{"x":1,"x":2}', 400, "json.duplicate_key"),
        (b'{"x":{"y":1,"\\u0079":2}}', 400, "json.duplicate_key"),
        (b'{"channell":"app"}', 422, "body.unknown_field"),
        (b'{"\\ud800":1}', 422, "body.unknown_field"),
        (b"[" * 100_000, 400, "json.too_deep"),
        (b"null", 422, "body.not_object"),
        (b'"anna"', 422, "body.not_object"),
        ('{"x":1}'.encode("utf-16"), 400, "json.encoding"),
        (b'{"x":"\xff"}', 400, "json.encoding"),
    ],
)
def test_faults_42_to_47_and_53_on_every_route_with_a_body(
    both: Both, headers: dict[str, str], body: bytes, status: int, code: str
):
    for operation in with_a_body(both):
        answer = both.client.request(
            operation.method, path_of(operation), content=body, headers={**headers, **JSON}
        )
        own = ROW_BY_ROW.get(operation.path) if code == "body.unknown_field" else None
        refused(answer, status, own or code)


def test_faults_54_and_55_on_every_route_with_a_body(both: Both, headers: dict[str, str]):
    def endless() -> Iterator[bytes]:
        for _ in range(64):
            yield b" " * (1 << 20)

    twice = [*headers.items(), ("Content-Type", "application/json"), ("Content-Type", "text/xml")]
    zipped = {**headers, **JSON, "Content-Encoding": "gzip"}
    bomb = gzip.compress(bytes(10_000_000))
    for operation in with_a_body(both):
        method, path = operation.method, path_of(operation)

        def send(sent: object, given: object) -> object:
            return both.client.request(method, path, content=sent, headers=given)  # noqa: B023

        refused(send(endless(), {**headers, **JSON}), 413, "body.too_large")
        refused(send(b"{}", headers), 415, "content_type.unsupported")
        refused(send(b"{}", twice), 415, "content_type.unsupported")
        refused(send(bomb, zipped), 415, "encoding.unsupported")


def test_faults_47_and_48_on_every_route(both: Both, headers: dict[str, str]):
    for operation in both.document:
        path = path_of(operation)
        if not path.startswith("/v1/"):
            continue
        content = None if operation.body is None else json.dumps({}).encode()
        given = headers if content is None else {**headers, **JSON}
        for query, code in (("?channell=app", "parameter.unknown"), ("?n=1&n=2", "parameter.")):
            answer = both.client.request(
                operation.method, path + query, content=content, headers=given
            )
            assert answer.status_code in {400, 422}, operation
            assert answer.json()["code"].startswith(code), operation


@pytest.mark.parametrize("method", METHODS)
def test_fault_66_other_methods_on_every_route(both: Both, headers: dict[str, str], method: str):
    for path in {path_of(operation) for operation in both.document}:
        methods = {each.method for each in both.document if answers(each, path)}
        if method in methods:
            continue
        answer = both.client.request(method, path, headers=headers)
        assert answer.status_code == 405
        assert set(answer.headers["allow"].split(", ")) == methods
        if method == "HEAD":
            assert answer.content == b""
        else:
            refused(answer, 405, "method.not_allowed")


def test_fault_68_nothing_that_administers_is_there(both: Both, headers: dict[str, str]):
    """Publishing, going back and keys are commands of the operator's: they have no route."""
    for path in ("/v1/publish", "/v1/rollback", "/v1/releases", "/v1/keys", "/admin", "/v1/reload"):
        for method in ("GET", "POST"):
            refused(both.client.request(method, path, headers=headers), 404, "route.unknown")
