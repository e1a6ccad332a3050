"""One event as it travels: from the API through the stream to the consumer and the archive."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

import orjson

from oferta.errors import RecordCorrupt

AttributeValue = str | float | bool


class Position(NamedTuple):
    """Where an event stands in its shard's stream: it only grows. Redis writes it `ms-seq`."""

    ms: int
    seq: int

    def __str__(self) -> str:
        return f"{self.ms}-{self.seq}"

    @classmethod
    def parse(cls, text: str) -> "Position":
        """The position in Redis's writing.

        Raises:
            ValueError: it is none.
        """
        ms, _, seq = text.partition("-")
        return cls(int(ms), int(seq))


START = Position(0, 0)
"""Before every event."""


@dataclass(frozen=True, slots=True)
class Event:
    """What somebody did, as it was accepted. Either a customer or a session did it, or both.

    Attributes:
        id: the sender's, 8 to 64 characters: the same id never counts twice.
        type: a name of `oferta.events.types`, or a declared one.
        at: when it happened, epoch seconds; received_at: when it was accepted.
        session_id: of somebody who was not known (yet). With both ids, what the session did
            becomes the customer's.
        value: money in the main unit, or any other amount.
        placement, release: where it happened to which list: told back for the funnel.
        decision_id, offer_id: what it answers.
    """

    id: str
    type: str
    at: float
    received_at: float
    customer_id: str | None = None
    session_id: str | None = None
    product_id: str | None = None
    channel: str | None = None
    value: float | None = None
    quantity: float | None = None
    placement: str | None = None
    release: int | None = None
    decision_id: str | None = None
    offer_id: str | None = None
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)


def encode_event(event: Event) -> bytes:
    """The event as bytes: JSON without what is absent."""
    return orjson.dumps({name: said for name, said in asdict(event).items() if said is not None})


def decode_event(data: bytes) -> Event:
    """The event that `encode_event` wrote.

    Raises:
        RecordCorrupt: these bytes are none.
    """
    try:
        return Event(**orjson.loads(data))
    except (orjson.JSONDecodeError, TypeError) as error:
        raise RecordCorrupt("an event in the stream does not have the shape of one") from error
