"""The guards that look at everybody at once, one function each: figures in, what was found out."""

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from oferta.evaluation.intervals import Interval, paired_difference
from oferta.evaluation.scorecard import Scorecard
from oferta.privacy.findings import Finding
from oferta_training.guards import CalibrationGuard, CostGuard, CoverageGuard
from oferta_training.verdict import Outcome, unmeasured

_SECOND = 1.0  # below it, how long a fit takes is the machine's mood

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
    within = "worse, but within" if difference.high < 0 else "not worse within"
    end = within if passed else "may be worse than"
    sentence = (
        f"{metric} differs from the champion's by {difference.mean:+.4f} "
        f"[{difference.low:+.4f}, {difference.high:+.4f}] over {customers:,} customers: {end} the "
        f"margin of {floor:+.4f}{'' if passed else ' allows'}"
    )
    return Outcome("overall", passed, difference.low, floor, sentence), difference


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
        why = "no chances were stated: set [calibration] method, in a study calibrate"
        return (unmeasured("calibration", why),)
    return (_at_most("calibration", "the expected calibration error", ece, guard.ece),)


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


def protected(findings: Sequence[Finding], *, credit: bool) -> Outcome:
    """Whether a model of protected attributes stays away from credit; always asked."""
    if not findings:
        return Outcome("protected", True, None, None, "no protected attribute is used")
    used = ", ".join(f"{one.column} ({one.attribute})" for one in findings)
    if credit:
        sentence = (
            f"the model uses {used}, and the catalogue holds credit, or does not say that it holds "
            "none: train without them, or state [policy] credit = false where nothing is lent"
        )
        return Outcome("protected", False, None, None, sentence)
    sentence = f"the model uses {used}, for the reasons stated; nothing in the catalogue is credit"
    return Outcome("protected", True, None, None, sentence)


def _at_least(guard: str, what: str, measured: float, least: float, of: str) -> Outcome:
    word = "at least" if measured >= least else "below"
    sentence = f"{what} is {measured:.4f}, {word} {least:.4f} ({of})"
    return Outcome(guard, measured >= least, measured, least, sentence)


def _at_most(guard: str, what: str, measured: float, most: float) -> Outcome:
    word = "at most" if measured <= most else "above"
    sentence = f"{what}: {measured:.4g}, {word} {most:.4g}"
    return Outcome(guard, measured <= most, measured, most, sentence)
