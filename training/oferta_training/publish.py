"""Making scores the live release: written beside the live one, verified, then one atomic swap.

At whatever step this stops, the live release stays whole. What a stopped run leaves behind is found
by its announcement and removed by the next run, number by number.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, Literal, get_args

from oferta.clock import Clock
from oferta.errors import FencedOut, PublishRefused, RecordCorrupt
from oferta.privacy.word import Refusals
from oferta.progress import Progress, Silent
from oferta.store import codec, head
from oferta.store.codec import Stamp
from oferta.store.contract import Pointer, PublisherStore
from oferta.store.head import ManifestRecord
from oferta.store.keys import KeySpace
from oferta.store.release import Head, Manifest
from oferta_training import release_checks as checks
from oferta_training.forgotten import Forgotten, release_without
from oferta_training.publications import Entry, PublicationLog
from oferta_training.release_build import Build, build
from oferta_training.releases import (
    Announcement,
    live_manifest,
    note_unrecorded,
    remove_older,
    swap,
)
from oferta_training.scores import ScoresFolder

Step = Literal[
    "fence",
    "pre-flight",
    "write rows",
    "verify",
    "write manifest",
    "swap",
    "replicas",
    "publications",
    "clean up",
]

STEPS: Final[tuple[Step, ...]] = get_args(Step)
"""The steps 0 to 8, in order."""

TTL: Final = timedelta(
    days=14
)  # offers expire: after two weeks without a publish nothing is better


def _unobserved(step: Step) -> None:
    del step


@dataclass(frozen=True, slots=True)
class Options:
    """How to publish.

    Attributes:
        ttl: how long the release stays in the store unless replaced.
        override: a person's reason to go live over broken guard rails, for the publication log.
        replicas: how many replicas must be connected, and are waited for after the swap.
        on_step: told of every step as it begins.
        live: whether the release follows what customers do, where its scores can.
        refusals: who refused or agreed to personalisation since the scores were made.
        forgotten: of some ids, those of customers who were forgotten by then; None: nobody is.
    """

    ttl: timedelta = TTL
    override: str | None = None
    replicas: int = 0
    on_step: Callable[[Step], None] = _unobserved
    live: bool = True
    refusals: Refusals | None = None
    forgotten: Forgotten | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """A release that is live.

    Attributes:
        manifest: what it is.
        previous: the release that a rollback goes to.
        row_bytes: bytes of its rows, without Redis's own.
        profiles: how many customers' profiles it has.
        replicas: how many replicas had it when this was written.
        overridden: codes of the guard rails that were overridden.
        removed: numbers of the older releases and orphans that were removed.
    """

    manifest: Manifest
    previous: int | None
    row_bytes: int
    profiles: int
    replicas: int
    overridden: tuple[str, ...]
    removed: tuple[int, ...]


def publish(
    scores: ScoresFolder,
    store: PublisherStore,
    space: KeySpace,
    *,
    clock: Clock,
    publications: PublicationLog,
    progress: Progress | None = None,
    options: Options | None = None,
) -> Published:
    """Make `scores` (opened, so their hashes are right) the live release.

    Raises:
        FencedOut: a later publisher was faster.
        PublishRefused: a check failed; `code` says which, `step` where. Live release untouched.
        StoreUnavailable: the store went away. Before the swap the live release is untouched; at the
            swap itself the message says that the outcome is unknown.
    """
    options, progress = options or Options(), progress or Silent()
    step = options.on_step

    step("fence")
    fence = store.reserve_fence(above=publications.last_fence())

    step("pre-flight")
    note_unrecorded(store, publications)
    live = live_manifest(store, space)
    checks.check_capacity(store, scores, replicas=options.replicas, live=options.live)
    rails = checks.skew(scores, live)
    _pass_guard_rails(rails, options.override, step="pre-flight")
    with closing(
        build(scores, space, progress=progress, live=options.live, refusals=options.refusals)
    ) as built:
        draft = _Draft(built, _manifest(scores, built, space, fence, clock), options.ttl)

        step("write rows")
        draft.announce(store)
        try:
            row_bytes = draft.write_rows(store, space, progress)

            step("verify")
            checks.check_policy(built)
            rails += checks.guard_rails(built, live)
            overridden = _pass_guard_rails(rails, options.override, step="verify")
            checks.check_rows(store, space, built, draft.stamp, progress=progress)

            if options.forgotten is not None:  # after all rows: see `oferta_training.forgotten`
                gone = options.forgotten(scores.customer_rows()["customer_id"].to_list())
                release_without(
                    store, space, draft.announcement(), release=fence, customer_ids=gone
                )

            step("write manifest")
            digest = draft.write_head(store, space, row_bytes)

            step("swap")
            entry = _entry(draft.manifest, overridden, options.override)
            publications.append(entry)
            pointer = Pointer(fence, None, fence, clock.now().timestamp(), digest)
            live_now = swap(store, pointer)
        except PublishRefused as error:
            raise _withdrawn(error, draft, store, space, publications) from error

    step("replicas")
    replicas = store.replicated(options.replicas, timeout_s=0.2) if options.replicas else 0

    step("publications")
    publications.append(replace(entry, action="published", previous=live_now.previous))

    step("clean up")
    removed = remove_older(store, space)
    profiles = 0 if built.profiles is None else built.customers
    return Published(
        draft.manifest, live_now.previous, row_bytes, profiles, replicas, overridden, removed
    )


@dataclass(frozen=True, slots=True)
class _Draft:
    """A release on its way."""

    built: Build
    manifest: Manifest
    ttl: timedelta

    @property
    def stamp(self) -> Stamp:
        return codec.stamp(self.manifest)

    @property
    def ttl_s(self) -> int:
        return round(self.ttl.total_seconds())

    def packed_head(self) -> tuple[list[bytes], int, str]:
        built = self.built
        return head.pack_head(Head(self.manifest, built.catalogue, built.popular, built.segments))

    def announcement(self) -> Announcement:
        return Announcement(
            self.manifest.model,
            self.manifest.created_at,
            self.manifest.customers,
            self.manifest.products,
            self.built.per_tag,
            len(self.packed_head()[0]),
            self.manifest.profile_buckets_per_tag,
            self.manifest.scorer_parts,
            self.manifest.past_buckets_per_tag,
        )

    def announce(self, store: PublisherStore) -> None:
        store.announce(self.manifest.release, self.announcement().to_bytes())

    def write_rows(self, store: PublisherStore, space: KeySpace, progress: Progress) -> int:
        """Write all rows; their bytes."""
        written = 0
        release, mark = self.manifest.release, self.stamp
        names, profiles = space.buckets(release, self.built.per_tag), self.built.profiles

        def records() -> Iterator[tuple[bytes, bytes]]:
            nonlocal written
            for name, (_, record) in zip(names, self.built.buckets(mark), strict=True):
                written += len(record)
                advance(1)
                yield name, record
            for product, record in self.built.similar_rows(mark):
                written += len(record)
                advance(1)
                yield space.similar(release, product), record
            if profiles is not None:
                for name, record in zip(
                    space.profiles(release, profiles.per_tag), profiles.buckets(mark), strict=True
                ):
                    written += len(record)
                    advance(1)
                    yield name, record
            live = self.built.live
            if live is not None and live.per_tag:
                for name, record in zip(
                    space.pasts(release, live.per_tag), live.buckets(mark), strict=True
                ):
                    written += len(record)
                    advance(1)
                    yield name, record

        with progress.task("writing rows", total=self.built.rows) as advance:
            store.put(records(), ttl_s=self.ttl_s)
        return written

    def write_head(self, store: PublisherStore, space: KeySpace, row_bytes: int) -> str:
        """Write head and manifest and read them back; the manifest's digest."""
        parts, size, digest = self.packed_head()
        release = self.manifest.release
        record = head.manifest_record(
            ManifestRecord(self.manifest, self.built.rows, row_bytes, len(parts), size, digest)
        )
        names = [*(space.head(release, index) for index in range(len(parts)))]
        if self.built.live is not None:
            scorer = self.built.live.scorer_parts(self.stamp)
            names += [space.scorer(release, index) for index in range(len(scorer))]
            parts = [*parts, *scorer]
        store.put(zip(names, parts, strict=True), ttl_s=self.ttl_s)
        store.put([(space.manifest(release), record)], ttl_s=self.ttl_s)
        if store.records([*names, space.manifest(release)]) != [*parts, record]:
            raise PublishRefused(
                "manifest.differs", "write manifest", "the head reads back altered"
            )
        return head.manifest_digest(record)


