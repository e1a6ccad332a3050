"""Comparison and answer: what the figures say, and not more."""

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.random import default_rng
from numpy.typing import NDArray

from oferta_experiments.study.answer import answer, not_tested, visible
from oferta_experiments.study.compare import (
    BETTER,
    NO_DIFFERENCE,
    WORSE,
    best_of,
    differences,
    segments,
)
from oferta_experiments.study.result import Difference, Figure, Left, Trial, Variant
from oferta_experiments.study.slices import Group
from oferta_experiments.study.spec import StudySpec

ROWS = 900
CUSTOMER = np.arange(ROWS) // 2  # two rows each
METRIC = "ndcg@10"
Values = Mapping[str, NDArray[np.float64]]


def world(**above: float) -> Values:
    """Variants whose rows are a common part plus what each is above it, with a little noise."""
    rng = default_rng(3)
    hard = rng.random(ROWS) / 2
    return {name: hard + gap + rng.normal(0, 0.03, ROWS) for name, gap in above.items()}


def shown(values: Values) -> list[Variant]:
    found = []
    for name, one in values.items():
        mean = float(one.mean())
        found.append(
            Variant(
                name=name,
                model="ease",
                settings={},
                metrics={METRIC: Figure(mean=mean, low=mean - 0.01, high=mean + 0.01)},
                fit_s=1,
                recommend_s=1,
            )
        )
    return sorted(found, key=lambda one: -one.metrics[METRIC].mean)


def compared(values: Values, baseline: str = "base") -> tuple[Difference, ...]:
    return differences(values, baseline=baseline, customer=CUSTOMER, seed=1)


def said(values: Values, baseline: str = "base") -> str:
    return answer(shown(values), compared(values, baseline), metric=METRIC, baseline=baseline)


def test_each_is_compared_with_the_baseline_and_the_best_with_all_others():
    found = compared(world(base=0.0, good=0.1, better=0.2, bad=-0.1))
    pairs = [(one.variant, one.other) for one in found]
    assert pairs == [
        ("good", "base"),
        ("better", "base"),
        ("bad", "base"),
        ("better", "good"),
        ("better", "bad"),
    ]
    assert [one.verdict for one in found] == [BETTER, BETTER, WORSE, BETTER, BETTER]
    assert found[0].figure.low < 0.1 < found[0].figure.high
    assert all(one.p_adjusted >= one.p_value for one in found)


def test_the_same_model_twice_is_no_difference_and_no_certainty():
    values = world(base=0.0)
    values = {**values, "twin": values["base"].copy()}
    (only,) = compared(values)
    assert (only.p_value, only.p_adjusted, only.verdict) == (1.0, 1.0, NO_DIFFERENCE)


def test_many_variants_without_an_effect_are_hardly_ever_called_different():
    """At most one in twenty families may err; without the correction half of them do."""
    wrong = plain = 0
    for seed in range(40):
        rng = default_rng(seed)
        values = {f"v{n}": rng.random(200) for n in range(14)}
        found = differences(values, baseline="v0", customer=np.arange(200), seed=seed)
        wrong += any(one.verdict != NO_DIFFERENCE for one in found)
        plain += any(one.p_value < 0.05 for one in found)
    assert wrong <= 5
    assert plain > 15


def test_values_of_other_rows_are_refused():
    values = {**world(base=0.0), "short": np.ones(ROWS - 1)}
    with pytest.raises(ValueError, match="same test rows"):
        compared(values)
    with pytest.raises(ValueError, match="same test rows"):
        segments(values, [], baseline="base", customer=CUSTOMER, seed=1)


def test_an_effect_in_one_segment_is_found_there_and_not_elsewhere():
    values = dict(world(base=0.0, other=0.0))
    inside = np.arange(ROWS) < 200
    values["other"] = values["other"] + np.where(inside, 0.2, 0.0)
    groups = [Group("country", "AT", inside), Group("country", "CZ", ~inside)]
    found = segments(values, groups, baseline="base", customer=CUSTOMER, seed=1)
    here, elsewhere = found["other"]
    assert (here.label, here.customers, here.verdict) == ("AT", 100, BETTER)
    assert (elsewhere.label, elsewhere.customers, elsewhere.verdict) == ("CZ", 350, NO_DIFFERENCE)
    assert here.difference is not None
    assert here.difference.low < 0.2 < here.difference.high
    assert [one.difference for one in found["base"]] == [None, None]
    assert here.figure.mean == pytest.approx(values["other"][inside].mean())


