"""Small releases, written as a publisher writes them, and servers to read them from.

Buckets, head and pointer go through the real codec and the real stores. Products are fewer than
positions in lists, segments have unequal lengths, ids hold what URLs do not like.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from oferta.scoring.reasons import Reason
from oferta.store import codec
from oferta.store.contract import Pointer, Writer
from oferta.store.head import ManifestRecord, manifest_digest, manifest_record, pack_head
from oferta.store.keys import KeySpace, rest
from oferta.store.packing import pack_rows
from oferta.store.release import (
    CatalogueEntry,
    CustomerRow,
    Head,
    Manifest,
    PopularList,
    Suggestion,
)

SECRET = b"0123456789abcdef0123456789abcdef"
NOON = 1_800_000_000.0
"""The instant at which these worlds are made, epoch seconds."""

ODD_ID = "家庭/7: a b%?#é"


def entry(product_id: str, **facts: object) -> CatalogueEntry:
    """A product, active and repeatable unless said otherwise."""
    plain = CatalogueEntry(
        product_id=product_id,
        name=product_id.title(),
        category="loan",
        price_minor=None,
        starts_at=None,
        ends_at=None,
        status="active",
        repeatable=True,
    )
    return replace(plain, **facts)  # type: ignore[arg-type] # fields of the entry


def listed(
    products: Sequence[int], reason: Reason = "popular", because: int | None = None
) -> tuple[Suggestion, ...]:
    """Suggestions in this order, scores falling from 1."""
    return tuple(
        Suggestion(product, 1 - at / 64, reason, because) for at, product in enumerate(products)
    )


@dataclass(frozen=True)
class World:
    """What one release holds."""

    catalogue: tuple[CatalogueEntry, ...]
    popular: tuple[Suggestion, ...]
    segments: Mapping[str, tuple[Suggestion, ...]]
    customers: Mapping[str, CustomerRow]
    similar: Mapping[int, tuple[Suggestion, ...]] = field(default_factory=dict)
    model: str = "ease/3"
    created_at: float = NOON

    def head(self, release: int, space: KeySpace) -> Head:
        """The head as release number `release`."""
        manifest = Manifest(
            release=release,
            model=self.model,
            model_run="run-1",
            trained_at=self.created_at - 3600,
            created_at=self.created_at,
            dataset="fingerprint",
            customers=len(self.customers),
            products=len(self.catalogue),
            buckets_per_tag=1,
            similar=len(self.similar),
            key_check=space.key_check(),
        )
        return Head(
            manifest,
            self.catalogue,
            PopularList(None, self.popular),
            tuple(PopularList(name, items) for name, items in self.segments.items()),
        )


def shop() -> World:
    """Twelve products: of two categories, some hidden, over, not yet begun, or not repeatable."""
    catalogue = (
        entry("car-loan", name="Car loan"),
        entry("balloon", name="Balloon loan", category="loan"),
        entry("casco", name="Casco insurance", category="insurance"),
        entry("gap", name=None, category="insurance", repeatable=False),
        entry("hidden", status="hidden"),
        entry("over", ends_at=int(NOON) - 1),
        entry("not-yet", starts_at=int(NOON) + 3600),
        entry("ends-soon", ends_at=int(NOON) + 3600, category="insurance"),
        entry("warranty", category="service"),
        entry("tyres", category="service"),
        entry("leasing", category="loan", repeatable=False),
        entry(ODD_ID, category="service"),
    )
    return World(
        catalogue=catalogue,
        popular=listed([4, 0, 2, 8, 9, 10, 3, 5, 1, 11]),
        segments={
            "young": listed([7, 9, 4, 3], "popular_in_segment"),
            "old": listed([8, 10], "popular_in_segment"),
        },
        customers={
            "anna": CustomerRow(0, listed([1, 6, 2], "bought_together", 0), held=(3, 10)),
            "bela": CustomerRow(1, listed([2, 5], "similar_taste"), held=()),
            "cleo": CustomerRow(None, listed([9, 8, 7, 2, 1, 0], "often_follows", 8), held=(10,)),
            "dora": CustomerRow(0, listed([7, 9], "popular_in_segment"), cold=True),
            "emil": CustomerRow(1, listed([8], "popular_in_segment"), held=(3, 10)),
            "fred": CustomerRow(1, listed([2, 6], "fits_profile"), cold=True),
            "gina": CustomerRow(None, listed([4, 0], "popular"), cold=True),
            "hugo": CustomerRow(None, (), closed=True),
            "ines": CustomerRow(None, (), closed=True),
            ODD_ID: CustomerRow(0, listed([11, 1], "similar_taste", 2), held=(3,)),
        },
        similar={0: listed([1, 10, 5, 2]), 2: listed([3, 7]), 11: listed([9])},
    )


def publish(store: Writer, space: KeySpace, world: World, *, swapped_at: float = NOON) -> int:
    """Write `world` and make it live; its release number."""
    release = store.reserve_fence()
    head = world.head(release, space)
    mark = codec.stamp(head.manifest)
    products = len(world.catalogue)
    buckets: dict[bytes, dict[int, CustomerRow]] = {key: {} for key in space.buckets(release, 1)}
    for customer_id, row in world.customers.items():
        digest = space.digest(customer_id)
        buckets[space.bucket(release, 1, digest)][rest(digest)] = row
    empty = pack_rows(mark, {}, products=products)
    records = [
        (key, pack_rows(mark, rows, products=products) if rows else empty)
        for key, rows in buckets.items()
    ]
    records += [
        (space.similar(release, product), _similar(mark, items, products))
        for product, items in world.similar.items()
    ]
    parts, size, digest_of_head = pack_head(head)
    records += [(space.head(release, part), record) for part, record in enumerate(parts)]
    manifest = manifest_record(
        ManifestRecord(
            manifest=head.manifest,
            rows=len(records),
            row_bytes=0,
            head_parts=len(parts),
            head_bytes=size,
            head_sha256=digest_of_head,
        )
    )
    records.append((space.manifest(release), manifest))
    store.put(records, ttl_s=3600)
    pointer = Pointer(release, None, release, swapped_at, manifest_digest(manifest))
    assert store.swap(pointer)
    return release


def _similar(mark: codec.Stamp, items: tuple[Suggestion, ...], products: int) -> bytes:
    steps = [round(item.score * codec.SCORE_STEPS) for item in items]
    width = codec.width(products)
    pairs = b"".join(
        item.product.to_bytes(width, "little") + step.to_bytes(2, "little")
        for item, step in zip(items, steps, strict=True)
    )
    body = codec.similar_body(0.0, 1.0, pairs)
    return codec.seal(codec.SIMILAR, mark, count=len(items), body=body, position_bytes=width)
