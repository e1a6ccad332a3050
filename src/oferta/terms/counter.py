"""The counter-offer: the smallest change that makes a loan possible, in a declared order.

1. the term, longer by as little as is needed;
2. the deposit, larger by as little as is needed: amount and deposit together stay;
3. the amount, smaller by as little as is needed, with the largest deposit and the term that leaves
   the largest amount;
4. a guarantor, where the customer alone can afford the share that the offer asks for; or required
   cover, where the loan to value is above the offer's bound.

Each step keeps what the steps before it did. The final payment of a balloon, which nobody wished,
gives way within its range before any of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from oferta.terms.loan import STEP, Loan, Way, largest

_ALL: Final = 10_000


@dataclass(frozen=True, slots=True)
class Asked:
    """Where the fit begins, and how far it may go. Money in cents, shares in ten-thousandths.

    Attributes:
        lent, deposit: as wished, or as the offer starts; the deposit is at least the offer's.
        months: those sold from the wished (or start) term on, ascending.
        least, most: amounts that are lent.
        deposit_most: share of the car's price that a counter-offer may ask for.
        max_ltv: amount over value.
    """

    lent: int
    deposit: int
    months: Sequence[int]
    least: int
    most: int
    deposit_most: int
    max_ltv: int

    @property
    def need(self) -> int:
        """What amount and deposit pay together."""
        return self.lent + self.deposit


@dataclass(frozen=True, slots=True)
class Found:
    """Amount and deposit in cents, and the term."""

    lent: int
    deposit: int
    months: int


@dataclass(frozen=True, slots=True)
class Within:
    """The ways that an offer's ranges leave: with a larger deposit, then with a smaller amount.

    `first` is the point nearest to what was asked that ranges and loan to value allow.
    """

    deposit_way: Way
    amount_way: Way
    first: tuple[int, int]


def within(loan: Loan, asked: Asked) -> Within | None:
    """What ranges and the loan to value leave of what was asked; None: nothing."""
    need = asked.need
    most_deposit = max(
        asked.deposit_most * (loan.value or need) // _ALL // STEP * STEP, asked.deposit
    )
    by_value = asked.max_ltv * (loan.value or need) // _ALL
    deposit_way = Way(
        low=max(
            asked.least, need - most_deposit, -(-loan.final_least * (loan.value or need) // _ALL)
        ),
        high=min(asked.lent, asked.most, by_value),
        need=need,
        deposit=0,
    )
    amount_way = Way(
        low=max(asked.least, _least_for_final(loan, most_deposit)),
        high=min(need - most_deposit, asked.most, _by_value(loan, asked.max_ltv, most_deposit)),
        need=None,
        deposit=most_deposit,
    )
    if deposit_way.low <= asked.lent == deposit_way.high:
        return Within(deposit_way, amount_way, (asked.lent, asked.deposit))
    lent = deposit_way.down(deposit_way.high)
    if lent >= deposit_way.low:
        return Within(deposit_way, amount_way, (lent, need - lent))
    lent = amount_way.down(amount_way.high)
    if lent >= amount_way.low:
        return Within(deposit_way, amount_way, (lent, most_deposit))
    return None


def search(loan: Loan, asked: Asked, ways: Within, *, limit: int) -> Found | None:
    """The smallest change whose instalment is within `limit` cents; None: there is none."""
    lent, deposit = ways.first
    for months in asked.months:
        due = loan.instalment(lent, deposit, months)
        if due is not None and due <= limit:
            return Found(lent, deposit, months)
    return _least_change(loan, asked, ways.deposit_way, limit=limit) or _least_change(
        loan, asked, ways.amount_way, limit=limit
    )


def _least_change(loan: Loan, asked: Asked, way: Way, *, limit: int) -> Found | None:
    """The largest amount on the way, and the shortest term that has it."""
    best: Found | None = None
    # The longest term nearly always leaves most, and then the others only have to be as good.
    for months in reversed(asked.months):
        if loan.least(way.low, months) > limit:
            continue
        fits = largest(loan, way, months=months, limit=limit)
        if fits is not None:
            best = Found(fits, way.deposit_for(fits), months)
            way = Way(fits, way.high, way.need, way.deposit)
    return best


def least_instalment(loan: Loan, asked: Asked, ways: Within) -> int | None:
    """The lowest instalment within the ranges: the facts of a refusal."""
    way = ways.amount_way if ways.amount_way.low <= ways.amount_way.high else ways.deposit_way
    lent = way.down(way.low + STEP - 1)
    dues = [loan.instalment(lent, way.deposit_for(lent), months) for months in asked.months]
    return min((due for due in dues if due is not None), default=None)


def _least_for_final(loan: Loan, deposit: int) -> int:
    """The lowest amount that still holds the least final payment."""
    share = loan.final_least
    if loan.value is not None:
        return -(-share * loan.value // _ALL)
    return -(-share * deposit // (_ALL - share)) if share < _ALL else 0


def _by_value(loan: Loan, max_ltv: int, deposit: int) -> int:
    """The highest amount within the loan to value, for a deposit that stays."""
    if loan.value is not None:
        return max_ltv * loan.value // _ALL
    return 10**12 if max_ltv >= _ALL else max_ltv * deposit // (_ALL - max_ltv)
