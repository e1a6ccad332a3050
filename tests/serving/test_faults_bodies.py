"""Bad requests: bodies, and what their headers say of them.

The numbers are those of the project's list of faults.
"""

import gzip
import time
from collections.abc import Iterator

import httpx
import pytest
from serving.decisions import FEEDBACK, MANY, ONE
from serving.refusals import BATCH, JSON, RECOMMENDATIONS, refused

ROUTES = (BATCH, ONE, MANY, FEEDBACK)
"""All that take a body."""

every_route = pytest.mark.parametrize("route", ROUTES)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "json.malformed"),
        (b"{", "json.malformed"),
        (b"{'a':1}", "json.malformed"),
        (b'{"customer_ids":["anna"],}', "json.malformed"),
        (b'{"customer_ids":["anna"]} {}', "json.malformed"),
        (b'{"customer_ids":["a\nb"]}', "json.malformed"),
        (b"[" * 100_000, "json.too_deep"),
        (b'{"a":' * 40_000, "json.too_deep"),
        (b"[" * 9 + b"]" * 9, "json.too_deep"),
        ('{"customer_ids":["anna"]}'.encode("utf-16"), "json.encoding"),
        ('{"customer_ids":["anna"]}'.encode("utf-16-le"), "json.encoding"),
        (b'\xef\xbb\xbf{"customer_ids":["anna"]}', "json.encoding"),
        (b'{"customer_ids":["\xff"]}', "json.encoding"),
    ],
)
@every_route
def test_fault_53_bodies_that_are_no_json(desk: httpx.Client, route: str, body: bytes, code: str):
    started = time.perf_counter()
    answer = desk.post(route, content=body, headers=JSON)

    refused(answer, 400, code)
    assert time.perf_counter() - started < 0.2
    refused(desk.post(route, content=b"[]", headers=JSON), 422, "body.not_object")


@every_route
def test_fault_54_bodies_that_are_too_large(desk: httpx.Client, route: str):
    size = 1 << 20

    def chunks() -> Iterator[bytes]:
        for _ in range(64):
            yield b" " * size

    refused(desk.post(route, content=b" " * 262_145, headers=JSON), 413, "body.too_large")
    refused(desk.post(route, content=chunks(), headers=JSON), 413, "body.too_large")
    just_fits = b'{"never":"known"}'.ljust(262_144)
    assert desk.post(route, content=just_fits, headers=JSON).status_code == 422


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/json; charset=utf-16", "application/jsonx"]
)
@every_route
def test_fault_55_content_types(desk: httpx.Client, route: str, content_type: str | None):
    headers = {} if content_type is None else {"Content-Type": content_type}
    body = b'{"never":"known"}'

    refused(desk.post(route, content=body, headers=headers), 415, "content_type.unsupported")
    good = {"Content-Type": "application/json; charset=UTF-8"}
    assert desk.post(route, content=body, headers=good).status_code == 422


@every_route
def test_fault_55_compressed_bodies(desk: httpx.Client, route: str):
    bomb = gzip.compress(b" " * 10_000_000)
    headers = {**JSON, "Content-Encoding": "gzip"}

    refused(desk.post(route, content=bomb, headers=headers), 415, "encoding.unsupported")


def test_fault_55_accept(client: httpx.Client):
    for accept in ("application/xml", "text/html", "application/json;q=0", "*/*;q=0"):
        answer = client.get(RECOMMENDATIONS, headers={"Accept": accept})
        refused(answer, 406, "accept.unsupported")
        refused(client.post(ONE, headers={"Accept": accept}), 406, "accept.unsupported")
    for accept in ("*/*", "application/*", "text/html, application/json;q=0.1", "text/*,*/*;q=.5"):
        assert client.get(RECOMMENDATIONS, headers={"Accept": accept}).status_code == 200
