"""What a model is fitted on."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from oferta.interactions.events import EventLog
from oferta.interactions.histories import Histories
from oferta.interactions.idmap import IdMap


@dataclass(frozen=True, slots=True)
class DataShape:
    """How large the data is: what a cost estimate needs."""

    customers: int
    products: int
    interactions: int  # distinct (customer, product) pairs
    events: int


@dataclass(frozen=True)
class TrainingData:
    """Customers, products, and what the former did with the latter.

    Attributes:
        customers, products: the id maps; every row number below is one of theirs.
        events: all events in each customer's order.
        histories: one past per customer, weighted, decayed and saturated; `known` is the row.
        segments: labels of the segments; `histories.segment` are positions in it.
        product_features: `(products, g) float32`, or None.
    """

    customers: IdMap
    products: IdMap
    events: EventLog
    histories: Histories
    segments: tuple[str, ...] = ()
    product_features: NDArray[np.float32] | None = None

    @property
    def ordered(self) -> bool:
        """Whether events have an order that a model may rely on."""
        return self.events.ordered

    @cached_property
    def matrix(self) -> csr_array:
        """The histories' weights as `(customers, products) float32`, rows sorted by product."""
        past = self.histories
        return csr_array(
            (past.weight, past.product, past.indptr),
            shape=(len(self.customers), len(self.products)),
        )

    @property
    def shape(self) -> DataShape:
        """The data's size."""
        return DataShape(
            customers=len(self.customers),
            products=len(self.products),
            interactions=len(self.histories.product),
            events=len(self.events),
        )
