"""Which release this process serves: followed in the background, swapped in one assignment.

Requests read `releases.current` and never wait for a change of it. The pointer is read every
`refresh_s`; the head of a new release is loaded and prepared beside the one being served.
"""

import asyncio
import gc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import structlog

from oferta.errors import (
    RecordCorrupt,
    ReleaseMissing,
    SlotsUnavailable,
    StoreError,
    StoreUnavailable,
)
from oferta.events.types import BUILT_IN, EventType
from oferta.store.contract import Pointer, Reader
from oferta.store.keys import KeySpace
from oferta.store.reading import load_head
from oferta.store.reading_live import load_scorer_parts, scorer_of
from oferta.store.release import Head
from oferta_serving import lasthead
from oferta_serving.breaker import Breaker
from oferta_serving.following import Following, following_of
from oferta_serving.metrics import Metrics
from oferta_serving.older import Older, older_of
from oferta_serving.view import ReleaseView, view_of

log = structlog.get_logger()

RETRY_S = 5.0
"""After how long a scorer that could not be read is asked for again."""


@dataclass(frozen=True, slots=True)
class Serving:
    """What is served at one instant; a request holds on to one of these from start to end.

    Attributes:
        live: the release being served, None before any was ever seen.
        older: the release before it, for rows that the live one lost.
        trouble: why customers' rows cannot be read even if Redis answers, None when they can.
        digest: what the pointer knows the live release by; None for one restored from the file.
        following: what makes lists of the live release fresh; None where it has nothing of it, or
            that cannot be read.
    """

    live: ReleaseView | None = None
    older: Older | None = None
    trouble: str | None = "no_release"
    digest: str | None = None
    following: Following | None = None


