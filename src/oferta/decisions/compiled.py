"""Offers made ready for the many decisions that follow: masks, positions, ready rejections.

All rules of all files share one program. Its first results are the unique conjuncts of rules and
weights, each with a bit; an offer keeps the bits it needs, so its eligibility is one `&`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from oferta.catalogue.offers import Offer
from oferta.decisions.decision import Rejection
from oferta.rules.language import Expression
from oferta.rules.program import Program


@dataclass(frozen=True, slots=True)
class OfferRules:
    """An offer's rules, the families' included, as parsed: what the whole base evaluates too."""

    eligibility: tuple[Expression, ...]
    applicability: tuple[Expression, ...]
    suitability: tuple[Expression, ...]


class CompiledWeight(NamedTuple):
    """A context weight of an offer: it holds where the program's bit is set."""

    bit: int
    name: str
    factor: float


@dataclass(frozen=True, slots=True, eq=False)
class CompiledOffer:
    """One offer, ready.

    Attributes:
        needs: bits of the program that must all be true.
        failing: per bit, the rejection that names the rule.
        dropped: ready rejections by code, for those without a detail.
        starts, ends: epoch seconds; infinite where there is no bound.
        status: the rejection of an offer that is not approved; None: it is.
        weighs: bits of `weights`.
        lever: product of the levers on it; levers: their reasons.
        answers_wish: the starting amount reads `wished_amount`: the offer is what was wished for.
        ends_contract: the instalment of the customer's leading contract ends with it.
        start, car_value: positions among the program's values; None: there is no such expression.
        margin: worth to the seller, a program of its own over the row and the terms;
            margin_of_terms: it reads nothing but the terms.
    """

    offer: Offer
    index: int
    rules: OfferRules
    needs: int
    failing: Mapping[int, Rejection]
    dropped: Mapping[str, Rejection]
    starts: float
    ends: float
    status: Rejection | None
    weights: tuple[CompiledWeight, ...]
    weighs: int
    lever: float
    levers: tuple[str, ...]
    start: int | None
    car_value: int | None
    answers_wish: bool
    ends_contract: bool
    margin: Program
    margin_expression: Expression
    margin_of_terms: bool
    credit: bool
    servicing: bool


@dataclass(frozen=True, slots=True)
class Opening:
    """What is on offer in some placements of a channel, between two offers' beginnings or ends.

    Attributes:
        able: in the catalogue's order.
        refused: by offer's position, why it is not.
        coming: those that will be able once they begin.
    """

    able: tuple[CompiledOffer, ...]
    refused: Mapping[int, Rejection]
    coming: tuple[CompiledOffer, ...]
