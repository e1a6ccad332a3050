"""What is known of some customers' pasts: the input of every scorer. numpy only."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from oferta.interactions.ranges import indices_of_ranges


@dataclass(frozen=True, slots=True)
class Histories:
    """The pasts of `n` customers, as rows of distinct products.

    The entries of customer `u` are `indptr[u]:indptr[u + 1]`, sorted by product. A customer without
    a past has no entries; that is an answerable question, not an error.

    Attributes:
        indptr: `(n + 1,) int64`.
        product: `(entries,) int32`, rows of the product map, ascending within a customer.
        weight: `(entries,) float32`, positive: weighted, decayed and saturated amount.
        recency: `(entries,) int32`, how many steps ago the product was last met: 0 is the
            customer's latest step; products of the same instant share a step.
        known: `(n,) int32`, the training row whose past this is, unchanged; -1 for a new customer
            or one with other events than the model saw.
        segment: `(n,) int32`, code of the customer's segment; -1 where none is known.
        features: `(n, c) int32` or None: per customer attribute the customer's row in the
            vocabulary of `oferta.features.customers`; -1 where it is not known.
        age_days: `(entries,) float32` or None: days since the product was last met; NaN undated.
        count: `(entries,) float32` or None: the amount that is had, neither decayed nor saturated.
    """

    indptr: NDArray[np.int64]
    product: NDArray[np.int32]
    weight: NDArray[np.float32]
    recency: NDArray[np.int32]
    known: NDArray[np.int32]
    segment: NDArray[np.int32]
    features: NDArray[np.int32] | None = None
    age_days: NDArray[np.float32] | None = None
    count: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @staticmethod
    def empty(n: int) -> "Histories":
        """The pasts of `n` customers of whom nothing is known."""
        return Histories(
            indptr=np.zeros(n + 1, np.int64),
            product=np.zeros(0, np.int32),
            weight=np.zeros(0, np.float32),
            recency=np.zeros(0, np.int32),
            known=np.full(n, -1, np.int32),
            segment=np.full(n, -1, np.int32),
        )

    def take(self, rows: NDArray[np.integer]) -> "Histories":
        """The pasts of the customers at `rows`, in that order. Cost: the entries taken."""
        starts, stops = self.indptr[rows], self.indptr[rows + 1]
        lengths = stops - starts
        indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        entries = indices_of_ranges(starts, lengths)
        return Histories(
            indptr=indptr,
            product=self.product[entries],
            weight=self.weight[entries],
            recency=self.recency[entries],
            known=self.known[rows],
            segment=self.segment[rows],
            features=None if self.features is None else self.features[rows],
            age_days=None if self.age_days is None else self.age_days[entries],
            count=None if self.count is None else self.count[entries],
        )

    def slice(self, start: int, stop: int) -> "Histories":
        """The customers `start:stop`, without copying their entries."""
        low, high = int(self.indptr[start]), int(self.indptr[min(stop, len(self))])
        return Histories(
            indptr=self.indptr[start : stop + 1] - low,
            product=self.product[low:high],
            weight=self.weight[low:high],
            recency=self.recency[low:high],
            known=self.known[start:stop],
            segment=self.segment[start:stop],
            features=None if self.features is None else self.features[start:stop],
            age_days=None if self.age_days is None else self.age_days[low:high],
            count=None if self.count is None else self.count[low:high],
        )

    def known_to(self, trained: "Histories") -> "Histories":
        """These pasts with `known` kept where the past is the one `trained` has in that row.

        Both must be weighted at the same moment. Elsewhere `known` becomes -1, so that a model
        reads the past itself instead of what it stored for the row.
        """
        known = np.where(self.known < len(trained), self.known, -1)
        theirs = trained.take(np.maximum(known, 0)) if len(trained) else Histories.empty(len(self))
        lengths = np.diff(self.indptr)
        same = (known >= 0) & (lengths == np.diff(theirs.indptr))
        mine, other = self.entries_of(same), theirs.entries_of(same)
        differs = (self.product[mine] != theirs.product[other]) | ~np.isclose(
            self.weight[mine], theirs.weight[other], rtol=1e-5, atol=0
        )
        same[self.owners()[mine][differs]] = False
        return replace(self, known=np.where(same, known, -1).astype(np.int32))

    def entries_of(self, customers: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Positions of the entries of the customers that `customers`, a mask, picks."""
        return np.flatnonzero(customers[self.owners()])

    def owners(self) -> NDArray[np.int64]:
        """`(entries,)`: for each entry, the row of the customer whose past it belongs to."""
        return np.repeat(np.arange(len(self)), np.diff(self.indptr))
