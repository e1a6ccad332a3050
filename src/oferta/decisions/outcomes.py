"""What a policy leaves each customer of a batch: how many offers, and the best of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oferta.decisions.base_batch import Batch, Floats, Mask
from oferta.decisions.engine import Engine
from oferta.decisions.whole_base import WholeBase

NONE = -1


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """One row a customer.

    Attributes:
        offers: how many could be made; of a non-personalised answer, those of anybody's list.
        best: position in the engine's offers of the most valuable one, `NONE` where there is none;
            of a non-personalised answer, the first of anybody's list.
        value: expected value of the best one; 0 where there is none, and of a non-personalised
            answer, which is not ranked by money.
        personal: whether the answer depends on the customer.
        made: `(offers,)`: to how many customers each could be made, personalised.
    """

    offers: NDArray[np.int32]
    best: NDArray[np.int32]
    value: Floats
    personal: Mask
    made: NDArray[np.int64]


def outcomes(engine: Engine, base: WholeBase, batch: Batch) -> Outcomes:
    """The outcomes of a batch. Of equally valuable offers the catalogue's first counts as best."""
    offers = np.zeros(len(batch), np.int32)
    best = np.full(len(batch), NONE, np.int32)
    value = np.zeros(len(batch))
    made = np.zeros(len(engine.offers), np.int64)
    for found in base.offers(batch):
        rows, index = found.rows, found.compiled.index
        made[index] = len(rows)
        offers[rows] += 1
        # In arrears an offer may be worth less than nothing, and still is the best there is.
        better = (best[rows] == NONE) | (found.value > value[rows])
        best[rows[better]] = index
        value[rows[better]] = found.value[better]
    for channel, anyones in base.anyones().items():
        if not anyones:
            continue
        hears = batch.may_hear(channel, engine) & ~batch.personal & ~batch.closed
        rows = np.flatnonzero(hears & (offers < len(anyones)))
        offers[rows] = len(anyones)
        best[rows] = anyones[0].compiled.index
    return Outcomes(offers, best, value, batch.personal, made)
