"""Bad requests, one test a fault; the numbers are those of the project's list of faults."""

import gzip
import hashlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from serving.conftest import RealRedis, make_app, serving
from serving.worlds import ODD_ID, shop

from oferta_serving.apikeys import ApiKeys
from oferta_serving.problems import MEDIA_TYPE, PROBLEMS

RECOMMENDATIONS = "/v1/customers/anna/recommendations"
BATCH = "/v1/recommendations/batch"
JSON = {"Content-Type": "application/json"}
MARK = "never-repeat-this"

Raw = Callable[[bytes], bytes]


@pytest.fixture(scope="module")
def client(
    redis_process: RealRedis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """As the shared one, but impatient."""
    redis_process.publish(shop())
    app = make_app(redis_process, tmp_path_factory.mktemp("home"), limits={"arrival_s": 0.5})
    with serving(app) as client:
        yield client


@pytest.fixture
def raw(client: httpx.Client) -> Raw:
    """Sends bytes as they are and reads until the server closes or pauses."""

    def exchange(data: bytes) -> bytes:
        host, port = client.base_url.host, client.base_url.port
        assert port is not None
        with socket.create_connection((host, port), timeout=3) as line:
            line.sendall(data)
            return read_all(line)

    return exchange


def read_all(line: socket.socket) -> bytes:
    line.settimeout(0.4)
    answer = b""
    try:
        while chunk := line.recv(65536):
            answer += chunk
    except TimeoutError:
        pass
    return answer


def refused(answer: httpx.Response, status: int, code: str) -> dict:
    """The problem, checked to be one: RFC 9457, of the table, with its request id, without echo."""
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    problem = answer.json()
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert problem["status"] == status == PROBLEMS[code].status
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert MARK not in answer.text
    return problem


def status_line(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize(
    ("segment", "code"),
    [
        ("x" * 129, "id.too_long"),
        ("", "id.empty"),
        ("%2e", "id.dots"),
        ("%2E%2e", "id.dots"),
        ("a%00b" + MARK, "id.control"),
        ("a%0Ab", "id.control"),
        ("%C2%85", "id.control"),
        ("%ED%A0%80", "id.encoding"),  # a lone surrogate
        ("%FF", "id.encoding"),
        ("%zz", "id.encoding"),
        ("50%", "id.encoding"),
    ],
)
def test_fault_41_ids_that_are_none(raw: Raw, segment: str, code: str):
    answer = raw(
        f"GET /v1/customers/{segment}/recommendations HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    )

    assert status_line(answer) == 422
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == code
    assert MARK.encode() not in answer


@pytest.mark.parametrize(
    "customer_id",
    [
        *("a/b", "/", "a:b", " a  b ", "家庭", "x" * 128, "家" * 128, "a%2Fb", "%", "{id}", "?n=5"),
        *("\u00e9", "e\u0301", "#", "+", "...", "recommendations", "\u200b", ODD_ID),
    ],
)
def test_fault_41_every_other_id_round_trips(client: httpx.Client, customer_id: str):
    answer = client.get(f"/v1/customers/{quote(customer_id, safe='')}/recommendations?n=1")

    assert answer.status_code == 200
    assert answer.json()["customer_id"] == customer_id
    assert answer.json()["cold"] is (customer_id != ODD_ID)


def test_fault_41_products_too(client: httpx.Client):
    answer = client.get(f"/v1/products/{quote(ODD_ID, safe='')}/similar")

    assert [item["product_id"] for item in answer.json()["items"]] == ["tyres"]


def test_fault_42_lone_surrogates(client: httpx.Client):
    one = client.post(BATCH, content=rb'{"customer_ids":["\ud800"]}', headers=JSON)
    name = client.post(
        BATCH, content=rb'{"customer_ids":["anna"],"category":"\udfff"}', headers=JSON
    )
    key = client.post(BATCH, content=rb'{"\ud800":1}', headers=JSON)

    assert refused(one, 422, "batch.all_invalid")["errors"] == [
        {"index": 0, "code": "id.surrogate"}
    ]
    refused(name, 422, "category.invalid")
    refused(key, 422, "body.unknown_field")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_fault_43_not_finite_numbers(client: httpx.Client, number: str):
    body = f'{{"customer_ids":["anna"],"n":{number}}}'

    refused(client.post(BATCH, content=body, headers=JSON), 400, "json.not_finite")


@pytest.mark.parametrize("digits", [20, 400, 5000])
def test_fault_44_huge_integers(client: httpx.Client, digits: int):
    body = f'{{"customer_ids":["anna"],"n":{"9" * digits}}}'

    refused(client.post(BATCH, content=body, headers=JSON), 422, "number.too_large")
    in_query = client.get(f"{RECOMMENDATIONS}?n={'9' * digits}")
    assert refused(in_query, 422, "parameter.out_of_range")["bounds"] == [1, 100]


def test_fault_44_huge_floats(client: httpx.Client):
    body = '{"customer_ids":["anna"],"n":1e400}'

    refused(client.post(BATCH, content=body, headers=JSON), 422, "number.too_large")


def test_fault_45_duplicate_keys(client: httpx.Client):
    body = '{"customer_ids":["anna"],"customer_ids":["bela"]}'

    refused(client.post(BATCH, content=body, headers=JSON), 400, "json.duplicate_key")


@pytest.mark.parametrize(
    "value",
    ["1_0", "%205", "5%20", "5.0", "true", "+5", "05", "0x5", "5e0", "", "\u0665", "\uff15"],
)
def test_fault_46_what_is_no_integer_in_a_query(client: httpx.Client, value: str):
    refused(client.get(f"{RECOMMENDATIONS}?n={value}"), 422, "parameter.integer")


@pytest.mark.parametrize("value", ["true", '"12"', "5.0", "null", "[5]"])
def test_fault_46_what_is_no_integer_in_json(client: httpx.Client, value: str):
    body = f'{{"customer_ids":["anna"],"n":{value}}}'

    assert refused(client.post(BATCH, content=body, headers=JSON), 422, "body.type")["where"] == "n"


def test_fault_47_unknown_names(client: httpx.Client):
    refused(client.get(f"{RECOMMENDATIONS}?ofset=5"), 422, "parameter.unknown")
    refused(client.get(f"{RECOMMENDATIONS}?segment=young"), 422, "parameter.unknown")
    refused(client.get(f"{RECOMMENDATIONS}?{MARK}=1"), 422, "parameter.unknown")
    refused(
        client.post(BATCH, json={"customer_ids": ["anna"], MARK: 1}),
        422,
        "body.unknown_field",
    )
    refused(client.post(BATCH, json={"n": 1}), 422, "body.missing_field")
    refused(client.post(BATCH + "?n=1", json={"customer_ids": ["a"]}), 422, "parameter.unknown")


@pytest.mark.parametrize("query", ["n=5&n=999", "n=5&n=5", "n=5&%6E=5", "category=loan&category="])
def test_fault_48_repeated_parameters(client: httpx.Client, query: str):
    refused(client.get(f"{RECOMMENDATIONS}?{query}"), 400, "parameter.repeated")


@pytest.mark.parametrize("n", ["0", "-1", "101", "9000000000", "-0"])
def test_fault_49_numbers_out_of_bounds(client: httpx.Client, n: str):
    problem = refused(client.get(f"{RECOMMENDATIONS}?n={n}"), 422, "parameter.out_of_range")

    assert (problem["where"], problem["bounds"]) == ("n", [1, 100])
    answer = client.get(f"{RECOMMENDATIONS}?offset=1001")
    assert refused(answer, 422, "parameter.out_of_range")["bounds"] == [0, 1000]


def test_fault_50_unknown_categories_and_segments(client: httpx.Client):
    refused(client.get(f"{RECOMMENDATIONS}?category=loans"), 422, "category.unknown")
    refused(client.get("/v1/popular?segment=youngg"), 422, "segment.unknown")
    refused(client.get(f"{RECOMMENDATIONS}?category="), 422, "category.invalid")
    refused(client.get("/v1/popular?segment=%00"), 422, "segment.invalid")
    refused(client.get("/v1/popular?segment=%FF"), 422, "parameter.encoding")
    body = {"customer_ids": ["anna"], "category": "loans"}
    refused(client.post(BATCH, json=body), 422, "category.unknown")


def test_fault_51_unknown_customers_get_everybodys_list_in_the_same_shape(client: httpx.Client):
    known = client.get(RECOMMENDATIONS).json()
    unknown = client.get("/v1/customers/nobody/recommendations")

    assert unknown.status_code == 200
    answer = unknown.json()
    assert answer.keys() == known.keys()
    assert (answer["cold"], answer["served_from"], answer["personalised"]) == (
        True,
        "popular",
        False,
    )
    assert (answer["degraded"], known["cold"]) == (False, False)


def test_fault_52_batches(client: httpx.Client):
    refused(client.post(BATCH, json={"customer_ids": []}), 422, "batch.empty")
    many = [str(n) for n in range(501)]
    refused(client.post(BATCH, json={"customer_ids": many}), 413, "batch.too_large")
    twice = client.post(BATCH, json={"customer_ids": ["bela", "anna", "bela"], "n": 1}).json()
    assert [r["answer"]["customer_id"] for r in twice["results"]] == ["bela", "anna"]
    ids = [*many[:499], "\x00" + MARK]
    mixed = client.post(BATCH, json={"customer_ids": ids, "n": 1})
    assert mixed.status_code == 200
    assert (mixed.json()["served"], mixed.json()["refused"]) == (499, 1)
    last = mixed.json()["results"][-1]
    assert (last["index"], last["status"], last["problem"]["code"]) == (499, 422, "id.control")
    assert MARK not in mixed.text
    typed = client.post(BATCH, json={"customer_ids": [7, "anna", None]}).json()
    assert [r["status"] for r in typed["results"]] == [422, 200, 422]


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


def test_with_keys_every_route_under_v1_needs_one(redis_process: RealRedis, tmp_path: Path):
    """Fault 57, as far as keys go."""
    app = make_app(
        redis_process, tmp_path, api_keys=ApiKeys([hashlib.sha256(b"right-key").digest()])
    )
    with serving(app) as client:
        refused(client.get(RECOMMENDATIONS), 401, "key.missing")
        wrong = client.get(RECOMMENDATIONS, headers={"X-API-Key": MARK})
        refused(wrong, 401, "key.invalid")
        both = [("X-API-Key", "right-key"), ("X-API-Key", "right-key")]
        refused(client.get(RECOMMENDATIONS, headers=both), 401, "key.invalid")
        refused(client.post(BATCH, json={"customer_ids": ["a"]}), 401, "key.missing")
        refused(client.get("/v1/no-such-route"), 401, "key.missing")
        refused(client.get(RECOMMENDATIONS + "?X-API-Key=right-key"), 401, "key.missing")
        right = client.get(RECOMMENDATIONS, headers={"X-API-Key": "right-key"})
        assert right.status_code == 200
        assert client.get("/health/ready").status_code == 200
