"""One loan to be fitted: how its instalment follows from amount, deposit and term.

Two ways lead to a lower instalment: a larger deposit, which pays for what is then not lent (amount
and deposit together stay), and a smaller amount, which buys less. Each is a `Way`: a straight line
of amounts on which the instalment is looked for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from oferta.terms.cents import amount, loan_to_value
from oferta.terms.instalment import annuity, equal_share, instalment
from oferta.terms.quote import Fee, Kind
from oferta.terms.tariff import Cell, CreditRow, InsuranceTariff

STEP: Final = 100
"""Fitted amounts, deposits and final payments are whole units of the currency."""

_ALL: Final = 10_000
_TRIES: Final = 8


@dataclass(frozen=True, slots=True)
class Cover:
    """An insurance that the loan needs, paid by the month."""

    product: str
    tariff: InsuranceTariff
    condition: str | None

    def monthly(self, insured: int) -> int | None:
        """A month's premium in cents; None: the card has none."""
        premium = self.tariff.premium(insured, None, self.condition)
        return None if premium is None else equal_share(premium, 12)


@dataclass(frozen=True, slots=True)
class Loan:
    """What of a loan is settled before it is fitted. Money in cents, shares in ten-thousandths.

    Attributes:
        value: of the car; None: it is bought for amount and deposit together.
        final_least, final_start, final_most: shares of the car's price.
    """

    kind: Kind
    row: CreditRow
    value: int | None
    final_least: int = 0
    final_start: int = 0
    final_most: int = 0
    cover: Cover | None = None

    def price(self, lent: int, deposit: int) -> int:
        """Of the car."""
        return lent + deposit if self.value is None else self.value

    def cell(self, lent: int, deposit: int, months: int) -> Cell | None:
        """The cell of the card."""
        return self.row.cell(months, lent, loan_to_value(lent, self.price(lent, deposit)))

    def instalment(self, lent: int, deposit: int, months: int) -> int | None:
        """The lowest instalment there can be, with monthly fees; None: the card has no cell."""
        price = self.value or lent + deposit
        cell = self.row.cell(months, lent, -(-lent * _ALL // price))
        if cell is None:
            return None
        final = min(price * self.final_most // _ALL // STEP * STEP, lent) if self.final_most else 0
        due = instalment(self.kind, lent, rate_e4=cell.rate_e4, months=months, final=final)
        if self.cover is not None:
            premium = self.cover.monthly(price)
            if premium is None:
                return None
            due += premium
        return due + cell.charges.monthly(lent)

    def least(self, lent: int, months: int) -> int:
        """No amount from `lent` on has a lower instalment: a bound, cheap, and never too high."""
        if self.final_most:
            return 0
        # The equal instalment at the lowest rate there is; equal principal begins above it.
        return annuity(lent, rate_e4=self.row.least_rate_e4, months=months) - 1

    def final(self, lent: int, deposit: int, *, cell: Cell, months: int, limit: int) -> int:
        """The final payment: as the offer starts, or as much more as the limit asks for."""
        if not self.final_most:
            return 0
        price = self.price(lent, deposit)
        start = min(price * self.final_start // _ALL // STEP * STEP, lent)
        most = min(price * self.final_most // _ALL // STEP * STEP, lent)
        room = limit - sum(cents_ for _, cents_ in self.monthly(lent, deposit, cell))

        def due(final: int) -> int:
            return instalment(self.kind, lent, rate_e4=cell.rate_e4, months=months, final=final)

        if start >= most or due(start) <= room:
            return start
        # Straight in the final payment: once between the ends, then by whole units.
        high, low = due(start), due(most)
        final = start + (high - room) * (most - start) // max(high - low, 1) // STEP * STEP
        while final > start and due(final - STEP) <= room:
            final -= STEP
        while final < most and due(final) > room:
            final += STEP
        return min(final, most)

    def monthly(self, lent: int, deposit: int, cell: Cell) -> list[tuple[str, int]]:
        """What is paid every month beside the loan itself, by name."""
        fees = [(rule.rule.name, rule.cents(lent)) for rule in cell.charges.monthly_rules]
        if self.cover is not None:
            fees.append((self.cover.product, self.cover.monthly(self.price(lent, deposit)) or 0))
        return fees

    def fees(self, lent: int, deposit: int, cell: Cell) -> tuple[Fee, ...]:
        """All fees, itemised."""
        fees = cell.charges.fees(lent)
        if self.cover is not None:
            premium = self.cover.monthly(self.price(lent, deposit)) or 0
            fees += (Fee(self.cover.product, amount(premium), "monthly"),)
        return fees


@dataclass(frozen=True, slots=True)
class Way:
    """Amounts from `low` to `high` in cents, by whole units from either `need` or zero on.

    Attributes:
        need: what amount and deposit are together, where the deposit gives way; None: the amount
            does, and the deposit stays.
        deposit: that stays.
    """

    low: int
    high: int
    need: int | None
    deposit: int

    def deposit_for(self, lent: int) -> int:
        """The deposit that goes with an amount."""
        return self.deposit if self.need is None else self.need - lent

    def down(self, lent: int) -> int:
        """The next amount on the way that is not above `lent`."""
        return lent - (lent - (self.need or 0)) % STEP

    def edges(self, loan: Loan) -> list[int]:
        """Where a band of the card begins between `low` and `high`, descending; `low` is last."""
        found = [edge for edge in loan.row.amount_edges if self.low < edge <= self.high]
        for ltv in loan.row.ltv_edges:
            if loan.value is not None or self.need is not None:
                edge = ltv * (loan.value or self.need or 0) // _ALL + 1
            elif ltv < _ALL:
                edge = ltv * self.deposit // (_ALL - ltv) + 1
            else:
                continue
            if self.low < edge <= self.high:
                found.append(edge)
        return [*sorted(set(found), reverse=True), self.low]


def largest(loan: Loan, way: Way, *, months: int, limit: int) -> int | None:
    """The largest amount on the way whose instalment is within `limit`; None: there is none.

    Between two edges of bands the instalment grows with the amount, so a secant finds it in a few
    steps; across an edge it may fall (a larger amount may have a lower rate), so bands are tried
    from the top down.
    """

    def due(lent: int) -> int | None:
        return loan.instalment(lent, way.deposit_for(lent), months)

    if way.low > way.high:
        return None
    top = way.high
    for edge in way.edges(loan):
        high = way.down(top)
        low = way.down(edge + STEP - 1)
        top = edge - 1
        if high < low:
            continue
        at_low = due(low)
        if at_low is None or at_low > limit:
            continue
        at_high = due(high)
        if at_high is not None and at_high <= limit:
            return high
        return _between(due, way, limit=limit, low=(low, at_low), high=(high, at_high))
    return None


def _between(
    due: Callable[[int], int | None],
    way: Way,
    *,
    limit: int,
    low: tuple[int, int],
    high: tuple[int, int | None],
) -> int:
    fits, at_fits = low
    above, at_above = high
    tries = 0
    while above - fits > STEP:
        tries += 1
        if tries > _TRIES or at_above is None:
            guess = (fits + above) // 2
        else:
            guess = fits + (limit - at_fits) * (above - fits) // max(at_above - at_fits, 1)
        guess = min(max(way.down(guess), fits + STEP), above - STEP)
        value = due(guess)
        if value is not None and value <= limit:
            fits, at_fits = guess, value
        else:
            above, at_above = guess, value
    return fits
