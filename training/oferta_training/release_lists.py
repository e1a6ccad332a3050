"""The parts of a scores folder as packed lists, one part of text in memory at a time."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from oferta.errors import PublishRefused
from oferta.progress import Progress
from oferta.store import packing
from oferta.store.packing import Items
from oferta_training.release_parts import STEP, list_parts
from oferta_training.release_profiles import ProfileSpool
from oferta_training.scores import ScoresFolder


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


def read_lists(
    scores: ScoresFolder,
    customers: pl.Series,
    positions: pl.Enum,
    *,
    policy: Policy,
    position_bytes: int,
    profiles: ProfileSpool | None = None,
    progress: Progress,
) -> Lists:
    """Read all parts; of each list the ranks that are published.

    Args:
        scores: the folder.
        customers: ids of all customers, ascending.
        positions: the catalogue's product ids in order.
        policy: what to count as a violation.
        position_bytes: of a product in the packed lists.
        profiles: what takes the whole lists of each part, for profiles.
        progress: told of suggestions.

    Raises:
        PublishRefused: `scores.products` (a list names a product that the catalogue lacks),
            `scores.order` (customers or ranks out of order), `scores.values` (a score is no finite
            number, a reason is unknown); with `profiles` what `ProfileSpool.take` raises.
    """
    counts = np.zeros(len(customers), np.int64)
    low, high = np.zeros((2, len(customers)), np.float32)
    packed = np.empty(scores.published, packing.item_dtype(position_bytes))
    firsts = np.zeros(max(len(positions.categories), 1), np.int64)
    done = read = violations = 0
    longest = scores.release_n if profiles is None else max(scores.top_n, scores.release_n)
    with progress.task("packing lists", total=scores.suggestions) as advance:
        for whole in list_parts(scores, customers, positions, longest=longest):
            if profiles is not None:
                profiles.take(whole)
            part = whole.first(scores.release_n)
            size = len(part.products)
            read += part.rows
            if read > scores.suggestions or done + size > len(packed):
                raise PublishRefused(
                    "scores.order", STEP, "more suggestions than the manifest says"
                )
            items = packing.pack_items(
                part.products,
                part.scores,
                part.reasons,
                part.because,
                counts=part.counts,
                position_bytes=position_bytes,
            )
            counts[part.customers] = part.counts
            low[part.customers], high[part.customers] = items.low, items.high
            packed[done : done + size] = items.packed
            done += size
            firsts += np.bincount(
                part.products[np.cumsum(part.counts) - part.counts], minlength=len(firsts)
            )
            violations += policy.violations(np.repeat(part.customers, part.counts), part.products)
            advance(part.rows)
    if read != scores.suggestions:
        raise PublishRefused("scores.order", STEP, "fewer suggestions than the manifest says")
    top_share = float(firsts.max() / firsts.sum()) if firsts.any() else 0.0
    return Lists(counts, Items(packed[:done], low, high), violations, top_share)
