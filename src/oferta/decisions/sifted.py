"""What some stages left of the offers."""

from dataclasses import dataclass

from oferta.decisions.compiled import CompiledOffer
from oferta.decisions.decision import Rejection


@dataclass(slots=True)
class Sifted:
    """What is left of the offers on one channel, and what became of the others.

    Attributes:
        left: in the catalogue's order.
        again: instants at which something that stopped an offer ends, epoch seconds.
    """

    left: list[CompiledOffer]
    rejected: list[Rejection]
    again: list[float]
