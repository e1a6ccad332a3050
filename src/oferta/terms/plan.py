"""What an offer's ranges and a card settle of a loan before any wish is known: made once, kept."""

from dataclasses import dataclass, field
from typing import Final

from oferta.catalogue.ranges import CreditTerms
from oferta.terms.loan import Loan
from oferta.terms.tariff import CreditTariff

_ALL: Final = 10_000
_KEPT: Final = 4096

Start = tuple[Loan, tuple[int, ...]]
"""A loan for a car that is being bought, and the terms to be tried, the preferred one first."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Ranges in cents and ten-thousandths, and the loans of each tier and condition.

    Attributes:
        least, most: amounts that are lent.
        deposit_least, deposit_start, deposit_most: shares of the car's price.
        max_ltv: amount over value.
    """

    ranges: CreditTerms
    tariff: CreditTariff
    least: int
    most: int
    deposit_least: int
    deposit_start: int
    deposit_most: int
    max_ltv: int
    _starts: dict[tuple[str | None, str | None, int | None], Start | None] = field(
        default_factory=dict
    )

    def start(self, tier: str | None, condition: str | None, *, wished: int | None) -> Start | None:
        """What to begin with for a wished term; None: the card has nothing for this tier.

        The nearest term that is sold comes first, the longer of two as near, and then all that are
        longer than it.
        """
        key = (tier, condition, wished)
        try:
            return self._starts[key]
        except KeyError:
            if len(self._starts) >= _KEPT:
                self._starts.clear()
            found = self._starts[key] = self._start(tier, condition, wished=wished)
            return found

    def _start(
        self, tier: str | None, condition: str | None, *, wished: int | None
    ) -> Start | None:
        ranges = self.ranges
        row = self.tariff.row(tier, condition)
        sold = () if row is None else tuple(one for one in ranges.months if row.sells(one))
        if row is None or not sold:
            return None
        loan = Loan(
            kind=ranges.kind,
            row=row,
            value=None,
            final_least=round(ranges.final.min * _ALL),
            final_start=round(ranges.final.start * _ALL),
            final_most=round(ranges.final.max * _ALL),
        )
        first = ranges.start_months if wished is None else wished
        nearest = min(sold, key=lambda months: (abs(months - first), -months))
        return loan, sold[sold.index(nearest) :]


def plan_of(ranges: CreditTerms, tariff: CreditTariff) -> Plan:
    """The plan of `ranges` on `tariff`, which keeps it: a new card's tariffs know none."""
    # By identity, for the hash of settings costs more than the whole fit; the plan holds the
    # settings, so that no others can have their identity meanwhile.
    kept = tariff.plans.get(id(ranges))
    if isinstance(kept, Plan):
        return kept
    if len(tariff.plans) >= _KEPT:
        tariff.plans.clear()
    plan = Plan(
        ranges=ranges,
        tariff=tariff,
        least=round(ranges.amount.min * 100),
        most=round(ranges.amount.max * 100),
        deposit_least=round(ranges.deposit.min * _ALL),
        deposit_start=round(ranges.deposit.start * _ALL),
        deposit_most=round(ranges.deposit.max * _ALL),
        max_ltv=round(ranges.max_loan_to_value * _ALL),
    )
    tariff.plans[id(ranges)] = plan
    return plan
