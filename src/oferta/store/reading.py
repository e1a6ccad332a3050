"""A release as values, read through the reader's port.

A reader refreshes its pointer every quarter of a second, keeps the head of the live release, and
reads rows with it. Rows that cannot be believed come back as `Damage`, each for itself: what to
answer instead is the reader's decision.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import chain
from typing import Protocol

from oferta.errors import RecordCorrupt, ReleaseMissing, SlotsUnavailable
from oferta.privacy.consents import NOTHING_SAID, Consents
from oferta.profile.recent import NOTHING_RECENT, Recent
from oferta.store import codec, head, keys, profiles
from oferta.store.contract import Reader
from oferta.store.customer_records import open_consents, open_recent
from oferta.store.head import ManifestRecord
from oferta.store.keys import KeySpace
from oferta.store.profiles import ProfileRow
from oferta.store.release import CustomerRow, Head, Manifest, Neighbour


class Damage(Enum):
    """Why a row that a release must have cannot be used."""

    MISSING = "missing"  # removed, expired or lost
    CORRUPT = "corrupt"  # checksum, release or shape is wrong
    UNREACHABLE = "unreachable"  # on a node of a cluster that is away


@dataclass(frozen=True, slots=True)
class CustomerRecords:
    """All that a list is made of, as it was read of one customer.

    Attributes:
        row: in the release; None for a customer who is not in it.
        recent: what they did lately, which the release may or may not know of.
        consents: their words; `Damage` where these cannot be told: then nothing personal is shown.
    """

    row: CustomerRow | Damage | None
    recent: Recent | Damage = NOTHING_RECENT
    consents: Consents | Damage = NOTHING_SAID


async def load_manifest(
    reader: Reader, space: KeySpace, release: int, *, digest: str | None = None
) -> ManifestRecord:
    """The manifest of a release; `digest` is what the pointer says of it, where there is one.

    Raises:
        StoreUnavailable: no answer within the deadline.
        ReleaseMissing: the store has no such manifest.
        RecordCorrupt: it is altered, or is not the one that the pointer means.
    """
    (record,) = await reader.fetch([space.manifest(release)])
    if record is None:
        raise ReleaseMissing(release)
    if digest is not None and head.manifest_digest(record) != digest:
        raise RecordCorrupt(f"the manifest of release {release} is not the one made live")
    found = head.read_manifest(record)
    if found.manifest.release != release:
        raise RecordCorrupt(f"the manifest of release {release} is another release's")
    return found


async def load_head(
    reader: Reader, space: KeySpace, release: int, *, digest: str | None = None
) -> Head:
    """The head of a release, part by part: each part has a deadline of its own.

    Raises:
        StoreUnavailable: no answer within the deadline.
        ReleaseMissing: the manifest or a part is not in the store.
        RecordCorrupt: either is altered.
    """
    record = await load_manifest(reader, space, release, digest=digest)
    parts: list[bytes] = []
    for index in range(record.head_parts):
        (part,) = await reader.fetch([space.head(release, index)])
        if part is None:
            raise ReleaseMissing(release)
        parts.append(part)
    return head.read_head(record, parts)


async def load_rows(
    reader: Reader,
    space: KeySpace,
    manifest: Manifest,
    customer_ids: Sequence[str],
) -> list[CustomerRow | Damage | None]:
    """The customers' rows in their order, in one round trip; None for a customer without one.

    Args:
        reader: where from.
        space: the keys.
        manifest: of the release that is read. All rows are of this release or damage.
        customer_ids: whose; any may repeat.

    Raises:
        StoreUnavailable: no answer within the deadline.
    """
    digests = [space.digest(customer_id) for customer_id in customer_ids]
    per_tag = manifest.buckets_per_tag
    where = [space.bucket(manifest.release, per_tag, digest) for digest in digests]
    wanted = list(dict.fromkeys(where))
    records = dict(zip(wanted, await reader.fetch(wanted), strict=True))
    mark = codec.stamp(manifest)
    rows: list[CustomerRow | Damage | None] = []
    for digest, key in zip(digests, where, strict=True):
        record = records[key]
        if record is None:
            rows.append(Damage.MISSING)
            continue
        try:
            row = codec.customer_row(
                record, keys.rest(digest), expect=mark, products=manifest.products
            )
        except RecordCorrupt:
            rows.append(Damage.CORRUPT)
        else:
            rows.append(row)
    return rows


async def load_customers(
    reader: Reader, space: KeySpace, manifest: Manifest, digests: Sequence[bytes]
) -> list[CustomerRecords]:
    """What is kept of the customers with these `KeySpace.digest`s, in their order.

    One round trip, one slot a customer.

    Where a node of a cluster is away, all that is kept of its customers is `Damage.UNREACHABLE`.

    Raises:
        StoreUnavailable: no answer within the deadline, on anybody.
    """
    release, per_tag, mark = manifest.release, manifest.buckets_per_tag, codec.stamp(manifest)
    where = [
        (space.bucket(release, per_tag, digest), space.recent(digest), space.consent(digest))
        for digest in digests
    ]
    records = await fetch_reachable(reader, list(dict.fromkeys(chain.from_iterable(where))))
    found: list[CustomerRecords] = []
    for digest, (bucket, recent, consent) in zip(digests, where, strict=True):
        if consent not in records:
            found.append(_OUT_OF_REACH)
            continue
        record = records[bucket]
        row: CustomerRow | Damage | None = Damage.MISSING
        if record is not None:
            try:
                row = codec.customer_row(
                    record, keys.rest(digest), expect=mark, products=manifest.products
                )
            except RecordCorrupt:
                row = Damage.CORRUPT
        found.append(
            CustomerRecords(row, recent_of(records[recent]), consents_of(records[consent]))
        )
    return found


_OUT_OF_REACH = CustomerRecords(Damage.UNREACHABLE, Damage.UNREACHABLE, Damage.UNREACHABLE)


class _Fetches(Protocol):
    """Whoever reads many keys: `contract.Reader`, `decisions.Records`."""

    async def fetch(self, keys: Sequence[bytes]) -> list[bytes | None]: ...


async def fetch_reachable(reader: _Fetches, keys: Sequence[bytes]) -> Mapping[bytes, bytes | None]:
    """The records at `keys`, by key; without those whose node of a cluster is away.

    Raises:
        StoreUnavailable: no answer within the deadline, or all of them are away.
    """
    try:
        return dict(zip(keys, await reader.fetch(keys), strict=True))
    except SlotsUnavailable as partly:
        if not partly.found:
            raise
        return partly.found


def recent_of(record: bytes | None) -> Recent | Damage:
    """What the customer did lately, by what was fetched from `KeySpace.recent`."""
    try:
        return NOTHING_RECENT if record is None else open_recent(record)
    except RecordCorrupt:
        return Damage.CORRUPT


def consents_of(record: bytes | None) -> Consents | Damage:
    """The customer's words, by what was fetched from `KeySpace.consent`."""
    try:
        return NOTHING_SAID if record is None else open_consents(record)
    except RecordCorrupt:
        return Damage.CORRUPT


