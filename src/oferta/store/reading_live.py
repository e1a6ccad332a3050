"""What a release carries for answers after new events: its scorer, and pasts to add events to."""

from collections.abc import Mapping, Sequence

from oferta.errors import RecordCorrupt, ReleaseMissing
from oferta.scoring.live_model import LiveModel, Past
from oferta.store import codec, keys
from oferta.store.contract import Reader
from oferta.store.keys import KeySpace
from oferta.store.pasts import past_row
from oferta.store.reading import Damage
from oferta.store.release import Head, Manifest
from oferta.store.scorer import MAX_BYTES, read_scorer


async def load_scorer_parts(reader: Reader, space: KeySpace, manifest: Manifest) -> list[bytes]:
    """The sealed parts of a release's scorer, one by one: each has a deadline of its own.

    Raises:
        StoreUnavailable: no answer within the deadline.
        ReleaseMissing: a part is not in the store.
        RecordCorrupt: it is larger than any scorer.
    """
    if manifest.scorer_bytes > MAX_BYTES:
        raise RecordCorrupt("the scorer is larger than any")
    parts: list[bytes] = []
    for index in range(manifest.scorer_parts):
        (part,) = await reader.fetch([space.scorer(manifest.release, index)])
        if part is None:
            raise ReleaseMissing(manifest.release)
        parts.append(part)
    return parts


def scorer_of(head: Head, parts: Sequence[bytes]) -> LiveModel:
    """The live model of a release, of `load_scorer_parts`. Takes the time of a computation.

    Raises:
        RecordCorrupt: as `read_scorer`.
    """
    return read_scorer(head.manifest, parts, head.catalogue)


async def load_pasts(
    reader: Reader,
    space: KeySpace,
    manifest: Manifest,
    customers: Sequence[bytes],
    *,
    products: int,
) -> list[Past | Damage | None]:
    """The pasts of the customers with these hashes, in one round trip; None for one without.

    Args:
        reader: where from.
        space: the keys.
        manifest: of a release that has pasts.
        customers: `KeySpace.digest` of each.
        products: how many the release's scorer has.

    Raises:
        StoreUnavailable: no answer within the deadline.
    """
    per_tag = manifest.past_buckets_per_tag
    where = [space.past(manifest.release, per_tag, digest) for digest in customers]
    wanted = list(dict.fromkeys(where))
    records = dict(zip(wanted, await reader.fetch(wanted), strict=True))
    return [
        _past(records, key, digest, manifest, products)
        for digest, key in zip(customers, where, strict=True)
    ]


def _past(
    records: Mapping[bytes, bytes | None],
    key: bytes,
    digest: bytes,
    manifest: Manifest,
    products: int,
) -> Past | Damage | None:
    record = records[key]
    if record is None:
        return Damage.MISSING
    try:
        return past_row(
            record,
            keys.rest(digest),
            expect=codec.stamp(manifest),
            columns=manifest.past_columns,
            products=products,
        )
    except RecordCorrupt:
        return Damage.CORRUPT