class Releases:
    """Follows the live pointer. For one event loop; `current` is replaced, never altered."""

    def __init__(
        self,
        reader: Reader,
        space: KeySpace,
        *,
        breaker: Breaker,
        metrics: Metrics,
        folder: Path,
        refresh_s: float,
        types: Mapping[str, EventType] = BUILT_IN,
    ) -> None:
        self.current = Serving()
        self.pointer_read = False
        self._reader = reader
        self._space = space
        self._breaker = breaker
        self._metrics = metrics
        self._folder = folder
        self._refresh_s = refresh_s
        self._types = types
        self._retry_in = 0
        self._refreshing: asyncio.Task[None] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._told: str | None = None

    async def restore(self) -> None:
        """Serve what was served last, until Redis says what is live."""
        try:
            head = await asyncio.to_thread(lasthead.restore, self._folder, self._space)
        except RecordCorrupt as error:
            log.warning("head.refused", problem=str(error))
            return
        if head is not None:
            view = await asyncio.to_thread(partial(view_of, head, from_disk=True))
            self._become(Serving(view, trouble=None))
            log.info("head.restored", release=head.manifest.release)

    async def follow(self) -> None:
        """Keep `current` up to date until cancelled."""
        while True:
            try:
                await self.refresh()
            except Exception:
                log.exception("release.follow_failed")
            await asyncio.sleep(self._refresh_s)

    async def refresh(self) -> None:
        """Read the pointer now and act on it; several callers at once share one reading."""
        if self._refreshing is None:
            self._refreshing = asyncio.create_task(self._refresh())
            self._refreshing.add_done_callback(self._refreshed)
        await asyncio.shield(self._refreshing)

    async def close(self) -> None:
        """Finish what is under way."""
        under_way = {task for task in (self._refreshing, self._keeping) if task is not None}
        if under_way:
            await asyncio.wait(under_way)

    def store_failed(self) -> None:
        """A call of Redis failed."""
        self._breaker.failed()
        self._metrics.store_failures.inc()
        self._show_breaker()

    def store_succeeded(self) -> None:
        """A call of Redis was answered."""
        self._breaker.succeeded()

    def _refreshed(self, _task: asyncio.Task[None]) -> None:
        self._refreshing = None

    async def _refresh(self) -> None:
        if not self._breaker.may_probe():
            return
        try:
            await self._follow_pointer(await self._reader.pointer())
        except SlotsUnavailable:
            # The pointer's node of a cluster is away. The others' customers are served as before.
            self._breaker.recovered()
            self._metrics.store_failures.inc()
            self._tell("pointer_unavailable")
        except StoreUnavailable:
            self.store_failed()
            if self._breaker.is_open:
                self._tell("store_unavailable")
        except (RecordCorrupt, ReleaseMissing) as error:
            self._breaker.recovered()
            self._metrics.damaged.labels("head").inc()
            self._suffer("release_unreadable", problem=str(error))
        else:
            self._breaker.recovered()
        self._show_breaker()

    async def _follow_pointer(self, pointer: Pointer | None) -> None:
        self.pointer_read = True
        now = self.current
        if pointer is None:
            self._suffer("no_release" if now.live is None else "store_empty")
            return
        if now.live is None or now.digest != pointer.manifest:
            live = await self._load(pointer.release, digest=pointer.manifest)
        else:
            live = now.live
        same_keys = live.head.manifest.key_check == self._space.key_check()
        trouble = None if same_keys else "key_secret_differs"
        older = await self._older(pointer, live)
        following = await self._following(live)
        new = Serving(live, older, trouble, pointer.manifest, following)
        if new != now:
            self._become(new)
        self._tell(trouble)
        if live is not now.live:
            log.info("release.loaded", release=pointer.release, model=live.head.manifest.model)
            # A release is no garbage for hours: not walking it again and again takes a third off
            # the time of a batch (36 us a customer, not 56). It is still freed by counting; real
            # garbage would be set aside for good, so that goes first.
            gc.collect()
            gc.freeze()
            self._keeping = asyncio.create_task(self._keep(live, after=self._keeping))

    async def _older(self, pointer: Pointer, live: ReleaseView) -> Older | None:
        wanted, now = pointer.previous, self.current
        if wanted is None or wanted >= live.head.manifest.release:
            return None  # after a rollback, what went before is what was rolled back from
        had = now.older
        if had is not None and had.live is live and had.view.head.manifest.release == wanted:
            return had
        for view in (now.live, None if had is None else had.view):
            if view is not None and view.head.manifest.release == wanted:
                return await asyncio.to_thread(older_of, view, live)
        try:
            return await asyncio.to_thread(older_of, await self._load(wanted), live)
        except StoreError:
            return None  # it is a second chance only, and may well have expired

    async def _load(self, release: int, *, digest: str | None = None) -> ReleaseView:
        head = await load_head(self._reader, self._space, release, digest=digest)
        return await asyncio.to_thread(view_of, head)

    async def _following(self, live: ReleaseView) -> Following | None:
        """What makes the lists of `live` fresh: before it is served, so that nobody's list forgets.

        A release is served without, too; then it is tried again every `RETRY_S`.
        """
        now, manifest = self.current, live.head.manifest
        if live is now.live:
            self._retry_in -= 1
            if now.following is not None or not manifest.scorer_parts or self._retry_in > 0:
                return now.following
        elif not manifest.scorer_parts:
            return None
        self._retry_in = round(RETRY_S / self._refresh_s)
        try:
            parts = await load_scorer_parts(self._reader, self._space, manifest)
            made = partial(_followed, live.head, parts, self._types)
            return await asyncio.to_thread(made)
        except (StoreUnavailable, SlotsUnavailable):
            self._metrics.store_failures.inc()
        except (RecordCorrupt, ReleaseMissing) as error:
            self._metrics.damaged.labels("scorer").inc()
            log.warning("scorer.unreadable", release=manifest.release, problem=str(error))
        return None

    async def _keep(self, view: ReleaseView, *, after: asyncio.Task[None] | None) -> None:
        if after is not None:
            await asyncio.wait({after})  # else the older release might be written last
        try:
            await asyncio.to_thread(lasthead.keep, self._folder, view.head, self._space)
        except OSError as error:
            log.warning("head.not_kept", problem=type(error).__name__)

    def _become(self, serving: Serving) -> None:
        self.current = serving
        if serving.live is not None:
            self._metrics.release.set(serving.live.head.manifest.release)
            self._metrics.release_created.set(serving.live.head.manifest.created_at)

    def _suffer(self, trouble: str, **facts: str) -> None:
        now = self.current
        if now.trouble != trouble:
            self._become(replace(now, trouble=trouble))
        self._tell(trouble, **facts)

    def _tell(self, trouble: str | None, **facts: str) -> None:
        """Log each change of state once, not each attempt."""
        if trouble == self._told:
            return
        if trouble is None:
            log.info("store.recovered")
        else:
            log.warning("store.troubled", reason=trouble, **facts)
        self._told = trouble

    def _show_breaker(self) -> None:
        self._metrics.breaker_open.set(int(self._breaker.is_open))


def _followed(head: Head, parts: Sequence[bytes], types: Mapping[str, EventType]) -> Following:
    return following_of(scorer_of(head, parts), head.catalogue, types)
