"""May the new version go live? One question, one answer, one sentence why."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from oferta.evaluation.intervals import Interval, paired_difference


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the candidate becomes champion, and the sentence that says why."""

    promoted: bool
    because: str
    difference: Interval | None


def decide(
    candidate: NDArray[np.float64],
    champion: NDArray[np.float64] | None,
    *,
    metric: str,
    margin: float,
    rng: Generator,
    customer: NDArray[np.integer] | None = None,
) -> Verdict:
    """Compare two models' values on the same test rows.

    `customer` `(rows,)` says whose row each is, where a customer may have several; None: one each.

    The candidate passes when the lower end of the paired difference lies above `-margin` of the
    champion's mean: not worse by more than a seller would notice. Having too little data to tell is
    no reason to replace what works, so a wide interval keeps the champion.
    """
    if champion is None:
        return Verdict(
            promoted=True, because="there was no champion to compare with", difference=None
        )
    difference = paired_difference(candidate, champion, rng=rng, customer=customer)
    floor = -margin * float(champion.mean())
    customers = len(candidate) if customer is None else len(np.unique(customer))
    measured = (
        f"{metric} differs from the champion's by {difference.mean:+.4f} "
        f"[{difference.low:+.4f}, {difference.high:+.4f}] over {customers:,} customers"
    )
    if difference.low >= floor:
        return Verdict(
            promoted=True,
            because=f"{measured}: not worse within the margin of {floor:+.4f}",
            difference=difference,
        )
    return Verdict(
        promoted=False,
        because=f"{measured}: may be worse than the margin of {floor:+.4f} allows",
        difference=difference,
    )


def unjudged(why: str) -> Verdict:
    """The verdict where the champion was not measured: what works is not replaced unseen."""
    return Verdict(promoted=False, because=why, difference=None)
