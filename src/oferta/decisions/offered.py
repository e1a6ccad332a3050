"""Offers on their way through a decision: with terms and value, then picked for a slot."""

from typing import NamedTuple

from oferta.catalogue.offers import Placement
from oferta.decisions.arbitration import AcceptFrom
from oferta.decisions.compiled import CompiledOffer
from oferta.decisions.decision import Selection
from oferta.terms.quote import Quote


class Priced(NamedTuple):
    """An offer's terms; what its sale is worth (None: that is not known), and the amount."""

    quote: Quote
    worth: float | None
    amount: float


class Valued(NamedTuple):
    """An offer that could be made, with the factors of its value. A tuple: dozens a decision."""

    value: float
    compiled: CompiledOffer
    quote: Quote | None
    accept: float
    accept_from: AcceptFrom
    approved: float
    margin: float
    loss: float
    context: float


class Pick(NamedTuple):
    """An offer in its slot; `probability` is that of its selection."""

    placement: Placement
    valued: Valued
    selection: Selection
    probability: float
