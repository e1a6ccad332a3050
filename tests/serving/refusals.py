"""What the tests of bad requests share: the routes they ask, and what a refusal must be."""

import socket
from collections.abc import Callable

import httpx

from oferta_serving.problem_table import PROBLEMS
from oferta_serving.problems import MEDIA_TYPE

RECOMMENDATIONS = "/v1/customers/anna/recommendations"
BATCH = "/v1/recommendations/batch"
JSON = {"Content-Type": "application/json"}
MARK = "never-repeat-this"

Raw = Callable[[bytes], bytes]


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
    said = (answer.status_code, answer.json()["code"])
    assert said == (status, code), (answer.request.url.path, said)
    problem = answer.json()
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert problem["status"] == status == PROBLEMS[code].status
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert MARK not in answer.text
    return problem


def status_line(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])
