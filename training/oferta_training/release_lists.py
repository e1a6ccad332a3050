"""The parts of a scores folder as packed lists, one part of text in memory at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from oferta.errors import PublishRefused
from oferta.progress import Progress
from oferta.scoring.reasons import REASONS
from oferta.store import packing
from oferta.store.packing import NOTHING, Items
from oferta_training.scores import ScoresFolder

STEP = "read scores"


@dataclass(frozen=True, slots=True)
class Policy:
    """What no list may hold, by position in the catalogue.

    Attributes:
        excluded: `(products,) bool`: hidden, paused, archived, or past their end.
        held_counts: `(customers,) int64`; `held`: `(held,) uint32`, customer by customer: products
            that a customer has and that may not be offered again.
    """

    excluded: NDArray[np.bool_]
    held_counts: NDArray[np.int64]
    held: NDArray[np.uint32]

    def violations(self, owners: NDArray[np.int64], products: NDArray[np.uint32]) -> int:
        """How many suggestions, `(suggestions,)` each, are excluded for whom they are meant."""
        broken = self.excluded[products]
        asked = np.flatnonzero(self.held_counts[owners] > 0)
        if len(asked):
            wide = np.int64(len(self.excluded))
            holders = np.repeat(np.arange(len(self.held_counts)), self.held_counts)
            low, high = np.searchsorted(holders, (owners[0], owners[-1] + 1))
            held_pairs = holders[low:high] * wide + self.held[low:high]
            broken[asked] |= np.isin(owners[asked] * wide + products[asked], held_pairs)
        return int(np.count_nonzero(broken))


@dataclass(frozen=True, slots=True)
class Lists:
    """All lists, packed, in the order of the customers.

    Attributes:
        counts: `(customers,) int64`: suggestions of each.
        items: the lists one after another.
        violations: suggestions that the policy excludes.
        top_share: share of the lists that begin with the most frequent first product.
    """

    counts: NDArray[np.int64]
    items: Items
    violations: int
    top_share: float


@dataclass(frozen=True, slots=True)
class _Part:
    """One part as numbers: customers it holds, and what is published of its `read` suggestions."""

    customers: NDArray[np.int64]
    counts: NDArray[np.int64]
    products: NDArray[np.uint32]
    items: Items
    read: int


def read_lists(
    scores: ScoresFolder,
    customers: pl.Series,
    positions: pl.Enum,
    *,
    policy: Policy,
    position_bytes: int,
    progress: Progress,
) -> Lists:
    """Read all parts; of each list the ranks that are published.

    Args:
        scores: the folder.
        customers: ids of all customers, ascending.
        positions: the catalogue's product ids in order.
        policy: what to count as a violation.
        position_bytes: of a product in the packed lists.
        progress: told of suggestions.

    Raises:
        PublishRefused: `scores.products` (a list names a product that the catalogue lacks),
            `scores.order` (customers or ranks out of order), `scores.values` (a score is no finite
            number, a reason is unknown).
    """
    index = customers.to_frame("customer_id").with_row_index("at")
    counts = np.zeros(len(customers), np.int64)
    low, high = np.zeros((2, len(customers)), np.float32)
    packed = np.empty(scores.published, packing.item_dtype(position_bytes))
    firsts = np.zeros(max(len(positions.categories), 1), np.int64)
    done = read = violations = 0
    last = -1
    with progress.task("packing lists", total=scores.suggestions) as advance:
        for part in _parts(scores, index, positions, position_bytes):
            if len(part.customers) and part.customers[0] <= last:
                raise PublishRefused("scores.order", STEP, "parts are not in order of customers")
            last = int(part.customers[-1]) if len(part.customers) else last
            size = len(part.products)
            read += part.read
            if read > scores.suggestions or done + size > len(packed):
                raise PublishRefused(
                    "scores.order", STEP, "more suggestions than the manifest says"
                )
            counts[part.customers] = part.counts
            low[part.customers], high[part.customers] = part.items.low, part.items.high
            packed[done : done + size] = part.items.packed
            done += size
            firsts += np.bincount(
                part.products[np.cumsum(part.counts) - part.counts], minlength=len(firsts)
            )
            violations += policy.violations(np.repeat(part.customers, part.counts), part.products)
            advance(part.read)
    if read != scores.suggestions:
        raise PublishRefused("scores.order", STEP, "fewer suggestions than the manifest says")
    top_share = float(firsts.max() / firsts.sum()) if firsts.any() else 0.0
    return Lists(counts, Items(packed[:done], low, high), violations, top_share)


def _parts(
    scores: ScoresFolder, index: pl.DataFrame, positions: pl.Enum, position_bytes: int
) -> Iterator[_Part]:
    reasons = pl.Enum(REASONS)
    for name in scores.parts:
        frame = scores.part(name).drop("model")
        runs = frame["customer_id"].rle().struct.unnest()
        customers = runs.join(
            index, left_on="value", right_on="customer_id", how="left", maintain_order="left"
        )["at"]
        if customers.null_count():
            raise PublishRefused("scores.order", STEP, f"{name} has customers who were not scored")
        at = customers.to_numpy().astype(np.int64)
        counts = runs["len"].to_numpy().astype(np.int64)
        if np.any(np.diff(at) <= 0):
            raise PublishRefused("scores.order", STEP, f"{name} is not in order of customers")
        ranks = np.arange(len(frame)) - np.repeat(np.cumsum(counts) - counts, counts) + 1
        if not np.array_equal(ranks, frame["rank"].to_numpy()):
            raise PublishRefused("scores.order", STEP, f"{name} has ranks that are not 1, 2, 3...")
        read = len(frame)
        frame = frame.filter(pl.col("rank") <= scores.release_n)
        counts = np.minimum(counts, scores.release_n)
        scored = frame["score"].to_numpy()
        if not np.isfinite(scored).all():
            raise PublishRefused("scores.values", STEP, f"{name} has a score that is no number")
        because = frame["because"]
        products = _codes(frame["product_id"], positions, "scores.products", name)
        items = packing.pack_items(
            products,
            scored,
            _codes(frame["reason"], reasons, "scores.values", name).astype(np.uint8),
            _codes(because, positions, "scores.products", name, absent=because.null_count()),
            counts=counts,
            position_bytes=position_bytes,
        )
        yield _Part(at, counts, products, items, read)


def _codes(
    texts: pl.Series, known: pl.Enum, code: str, name: str, *, absent: int = 0
) -> NDArray[np.uint32]:
    found = texts.cast(known, strict=False).to_physical().cast(pl.UInt32)
    if found.null_count() != absent:
        raise PublishRefused(
            code, STEP, f"{name} has a {texts.name} that the catalogue or this version lacks"
        )
    return found.fill_null(int(NOTHING)).to_numpy()
