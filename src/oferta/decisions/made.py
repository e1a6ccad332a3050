"""What came of one channel: the picks for its slots, and all that explains them."""

from collections.abc import Sequence
from dataclasses import dataclass

from oferta.catalogue.offers import Channel, Placement
from oferta.decisions.decision import Rejection
from oferta.decisions.offered import Pick
from oferta.decisions.pricing import Pricer
from oferta.decisions.request import FactValue
from oferta.decisions.room import CapRoom


@dataclass(frozen=True, slots=True)
class Made:
    """What came of one channel.

    Attributes:
        again: instants at which something that stopped an offer ends, epoch seconds.
        row, values: what rules and starting amounts were computed on.
        failed: a bit for every condition that was not true.
    """

    channel: Channel
    placements: tuple[Placement, ...]
    picks: Sequence[Pick]
    rejected: Sequence[Rejection]
    again: Sequence[float]
    caps: CapRoom
    pricer: Pricer
    row: dict[str, FactValue]
    values: Sequence[FactValue]
    failed: int

    @property
    def worth(self) -> float:
        """Expected value of all picks together."""
        return sum(pick.valued.value for pick in self.picks)
