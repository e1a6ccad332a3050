"""The consent ledger's words, copied to where every answer reads them: into Redis.

A copy says by which entry of the ledger it was made; an older word never replaces a newer one,
whoever brings it when. A marker says up to which entry all words were copied, so that whoever
finds it behind the ledger, or gone, brings what is missing: after Redis was away, was emptied, or
was restored from an older state.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import structlog

from oferta.errors import RecordCorrupt, StoreUnavailable
from oferta.privacy.consents import Consents, stricter
from oferta.privacy.ledger import Ledger
from oferta.store.customer_records import open_consents, seal_consents
from oferta.store.keys import DIGEST_BYTES, KeySpace
from oferta.store.wire import Script, Wire, number

TURN: Final = 256
"""Entries of the ledger that are brought in one round trip: about 30 kB of records."""

COPY: Final = Script("""
local number = redis.pcall('GETRANGE', KEYS[1], 8, 15)
if type(number) == 'string' and #number == 8 then
  if struct.unpack('<I8', number) > tonumber(ARGV[1]) then
    local held = redis.call('GET', KEYS[1])
    if held ~= ARGV[3] then return held end
  end
end
redis.call('SET', KEYS[1], ARGV[2])
return 1
""")
"""KEYS: a customer's copy. ARGV: the number of the newest entry in the record, the record, what to
replace though its header says that it is newer. Returns 1; or what is held, and is newer."""

REFUSE: Final = Script("""
if redis.call('GET', KEYS[1]) == ARGV[2] then redis.call('SET', KEYS[1], ARGV[1]) end
return 1
""")
"""KEYS: a customer's copy. ARGV: a record, and what it is to take the place of."""

MARK: Final = Script("""
local held = redis.pcall('GET', KEYS[1])
if type(held) ~= 'string' then held = '' end
if held ~= ARGV[1] and ARGV[3] == '' then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
""")
"""KEYS: the marker. ARGV: what it must be (nothing: absent), what it shall be, anything to set it
whatever it is. Returns whether it was set."""

Person = tuple[str, bytes]
"""A customer's id, or tombstone, and their digest."""

Theirs = tuple[str, bytes, Consents]
"""A customer's id, or tombstone, their digest, and what they agreed to."""

log = structlog.get_logger()


