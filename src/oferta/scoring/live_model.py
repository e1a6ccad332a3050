"""What a release carries of its model, so that serving can answer after new events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from oferta.interactions.amounts import Amounts
from oferta.interactions.histories import Histories
from oferta.profile.recent import RecentEvent
from oferta.scoring.fresh import Weighing, with_events
from oferta.scoring.quick import Quick
from oferta.scoring.reasons import Reason
from oferta.scoring.topk import ProductMask, TopK, top_k


class Past(NamedTuple):
    """What a release knows of one customer's past.

    Attributes:
        amounts: of this one customer.
        segment: the model's code of their segment, -1 for none.
    """

    amounts: Amounts
    segment: int


NO_PAST = Past(Amounts.nothing(1), -1)
"""Of somebody whom the release does not have."""


@dataclass(frozen=True, slots=True, eq=False)
class LiveModel:
    """A live scorer with all that turns events into its input and its output into lists.

    Attributes:
        quick: the scorer.
        reason: why it lists a product for a customer with a past.
        length: how many products a customer's list has at most.
        weighing: how events count.
        places: `(products,) int32`: the position of each of the scorer's products in the release's
            catalogue, -1 for one that is gone.
        rows: row of each product by its id.
    """

    quick: Quick
    reason: Reason
    length: int
    weighing: Weighing
    places: NDArray[np.int32]
    rows: Mapping[str, int]

    def pasts(
        self, known: Sequence[Past], events: Sequence[Sequence[RecentEvent]]
    ) -> tuple[Histories, NDArray[np.bool_]]:
        """The customers' pasts after `events`, and `(customers,)` whether these changed anything.

        Args:
            known: what the release knows of each customer.
            events: of each customer, what the release does not know of.
        """
        return with_events(
            Amounts.concat([each.amounts for each in known]),
            events,
            rows=self.rows,
            segment=np.array([each.segment for each in known], np.int32),
            weighing=self.weighing,
            products=self.quick.products,
            ordered=self.quick.ordered,
        )

    def lists(self, histories: Histories, mask: ProductMask) -> tuple[TopK, NDArray[np.int32]]:
        """The customers' lists and `(customers, k)` the product of the past that explains each.

        In rows of the scorer's products.
        """
        best = top_k(self.quick.score(histories), self.length, mask=mask)
        return best, self.quick.because(histories, best.products)
