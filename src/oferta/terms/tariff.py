"""What one card says of one product, compiled for looking up: bands by bisection, money in cents.

A `CreditTariff` may be made of several tables. For a tier and a condition it has a `CreditRow`,
whose `cell(months, amount, loan to value)` is a rate and its charges.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from oferta.terms.card_file import (
    Condition,
    CreditTable,
    FeeRule,
    InsuranceTable,
    LeaseTable,
    PriceTable,
)
from oferta.terms.cents import amount, cents, e4, share_of
from oferta.terms.quote import Fee


@dataclass(frozen=True, slots=True)
class Charges:
    """The fees of a table."""

    rules: tuple["_Charge", ...]
    monthly_rules: tuple["_Charge", ...]

    def monthly(self, on: int) -> int:
        """What is charged every month on an amount, in cents."""
        return sum([rule.cents(on) for rule in self.monthly_rules]) if self.monthly_rules else 0

    def fees(self, on: int) -> tuple[Fee, ...]:
        """Every fee on an amount in cents; those of nothing are left out."""
        return tuple(
            [
                Fee(rule.rule.name, amount(due), rule.rule.paid)
                for rule in self.rules
                if (due := rule.cents(on))
            ]
        )


@dataclass(frozen=True, slots=True)
class _Charge:
    rule: FeeRule
    fixed: int
    percent_e4: int
    least: int
    most: int

    def cents(self, on: int) -> int:
        if not self.percent_e4:
            return self.fixed
        return min(max(share_of(on, self.percent_e4), self.least), self.most)


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a grid: the rate and what is charged beside it."""

    rate_e4: int
    charges: Charges


@dataclass(frozen=True, slots=True)
class _Block:
    """One table for one tier and condition."""

    months_from: tuple[int, ...]
    months_to: int
    amounts_from: tuple[int, ...]
    amounts_to: int
    ltv_from: int
    ltv_to: tuple[int, ...]
    cells: tuple[tuple[tuple[Cell, ...], ...] | None, ...]
    """By band of months (None: not sold), amount, loan to value."""

    def cell(self, months: int, lent: int, ltv_e4: int | None) -> Cell | None:
        term = bisect_right(self.months_from, months) - 1
        if term < 0 or months > self.months_to or (row := self.cells[term]) is None:
            return None
        band = bisect_right(self.amounts_from, lent) - 1
        if band < 0 or lent > self.amounts_to:
            return None
        if not self.ltv_to:
            return row[band][0]
        if ltv_e4 is None:
            return row[band][-1]
        risk = bisect_left(self.ltv_to, ltv_e4)
        if risk == len(self.ltv_to) or (ltv_e4 <= self.ltv_from and self.ltv_from):
            return None
        return row[band][risk]


@dataclass(frozen=True, slots=True)
class CreditRow:
    """The cells of one product for one tier and one condition of the car.

    Attributes:
        amount_edges: amounts in cents at which a band begins, ascending.
        ltv_edges: ratios in ten-thousandths at which a band ends, ascending.
        least_rate_e4: the lowest rate of all cells.
    """

    blocks: tuple[_Block, ...]
    amount_edges: tuple[int, ...]
    ltv_edges: tuple[int, ...]
    least_rate_e4: int

    def cell(self, months: int, lent: int, ltv_e4: int | None) -> Cell | None:
        """The cell for a term, an amount in cents and a ratio; None: nothing is sold there."""
        for block in self.blocks:
            if (found := block.cell(months, lent, ltv_e4)) is not None:
                return found
        return None

    def sells(self, months: int) -> bool:
        """Whether any cell has this term."""
        return any(
            block.months_from[0] <= months <= block.months_to
            and block.cells[bisect_right(block.months_from, months) - 1] is not None
            for block in self.blocks
        )


class CreditTariff:
    """The tables of one product that is lent. Immutable, but for what it remembers of itself."""

    def __init__(self, tables: Sequence[CreditTable]) -> None:
        # Where one table ends another may begin: the one that begins there has that amount.
        self.tables = tuple(sorted(tables, key=lambda table: -table.amount[0][0]))
        self.plans: dict[int, object] = {}  # see `oferta.terms.plan.plan_of`
        self.row = lru_cache(maxsize=256)(self._row)
        self.sold = lru_cache(maxsize=1024)(self._sold)

    def _row(self, tier: str | None, condition: str | None) -> CreditRow | None:
        """The row of a tier and condition; None: there is none."""
        blocks = [
            block for table in self.tables if (block := _block(table, tier, condition)) is not None
        ]
        if not any(term for block in blocks for term in block.cells):
            return None
        return CreditRow(
            tuple(blocks),
            tuple(sorted({edge for block in blocks for edge in block.amounts_from})),
            tuple(sorted({edge for block in blocks for edge in block.ltv_to})),
            min(
                cell.rate_e4
                for block in blocks
                for term in block.cells
                for row in term or ()
                for cell in row
            ),
        )

    def _sold(
        self, months: tuple[int, ...], tier: str | None, condition: str | None
    ) -> tuple[int, ...]:
        """Those of `months` for which the row has any cell."""
        row = self.row(tier, condition)
        return () if row is None else tuple(term for term in months if row.sells(term))


