"""The annual rate against published examples, closed forms and a search by brute force."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oferta.terms.annual_rate import Flow, annual_rate


@pytest.mark.parametrize(
    ("years_and_payments", "kept", "expected"),
    [
        # Annex III of Directive 87/102/EEC as amended by 98/7/EC: 1000 lent,
        # A, first example: 1200 after 546 days of a year of 365;
        ([(546 / 365, 1200)], 0, "12.96"),
        # B, on months of a twelfth of a year: 1200 after 1.5 years;
        ([(1.5, 1200)], 0, "12.92"),
        # the same with 50 kept by the lender for expenses;
        ([(1.5, 1200)], 50, "16.85"),
        # twice 600 after one and two years;
        ([(1, 600), (2, 600)], 0, "13.07"),
        # 272, 272 and 544 after 3, 6 and 12 months.
        ([(0.25, 272), (0.5, 272), (1, 544)], 0, "13.19"),
    ],
)
def test_the_examples_of_the_directive(
    years_and_payments: list[tuple[float, float]], kept: float, expected: str
):
    paid = [Flow(0.0, kept), *(Flow(years, cash) for years, cash in years_and_payments)]
    assert annual_rate([Flow(0.0, 1000.0)], paid) == Decimal(expected)


def test_a_loan_without_fees_has_its_monthly_rate_compounded():
    # 1 % a month: 1.01^12 - 1 = 12.68 %
    factor = 0.01 / (1 - 1.01**-48)
    paid = [Flow(month / 12, 10_000 * factor) for month in range(1, 49)]
    assert annual_rate([Flow(0.0, 10_000.0)], paid) == Decimal("12.68")


def test_what_costs_nothing_has_a_rate_of_zero_without_a_sign():
    paid = [Flow(month / 12, 100.0) for month in range(1, 7)]
    assert str(annual_rate([Flow(0.0, 600.0)], paid)) == "0.00"


def test_no_rate_equates_what_is_never_lent_or_never_paid():
    assert annual_rate([Flow(0.0, 100.0)], [Flow(0.0, 150.0), Flow(1.0, 10.0)]) is None
    assert annual_rate([Flow(0.0, 100.0)], []) is None
    assert annual_rate([], []) is None


def test_several_drawdowns_count_from_the_first():
    # 500 now and 500 in half a year against 1100 in a year: with y = sqrt(1 + X),
    # 500 y^2 + 500 y = 1100, so y = (sqrt(9.8) - 1) / 2 = 1.0652 and X = y^2 - 1 = 13.48 %.
    drawn = [Flow(0.0, 500.0), Flow(0.5, 500.0)]
    assert annual_rate(drawn, [Flow(1.0, 1100.0)]) == Decimal("13.48")


def brute(drawn: list[Flow], paid: list[Flow]) -> Decimal:
    """Halving on X itself, 200 times, by the formula as the directive writes it."""

    def gap(rate: float) -> float:
        return sum(one.amount * (1 + rate) ** -one.years for one in drawn) - sum(
            one.amount * (1 + rate) ** -one.years for one in paid
        )

    low, high = -0.999, 1000.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if gap(middle) < 0 else (low, middle)
    return Decimal(repr(low * 100)).quantize(Decimal("0.01"), "ROUND_HALF_UP")


@given(
    st.floats(500, 80_000),
    st.lists(st.floats(1, 5000), min_size=1, max_size=96),
    st.floats(0, 400),
)
def test_it_is_what_halving_finds(lent: float, payments: list[float], fee: float):
    paid = [Flow(0.0, fee), *(Flow(month / 12, cash) for month, cash in enumerate(payments, 1))]
    drawn = [Flow(0.0, lent)]
    found = annual_rate(drawn, paid)
    assert found is not None
    expected = brute(drawn, paid)
    if -99 < expected < 90_000:
        assert abs(found - expected) <= max(Decimal("0.01"), abs(expected) * Decimal("1e-9"))
