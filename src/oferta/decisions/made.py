"""What came of one channel: the picks for its slots, and all that explains them."""

from collections.abc import Sequence
from dataclasses import dataclass

from oferta.catalogue.offers import Channel, Placement
from oferta.decisions.decision import Rejection
from oferta.decisions.offered import Pick
from oferta.decisions.room import CapRoom
from oferta.decisions.valuing import Inputs


@dataclass(frozen=True, slots=True)
class Made:
    """What came of one channel.

    Attributes:
        again: instants at which something that stopped an offer ends, epoch seconds.
        inputs: what terms and values were computed from.
    """

    channel: Channel
    placements: tuple[Placement, ...]
    picks: Sequence[Pick]
    rejected: Sequence[Rejection]
    again: Sequence[float]
    caps: CapRoom
    inputs: Inputs

    @property
    def worth(self) -> float:
        """Expected value of all picks together."""
        return sum(pick.valued.value for pick in self.picks)