def _manifest(
    scores: ScoresFolder, built: Build, space: KeySpace, release: int, clock: Clock
) -> Manifest:
    manifest = Manifest(
        release=release,
        model=scores.model,
        model_run=scores.model_run,
        trained_at=scores.trained_at.timestamp(),
        created_at=clock.now().timestamp(),
        dataset=scores.dataset,
        customers=built.customers,
        products=len(built.catalogue),
        buckets_per_tag=built.per_tag,
        similar=len(built.similar.sources),
        key_check=space.key_check(),
        dataset_at=scores.dataset_at.timestamp(),
        empty_share=built.empty_share,
        top_share=built.lists.top_share,
    )
    manifest = replace(
        manifest,
        covered=scores.covered,
        data_until=0.0 if scores.live is None else scores.live.data_until or 0.0,
    )
    if built.live is not None:
        manifest = replace(
            manifest,
            scorer=built.live.part.scorer,
            scorer_parts=len(built.live.scorer_parts(codec.stamp(manifest))),
            scorer_bytes=len(built.live.scorer),
            scorer_sha256=built.live.digest,
            past_buckets_per_tag=built.live.per_tag,
            past_columns=built.live.part.columns,
        )
    if scores.base is None or built.profiles is None:
        return manifest
    return replace(
        manifest,
        profile_buckets_per_tag=built.profiles.per_tag,
        profile_facts=scores.base.facts,
        profile_at=scores.base.as_of.timestamp(),
        profile_zone=scores.base.zone,
    )


