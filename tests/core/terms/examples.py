"""The worked examples of docs/terms.md, computed: `python -m core.terms.examples` prints them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal

from core.terms.cards import ROOT, wanted

from oferta.catalogue.offers import OfferCatalogue, load_catalogue
from oferta.terms.card import RateCards, load_cards
from oferta.terms.fit import fit
from oferta.terms.quote import Terms, Unfit
from oferta.terms.schedule import schedule
from oferta.terms.wanted import Means, Wanted

DAY = date(2026, 11, 2)
CAN = Means(
    tier="B",
    income=Decimal(3200),
    spending=Decimal(1300),
    instalments=Decimal(120),
    condition="new",
)

WITH_CONTRACT = replace(CAN, instalments=Decimal(555), replaced=Decimal(435))
"""The same customer while a contract at 435 a month runs, which a re-terming ends."""

EXAMPLES: dict[str, tuple[str, Wanted]] = {
    "equal_instalment": ("new-car-loan", wanted(amount=16_000, deposit=4000, months=36)),
    "equal_principal": ("new-car-equal-principal", wanted(amount=12_000, deposit=4000, months=36)),
    "balloon": ("new-car-balloon", wanted(amount=18_000, deposit=4000, months=36)),
    "residual_value": ("new-car-residual", wanted(amount=18_000, deposit=4000, months=36)),
    "promotional": ("new-car-promotion", wanted(amount=10_000, deposit=6000, months=24)),
    "lease": ("new-car-lease", wanted(start_amount=26_000, months=36, mileage_km_year=14_000)),
    "insurance": ("comprehensive-renewal", wanted(start_amount=15_000)),
    "price": ("roadside", wanted()),
    "re_term": ("lower-instalment", wanted(payoff=9000, remaining_months=22)),
    "payment_plan": ("payment-plan", wanted(arrears=850)),
    "payment_holiday": ("arrears-holiday", wanted(payoff=9000, remaining_months=22)),
    "counter-offer": (
        "new-car-loan",
        wanted(amount=20_000, deposit=3000, months=36, instalment=300),
    ),
}
"""By kind: an offer of the sample seller, and what is wished of it."""


def terms_of(name: str, cards: RateCards, offers: OfferCatalogue) -> Terms:
    offer_id, wish = EXAMPLES[name]
    offer = offers.offer[offer_id]
    found = fit(
        offer.terms,
        product=offer.products[0],
        cards=cards,
        currency=cards.currency,
        on=DAY,
        wanted=wish,
        means=WITH_CONTRACT if name == "re_term" else CAN,
    )
    assert not isinstance(found, Unfit), (name, found)
    return found


def example(name: str, cards: RateCards, offers: OfferCatalogue) -> str:
    """What the page shows of an example: the terms, and the schedule's ends."""
    terms = terms_of(name, cards, offers)
    return "\n".join([*_summary(terms), *([] if name == "counter-offer" else _table(terms))])


def _summary(terms: Terms) -> Iterator[str]:
    yield f"amount {terms.amount}   deposit {terms.deposit}   months {terms.months}"
    rate = "" if terms.annual_rate is None and terms.kind != "lease" else f"rate {terms.rate} %   "
    annual = "" if terms.annual_rate is None else f"   annual rate {terms.annual_rate} %"
    yield f"{rate}instalment {terms.instalment}{annual}"
    for name, value in (
        ("price", terms.price),
        ("final payment", terms.final_payment),
        ("residual", terms.residual),
        ("excess", terms.excess),
        ("km a year", terms.mileage_km_year),
    ):
        if value:
            yield f"{name} {value}"
    for fee in terms.fees:
        yield f"fee {fee.name} {fee.amount} ({fee.paid})"
    yield f"total payable {terms.total_payable}   total cost {terms.total_cost}"
    for change in terms.changes:
        yield f"change {change.what}: {change.wished} -> {change.offered}"


def _table(terms: Terms) -> Iterator[str]:
    yield "number  due         payment  interest  principal    fees   balance"
    lines = schedule(terms)
    shown = [0, 1, 2, len(lines) - 2, len(lines) - 1]
    for number, line in enumerate(lines):
        if number not in shown:
            if number == shown[2] + 1:
                yield "..."
            continue
        yield (
            f"{line.number:6}  {line.due}  {line.payment:>8}  {line.interest:>8}"
            f"  {line.principal:>9}  {line.fees:>6}  {line.balance:>8}"
        )


def main() -> None:
    """Print every example, to be pasted into the page."""
    cards = load_cards(ROOT / "serving/rate_cards")
    offers = load_catalogue(ROOT / "serving/catalogue")
    for name in EXAMPLES:
        print(f"## {name}\n{example(name, cards, offers)}\n")  # noqa: T201 - it is what it is for


if __name__ == "__main__":
    main()
