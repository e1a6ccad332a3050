"""The door: every request passes here before any route sees it, every answer on its way out.

It bounds what may come in, asks who is there, numbers the request, and counts the answer. It sends
each request to the application of the key's tenant: applications share nothing but the process. It
also routes by the *raw* path: a `%2F` within an id must not become a separator, so routes match the
percent-encoded segments and decode them afterwards (`strict.path_id`).
"""

import asyncio
import re
import secrets
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import count

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oferta.home import DEFAULT_TENANT
from oferta_serving.access.audit import Audit
from oferta_serving.access.keyring import Keyring
from oferta_serving.access.rates import Rates
from oferta_serving.access.scopes import BEARER, is_public
from oferta_serving.logs import trace_of
from oferta_serving.metrics import Metrics
from oferta_serving.principal import NOBODY, PRINCIPAL, Principal
from oferta_serving.problems import RequestRefused, problem_body, problem_headers
from oferta_serving.settings import LimitSettings
from oferta_serving.turns import GONE, Turns, is_urgent

REQUEST_ID = "request_id"
"""Where the request's id lies in its ASGI scope."""

_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_JSON_RANGES = frozenset({b"*/*", b"application/*", b"application/json"})
_OURS = frozenset({b"x-api-key", b"authorization", b"x-request-id", b"accept"})
_NO_ROUTE = "none"
_CLIENT_GONE = 499
"""Counted of requests whose client went before they were answered; nobody is sent it."""

_KEY_IN_QUERY = re.compile(rb"(?i)(?:^|&)(?:x[-_])?api[-_]?key=|oferta_[0-9a-f]{12}(?:\.|%2e)")
_BEARER = re.compile(rb"(?i)bearer +(.*)")
_BEARER_PATH = BEARER.encode()
_SECURE = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"))
_BARE = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
_PAGE = (b"content-security-policy", b"frame-ancestors 'none'")
"""Of the pages of the documentation, which have scripts and styles of their own."""

log = structlog.get_logger()


class HalfAnswered(Exception):
    """An answer that broke off: `request.failed` in the log says why."""


class _Answer:
    """What is sent of one answer, with the headers that all have."""

    __slots__ = ("_scope", "_send", "begun", "ended", "request_id", "status")

    def __init__(self, send: Send, scope: Scope) -> None:
        self._send = send
        self._scope = scope
        self.request_id = b""
        self.status = 500
        self.begun = self.ended = False

    async def send(self, message: Message) -> None:
        """Pass on a part of it."""
        if message["type"] == "http.response.start":
            self.begun = True
            self.status = message["status"]
            message["headers"].append((b"x-request-id", self.request_id))
            message["headers"].extend(_SECURE)
            message["headers"].append(_PAGE if self._scope["path"].startswith("/docs") else _BARE)
        elif message["type"] == "http.response.body":
            self.ended = not message.get("more_body", False)
        await self._send(message)


