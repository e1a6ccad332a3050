"""What is known beside events, for the rows of the id maps."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from oferta.features.customers import CustomerFeatures, customer_features_of
from oferta.features.products import ProductFeatures, product_features_of
from oferta.interactions.idmap import IdMap


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Features of customers and products; all None where none are taken.

    Attributes:
        customers: what `codes` mean.
        codes: `(customers, columns) int32`, rows of that vocabulary.
        products: of the products.
    """

    customers: CustomerFeatures | None = None
    codes: NDArray[np.int32] | None = None
    products: ProductFeatures | None = None

    def of_customers(self, rows: NDArray[np.integer]) -> "Features":
        """The same with the codes of the customers at `rows`; unknown where a row is -1."""
        if self.codes is None:
            return self
        codes = self.codes[np.maximum(rows, 0)]
        codes[np.asarray(rows) < 0] = -1
        return Features(self.customers, codes, self.products)


def features_of(
    customer_frame: pl.LazyFrame,
    product_frame: pl.LazyFrame,
    *,
    customer_columns: Sequence[str],
    product_columns: Sequence[str],
    customers: IdMap,
    products: IdMap,
    vocabulary: CustomerFeatures | None = None,
) -> Features:
    """The features that the named attributes make.

    `vocabulary`: that of a fitted model, instead of one made of the frame.

    Raises:
        UnknownName: an attribute that is not there.
    """
    made = vocabulary
    codes = None
    if customer_columns:
        frame = customer_frame.unique("customer_id", keep="last", maintain_order=True).collect()
        made = vocabulary or customer_features_of(frame, customer_columns)
        codes = None if made is None else made.encode(frame, customers)
    described = None
    if product_columns:
        described = product_features_of(
            product_frame.unique("product_id", keep="last", maintain_order=True).collect(),
            product_columns,
            products=products,
        )
    return Features(made, codes, described)
