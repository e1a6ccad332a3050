"""What has been said to a customer, and what they answered: the state that caps are counted on.

A value, never changed in place. The store keeps one per customer and replaces it only if nobody
else did meanwhile, so whatever is decided on a state is exact when it is committed.
"""

from dataclasses import dataclass
from typing import Literal

from oferta.catalogue.families import Family
from oferta.catalogue.offers import Channel

Answer = Literal["decline", "later", "complaint", "accept"]


@dataclass(frozen=True, slots=True)
class Contact:
    """One offer that was made. Instants are epoch seconds.

    Attributes:
        decision: id of the decision that made it.
        made_at: when.
        held_until: when its reservation ends, unless an impression arrives before.
        shown_at, clicked_at, accepted_at: when these were heard of; None: not (yet).
    """

    decision: str
    offer: str
    product: str
    family: Family
    channel: Channel
    placement: str
    made_at: float
    held_until: float
    shown_at: float | None = None
    clicked_at: float | None = None
    accepted_at: float | None = None


@dataclass(frozen=True, slots=True)
class Silence:
    """An answer that silences what it was about until an instant, in every channel.

    Of a bundle there is one for each of its products.
    """

    answer: Answer
    offer: str
    product: str
    family: Family
    until: float


@dataclass(frozen=True, slots=True)
class CustomerState:
    """All that is remembered of contacts with one customer.

    Attributes:
        version: grows by one with every change; 0 is a customer never spoken to.
        contacts: made within the longest period of any cap, oldest first.
        silences: still lasting.
        seen_feedback: ids of feedback already applied, newest last, as long as contacts are kept.
        arrears_at: when a feedback last told of arrears, epoch seconds; None: none did. It holds
            until a release of later data knows better.
    """

    version: int = 0
    contacts: tuple[Contact, ...] = ()
    silences: tuple[Silence, ...] = ()
    seen_feedback: tuple[str, ...] = ()
    arrears_at: float | None = None


NEVER_SPOKEN_TO = CustomerState()
