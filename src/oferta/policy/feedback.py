"""What was heard of an offer after it was made, as it enters a customer's state."""

from dataclasses import dataclass
from typing import Final, Literal, get_args

from oferta.catalogue.families import Family

FeedbackKind = Literal[
    "impression",
    "click",
    "accept",
    "decline",
    "later",
    "applied",
    "approved",
    "rejected",
    "funded",
    "arrears",
    "rating",
    "complaint",
]

FEEDBACK: Final[tuple[FeedbackKind, ...]] = get_args(FeedbackKind)


@dataclass(frozen=True, slots=True)
class Feedback:
    """One thing heard of one offer of one decision.

    Attributes:
        id: the sender's; the same one twice is heard once.
        at: when it happened, epoch seconds.
        product, family: of the offer, as the decision's record says; of a bundle the first.
        until: of a `later`: the instant the customer named; None: they named none.
        products: all products of a bundle; empty: `product` alone.
    """

    id: str
    decision: str
    offer: str
    product: str
    family: Family
    kind: FeedbackKind
    at: float
    until: float | None = None
    products: tuple[str, ...] = ()
