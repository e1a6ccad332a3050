"""Sessions that turn out to be a customer's: what they did becomes the customer's, once.

A session and its customer lie in two slots, so it takes three steps, each of which may be repeated:
the session's record is closed and names the customer; its events enter the customer's record
together with a claim of their own; the session's record is emptied. Whoever comes in between sees a
closed session, and brings its events to the customer directly.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from oferta.clock import Clock
from oferta.events.event import START, Position
from oferta.events.types import EventType
from oferta.profile.recent import NOTHING_RECENT, Recent, applied, merge
from oferta.store.event_claims import read_claim
from oferta.store.events import Effects, RecentChange
from oferta.store.keys import KeySpace
from oferta_serving.consuming.deeds import Deed
from oferta_serving.consuming.metrics import ConsumerMetrics
from oferta_serving.consuming.records import read_recent, written


@dataclass(frozen=True, slots=True)
class Sessions:
    """Merges sessions. Any number of processes may do it at once."""

    store: Effects
    space: KeySpace
    types: Mapping[str, EventType]
    clock: Clock
    metrics: ConsumerMetrics

    async def adopt(self, ties: Mapping[tuple[bytes, bytes], Position]) -> None:
        """Give customers what their sessions did.

        Args:
            ties: by `(session, customer)` hashes, the position of the event that told it.

        A session belongs to the first customer that it is told with.

        Raises:
            StoreUnavailable: no answer in time; to be repeated.
        """
        keys = [self.space.recent(session) for session, _ in ties]
        records = await self.store.fetch(keys)
        for ((session, customer), tied), record in zip(ties.items(), records, strict=True):
            recent, _ = read_recent(record, self.metrics)
            if recent.merged_into is None or _is_left(recent, customer):
                await self._adopt(session, customer, tied)

    async def bring(self, session: bytes, customer: bytes, deeds: Sequence[Deed]) -> list[Deed]:
        """Apply what a session did after it was merged: to its customer. Returns what was new.

        Raises:
            StoreUnavailable: no answer in time; to be repeated.
        """
        once = list({deed.claim: deed for deed in reversed(deeds)}.values())
        claims = [self.space.event(customer, deed.event.id) for deed in once]
        while True:
            key = self.space.recent(customer)
            record, *said = await self.store.fetch([key, *claims])
            fresh = [
                (claim, deed)
                for claim, deed, known in zip(claims, once, map(read_claim, said), strict=True)
                if known is None or known.state != "applied"
            ]
            if not fresh:
                break
            now = self.clock.now().timestamp()
            places = [(deed.entry.position, deed.event) for _, deed in fresh]
            done = applied(NOTHING_RECENT, places, now=now, types=self.types)
            theirs = [(claim, deed.entry.position) for claim, deed in fresh]
            if await self._merged(customer, session, record, done, theirs):
                break
        positions = [(deed.claim, deed.entry.position) for deed in once]
        await self.store.settle(positions, "applied")
        return [deed for _, deed in fresh]

    async def _adopt(self, session: bytes, customer: bytes, tied: Position) -> None:
        key = self.space.recent(session)
        while True:
            (record,) = await self.store.fetch([key])
            was = read_recent(record, self.metrics)
            if was.recent.merged_into is None:
                closed = replace(
                    was.recent, version=was.recent.version + 1, merged_into=customer.hex()
                )
                await self._replace(session, record, closed)  # what is there by now, is read again
            elif not _is_left(was.recent, customer):
                return
            else:
                await self._bring_all(session, customer, was.recent, tied)
                emptied = replace(was.recent, version=was.recent.version + 1, events=())
                await self._replace(session, record, emptied)

    async def _bring_all(
        self, session: bytes, customer: bytes, done: Recent, tied: Position
    ) -> None:
        # Event ids hold no control characters, so none is the name of this claim.
        name = f"\0merge {session.hex()} {done.newest}"
        claim = self.space.event(customer, name)
        while True:
            record, said = await self.store.fetch([self.space.recent(customer), claim])
            known = read_claim(said)
            if known is not None and known.state == "applied":
                return
            if await self._merged(customer, session, record, done, [(claim, START)], tied=tied):
                self.metrics.merged.inc()
                return

    async def _merged(
        self,
        customer: bytes,
        session: bytes,
        record: bytes | None,
        done: Recent,
        claims: Sequence[tuple[bytes, Position]],
        *,
        tied: Position | None = None,
    ) -> bool:
        now = self.clock.now().timestamp()
        was = read_recent(record, self.metrics)
        shard = self.space.shard(session)
        new = merge(was.recent, done, shard=shard, now=now, tied=tied, types=self.types)
        change = RecentChange(customer, was.mark, written(new, was, at=now), claims)
        (is_done,) = await self.store.apply([change])
        if not is_done:
            self.metrics.conflicts.inc()
        return is_done

    async def _replace(self, session: bytes, record: bytes | None, new: Recent) -> None:
        now = self.clock.now().timestamp()
        was = read_recent(record, self.metrics)
        await self.store.apply([RecentChange(session, was.mark, written(new, was, at=now), ())])


def ties_of(deeds: Iterable[Deed]) -> dict[tuple[bytes, bytes], Position]:
    """Which session was told to be whose, each by the first event that told it; for `adopt`."""
    ties: dict[tuple[bytes, bytes], Position] = {}
    for deed in deeds:
        if deed.session is not None:
            ties.setdefault((deed.session, deed.owner), deed.entry.position)
    return ties


def _is_left(recent: Recent, customer: bytes) -> bool:
    """Whether a closed session has events that are still to become this customer's."""
    return recent.merged_into == customer.hex() and bool(recent.events)
