"""What must hold before a release may go live. Each check refuses with a code, or says nothing."""

from dataclasses import dataclass

import numpy as np

from oferta.errors import PublishRefused, RecordCorrupt
from oferta.progress import Progress
from oferta.store import codec, keys
from oferta.store.codec import Stamp
from oferta.store.contract import Inspector
from oferta.store.keys import KeySpace
from oferta.store.release import Manifest
from oferta_training.release_build import Build
from oferta_training.scores import ScoresFolder

HEADROOM = 1.3
"""Free memory, over what the release will take: Redis needs some while it writes its file anew."""

KEY_BYTES = 150
"""What Redis adds to a record for key, expiry and allocation: a little more than was measured."""

FULL_VERIFY_CUSTOMERS = 100_000
"""Up to here every record is read back; beyond, as many customers' records as this."""

MAX_EMPTY_SHARE = 0.3
MAX_TOP_SHARE = 0.9
MIN_CUSTOMER_RATIO = 0.8
DRIFT = 0.05
"""A share over its limit is let through where the live release had about as much already."""

_VERIFY = "verify"


@dataclass(frozen=True, slots=True)
class GuardRail:
    """A quality limit that a release breaks; a person may override it with a reason."""

    code: str
    problem: str


def check_capacity(store: Inspector, scores: ScoresFolder, *, replicas: int) -> None:
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
    needed = round(HEADROOM * estimated_bytes(scores))
    if free < needed:
        raise PublishRefused(
            "store.capacity",
            "pre-flight",
            f"Redis has {free / 2**20:.0f} MiB free and this release wants {needed / 2**20:.0f}; "
            "raise its maxmemory",
        )


def estimated_bytes(scores: ScoresFolder) -> int:
    """About how much of Redis's memory a release of `scores` takes."""
    buckets = keys.TAGS * keys.buckets_per_tag(scores.customers)
    position_bytes = codec.width(scores.products)
    a_suggestion, a_customer = 3 + 2 * position_bytes, 8 + codec.ENTRY.size
    a_product = 200 + KEY_BYTES + codec.HEADER.size + 20 * (position_bytes + 2)
    return (
        scores.suggestions * a_suggestion
        + scores.customers * a_customer
        + buckets * (codec.HEADER.size + KEY_BYTES)
        + scores.products * a_product
    )


def check_skew(scores: ScoresFolder, live: Manifest | None) -> None:
    """The scores are not of older data than the live release's.

    Raises:
        PublishRefused: `skew.catalogue`.
    """
    if live is not None and scores.dataset_at.timestamp() < live.dataset_at:
        raise PublishRefused(
            "skew.catalogue",
            "pre-flight",
            "the live release is of a newer dataset than these scores. Score the newer one, or go "
            "back with 'oferta rollback'",
        )


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
    wanted = build.customers_per_bucket()
    total = len(wanted)
    names = list(space.buckets(mark.release, build.per_tag))
    similar = [space.similar(mark.release, at) for at in build.similar.sources.tolist()]
    missing = total + len(similar) - store.count(names) - store.count(similar)
    if missing:
        raise PublishRefused("rows.missing", _VERIFY, f"{missing} rows are not in the store")
    chosen = np.arange(total)
    if build.customers > FULL_VERIFY_CUSTOMERS:
        # Seeded by the release, so that a refusal can be looked into.
        share = total * FULL_VERIFY_CUSTOMERS // build.customers
        chosen = np.sort(np.random.default_rng(mark.release).choice(total, share, replace=False))
    with progress.task("verifying rows", total=len(chosen)) as advance:
        for start in range(0, len(chosen), 1024):
            numbers = chosen[start : start + 1024].tolist()
            records = store.records([names[number] for number in numbers])
            for number, record in zip(numbers, records, strict=True):
                _check_bucket(record, int(wanted[number]), mark)
            advance(len(numbers))


def guard_rails(build: Build, live: Manifest | None) -> list[GuardRail]:
    """How this release would be worse than the live one beyond what happens by itself."""
    if live is None:
        return []
    broken = []
    if build.empty_share > max(MAX_EMPTY_SHARE, live.empty_share + DRIFT):
        broken.append(
            GuardRail(
                "quality.empty",
                f"{build.empty_share:.0%} of the lists are empty, {live.empty_share:.0%} live",
            )
        )
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


def _check_bucket(record: bytes | None, customers: int, mark: Stamp) -> None:
    if record is None:
        raise PublishRefused("rows.missing", _VERIFY, "a row is no longer in the store")
    try:
        found = codec.customers_in(record, expect=mark)
    except RecordCorrupt as error:
        raise PublishRefused("rows.corrupt", _VERIFY, str(error)) from error
    if found != customers:
        raise PublishRefused(
            "rows.corrupt", _VERIFY, f"a row holds {found} customers instead of {customers}"
        )