class Gate:
    """ASGI middleware around the whole application."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        limits: LimitSettings,
        keyring: Keyring,
        rates: Rates,
        audit: Audit,
        tenants: Mapping[str, ASGIApp],
        turns: Turns,
        metrics: Metrics,
        access_log: bool,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._app = app
        self._limits = limits
        self._keyring = keyring
        self._rates = rates
        self._audit = audit
        self._apps = {DEFAULT_TENANT: app, **tenants}
        self._turns = turns
        self._metrics = metrics
        self._access_log = access_log
        self._clock = clock
        self._prefix = secrets.token_hex(4).encode()  # a random number per request costs 4 us
        self._count = count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = self._clock()
        answer = _Answer(send, scope)
        try:
            await self._answered(scope, receive, answer)
        except asyncio.CancelledError:
            if GONE not in scope:
                raise
            answer.status = _CLIENT_GONE
        except Exception as error:  # noqa: BLE001 - of whatever kind: it is told, and answered
            await self._failed(scope, answer, error)
        finally:
            self._turns.leave(scope)
            route = getattr(scope.get("route"), "path_format", _NO_ROUTE)
            seconds = self._clock() - started
            self._metrics.observe(route, answer.status, seconds)
            if self._access_log:
                log.info(
                    "request.answered",
                    route=route,
                    status=answer.status,
                    milliseconds=round(seconds * 1000, 2),
                    request_id=scope[REQUEST_ID],
                )

    async def _answered(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        try:
            answer.request_id = self._admit(scope)
            await self._rates.take(scope[PRINCIPAL], apart=_apart(scope))
            receive = await self._turns.enter(scope, receive)
        except RequestRefused as refused:
            await self._refuse(scope, answer, refused)
        else:
            await self._apps[scope[PRINCIPAL].tenant](scope, receive, answer.send)

    async def _refuse(self, scope: Scope, answer: _Answer, refused: RequestRefused) -> None:
        answer.request_id = scope[REQUEST_ID].encode()
        self._metrics.refused.labels(refused.code).inc()
        await send_problem(answer.send, refused, scope[REQUEST_ID])

    async def _failed(self, scope: Scope, answer: _Answer, error: Exception) -> None:
        """A fault of ours: told here, with its request, and by nobody else."""
        route = getattr(scope.get("route"), "path_format", _NO_ROUTE)
        request_id = scope.setdefault(REQUEST_ID, "")
        log.error("request.failed", route=route, request_id=request_id, exception=trace_of(error))
        if not answer.begun:
            await self._refuse(scope, answer, RequestRefused("internal"))
        elif not answer.ended:
            # The server cuts the connection, so that nobody takes half an answer for a whole.
            raise HalfAnswered from None

    def _admit(self, scope: Scope) -> bytes:
        """Check what can be checked before the body; returns the request's id."""
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        size = 0
        ours: dict[bytes, bytes] = {}
        for name, value in headers:
            size += len(name) + len(value)
            if name in _OURS:  # of one that stands twice, all values: no key and no id is both
                ours[name] = ours[name] + b"," + value if name in ours else value
        request_id = ours.get(b"x-request-id", b"")
        if not _SANE_ID.fullmatch(request_id):
            request_id = b"%b%08x" % (self._prefix, next(self._count))
        scope[REQUEST_ID] = request_id.decode("ascii")
        raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
        if len(raw_path) + len(scope["query_string"]) > self._limits.url_bytes:
            raise RequestRefused("url.too_long")
        if len(headers) > self._limits.headers or size > self._limits.header_bytes:
            raise RequestRefused("headers.too_large")
        query: bytes = scope["query_string"]
        if query and _KEY_IN_QUERY.search(query):
            self._audit.refused("key.in_query", request_id=scope[REQUEST_ID])
            raise RequestRefused("key.in_query")
        key = ours.get(b"x-api-key")
        if key is None and raw_path == _BEARER_PATH and b"authorization" in ours:
            found = _BEARER.fullmatch(ours[b"authorization"])
            key = b"" if found is None else found[1]
        scope[PRINCIPAL] = self._asking(scope, raw_path, key)
        if b"accept" in ours and raw_path.startswith(b"/v1/") and not accepts_json(ours[b"accept"]):
            raise RequestRefused("accept.unsupported")
        scope["path"] = raw_path.decode("latin-1")
        return request_id

    def _asking(self, scope: Scope, raw_path: bytes, key: bytes | None) -> Principal:
        """Who asks. Whatever is not public needs a key, known routes and unknown ones."""
        if not raw_path.startswith(b"/v1/") and is_public(raw_path):
            return NOBODY
        client = scope.get("client")
        principal = self._keyring.principal(key, "" if client is None else client[0])
        if principal.tenant not in self._apps:
            self._audit.refused("key.tenant", name=principal.name, tenant=principal.tenant)
            raise RequestRefused("key.tenant")
        return principal


def _apart(scope: Scope) -> str:
    """Consent is counted by itself: no flood of other requests may keep out an opt-out."""
    return "/consent" if is_urgent(scope["method"], scope["path"]) else ""


async def send_problem(send: Send, refused: RequestRefused, request_id: str) -> None:
    """Answer with a problem."""
    body = problem_body(refused, request_id)
    await send(
        {
            "type": "http.response.start",
            "status": refused.status,
            "headers": problem_headers(refused, len(body)),
        }
    )
    await send({"type": "http.response.body", "body": body})


@lru_cache(maxsize=256)
def accepts_json(accept: bytes) -> bool:
    """Whether an Accept header admits JSON; the most specific range decides, as in RFC 9110."""
    best: tuple[int, bool] = (-1, False)
    for part in accept.lower().split(b","):
        media, *parameters = (piece.strip() for piece in part.split(b";"))
        if media not in _JSON_RANGES:
            continue
        refused = any(re.fullmatch(rb"q=0(\.0*)?", each) for each in parameters)
        specific = 2 - media.count(b"*")
        best = max(best, (specific, not refused))
    return best[1]
