"""Answers as bytes: what a list is, where it is from, how old, and whether all is well."""

from dataclasses import dataclass
from typing import Literal

import orjson

from oferta.clock import Clock
from oferta.store.release import CustomerRow, Suggestion
from oferta_serving.compose import NOTHING, PERSONAL, Page, levels_for, page_of
from oferta_serving.ladder import rung
from oferta_serving.lookup import Found
from oferta_serving.metrics import Metrics
from oferta_serving.older import Older
from oferta_serving.parameters import Wanted
from oferta_serving.problems import RequestRefused
from oferta_serving.schemas import ColdReason, FreshenedBy
from oferta_serving.settings import FallbackSettings, FreshnessSettings
from oferta_serving.view import ReleaseView

_HOUR = 3600
_BOOLEANS = (b"false", b"true")

Fresh = tuple[FreshenedBy | None, int]
"""By what a list was made fresh, and how many events are in it."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Puts answers together. Pure, but for the clock it was given and the counters."""

    clock: Clock
    metrics: Metrics
    freshness: FreshnessSettings
    fallback: FallbackSettings

    def for_customer(self, customer_id: str, found: Found, wanted: Wanted) -> bytes:
        """The list of one customer; `check_category` comes first, once for all customers.

        The live release says what may be shown. Whose list it is, hence how old, is the release
        that the customer's row is of.
        """
        return self._personal(b'"customer_id":' + orjson.dumps(customer_id), found, wanted)

    def for_session(self, session_id: str, found: Found, wanted: Wanted) -> bytes:
        """The list of one session; `check_category` comes first."""
        return self._personal(b'"session_id":' + orjson.dumps(session_id), found, wanted)

    def _personal(self, who: bytes, found: Found, wanted: Wanted) -> bytes:
        if found.anybody:
            return self._of_anybody(who, found.view, wanted, cold=False)
        now = self.clock.now().timestamp()
        view, row, older, trouble = found.view, found.row, found.older, found.trouble
        if older is not None:
            if self._ended(older.view, now) or self._long_replaced(older, now):
                row = older = None
            else:
                trouble = "previous_release"
        if trouble is None and found.recent_lost:
            trouble = "recent_unreadable"
        page = NOTHING
        if view is not None and self._ended(view, now):
            trouble = "release_expired"
        elif view is not None:
            held = row.held if row is not None else ()
            barred = found.barred
            if found.trouble is not None:
                barred |= self._unsure(view) if older is None else older.unsure
            levels = levels_for(view, row)
            page = page_of(view, levels, wanted, now=now, held=held, barred=barred)
        cold: ColdReason | Literal[False] = False
        if row is None:
            cold = "unknown_customer" if found.trouble is None else False
        elif row.cold:
            cold = _made_of(row)
        scored = view if older is None else older.view
        fresh = found.freshened_by, found.events
        return self._answer(who, scored, page, trouble=trouble, now=now, cold=cold, fresh=fresh)

    def _unsure(self, view: ReleaseView) -> frozenset[int]:
        """The products that a customer who cannot be looked up may not be offered."""
        once_only = self.fallback.once_only
        hide = once_only == "hide" or (once_only == "auto" and view.sells_again)
        return view.once_only if hide else frozenset()

    def popular(self, view: ReleaseView | None, wanted: Wanted) -> bytes:
        """Everybody's list, or a segment's."""
        return self._of_anybody(b"", view, wanted)

    def _of_anybody(
        self,
        who: bytes,
        view: ReleaseView | None,
        wanted: Wanted,
        *,
        cold: Literal[False] | None = None,
    ) -> bytes:
        now = self.clock.now().timestamp()
        if view is None:
            return self._answer(who, None, NOTHING, trouble="no_release", now=now, cold=cold)
        check_category(view, wanted)
        segment = None
        if wanted.segment is not None:
            segment = view.segments.get(wanted.segment)
            if segment is None:
                raise RequestRefused("segment.unknown", "segment")
        if self._ended(view, now):
            ended = "release_expired"
            return self._answer(who, view, NOTHING, trouble=ended, now=now, cold=cold)
        page = page_of(view, levels_for(view, None, segment), wanted, now=now)
        trouble = "release_from_disk" if view.from_disk else None
        return self._answer(who, view, page, trouble=trouble, now=now, cold=cold)

    def similar(
        self,
        view: ReleaseView,
        product: int,
        near: list[Suggestion],
        wanted: Wanted,
        *,
        trouble: str | None,
    ) -> bytes:
        """The products similar to one; everybody's list where these cannot be read."""
        now = self.clock.now().timestamp()
        page = NOTHING
        if self._ended(view, now):
            trouble = "release_expired"
        elif trouble is None:
            page = page_of(view, [("similar", near)], wanted, now=now, barred=(product,))
        else:
            page = page_of(view, levels_for(view, None), wanted, now=now, barred=(product,))
        who = b'"product_id":' + orjson.dumps(view.head.catalogue[product].product_id)
        return self._answer(who, view, page, trouble=trouble, now=now)

    def _long_replaced(self, older: Older, now: float) -> bool:
        replaced_at = older.live.head.manifest.created_at
        return now - replaced_at > self.freshness.previous_h * _HOUR

    def _ended(self, view: ReleaseView, now: float) -> bool:
        return now - view.head.manifest.created_at > self.freshness.stop_after_h * _HOUR

    def _answer(
        self,
        who: bytes,
        view: ReleaseView | None,
        page: Page,
        *,
        trouble: str | None,
        now: float,
        cold: ColdReason | Literal[False] | None = None,
        fresh: Fresh = (None, 0),
    ) -> bytes:
        age = 0.0 if view is None else max(0.0, now - view.head.manifest.created_at)
        stale = age > self.freshness.stale_after_h * _HOUR
        source = page.best or "none"
        level = rung(trouble, from_disk=view is not None and view.from_disk)
        self.metrics.served(source, level=level, trouble=trouble)
        parts = [
            who,
            b'"items":[' + b",".join(page.items) + b"]",
            b'"release":null,"model":null' if view is None else view.tail,
            b'"age_s":null' if view is None else b'"age_s":%d' % age,
            b'"served_from":"%b","personalised":%b,"level":"%b","degraded":%b,"stale":%b'
            % (
                source.encode(),
                _BOOLEANS[source in PERSONAL],
                level.encode(),
                _BOOLEANS[trouble is not None],
                _BOOLEANS[stale],
            ),
            _told_cold(cold, fresh),
            b"" if trouble is None else b'"degraded_reason":"%b"' % trouble.encode(),
            b'"next_offset":null'
            if page.next_offset is None
            else b'"next_offset":%d' % page.next_offset,
        ]
        return b"{" + b",".join(part for part in parts if part) + b"}"


def _told_cold(cold: ColdReason | Literal[False] | None, fresh: Fresh) -> bytes:
    """What only a customer's list says."""
    if cold is None:
        return b""
    by, events = fresh
    told = b'"freshened_by":%b,"events":%d' % (
        b"null" if by is None else b'"%b"' % by.encode(),
        events,
    )
    if cold is False:
        return b'"cold":false,"cold_reason":null,' + told
    return b'"cold":true,"cold_reason":"%b",%b' % (cold.encode(), told)


def _made_of(row: CustomerRow) -> ColdReason:
    reason = row.suggestions[0].reason if row.suggestions else None
    if reason == "fits_profile":
        return "attributes"
    return "popular" if reason == "popular" or row.segment is None else "segment"


def check_category(view: ReleaseView | None, wanted: Wanted) -> None:
    """Refuse a category that no product has: a misspelt one must not look like an empty shelf.

    Where there is no release there is nothing to know it by.

    Raises:
        RequestRefused: `category.unknown`.
    """
    if view is None or wanted.category is None:
        return
    if wanted.category not in view.known_categories:
        raise RequestRefused("category.unknown", "category")
