"""The releases in a store: which there are, going back to the previous one, removing old ones."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

import orjson

from oferta.clock import Clock
from oferta.errors import (
    FencedOut,
    PublishRefused,
    RecordCorrupt,
    ReleaseMissing,
    StoreUnavailable,
)
from oferta.store import head
from oferta.store.contract import Inspector, Pointer, PublisherStore
from oferta.store.head import ManifestRecord
from oferta.store.keys import KeySpace
from oferta.store.release import Manifest
from oferta_training.publications import Entry, PublicationLog

State = Literal["live", "previous", "incoming", "orphan"]


@dataclass(frozen=True, slots=True)
class Announcement:
    """What is noted in the store before a release's first row: enough to find all its keys."""

    model: str
    created_at: float
    customers: int
    products: int
    per_tag: int
    head_parts: int
    profiles_per_tag: int = 0
    scorer_parts: int = 0
    pasts_per_tag: int = 0

    def to_bytes(self) -> bytes:
        """The note."""
        return orjson.dumps(asdict(self))

    @classmethod
    def from_bytes(cls, note: bytes) -> "Announcement":
        """What `to_bytes` wrote.

        Raises:
            RecordCorrupt: anything else.
        """
        try:
            return cls(**orjson.loads(note))
        except (ValueError, TypeError) as error:
            raise RecordCorrupt("the announcement of a release cannot be read") from error

    def keys(self, space: KeySpace, release: int) -> Iterator[bytes]:
        """All keys that the release may have; the manifest first, so that it ends whole."""
        yield space.manifest(release)
        for part in range(self.head_parts):
            yield space.head(release, part)
        yield from space.buckets(release, self.per_tag)
        for part in range(self.scorer_parts):
            yield space.scorer(release, part)
        yield from space.profiles(release, self.profiles_per_tag)
        yield from space.pasts(release, self.pasts_per_tag)
        for product in range(self.products):
            yield space.similar(release, product)

    def remove(self, store: PublisherStore, space: KeySpace, release: int) -> None:
        """Remove all rows of the release, then forget it: in this order, so it can be repeated."""
        store.remove(self.keys(space, release))
        store.withdraw(release)


@dataclass(frozen=True, slots=True)
class Release:
    """One release as `oferta releases` shows it.

    Attributes:
        state: `incoming` is being written by a publisher later than the live one; `orphan` was left
            by a publisher that stopped, and the next publish removes it.
        row_bytes: of its rows, without Redis's own; None while there is no manifest.
    """

    number: int
    state: State
    model: str
    created_at: float  # epoch seconds
    age: timedelta
    customers: int
    products: int
    row_bytes: int | None


@dataclass(frozen=True, slots=True)
class RolledBack:
    """The release that is live again, and the one that it replaced."""

    manifest: Manifest
    replaced: int


def live_manifest(store: Inspector, space: KeySpace) -> Manifest | None:
    """The live release's manifest; None where nothing is live, or nothing that can be read."""
    try:
        live = store.live()
        return None if live is None else _manifest(store, space, live.release)[0].manifest
    except (RecordCorrupt, ReleaseMissing):
        return None


def list_releases(store: PublisherStore, space: KeySpace, *, now: datetime) -> list[Release]:
    """All releases that are, or may be, in the store; the newest first."""
    try:
        live = store.live()
    except RecordCorrupt:
        live = None
    found = []
    for number, note in sorted(store.announced().items(), reverse=True):
        try:
            announced = Announcement.from_bytes(note)
        except RecordCorrupt:
            announced = Announcement("unknown", now.timestamp(), 0, 0, 1, 0)
        try:
            row_bytes = _manifest(store, space, number)[0].row_bytes
        except (RecordCorrupt, ReleaseMissing):
            row_bytes = None
        found.append(
            Release(
                number=number,
                state=_state(number, live),
                model=announced.model,
                created_at=announced.created_at,
                age=timedelta(seconds=now.timestamp() - announced.created_at),
                customers=announced.customers,
                products=announced.products,
                row_bytes=row_bytes,
            )
        )
    return found


