"""What customers did since the release, laid over what it says of them: when somebody asks.

Nothing of it is stored, so nothing has to catch up with a new release, and the same release and the
same events always make the same list.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from oferta.clock import Clock
from oferta.errors import SlotsUnavailable, StoreUnavailable
from oferta.events.types import EventType
from oferta.profile.recent import Recent, RecentEvent
from oferta.profile.settled import NO_PIECES, declined, pieces_of
from oferta.scoring.live_model import NO_PAST, Past
from oferta.store.contract import Reader
from oferta.store.keys import KeySpace
from oferta.store.reading import Damage
from oferta.store.reading_live import load_pasts
from oferta.store.release import CustomerRow
from oferta_serving.following import Following, Question, Suggestions
from oferta_serving.live import Releases
from oferta_serving.metrics import Metrics
from oferta_serving.schemas import FreshenedBy
from oferta_serving.view import ReleaseView

KEPT: Final = 2048
"""Fresh lists that a process keeps: of who asks again without having done anything."""

INLINE_SCORES: Final = 40_000
"""Scores that may be made on the event loop, some tenths of a millisecond; more in a thread."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A customer, or a session, who did something lately.

    Attributes:
        digest: their keyed hash.
        recent: what they did.
        view: the release whose positions count.
        row: what is known of them, by those positions; None: nothing.
        release: the release that `row` is of, perhaps an older one.
        follows: whether the list should be made anew: `row` is the live release's.
        following: what makes it; None where that cannot be had.
    """

    digest: bytes
    recent: Recent
    view: ReleaseView
    row: CustomerRow | None
    release: ReleaseView
    follows: bool
    following: Following | None


@dataclass(frozen=True, slots=True)
class Overlay:
    """What became of it.

    Attributes:
        row: to answer with.
        barred: positions that must not be listed: just bought, or declined.
        by: what the list was made fresh by; None: the release's own, and it knows of everything.
        events: how many events are in it that the release does not know of.
        lost: whether the list should have followed them and could not.
    """

    row: CustomerRow | None
    barred: frozenset[int] = frozenset()
    by: FreshenedBy | None = None
    events: int = 0
    lost: bool = False


class Freshener:
    """Lays events over rows. For one event loop."""

    def __init__(
        self,
        reader: Reader,
        space: KeySpace,
        releases: Releases,
        *,
        types: Mapping[str, EventType],
        suppress_declined_d: float,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._reader = reader
        self._space = space
        self._releases = releases
        self._types = types
        self._suppress_declined_d = suppress_declined_d
        self._clock = clock
        self._metrics = metrics
        self._kept: OrderedDict[Hashable, Suggestions | None] = OrderedDict()

    async def overlays(self, asked: Sequence[Asked]) -> list[Overlay]:
        """What each is answered with, in their order: one more round trip for all, if any."""
        now = self._clock.now().timestamp()
        news = [self.news(each) for each in asked]
        found = [self._settled(each, new, now) for each, new in zip(asked, news, strict=True)]
        # There are two where the release changed while the customers were being read.
        for following in {each.following for each, new in zip(asked, news, strict=True) if new}:
            await self._follow(following, asked, news, found, now)
        return found

    def news(self, asked: Asked) -> Sequence[RecentEvent]:
        """What they did that the release of their row does not know of.

        Of who is not in it, or refused what it would know of them, it knows nothing.
        """
        if asked.row is None or asked.row.closed:
            return asked.recent.events
        return asked.release.news(asked.recent, self._space.shard(asked.digest))

    def _settled(self, asked: Asked, new: Sequence[RecentEvent], now: float) -> Overlay:
        """The release's own list, less what was bought or declined."""
        view, row = asked.view, asked.row
        no = declined(asked.recent.events, self._types, now=now, days=self._suppress_declined_d)
        positions = view.positions
        barred = {positions[product] for product in no if product in positions}
        had = frozenset(() if row is None else row.held)
        held = set(had)
        for product, pieces in pieces_of(new, self._types).items():
            at = positions.get(product)
            if at is None or at not in view.once_only:
                continue
            if (at in had) + pieces > NO_PIECES:
                held.add(at)
            else:
                held.discard(at)
        if row is not None and held != had:
            row = replace(row, held=tuple(sorted(held)))
        return Overlay(
            row, frozenset(barred | held), "events" if new else None, len(new), lost=False
        )

    async def _follow(
        self,
        following: Following | None,
        asked: Sequence[Asked],
        news: Sequence[Sequence[RecentEvent]],
        found: list[Overlay],
        now: float,
    ) -> None:
        """Replace in `found` the lists that can be made anew."""
        wanted = [
            at
            for at, new in enumerate(news)
            if new and asked[at].follows and asked[at].following is following
        ]
        if following is None:
            for at in wanted:
                lost = bool(asked[at].view.head.manifest.scorer_parts)
                found[at] = replace(found[at], lost=lost)
            return
        if not following.model.quick.hears:
            return
        keys = {at: self._key(following, asked[at], found[at], now) for at in wanted}
        made = {at: self._kept[key] for at, key in keys.items() if key in self._kept}
        questions: dict[int, Question] = {}
        missing = [at for at in wanted if at not in made]
        for at, past in zip(
            missing, await self._pasts(following, [asked[at] for at in missing]), strict=True
        ):
            if isinstance(past, Damage):
                self._metrics.damaged.labels("past").inc()
                found[at] = replace(found[at], lost=True)
            else:
                questions[at] = Question(past, news[at], found[at].barred)
        made |= zip(questions, await _lists(following, list(questions.values()), now), strict=True)
        for at, suggestions in made.items():
            self._keep(keys[at], suggestions)
            if suggestions is not None:
                row = found[at].row or CustomerRow(None, ())
                row = replace(row, suggestions=suggestions, cold=False)
                found[at] = replace(found[at], row=row, by=following.model.quick.kind)

    async def _pasts(self, following: Following, asked: Sequence[Asked]) -> list[Past | Damage]:
        """What the release knows of each one's past; nothing of who is not in it."""
        if not asked:
            return []
        manifest = asked[0].view.head.manifest
        if not manifest.past_buckets_per_tag:
            return [NO_PAST] * len(asked)
        try:
            found = await load_pasts(
                self._reader,
                self._space,
                manifest,
                [each.digest for each in asked],
                products=following.model.quick.products,
            )
        except SlotsUnavailable:
            return [Damage.UNREACHABLE] * len(asked)
        except StoreUnavailable:
            self._releases.store_failed()
            return [Damage.UNREACHABLE] * len(asked)
        self._releases.store_succeeded()
        return [past or NO_PAST for past in found]

    def _key(self, following: Following, asked: Asked, found: Overlay, now: float) -> Hashable:
        recent = asked.recent
        release = asked.view.head.manifest.release
        mark = release, asked.digest, recent.version, recent.newest, len(recent.events)
        return *mark, following.turn(now), found.barred

    def _keep(self, key: Hashable, suggestions: Suggestions | None) -> None:
        self._kept[key] = suggestions
        self._kept.move_to_end(key)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)


async def _lists(
    following: Following, questions: list[Question], now: float
) -> list[Suggestions | None]:
    if not questions:
        return []
    if len(questions) * following.model.quick.products <= INLINE_SCORES:
        return following.lists(questions, now=now)
    return await asyncio.to_thread(following.lists, questions, now=now)
