"""What only shows between the tables of a rate card: overlaps, products of two kinds, holes."""

from collections.abc import Iterator
from decimal import Decimal
from itertools import combinations, pairwise, product

from oferta.terms.card_file import CardFile, CreditTable


def problems_between(card: CardFile) -> list[str]:
    """Why two tables contradict each other, by product."""
    places: dict[str, list[tuple[str, int]]] = {}
    for kind in ("credit", "lease", "insurance", "price"):
        for number, table in enumerate(getattr(card, kind)):
            for name in table.products:
                places.setdefault(name, []).append((kind, number))
    problems: list[str] = []
    for name, found in places.items():
        kinds = sorted({kind for kind, _ in found})
        if len(kinds) > 1:
            problems.append(f"product '{name}' is in tables of {' and '.join(kinds)}")
        elif len(set(found)) < len(found):
            problems.append(f"product '{name}' stands twice in one table")
        elif kinds != ["credit"] and len(found) > 1:
            numbers = " and ".join(str(number) for _, number in found)
            problems.append(f"product '{name}' has {kinds[0]} tables {numbers}; one is enough")
        elif len(found) > 1:
            problems += _overlaps(name, card, [number for _, number in found])
    return problems


def notes_of(card: CardFile) -> list[str]:
    """Holes between the tables of one product, by tier; a `"none"` was meant, and is no hole."""
    notes = []
    names = sorted({name for table in card.credit for name in table.products})
    for name in names:
        tables = [table for table in card.credit if name in table.products]
        if len(tables) > 1:
            notes += [f"product '{name}', {hole}" for hole in _holes(tables)]
    return notes


def _overlaps(name: str, card: CardFile, numbers: list[int]) -> Iterator[str]:
    for one, other in combinations(numbers, 2):
        first, second = card.credit[one], card.credit[other]
        if not _meet(_span(first.amount), _span(second.amount)):
            continue
        if not _meet(_ltv(first), _ltv(second)) or not _conditions(first) & _conditions(second):
            continue
        tiers = sorted(
            tier
            for tier in first.rates.keys() & second.rates.keys()
            if any(
                low <= other_high and other_low <= high
                for low, high in _sold(first, tier)
                for other_low, other_high in _sold(second, tier)
            )
        )
        if tiers:
            yield (
                f"product '{name}': credit tables {one} and {other} overlap "
                f"for tier {', '.join(tiers)}"
            )


def _holes(tables: list[CreditTable]) -> Iterator[str]:
    amounts = sorted({edge for table in tables for edge in _span(table.amount)})
    terms = sorted({edge for t in tables for low, high in t.months for edge in (low, high + 1)})
    for tier in sorted({tier for table in tables for tier in table.rates}):
        for (low, high), (first, last) in product(pairwise(amounts), pairwise(terms)):
            covered = any(
                tier in table.rates
                and _span(table.amount)[0] <= low
                and high <= _span(table.amount)[1]
                and table.months[0][0] <= first
                and last - 1 <= table.months[-1][1]
                for table in tables
            )
            if not covered:
                yield f"tier {tier}: no cell for {low} to {high} over {first} to {last - 1} months"


def _span(bands: tuple[tuple[Decimal, Decimal], ...]) -> tuple[Decimal, Decimal]:
    return bands[0][0], bands[-1][1]


def _ltv(table: CreditTable) -> tuple[Decimal, Decimal]:
    return _span(table.loan_to_value) if table.loan_to_value else (Decimal(0), Decimal(1000))


def _meet(one: tuple[Decimal, Decimal], other: tuple[Decimal, Decimal]) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _conditions(table: CreditTable) -> set[str]:
    return set(table.condition_points) or {"new", "used"}


def _sold(table: CreditTable, tier: str) -> list[tuple[int, int]]:
    rates = table.rates[tier]
    return [band for band, rate in zip(table.months, rates, strict=True) if rate != "none"]
