"""The rate card: the only place that rates, fees, premiums and prices come from.

A folder of dated TOML files (`oferta.terms.card_file`); the newest whose `valid_from` is not after
the day is in force. A price follows from `CardInputs` and nothing else.
"""

import itertools
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from oferta.errors import SettingsInvalid
from oferta.settings import load
from oferta.terms.card_check import notes_of, problems_between
from oferta.terms.card_file import CardFile
from oferta.terms.cents import amount, cents, percentage
from oferta.terms.quote import CardInputs, Fee, Price
from oferta.terms.tariff import (
    CreditTariff,
    InsuranceTariff,
    LeaseTariff,
    PriceTariff,
    Tariff,
)


@dataclass(frozen=True, slots=True)
class Card:
    """One rate card.

    Attributes:
        version: name of its file and a hash of its content, as `2026-01@3f9ac2d14b07`.
        tariffs: by product id.
    """

    valid_from: date
    currency: str
    version: str
    tariffs: dict[str, Tariff]


@dataclass(frozen=True, slots=True)
class Sale:
    """What is being quoted: a product on a day, and the card that is in force then."""

    product: str
    card: Card
    currency: str
    on: date


class RateCards:
    """All rate cards of a folder, oldest first. Immutable; safe to share between threads.

    Attributes:
        version: hash of all that they say.
        currency: of every one of them.
        products: ids of everything that any of them prices.
        notes: holes between tables and products that a newer card no longer has: meant, perhaps.
    """

    def __init__(self, cards: Sequence[Card], *, notes: Sequence[str] = ()) -> None:
        self.cards = tuple(sorted(cards, key=lambda card: card.valid_from))
        self.currency = self.cards[0].currency
        self.products = frozenset(id_ for card in self.cards for id_ in card.tariffs)
        self.version = sha256("\n".join(c.version for c in self.cards).encode()).hexdigest()[:16]
        self.notes = tuple(notes)
        self._from = [card.valid_from for card in self.cards]
        self.price = lru_cache(maxsize=1 << 14)(self._price)

    def valid(self, on: date) -> Card | None:
        """The card in force on a day; None: it is before the first one."""
        found = bisect_right(self._from, on) - 1
        return None if found < 0 else self.cards[found]

    def _price(self, inputs: CardInputs) -> Price | None:
        """What the card valid on `inputs.on` says; None: it has no cell for these inputs."""
        card = self.valid(inputs.on)
        tariff = None if card is None else card.tariffs.get(inputs.product)
        if card is None or tariff is None:
            return None
        on = cents(inputs.amount)
        match tariff:
            case CreditTariff():
                return _credit_price(tariff, inputs, on, version=card.version)
            case InsuranceTariff():
                excess = None if inputs.excess is None else cents(inputs.excess)
                premium = tariff.premium(on, excess, inputs.condition)
            case PriceTariff():
                premium = tariff.price(inputs.months)
        if premium is None:
            return None
        charged_on = premium if isinstance(tariff, PriceTariff) else on
        return Price(percentage(0), tariff.charges.fees(charged_on), amount(premium), card.version)


def _credit_price(
    tariff: CreditTariff, inputs: CardInputs, on: int, *, version: str
) -> Price | None:
    row = tariff.row(inputs.tier, inputs.condition)
    ltv = inputs.loan_to_value
    # Rounded up, as `oferta.terms.cents.loan_to_value` does.
    ltv_e4 = None if ltv is None else int(ltv.scaleb(4).to_integral_value(rounding="ROUND_CEILING"))
    cell = None if row is None else row.cell(inputs.months, on, ltv_e4)
    if cell is None:
        return None
    fees = cell.charges.fees(on)
    if isinstance(tariff, LeaseTariff):
        allowance = tariff.mileage_fee.get(inputs.mileage_km_year or 0)
        if allowance is None:
            return None
        if allowance:
            fees += (Fee("mileage", amount(allowance), "monthly"),)
    return Price(percentage(cell.rate_e4), fees, None, version)


def load_cards(folder: Path) -> RateCards:
    """Every `*.toml` in `folder` as rate cards.

    Raises:
        SettingsInvalid: no folder or no file in it; every mistake of every file, with its place:
            wrong values, bands that overlap, are out of order or leave a hole, tables that overlap,
            a product in tables of two kinds, two cards of one day, two currencies.
    """
    files = sorted(folder.glob("*.toml")) if folder.is_dir() else []
    if not files:
        raise SettingsInvalid(folder, ["no such folder, or no .toml file in it"])
    problems: list[str] = []
    notes: list[str] = []
    cards: dict[date, Card] = {}
    for file in files:
        try:
            read = load(file, CardFile)
        except SettingsInvalid as error:
            problems += [f"{file.name}: {problem}" for problem in error.problems]
            continue
        problems += [f"{file.name}: {problem}" for problem in problems_between(read)]
        notes += [f"{file.name}: {note}" for note in notes_of(read)]
        digest = sha256(file.read_bytes()).hexdigest()[:12]
        card = Card(read.valid_from, read.currency, f"{file.stem}@{digest}", _tariffs(read))
        if cards.setdefault(card.valid_from, card) is not card:
            problems.append(
                f"{file.name}: another card is valid from {card.valid_from} already, "
                f"{cards[card.valid_from].version.partition('@')[0]}.toml"
            )
    currencies = sorted({card.currency for card in cards.values()})
    if len(currencies) > 1:
        problems.append(f"cards of several currencies: {', '.join(currencies)}")
    if problems:
        raise SettingsInvalid(folder, problems)
    in_order = [cards[day] for day in sorted(cards)]
    for older, newer in itertools.pairwise(in_order):
        gone = sorted(older.tariffs.keys() - newer.tariffs.keys())
        if gone:
            notes.append(f"{newer.version}: no longer priced: {', '.join(gone)}")
    return RateCards(in_order, notes=notes)


def _tariffs(read: CardFile) -> dict[str, Tariff]:
    tariffs: dict[str, Tariff] = {}
    for table in read.credit:
        for product in table.products:
            if product not in tariffs:
                tables = [other for other in read.credit if product in other.products]
                tariffs[product] = CreditTariff(tables)
    tariffs |= {product: LeaseTariff(table) for table in read.lease for product in table.products}
    tariffs |= {
        product: InsuranceTariff(table) for table in read.insurance for product in table.products
    }
    tariffs |= {product: PriceTariff(table) for table in read.price for product in table.products}
    return tariffs
