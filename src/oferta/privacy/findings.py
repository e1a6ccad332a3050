"""A column that holds a protected attribute, and how that is known."""

from dataclasses import dataclass
from typing import Literal

Attribute = Literal[
    "race",
    "colour",
    "religion",
    "national origin",
    "sex",
    "marital status",
    "age",
    "public assistance",
    "exercise of rights",
    "disability",
    "sexual orientation",
    "gender identity",
    "veteran status",
    "health",
    "union membership",
    "biometrics",
    "minors",
    "political opinion",
    "declared",
]
"""Prohibited bases of credit law (US Regulation B) and of state, EU and Chinese lists; `declared`:
what a job itself lists, whatever the column is called."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One protected attribute in one column.

    Attributes:
        column: as the table calls it.
        attribute: what it holds.
        how: the evidence, in words that end a sentence: `its name says 'gender'`.
        reason: why it is used all the same; None where nobody has said.
    """

    column: str
    attribute: Attribute
    how: str
    reason: str | None = None
