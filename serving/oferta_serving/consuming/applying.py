"""Applying events: each has its effect once, however often it is delivered, whoever dies when.

What an event does and the claim that says so are written in one step, and only if the record is
still the one it was computed on. So a second consumer, or a second delivery, finds the claim.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from oferta.clock import Clock
from oferta.errors import StoreError
from oferta.events.types import EventType
from oferta.profile.recent import applied
from oferta.store.event_claims import read_claim
from oferta.store.events import Effects, RecentChange
from oferta.store.keys import KeySpace
from oferta_serving.consuming.deeds import Deed
from oferta_serving.consuming.metrics import ConsumerMetrics
from oferta_serving.consuming.records import read_recent, written
from oferta_serving.consuming.sessions import Sessions, ties_of


class Failed(NamedTuple):
    """An event that could not be applied."""

    deed: Deed
    error: Exception


class _Group(NamedTuple):
    """The events of one customer or session, and what they change; None: nothing any more."""

    deeds: list[Deed]
    fresh: list[Deed]
    change: RecentChange | None


class Applier:
    """Applies events. Any number of calls may run at once, in any number of processes."""

    def __init__(
        self,
        store: Effects,
        space: KeySpace,
        *,
        types: Mapping[str, EventType],
        clock: Clock,
        metrics: ConsumerMetrics,
    ) -> None:
        self._store = store
        self._space = space
        self._types = types
        self._clock = clock
        self._metrics = metrics
        self.sessions = Sessions(store, space, types, clock, metrics)

    async def apply(self, deeds: Sequence[Deed]) -> list[Failed]:
        """Apply all; returns those that cannot be, each with the reason.

        Raises:
            StoreUnavailable: no answer in time. Any may have been applied: to be repeated.
        """
        failed: list[Failed] = []
        pending = list(deeds)
        while pending:
            ties = ties_of(pending)
            if ties:
                await self.sessions.adopt(ties)
            pending = await self._round(pending, failed)
        return failed

    async def _round(self, deeds: Sequence[Deed], failed: list[Failed]) -> list[Deed]:
        """Apply what can be; returns those whose record was changed by others meanwhile."""
        space = self._space
        owners: dict[bytes, list[Deed]] = {}
        for deed in deeds:
            owners.setdefault(deed.owner, []).append(deed)
        keys = [space.recent(owner) for owner in owners] + [deed.claim for deed in deeds]
        keys = list(dict.fromkeys(keys))
        records = dict(zip(keys, await self._store.fetch(keys), strict=True))
        groups: list[_Group] = []
        for owner, own in owners.items():
            customer = read_recent(records[space.recent(owner)], self._metrics).recent.merged_into
            if customer is not None:
                fresh = await self.sessions.bring(owner, bytes.fromhex(customer), own)
                self._count(fresh)
                self._metrics.duplicates.inc(len(own) - len(fresh))
            else:
                groups += self._groups(owner, own, records, failed)
        changes = [group.change for group in groups if group.change is not None]
        outcomes = iter(await self._store.apply(changes))
        late: list[Deed] = []
        for group in groups:
            if group.change is None or next(outcomes):
                self._count(group.fresh)
                self._metrics.duplicates.inc(len(group.deeds) - len(group.fresh))
            else:
                self._metrics.conflicts.inc()
                late += group.deeds
        return late

    def _groups(
        self,
        owner: bytes,
        deeds: list[Deed],
        records: Mapping[bytes, bytes | None],
        failed: list[Failed],
    ) -> list[_Group]:
        """What the events change together, those left out that fail by themselves."""
        try:
            return [self._group(owner, deeds, records)]
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - an event must not stop those after it
            if len(deeds) == 1:
                failed.append(Failed(deeds[0], error))
                return []
            together = error
        able = [deed for deed in deeds if self._groups(owner, [deed], records, failed)]
        if len(able) == len(deeds):
            failed += [Failed(deed, together) for deed in deeds]
            return []
        return self._groups(owner, able, records, failed) if able else []

    def _group(
        self, owner: bytes, deeds: list[Deed], records: Mapping[bytes, bytes | None]
    ) -> _Group:
        fresh: dict[bytes, Deed] = {}
        for deed in deeds:
            claim = read_claim(records[deed.claim])
            if claim is None or claim.state != "applied":
                fresh.setdefault(deed.claim, deed)
        once = list(fresh.values())
        if not once:
            return _Group(deeds, [], None)
        now = self._clock.now().timestamp()
        was = read_recent(records[self._space.recent(owner)], self._metrics)
        places = [(deed.entry.position, deed.event) for deed in once]
        new = applied(was.recent, places, now=now, types=self._types)
        claims = [(deed.claim, deed.entry.position) for deed in once]
        change = RecentChange(owner, was.mark, written(new, was, at=now), claims)
        return _Group(deeds, once, change)

    def _count(self, deeds: Sequence[Deed]) -> None:
        now = self._clock.now().timestamp()
        self._metrics.applied.inc(len(deeds))
        for deed in deeds:
            self._metrics.effect_seconds.observe(max(0.0, now - deed.event.received_at))
