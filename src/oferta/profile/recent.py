"""What a customer, or an anonymous session, did lately: a value that every answer is freshened by.

It holds events, not conclusions: a list, a fact or a suppression is computed from it and from the
release when somebody asks. So a new release never has to catch up, and nothing is computed twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import orjson

from oferta.errors import RecordCorrupt
from oferta.events.event import START, AttributeValue, Position

KEPT: Final = 200
"""Events kept of one customer: the newest."""


class RecentEvent(NamedTuple):
    """An event as it is kept. `wishes`: what was typed into a calculator (`columns.WISHES`)."""

    position: Position
    type: str
    product: str | None
    at: float
    channel: str | None
    value: float | None
    wishes: Mapping[str, AttributeValue]


@dataclass(frozen=True, slots=True)
class Recent:
    """What is kept of one customer or session.

    Attributes:
        version: grows by one with every change; 0 is somebody who did nothing lately.
        events: the newest `KEPT`, in the order of their positions.
        merged_into: of a session: hash of the customer it turned out to be, hexadecimal.
        newest: position of the newest event ever applied.
    """

    version: int = 0
    events: tuple[RecentEvent, ...] = ()
    merged_into: str | None = None
    newest: Position = field(default=START)

    def since(self, covered: Position | None, cut: float) -> Sequence[RecentEvent]:
        """The events that a release does not know of.

        Args:
            covered: position up to which its data held this shard's events; None: not known.
            cut: where that is not known, the epoch seconds of its training cut.
        """
        if covered is not None:
            return [event for event in self.events if event.position > covered]
        return [event for event in self.events if event.at > cut]


NOTHING_RECENT: Final = Recent()


def encode_recent(recent: Recent) -> bytes:
    """As bytes: JSON."""
    return orjson.dumps(
        [recent.version, recent.newest, recent.merged_into, [list(one) for one in recent.events]]
    )


def decode_recent(data: bytes) -> Recent:
    """What `encode_recent` wrote.

    Raises:
        RecordCorrupt: these bytes are none.
    """
    try:
        version, newest, merged_into, events = orjson.loads(data)
        return Recent(
            int(version),
            tuple(RecentEvent(Position(*at), *rest) for at, *rest in events),
            merged_into,
            Position(*newest),
        )
    except (orjson.JSONDecodeError, TypeError, ValueError) as error:
        raise RecordCorrupt("what a customer did lately does not have its shape") from error
