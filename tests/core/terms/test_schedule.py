"""Schedules against tables worked by hand, and the laws that every schedule keeps."""

import itertools
from datetime import date
from decimal import Decimal
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oferta.terms.cents import amount, cents
from oferta.terms.complete import LENT, complete
from oferta.terms.instalment import after_holiday, annuity, instalment
from oferta.terms.quote import Fee, Kind, Line, Quote
from oferta.terms.schedule import months_after, schedule

START = date(2026, 1, 31)


def plain(kind: Kind, due: str, *, months: int = 3, rate: str = "12", **more: object) -> Quote:
    """1000.00 at 12 % over three months, unless said otherwise."""
    values: dict[str, object] = {
        "amount": Decimal("1000.00"),
        "deposit": Decimal("0.00"),
        "final_payment": Decimal("0.00"),
        "fees": (),
    }
    return Quote(
        kind=kind,
        product="loan",
        currency="EUR",
        start=START,
        months=months,
        rate=Decimal(rate),
        instalment=Decimal(due),
        card="card",
        **(values | more),  # type: ignore[arg-type] - whatever the test says
    )


def table(lines: tuple[Line, ...]) -> list[str]:
    """Payment, interest, principal, fees, balance of each line after the first day's."""
    return [
        f"{one.payment} {one.interest} {one.principal} {one.fees} {one.balance}"
        for one in lines[1:]
    ]


def test_equal_instalments_as_worked_by_hand():
    # 1000 * 0.01 / (1 - 1.01^-3) = 340.0221
    assert annuity(100_000, rate_e4=120_000, months=3) == 34_002
    assert table(schedule(plain("equal_instalment", "340.02"))) == [
        "340.02 10.00 330.02 0.00 669.98",
        "340.02 6.70 333.32 0.00 336.66",
        "340.03 3.37 336.66 0.00 0.00",
    ]


def test_equal_principal_as_worked_by_hand():
    assert instalment("equal_principal", 100_000, rate_e4=120_000, months=3) == 34_333
    assert table(schedule(plain("equal_principal", "343.33"))) == [
        "343.33 10.00 333.33 0.00 666.67",
        "340.00 6.67 333.33 0.00 333.34",
        "336.67 3.33 333.34 0.00 0.00",
    ]


@pytest.mark.parametrize("kind", ["balloon", "residual_value"])
def test_a_final_payment_as_worked_by_hand(kind: Kind):
    # 600 * 0.3400221 + 400 * 0.01 = 208.0133
    assert annuity(100_000, rate_e4=120_000, months=3, final=40_000) == 20_801
    assert table(schedule(plain(kind, "208.01", final_payment=Decimal("400.00")))) == [
        "208.01 10.00 198.01 0.00 801.99",
        "208.01 8.02 199.99 0.00 602.00",
        "608.02 6.02 602.00 0.00 0.00",
    ]


def test_a_lease_ends_at_the_residual_which_nobody_pays():
    lease = plain("lease", "208.01", residual=Decimal("400.00"))
    assert table(schedule(lease)) == [
        "208.01 10.00 198.01 0.00 801.99",
        "208.01 8.02 199.99 0.00 602.00",
        "208.02 6.02 202.00 0.00 400.00",
    ]
    terms = complete(lease)
    assert (terms.total_payable, terms.annual_rate) == (Decimal("624.04"), None)


def test_a_holiday_adds_its_interest_to_what_is_owed():
    assert after_holiday(100_000, rate_e4=120_000, months=1) == 101_000
    # 1010 * 0.01 / (1 - 1.01^-2) = 512.5876
    holiday = plain("payment_holiday", "512.59", holiday_months=1)
    assert table(schedule(holiday)) == [
        "0.00 10.00 -10.00 0.00 1010.00",
        "512.59 10.10 502.49 0.00 507.51",
        "512.59 5.08 507.51 0.00 0.00",
    ]


def test_fees_and_deposit_stand_in_their_own_columns():
    fees = (Fee("arrangement", Decimal("25.00"), "start"), Fee("account", Decimal(2), "monthly"))
    lines = schedule(plain("equal_instalment", "342.02", deposit=Decimal(200), fees=fees))
    assert (lines[0].payment, lines[0].fees, lines[0].balance) == (
        Decimal("225.00"),
        Decimal("25.00"),
        Decimal("1000.00"),
    )
    assert table(lines) == [
        "342.02 10.00 330.02 2.00 669.98",
        "342.02 6.70 333.32 2.00 336.66",
        "342.03 3.37 336.66 2.00 0.00",
    ]


