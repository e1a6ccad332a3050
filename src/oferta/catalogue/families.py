"""The product families of auto finance, and which of them are credit."""

from typing import Final, Literal, get_args

Family = Literal["loan", "lease", "insurance", "service", "trade_in", "servicing", "car"]

FAMILIES: Final[tuple[Family, ...]] = get_args(Family)

CREDIT: Final[frozenset[Family]] = frozenset({"loan", "lease", "servicing"})
"""Families under fair-lending law: priced by the rate card, bound by affordability."""

SERVICING: Final[Family] = "servicing"
"""Re-terming, payment plan, holiday, refinance of what is owed: all that arrears leave open."""
