"""Connections to one redis-server, for one asyncio loop: what commands travel through.

Commands are sent together and answered in order, with one deadline over everything. Nothing is ever
sent twice here: a reply that was lost may stand for a change that was made. The connections are
redis-py's; to pack commands and to lend connections out, its own way takes twice the time of all
that an answer asks of Redis.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Final

from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    NoPermissionError,
    RedisError,
    ResponseError,
)

from oferta.errors import StoreForbidden, StoreUnavailable
from oferta.store.address import FilePassword

Command = Sequence[bytes]
"""A command and its arguments. Its key, by which a cluster finds the node, is the second part; of
EVALSHA and EVAL the fourth, where all keys of one call lie in one slot."""

_DENIED: Final = (AuthenticationError, AuthorizationError, NoPermissionError)
TELL_EVERY_S: Final = 60.0

log = logging.getLogger(__name__)


class Node:
    """One server. Any number of calls may run at once; up to `connections` are open."""

    def __init__(self, url: str, credentials: FilePassword | None, *, connections: int) -> None:
        self._made = ConnectionPool.from_url(  # makes connections, and lends out none
            url,
            socket_timeout=None,  # a call has one deadline, over everything
            socket_connect_timeout=None,
            credential_provider=credentials,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=15,
        )
        self._free: list[AbstractConnection] = []
        self._room = asyncio.Semaphore(connections)
        self.busy = 0
        """Calls under way."""

    async def ask(self, commands: Sequence[Command], *, until: float) -> list[object]:
        """The replies, errors of single commands among them; `until` is an instant of the loop.

        Raises:
            StoreUnavailable: not all replies came in time. Any command may have run or not.
        """
        sent = b"".join(map(packed, commands))
        self.busy += 1
        try:
            async with asyncio.timeout_at(until), self._room:
                connection = await self._connected()
                try:
                    await _send(connection, sent)
                    return [await _reply(connection) for _ in commands]
                except BaseException:
                    # Replies may be outstanding, and nobody else may read them.
                    await connection.disconnect(nowait=True)
                    raise
                finally:
                    self._free.append(connection)
        except (RedisError, OSError, TimeoutError) as error:
            raise unavailable(error) from error
        finally:
            self.busy -= 1

    async def forget(self) -> None:
        """Close the connections that nobody uses: the next ones look up the address again."""
        free, self._free = self._free, []
        for connection in free:
            await connection.disconnect()

    async def close(self) -> None:
        """Close the connections; nothing is under way any more."""
        await self.forget()

    async def _connected(self) -> AbstractConnection:
        """The connection that was used last, connected anew where that is needed."""
        connection: AbstractConnection = (
            self._free.pop() if self._free else self._made.make_connection()  # type: ignore[no-untyped-call]
        )
        try:
            # What is there to be read now is its end, or nothing that was asked for.
            if connection.is_connected and await connection.can_read():
                await connection.disconnect(nowait=True)
            if not connection.is_connected:
                await connection.connect()  # type: ignore[no-untyped-call]
        except BaseException:
            await connection.disconnect(nowait=True)  # it may be half way through its greeting
            self._free.append(connection)
            raise
        return connection


def packed(parts: Command) -> bytes:
    """The command as it is sent."""
    body = b"".join([b"$%d\r\n%b\r\n" % (len(part), part) for part in parts])
    return b"*%d\r\n%b" % (len(parts), body)


def unavailable(error: Exception) -> StoreUnavailable:
    """What a failure of Redis, or a refusal, is to those who asked; a denial is logged besides."""
    said = str(error) or type(error).__name__
    # redis-py wraps what Redis says of our password in a ConnectionError.
    if isinstance(error, _DENIED) or isinstance(error.__cause__, _DENIED):
        _denials.tell(said)
        return StoreForbidden(said)
    return StoreUnavailable(f"Redis did not answer: {said}")


async def _send(connection: AbstractConnection, sent: bytes) -> None:
    try:
        await connection.send_packed_command(sent)
    except RuntimeError as error:
        # What uvloop says of a transport that was reset since it was last used.
        raise ConnectionResetError(str(error)) from error


async def _reply(connection: AbstractConnection) -> object:
    try:
        return await connection.read_response(disable_decoding=True)
    except ResponseError as refused:
        return refused  # of this command alone: the replies to the others follow


class _Denials:
    """Says that we were denied, once a minute: it comes with every call, or with none."""

    def __init__(self) -> None:
        self._told_at = float("-inf")

    def tell(self, said: str) -> None:
        now = time.monotonic()
        if now - self._told_at >= TELL_EVERY_S:
            self._told_at = now
            log.warning(
                "Redis denied us: %s. Check the user and the password of OFERTA_REDIS_URL, and "
                "what that user may do: docs/redis.md has the rules.",
                said,
            )


_denials = _Denials()
