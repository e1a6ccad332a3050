"""Arms beside each other: means with intervals by customer, paired differences, uplift."""

from math import ceil
from typing import Final

import numpy as np
from numpy.random import Generator

from oferta.evaluation.intervals import Difference, Interval, bootstrap, paired_differences
from oferta_experiments.world.arrays import Flags, Ints, Reals
from oferta_experiments.world.sales import Chunk
from oferta_experiments.world.simulate.outcome import family_names
from oferta_experiments.world.simulate.policies import Arm
from oferta_experiments.world.simulate.result import ArmResult, Gap, Uplift
from oferta_experiments.world.simulate.speaking import Offers, Speaker

_DRAWS: Final = 1000
_GROUPS: Final = 400
_NORMAL: Final = 1.96


def arm_result(
    name: Arm,
    chunk: Chunk,
    speaker: Speaker | None,
    earned: list[Reals],
    people: Ints,
    *,
    rng: Generator,
) -> ArmResult:
    """The figures of one arm; `earned` is cumulated by month, of the rows `people`."""
    made = [] if speaker is None else speaker.made
    product = _joined([one.product for one in made], np.int64)
    accepted = _joined([one.accepted for one in made], np.bool_)
    sold = _joined([one.sold for one in made], np.bool_)
    credit = chunk.products.of_family("loan", "lease")[product]
    default = _joined([one.truth.default for one in made], np.float64)
    families: dict[str, tuple[int, int]] = {}
    for family, yes in zip(family_names(chunk, product), accepted, strict=True):
        offers, answers = families.get(family, (0, 0))
        families[family] = (offers + 1, answers + int(yes))
    asked, granted = accepted & credit, sold & credit
    steps = np.diff(np.array([np.zeros_like(earned[0]), *earned]), axis=0)
    return ArmResult(
        name=name,
        met=0 if speaker is None else speaker.met,
        offered=len(product),
        accepted=int(accepted.sum()),
        sold=int(sold.sum()),
        said=_mean(_joined([one.said for one in made], np.float64)),
        true=_mean(_joined([one.truth.accept for one in made], np.float64)),
        approved=float(sold[asked].mean()) if asked.any() else None,
        bad=float(default[granted].mean()) if granted.any() else None,
        worth=bootstrap(worth(speaker, people)[:, None], rng=rng)[0],
        worth_each=_mean(_joined([one.truth.value for one in made], np.float64)),
        earned=bootstrap(earned[-1][:, None], rng=rng)[0],
        by_month=tuple(float(one.mean()) for one in steps),
        by_family=families,
    )


def gap(
    than: Arm,
    ours: Speaker | None,
    theirs: Speaker | None,
    totals: dict[Arm, Reals],
    people: Ints,
    *,
    rng: Generator,
) -> Gap:
    """How much the policy is above another arm."""
    values = np.column_stack(
        [totals["engine"] - totals[than], worth(ours, people) - worth(theirs, people)]
    )
    found: list[Difference] = paired_differences(values, rng=rng)
    return Gap(than, *found)


def worth(speaker: Speaker | None, people: Ints) -> Reals:
    """`(rows,)` EUR that all offers made to each of `people` are truly worth, in expectation."""
    made: list[Offers] = [] if speaker is None else speaker.made
    size = int(people.max()) + 1
    total = np.zeros(size)
    for one in made:
        mine = one.who < size
        total += np.bincount(one.who[mine], one.truth.value[mine], minlength=size)
    return np.asarray(total[people])


def uplift(
    with_offers: Reals, without: Reals, control: Flags, share: float, *, rng: Generator
) -> Uplift:
    """The uplift that a control group would have measured, and the one that is true.

    No customer's life depends on another's, so the world with a control group is put together of
    the two lives of each: with offers where they are treated, without where they are not.
    """
    treated, untreated = with_offers[~control], without[control]
    drawn = _means(treated, rng) - _means(untreated, rng)
    low, high = np.percentile(drawn, (2.5, 97.5))
    mean = float(treated.mean() - untreated.mean())
    true = bootstrap((with_offers - without)[:, None], rng=rng)[0]
    spread = float(with_offers.var(ddof=1) / (1 - share) + without.var(ddof=1) / share)
    return Uplift(
        share=share,
        control=int(control.sum()),
        treated=int((~control).sum()),
        measured=Interval(mean, float(low), float(high)),
        true=true,
        coverage=_coverage(with_offers, without, share, true.mean, rng=rng),
        enough=ceil(_NORMAL**2 * spread / true.mean**2) if true.mean > 0 else None,
    )


def _coverage(
    with_offers: Reals, without: Reals, share: float, true: float, *, rng: Generator
) -> float:
    """Over draws of the control group, how often the interval of its measure holds `true`."""
    holds = 0
    for _ in range(_GROUPS):
        control = rng.random(len(without)) < share
        treated, untreated = with_offers[~control], without[control]
        if min(len(treated), len(untreated)) <= 1:
            continue
        error = treated.var(ddof=1) / len(treated) + untreated.var(ddof=1) / len(untreated)
        away = abs(float(treated.mean() - untreated.mean()) - true)
        holds += away <= _NORMAL * float(error) ** 0.5
    return holds / _GROUPS


def _means(values: Reals, rng: Generator) -> Reals:
    count = len(values)
    return np.array([values[rng.integers(0, count, count)].mean() for _ in range(_DRAWS)])


def _joined(parts: list[np.ndarray], dtype: type) -> np.ndarray:
    return np.concatenate(parts) if parts else np.empty(0, dtype)


def _mean(values: Reals) -> float:
    return float(values.mean()) if len(values) else 0.0
