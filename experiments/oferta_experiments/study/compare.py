"""Variants against each other on the same test rows, with a correction for how many were compared.

Nothing is read or written here: values in, differences and verdicts out.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Final

import numpy as np
from numpy.random import default_rng
from numpy.typing import NDArray

from oferta.evaluation.intervals import Interval, bootstrap, paired_differences
from oferta.evaluation.significance import holm
from oferta_experiments.study.result import Difference, Figure, Slice
from oferta_experiments.study.slices import Group

LEVEL: Final = 0.05
"""A difference is called one where its corrected p-value is below this."""

BETTER: Final = "better"
WORSE: Final = "worse"
NO_DIFFERENCE: Final = "no difference"

Values = NDArray[np.float64]


def figure(found: Interval) -> Figure:
    """An interval as a result has it."""
    return Figure(mean=found.mean, low=found.low, high=found.high)


def verdict(mean: float, p_adjusted: float) -> str:
    """What may be said of a difference of this size and corrected p-value."""
    if p_adjusted >= LEVEL or mean == 0:
        return NO_DIFFERENCE
    return BETTER if mean > 0 else WORSE


def best_of(values: Mapping[str, Values]) -> str:
    """The variant with the highest mean; ties go to the first."""
    return max(values, key=lambda name: float(values[name].mean()))


def differences(
    values: Mapping[str, Values], *, baseline: str, customer: NDArray[np.integer], seed: int
) -> tuple[Difference, ...]:
    """Each variant from the baseline, then the best from each other.

    `values`: variant -> `(rows,)` of the metric on the same rows in the same order; `customer`
    `(rows,)` says whose each is. Without the baseline's values only the best is compared. The
    correction is for all pairs of variants, also those not named: which one is the best was not
    known before, so any pair could have come up.

    Raises:
        ValueError: the variants do not have the same rows.
    """
    _same_rows(values, customer)
    if len(values) < 2:  # noqa: PLR2004 - a pair
        return ()
    best = best_of(values)
    pairs = [(name, baseline) for name in values if baseline in values and name != baseline]
    pairs += [
        (best, name)
        for name in values
        if name != best and (best, name) not in pairs and (name, best) not in pairs
    ]
    told = {frozenset(pair) for pair in pairs}
    every = pairs + [pair for pair in combinations(values, 2) if frozenset(pair) not in told]
    stacked = np.stack([values[one] - values[other] for one, other in every], axis=1)
    found = paired_differences(stacked, rng=default_rng(seed), customer=customer)
    adjusted = holm([one.p_value for one in found])
    return tuple(
        Difference(
            variant=one,
            other=other,
            figure=figure(gap.interval),
            p_value=gap.p_value,
            p_adjusted=p,
            verdict=verdict(gap.interval.mean, p),
        )
        for (one, other), gap, p in zip(pairs, found, adjusted, strict=False)
    )


def segments(
    values: Mapping[str, Values],
    groups: Sequence[Group],
    *,
    baseline: str,
    customer: NDArray[np.integer],
    seed: int,
) -> dict[str, tuple[Slice, ...]]:
    """Every variant's figure in every segment, and its difference from the baseline there.

    The verdicts are corrected over all segments and variants together. Segments that are the same
    rows, as `cold` and an activity of 0, are one test.

    Raises:
        ValueError: the variants do not have the same rows.
    """
    _same_rows(values, customer)
    compared = [name for name in values if baseline in values and name != baseline]
    found: dict[str, list[Slice]] = {name: [] for name in values}
    tested: dict[tuple[str, bytes], float] = {}
    asked: list[tuple[str, int, tuple[str, bytes]]] = []
    for group in groups:
        whose = customer[group.rows]
        here = {name: one[group.rows] for name, one in values.items()}
        means = bootstrap(np.stack([*here.values()], 1), rng=default_rng(seed), customer=whose)
        gaps = {}
        if compared:
            gap = np.stack([here[name] - here[baseline] for name in compared], axis=1)
            drawn = paired_differences(gap, rng=default_rng(seed), customer=whose)
            gaps = dict(zip(compared, drawn, strict=True))
        for name, mean in zip(here, means, strict=True):
            if name in gaps:
                test = name, np.packbits(group.rows).tobytes()
                tested[test] = gaps[name].p_value
                asked.append((name, len(found[name]), test))
            found[name].append(
                Slice(
                    by=group.by,
                    label=group.label,
                    customers=len(np.unique(whose)),
                    figure=figure(mean),
                    difference=figure(gaps[name].interval) if name in gaps else None,
                )
            )
    adjusted = dict(zip(tested, holm([*tested.values()]), strict=True))
    for name, at, test in asked:
        one = found[name][at]
        if one.difference is not None:
            said = verdict(one.difference.mean, adjusted[test])
            found[name][at] = one.model_copy(update={"verdict": said})
    return {name: tuple(one) for name, one in found.items()}


def _same_rows(values: Mapping[str, Values], customer: NDArray[np.integer]) -> None:
    for name, one in values.items():
        if one.shape != customer.shape:
            raise ValueError(
                f"'{name}' has {len(one)} rows and the test {len(customer)}: "
                "only values of the same test rows can be paired"
            )