def test_a_premium_is_paid_in_equal_parts_without_interest():
    cover = plain("insurance", "8.33", months=12, rate="0", price=Decimal("100.00"))
    lines = schedule(cover)
    assert [str(line.payment) for line in lines] == ["0.00", *["8.33"] * 11, "8.37"]
    assert complete(cover).total_payable == Decimal("100.00")


def test_a_price_paid_at_once_has_one_line():
    lines = schedule(plain("price", "0.00", months=24, rate="0", price=Decimal("95.00")))
    assert [(line.number, str(line.payment), str(line.balance)) for line in lines] == [
        (0, "95.00", "0.00")
    ]


def test_payments_fall_on_the_same_day_or_the_last_of_the_month():
    lines = schedule(plain("equal_instalment", "340.02"))
    assert [line.due.isoformat() for line in lines] == [
        "2026-01-31",
        "2026-02-28",
        "2026-03-31",
        "2026-04-30",
    ]
    assert months_after(date(2027, 11, 30), 3) == date(2028, 2, 29)
    assert months_after(date(2026, 12, 15), 12) == date(2027, 12, 15)


@st.composite
def quotes(draw: st.DrawFn) -> Quote:
    """Credit of any kind, as a fit would make it."""
    kind = draw(st.sampled_from([kind for kind in get_args(Kind) if kind in LENT]))
    lent = draw(st.integers(100_000, 8_000_000))
    months = draw(st.integers(2, 96))
    rate_e4 = draw(st.integers(0, 2000)) * 100
    large = kind in {"balloon", "residual_value"}
    final = draw(st.integers(0, lent)) if large else 0
    pause = draw(st.integers(1, min(6, months - 1))) if kind == "payment_holiday" else 0
    owed = after_holiday(lent, rate_e4=rate_e4, months=pause)
    monthly, at_start = draw(st.integers(0, 500)), draw(st.integers(0, lent // 20))
    due = instalment(kind, owed, rate_e4=rate_e4, months=months - pause, final=final) + monthly
    return plain(
        kind,
        str(amount(due)),
        months=months,
        rate=str(Decimal(rate_e4).scaleb(-4)),
        amount=amount(lent),
        deposit=amount(draw(st.integers(0, lent))),
        final_payment=amount(final),
        fees=(
            Fee("arrangement", amount(at_start), "start"),
            Fee("account", amount(monthly), "monthly"),
        ),
        holiday_months=pause,
    )


@given(quotes())
def test_what_is_lent_is_paid_back_to_the_cent(quote: Quote):
    lines = schedule(quote)
    assert len(lines) == quote.months + 1
    assert sum(line.principal for line in lines) == quote.amount
    assert lines[-1].balance == 0
    for before, line in itertools.pairwise(lines):
        assert line.payment == line.interest + line.principal + line.fees
        assert line.balance == before.balance - line.principal
        assert line.payment >= 0
        assert line.balance >= 0
        # Each month's interest again, by Decimal alone.
        exact = before.balance * quote.rate / 1200
        assert abs(line.interest - exact) <= Decimal("0.005")


@given(quotes())
def test_only_the_last_instalment_differs_and_by_little(quote: Quote):
    if quote.kind == "equal_principal":
        return
    paying = schedule(quote)[1 + quote.holiday_months : -1]
    assert {line.payment for line in paying} <= {quote.instalment}
    last = schedule(quote)[-1].payment - quote.final_payment
    # Half a cent a month, with its interest, is all that rounding can leave.
    grown = (1 + quote.rate / 1200) ** quote.months
    assert abs(last - quote.instalment) <= Decimal("0.01") * quote.months * grown


@given(quotes())
def test_totals_are_those_of_the_schedule_and_fees_raise_the_annual_rate(quote: Quote):
    terms = complete(quote)
    lines = schedule(quote)
    assert terms.total_payable == sum(line.payment for line in lines)
    assert terms.total_cost == sum(line.interest + line.fees for line in lines)
    assert terms.annual_rate is not None
    # A month's rate compounded is above the nominal one; roundings of small loans aside.
    assert terms.annual_rate >= quote.rate - Decimal("0.05")
    effective = ((1 + quote.rate / 1200) ** 12 - 1) * 100
    if not any(fee.amount for fee in quote.fees):
        assert terms.annual_rate == pytest.approx(effective, abs=Decimal("0.05"))


@given(st.decimals(0, 100_000, places=6))
def test_cents_are_rounded_half_up(value: Decimal):
    assert amount(cents(value)) == value.quantize(Decimal("0.01"), "ROUND_HALF_UP")
