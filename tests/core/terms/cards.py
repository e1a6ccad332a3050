"""A small rate card, and what is asked of it unless a test says otherwise."""

import tomllib
from datetime import date
from decimal import Decimal
from pathlib import Path

from oferta.catalogue.ranges import CreditTerms, TermsRange
from oferta.settings import parse
from oferta.terms.card import RateCards, load_cards
from oferta.terms.complete import complete
from oferta.terms.fit import quote
from oferta.terms.quote import Quote, Terms, Unfit
from oferta.terms.wanted import Means, Wanted

DAY = date(2026, 3, 31)
ROOT = Path(__file__).parents[3]

CARD = """
valid_from = 2026-01-01
currency = "EUR"

[[credit]]
products = ["loan", "principal", "balloon"]
months = [[6, 24], [25, 48], [49, 96]]
amount = [[1000, 5000], [5000, 15_000], [15_000, 80_000]]
loan_to_value = [[0, 0.8], [0.8, 1.0], [1.0, 1.2]]
rates.A = [4.8, 5.4, 6.0]
rates.B = [6.0, 6.6, 7.2]
rates.C = [8.4, 9.0, "none"]
amount_points = [1.2, 0.6, 0.0]
loan_to_value_points = [0.0, 0.6, 1.8]
condition_points = { new = 0.0, used = 0.6 }
fees = [
  { name = "arrangement", percent = 1.0, least = 50, most = 300, paid = "start" },
  { name = "account", fixed = 2, paid = "monthly" },
]

[[credit]]
products = ["plain"]
months = [[1, 120]]
amount = [[100, 80_000]]
rates.any = [12.0]

[[credit]]
products = ["plan"]
months = [[1, 60]]
amount = [[1, 80_000]]
rates.any = [0.0]

[[lease]]
products = ["lease"]
months = [[1, 96]]
amount = [[1000, 80_000]]
rates.A = [6.0]
mileage_km_year = [10_000, 20_000]
mileage_fee = [0, 30]
fees = [{ name = "handover", fixed = 100, paid = "start" }]

[[insurance]]
products = ["cover"]
insured = [1000, 50_000]
excess = [0, 300, 600]
percent = [4.0, 3.0, 2.4]
minimum = [200, 180, 160]

[[price]]
products = ["plan-price"]
months = [1, 24]
monthly = [10, 9]

[[price]]
products = ["once"]
once = 120
"""


def cards(folder: Path, **files: str) -> RateCards:
    """Rate cards of these files; without any, of `CARD` alone."""
    folder.mkdir(exist_ok=True)
    for name, text in (files or {"one": CARD}).items():
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    return load_cards(folder)


def credit(text: str = "", *, kind: str = "equal_instalment") -> CreditTerms:
    """Ranges of a loan; `text` is TOML that adds to them or replaces some."""
    final = {"min": 0.2, "start": 0.3, "max": 0.5} if kind in {"balloon", "residual_value"} else {}
    values = {
        "kind": kind,
        "amount": {"min": 2000, "max": 40_000, "start": "10000"},
        "months": [12, 24, 36, 48, 60, 72],
        "start_months": 36,
        "deposit": {"min": 0.0, "max": 0.5, "start": 0.0},
        "final": final,
        "max_loan_to_value": 1.2,
    }
    return parse(values | tomllib.loads(text), CreditTerms, place="test")


def means(**values: object) -> Means:
    """Means that afford everything, of tier A, with a new car; some replaced."""
    known: dict[str, object] = {"tier": "A", "unknown_income": "allow", "condition": "new"}
    return Means(**(known | values))  # type: ignore[arg-type] - whatever the test says


def wanted(**values: int | str | None) -> Wanted:
    """A wish in plain figures."""
    whole = {"months", "mileage_km_year", "remaining_months"}
    return Wanted(
        **{
            name: value if value is None or name in whole else Decimal(str(value))
            for name, value in values.items()
        }  # type: ignore[arg-type] - integers where integers are asked for
    )


def asked(
    known: RateCards,
    ranges: TermsRange,
    *,
    product: str = "loan",
    on: date = DAY,
    wish: Wanted | None = None,
    can: Means | None = None,
) -> Quote | Unfit:
    """The quote for a wish, or why there is none."""
    return quote(
        ranges,
        product=product,
        cards=known,
        currency="EUR",
        on=on,
        wanted=wish or wanted(start_amount=10_000),
        means=can or means(),
    )


def quoted(
    known: RateCards,
    ranges: TermsRange,
    *,
    product: str = "loan",
    on: date = DAY,
    wish: Wanted | None = None,
    can: Means | None = None,
) -> Terms:
    """As `asked`, complete; fails where nothing fits."""
    found = asked(known, ranges, product=product, on=on, wish=wish, can=can)
    assert not isinstance(found, Unfit), found
    return complete(found)
