"""Commands to Redis, spelled out, and their replies: what all stores but releases speak through.

Commands are sent together and answered in order; a call has one deadline over everything. Nothing
is ever sent twice: a reply that was lost may stand for a change that was made. redis-py's own way
takes twice the time of all that a decision asks of Redis.
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

DEADLINE_S: Final = 0.5
"""Over one call. Where there is nothing to fall back to, late is better than not at all."""

RECORD_S: Final = 0.01
"""Longer for each record of a call: a batch's thousand are 6 MB, which a busy machine takes for."""

CONNECTIONS: Final = 32

FETCH_KEYS: Final = 128
"""Keys a turn: about 400 KB of buckets."""

Command = Sequence[bytes]
"""A command and its arguments. Its key, by which a cluster finds the node, is the second part; of
EVALSHA and EVAL the fourth, where all keys of one call lie in one slot."""

Call = tuple[list[bytes], list[bytes]]
"""The keys and the values that a script is called with."""


class Script:
    """A constant script, known by its SHA-1."""

    __slots__ = ("_sha", "_text")

    def __init__(self, text: str) -> None:
        self._text = text.encode()
        self._sha = hashlib.sha1(self._text, usedforsecurity=False).hexdigest().encode()

    def called(self, call: Call, *, whole: bool = False) -> list[bytes]:
        """The command that calls the script, by its digest or with its `whole` text."""
        keys, values = call
        name = (b"EVAL", self._text) if whole else (b"EVALSHA", self._sha)
        return [*name, number(len(keys)), *keys, *values]


class Wire:
    """Connections to one Redis, for one asyncio loop. Any number of calls may run at once."""

    def __init__(
        self, url: str, *, connections: int = CONNECTIONS, deadline_s: float = DEADLINE_S
    ) -> None:
        self._deadline_s = deadline_s
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
        """What lies at the keys, None for nothing or another type.

        In turns of 128 keys, each with the whole deadline.

        Raises:
            StoreUnavailable: no answer in time.
        """
        found: list[bytes | None] = []
        for start in range(0, len(keys), FETCH_KEYS):
            asked = keys[start : start + FETCH_KEYS]
            (turn,) = await self.ask([(b"MGET", *asked)], records=len(asked))
            found += turn
        return found

    async def run(self, script: Script, calls: Sequence[Call]) -> list[Any]:
        """The answers to many calls of one script, sent together.

        Raises:
            StoreUnavailable: no answer in time, or Redis refused to write. Any of the calls may
                have run or not.
        """
        sent = [script.called(call) for call in calls]
        replies = await self.ask(sent, refusals=True, records=len(calls))
        unknown = [at for at, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if unknown:  # nothing of these has run yet, so this is no repetition
            whole = [script.called(calls[at], whole=True) for at in unknown]
            again = await self.ask(whole, refusals=True)
            for at, reply in zip(unknown, again, strict=True):
                replies[at] = reply
        for reply in replies:
            if isinstance(reply, ResponseError):
                raise StoreUnavailable(f"Redis refused to write: {reply}") from reply
        return replies

    async def ask(
        self,
        commands: Sequence[Command],
        *,
        refusals: bool = False,
        records: int = 0,
        wait_s: float = 0.0,
    ) -> list[Any]:
        """The replies to commands that are sent together; `refusals`: errors among them, too.

        The more `records` are on their way, the longer it may take; `wait_s` is how long a blocking
        command among them may wait besides.

        Raises:
            StoreUnavailable: no answer in time, or an error among the replies. Any of the commands
                may have run or not.
        """
        deadline_s = self._deadline_s + records * RECORD_S + wait_s
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

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.aclose()


def number(value: int) -> bytes:
    """A whole number as Redis reads it."""
    return b"%d" % value


async def _reply(connection: AbstractConnection) -> object:
    try:
        return await connection.read_response(disable_decoding=True)
    except ResponseError as refused:
        return refused  # of this command alone: the replies to the others follow


def _packed(parts: Command) -> bytes:
    body = b"".join([b"$%d\r\n%b\r\n" % (len(part), part) for part in parts])
    return b"*%d\r\n%b" % (len(parts), body)


def _unavailable(error: Exception) -> StoreUnavailable:
    return StoreUnavailable(f"Redis did not answer: {str(error) or type(error).__name__}")