def _pass_guard_rails(
    broken: Sequence[checks.GuardRail], override: str | None, *, step: Step
) -> tuple[str, ...]:
    if broken and not override:
        raise PublishRefused(
            broken[0].code,
            step,
            "; ".join(rail.problem for rail in broken)
            + ". If that is meant, publish with --override and the reason",
        )
    return tuple(rail.code for rail in broken)


def _entry(manifest: Manifest, overridden: tuple[str, ...], override: str | None) -> Entry:
    reason = f"override of {', '.join(overridden)}: {override}" if overridden else None
    return Entry(
        action="publishing",
        release=manifest.release,
        fence=manifest.release,
        model=manifest.model,
        model_run=manifest.model_run,
        dataset=manifest.dataset,
        customers=manifest.customers,
        reason=reason,
    )


def _withdrawn(
    error: PublishRefused,
    draft: _Draft,
    store: PublisherStore,
    space: KeySpace,
    publications: PublicationLog,
) -> PublishRefused:
    """Remove what was written of a refused release, which nothing can make live any more."""
    manifest = draft.manifest
    try:
        live = store.live()
    except RecordCorrupt:
        live = None
    if live is not None and live.fence > manifest.release and not isinstance(error, FencedOut):
        # The faster publisher removed our rows: that, and not the missing rows, is the reason.
        error = FencedOut(error.step, manifest.release)
    draft.announcement().remove(store, space, manifest.release)
    publications.append(
        Entry(
            "refused", manifest.release, manifest.release, model=manifest.model, reason=error.code
        )
    )
    return error
