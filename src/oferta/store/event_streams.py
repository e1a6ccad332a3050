"""The streams of a tenant's shards, one consumer group each, and what their replies hold.

The group is made where it is missing, from the first entry on: a Redis that came up empty heals by
itself, and what was applied before is told by its claim.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from redis.exceptions import ResponseError

from oferta.errors import StoreUnavailable
from oferta.events.event import START, Position
from oferta.store.events import Entry, Letter
from oferta.store.keys import KeySpace
from oferta.store.node import Command
from oferta.store.wire import Wire, number

GROUP: Final = b"oferta"


class Streams:
    """Commands to shards' streams. For one asyncio loop."""

    def __init__(self, wire: Wire, space: KeySpace) -> None:
        self._wire = wire
        self._space = space

    async def range(self, key: bytes, after: Position, count: int) -> list[Any]:
        """The entries of a stream after a position, as Redis tells them."""
        start = b"(%s" % str(after).encode()
        (found,) = await self._wire.ask(
            [(b"XRANGE", key, start, b"+", b"COUNT", number(count))], records=count
        )
        return list(found)

    async def waiting(
        self,
        shard: int,
        *,
        consumer: str | None = None,
        idle_s: float = 0.0,
        count: int,
        first: bytes = b"-",
        last: bytes = b"+",
    ) -> dict[bytes, int]:
        """How often each entry was delivered that was not acknowledged, by its position."""
        command = [b"XPENDING", self._space.events(shard), GROUP]
        if idle_s:
            command += [b"IDLE", number(round(idle_s * 1000))]
        command += [first, last, number(count)]
        if consumer is not None:
            command.append(consumer.encode())
        (reply,) = await self.grouped(shard, [command])
        return {position: int(deliveries) for position, _, _, deliveries in reply}

    async def delivered(self, shard: int) -> Position:
        """The last position that any consumer was given."""
        replies = await self._wire.ask(
            [(b"XINFO", b"GROUPS", self._space.events(shard))], refusals=True
        )
        if isinstance(replies[0], ResponseError):
            if "no such key" in str(replies[0]):
                return START
            raise StoreUnavailable(f"Redis refused: {replies[0]}") from replies[0]
        for group in replies[0]:
            facts = mapping(group)
            if facts[b"name"] == GROUP:
                return position_of(facts[b"last-delivered-id"])
        return START

    async def grouped(
        self, shard: int, commands: Sequence[Command], *, wait_s: float = 0.0
    ) -> list[Any]:
        """The replies to commands of the group, which is made where it is missing."""
        for attempt in range(2):
            replies = await self._wire.ask(commands, refusals=True, wait_s=wait_s)
            refused = next((each for each in replies if isinstance(each, ResponseError)), None)
            if refused is None:
                return replies
            if attempt or not str(refused).startswith("NOGROUP"):
                raise StoreUnavailable(f"Redis refused: {refused}") from refused
            await self._make_group(shard)
        raise AssertionError  # the second attempt returns or raises

    async def _make_group(self, shard: int) -> None:
        """From the first entry on: what was applied before is told by its claim."""
        key = self._space.events(shard)
        command = (b"XGROUP", b"CREATE", key, GROUP, b"0", b"MKSTREAM")
        (reply,) = await self._wire.ask([command], refusals=True)
        if isinstance(reply, ResponseError) and not str(reply).startswith("BUSYGROUP"):
            raise StoreUnavailable(f"Redis refused: {reply}") from reply


def position_of(name: bytes) -> Position:
    """The position in Redis's writing."""
    return Position.parse(name.decode())


def mapping(reply: Any) -> Mapping[bytes, Any]:  # noqa: ANN401 - redis-py's, by protocol
    """A map, which older protocols send as a list of names and values."""
    if isinstance(reply, dict):
        return reply
    return dict(zip(*[iter(reply)] * 2, strict=True))


def entry_of(found: Any, deliveries: int = 1) -> Entry | None:  # noqa: ANN401 - redis-py's
    """The entry; None for one that was removed while it was waiting."""
    name, fields = found
    if fields is None:
        return None
    has = mapping(fields)
    return Entry(position_of(name), has.get(b"k", b""), has.get(b"e", b""), deliveries)


def letter_in(found: Any) -> Letter | None:  # noqa: ANN401 - redis-py's
    """The entry as one that was set aside; None for one that was removed."""
    name, fields = found
    if fields is None:
        return None
    has = mapping(fields)
    return Letter(
        position_of(name),
        has.get(b"k", b""),
        has.get(b"e", b""),
        has.get(b"r", b"").decode("utf-8", "replace"),
        _whole(has.get(b"n")),
        _whole(has.get(b"t")) / 1000,
    )


def _whole(text: bytes | None) -> int:
    return int(text) if text is not None and text.isdigit() else 0
