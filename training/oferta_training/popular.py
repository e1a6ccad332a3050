"""The lists for those of whom nothing is known, or whose own list is too short."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from oferta.models.data import TrainingData
from oferta.models.popularity import shares
from oferta.scoring.reasons import REASONS
from oferta.scoring.topk import ProductMask, TopK, top_k
from oferta_training.scores import POPULAR

HAS_OWN_LIST = -2
"""The segment code of a customer whose list is the model's."""

_HALF_LIFE_DAYS = 90.0  # "popular right now": a quarter back counts half


@dataclass(frozen=True, slots=True, eq=False)
class PopularLists:
    """The most wanted products by segment; the last row is of everybody.

    Attributes:
        shares: `(segments + 1, products) float32`: the share of customers who chose a product.
        lists: the best of each row that are offerable.
    """

    shares: NDArray[np.float32]
    lists: TopK

    def frame(self, data: TrainingData) -> pl.DataFrame:
        """As rows of the scores folder's popular table."""
        listed = self.lists.products >= 0
        row, rank = np.nonzero(listed)
        labels = pl.Series("segment", [*data.segments, None], dtype=pl.String)
        return pl.DataFrame(
            {
                "segment": labels.gather(row),
                "product_id": data.products.take(self.lists.products[listed]),
                "score": self.lists.scores[listed],
                "rank": (rank + 1).astype(np.uint32),
            }
        ).cast(POPULAR)

    def fill(
        self, best: TopK, reason: NDArray[np.uint8], segment: NDArray[np.int32], mask: ProductMask
    ) -> None:
        """Write the lists of customers of whom nothing is known into `best` and `reason`.

        Args:
            best: the lists of a block of customers; those with a past or attributes keep theirs.
            reason: `(customers,)`, positions in `REASONS`.
            segment: `(customers,) int32`, the segment of those who get a popular list, -1 where
                none is known; `HAS_OWN_LIST` for the others.
            mask: what each customer of the block may be offered.
        """
        lonely = np.flatnonzero(segment != HAS_OWN_LIST)
        if not len(lonely):
            return
        known = segment[lonely] >= 0
        rows = np.where(known, segment[lonely], len(self.shares) - 1)
        own = top_k(self.shares[rows], best.products.shape[1], mask=mask.take(lonely))
        best.products[lonely], best.scores[lonely] = own.products, own.scores
        codes = REASONS.index("popular_in_segment"), REASONS.index("popular")
        reason[lonely] = np.where(known, *codes)


def popular_lists(data: TrainingData, *, length: int, sellable: NDArray[np.bool_]) -> PopularLists:
    """The `length` most popular sellable products of every segment and of everybody."""
    share = shares(data, half_life_days=_HALF_LIFE_DAYS)
    return PopularLists(share, top_k(share.copy(), length, mask=ProductMask(sellable)))
