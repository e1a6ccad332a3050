"""What most customers choose: overall, by segment, lately. The line that others must beat."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from oferta.errors import ArtefactInvalid
from oferta.interactions.amounts import UNDATED
from oferta.interactions.histories import Histories
from oferta.models.attributes import customer_effects
from oferta.models.data import DataShape, TrainingData
from oferta.models.protocol import Arrays, Cost, Embeddings
from oferta.progress import Progress
from oferta.scoring.live import NeighbourScorer, add_attributes, segment_rows
from oferta.scoring.reasons import Reason
from oferta.scoring.stored import take_array
from oferta.settings import Settings

_DAY_US = 86_400_000_000


class Popularity(Settings):
    """The share of customers, of the same segment where segments are known, who chose a product.

    For customers without a past, what each of their features adds to it: a ridge regression of
    everybody's choices on everybody's features.
    """

    half_life_days: float | None = Field(default=None, gt=0)
    """Days after which a choice counts half, on top of the job's own decay; None: no decay. Without
    effect where no event has a time."""

    by_segment: bool = True
    """Whether a customer gets the list of their segment, where the data has segments."""

    smoothing: float = Field(default=50.0, ge=0)
    """Customers with overall taste that are added to each segment, so that small ones stay sane."""

    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "half_life_days": (None, 7.0, 30.0, 90.0, 365.0),
    }

    def cost(self, shape: DataShape) -> Cost:
        """What fitting on data of this shape will take."""
        return Cost(0.02 + 6e-8 * shape.events, 24 * shape.events + 8 * shape.products)

    def fit(self, data: TrainingData, *, rng: Generator, progress: Progress) -> "FittedPopularity":
        """Learn from `data`. Nothing is drawn at random."""
        del rng
        with progress.task("popularity", total=1) as advance:
            share = shares(
                data,
                half_life_days=self.half_life_days,
                by_segment=self.by_segment,
                smoothing=self.smoothing,
            )
            matrix = data.matrix.copy()
            matrix.data = _weights(data, self.half_life_days).astype(np.float32)
            effects = customer_effects(data, matrix, base=share)
            advance(1)
        return FittedPopularity(share, effects)

    def restore(self, arrays: Arrays) -> "FittedPopularity":
        """The fitted model whose `arrays()` these are.

        Raises:
            ArtefactInvalid: an array is missing, or of another shape or dtype.
        """
        share = take_array(arrays, "share", np.float32, 2)
        if "attributes" not in arrays:
            return FittedPopularity(share)
        effects = take_array(arrays, "attributes", np.float32, 2)
        if effects.shape[1] != share.shape[1]:
            raise ArtefactInvalid("model arrays", "'share' and 'attributes' are of unlike widths")
        return FittedPopularity(share, effects)


@dataclass(frozen=True, slots=True, eq=False)
class FittedPopularity:
    """Shares by segment.

    Attributes:
        share: `(segments + 1, products) float32`; the last row is of all customers.
        attributes: `(features, products) float32`, what each customer feature adds to the shares
            of customers without a past; None without features.
    """

    share: NDArray[np.float32]
    attributes: NDArray[np.float32] | None = None

    @property
    def reason(self) -> Reason:
        """Why this model lists a product."""
        return "popular_in_segment" if len(self.share) > 1 else "popular"

    def score(self, histories: Histories) -> NDArray[np.float32]:
        """`(customers, products) float32`: the shares of each customer's segment."""
        scores = self.share[segment_rows(histories, len(self.share))]
        add_attributes(self.attributes, histories, into=scores)
        return scores

    def live_scorer(self) -> NeighbourScorer:
        """The same shares; no product says anything of another."""
        return NeighbourScorer(
            indptr=np.zeros(self.share.shape[1] + 1, np.int64),
            neighbour=np.zeros(0, np.int32),
            weight=np.zeros(0, np.float32),
            base=self.share,
            step_decay=1.0,
            binary=True,
            attributes=self.attributes,
        )

    def embeddings(self) -> Embeddings | None:
        """None: there are no vectors."""
        return None

    def arrays(self) -> Arrays:
        """`share`, and `attributes` where there are any."""
        told = {} if self.attributes is None else {"attributes": self.attributes}
        return {"share": self.share, **told}


def shares(
    data: TrainingData,
    *,
    half_life_days: float | None = None,
    by_segment: bool = True,
    smoothing: float = 50.0,
) -> NDArray[np.float32]:
    """`(segments + 1, products) float32`: weighted choices per customer; the last row is overall.

    A segment's row is `(sum + smoothing * overall) / (customers + smoothing)`. Without segments,
    or with `by_segment` off, there is only the overall row.
    """
    past = data.histories
    weight = _weights(data, half_life_days)
    n_products, n_segments = len(data.products), len(data.segments) if by_segment else 0
    buyers = np.diff(past.indptr) > 0
    overall = np.bincount(past.product, weight, n_products) / max(int(buyers.sum()), 1)
    if not n_segments:
        return overall[None].astype(np.float32)
    segment = past.segment[past.owners()]
    inside = segment >= 0
    cell = segment[inside].astype(np.int64) * n_products + past.product[inside]
    sums = np.bincount(cell, weight[inside], n_segments * n_products)
    size = np.bincount(past.segment[buyers & (past.segment >= 0)], minlength=n_segments)
    rows = (sums.reshape(n_segments, n_products) + smoothing * overall) / np.maximum(
        size[:, None] + smoothing, 1e-9
    )
    return np.vstack([rows, overall]).astype(np.float32)


def _weights(data: TrainingData, half_life_days: float | None) -> NDArray[np.float64]:
    # `(entries,)`: what each entry of the pasts counts for.
    weight = data.histories.weight.astype(np.float64)
    if half_life_days is not None:
        weight *= np.exp2(-_age_days(data) / half_life_days)
    return weight


def _age_days(data: TrainingData) -> NDArray[np.float64]:
    # `(entries,)`: days between the data's end and the last time the customer chose the product.
    events, past, width = data.events, data.histories, len(data.products)
    last = events.last_us
    if last is None:
        return np.zeros(len(past.product))
    chosen = events.amount > 0
    dated = events.time_us[events.time_us != UNDATED]
    time = np.maximum(events.time_us[chosen], dated.min())
    key = events.customer[chosen].astype(np.int64) * width + events.product[chosen]
    order = np.lexsort((time, key))
    final = order[np.append(np.diff(key[order]) != 0, True)] if len(order) else order
    entry = past.owners() * width + past.product
    return np.asarray((last - time[final[np.searchsorted(key[final], entry)]]) / _DAY_US)
