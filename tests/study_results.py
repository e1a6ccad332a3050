"""Outcomes of studies, made by hand: every part filled, of any size, the same each time."""

import math

from oferta_experiments.study.result import (
    Bin,
    Calibration,
    Difference,
    Figure,
    Left,
    Point,
    Slice,
    StudyResult,
    Trial,
    Variant,
)

NAMES = (
    "hybrid with age, region and the first product",
    "als",
    "popular by region",
    "ease-decay-90d",
    "transitions",
    "als-decay-30d-saturated-log",
    "als-decay-90d-saturated-log",
    "item-item",
)
SEGMENTS = (
    *(("region", label) for label in ("north", "south", "east", "west", "abroad")),
    *(("activity", label) for label in ("1 event", "2 to 5 events", "6 and more")),
    *(("cold", label) for label in ("known", "new")),
    *(("age", label) for label in ("under 30", "30 to 60")),
)


def figure(mean: float, half: float) -> Figure:
    return Figure(mean=mean, low=mean - half, high=mean + half)


def study_result(
    *, variants: int = 4, segments: int = 5, trials: int = 12, names: tuple[str, ...] = NAMES
) -> StudyResult:
    """The second variant is the baseline (the first, of one); the last is not calibrated."""
    baseline = names[min(1, variants - 1)]
    means = [0.0912 * 0.93**place for place in range(variants)]
    base = means[min(1, variants - 1)]
    made = [
        _variant(place, names[place], means[place], base, segments=segments, trials=trials)
        for place in range(variants)
    ]
    made = [
        one.model_copy(update={"segments": _without_difference(one)})
        if one.name == baseline
        else one
        for one in made
    ]
    return StudyResult(
        name="2025-03-decay",
        question="Is the hybrid better for new customers?",
        answer=(
            f"Yes: {names[0]} is better than {baseline} by 7.5 % of ndcg@10, "
            "and nowhere worse among 12 segments."
        ),
        metric="ndcg@10",
        baseline=baseline,
        dataset="sales",
        fingerprint="sha256:5a1f0c3bd2e49e07",
        facts={"customers": 12034, "products": 207, "events": 181220, "test rows": 3014},
        protocol={
            "split": "time:28d",
            "folds": 1,
            "seed": 7,
            "k": [10],
            "where": [],
            "group": None,
            "weighting": {"half_life_days": None, "saturation": "log"},
        },
        sentence="time:28d · a row per customer · full ranking · seen removed · seed 7",
        variants=tuple(made),
        differences=tuple(
            _difference(one.name, baseline, means[place] - base)
            for place, one in enumerate(made)
            if one.name != baseline
        ),
        left=(Left(variant="ease at full size", why="needs 41 GB, 12 GB are free"),),
        not_tested=(
            "Whether the answer holds in another season: the test is 28 days of March.",
            "What customers do when they are shown the lists: nobody was.",
        ),
        made={"seed": 7, "versions": {"oferta": "0.1.0", "python": "3.11.9"}, "processors": 2},
    )


def _difference(name: str, baseline: str, mean: float) -> Difference:
    found = abs(mean) > 0.006
    verdict = "no difference" if not found else "better" if mean > 0 else "worse"
    return Difference(
        variant=name,
        other=baseline,
        figure=figure(mean, 0.0045),
        p_value=0.0004 if found else 0.21,
        p_adjusted=0.0012 if found else 0.21,
        verdict=verdict,
    )


def _variant(
    place: int, name: str, mean: float, base: float, *, segments: int, trials: int
) -> Variant:
    return Variant(
        name=name,
        model=name.replace("-", " ").partition(" ")[0],
        settings={"factors": 64, "l2": 0.01, "features": True},
        stated={"half_life_days": 90} if place % 2 else {},
        metrics={
            "ndcg@10": figure(mean, 0.0041),
            "hr@10": figure(2 * mean, 0.008),
            "coverage@10": figure(0.91 / (1 + place), 0),
            "novelty@10": figure(4.3 - 0.4 * place, 0.05),
            "popularity_share@10": figure(0.32 + 0.08 * place, 0.006),
        },
        fit_s=120 / 5**place,
        recommend_s=3.2 / 2**place,
        segments=tuple(
            _slice(by, label, spot, mean, base)
            for spot, (by, label) in enumerate(SEGMENTS[:segments])
        ),
        calibration=None if place % 4 == 3 else _calibration(place),
        learning=tuple(
            Point(
                share=share,
                customers=round(12034 * share),
                figure=figure(mean * (1 - 0.3 * math.exp(-4 * share)), 0.005),
            )
            for share in (0.1, 0.25, 0.5, 1.0)
        ),
        trials=tuple(_trial(number, mean) for number in range(trials)) if place < 3 else (),
    )


def _slice(by: str, label: str, spot: int, mean: float, base: float) -> Slice:
    gap = (mean - base) * (1 + math.sin(spot))
    verdict = "no difference" if abs(gap) < 0.007 else "better" if gap > 0 else "worse"
    return Slice(
        by=by,
        label=label,
        customers=4000 // (spot + 1),
        figure=figure(mean * (1 + 0.2 * math.cos(spot)), 0.01),
        difference=figure(gap, 0.006),
        verdict=verdict,
    )


def _without_difference(variant: Variant) -> tuple[Slice, ...]:
    return tuple(
        one.model_copy(update={"difference": None, "verdict": None}) for one in variant.segments
    )


def _calibration(place: int) -> Calibration:
    stated = [0.01, 0.03, 0.06, 0.1, 0.16, 0.24, 0.35]
    return Calibration(
        ece=0.004 + 0.006 * place,
        brier=0.051 + 0.002 * place,
        bins=tuple(
            Bin(stated=p, observed=p * (1 - 0.1 * place), count=round(9000 * math.exp(-12 * p)))
            for p in stated
        ),
    )


def _trial(number: int, mean: float) -> Trial:
    l2 = 10 ** (-4 + (number * 7 % 12) / 2)
    value = mean * (1 - 0.03 * (math.log10(l2) + 1) ** 2 / 4 - 0.02 * (number % 3))
    failed, stopped = number == 5, number == 8
    settings = {
        "l2": l2,
        "factors": (16, 32, 64, 128)[number % 4],
        "loss": ("warp", "bpr")[number % 2],
    }
    return Trial(
        settings={**settings, "iterations": 15} if number else {},
        value=None if failed else value,
        seconds=2.0 + number,
        share_of_customers=1 / 3 if stopped else 1.0,
        state="failed" if failed else "stopped" if stopped else "complete",
        why="not enough memory" if failed else None,
    )
