"""What guards know of the test rows beyond the figures: whose they are, and in which groups."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from oferta.errors import UnknownName
from oferta.evaluation.scorecard import Evaluation
from oferta.interactions.idmap import IdMap
from oferta.privacy.findings import Finding

ACTIVITY, COLD = "activity", "cold"
"""Groups made of the row's past. An attribute of that name is not seen."""

OTHER, UNKNOWN = "(all smaller groups)", "(unknown)"
"""What groups below the minimum are thrown into, and customers without a value."""

_PAST = (0, 1, 2, 5, 10, 20)
_MOST_NUMBERS = 12  # a number with more values than this is cut into fifths
_FIFTHS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """The test rows as guards see them.

    Attributes:
        metric: what models are ordered by, as `ndcg@10`.
        customer_id: `(rows,)` text: whose each row is.
        past: `(rows,) int32`: products in the row's past.
        customers: `customer_id` and attributes; customers who are not there have none.
        protected: the protected attributes that the model may use, each with its reason.
        credit: whether anything in the catalogue is credit; not known counts as credit.
    """

    metric: str
    customer_id: pl.Series
    past: NDArray[np.int32]
    customers: pl.DataFrame
    protected: tuple[Finding, ...] = ()
    credit: bool = True

    @staticmethod
    def of(
        evaluation: Evaluation,
        customers: pl.DataFrame,
        *,
        credit: bool = True,
    ) -> "Facts":
        """The facts of an evaluation whose customers have the attributes of `customers`.

        `credit` is `oferta.privacy.credit.sells_credit` of the catalogue.
        """
        return Facts(
            metric=evaluation.protocol.ordering,
            customer_id=evaluation.customer_id.cast(pl.String),
            past=evaluation.past,
            customers=customers.with_columns(pl.col("customer_id").cast(pl.String)),
            protected=evaluation.protected,
            credit=credit,
        )

    @property
    def customer(self) -> NDArray[np.int32]:
        """`(rows,)`: whose each row is, as a number."""
        return IdMap.of(self.customer_id).rows(self.customer_id)

    def groups(self, by: str, *, min_customers: int) -> Mapping[str, NDArray[np.bool_]]:
        """Label -> `(rows,)`, which rows are in the group; disjoint, the labels in order.

        Numbers and dates (their years) with more than 12 values are cut into fifths. Groups of
        fewer than `min_customers` customers become one, `OTHER`; where that is too small as well,
        its rows are in no group.

        Raises:
            UnknownName: an attribute that the customers do not have.
        """
        labels = self._labels(by)
        sizes = _sizes(labels, self.customer_id)
        small = [label for label, size in sizes.items() if size < min_customers]
        if small:
            labels = labels.replace(small, [OTHER] * len(small))
            sizes = _sizes(labels, self.customer_id)
        return {
            label: (labels == label).to_numpy()
            for label, size in sizes.items()
            if size >= min_customers
        }

    def _labels(self, by: str) -> pl.Series:
        if by == ACTIVITY:
            names = pl.Series([_range(place) for place in range(len(_PAST))])
            return names.gather(np.digitize(self.past, _PAST) - 1)
        if by == COLD:
            return pl.Series(np.where(self.past == 0, "cold", "warm"), dtype=pl.String)
        if by not in self.customers.columns or by == "customer_id":
            known = {*self.customers.columns, ACTIVITY, COLD} - {"customer_id"}
            raise UnknownName("customer attribute", by, known)
        tested = self.customers.select("customer_id", _in_words(self.customers[by])).unique(
            "customer_id", keep="last"
        )
        rows = self.customer_id.alias("customer_id").to_frame()
        return rows.join(tested, on="customer_id", how="left", maintain_order="left")[by].fill_null(
            UNKNOWN
        )


def _in_words(values: pl.Series) -> pl.Series:
    """The attribute as text labels; null and blank are null."""
    numbers = values.dt.year() if isinstance(values.dtype, pl.Date | pl.Datetime) else values
    if numbers.dtype.is_float():
        numbers = numbers.fill_nan(None)
    if numbers.dtype.is_numeric() and numbers.drop_nulls().n_unique() > _MOST_NUMBERS:
        ends = [numbers.quantile(part / _FIFTHS, "nearest") for part in range(1, _FIFTHS)]
        breaks = sorted({float(end) for end in ends if end is not None})
        names = [f"{low:g} to {high:g}" for low, high in pairwise(breaks)]
        labels = pl.Series([f"to {breaks[0]:g}", *names, f"above {breaks[-1]:g}"])
        place = np.digitize(numbers.fill_null(0).to_numpy(), breaks, right=True)
        return labels.gather(place).set(numbers.is_null(), None).alias(values.name)
    text = numbers.cast(pl.String).str.strip_chars()
    return text.set(text == "", None).alias(values.name)


def _sizes(labels: pl.Series, customer_id: pl.Series) -> dict[str, int]:
    frame = pl.DataFrame({"label": labels, "customer": customer_id})
    counts = frame.group_by("label").agg(pl.col("customer").n_unique()).sort("label")
    return dict(counts.iter_rows())


def _range(place: int) -> str:
    least = _PAST[place]
    if place == len(_PAST) - 1:
        return f"{least} and more"
    most = _PAST[place + 1] - 1
    return str(least) if least == most else f"{least}-{most}"
