"""Chance: p-values that err as often as they say, and no oftener together than alone."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.random import Generator, default_rng
from numpy.typing import NDArray
from scipy.stats import ttest_1samp

from oferta.evaluation.intervals import paired_differences
from oferta.evaluation.significance import holm, paired_test

FAMILIES = 3_000
Drawn = Callable[[Generator, tuple[int, int]], NDArray[np.float64]]


def test_of_independent_rows_it_is_students_test():
    values = default_rng(1).normal(0.2, 1, 25)
    assert paired_test(values) == pytest.approx(ttest_1samp(values, 0).pvalue)
    one_sided = ttest_1samp(values, 0, alternative="less").pvalue
    assert paired_test(values, than_zero="less") == pytest.approx(one_sided)


def test_copies_of_a_customers_row_show_no_more_than_the_row():
    values = default_rng(2).normal(0.2, 1, 25)
    copies, owners = np.repeat(values, 40), np.repeat(np.arange(25), 40)
    assert paired_test(copies, customer=owners) == pytest.approx(paired_test(values))
    assert paired_test(copies) < paired_test(values) / 5


def test_the_same_values_are_certain_and_one_customer_shows_nothing():
    assert paired_test(np.zeros(9)) == 1
    assert paired_test(np.full(9, 0.5)) == 0
    assert paired_test(np.full(9, 0.5), than_zero="less") == 1
    assert paired_test(np.full(9, -0.5), than_zero="less") == 0
    assert paired_test(np.array([0.4, 0.6]), customer=np.zeros(2, np.int64)) == 1
    assert paired_test(np.empty(0)) == 1


def sparse(rng: Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Most lists hit alike; a tenth of them each way by one."""
    return rng.choice([-1.0, 0.0, 1.0], shape, p=[0.1, 0.8, 0.1])


def skewed(rng: Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Many small losses and a few large gains, no difference in truth."""
    return np.asarray(rng.exponential(1, shape) - 1)


@pytest.mark.parametrize("customers", [30, 50])
@pytest.mark.parametrize(("drawn", "most"), [(sparse, 0.06), (skewed, 0.09)])
def test_small_groups_without_an_effect_seldom_show_one(drawn: Drawn, most: float, customers: int):
    values = drawn(default_rng(3), (customers, FAMILIES))
    found = np.mean([paired_test(column) < 0.05 for column in values.T])
    assert 0.02 < found < most
    told = paired_differences(values[:, :300], rng=default_rng(4))
    assert [one.p_value for one in told] == [paired_test(column) for column in values.T[:300]]


def test_holm_by_hand():
    """.01 x 4, .02 x 3, .03 x 2 and never falling, .04 x 1; capped at 1."""
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []
