"""Bad requests: bodies, and what their headers say of them.

The numbers are those of the project's list of faults.
"""

import gzip
import time
from collections.abc import Iterator

import httpx
import pytest
from serving.refusals import BATCH, JSON, RECOMMENDATIONS, refused


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
def test_fault_53_bodies_that_are_no_json(client: httpx.Client, body: bytes, code: str):
    started = time.perf_counter()
    answer = client.post(BATCH, content=body, headers=JSON)

    refused(answer, 400, code)
    assert time.perf_counter() - started < 0.2
    refused(client.post(BATCH, content=b"[]", headers=JSON), 422, "body.not_object")


def test_fault_54_bodies_that_are_too_large(client: httpx.Client):
    size = 1 << 20

    def chunks() -> Iterator[bytes]:
        for _ in range(64):
            yield b" " * size

    refused(client.post(BATCH, content=b" " * 262_145, headers=JSON), 413, "body.too_large")
    refused(client.post(BATCH, content=chunks(), headers=JSON), 413, "body.too_large")
    just_fits = b'{"customer_ids":["anna"]}'.ljust(262_144)
    assert client.post(BATCH, content=just_fits, headers=JSON).status_code == 200


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/json; charset=utf-16", "application/jsonx"]
)
def test_fault_55_content_types(client: httpx.Client, content_type: str | None):
    headers = {} if content_type is None else {"Content-Type": content_type}
    body = b'{"customer_ids":["anna"]}'

    refused(client.post(BATCH, content=body, headers=headers), 415, "content_type.unsupported")
    good = {"Content-Type": "application/json; charset=UTF-8"}
    assert client.post(BATCH, content=body, headers=good).status_code == 200


def test_fault_55_compressed_bodies(client: httpx.Client):
    bomb = gzip.compress(b" " * 10_000_000)
    headers = {**JSON, "Content-Encoding": "gzip"}

    refused(client.post(BATCH, content=bomb, headers=headers), 415, "encoding.unsupported")


def test_fault_55_accept(client: httpx.Client):
    for accept in ("application/xml", "text/html", "application/json;q=0", "*/*;q=0"):
        answer = client.get(RECOMMENDATIONS, headers={"Accept": accept})
        refused(answer, 406, "accept.unsupported")
    for accept in ("*/*", "application/*", "text/html, application/json;q=0.1", "text/*,*/*;q=.5"):
        assert client.get(RECOMMENDATIONS, headers={"Accept": accept}).status_code == 200
