"""Customers' rows, or why not: the ladder from the live release down to nobody's list.

live row -> (lost or damaged: pointer read once more) -> previous release's row, in the live one's
terms -> no row.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from oferta.errors import RecordCorrupt, SlotsUnavailable, StoreUnavailable
from oferta.privacy.consents import Consents
from oferta.profile.recent import NOTHING_RECENT, Recent
from oferta.store.contract import Reader
from oferta.store.keys import KeySpace
from oferta.store.reading import (
    CustomerRecords,
    Damage,
    load_customers,
    load_rows,
    load_similar,
    recent_of,
)
from oferta.store.release import CustomerRow, Neighbour
from oferta_serving.breaker import Breaker
from oferta_serving.consent.words import Words, closed, refused
from oferta_serving.fresh import Asked, Freshener
from oferta_serving.live import Releases, Serving
from oferta_serving.metrics import Metrics
from oferta_serving.older import Older
from oferta_serving.schemas import FreshenedBy
from oferta_serving.view import ReleaseView

NEW_POINTER_WAIT_S = 0.05
"""How long a request waits for a release that was swapped in under it."""

REPAIR_S = 0.06
"""How long a request looks for rows that the live release lost: as long as for those it has."""

Rows = list[CustomerRow | Damage | None]


@dataclass(frozen=True, slots=True)
class Found:
    """What one customer's list is made of.

    Attributes:
        view: the live release, which says what may be shown; None when none was ever seen.
        row: the customer's, by positions of `view`; None for none.
        trouble: why the live release's row could not be read, None when it was.
        older: the release that `row` was translated from, None when it is the live one's.
        recent: what the customer did lately; nothing where it could not be read.
        consents: what they agreed to; None where that could not be read: then the answer must not
            depend on the customer.
        anybody: whether the list is to be that of nobody in particular.
        recent_lost: whether what the customer did lately was there and could not be read, or used.
        barred: positions of `view` that they just bought or declined.
        freshened_by: what the list was made fresh by; None: the release's own, which knows it all.
        events: how many events are in it that the release does not know of.
    """

    view: ReleaseView | None
    row: CustomerRow | None
    trouble: str | None
    older: Older | None = None
    recent: Recent = NOTHING_RECENT
    consents: Consents | None = None
    recent_lost: bool = False
    anybody: bool = False
    barred: frozenset[int] = frozenset()
    freshened_by: FreshenedBy | None = None
    events: int = 0


def anybody(view: ReleaseView | None) -> Found:
    """What the list of nobody in particular is made of: of who asked for that, or refused more.

    It is the list that it should be, so nothing is wrong with it while Redis is away either.
    """
    return Found(view, None, "no_release" if view is None else None, anybody=True)


class Lookup:
    """Reads rows through the breaker. For one event loop."""

    def __init__(
        self,
        reader: Reader,
        space: KeySpace,
        releases: Releases,
        *,
        words: Words,
        personal: bool,
        freshener: Freshener,
        breaker: Breaker,
        metrics: Metrics,
    ) -> None:
        self._reader = reader
        self._space = space
        self._releases = releases
        self._words = words
        self._personal = personal
        self._freshener = freshener
        self._breaker = breaker
        self._metrics = metrics

    async def customers(self, customer_ids: Sequence[str], *, personal: bool = True) -> list[Found]:
        """What is known of each customer, in their order: one round trip when all is well.

        Unless the lists may be `personal`, nothing is asked of anybody.
        """
        now = self._releases.current
        if not (personal and self._personal):
            return [anybody(now.live)] * len(customer_ids)
        trouble = self._trouble(now)
        if now.live is None or trouble is not None:
            return [Found(now.live, None, trouble)] * len(customer_ids)
        digests = [self._space.digest(customer_id) for customer_id in customer_ids]
        records = await self._records(now.live, digests)
        if records is None:
            return [Found(now.live, None, "store_unavailable")] * len(customer_ids)
        found = [
            self._found(now.live, customer_id, digest, each)
            for customer_id, digest, each in zip(customer_ids, digests, records, strict=True)
        ]
        rows = [each.row for each in records]
        if any(isinstance(row, Damage) and row is not Damage.UNREACHABLE for row in rows):
            await self._repair_in_time(now, customer_ids, rows, found)
        found = [anybody(each.view) if closed(each.row, each.consents) else each for each in found]
        await self._freshen(now, digests, found)
        return found

    async def session(self, session_id: str, *, personal: bool = True) -> Found:
        """What is known of a session that nobody's name is known of: what it did, in one read.

        What a session did that turned out to be a customer's is the customer's by then.
        """
        now = self._releases.current
        if not (personal and self._personal):
            return anybody(now.live)
        trouble = self._trouble(now)
        if now.live is None or trouble is not None:
            return Found(now.live, None, trouble)
        digest = self._space.session(session_id)
        try:
            (record,) = await self._reader.fetch([self._space.recent(digest)])
        except SlotsUnavailable:
            self._metrics.store_failures.inc()
            return Found(now.live, None, "store_unavailable")
        except StoreUnavailable:
            self._releases.store_failed()
            return Found(now.live, None, "store_unavailable")
        self._releases.store_succeeded()
        recent = recent_of(record)
        if isinstance(recent, Damage):
            self._metrics.damaged.labels("recent").inc()
            return Found(now.live, None, None, recent_lost=True)
        if recent.merged_into is not None:
            recent = NOTHING_RECENT
        found = [Found(now.live, None, None, recent=recent)]
        await self._freshen(now, (digest,), found)
        return found[0]

    async def similar(
        self, view: ReleaseView, product: int
    ) -> tuple[tuple[Neighbour, ...], str | None]:
        """The products similar to the one at `product` of `view`; and why there may be more."""
        trouble = self._trouble(self._releases.current)
        if trouble is not None:
            return (), trouble
        try:
            near = await load_similar(self._reader, self._space, view.head.manifest, product)
        except SlotsUnavailable:
            return (), "store_unavailable"
        except StoreUnavailable:
            self._releases.store_failed()
            return (), "store_unavailable"
        except RecordCorrupt:
            self._metrics.damaged.labels(Damage.CORRUPT.value).inc()
            return (), "record_corrupt"
        self._releases.store_succeeded()
        return near or (), None

    def _trouble(self, now: Serving) -> str | None:
        if now.live is not None and now.trouble is None and self._breaker.is_open:
            return "store_unavailable"
        return now.trouble

    def _found(
        self, view: ReleaseView, customer_id: str, digest: bytes, records: CustomerRecords
    ) -> Found:
        row, recent = records.row, records.recent
        if row is Damage.UNREACHABLE:
            self._metrics.store_failures.inc()
            return Found(view, None, "store_unavailable")
        if isinstance(records.consents, Damage):
            self._metrics.damaged.labels("consent").inc()
        consents = self._words.of(customer_id, digest, records.consents)
        if isinstance(consents, str):
            # A row must not be used without knowing that it may be: everybody's list, then.
            return Found(view, None, consents)
        if refused(consents):
            return anybody(view)
        lost = isinstance(recent, Damage)
        if isinstance(recent, Damage):
            self._metrics.damaged.labels("recent").inc()
            recent = NOTHING_RECENT
        return Found(
            view,
            None if isinstance(row, Damage) else row,
            None,
            recent=recent,
            consents=consents,
            recent_lost=lost,
        )

    async def _records(
        self, view: ReleaseView, digests: Sequence[bytes]
    ) -> list[CustomerRecords] | None:
        try:
            records = await load_customers(self._reader, self._space, view.head.manifest, digests)
        except SlotsUnavailable:  # theirs alone: other nodes of the cluster answer others
            self._metrics.store_failures.inc()
            return None
        except StoreUnavailable:
            self._releases.store_failed()
            return None
        self._releases.store_succeeded()
        return records

    async def _freshen(self, now: Serving, digests: Sequence[bytes], found: list[Found]) -> None:
        """Lay over `found` what each of them did lately."""
        after = self._releases.current
        followed = {now.live: now.following, after.live: after.following}
        asked = {
            at: Asked(
                digests[at],
                each.recent,
                each.view,
                each.row,
                each.view if each.older is None else each.older.view,
                follows=each.trouble is None,
                following=followed.get(each.view) if each.trouble is None else None,
            )
            for at, each in enumerate(found)
            if each.view is not None and each.recent.events
        }
        if not asked:
            return
        overlays = await self._freshener.overlays(list(asked.values()))
        for at, laid in zip(asked, overlays, strict=True):
            found[at] = replace(
                found[at],
                row=laid.row,
                barred=laid.barred,
                freshened_by=laid.by,
                events=laid.events,
                recent_lost=laid.lost,
            )

    async def _rows(self, view: ReleaseView, customer_ids: Sequence[str]) -> Rows | None:
        try:
            rows = await load_rows(self._reader, self._space, view.head.manifest, customer_ids)
        except SlotsUnavailable:
            return None
        except StoreUnavailable:
            self._releases.store_failed()
            return None
        self._releases.store_succeeded()
        return rows

    async def _repair_in_time(
        self, now: Serving, customer_ids: Sequence[str], rows: Rows, found: list[Found]
    ) -> None:
        for at, row in enumerate(rows):
            if isinstance(row, Damage) and found[at].trouble is None:
                found[at] = replace(found[at], trouble=f"record_{row.value}")
        try:
            async with asyncio.timeout(REPAIR_S):
                await self._repair(now, customer_ids, rows, found)
        except TimeoutError:
            return  # what could not be mended yet falls back

    async def _repair(
        self, now: Serving, customer_ids: Sequence[str], rows: Rows, found: list[Found]
    ) -> None:
        """Replace in `found` what is damaged: by the new live release's row, else the previous."""
        for row in rows:
            if isinstance(row, Damage) and row is not Damage.UNREACHABLE:
                self._metrics.damaged.labels(row.value).inc()
        await self._read_pointer_again()
        after = self._releases.current
        live, older = after.live, after.older
        missing = {
            at: row
            for at, row in enumerate(rows)
            if isinstance(row, Damage) and found[at].consents is not None
        }
        if live is not None and live is not now.live:
            for at, row in (await self._reread(live, customer_ids, missing)).items():
                found[at] = replace(found[at], view=live, row=row, trouble=None)
                del missing[at]
        emptied = after.trouble == "store_empty"
        reasons = {
            at: "store_empty" if emptied else f"record_{damage.value}"
            for at, damage in missing.items()
        }
        for at, reason in reasons.items():
            found[at] = replace(found[at], view=live, row=None, trouble=reason)
        if older is None or older.view is now.live:
            return
        for at, row in (await self._reread(older.view, customer_ids, missing)).items():
            if row is not None:  # absence means something in the live release only
                found[at] = replace(
                    found[at], view=older.live, row=older.row(row), trouble=reasons[at], older=older
                )

    async def _reread(
        self, view: ReleaseView, customer_ids: Sequence[str], missing: Mapping[int, Damage]
    ) -> dict[int, CustomerRow | None]:
        """By place: what `view` has of the customers at these places, without what is damaged."""
        if not missing:
            return {}
        rows = await self._rows(view, [customer_ids[at] for at in missing])
        again = zip(missing, rows or (), strict=False)
        return {at: row for at, row in again if not isinstance(row, Damage)}

    async def _read_pointer_again(self) -> None:
        try:
            async with asyncio.timeout(NEW_POINTER_WAIT_S):
                await self._releases.refresh()
        except TimeoutError:
            return  # it goes on in the background; this request falls back
