"""What lies under a customer's own keys: what was said, what they did, what was decided."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from oferta.errors import RecordCorrupt
from oferta.policy.state import decode_state
from oferta.privacy.places import Row, Subject
from oferta.profile.recent import Recent
from oferta.store.customer_records import open_consents, open_recent
from oferta.store.decision_records import StoredDecision, open_decision, open_state
from oferta.store.keys import KeySpace
from oferta.store.wire import Wire, number

_LINES: Final = 1000  # of a tag's log, read at a time

DecisionTold = Callable[[str, StoredDecision], Row]
"""What an export says of a decision: who reads its record is a layer above."""


@dataclass(frozen=True, slots=True)
class RecentDeeds:
    """What the customer did lately, under their hash and their sessions': a `Place`."""

    wire: Wire
    space: KeySpace
    name: str = "recent"

    async def erase(self, subject: Subject) -> int:
        """See `Place.erase`."""
        return await _removed(self.wire, self._keys(subject))

    async def export(self, subject: Subject) -> Sequence[Row]:
        """See `Place.export`."""
        records = await self.wire.fetch(self._keys(subject))
        return [row for record in records if record for row in _deeds(record)]

    async def holds(self, subject: Subject) -> bool:
        """See `Place.holds`."""
        return await _there(self.wire, self._keys(subject))

    def _keys(self, subject: Subject) -> list[bytes]:
        digests = [subject.digest, *(session.digest for session in subject.sessions)]
        return [self.space.recent(digest) for digest in digests]


@dataclass(frozen=True, slots=True)
class States:
    """What was said to the customer and what they answered: a `Place`."""

    wire: Wire
    space: KeySpace
    name: str = "states"

    async def erase(self, subject: Subject) -> int:
        """See `Place.erase`."""
        return await _removed(self.wire, [self.space.state(subject.digest)])

    async def export(self, subject: Subject) -> Sequence[Row]:
        """See `Place.export`."""
        (record,) = await self.wire.fetch([self.space.state(subject.digest)])
        if record is None:
            return []
        try:
            state = decode_state(open_state(record))
        except RecordCorrupt:
            return [{"unreadable": True}]
        plain: Row = orjson.loads(orjson.dumps(state))
        return [plain]

    async def holds(self, subject: Subject) -> bool:
        """See `Place.holds`."""
        return await _there(self.wire, [self.space.state(subject.digest)])


