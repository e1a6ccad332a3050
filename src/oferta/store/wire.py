"""Commands to Redis, spelled out, and their replies: what all stores but releases speak through.

Commands are sent together and answered in order; a call has one deadline over everything. Nothing
is ever sent twice but what was certainly not executed: a reply that was lost may stand for a change
that was made. One server and a cluster of them are spoken to alike.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Any, Final, Protocol, cast

from redis.exceptions import NoScriptError, ReadOnlyError, RedisError, ResponseError

from oferta.errors import SlotsUnavailable, StoreRefused, StoreUnavailable
from oferta.store.address import Address, read_address
from oferta.store.node import Command, Node, unavailable
from oferta.store.wire_cluster import ClusterLine

DEADLINE_S: Final = 0.5
"""Over one call. Where there is nothing to fall back to, late is better than not at all."""

RECORD_S: Final = 0.01
"""Longer for each record of a call: a batch's thousand are 6 MB, which a busy machine takes for."""

CONNECTIONS: Final = 32

FETCH_KEYS: Final = 128
"""Keys a turn: about 400 KB of buckets."""

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


class Line(Protocol):
    """One server or many: how commands get there, and replies back."""

    async def replies(self, commands: Sequence[Command], *, deadline_s: float) -> list[object]:
        """A reply to each command, in order: a value, an error of Redis, or `SlotsUnavailable`.

        Raises:
            StoreUnavailable: no answer in time. Any of the commands may have run or not.
        """
        ...

    async def records(self, keys: Sequence[bytes], *, deadline_s: float) -> list[bytes | None]:
        """What lies at each key, None for nothing or another type.

        Raises:
            SlotsUnavailable: some nodes are away; it carries what the others have.
            StoreUnavailable: no answer in time.
        """
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


class Wire:
    """Connections to one Redis or one cluster, for one asyncio loop. Calls may run at once.

    Args:
        url: see `address`.
        connections: how many, to each server.
        deadline_s: over one call of few records.
        record_s: by how much it is longer for each record of a call.
    """

    def __init__(
        self,
        url: str,
        *,
        connections: int = CONNECTIONS,
        deadline_s: float = DEADLINE_S,
        record_s: float = RECORD_S,
    ) -> None:
        self._deadline_s = deadline_s
        self._record_s = record_s
        self._line = _line(read_address(url), connections=connections)

    async def fetch(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """What lies at the keys, None for nothing or another type.

        In turns of 128 keys, each with the whole deadline.

        Raises:
            SlotsUnavailable: some nodes of a cluster are away; it carries what the others have.
            StoreUnavailable: no answer in time.
        """
        if 0 < len(keys) <= FETCH_KEYS:
            deadline_s = self._deadline_s + len(keys) * self._record_s
            return await self._line.records(keys, deadline_s=deadline_s)
        found: list[bytes | None] = []
        kept: dict[bytes, bytes | None] = {}
        lost: SlotsUnavailable | None = None
        for start in range(0, len(keys), FETCH_KEYS):
            asked = keys[start : start + FETCH_KEYS]
            deadline_s = self._deadline_s + len(asked) * self._record_s
            try:
                records = await self._line.records(asked, deadline_s=deadline_s)
            except SlotsUnavailable as partly:
                if lost is None:
                    kept.update(zip(keys, found, strict=False))  # of the turns before
                kept.update(partly.found)
                lost = partly
            else:
                found += records
                if lost is not None:
                    kept.update(zip(asked, records, strict=True))
        if lost is not None:
            raise SlotsUnavailable(str(lost), kept)
        return found

    async def run(self, script: Script, calls: Sequence[Call]) -> list[Any]:
        """The answers to many calls of one script, sent together.

        Raises:
            StoreRefused: Redis refused to write. Others of the calls may have run.
            StoreUnavailable: no answer in time. Any of the calls may have run or not.
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
                raise _failure(reply, "Redis refused to write")
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
            SlotsUnavailable: some of the keys lie on nodes of a cluster that are away.
            StoreUnavailable: no answer in time, or an error among the replies. Any of the commands
                may have run or not.
        """
        deadline_s = self._deadline_s + records * self._record_s + wait_s
        replies = await self._line.replies(commands, deadline_s=deadline_s)
        for reply in replies:
            if isinstance(reply, StoreUnavailable):
                raise reply
            if isinstance(reply, RedisError) and not refusals:
                raise _failure(reply)
        return replies

    async def close(self) -> None:
        """Close all connections."""
        await self._line.close()


def number(value: int) -> bytes:
    """A whole number as Redis reads it."""
    return b"%d" % value


class _ServerLine:
    """See `Line`: one server."""

    def __init__(self, address: Address, *, connections: int) -> None:
        self._node = Node(address.url, address.credentials, connections=connections)

    async def replies(self, commands: Sequence[Command], *, deadline_s: float) -> list[object]:
        until = asyncio.get_running_loop().time() + deadline_s
        replies = await self._node.ask(commands, until=until)
        refused = [at for at, reply in enumerate(replies) if _read_only(reply)]
        if refused:
            # It has become a replica; its name may lead to the primary by now. Nothing of these has
            # run, so this is no repetition.
            await self._node.forget()
            again = await self._node.ask([commands[at] for at in refused], until=until)
            for at, reply in zip(refused, again, strict=True):
                replies[at] = reply
        return replies

    async def records(self, keys: Sequence[bytes], *, deadline_s: float) -> list[bytes | None]:
        (reply,) = await self.replies([(b"MGET", *keys)], deadline_s=deadline_s)
        if isinstance(reply, RedisError):
            raise _failure(reply)
        return cast("list[bytes | None]", reply)

    async def close(self) -> None:
        await self._node.close()


def _line(address: Address, *, connections: int) -> Line:
    if address.cluster:
        return ClusterLine(address, connections=connections)
    return _ServerLine(address, connections=connections)


def _read_only(reply: object) -> bool:
    return isinstance(reply, ReadOnlyError) or (
        isinstance(reply, ResponseError) and "READONLY" in str(reply)  # said within a script
    )


def _failure(reply: object, what: str = "") -> StoreUnavailable:
    if isinstance(reply, StoreUnavailable):
        return reply
    if not isinstance(reply, Exception):
        return StoreUnavailable("Redis did not answer: a reply of another kind")
    failure = unavailable(reply)
    if isinstance(reply, ResponseError) and type(failure) is StoreUnavailable:
        failure = StoreRefused(f"{what or 'Redis refused'}: {reply}")
    failure.__cause__ = reply
    return failure