def rollback(
    store: PublisherStore,
    space: KeySpace,
    *,
    reason: str,
    clock: Clock,
    publications: PublicationLog,
) -> RolledBack:
    """Make the previous release live again: a new fence and one swap, nothing is rewritten.

    Raises:
        PublishRefused: `rollback.none` (there is no previous release), `rollback.gone` (its rows
            are no longer all there).
        FencedOut: a publisher was faster.
        StoreUnavailable: the store went away.
    """
    live = store.live()
    if live is None or live.previous is None:
        raise PublishRefused("rollback.none", "rollback", "there is no previous release")
    try:
        record, digest = _manifest(store, space, live.previous)
    except (ReleaseMissing, RecordCorrupt) as error:
        raise PublishRefused("rollback.gone", "rollback", str(error)) from error
    manifest = record.manifest
    _check_complete(store, space, record)
    fence = store.reserve_fence(above=publications.last_fence())
    entry = Entry(
        "rolling back",
        manifest.release,
        fence,
        previous=live.release,
        model=manifest.model,
        model_run=manifest.model_run,
        dataset=manifest.dataset,
        customers=manifest.customers,
        reason=reason,
    )
    publications.append(entry)
    pointer = Pointer(manifest.release, None, fence, clock.now().timestamp(), digest)
    swap(store, pointer, replacing=live.fence)
    publications.append(replace(entry, action="rolled back"))
    return RolledBack(manifest, live.release)


def swap(store: PublisherStore, pointer: Pointer, *, replacing: int | None = None) -> Pointer:
    """Swap; the pointer as it is stored now, with the release that was live until then.

    Raises:
        FencedOut: another fence holds.
        PublishRefused: the release's manifest is not there.
        StoreUnavailable: no answer, and no way to find out what became of it.
    """
    lost: StoreUnavailable | None = None
    try:
        if not store.swap(pointer, replacing=replacing):
            raise FencedOut("swap", pointer.fence)
    except StoreUnavailable as error:
        lost = error  # the answer, perhaps not the swap: it is never sent twice, ask instead
    try:
        live = store.live()
    except (StoreUnavailable, RecordCorrupt):
        live = None
    if live is not None and live.fence == pointer.fence:
        return live
    if lost is not None and (live is None or live.fence < pointer.fence):
        raise StoreUnavailable(
            f"{lost}. Whether release {pointer.release} went live is unknown: see 'oferta releases'"
        ) from lost
    if (
        lost is not None
        and live is not None
        and pointer.release not in (live.release, live.previous)
    ):
        raise FencedOut("swap", pointer.fence)
    # It was live, and a later swap has replaced it already; what was live before is not known.
    return pointer


def note_unrecorded(store: Inspector, publications: PublicationLog) -> None:
    """Put a live release on record whose publisher was killed between its swap and its log."""
    try:
        live = store.live()
    except RecordCorrupt:
        return
    if live is not None and not publications.knows(live.fence):
        publications.append(Entry("found live", live.release, live.fence, previous=live.previous))


def remove_older(store: PublisherStore, space: KeySpace) -> tuple[int, ...]:
    """Remove what the live pointer has left behind, orphans of killed runs included; the numbers.

    Those are all announced releases with smaller numbers than its fence, save the live and the
    previous one. None can go live any more, whatever happens meanwhile: their publishers' fences
    are smaller than the live one, and a rollback goes to the previous one alone.
    """
    live = store.live()
    if live is None:
        return ()
    removed = []
    for number, note in sorted(store.announced().items()):
        if number >= live.fence or number in (live.release, live.previous):
            continue
        try:
            Announcement.from_bytes(note).remove(store, space, number)
        except RecordCorrupt:
            store.withdraw(number)  # its rows expire by themselves
        removed.append(number)
    return tuple(removed)


def _manifest(store: Inspector, space: KeySpace, release: int) -> tuple[ManifestRecord, str]:
    (record,) = store.records([space.manifest(release)])
    if record is None:
        raise ReleaseMissing(release)
    return head.read_manifest(record), head.manifest_digest(record)


def _check_complete(store: Inspector, space: KeySpace, record: ManifestRecord) -> None:
    manifest = record.manifest
    release = manifest.release
    parts = [space.head(release, part) for part in range(record.head_parts)]
    similar = (space.similar(release, product) for product in range(manifest.products))
    rows = store.count(space.buckets(release, manifest.buckets_per_tag)) + store.count(similar)
    rows += store.count(space.profiles(release, manifest.profile_buckets_per_tag))
    rows += store.count(space.pasts(release, manifest.past_buckets_per_tag))
    parts += [space.scorer(release, part) for part in range(manifest.scorer_parts)]
    missing = record.rows - rows + len(parts) - store.count(parts)
    if missing:
        raise PublishRefused(
            "rollback.gone", "rollback", f"{missing} rows of release {release} are gone"
        )


def _state(number: int, live: Pointer | None) -> State:
    if live is not None and number == live.release:
        return "live"
    if live is not None and number == live.previous:
        return "previous"
    return "incoming" if live is None or number > live.fence else "orphan"
