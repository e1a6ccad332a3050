"""What is remembered of decisions, in Redis: constant scripts, each within one slot.

A write is never repeated: a reply that was lost may stand for a change that was made, so whoever
asked must find out by reading (a request id tells) or let a reservation run out.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Any, Final

from redis.asyncio import BlockingConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError, ResponseError

from oferta.errors import StoreUnavailable
from oferta.store import scripts
from oferta.store.decisions import (
    REQUEST_TTL_S,
    Change,
    Conflict,
    Done,
    LogLine,
    Outcome,
    Place,
    Repeated,
)
from oferta.store.keys import KeySpace
from oferta.store.redis import FETCH_KEYS

DEADLINE_S: Final = 0.5
"""Over one call. Where there is nothing to fall back to, late is better than not at all."""

RECORD_S: Final = 0.01
"""Longer for each record of a call: a batch's thousand are 6 MB, which a busy machine takes for."""

CONNECTIONS: Final = 32
LOG_LINES: Final = 1_000_000
TURN: Final = 64
"""Changes sent at once: about half a megabyte of records."""


class RedisDecisions:
    """All of `decisions.DecisionStore`, for one asyncio loop. Any number of calls may run at once.

    Args:
        url: of Redis.
        space: the keys.
        log_lines: how many lines the decision log holds, over all slot tags, at most.
        connections, deadline_s: bounds of what a call of few records may take.
    """

    def __init__(
        self,
        url: str,
        space: KeySpace,
        *,
        log_lines: int = LOG_LINES,
        connections: int = CONNECTIONS,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._space = space
        self._deadline_s = deadline_s
        self._lines_per_tag = space.lines_per_tag(log_lines)
        self._pool = BlockingConnectionPool.from_url(
            url,
            max_connections=connections,
            timeout=deadline_s,
            socket_timeout=None,  # a call has one deadline, over everything
            socket_connect_timeout=deadline_s,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=15,
        )

    async def fetch(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """See `decisions.Records`. In turns of 128 keys, each with the whole deadline."""
        found: list[bytes | None] = []
        for start in range(0, len(keys), FETCH_KEYS):
            asked = keys[start : start + FETCH_KEYS]
            (turn,) = await self._ask([(b"MGET", *asked)], records=len(asked))
            found += turn
        return found

    async def apply(self, changes: Sequence[Change]) -> list[Outcome]:
        """See `decisions.Ledger`. Many are sent in turns of 64, each with the whole deadline."""
        outcomes: list[Outcome] = []
        for start in range(0, len(changes), TURN):
            calls = [self._applied(change) for change in changes[start : start + TURN]]
            outcomes += [_outcome(reply) for reply in await self._scripts(_APPLY, calls)]
        return outcomes

    async def taken(self, counters: Sequence[str], *, at: float) -> list[int]:
        """See `decisions.Totals`."""
        if not counters:
            return []
        after = b"(%d" % _ms(at)
        return await self._ask(
            [(b"ZCOUNT", self._space.total(counter), after, b"+inf") for counter in counters]
        )

    async def take(self, places: Sequence[Place], *, at: float) -> list[str]:
        """See `decisions.Totals`."""
        if not places:
            return []
        keys = [self._space.total(place.counter) for place in places]
        values = [_number(_ms(at))]
        for place in places:
            values += [_number(place.limit), _number(_ms(place.until)), place.member.encode()]
        (full,) = await self._scripts(_TAKE, [(keys, values)])
        return list(dict.fromkeys(places[number - 1].counter for number in full))

    async def give_back(self, places: Sequence[Place]) -> None:
        """See `decisions.Totals`."""
        if not places:
            return
        await self._ask(
            [(b"ZREM", self._space.total(place.counter), place.member.encode()) for place in places]
        )

    async def keep(self, places: Sequence[Place], *, at: float) -> None:
        """See `decisions.Totals`."""
        if not places:
            return
        keys = [self._space.total(place.counter) for place in places]
        values = [_number(_ms(at))]
        for place in places:
            values += [_number(_ms(place.until)), place.member.encode()]
        await self._scripts(_KEEP, [(keys, values)])

    async def keep_bundle(self, version: str, bundle: bytes, *, ttl_s: int) -> None:
        """See `decisions.Archive`. Written once; after that only its lifetime is renewed."""
        key, life = self._space.bundle(version), _number(ttl_s)
        (there,) = await self._ask([(b"EXPIRE", key, life)])
        if not there:
            await self._ask([(b"SET", key, bundle, b"EX", life)])

    async def log(self, tag: int, *, after: str = "0", count: int = 1000) -> list[LogLine]:
        """See `decisions.Archive`."""
        key, start = self._space.log(tag), f"({after}".encode()
        (found,) = await self._ask([(b"XRANGE", key, start, b"+", b"COUNT", _number(count))])
        return [
            (place.decode(), dict(zip(*[iter(fields)] * 2, strict=True))[b"e"])
            for place, fields in found
        ]

    async def close(self) -> None:
        """See `decisions.DecisionStore`."""
        await self._pool.aclose()

    def _applied(self, change: Change) -> "_Call":
        space, decision = self._space, change.decision
        state = space.state(change.customer)
        keys = [state, space.log(space.tag(change.customer)), state, state]
        values = [change.mark, change.state or b"", _number(change.state_ttl_s * 1000)]
        if decision is None:
            values += [b"", b"0", b"", b"0"]
        else:
            name, request = decision.id.encode(), decision.request
            keys[2:] = [space.decision(decision.id), request or state]
            values += [decision.record, _number(decision.ttl_s * 1000)]
            values += [b"" if request is None else name, _number(REQUEST_TTL_S * 1000)]
        return keys, [*values, _number(self._lines_per_tag), *change.log]

    async def _scripts(self, script: "_Script", calls: Sequence["_Call"]) -> list[Any]:
        """The answers to many calls of one script, sent together."""
        sent = [script.called(call) for call in calls]
        replies = await self._ask(sent, refusals=True, records=len(calls))
        unknown = [at for at, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if unknown:  # nothing of these has run yet, so this is no repetition
            whole = [script.called(calls[at], whole=True) for at in unknown]
            again = await self._ask(whole, refusals=True)
            for at, reply in zip(unknown, again, strict=True):
                replies[at] = reply
        for reply in replies:
            if isinstance(reply, ResponseError):
                raise StoreUnavailable(f"Redis refused to write: {reply}") from reply
        return replies

    async def _ask(
        self, commands: Sequence[Sequence[bytes]], *, refusals: bool = False, records: int = 0
    ) -> list[Any]:
        """The replies to commands that are sent together; `refusals`: errors among them, too.

        Commands are spelled out and read one by one: redis-py's own way takes twice the time of all
        that a decision asks of Redis. The more `records` are on their way, the longer it may take.
        """
        deadline_s = self._deadline_s + records * RECORD_S
        sent = b"".join(map(_packed, commands))
        try:
            async with asyncio.timeout(deadline_s):
                connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]  # redis-py has no types here
                try:
                    await connection.send_packed_command(sent)
                    replies = [await _reply(connection) for _ in commands]
                except BaseException:
                    # Replies may be outstanding, and nobody else may read them.
                    await connection.disconnect(nowait=True)
                    raise
                finally:
                    await self._pool.release(connection)
        except (RedisError, OSError, TimeoutError) as error:
            raise _unavailable(error) from error
        wrong = next((each for each in replies if isinstance(each, RedisError)), None)
        if wrong is not None and not refusals:
            raise _unavailable(wrong)
        return replies


_Call = tuple[list[bytes], list[bytes]]


class _Script:
    __slots__ = ("_sha", "_text")

    def __init__(self, text: str) -> None:
        self._text = text.encode()
        self._sha = hashlib.sha1(self._text, usedforsecurity=False).hexdigest().encode()

    def called(self, call: _Call, *, whole: bool = False) -> list[bytes]:
        """The command that calls the script, by its digest or with its `whole` text."""
        keys, values = call
        name = (b"EVAL", self._text) if whole else (b"EVALSHA", self._sha)
        return [*name, _number(len(keys)), *keys, *values]


_APPLY: Final = _Script(scripts.APPLY)
_TAKE: Final = _Script(scripts.TAKE)
_KEEP: Final = _Script(scripts.KEEP)


def _outcome(reply: list[bytes | None]) -> Outcome:
    kind, *rest = reply
    if kind == b"done":
        return Done()
    found = rest[0] if rest else None
    if kind == b"repeated":
        return Repeated((found or b"").decode("ascii", "replace"))
    return Conflict(found)


async def _reply(connection: AbstractConnection) -> object:
    try:
        return await connection.read_response(disable_decoding=True)
    except ResponseError as refused:
        return refused  # of this command alone: the replies to the others follow


def _packed(parts: Sequence[bytes]) -> bytes:
    body = b"".join([b"$%d\r\n%b\r\n" % (len(part), part) for part in parts])
    return b"*%d\r\n%b" % (len(parts), body)


def _number(value: int) -> bytes:
    return b"%d" % value


def _unavailable(error: Exception) -> StoreUnavailable:
    return StoreUnavailable(f"Redis did not answer: {str(error) or type(error).__name__}")


def _ms(instant: float) -> int:
    return round(instant * 1000)
