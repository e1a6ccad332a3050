"""What must hold before a release may go live. Each check refuses with a code, or says nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from oferta.errors import PublishRefused, RecordCorrupt
from oferta.progress import Progress
from oferta.store import codec, keys
from oferta.store.codec import Stamp
from oferta.store.contract import Inspector
from oferta.store.keys import KeySpace
from oferta.store.pasts import pasts_in
from oferta.store.profiles import profiles_in
from oferta.store.release import Manifest
from oferta_training import release_pasts, release_profiles
from oferta_training.release_build import Build
from oferta_training.scores import ScoresFolder

HEADROOM = 1.3
"""Free memory, over what the release will take: Redis needs some while it writes its file anew."""

KEY_BYTES = 150
"""What Redis adds to a record for key, expiry and allocation: a little more than was measured."""

FULL_VERIFY_CUSTOMERS = 100_000
"""Up to here every record is read back; beyond, as many as this: of customers, of products."""

MAX_EMPTY_SHARE = 0.3
MAX_TOP_SHARE = 0.9
MIN_CUSTOMER_RATIO = 0.8
DRIFT = 0.05
"""A share over its limit is let through where the live release had about as much already."""

_VERIFY = "verify"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class GuardRail:
    """A quality limit that a release breaks; a person may override it with a reason."""

    code: str
    problem: str


def check_capacity(
    store: Inspector, scores: ScoresFolder, *, replicas: int, live: bool = True
) -> None:
    """The store loses nothing silently and has room for one more release.

    Raises:
        PublishRefused: `store.policy`, `store.capacity` or `store.replicas`.
    """
    capacity = store.capacity()
    if capacity.policy != "noeviction":
        raise PublishRefused(
            "store.policy",
            "pre-flight",
            f"Redis has maxmemory-policy {capacity.policy} and would drop rows without a word; "
            "set it to noeviction",
        )
    if capacity.replicas < replicas:
        raise PublishRefused(
            "store.replicas",
            "pre-flight",
            f"{capacity.replicas} replicas are connected, {replicas} are asked for",
        )
    if capacity.limit_bytes is None:
        return
    free = capacity.limit_bytes - capacity.used_bytes
    needed = round(HEADROOM * estimated_bytes(scores, live=live))
    if free < needed:
        raise PublishRefused(
            "store.capacity",
            "pre-flight",
            f"Redis has {free / 2**20:.0f} MiB free and this release wants {needed / 2**20:.0f}; "
            "raise its maxmemory",
        )


def estimated_bytes(scores: ScoresFolder, *, live: bool = True) -> int:
    """About how much of Redis's memory a release of `scores` takes."""
    buckets = keys.TAGS * keys.buckets_per_tag(scores.customers)
    position_bytes = codec.width(scores.products)
    a_suggestion, a_customer = 3 + 2 * position_bytes, 8 + codec.ENTRY.size
    a_product = 200 + KEY_BYTES + codec.HEADER.size + 20 * (position_bytes + 2)
    profile_bytes = release_profiles.estimated_bytes(scores)
    if profile_bytes:
        records = keys.TAGS * keys.profile_buckets_per_tag(scores.customers)
        profile_bytes += records * (codec.HEADER.size + KEY_BYTES)
    return (
        scores.published * a_suggestion
        + scores.customers * a_customer
        + buckets * (codec.HEADER.size + KEY_BYTES)
        + scores.products * a_product
        + profile_bytes
        + (_live_bytes(scores) if live else 0)
    )


def _live_bytes(scores: ScoresFolder) -> int:
    body = release_pasts.estimated_bytes(scores)
    records = keys.TAGS * keys.past_buckets_per_tag(scores.customers) if body else 0
    return body + records * (codec.HEADER.size + KEY_BYTES)


def skew(scores: ScoresFolder, live: Manifest | None) -> list[GuardRail]:
    """Whether the scores are of older data than the live release's, where both are of one model.

    Datasets of different models are in no order: one may be ingested later and be of older days.
    """
    if (
        live is None
        or _model_name(scores.model) != _model_name(live.model)
        or scores.dataset_at.timestamp() >= live.dataset_at
    ):
        return []
    problem = (
        "the live release is of a newer dataset than these scores. Score the newer one, or go back "
        'with `oferta rollback --reason "..."`'
    )
    return [GuardRail("skew.catalogue", problem)]


def check_policy(build: Build) -> None:
    """No list holds a product that is hidden, over, or held and not to be repeated.

    Raises:
        PublishRefused: `policy.violated`; nobody can override it.
    """
    if build.lists.violations:
        raise PublishRefused(
            "policy.violated",
            _VERIFY,
            f"{build.lists.violations} suggestions are hidden, ended, or held and not repeatable",
        )


