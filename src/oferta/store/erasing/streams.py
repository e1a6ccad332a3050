"""A customer's events on their way: those that wait, are parked, are dead letters, and claims."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from oferta.errors import RecordCorrupt
from oferta.events.event import Event, decode_event, encode_event
from oferta.privacy.places import Row, Session, Subject
from oferta.store import scripts
from oferta.store.event_streams import GROUP
from oferta.store.keys import KeySpace
from oferta.store.wire import Script, Wire, number

_REWRITE: Final = Script(scripts.REWRITE_STREAM)
_REWRITTEN: Final = 10_000  # entries of a stream that is written anew at most: some milliseconds
_ENTRIES: Final = 500  # of a stream, read at a time: about 200 KB


@dataclass(frozen=True, slots=True)
class Streams:
    """The customer's events in all streams of the shards: a `Place`.

    An entry is acknowledged before it goes: it must not come back to a consumer that was given it.
    Redis keeps the bytes of a removed entry until all of about a hundred around it are gone. Where
    events only pass through, these are trimmed soon; what was set aside is written anew.
    """

    wire: Wire
    space: KeySpace
    name: str = "streams"

    async def erase(self, subject: Subject) -> int:
        """See `Place.erase`."""
        erased = 0
        for stream, aside in self._streams(subject):
            mine = [at async for at, event in self._entries(stream) if _theirs(event, subject)]
            if not mine:
                continue
            _, went = await self.wire.ask(
                [(b"XACK", stream, GROUP, *mine), (b"XDEL", stream, *mine)]
            )
            erased += int(went)
            if aside:
                await self.wire.run(_REWRITE, [([stream], [number(_REWRITTEN)])])
        return erased

    async def export(self, subject: Subject) -> Sequence[Row]:
        """See `Place.export`."""
        return [orjson.loads(encode_event(event)) async for event in self.events(subject)]

    async def holds(self, subject: Subject) -> bool:
        """See `Place.holds`."""
        async for _ in self.events(subject):
            return True
        return False

    async def events(self, subject: Subject) -> AsyncIterator[Event]:
        """Those of the subject, and of the sessions that are known to be theirs.

        Raises:
            StoreUnavailable: no answer in time.
        """
        for stream, _ in self._streams(subject):
            async for _, event in self._entries(stream):
                if _theirs(event, subject):
                    yield event

    def _streams(self, subject: Subject) -> list[tuple[bytes, bool]]:
        """Of the shards that the customer's and their sessions' events go through.

        Each with whether it holds what was set aside, and may stay for long.
        An event with both ids goes through the customer's shard.
        """
        space = self.space
        shards = {space.shard(subject.digest)}
        shards |= {space.shard(session.digest) for session in subject.sessions}
        kinds: tuple[tuple[Callable[[int], bytes], bool], ...] = (
            (space.events, False),
            (space.parked, True),
            (space.dead, True),
        )
        return [(of(shard), aside) for shard in sorted(shards) for of, aside in kinds]

    async def _entries(self, stream: bytes) -> AsyncIterator[tuple[bytes, Event]]:
        after = b"-"
        while True:
            (entries,) = await self.wire.ask(
                [(b"XRANGE", stream, after, b"+", b"COUNT", number(_ENTRIES))], records=_ENTRIES
            )
            for place, fields in entries:
                event = _event(fields)
                if event is not None:
                    yield place, event
            if len(entries) < _ENTRIES:
                return
            after = b"(" + entries[-1][0]


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of the ids of the customer's events: a `Place`.

    They lie under hashes of ids, so only those are found whose events are known; any other ends by
    itself within days, and says nothing but that it was there.
    """

    wire: Wire
    space: KeySpace
    name: str = "claims"

    async def erase(self, subject: Subject) -> int:
        """See `Place.erase`."""
        keys = self._keys(subject)
        return sum(await self.wire.ask([(b"UNLINK", key) for key in keys])) if keys else 0

    async def export(self, subject: Subject) -> Sequence[Row]:
        """See `Place.export`; with all else they are told where the events are."""
        return [{"event_id": one} for one in subject.events]

    async def holds(self, subject: Subject) -> bool:
        """See `Place.holds`."""
        keys = self._keys(subject)
        return any(await self.wire.ask([(b"EXISTS", key) for key in keys])) if keys else False

    def _keys(self, subject: Subject) -> list[bytes]:
        digests = [subject.digest, *(session.digest for session in subject.sessions)]
        return [self.space.event(digest, one) for one in subject.events for digest in digests]


def with_events(subject: Subject, events: Sequence[Event], space: KeySpace) -> Subject:
    """The subject with the sessions and the ids of events that are theirs."""
    sessions = {session.id: session for session in subject.sessions}
    for event in events:
        if event.session_id is not None and event.customer_id == subject.customer_id:
            found = Session(event.session_id, space.session(event.session_id))
            sessions.setdefault(event.session_id, found)
    ids = dict.fromkeys((*subject.events, *(event.id for event in events)))
    return Subject(subject.customer_id, subject.digest, tuple(sessions.values()), tuple(ids))


def _theirs(event: Event, subject: Subject) -> bool:
    if event.customer_id is not None:
        return event.customer_id == subject.customer_id
    return any(event.session_id == session.id for session in subject.sessions)


def _event(fields: Sequence[bytes]) -> Event | None:
    """The event of an entry; None of what is none, of which nobody can tell whose it is."""
    try:
        return decode_event(_pairs(fields)[b"e"])
    except (RecordCorrupt, KeyError, ValueError):
        return None


def _pairs(fields: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(*[iter(fields)] * 2, strict=True))
