"""Terms in words: what the demo's page says of each kind of terms."""

from typing import Any

import pytest

from oferta_experiments.demo.terms_text import money, schedule_rows, terms_text

BARE: dict[str, Any] = {
    "currency": "EUR",
    "amount": 0.0,
    "deposit": 0.0,
    "months": 12,
    "rate": 0.0,
    "annual_rate": None,
    "instalment": 0.0,
    "final_payment": 0.0,
    "price": 0.0,
    "fees": [],
    "total_payable": 0.0,
    "excess": None,
    "mileage_km_year": None,
    "holiday_months": 0,
    "guarantor": False,
}
BALLOON = {
    **BARE,
    "kind": "balloon",
    "amount": 18_000.0,
    "deposit": 3_177.0,
    "months": 36,
    "instalment": 442.62,
    "final_payment": 5_294.0,
    "rate": 8.89,
    "annual_rate": 9.99,
    "total_payable": 24_621.18,
    "fees": [{"name": "arrangement", "amount": 216.0, "paid": "start"}],
}


def test_a_balloon_loan_states_what_is_paid_when_and_the_annual_rate() -> None:
    assert terms_text(BALLOON) == (
        "18,000 EUR over 36 months, 3,177 down: 442.62 a month, and 5,294 at the end. "
        "8.89 % a year, 9.99 % with fees; 24,621.18 in all (fees: arrangement 216)"
    )


def test_falling_instalments_and_a_guarantor_are_told() -> None:
    said = terms_text(
        {**BALLOON, "kind": "equal_principal", "final_payment": 0.0, "guarantor": True}
    )
    assert "from 442.62 a month, with a guarantor." in said
    assert "at the end" not in said


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        (
            {"kind": "insurance", "price": 663.61, "excess": 300.0, "instalment": 55.3},
            "663.61 EUR a year, excess 300",
        ),
        (
            {
                "kind": "lease",
                "instalment": 638.87,
                "months": 36,
                "mileage_km_year": 15_000,
                "total_payable": 23_189.44,
                "fees": [{"name": "mileage", "amount": 18.0, "paid": "monthly"}],
            },
            (
                "638.87 EUR a month for 36 months, 15,000 km a year; 23,189.44 in all "
                "(fees: mileage 18 a month)"
            ),
        ),
        (
            {"kind": "price", "instalment": 29.0, "months": 24, "total_payable": 696.0},
            "29 EUR a month for 24 months",
        ),
        ({"kind": "price", "months": 1, "total_payable": 1_190.0}, "1,190 EUR at once"),
        ({"kind": "price", "months": 1}, "free of charge"),
        (
            {"kind": "payment_plan", "amount": 900.0, "months": 6, "instalment": 150.0},
            "900 EUR that are late, over 6 months: 150 a month",
        ),
        ({"kind": "payment_holiday", "holiday_months": 2}, "2 months without an instalment"),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else None,
)
def test_what_each_kind_costs(terms: dict[str, Any], said: str) -> None:
    assert terms_text({**BARE, **terms}) == said


def lines(count: int, *, interest: float) -> dict[str, Any]:
    amounts = {"payment": 10.0, "interest": interest, "principal": 9.0, "fees": 0.0, "balance": 1.0}
    return {"schedule": [{"number": n, "due": "2026-12-01", **amounts} for n in range(count + 1)]}


def test_a_long_schedule_shows_its_beginning_and_its_end() -> None:
    headings, rows = schedule_rows(lines(36, interest=1.0))
    assert headings[:3] == ("#", "due", "payment")
    assert [row[0] for row in rows] == ["1", "2", "…", "36"]
    assert {len(row) for row in rows} == {len(headings)}


def test_a_short_schedule_is_whole_and_a_price_has_no_interest() -> None:
    headings, rows = schedule_rows(lines(4, interest=0.0))
    assert headings == ("#", "due", "payment")
    assert [row[0] for row in rows] == ["1", "2", "3", "4"]


def test_cents_stand_only_where_there_are_any() -> None:
    assert (money(12_250.0), money(301.23)) == ("12,250", "301.23")
