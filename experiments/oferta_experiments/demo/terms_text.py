"""Terms in words: what a customer would pay, from the JSON of an offer."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

_FIRST: Final = 2
_CREDIT: Final = frozenset(
    {"equal_instalment", "equal_principal", "balloon", "residual_value", "promotional", "re_term"}
)


def money(value: float) -> str:
    """`12,250` or `301.23`: cents only where there are any."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"


def terms_text(terms: Mapping[str, Any]) -> str:
    """One or two sentences: amount, term, rate, payments, total, fees."""
    kind = terms["kind"]
    if kind in _CREDIT:
        return _credit(terms)
    if kind == "lease":
        return (
            f"{money(terms['instalment'])} {terms['currency']} a month for {terms['months']} "
            f"months, {terms['mileage_km_year']:,} km a year; {money(terms['total_payable'])} in "
            f"all{_fees(terms)}"
        )
    if kind == "insurance":
        return (
            f"{money(terms['price'])} {terms['currency']} a year, excess {money(terms['excess'])}"
            f"{_fees(terms)}"
        )
    if kind == "payment_plan":
        return (
            f"{money(terms['amount'])} {terms['currency']} that are late, over {terms['months']} "
            f"months: {money(terms['instalment'])} a month"
        )
    if kind == "payment_holiday":
        return f"{terms['holiday_months']} months without an instalment"
    return _price(terms)


def schedule_rows(terms: Mapping[str, Any]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Headings and rows of a schedule: the first payments, dots, the last one."""
    lines = [line for line in terms["schedule"] if line["number"] > 0]
    lent = any(line["interest"] for line in lines)
    columns = ("payment", "interest", "principal", "fees", "balance") if lent else ("payment",)
    short = len(lines) <= _FIRST + 2
    rows = [_line(line, columns) for line in (lines if short else lines[:_FIRST])]
    if not short:
        rows += [("…",) * (2 + len(columns)), _line(lines[-1], columns)]
    return ("#", "due", *columns), rows


def _line(line: Mapping[str, Any], columns: Sequence[str]) -> tuple[str, ...]:
    return (str(line["number"]), line["due"], *(f"{line[name]:,.2f}" for name in columns))


def _credit(terms: Mapping[str, Any]) -> str:
    deposit = f", {money(terms['deposit'])} down" if terms["deposit"] else ""
    last = f", and {money(terms['final_payment'])} at the end" if terms["final_payment"] else ""
    first = "from " if terms["kind"] == "equal_principal" else ""
    guarantor = ", with a guarantor" if terms["guarantor"] else ""
    return (
        f"{money(terms['amount'])} {terms['currency']} over {terms['months']} months{deposit}: "
        f"{first}{money(terms['instalment'])} a month{last}{guarantor}. "
        f"{terms['rate']:.2f} % a year, {terms['annual_rate']:.2f} % with fees; "
        f"{money(terms['total_payable'])} in all{_fees(terms)}"
    )


def _price(terms: Mapping[str, Any]) -> str:
    if not terms["total_payable"]:
        return "free of charge"
    if terms["instalment"] and terms["months"] > 1:
        return (
            f"{money(terms['instalment'])} {terms['currency']} a month for {terms['months']} "
            f"months{_fees(terms)}"
        )
    return f"{money(terms['total_payable'])} {terms['currency']} at once{_fees(terms)}"


def _fees(terms: Mapping[str, Any]) -> str:
    if not terms["fees"]:
        return ""
    said = ", ".join(
        f"{fee['name']} {money(fee['amount'])}" + (" a month" if fee["paid"] == "monthly" else "")
        for fee in terms["fees"]
    )
    return f" (fees: {said})"
