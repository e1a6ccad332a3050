"""What some stages left of the offers."""

from dataclasses import dataclass, field

from oferta.decisions.compiled import CompiledOffer
from oferta.decisions.decision import Rejection
from oferta.policy.file import Cap


@dataclass(slots=True)
class Sifted:
    """What is left of the offers on one channel, and what became of the others.

    Attributes:
        left: in the catalogue's order.
        again: instants at which something that stopped an offer ends, epoch seconds.
        capped: caps that stopped an offer, with what it counts under: when each has room again is
            worth asking only where nothing is left in the end.
    """

    left: list[CompiledOffer]
    rejected: list[Rejection]
    again: list[float]
    capped: list[tuple[Cap, str]] = field(default_factory=list)
