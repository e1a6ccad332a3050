"""Bad requests: what is wrong before any route is known, byte by byte.

The numbers are those of the project's list of faults.
"""

import json
import socket
import time
from collections.abc import Iterator

import httpx
import pytest
from serving.conftest import RealRedis, make_app, serving
from serving.refusals import MARK, RECOMMENDATIONS, Raw, refused, status_line
from serving.worlds import shop


@pytest.fixture(scope="module")
def client(
    redis_process: RealRedis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """As the shared one, but impatient."""
    redis_process.publish(shop())
    app = make_app(redis_process, tmp_path_factory.mktemp("home"), limits={"arrival_s": 0.5})
    with serving(app) as client:
        yield client


def test_fault_54_bodies_and_heads_that_never_end(client: httpx.Client):
    head = (
        b"POST /v1/recommendations/batch HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    )
    for beginning in (head + b"Content-Length: 100\r\n\r\n{", head[:-9], b"GET /v1/pop", b""):
        started = time.monotonic()
        host, port = client.base_url.host, client.base_url.port
        assert port is not None
        with socket.create_connection((host, port)) as line:
            line.sendall(beginning)
            answer = b""
            while time.monotonic() - started < 3:
                line.settimeout(0.1)
                try:
                    chunk = line.recv(65536)
                except TimeoutError:
                    if beginning.startswith(b"GET"):
                        line.sendall(b"x")  # slow loris: a byte now and then keeps no line open
                    continue
                except ConnectionError:
                    break
                if not chunk:
                    break
                answer += chunk
                if b"request_id" in answer:
                    break
        assert 0.4 < time.monotonic() - started < 2
        assert beginning == b"" or status_line(answer) == 408


def test_fault_54_a_length_that_lies(raw: Raw):
    head = (
        "POST /v1/recommendations/batch HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    )
    huge = raw(f"{head}Content-Length: 99999999999\r\n\r\n{{".encode())
    negative = raw(f"{head}Content-Length: -5\r\n\r\n{{}}".encode())

    assert status_line(huge) == 413
    assert status_line(negative) == 400


def test_fault_56_long_urls_and_large_headers(client: httpx.Client, raw: Raw):
    refused(client.get("/v1/popular?category=" + "x" * 9000), 414, "url.too_long")
    refused(
        client.get(RECOMMENDATIONS, headers={"X-Large": "x" * 17_000}), 431, "headers.too_large"
    )
    many = {f"X-{n}": "1" for n in range(101)}
    refused(client.get(RECOMMENDATIONS, headers=many), 431, "headers.too_large")
    long_path = raw(b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert status_line(long_path) == 414
    endless = raw(b"GET / HTTP/1.1\r\nHost: x\r\nX-Large: " + b"x" * 5_000_000)
    assert status_line(endless) == 431
    thousand = b"".join(b"X-%d: 1\r\n" % n for n in range(1000))
    assert status_line(raw(b"GET / HTTP/1.1\r\nHost: x\r\n" + thousand + b"\r\n")) == 431


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "PATCH", "POST"])
def test_fault_66_other_methods(client: httpx.Client, method: str):
    answer = client.request(method, RECOMMENDATIONS)

    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET"
    if method != "HEAD":
        refused(answer, 405, "method.not_allowed")


def test_fault_66_unknown_routes(client: httpx.Client):
    for path in ("/", "/v1", "/v1/popular/", f"/v1/{MARK}", "/v1/customers/a/b/c"):
        refused(client.get(path), 404, "route.unknown")


def test_fault_66_old_and_pipelined_http(raw: Raw):
    old = raw(b"GET /v1/popular?n=1 HTTP/1.0\r\n\r\n")
    request = b"GET /v1/customers/%b/recommendations?n=1 HTTP/1.1\r\nHost: x\r\n\r\n"
    piped = raw(request % b"anna" + request % b"bela")

    assert status_line(old) == 200
    assert piped.count(b"HTTP/1.1 200") == 2
    assert piped.index(b'"anna"') < piped.index(b'"bela"')


def test_fault_66_smuggling_pairs(raw: Raw):
    head = b"POST /v1/recommendations/batch HTTP/1.1\r\nHost: x\r\n"
    smuggled = b"0\r\n\r\nGET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
    for pair in (
        b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"Content-Length: 6\r\nContent-Length: 60\r\n\r\n",
        b"Transfer-Encoding: chunked, identity\r\n\r\n",
    ):
        answer = raw(head + pair + smuggled)
        assert status_line(answer) == 400
        assert b"live" not in answer
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "request.malformed"


def test_a_malformed_request_never_overtakes_the_answer_before_it(raw: Raw):
    """Sent in one go, the second is refused before the first is answered."""
    first = b"GET /v1/customers/anna/recommendations?n=1 HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = raw(first + b"\x00\x01 nonsense\r\n\r\n")

    assert b"request.malformed" not in answer.partition(b'"anna"')[0]
