"""Lists of products for a number of rows, as two arrays."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from oferta.interactions.ranges import indices_of_ranges


@dataclass(frozen=True, slots=True)
class Lists:
    """A list of products per row, ascending and distinct within a row.

    The products of row `r` are `product[indptr[r]:indptr[r + 1]]`: `(rows + 1,) int64` and
    `(entries,) int32`.
    """

    indptr: NDArray[np.int64]
    product: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @staticmethod
    def of(pairs: pl.DataFrame, rows: int) -> "Lists":
        """The distinct pairs of `row` and `product`."""
        ordered = pairs.select("row", "product").unique().sort("row", "product")
        counts = np.bincount(ordered["row"].to_numpy(), minlength=rows)
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return Lists(indptr, ordered["product"].to_numpy().astype(np.int32))

    def owners(self) -> NDArray[np.int64]:
        """`(entries,)`: the row that each entry belongs to."""
        return np.repeat(np.arange(len(self)), np.diff(self.indptr))

    def take(self, rows: NDArray[np.integer]) -> "Lists":
        """The lists of `rows`, in that order."""
        lengths = self.indptr[rows + 1] - self.indptr[rows]
        indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return Lists(indptr, self.product[indices_of_ranges(self.indptr[rows], lengths)])

    def frame(self) -> pl.DataFrame:
        """The pairs of `row` and `product`."""
        return pl.DataFrame({"row": self.owners().astype(np.uint32), "product": self.product})
