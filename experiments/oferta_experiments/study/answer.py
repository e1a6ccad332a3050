"""The answer in one sentence, made from the figures, and what the figures cannot tell."""

from collections.abc import Sequence
from statistics import NormalDist

from oferta.evaluation.cuts import TimeCut, parse_cut
from oferta_experiments.study.compare import BETTER, LEVEL, NO_DIFFERENCE, WORSE
from oferta_experiments.study.result import Difference, Left, Variant
from oferta_experiments.study.spec import SHARES, StudySpec

_OFFLINE = (
    "Everything here is offline: how lists rank what customers chose anyway. Whether an offer "
    "changes what a customer does needs a test with customers."
)
_UNSHOWN = (
    "What customers were shown is not in the data: a product nobody was shown looks like one that "
    "nobody wanted."
)
_POWER = 0.8
_FEW_ROWS = 1000
_SHORT_DAYS = 14
_ENDS = 2 * NormalDist().inv_cdf(0.975)  # standard errors between the ends of an interval


def answer(
    variants: Sequence[Variant], differences: Sequence[Difference], *, metric: str, baseline: str
) -> str:
    """One sentence; `variants` best first."""
    if baseline not in {one.name for one in variants} or len(variants) == 1:
        return _without_comparison(variants, differences, metric=metric, baseline=baseline)
    gaps = [one for one in differences if one.other == baseline]
    best = max(gaps, key=lambda one: one.figure.mean)
    if best.verdict == BETTER:
        means = {one.name: _mean(one, metric) for one in variants}
        return (
            f"{best.variant} is better than {baseline} by {_gap(best)} on {metric} "
            f"({means[best.variant]} instead of {means[baseline]})"
            f"{_rivals(best.variant, differences, len(gaps))}."
        )
    if all(one.verdict == WORSE for one in gaps):
        if len(gaps) == 1:
            return f"{best.variant} is worse than {baseline}: {_gap(best)} on {metric}."
        return (
            f"Nothing beats {baseline}; all {len(gaps)} others are worse, the least "
            f"{best.variant}: {_gap(best)} on {metric}."
        )
    pairs = len(variants) * (len(variants) - 1) // 2
    return _undecided(gaps, metric=metric, baseline=baseline, compared=pairs)


def visible(difference: Difference, compared: int) -> float:
    """The smallest true difference that four of five such studies would have called one.

    `(z(1 - a / 2m) + z(.8))` standard errors, the error taken from the interval's width, `m` the
    number of differences that are corrected for.
    """
    error = (difference.figure.high - difference.figure.low) / _ENDS
    normal = NormalDist()
    return error * (normal.inv_cdf(1 - LEVEL / 2 / max(compared, 1)) + normal.inv_cdf(_POWER))


def not_tested(
    spec: StudySpec,
    *,
    variants: Sequence[Variant],
    left: Sequence[Left],
    test_rows: int,
    customers: int,
    undated: float = 0.0,
) -> tuple[str, ...]:
    """What the figures cannot tell, each a sentence that follows from a fact of the study."""
    said = [
        _OFFLINE,
        _UNSHOWN,
    ]
    if spec.protocol.folds == 1:
        said.append(
            f"One split ({spec.protocol.split}): another period, or another draw, may order "
            "close variants differently."
        )
    said.append(
        f"One seed ({spec.protocol.seed}): models that draw at random were fitted once each."
    )
    days = _days(spec.protocol.split)
    if days is not None and days < _SHORT_DAYS:
        said.append(f"The test is {days:g} days: what pays off later is not seen.")
    if undated > 0 and days is not None:
        said.append(
            f"{undated:.0%} of the events have no time. They are learnt from and never asked for, "
            "so a part of what the test asks may have been known: give them a time, or take "
            "another split."
        )
    if test_rows < _FEW_ROWS:
        said.append(
            f"Only {test_rows:,} test rows of {customers:,} customers: small differences cannot "
            "be told from chance."
        )
    said += [f"{one.variant} was not judged: it {one.why}." for one in left]
    if not spec.search:
        said.append("Settings were not searched: a variant may do better with others.")
    stopped = [one.name for one in variants if any(t.state == "stopped" for t in one.trials)]
    if stopped:
        said.append(
            f"The budget of {spec.budget.minutes:g} minutes ended the search of "
            f"{_listed(stopped)} early: more settings may do better."
        )
    short = [one.name for one in variants if one.learning and len(one.learning) <= len(SHARES)]
    if short:
        said.append(
            f"The budget of {spec.budget.minutes:g} minutes ended the learning curve of "
            f"{_listed(short)} early."
        )
    if len(variants) > 2:  # noqa: PLR2004 - of two, the best is one of the pair that was asked for
        said.append(
            "The best variant is the best on these very rows, so its figure flatters it a little."
        )
    return tuple(said)


def _undecided(gaps: Sequence[Difference], *, metric: str, baseline: str, compared: int) -> str:
    same = [one for one in gaps if one.verdict == NO_DIFFERENCE]
    nearest = max(same, key=lambda one: one.figure.mean)
    least = visible(nearest, compared)
    # Where no row differs nothing was measured that could tell what would have shown.
    shown = f"; an effect above {least:.4f} would most likely have shown" if least else ""
    if len(gaps) == 1:
        return (
            f"No difference was found between {nearest.variant} and {baseline}: "
            f"{_gap(nearest)} on {metric}{shown}."
        )
    worse = [one.variant for one in gaps if one.verdict == WORSE]
    tail = f"; {_listed(worse)} {'is' if len(worse) == 1 else 'are'} worse" if worse else ""
    return (
        f"No variant was found to be better than {baseline}: the best of them, "
        f"{nearest.variant}, differs by {_gap(nearest)} on {metric}{shown}{tail}."
    )


def _without_comparison(
    variants: Sequence[Variant], differences: Sequence[Difference], *, metric: str, baseline: str
) -> str:
    if not variants:
        return "No variant could be judged, so there is no answer."
    best = variants[0]
    if len(variants) == 1:
        return f"Only {best.name} could be judged, {_mean(best, metric)}: there is no comparison."
    gaps = [one for one in differences if one.variant == best.name]
    return (
        f"The baseline {baseline} could not be judged; of the others {best.name} is best with "
        f"{_mean(best, metric)} on {metric}" + _rivals(best.name, gaps, len(gaps)) + "."
    )


def _rivals(best: str, differences: Sequence[Difference], others: int) -> str:
    """Which variants the best one cannot be told from."""
    same = [
        one.other if one.variant == best else one.variant
        for one in differences
        if best in {one.variant, one.other} and one.verdict == NO_DIFFERENCE
    ]
    if same:
        return f"; no difference was found between {best} and {_listed(same)}"
    return f", and better than each of the other {others} variants" if others > 1 else ""


def _mean(variant: Variant, metric: str) -> str:
    return f"{variant.metrics[metric].mean:.4f}"


def _gap(difference: Difference) -> str:
    found = difference.figure
    p = difference.p_adjusted
    chance = "p < .0001" if p < 0.0001 else f"p = {p:.4f}".replace("0.", ".")  # noqa: PLR2004
    return f"{found.mean:+.4f} [{found.low:+.4f}, {found.high:+.4f}], {chance}"


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def _days(split: str) -> float | None:
    cut = parse_cut(split)
    return cut.window.total_seconds() / 86_400 if isinstance(cut, TimeCut) else None