@dataclass(frozen=True, slots=True)
class Decisions:
    """Decisions, the request ids that led to them, their log lines, their list: a `Place`.

    The list is what they are found by; it goes last.
    """

    wire: Wire
    space: KeySpace
    told: DecisionTold
    name: str = "decisions"

    async def erase(self, subject: Subject) -> int:
        """See `Place.erase`."""
        made = await self._made(subject)
        erased = await _removed(self.wire, self._keys(subject, made))
        lines = await self._lines(subject, {decision for decision, _ in made})
        if lines:
            log = self.space.log(self.space.tag(subject.digest))
            (went,) = await self.wire.ask([(b"XDEL", log, *lines)])
            erased += int(went)
        index = self.space.made(subject.digest)
        if made:
            # Only what was looked at: a decision that was made meanwhile is found the next time.
            members = [b" ".join(filter(None, one)) for one in made]
            await self.wire.ask([(b"ZREM", index, *members)])
        return erased

    async def export(self, subject: Subject) -> Sequence[Row]:
        """See `Place.export`."""
        ids = [decision.decode() for decision, _ in await self._made(subject)]
        records = await self.wire.fetch([self.space.decision(one) for one in ids])
        rows: list[Row] = []
        for decision, record in zip(ids, records, strict=True):
            if record is None:
                continue
            try:
                rows.append(self.told(decision, open_decision(record)))
            except RecordCorrupt:
                rows.append({"decision_id": decision, "unreadable": True})
        return rows

    async def holds(self, subject: Subject) -> bool:
        """See `Place.holds`."""
        return await _there(self.wire, [self.space.made(subject.digest)])

    async def _made(self, subject: Subject) -> list[tuple[bytes, bytes]]:
        """Ids of the customer's decisions, each with the last part of its request's key."""
        index = self.space.made(subject.digest)
        (members,) = await self.wire.ask([(b"ZRANGE", index, b"0", b"-1")])
        parts = [member.partition(b" ") for member in members]
        return [(decision, request) for decision, _, request in parts]

    def _keys(self, subject: Subject, made: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        found = [self.space.decision(decision.decode()) for decision, _ in made]
        requests = [request for _, request in made if request]
        return found + [self.space.request_named(subject.digest, one) for one in requests]

    async def _lines(self, subject: Subject, made: set[bytes]) -> list[bytes]:
        """Where the lines about these decisions stand in the log of the customer's tag."""
        if not made:
            return []
        log, after = self.space.log(self.space.tag(subject.digest)), b"-"
        found: list[bytes] = []
        while True:
            (lines,) = await self.wire.ask(
                [(b"XRANGE", log, after, b"+", b"COUNT", number(_LINES))], records=_LINES
            )
            found += [place for place, fields in lines if _decision_of(fields) in made]
            if len(lines) < _LINES:
                return found
            after = b"(" + lines[-1][0]


@dataclass(frozen=True, slots=True)
class ConsentCopy:
    """What the customer agreed to: their words in the ledger, and the copy of these: a `Place`.

    The ledger forgets them as the first step of an erasure, which `forgotten` tells. The copy
    stays: it says `erased` and no more, under the hash, so that who has no ledger lets nobody in.
    """

    wire: Wire
    space: KeySpace
    forgotten: Callable[[Subject], Awaitable[bool]]
    tell: Callable[[Subject], Awaitable[None]]
    words: Callable[[Subject], Awaitable[Sequence[Row]]]
    name: str = "consents"

    async def erase(self, subject: Subject) -> int:
        """See `Place.erase`."""
        went = 0
        if await self._says_more(subject):
            went = await _removed(self.wire, [self.space.consent(subject.digest)])
        await self.tell(subject)
        return went

    async def export(self, subject: Subject) -> Sequence[Row]:
        """See `Place.export`."""
        return await self.words(subject)

    async def holds(self, subject: Subject) -> bool:
        """See `Place.holds`."""
        return await self._says_more(subject) or not await self.forgotten(subject)

    async def _says_more(self, subject: Subject) -> bool:
        """Whether there is a copy that does not only say that they were forgotten."""
        (record,) = await self.wire.fetch([self.space.consent(subject.digest)])
        try:
            held = None if record is None else open_consents(record)
        except RecordCorrupt:
            return True
        return held is not None and (bool(held.said) or not held.erased)


async def _removed(wire: Wire, keys: Sequence[bytes]) -> int:
    """Remove these keys, a command each: they may lie in several slots."""
    return sum(await wire.ask([(b"UNLINK", key) for key in keys])) if keys else 0


async def _there(wire: Wire, keys: Sequence[bytes]) -> bool:
    return any(await wire.ask([(b"EXISTS", key) for key in keys]))


def _deeds(record: bytes) -> list[Row]:
    try:
        recent = open_recent(record)
    except RecordCorrupt:
        return [{"unreadable": True}]
    return _events(recent)


def _events(recent: Recent) -> list[Row]:
    return [
        {
            "type": one.type,
            "product_id": one.product,
            "at": one.at,
            "channel": one.channel,
            "value": one.value,
            **one.wishes,
        }
        for one in recent.events
    ]


def _decision_of(fields: Sequence[bytes]) -> bytes:
    try:
        said = orjson.loads(dict(zip(*[iter(fields)] * 2, strict=True))[b"e"])
        return str(said["decision_id"]).encode()
    except (KeyError, ValueError, TypeError):
        return b""
