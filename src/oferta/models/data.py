"""What a model is fitted on."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from oferta.errors import SplitRefused
from oferta.features.customers import CustomerFeatures
from oferta.features.products import ProductFeatures
from oferta.interactions.events import EventLog
from oferta.interactions.histories import Histories
from oferta.interactions.idmap import IdMap
from oferta.interactions.lists import Lists
from oferta.interactions.weighting import Weighting

_PLAIN = Weighting()


@dataclass(frozen=True, slots=True)
class DataShape:
    """How large the data is: what a cost estimate needs.

    `customer_values` and `product_values` are how many values of features one of them has on the
    mean; 0 without features.
    """

    customers: int
    products: int
    interactions: int  # distinct (customer, product) pairs
    events: int
    customer_values: float = 0.0
    product_values: float = 0.0


@dataclass(frozen=True)
class TrainingData:
    """Customers, products, and what the former did with the latter.

    Attributes:
        customers, products: the id maps; every row number below is one of theirs.
        events: all events in each customer's order.
        histories: one past per customer, weighted, decayed and saturated; `known` is the row.
        segments: labels of the segments; `histories.segment` are positions in it.
        customer_features: what the codes in `histories.features` mean; None without any.
        product_features: what is known of the products beside their events; None without any.
        weighting: how events became the histories.
        repeatable: whether lists may hold what the customer has.
        validation: a cut of this very data, for models that learn how to use other models; None
            where there is nothing to cut off. Asked twice it gives the same one.
    """

    customers: IdMap
    products: IdMap
    events: EventLog
    histories: Histories
    segments: tuple[str, ...] = ()
    customer_features: CustomerFeatures | None = None
    product_features: ProductFeatures | None = None
    weighting: Weighting = _PLAIN
    repeatable: bool = False
    validation: Callable[[], "Validation"] | None = None

    @property
    def ordered(self) -> bool:
        """Whether events have an order that a model may rely on."""
        return self.events.ordered

    def held_out(self) -> "Validation | None":
        """The validation; None where there is none, or too little to cut any off."""
        try:
            return None if self.validation is None else self.validation()
        except SplitRefused:
            return None

    @cached_property
    def matrix(self) -> csr_array:
        """The histories' weights as `(customers, products) float32`, rows sorted by product."""
        past = self.histories
        return csr_array(
            (past.weight, past.product, past.indptr),
            shape=(len(self.customers), len(self.products)),
        )

    @cached_property
    def _customer_values(self) -> float:
        codes = self.histories.features
        return 0.0 if codes is None else int((codes >= 0).sum()) / max(len(codes), 1)

    @property
    def shape(self) -> DataShape:
        """The data's size."""
        described, products = self.product_features, len(self.products)
        return DataShape(
            customers=len(self.customers),
            products=products,
            interactions=len(self.histories.product),
            events=len(self.events),
            customer_values=self._customer_values,
            product_values=0.0 if described is None else described.matrix.nnz / max(products, 1),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Validation:
    """A part of the training data set aside, cut off the way a test would be.

    Attributes:
        data: what is left: what first-stage models are fitted on. It may have a validation again.
        histories: the pasts of `n` rows, as known from `data`.
        test: what each row then chose, one product or more.
        removed: what each row's list must not hold.
        ranked: `(products,) bool`, what alone is listed for any row; None: every product.
    """

    data: TrainingData
    histories: Histories
    test: Lists
    removed: Lists
    ranked: NDArray[np.bool_] | None = None
