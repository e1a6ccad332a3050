"""The guards that look at groups of customers: nobody worse off, nobody served much worse."""

import numpy as np
from numpy.typing import NDArray

from oferta.errors import UnknownName
from oferta.evaluation.scorecard import Scorecard
from oferta.evaluation.significance import holm, paired_test
from oferta_training.facts import OTHER, UNKNOWN, Facts
from oferta_training.guards import FairnessGuard, SegmentGuard
from oferta_training.verdict import Outcome, unmeasured

_LEVEL = 0.05
_MOST_NAMED = 5
_TWO = 2

Values = NDArray[np.float64]


def segments(
    candidate: Values, champion: Values, *, facts: Facts, guard: SegmentGuard
) -> tuple[Outcome, ...]:
    """Whether any group of customers is shown to be worse off by more than the margin.

    In every group: a one-sided t test, clustered by customer, of candidate less (1 - margin) times
    champion against zero or more; p-values of all groups of all attributes are adjusted together
    by Holm (1979), and one below .05 fails. So many groups do not refuse a model by chance, and a
    group too small to show anything does not either: the overall guard is the one that asks for
    proof of no loss.
    """
    if not guard.by:
        return ()
    outcomes: list[Outcome] = []
    found: list[tuple[str, NDArray[np.bool_]]] = []
    for by in dict.fromkeys(guard.by):
        try:
            groups = facts.groups(by, min_customers=guard.min_customers)
        except UnknownName as error:
            outcomes.append(unmeasured("segments", str(error)))
            continue
        if not groups.keys() - {OTHER}:
            why = f"no group by {by} has {guard.min_customers} customers in the test"
            outcomes.append(unmeasured("segments", why))
        found += [(f"{by}={label}", rows) for label, rows in groups.items()]
    customer = facts.customer
    shortfall = candidate - (1 - guard.margin) * champion
    p = [
        paired_test(shortfall[rows], customer=customer[rows], than_zero="less") for _, rows in found
    ]
    adjusted = holm(p)
    worse = [
        f"{label}: {candidate[rows].mean():.4f} against {champion[rows].mean():.4f} over "
        f"{len(np.unique(customer[rows])):,} customers (p {chance:.2g} after Holm)"
        for (label, rows), chance in zip(found, adjusted, strict=True)
        if chance < _LEVEL
    ]
    if found:
        asked = f"worse than the champion by more than {guard.margin:.0%} on {facts.metric}"
        more = f"; and {len(worse) - _MOST_NAMED} more" if len(worse) > _MOST_NAMED else ""
        sentence = (
            f"shown to be {asked}: {'; '.join(worse[:_MOST_NAMED])}{more}"
            if worse
            else f"none of {len(found)} groups is shown to be {asked}"
        )
        outcomes.append(Outcome("segments", not worse, min(adjusted), _LEVEL, sentence))
    return tuple(outcomes)


def fairness(
    candidate: Scorecard, *, facts: Facts, k: str, guard: FairnessGuard
) -> tuple[Outcome, ...]:
    """Whether the worst served group of each attribute is served well enough beside the best.

    The ratio of group means as it is, without an interval: a screen, as the four-fifths rule is.
    Customers whose group is not known, or too small, are not compared.
    """
    outcomes = []
    for by in dict.fromkeys(guard.by):
        try:
            groups = facts.groups(by, min_customers=guard.min_customers)
        except UnknownName as error:
            outcomes.append(unmeasured("fairness", str(error)))
            continue
        named = {label: rows for label, rows in groups.items() if label not in {OTHER, UNKNOWN}}
        if len(named) < _TWO:
            why = f"fewer than two groups by {by} have {guard.min_customers} customers in the test"
            outcomes.append(unmeasured("fairness", why))
            continue
        for what in (facts.metric, *(f"exposure:{group}@{k}" for group in guard.exposure)):
            values = candidate.values.get(what)
            if values is None:
                why = f"{what} was not measured: list it under [gate.fairness] exposure"
                outcomes.append(unmeasured("fairness", why))
                continue
            means = {label: float(values[rows].mean()) for label, rows in named.items()}
            outcomes.append(_ratio(by, what, means, guard.ratio))
    return tuple(outcomes)


def _ratio(by: str, what: str, means: dict[str, float], least: float) -> Outcome:
    lowest, highest = min(means, key=means.__getitem__), max(means, key=means.__getitem__)
    ratio = means[lowest] / means[highest] if means[highest] > 0 else 1.0
    sentence = (
        f"{what} of {by}={lowest} is {means[lowest]:.4f}, {ratio:.2f} of the {means[highest]:.4f} "
        f"of {by}={highest}: {'not ' if ratio >= least else ''}below {least:.2f}"
    )
    return Outcome("fairness", ratio >= least, ratio, least, sentence)
