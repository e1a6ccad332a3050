"""The guards, one function each: figures in, what it found out."""

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import stdtr

from oferta.errors import UnknownName
from oferta.evaluation.intervals import Interval, paired_difference
from oferta.evaluation.scorecard import Scorecard
from oferta_training.facts import OTHER, UNKNOWN, Facts
from oferta_training.guards import (
    CalibrationGuard,
    CostGuard,
    CoverageGuard,
    FairnessGuard,
    SegmentGuard,
)
from oferta_training.verdict import Outcome

_LEVEL = 0.05
_SECOND = 1.0  # below it, how long a fit takes is the machine's mood
_MOST_NAMED = 5
_TWO = 2

Values = NDArray[np.float64]


def overall(
    candidate: Values,
    champion: Values,
    *,
    metric: str,
    margin: float,
    rng: Generator,
    customer: NDArray[np.integer] | None = None,
) -> tuple[Outcome, Interval]:
    """Whether the mean is not worse: values `(rows,)` of both models on the same test rows.

    `customer` `(rows,)` says whose row each is, where a customer may have several; None: one each.

    Passes when the lower end of the paired difference lies above `-margin` of the champion's mean.
    Having too little data to tell is no reason to replace what works, so a wide interval fails.
    """
    difference = paired_difference(candidate, champion, rng=rng, customer=customer)
    floor = -margin * float(champion.mean())
    customers = len(candidate) if customer is None else len(np.unique(customer))
    passed = difference.low >= floor
    end = "not worse within" if passed else "may be worse than"
    sentence = (
        f"{metric} differs from the champion's by {difference.mean:+.4f} "
        f"[{difference.low:+.4f}, {difference.high:+.4f}] over {customers:,} customers: {end} the "
        f"margin of {floor:+.4f}{'' if passed else ' allows'}"
    )
    return Outcome("overall", passed, difference.low, floor, sentence), difference


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
            outcomes.append(_unmeasured("segments", str(error)))
            continue
        if not groups.keys() - {OTHER}:
            why = f"no group by {by} has {guard.min_customers} customers in the test"
            outcomes.append(_unmeasured("segments", why))
        found += [(f"{by}={label}", rows) for label, rows in groups.items()]
    customer = facts.customer
    shortfall = candidate - (1 - guard.margin) * champion
    p = [_p_of_a_loss(shortfall[rows], customer[rows]) for _, rows in found]
    adjusted = _holm(p)
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


def coverage(
    candidate: Scorecard, champion: Scorecard | None, *, k: str, guard: CoverageGuard
) -> tuple[Outcome, ...]:
    """Whether the lists together still show enough of the catalogue; `k` as text, of the metric."""
    name = f"coverage@{k}"
    measured = candidate.metrics[name].mean
    outcomes = []
    if guard.at_least is not None:
        outcomes.append(_at_least("coverage", name, measured, guard.at_least, "of all products"))
    if guard.share is not None and champion is not None:
        least = guard.share * champion.metrics[name].mean
        of = f"{guard.share:.0%} of the champion's {champion.metrics[name].mean:.4f}"
        outcomes.append(_at_least("coverage", name, measured, least, of))
    return tuple(outcomes)


def calibration(ece: float | None, *, guard: CalibrationGuard) -> tuple[Outcome, ...]:
    """Whether stated chances can be believed; `ece` is None where the model states none."""
    if guard.ece is None:
        return ()
    if ece is None:
        return (_unmeasured("calibration", "the model states no chances (no calibration)"),)
    return (_at_most("calibration", "the expected calibration error", ece, guard.ece),)


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
            outcomes.append(_unmeasured("fairness", str(error)))
            continue
        named = {label: rows for label, rows in groups.items() if label not in {OTHER, UNKNOWN}}
        if len(named) < _TWO:
            why = f"fewer than two groups by {by} have {guard.min_customers} customers in the test"
            outcomes.append(_unmeasured("fairness", why))
            continue
        for what in (facts.metric, *(f"exposure:{group}@{k}" for group in guard.exposure)):
            values = candidate.values.get(what)
            if values is None:
                why = f"{what} was not measured: list it under evaluation.exposure"
                outcomes.append(_unmeasured("fairness", why))
                continue
            means = {label: float(values[rows].mean()) for label, rows in named.items()}
            outcomes.append(_ratio(by, what, means, guard.ratio))
    return tuple(outcomes)


