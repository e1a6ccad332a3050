"""Every request's turn: by its route, from when all of it has arrived until it is answered.

A client that goes takes its request along: what only reads stops computing. What writes is
finished, since half of it may have happened.
"""

import asyncio
import re
from typing import Final

from starlette.types import Message, Receive, Scope

from oferta_serving.overload import Turn, Turnstile
from oferta_serving.problems import RequestRefused

DEADLINE_HEADER: Final = b"x-request-deadline-ms"
"""For how long the caller will wait, in milliseconds, from when the request's head arrived."""

TASK: Final = "oferta.task"
GONE: Final = "oferta.gone"
_TURN: Final = "oferta.turn"

_MILLISECONDS: Final = re.compile(rb"[0-9]{1,6}")
_URGENT: Final = {
    "PUT": re.compile(r"/v1/customers/[^/]*/consent"),
    "DELETE": re.compile(r"/v1/customers/[^/]*"),
}
_SERVE: Final = frozenset({"recommendations", "similar", "popular"})
_DECIDE: Final = frozenset({"decisions", "feedback"})


def is_urgent(method: str, raw_path: str) -> bool:
    """Whether somebody says what they agree to, or asks to be forgotten.

    By the whole path: whatever else looked like it could use up what is kept free for these two.
    """
    pattern = _URGENT.get(method)
    return pattern is not None and pattern.fullmatch(raw_path) is not None


def turn_of(method: str, raw_path: str) -> Turn | None:
    """Whose turn a request is; None for what passes at once: health, metrics, documentation."""
    if not raw_path.startswith("/v1/"):
        return None
    if is_urgent(method, raw_path):
        return Turn.CONSENT
    tail = raw_path.rpartition("/")[2]
    if tail in _SERVE or (tail == "consent" and method == "GET"):
        return Turn.SERVE
    if tail in _DECIDE:
        return Turn.DECIDE
    if tail == "events":
        return Turn.EVENTS
    return Turn.BATCH if tail == "batch" else Turn.STAFF


class Turns:
    """Gives requests their turn. One for a process, whatever tenants it serves."""

    def __init__(self, turnstile: Turnstile) -> None:
        self._turnstile = turnstile

    async def enter(self, scope: Scope, receive: Receive) -> Receive:
        """Wait for the request's turn; how its body is to be received from now on.

        A request with a body waits once the body has arrived: whoever sends slowly holds no place.
        In any case `leave` follows.

        Raises:
            RequestRefused: `overloaded`, or the deadline that was sent is none.
        """
        turn = turn_of(scope["method"], scope["path"])
        if turn is None:
            return receive
        if _may_be_called_off(scope):
            scope[TASK] = asyncio.current_task()
        wait_s, body = _facts(scope)
        if not body:
            await self._enter(scope, turn, wait_s)
            return receive

        async def received() -> Message:
            message = await receive()
            whole = message["type"] == "http.request" and not message.get("more_body", False)
            if whole and _TURN not in scope:
                await self._enter(scope, turn, wait_s)
            return message

        return received

    def leave(self, scope: Scope) -> None:
        """The request was answered, or is not going to be."""
        turn = scope.pop(_TURN, None)
        if turn is not None:
            self._turnstile.leave(turn)
        scope.pop(TASK, None)

    async def _enter(self, scope: Scope, turn: Turn, wait_s: float | None) -> None:
        await self._turnstile.enter(turn, wait_s=wait_s)
        scope[_TURN] = turn


def call_off(scope: Scope) -> None:
    """Stop computing a request whose client went, unless it may have changed something."""
    task = scope.pop(TASK, None)
    if task is not None:
        scope[GONE] = True
        task.cancel()


def _may_be_called_off(scope: Scope) -> bool:
    """What only reads, and decisions: these are committed beside the request (`decider`)."""
    path: str = scope["path"]
    return scope["method"] == "GET" or path.endswith(("/batch", "/decisions"))


def _facts(scope: Scope) -> tuple[float | None, bool]:
    """For how many seconds the caller will wait, and whether there is a body."""
    wait_s: float | None = None
    body = False
    for name, value in scope["headers"]:
        if name == b"content-length":
            body = body or value != b"0"
        elif name == b"transfer-encoding":
            body = True
        elif name == DEADLINE_HEADER:
            if wait_s is not None or not _MILLISECONDS.fullmatch(value):
                raise RequestRefused("deadline.invalid", "X-Request-Deadline-Ms")
            wait_s = int(value) / 1000
    return wait_s, body
