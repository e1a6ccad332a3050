"""What is known of products beside their events, as a sparse matrix that models take."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from oferta.errors import UnknownName
from oferta.features.coding import coding_of
from oferta.interactions.idmap import IdMap

_FEWEST = 2  # products that make a feature: that of one product alone is its own id
_BINS = 8


@dataclass(frozen=True, slots=True, eq=False)
class ProductFeatures:
    """Which features each product has.

    Attributes:
        names: what each feature means, for people.
        matrix: `(products, features) float32`, ones.
    """

    names: tuple[str, ...]
    matrix: csr_array


def product_features_of(
    frame: pl.DataFrame, columns: Sequence[str], *, products: IdMap
) -> ProductFeatures | None:
    """The features that the attributes `columns` of a products frame make; None without any.

    A list gives a feature per distinct entry; see `oferta.features.coding` for the rest.

    Raises:
        UnknownName: an attribute that `frame` does not have.
    """
    for column in columns:
        if column not in frame.columns:
            raise UnknownName("product attribute", column, frame.columns)
    if not columns:
        return None
    names: list[str] = []
    cells: list[np.ndarray] = []
    rows = pl.Series("row", products.rows(frame["product_id"].cast(pl.String)))
    for column in columns:
        values = frame.select(rows, pl.col(column)).filter(pl.col("row") >= 0)
        if isinstance(values.schema[column], pl.List):
            values = (
                values.explode(column).drop_nulls().with_columns(pl.col(column).cast(pl.String))
            )
        coding = coding_of(values[column], fewest=_FEWEST, bins=_BINS)
        codes = coding.codes(values[column])
        known = codes >= 0
        cells.append(
            np.stack([values["row"].to_numpy()[known], codes[known] + len(names)]).astype(np.int64)
        )
        names += coding.names
    row, feature = np.unique(np.concatenate(cells, axis=1), axis=1)
    matrix = csr_array(
        (np.ones(len(row), np.float32), (row, feature)), shape=(len(products), len(names))
    )
    return ProductFeatures(tuple(names), matrix)