class ConsentCopies:
    """Writes copies and the marker. For one event loop; calls may run at once."""

    def __init__(self, wire: Wire, space: KeySpace) -> None:
        self._wire = wire
        self._space = space

    async def put(
        self, words: Sequence[tuple[bytes, Consents]], *, at: float
    ) -> Mapping[bytes, bytes]:
        """Copy the words of customers, each with their `KeySpace.digest`, at the instant `at`.

        Returns:
            By digest the records that are newer, and stay.

        Raises:
            StoreUnavailable: any of them may have been copied or not.
        """
        held = await self._put(words, {}, at=at)
        damaged = {digest: record for digest, record in held.items() if _opened(record) is None}
        if damaged:
            again = [(digest, each) for digest, each in words if digest in damaged]
            held |= await self._put(again, damaged, at=at)
        return {digest: record for digest, record in held.items() if _opened(record) is not None}

    async def _put(
        self,
        words: Sequence[tuple[bytes, Consents]],
        instead: Mapping[bytes, bytes],
        *,
        at: float,
    ) -> dict[bytes, bytes]:
        """Write records, in place of newer ones where these are as in `instead`; what is newer."""
        calls = [
            (
                [self._space.consent(digest)],
                [number(each.seq), seal_consents(each, at=at), instead.get(digest, b"")],
            )
            for digest, each in words
        ]
        replies = await self._wire.run(COPY, calls)
        return {
            digest: reply
            for (digest, _), reply in zip(words, replies, strict=True)
            if isinstance(reply, bytes)
        }

    async def held(self, digests: Sequence[bytes]) -> list[Consents | None]:
        """The copies of customers, by `KeySpace.digest`; None: there is none, or it is damaged.

        Raises:
            StoreUnavailable: no answer in time.
        """
        records = await self._wire.fetch([self._space.consent(digest) for digest in digests])
        return [None if record is None else _opened(record) for record in records]

    async def marker(self) -> str | None:
        """Up to which state of the ledger all words were copied, as `Snapshot.id`; None: nothing.

        Raises:
            StoreUnavailable: no answer in time.
        """
        (held,) = await self._wire.fetch([self._space.consents()])
        return None if held is None else held.decode("ascii", "replace")

    async def mark(self, before: str | None, after: str) -> bool:
        """Move the marker, if it still is what it was; whether it was.

        Raises:
            StoreUnavailable: it may have been moved or not.
        """
        values = [(before or "").encode("ascii", "replace"), after.encode(), b""]
        (moved,) = await self._wire.run(MARK, [([self._space.consents()], values)])
        return bool(moved)

    async def catch_up(self, ledger: Ledger, *, at: float) -> bool:
        """Copy all that the marker does not cover; whether the copy is complete now.

        False where somebody else moved the marker meanwhile: look again.

        Raises:
            StoreUnavailable: Redis is away, or refused to write.
            LedgerUnavailable: the ledger cannot be read.
        """
        marker, goal = await self.marker(), ledger.snapshot()
        if marker == goal.id:
            return True
        seq = _number(marker)
        known = seq <= goal.seq and ledger.snapshot(upto=seq).id == marker
        if seq > goal.seq:
            log.error("consent.ledger_behind", copied=seq, ledger=goal.seq)
            await asyncio.to_thread(ledger.stay_above, seq)
            goal = ledger.snapshot()
        last = seq if known else 0
        if marker is not None and not known:
            # Restored from a backup; again and again, it is the ledger of another machine.
            log.error("consent.marker_foreign", entries=goal.seq)
        while True:
            whose, reached = await asyncio.to_thread(self._next, ledger, last)
            if reached == last:  # numbers that a backup lost are no entries
                break
            last = reached
            await self._insist(ledger, await self._taken_back(ledger, whose, at=at), at=at)
        return await self.mark(marker, goal.id)

    async def close(self) -> None:
        """Close all connections."""
        await self._wire.close()

    async def _taken_back(
        self, ledger: Ledger, whose: Sequence[Person], *, at: float
    ) -> list[Theirs]:
        """Their words, with what only the copies know: it goes into the ledger, before they do."""
        copies = await self.held([digest for _, digest in whose])
        return await asyncio.to_thread(_take_back, ledger, whose, copies, at)

    async def _insist(self, ledger: Ledger, words: Sequence[Theirs], *, at: float) -> None:
        """Copy words; where a newer copy stays, which the ledger lost, it takes on our refusals."""
        by_digest = {digest: (customer_id, each) for customer_id, digest, each in words}
        held = await self.put([(digest, each) for _, digest, each in words], at=at)
        merged: list[tuple[bytes, Consents]] = []
        for digest, record in held.items():
            copied, (customer_id, _) = open_consents(record), by_digest[digest]
            written = ledger.consents_of(customer_id, digest.hex())
            both = stricter(copied, written)
            # Where the ledger is not behind, somebody copied what was said a moment ago.
            if written.seq < copied.seq and both != copied:
                log.error("consent.copy_of_lost_ledger")
                merged.append((digest, both))
        if merged:
            # Who changed it meanwhile knew the ledger as it is, and the next look finds the rest.
            await self._wire.run(
                REFUSE,
                [
                    ([self._space.consent(digest)], [seal_consents(both, at=at), held[digest]])
                    for digest, both in merged
                ],
            )

    def _next(self, ledger: Ledger, after: int) -> tuple[list[Person], int]:
        """Those whom the next entries are of; and the last entry's number."""
        whose: dict[bytes, Person] = {}
        last = after
        for entry in ledger.entries_after(after, limit=TURN):
            last = entry.seq
            # Of who was forgotten, only the hash is left, and no source.
            gone = entry.source is None
            digest = _hash(entry.customer_id) if gone else self._space.digest(entry.customer_id)
            if digest is None:
                continue
            # Who was forgotten and is not any more came back, with words of their own.
            if not gone or ledger.consents_of(entry.customer_id, digest.hex()).erased:
                whose[digest] = (entry.customer_id, digest)
        return list(whose.values()), last


def _take_back(
    ledger: Ledger, whose: Sequence[Person], copies: Sequence[Consents | None], at: float
) -> list[Theirs]:
    now, words = datetime.fromtimestamp(at, UTC), list[Theirs]()
    for (customer_id, digest), copied in zip(whose, copies, strict=True):
        tombstone = digest.hex()
        if copied is not None and ledger.take_back(customer_id, tombstone, copied, at=now):
            log.error("consent.taken_back")
        words.append((customer_id, digest, ledger.consents_of(customer_id, tombstone)))
    return words


def copied_up_to(marker: str | None) -> int:
    """The number of the last entry that a marker covers; 0 for none."""
    return _number(marker)


def _number(marker: str | None) -> int:
    digits, _, _ = (marker or "0").partition("-")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 16 else 0  # noqa: PLR2004 - what a double holds


def _hash(tombstone: str) -> bytes | None:
    try:
        digest = bytes.fromhex(tombstone)
    except ValueError:
        return None
    return digest if len(digest) == DIGEST_BYTES else None


def _opened(record: bytes) -> Consents | None:
    try:
        return open_consents(record)
    except RecordCorrupt:
        return None


async def brought(copies: ConsentCopies, ledger: Ledger, *, at: float) -> bool:
    """Whether the copy is complete, after at most a few attempts; False while Redis is away."""
    for _ in range(5):
        try:
            if await copies.catch_up(ledger, at=at):
                return True
        except StoreUnavailable:
            return False
    return False
