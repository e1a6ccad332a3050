"""From a scores folder to the columns of a release.

Memory: the packed lists (7 to 9 bytes a suggestion) and about 100 bytes a customer; of the lists'
texts there is one part at a time, and packed profiles wait on the disk.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from oferta.errors import PublishRefused
from oferta.interactions.ranges import indices_of_ranges
from oferta.privacy.word import Refusals
from oferta.progress import Progress
from oferta.store import codec, keys, packing
from oferta.store.codec import Stamp
from oferta.store.keys import KeySpace
from oferta.store.packing import Columns
from oferta.store.release import CatalogueEntry, PopularList, Suggestion
from oferta_training.release_lists import Lists, Policy, read_lists
from oferta_training.release_parts import STEP
from oferta_training.release_pasts import LiveBuild, live_build
from oferta_training.release_profiles import ProfileSpool
from oferta_training.scores import ScoresFolder

_CHUNK = 1 << 16  # customers hashed or laid out at a time


@dataclass(frozen=True, slots=True)
class Similar:
    """The similar products of all products as columns; `sources` ascending."""

    sources: NDArray[np.uint32]  # (lists,)
    counts: NDArray[np.int64]  # (lists,)
    products: NDArray[np.uint32]  # (pairs,)
    scores: NDArray[np.float32]  # (pairs,)


@dataclass(frozen=True, slots=True)
class Build:
    """Everything of a release but its number. Customers are in ascending order of id.

    Attributes:
        catalogue: the products; all positions are positions in it.
        popular, segments: lists for customers without one.
        per_tag: buckets a tag.
        places, rests: `(customers,)`: where each customer's row goes.
        order: `(customers,)`: the customers by place, then rest.
        segment_of: `(customers,) uint16`.
        cold: `(customers,) bool`: nothing was known of their past.
        closed: `(customers,) bool`: they refused personalisation, and their rows are empty.
        lists: the customers' lists.
        policy: what they may not hold, and what each customer has.
        similar: the similar products.
        profiles: the profiles, where the scores have any; closed by `close`.
        live: what follows events, where the scores have it and it is wanted.
    """

    catalogue: tuple[CatalogueEntry, ...]
    popular: PopularList
    segments: tuple[PopularList, ...]
    per_tag: int
    places: NDArray[np.uint32]
    rests: NDArray[np.uint64]
    order: NDArray[np.int64]
    segment_of: NDArray[np.uint16]
    cold: NDArray[np.bool_]
    closed: NDArray[np.bool_]
    lists: Lists
    policy: Policy
    similar: Similar
    profiles: ProfileSpool | None = None
    live: LiveBuild | None = None

    @property
    def customers(self) -> int:
        """How many customers have a row."""
        return len(self.places)

    @property
    def position_bytes(self) -> int:
        """Bytes of a product's position."""
        return codec.width(len(self.catalogue))

    @property
    def empty_share(self) -> float:
        """Share of the customers whose list is empty."""
        return float(np.mean(self.lists.counts == 0)) if self.customers else 0.0

    def customers_per_bucket(self) -> NDArray[np.int64]:
        """`(buckets,)`: how many customers each bucket must hold."""
        return np.bincount(self.places, minlength=keys.TAGS * self.per_tag)

    def buckets(self, mark: Stamp) -> Iterator[tuple[int, bytes]]:
        """All buckets with their numbers, in order."""
        places = self.places[self.order]
        opened = ~self.closed
        counts, held_counts = self.lists.counts * opened, self.policy.held_counts * opened
        item_starts = np.cumsum(self.lists.counts) - self.lists.counts
        held_starts = np.cumsum(self.policy.held_counts) - self.policy.held_counts
        segments = np.where(opened, self.segment_of, np.uint16(codec.CLOSED))
        total = keys.TAGS * self.per_tag
        step = max(1, total * _CHUNK // max(len(places), 1))
        for first in range(0, total, step):
            last = min(first + step, total)
            low, high = np.searchsorted(places, (first, last))
            chosen = self.order[low:high]
            columns = Columns(
                places=places[low:high],
                rests=self.rests[chosen],
                segments=segments[chosen],
                cold=(self.cold & opened)[chosen],
                starts=item_starts[chosen],
                counts=counts[chosen],
                low=self.lists.items.low[chosen] * opened[chosen],
                high=self.lists.items.high[chosen] * opened[chosen],
                items=self.lists.items.packed,
                held_counts=held_counts[chosen],
                held=self.policy.held[indices_of_ranges(held_starts[chosen], held_counts[chosen])],
            )
            yield from packing.pack_buckets(
                mark, columns, first=first, last=last, position_bytes=self.position_bytes
            )

    def similar_rows(self, mark: Stamp) -> Iterator[tuple[int, bytes]]:
        """All similar rows with their products' positions."""
        rows = packing.pack_similar(
            mark,
            self.similar.products,
            self.similar.scores,
            counts=self.similar.counts,
            position_bytes=self.position_bytes,
        )
        return zip(self.similar.sources.tolist(), rows, strict=True)

    @property
    def rows(self) -> int:
        """How many records it has besides head and manifest."""
        profiles = 0 if self.profiles is None else keys.TAGS * self.profiles.per_tag
        pasts = 0 if self.live is None else self.live.records
        return keys.TAGS * self.per_tag + len(self.similar.sources) + profiles + pasts

    def close(self) -> None:
        """Remove what the profiles keep on the disk."""
        if self.profiles is not None:
            self.profiles.close()


def build(
    scores: ScoresFolder,
    space: KeySpace,
    *,
    progress: Progress,
    live: bool = True,
    refusals: Refusals | None = None,
) -> Build:
    """Read `scores` and lay everything out; without what follows events where `live` is false.

    Who refused personalisation, by the consent of the source or by `refusals`, which is newer, has
    an empty row that says so.

    Raises:
        PublishRefused: `scores.products`, `scores.order`, `scores.values` as in `read_lists`, or
            `hash.collision` (two customers in one bucket with equal rests: once in 10^12 releases).
    """
    with ExitStack() as stack:
        made = _build(scores, space, stack, live=live, refusals=refusals, progress=progress)
        stack.pop_all()  # from here on the caller closes it
    return made


def _build(
    scores: ScoresFolder,
    space: KeySpace,
    stack: ExitStack,
    *,
    live: bool,
    refusals: Refusals | None,
    progress: Progress,
) -> Build:
    product_rows, customers = scores.product_rows(), scores.customer_rows()
    popular = scores.popular_rows()
    positions = _positions(product_rows["product_id"])
    catalogue = _catalogue(product_rows)
    ids = customers["customer_id"]
    if ids.null_count() or not (ids.slice(1) > ids.slice(0, max(len(ids) - 1, 0))).all():
        raise PublishRefused("scores.order", STEP, "customers are not ascending, each once")
    per_tag, profiles_per_tag, pasts_per_tag = (
        keys.buckets_per_tag(len(ids)),
        keys.profile_buckets_per_tag(len(ids)),
        keys.past_buckets_per_tag(len(ids)),
    )
    (places, profile_places, past_places), rests = _places(
        ids, space, (per_tag, profiles_per_tag, pasts_per_tag), progress
    )
    order = _order(places, rests)
    profiles = None
    if scores.base is not None:
        profiles = ProfileSpool(
            scores,
            ids,
            per_tag=profiles_per_tag,
            places=profile_places,
            rests=rests,
            products=len(catalogue),
        )
        stack.callback(profiles.close)
    closed = _closed(customers, refusals)
    policy = _policy(catalogue, customers, positions, at=scores.created_at.timestamp())
    lists = read_lists(
        scores,
        ids,
        positions,
        policy=policy,
        position_bytes=codec.width(len(catalogue)),
        profiles=profiles,
        progress=progress,
    )
    if profiles is not None:
        profiles.finish()
    named = pl.concat([customers["segment"], popular["segment"]]).drop_nulls().unique().sort()
    if len(named) > codec.CLOSED:
        raise PublishRefused("scores.values", STEP, f"more than {codec.CLOSED} segments")
    segments = pl.Enum(named)
    return Build(
        catalogue=catalogue,
        popular=_popular(popular, None, positions),
        segments=tuple(_popular(popular, name, positions) for name in named.to_list()),
        per_tag=per_tag,
        places=places,
        rests=rests,
        order=order,
        segment_of=customers["segment"]
        .cast(segments)
        .to_physical()
        .cast(pl.UInt16)
        .fill_null(codec.NO_SEGMENT)
        .to_numpy(),
        cold=customers["cold"].fill_null(value=False).to_numpy(),
        closed=closed,
        lists=lists,
        policy=policy,
        similar=_similar(scores.similar_rows(), positions),
        profiles=profiles,
        live=live_build(
            scores, ids, per_tag=pasts_per_tag, places=past_places, rests=rests, closed=closed
        )
        if live
        else None,
    )


def _closed(customers: pl.DataFrame, refusals: Refusals | None) -> NDArray[np.bool_]:
    """`(customers,)`: who refuses personalisation."""
    # Scores that were made before it was asked do not have the column.
    said = (
        pl.col("personalisation")
        if "personalisation" in customers.columns
        else pl.lit(None, pl.Boolean)
    )
    closed = said.eq(other=False).fill_null(value=False)
    if refusals is not None:
        out, agreed = (
            pl.col("customer_id").is_in(pl.Series(sorted(ids), dtype=pl.String).implode())
            for ids in (refusals.customer_ids, refusals.agreeing)
        )
        closed = out | (closed & ~agreed)
    found: NDArray[np.bool_] = customers.with_columns(closed.alias("closed"))["closed"].to_numpy()
    return found


def _positions(ids: pl.Series) -> pl.Enum:
    if ids.n_unique() != len(ids) or len(ids) > codec.MAX_PRODUCTS:
        raise PublishRefused(
            "scores.products", STEP, f"products are not {codec.MAX_PRODUCTS} at most, each once"
        )
    return pl.Enum(ids)


def _catalogue(products: pl.DataFrame) -> tuple[CatalogueEntry, ...]:
    columns = products.select(
        "product_id",
        "name",
        "category",
        "price_minor",
        pl.col("starts_at", "ends_at").dt.epoch("s"),
        pl.col("status").fill_null("active"),
        pl.col("repeatable").fill_null(value=True),
        pl.col("base_rate") if "base_rate" in products.columns else pl.lit(None).alias("base_rate"),
        pl.col("family").cast(pl.String)
        if "family" in products.columns
        else pl.lit(None).alias("family"),
    )
    return tuple(CatalogueEntry(*row) for row in columns.iter_rows())


def _places(
    ids: pl.Series, space: KeySpace, per_tags: tuple[int, ...], progress: Progress
) -> tuple[list[NDArray[np.uint32]], NDArray[np.uint64]]:
    """Numbers of the customers' buckets, of so many a tag each, and their rests."""
    places = [np.empty(len(ids), np.uint32) for _ in per_tags]
    rests = np.empty(len(ids), np.uint64)
    with progress.task("hashing customers", total=len(ids)) as advance:
        for start in range(0, len(ids), _CHUNK):
            chunk = ids.slice(start, _CHUNK).to_list()
            digests = space.digests(chunk)
            for numbers, per_tag in zip(places, per_tags, strict=True):
                numbers[start : start + _CHUNK] = keys.places(digests, per_tag)
            rests[start : start + _CHUNK] = keys.rests(digests)
            advance(len(chunk))
    return places, rests


def _order(places: NDArray[np.uint32], rests: NDArray[np.uint64]) -> NDArray[np.int64]:
    order = np.lexsort((rests, places))
    same = (np.diff(places[order]) == 0) & (np.diff(rests[order]) == 0)
    if same.any():
        raise PublishRefused("hash.collision", STEP, "two customers have the same hash")
    return order


def _policy(
    catalogue: tuple[CatalogueEntry, ...], customers: pl.DataFrame, positions: pl.Enum, *, at: float
) -> Policy:
    excluded = [
        entry.status != "active" or (entry.ends_at is not None and entry.ends_at <= at)
        for entry in catalogue
    ]
    pairs = (
        customers.select(pl.col("held"))
        .with_row_index("customer")
        .explode("held")
        # What the catalogue does not know cannot be offered either.
        .with_columns(pl.col("held").cast(positions, strict=False).to_physical().cast(pl.UInt32))
        .drop_nulls()
    )
    return Policy(
        np.array(excluded, bool),
        np.bincount(pairs["customer"].to_numpy(), minlength=len(customers)),
        pairs["held"].to_numpy(),
    )


def _popular(rows: pl.DataFrame, segment: str | None, positions: pl.Enum) -> PopularList:
    mine = rows.filter(pl.col("segment").eq_missing(segment)).sort("rank")
    try:
        places = mine["product_id"].cast(positions).to_physical().to_list()
    except pl.exceptions.InvalidOperationError:
        raise PublishRefused(
            "scores.products", STEP, "a popular product is not in the catalogue"
        ) from None
    return PopularList(
        segment,
        tuple(
            Suggestion(place, score, "popular" if segment is None else "popular_in_segment", None)
            for place, score in zip(places, mine["score"].to_list(), strict=True)
        ),
    )


def _similar(rows: pl.DataFrame, positions: pl.Enum) -> Similar:
    try:
        found = rows.select(
            pl.col("product_id", "similar_id").cast(positions).to_physical().cast(pl.UInt32),
            "score",
            "rank",
        ).sort("product_id", "rank")
    except pl.exceptions.InvalidOperationError:
        raise PublishRefused(
            "scores.products", STEP, "a similar product is not in the catalogue"
        ) from None
    sources, counts = np.unique(found["product_id"].to_numpy(), return_counts=True)
    return Similar(
        sources.astype(np.uint32),
        counts.astype(np.int64),
        found["similar_id"].to_numpy(),
        found["score"].to_numpy(),
    )