def cost(
    candidate: Scorecard, champion: Scorecard | None, *, guard: CostGuard
) -> tuple[Outcome, ...]:
    """Whether fitting and making lists take no longer than may be paid for.

    A champion faster than a second counts as a second when a multiple of it is the limit.
    """
    outcomes = []
    for what, took, most, before in (
        ("fitting", candidate.fit_s, guard.fit_s, None if champion is None else champion.fit_s),
        (
            "making lists",
            candidate.recommend_s,
            guard.recommend_s,
            None if champion is None else champion.recommend_s,
        ),
    ):
        if most is not None:
            outcomes.append(_at_most("cost", f"seconds of {what}", took, most))
        if guard.factor is not None and before is not None:
            limit = guard.factor * max(before, _SECOND)
            name = f"seconds of {what}, against the champion's {before:.2f}"
            outcomes.append(_at_most("cost", name, took, limit))
    return tuple(outcomes)


def protected(facts: Facts) -> Outcome:
    """Whether a model of protected attributes stays away from credit; always asked."""
    if not facts.protected:
        return Outcome("protected", True, None, None, "no protected attribute is used")
    used = ", ".join(f"{one.column} ({one.attribute})" for one in facts.protected)
    if facts.credit:
        sentence = (
            f"the model uses {used}, and the catalogue holds credit, or does not say that it holds "
            "none: train without them, or state [policy] credit = false where nothing is lent"
        )
        return Outcome("protected", False, None, None, sentence)
    sentence = f"the model uses {used}, for the reasons stated; nothing in the catalogue is credit"
    return Outcome("protected", True, None, None, sentence)


def _ratio(by: str, what: str, means: dict[str, float], least: float) -> Outcome:
    lowest, highest = min(means, key=means.__getitem__), max(means, key=means.__getitem__)
    ratio = means[lowest] / means[highest] if means[highest] > 0 else 1.0
    sentence = (
        f"{what} of {by}={lowest} is {means[lowest]:.4f}, {ratio:.2f} of the {means[highest]:.4f} "
        f"of {by}={highest}: {'not ' if ratio >= least else ''}below {least:.2f}"
    )
    return Outcome("fairness", ratio >= least, ratio, least, sentence)


def _at_least(guard: str, what: str, measured: float, least: float, of: str) -> Outcome:
    word = "at least" if measured >= least else "below"
    sentence = f"{what} is {measured:.4f}, {word} {least:.4f} ({of})"
    return Outcome(guard, measured >= least, measured, least, sentence)


def _at_most(guard: str, what: str, measured: float, most: float) -> Outcome:
    word = "at most" if measured <= most else "above"
    sentence = f"{what}: {measured:.4g}, {word} {most:.4g}"
    return Outcome(guard, measured <= most, measured, most, sentence)


def _unmeasured(guard: str, why: str) -> Outcome:
    return Outcome(guard, passed=False, measured=None, limit=None, sentence=f"not measured: {why}")


def _p_of_a_loss(values: Values, customer: NDArray[np.integer]) -> float:
    """One-sided p of a mean of zero or more, rows of one customer belonging together.

    The mean over rows is a ratio of sums over customers; its variance is that of the residuals
    (linearised, with the small-sample factor), on customers - 1 degrees of freedom.
    """
    unit = np.unique(customer, return_inverse=True)[1]
    customers = int(unit.max()) + 1
    size = np.bincount(unit, minlength=customers)
    mean = float(values.mean())
    residual = np.bincount(unit, values, customers) - mean * size
    error = np.sqrt(customers / (customers - 1) * float(residual @ residual)) / len(values)
    if error <= 1e-12 * max(abs(mean), 1e-12):
        return 0.0 if mean < 0 else 1.0
    return float(stdtr(customers - 1, mean / error))


def _holm(p: Sequence[float]) -> list[float]:
    """p-values adjusted for their number, in the order given (Holm 1979)."""
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(np.arange(len(p), 0, -1) * np.asarray(p)[order])
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(value) for value in adjusted]