def test_segments_that_are_the_same_rows_are_one_test():
    """`cold`, and an activity of 0: here p is .03, and counted twice it would be above .05."""
    values = dict(world(base=0.0, other=0.0))
    inside = np.arange(ROWS) < 200
    rng = default_rng(5)
    values["other"] = values["base"] + np.where(inside, rng.normal(0.016, 0.075, ROWS), 0.0)
    asked = {"baseline": "base", "customer": CUSTOMER, "seed": 1}
    (alone,) = segments(values, [Group("cold", "cold", inside)], **asked)["other"]
    twice = [Group("cold", "cold", inside), Group("activity", "0", inside.copy())]
    both = segments(values, twice, **asked)["other"]
    assert [one.verdict for one in both] == [alone.verdict] * 2 == [BETTER] * 2


def test_ties_for_the_best_go_to_the_first():
    assert best_of({"a": np.ones(3), "b": np.ones(3)}) == "a"


@pytest.mark.parametrize(
    ("above", "expected"),
    [
        ({"good": 0.1}, "good is better than base by +0.0"),
        ({"good": 0.1, "fine": 0.05}, "better than each of the other 2 variants"),
        ({"good": 0.1, "twin": 0.1}, "; no difference was found between"),
        ({"bad": -0.1}, "bad is worse than base: -0.1"),
        ({"bad": -0.1, "evil": -0.2}, "Nothing beats base; all 2 others are worse, the least bad"),
        ({"same": 0.0}, "No difference was found between same and base"),
        ({"same": 0.0, "bad": -0.1}, "No variant was found to be better than base: the best of"),
    ],
)
def test_the_answer_says_what_the_figures_say(above: dict[str, float], expected: str):
    text = said(world(base=0.0, **above))
    assert expected in text
    assert text.endswith(".")
    assert "p = " in text or "p < " in text


def test_no_difference_says_what_would_have_shown_and_an_effect_of_that_size_does():
    values = world(base=0.0, same=0.0)
    text = said(values)
    (only,) = compared(values)
    least = visible(only, 1)
    assert f"an effect above {least:.4f} would most likely have shown" in text
    rng = default_rng(8)
    shows = 0
    for _ in range(40):
        base = rng.random(ROWS) / 2
        noise = rng.normal(0, 0.03 * np.sqrt(2), ROWS)
        (one,) = compared({"base": base, "same": base + noise + least})
        shows += one.verdict == BETTER
    assert shows >= 24


def test_of_two_that_never_differ_nothing_is_said_of_what_would_have_shown():
    values = world(base=0.0)
    text = said({**values, "same": values["base"].copy()})
    assert text.endswith(f"on {METRIC}.")
    assert "would most likely have shown" not in text


def test_one_variant_or_none_or_no_baseline_is_no_comparison():
    only = world(other=0.1)
    assert "there is no comparison" in said(only)
    assert "could be judged" in said({})
    both = world(one=0.0, other=0.1)
    text = said(both)
    assert "The baseline base could not be judged; of the others other is best" in text


def test_what_was_not_tested_follows_from_the_facts():
    spec = StudySpec.model_validate(
        {
            "question": "?",
            "dataset": ".",
            "evaluation": {"split": "time:7d"},
            "variants": [{"name": "a", "model": "ease"}],
        }
    )
    stopped = Trial(settings={}, value=None, seconds=0, state="stopped", why="x")
    variants = [one.model_copy(update={"trials": (stopped,)}) for one in shown(world(base=0.0))]
    left = [Left(variant="dear", why="would take about 40 min")]
    text = "\n".join(not_tested(spec, variants=variants, left=left, test_rows=300, customers=280))
    for expected in (
        "offline",
        "One split (time:7d)",
        "One seed (7)",
        "The test is 7 days",
        "Only 300 test rows of 280 customers",
        "dear was not judged: it would take about 40 min.",
        "Settings were not searched",
        "ended the search of base early",
    ):
        assert expected in text