async def load_profiles(
    reader: Reader,
    space: KeySpace,
    manifest: Manifest,
    customer_ids: Sequence[str],
) -> list[ProfileRow | Damage | None]:
    """The customers' profiles in their order, in one round trip; None for one without.

    Whoever fetches other keys of the customers in the same round trip uses `profile_key` and
    `profile_of`.

    Raises:
        StoreUnavailable: no answer within the deadline.
    """
    if not manifest.profile_buckets_per_tag:
        return [None] * len(customer_ids)
    digests = [space.digest(customer_id) for customer_id in customer_ids]
    where = [profile_key(space, manifest, digest) for digest in digests]
    wanted = list(dict.fromkeys(where))
    records = dict(zip(wanted, await reader.fetch(wanted), strict=True))
    return [
        profile_of(records[key], digest, manifest)
        for digest, key in zip(digests, where, strict=True)
    ]


def profile_key(space: KeySpace, manifest: Manifest, digest: bytes) -> bytes:
    """Where the profile of the customer with this `KeySpace.digest` lies.

    Only of a release that has profiles: `manifest.profile_buckets_per_tag` is not 0.
    """
    return space.profile(manifest.release, manifest.profile_buckets_per_tag, digest)


def profile_of(
    record: bytes | None, digest: bytes, manifest: Manifest
) -> ProfileRow | Damage | None:
    """The customer's profile in what was fetched from `profile_key`; None: not in the release."""
    if record is None:
        return Damage.MISSING
    try:
        return profiles.profile_row(
            record,
            keys.rest(digest),
            expect=codec.stamp(manifest),
            facts=manifest.profile_facts,
            products=manifest.products,
        )
    except RecordCorrupt:
        return Damage.CORRUPT


async def load_similar(
    reader: Reader, space: KeySpace, manifest: Manifest, product: int
) -> tuple[Neighbour, ...] | None:
    """The products similar to the one at `product`; None where the release has no list for it.

    Raises:
        StoreUnavailable: no answer within the deadline.
        RecordCorrupt: the row is altered.
    """
    (record,) = await reader.fetch([space.similar(manifest.release, product)])
    if record is None:
        return None
    return codec.neighbours(record, expect=codec.stamp(manifest), products=manifest.products)