def check_rows(
    store: Inspector, space: KeySpace, build: Build, mark: Stamp, *, progress: Progress
) -> None:
    """Every row is there, and those read back are intact and hold who they must.

    Raises:
        PublishRefused: `rows.missing` or `rows.corrupt`.
    """
    random = np.random.default_rng(mark.release)  # so that a refusal can be looked into
    release, profiles = mark.release, build.profiles
    groups = [
        _Rows(
            list(space.buckets(release, build.per_tag)),
            build.customers,
            _customers_check(build.customers_per_bucket(), codec.customers_in, mark),
        ),
        _Rows(
            [space.similar(release, at) for at in build.similar.sources.tolist()],
            len(build.similar.sources),
            _similar_check(build, mark),
        ),
    ]
    if profiles is not None:
        check = _customers_check(profiles.customers_per_bucket(), profiles_in, mark)
        names = list(space.profiles(release, profiles.per_tag))
        groups.append(_Rows(names, build.customers, check))
    live = build.live
    if live is not None and live.per_tag:
        check = _customers_check(live.customers_per_bucket(), pasts_in, mark)
        groups.append(_Rows(list(space.pasts(release, live.per_tag)), build.customers, check))
    missing = sum(len(rows.names) - store.count(rows.names) for rows in groups)
    if missing:
        raise PublishRefused("rows.missing", _VERIFY, f"{missing} rows are not in the store")
    chosen = [rows.sample(random) for rows in groups]
    with progress.task("verifying rows", total=sum(map(len, chosen))) as advance:
        for rows, numbers in zip(groups, chosen, strict=True):
            for start in range(0, len(numbers), 1024):
                some = numbers[start : start + 1024].tolist()
                records = store.records([rows.names[number] for number in some])
                for number, record in zip(some, records, strict=True):
                    rows.check(number, record)
                advance(len(some))


@dataclass(frozen=True, slots=True)
class _Rows:
    """Records of one kind, how many customers or products they are of, and what one must be."""

    names: list[bytes]
    of: int
    check: Callable[[int, bytes | None], None]

    def sample(self, random: Generator) -> NDArray[np.int64]:
        """The numbers of those to read back: all, or as many as hold enough."""
        total = len(self.names)
        if self.of <= FULL_VERIFY_CUSTOMERS:
            return np.arange(total)
        share = total * FULL_VERIFY_CUSTOMERS // self.of
        return np.sort(random.choice(total, share, replace=False))


def guard_rails(build: Build, live: Manifest | None) -> list[GuardRail]:
    """What is wrong with any release, and how this one would be worse than the live one."""
    broken = []
    if not build.customers:
        broken.append(GuardRail("quality.nobody", "there is no customer"))
    usual = "" if live is None else f", {live.empty_share:.0%} live"
    if build.empty_share > max(MAX_EMPTY_SHARE, live.empty_share + DRIFT if live else 0.0):
        broken.append(
            GuardRail("quality.empty", f"{build.empty_share:.0%} of the lists are empty{usual}")
        )
    if live is None:
        return broken
    if build.lists.top_share > max(MAX_TOP_SHARE, live.top_share + DRIFT):
        broken.append(
            GuardRail(
                "quality.top_share",
                f"{build.lists.top_share:.0%} of the lists begin with the same product, "
                f"{live.top_share:.0%} live",
            )
        )
    if build.customers < MIN_CUSTOMER_RATIO * live.customers:
        broken.append(
            GuardRail("quality.shrank", f"{build.customers} customers, {live.customers} live")
        )
    return broken


def _model_name(model: str) -> str:
    return model.partition("/")[0]


def _customers_check(
    wanted: NDArray[np.int64], count: Callable[..., int], mark: Stamp
) -> Callable[[int, bytes | None], None]:
    def check(number: int, record: bytes | None) -> None:
        found = _intact(record, lambda row: count(row, expect=mark))
        if found != wanted[number]:
            raise PublishRefused(
                "rows.corrupt",
                _VERIFY,
                f"a row holds {found} customers instead of {wanted[number]}",
            )

    return check


def _similar_check(build: Build, mark: Stamp) -> Callable[[int, bytes | None], None]:
    similar, products = build.similar, len(build.catalogue)
    stops = np.cumsum(similar.counts)

    def check(number: int, record: bytes | None) -> None:
        near = _intact(record, lambda row: codec.neighbours(row, expect=mark, products=products))
        stop = int(stops[number])
        wanted = similar.products[stop - int(similar.counts[number]) : stop].tolist()
        if [each.product for each in near] != wanted:
            raise PublishRefused(
                "rows.corrupt",
                _VERIFY,
                "a row of similar products holds other products than it should",
            )

    return check


def _intact(record: bytes | None, read: Callable[[bytes], _T]) -> _T:
    if record is None:
        raise PublishRefused("rows.missing", _VERIFY, "a row is no longer in the store")
    try:
        return read(record)
    except RecordCorrupt as error:
        raise PublishRefused("rows.corrupt", _VERIFY, str(error)) from error
