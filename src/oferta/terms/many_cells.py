"""Cells of the card and instalments for many customers at once: whole cents in int64 arrays.

The figures are those of `oferta.terms.tariff` and `oferta.terms.instalment`, to the cent. Annuities
are computed in float64 and, where one comes so near to half a cent that it could round otherwise,
once more exactly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from oferta.terms.cents import PERCENT_E4, YEAR_E4
from oferta.terms.instalment import SCALE, annuity, annuity_factor
from oferta.terms.quote import Kind
from oferta.terms.tariff import Charges, CreditRow

Cents = NDArray[np.int64]
Mask = NDArray[np.bool_]

NONE: Final = -1
"""The rate where the card has no cell."""

_NEAR: Final = 1e-5  # of a cent; the sums are below 1e10 cents, so a float is exact to 1e-6
_ALL: Final = 10_000


@dataclass(frozen=True, slots=True)
class Rates:
    """The rate of each customer (`NONE`: no cell), and the position of its table."""

    rate_e4: Cents
    block: Cents


def rates(row: CreditRow, months: int, lent: Cents, ltv_e4: Cents | None) -> Rates:
    """The cells of one row of the card for one term; arrays are (customers,).

    `ltv_e4`: None where no car is known.
    """
    found = np.full(lent.shape, NONE)
    block_of = np.zeros(lent.shape, np.int64)
    for number, block in enumerate(row.blocks):
        term = int(np.searchsorted(block.months_from, months, "right")) - 1
        if term < 0 or months > block.months_to or (cells := block.cells[term]) is None:
            continue
        table = np.array([[cell.rate_e4 for cell in by_ltv] for by_ltv in cells], np.int64)
        band = np.searchsorted(block.amounts_from, lent, "right") - 1
        ok = (found == NONE) & (band >= 0) & (lent <= block.amounts_to)
        if not block.ltv_to:
            risk = np.zeros(lent.shape, np.int64)
        elif ltv_e4 is None:
            risk = np.full(lent.shape, len(block.ltv_to) - 1)
        else:
            risk = np.searchsorted(block.ltv_to, ltv_e4, "left")
            ok &= risk < len(block.ltv_to)
            if block.ltv_from:
                ok &= ltv_e4 > block.ltv_from
        found[ok] = table[band[ok], risk[ok]]
        block_of[ok] = number
    return Rates(found, block_of)


def charges_of(row: CreditRow) -> tuple[Charges, ...]:
    """The fees of each table of a row; its cells share them."""
    return tuple(
        next(cell.charges for term in block.cells for by_ltv in term or () for cell in by_ltv)
        for block in row.blocks
    )


def monthly_charges(charges: Sequence[Charges], block: Cents, lent: Cents) -> Cents:
    """What is charged every month, in cents, by the table of each customer's cell."""
    due = np.zeros(lent.shape, np.int64)
    for number, one in enumerate(charges):
        for rule in one.monthly_rules:
            if rule.percent_e4:
                part = (lent * rule.percent_e4 + PERCENT_E4 // 2) // PERCENT_E4
                due += np.where(block == number, np.clip(part, rule.least, rule.most), 0)
            else:
                due += np.where(block == number, rule.fixed, 0)
    return due


def instalments(kind: Kind, lent: Cents, rate_e4: Cents, months: int, final: Cents) -> Cents:
    """The (first) instalment without fees; anything where the rate is `NONE`."""
    if kind == "equal_principal":
        interest: Cents = (lent * rate_e4 + YEAR_E4 // 2) // YEAR_E4
        return equal_shares(lent, months) + interest
    return annuities(lent, rate_e4, months, final)


def annuities(lent: Cents, rate_e4: Cents, months: int, final: Cents) -> Cents:
    """As `oferta.terms.instalment.annuity`, for each customer."""
    factor = np.zeros(lent.shape)
    for rate in set(rate_e4.tolist()):
        if rate > 0:
            factor[rate_e4 == rate] = annuity_factor(rate, months) / SCALE
    exact = (lent - final) * factor + final * (rate_e4 / YEAR_E4)
    due = np.floor(exact + 0.5).astype(np.int64)
    near = (np.abs(exact - np.floor(exact) - 0.5) < _NEAR) & (rate_e4 > 0)
    for at in np.flatnonzero(near):
        due[at] = annuity(
            int(lent[at]), rate_e4=int(rate_e4[at]), months=months, final=int(final[at])
        )
    free = rate_e4 == 0
    if free.any():
        due[free] = equal_shares(lent - final, months)[free]
    return due


def equal_shares(lent: Cents, months: int) -> Cents:
    """One of `months` equal parts in cents, half up."""
    part: Cents = (2 * lent + months) // (2 * months)
    return part


def loan_to_values(lent: Cents, value: Cents) -> Cents:
    """Amount over value in ten-thousandths, rounded up; a value of 0 counts as a cent."""
    over: Cents = -(-lent * _ALL // np.maximum(value, 1))
    return over
