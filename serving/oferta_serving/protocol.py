"""HTTP on the wire: uvicorn's protocol, with bounds on what arrives before any route is known.

uvicorn reads a head of any size for any time, and the application only sees whole heads. Here a
head has a size and a time; and what is refused is answered as a problem, with a moment to read it:
closing at once would reset a client that is still sending.
"""

import asyncio
import re
import secrets
from http import HTTPStatus
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from oferta_serving.overload import RETRY, Turn, Turnstile
from oferta_serving.problems import RequestRefused, problem_body, problem_headers
from oferta_serving.settings import LimitSettings
from oferta_serving.turns import call_off

if TYPE_CHECKING:
    from asyncio import TimerHandle

    from starlette.types import Scope

LINGER_S = 1.0
MAX_DISCARDED = 128 * 1024 * 1024
"""How much of a body is read and thrown away after it was refused, before the line is cut."""


HUSH_S: Final = 0.05
"""For so long a connection is not read that was refused without parsing: whoever comes again at
once, whatever `Retry-After` said, would keep the worker refusing instead of answering."""

_END: Final = b"\r\n\r\n"
_ID: Final = b"%b%08x"  # 16 characters
_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: *([0-9]{1,9})(?=\r\n|$)")
_NOT_SHED: Final = re.compile(
    rb"(?i)\r\n(?:x-request-id|connection: *close|transfer-encoding|expect)"
)


def _shed_answer() -> bytes:
    """A whole refusal with two places for the request's id: 40 us are spent once, not each time."""
    refused = RequestRefused("overloaded", headers=RETRY)
    body = problem_body(refused, "?" * 16)
    headers = [
        *problem_headers(refused, len(body)),
        (b"x-content-type-options", b"nosniff"),
        (b"x-request-id", b"?" * 16),
    ]
    lines = [b"HTTP/1.1 503 Service Unavailable", *(name + b": " + text for name, text in headers)]
    whole = b"\r\n".join(lines) + _END + body
    return whole.replace(b"%", b"%%").replace(b"?" * 16, _ID)


_SHED: Final = _shed_answer()


def _turn(data: bytes) -> Turn:
    """Whose turn these bytes ask for, as far as is told unparsed: a batch passes as a decision."""
    if data.startswith(b"GET "):
        return Turn.SERVE
    return Turn.EVENTS if data.startswith(b"POST /v1/events") else Turn.DECIDE


class GuardedHttp(HttpToolsProtocol):
    """One connection. `limits` and `turnstile` are set once per process, by `guarded`."""

    limits = LimitSettings()
    turnstile: ClassVar[Turnstile | None] = None
    _shed_ids: "ClassVar[count[int]]" = count(1)
    _shed_prefix: ClassVar[bytes] = secrets.token_hex(4).encode()

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._head_under_way = True
        self._head_bytes = 0
        self._discarded = 0
        self._refused = False
        self._head_timer: TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn
        """A client connected: its first head is due."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client went, or was told to."""
        self._head_arrived()
        if self.cycle is not None and not self.cycle.response_complete:
            call_off(cast("Scope", self.cycle.scope))
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes came in."""
        if self._refused:
            return
        if self.turnstile is not None:
            turn = _turn(data)
            if self.turnstile.sheds(turn) and self._is_whole(data):
                self._shed(self.turnstile, turn)
                return
        under_way = self._head_under_way
        super().data_received(data)
        if not self._head_under_way or self._refused:
            return
        if under_way:
            self._head_bytes += len(data)
        if self._head_bytes > self.limits.url_bytes + self.limits.header_bytes:
            in_url = not self._begun or len(self.url) > self.limits.url_bytes
            self._refuse(RequestRefused("url.too_long" if in_url else "headers.too_large"))
        elif self._head_timer is None:
            self._expect_head()

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self._head_under_way = True
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        """The last byte of a head."""
        self._head_under_way = False
        self._head_arrived()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Some bytes of a body; those of a request that was answered already are thrown away."""
        if self.cycle.response_complete:
            self._discarded += len(body)
            if self._discarded > MAX_DISCARDED:
                self.transport.abort()
            return
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        """What came in is not HTTP, or has a URL that the parser does not take (64 kB)."""
        del msg
        too_long = self._begun and len(self.url) > self.limits.url_bytes
        self._refuse(RequestRefused("url.too_long" if too_long else "request.malformed"))

    @property
    def _begun(self) -> bool:
        return getattr(self, "url", None) is not None

    def _is_whole(self, data: bytes) -> bool:
        """Whether these bytes are one whole question that nothing else is going on beside."""
        idle = self.cycle is None or (self.cycle.response_complete and not self.cycle.more_body)
        between = not self._begun if self.cycle is None else not self._head_under_way
        if not (idle and between and data.startswith((b"GET /v1/", b"POST /v1/"))):
            return False
        head, end, body = data.partition(_END)
        found = _LENGTH.search(head)
        length = 0 if found is None else int(found[1])
        return bool(end) and len(body) == length and not _NOT_SHED.search(head)

    def _shed(self, turnstile: Turnstile, turn: Turn) -> None:
        """Refuse without parsing: a refusal that costs a fifth of an answer would be no relief."""
        self._head_arrived()
        self._unset_keepalive_if_required()
        turnstile.turned_away(turn)
        request_id = self._shed_prefix, next(self._shed_ids)
        self.transport.write(_SHED % (*request_id, *request_id))
        self.transport.pause_reading()
        self.loop.call_later(HUSH_S, self._read_on)
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def _read_on(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def _expect_head(self) -> None:
        self._head_timer = self.loop.call_later(self.limits.arrival_s, self._head_overdue)

    def _head_arrived(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_overdue(self) -> None:
        if self._begun:
            self._refuse(RequestRefused("request.timeout"))
        else:
            self.transport.close()  # connected and said nothing

    def _refuse(self, refused: RequestRefused) -> None:
        self._refused = True
        self._head_arrived()
        answering = self.cycle is not None and not self.cycle.response_complete
        if answering and not self.cycle.more_body:
            # An earlier request of this connection is being answered: this must not go before it.
            self.transport.close()
            return
        request_id = secrets.token_hex(8)
        body = problem_body(refused, request_id)
        phrase = HTTPStatus(refused.status).phrase
        lines = [f"HTTP/1.1 {refused.status} {phrase}".encode()]
        headers = [
            *problem_headers(refused, len(body)),
            (b"x-request-id", request_id.encode()),
            (b"connection", b"close"),
        ]
        lines += [name + b": " + value for name, value in headers]
        self.transport.write(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        self.loop.call_later(LINGER_S, self.transport.close)


def guarded(limits: LimitSettings, turnstile: Turnstile | None = None) -> type[GuardedHttp]:
    """The protocol under these limits; it sheds what the turnstile would only turn away."""
    GuardedHttp.limits = limits
    GuardedHttp.turnstile = turnstile
    return GuardedHttp
