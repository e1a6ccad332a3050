from math import erfc, sqrt

import numpy as np
import pytest
from numpy.random import default_rng

from oferta.evaluation.intervals import (
    Interval,
    bootstrap,
    paired_difference,
    paired_differences,
)


def test_an_interval_holds_its_mean_and_is_as_wide_as_theory_says():
    values = default_rng(1).normal(3.0, 2.0, 4_000)
    found = bootstrap(values[:, None], rng=default_rng(2))[0]
    assert found.mean == pytest.approx(values.mean())
    assert found.low < found.mean < found.high
    theory = 2 * 1.96 * values.std() / np.sqrt(len(values))
    assert found.high - found.low == pytest.approx(theory, rel=0.1)


def test_more_customers_than_are_drawn_singly_give_the_interval_of_theory_too():
    values = default_rng(1).random(50_000)
    found = bootstrap(values[:, None], rng=default_rng(2))[0]
    theory = 2 * 1.96 * values.std() / np.sqrt(len(values))
    assert found.high - found.low == pytest.approx(theory, rel=0.1)


def test_rows_of_one_customer_are_drawn_together():
    """A hundred copies of each customer's row tell no more than one."""
    values = default_rng(1).random(80)
    once = bootstrap(values[:, None], rng=default_rng(2))[0]
    copies = np.repeat(values, 100)[:, None]
    owners = np.repeat(np.arange(80), 100)
    together = bootstrap(copies, rng=default_rng(2), customer=owners)[0]
    apart = bootstrap(copies, rng=default_rng(2))[0]
    assert together.high - together.low == pytest.approx(once.high - once.low, rel=1e-9)
    assert apart.high - apart.low < (once.high - once.low) / 5


def test_a_pair_sees_what_two_single_intervals_cannot():
    rng = default_rng(4)
    hard = rng.normal(0, 1, 500)
    better, worse = hard + 0.05, hard + rng.normal(0, 0.02, 500)
    alone_better, alone_worse = bootstrap(np.stack([better, worse], 1), rng=default_rng(5))
    assert alone_better.low < alone_worse.high
    gap = paired_difference(better, worse, rng=default_rng(5))
    assert 0.045 < gap.low < gap.mean < gap.high < 0.055


def test_the_same_seed_gives_the_same_interval():
    values = default_rng(1).random((30, 2))
    assert bootstrap(values, rng=default_rng(5)) == bootstrap(values, rng=default_rng(5))


def test_nothing_has_an_interval_of_zero_and_unlike_rows_are_no_pair():
    assert bootstrap(np.empty((0, 1)), rng=default_rng(1)) == [Interval(0, 0, 0)]
    with pytest.raises(ValueError, match="same test rows"):
        paired_difference(np.ones(3), np.ones(4), rng=default_rng(1))


def test_chance_agrees_with_the_interval_and_with_theory():
    """Means that are so many standard errors from 0: the normal two-sided p-value of each."""
    rows = 2_000
    noise = default_rng(3).normal(0, 1, rows)
    noise = (noise - noise.mean()) / noise.std() / np.sqrt(1 / rows)
    errors = np.array([0.0, 1.0, 1.8, 2.2, 3.0, 5.0])
    found = paired_differences(noise[:, None] + errors, rng=default_rng(4))
    for one, error in zip(found, errors, strict=True):
        assert one.p_value == pytest.approx(erfc(error / sqrt(2)), rel=0.1)
        inside = one.interval.low <= 0 <= one.interval.high
        assert inside == (one.p_value >= 0.05)
    mirrored = paired_differences(-noise[:, None] - errors, rng=default_rng(4))
    assert [one.p_value for one in mirrored] == pytest.approx([one.p_value for one in found])


def test_rows_that_are_all_alike_leave_nothing_to_chance():
    same, apart = paired_differences(np.array([[0.0, 0.5]] * 9), rng=default_rng(1))
    assert (same.p_value, apart.p_value) == (1.0, 0.0)
    (nothing,) = paired_differences(np.empty((0, 1)), rng=default_rng(1))
    assert nothing.p_value == 1