class LeaseTariff(CreditTariff):
    """The table of one leased product."""

    def __init__(self, table: LeaseTable) -> None:
        super().__init__((table,))
        self.mileage_fee = {
            allowance: cents(fee)
            for allowance, fee in zip(table.mileage_km_year, table.mileage_fee, strict=True)
        }


class InsuranceTariff:
    """The table of one insurance."""

    def __init__(self, table: InsuranceTable) -> None:
        self.table = table
        self.charges = _charges(table.fees)
        self.least, self.most = cents(table.insured[0]), cents(table.insured[1])
        self._by_excess = {
            cents(excess): (e4(percent), cents(minimum))
            for excess, percent, minimum in zip(
                table.excess, table.percent, table.minimum, strict=True
            )
        }
        self._points: Mapping[Condition, int] = {
            one: e4(points) for one, points in table.condition_points.items()
        }

    def premium(self, insured: int, excess: int | None, condition: str | None) -> int | None:
        """A year's premium in cents; without an excess, the lowest there is. None: no cell."""
        if not self.least <= insured <= self.most:
            return None
        found = self.terms(excess, condition)
        return None if found is None else max(share_of(insured, found[0]), found[1])

    def terms(self, excess: int | None, condition: str | None) -> tuple[int, int] | None:
        """Percentage (times 10,000) and minimum in cents of a year's premium; None: no cell."""
        found = self._by_excess.get(min(self._by_excess) if excess is None else excess)
        points = _points(self._points, condition)
        return None if found is None or points is None else (found[0] + points, found[1])


class PriceTariff:
    """The table of one thing that has a price."""

    def __init__(self, table: PriceTable) -> None:
        self.charges = _charges(table.fees)
        self._once = None if table.once is None else cents(table.once)
        self._months = table.months
        self._monthly = tuple(cents(price) for price in table.monthly)

    def price(self, months: int) -> int | None:
        """The whole price over `months` in cents; None: it is not sold for so short a term."""
        if self._once is not None:
            return self._once
        band = bisect_right(self._months, months) - 1
        return None if band < 0 else self._monthly[band] * months


Tariff = CreditTariff | InsuranceTariff | PriceTariff


def _points(points: Mapping[Condition, int], condition: str | None) -> int | None:
    """Points for a condition, the highest where it is not known; None: not sold for it."""
    if not points:
        return 0
    if condition is None:
        return max(points.values())
    return next((more for one, more in points.items() if one == condition), None)


def _block(table: CreditTable, tier: str | None, condition: str | None) -> _Block | None:
    row = None if tier is None else table.rates.get(tier)
    if row is None:
        row = table.rates.get("any")
    more = _points({one: e4(points) for one, points in table.condition_points.items()}, condition)
    if row is None or more is None:
        return None
    charges = _charges(table.fees)
    amount_points = table.amount_points or (Decimal(0),) * len(table.amount)
    ltv_points = table.loan_to_value_points or (Decimal(0),) * max(1, len(table.loan_to_value))
    return _Block(
        months_from=tuple(low for low, _ in table.months),
        months_to=table.months[-1][1],
        amounts_from=tuple(cents(low) for low, _ in table.amount),
        amounts_to=cents(table.amount[-1][1]),
        ltv_from=e4(table.loan_to_value[0][0]) if table.loan_to_value else 0,
        ltv_to=tuple(e4(high) for _, high in table.loan_to_value),
        cells=tuple(
            None
            if not isinstance(rate, Decimal)
            else tuple(
                tuple(Cell(e4(rate + by_amount + by_ltv) + more, charges) for by_ltv in ltv_points)
                for by_amount in amount_points
            )
            for rate in row
        ),
    )


def _charges(rules: Sequence[FeeRule]) -> Charges:
    charges = tuple(
        _Charge(
            rule,
            fixed=cents(rule.fixed or Decimal(0)),
            percent_e4=e4(rule.percent or Decimal(0)),
            least=cents(rule.least),
            most=10**12 if rule.most is None else cents(rule.most),
        )
        for rule in rules
    )
    return Charges(charges, tuple(charge for charge in charges if charge.rule.paid == "monthly"))
