"""Reading the body of a request: JSON only, counted while it streams, within its time."""

import asyncio

from starlette.types import Receive, Scope

from oferta_serving.problems import RequestRefused
from oferta_serving.settings import LimitSettings
from oferta_serving.strict import json_object

_JSON_TYPES = frozenset({b"application/json", b"application/json;charset=utf-8"})


async def read_object(scope: Scope, receive: Receive, limits: LimitSettings) -> dict[str, object]:
    """The body as one JSON object.

    Raises:
        RequestRefused: another content type, a compressed, too large or too slow body, or a
            `json.` code of `oferta_serving.strict`.
    """
    _check_headers(scope, limits)
    try:
        async with asyncio.timeout(limits.arrival_s):
            body = await _read(receive, limits.body_bytes)
    except TimeoutError:
        raise RequestRefused("request.timeout", headers=[(b"connection", b"close")]) from None
    return json_object(body)


def _check_headers(scope: Scope, limits: LimitSettings) -> None:
    types = [value for name, value in scope["headers"] if name == b"content-type"]
    if len(types) != 1 or _plain(types[0]) not in _JSON_TYPES:
        raise RequestRefused("content_type.unsupported")
    for name, value in scope["headers"]:
        if name == b"content-encoding" and value.strip().lower() != b"identity":
            raise RequestRefused("encoding.unsupported")
        if name == b"content-length" and (not value.isdigit() or int(value) > limits.body_bytes):
            raise RequestRefused("body.too_large")


def _plain(content_type: bytes) -> bytes:
    return content_type.lower().replace(b" ", b"").replace(b'"', b"")


async def _read(receive: Receive, most: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RequestRefused("request.malformed")  # nobody is there to read this
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > most:
            raise RequestRefused("body.too_large")
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)
