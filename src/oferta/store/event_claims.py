"""What is known of an event id: a key of its own in the customer's slot.

A letter for what became of the event, the hash of what its sender said, and where the entry stands
that was applied.
"""

from typing import Final, Literal, NamedTuple

from oferta.events.event import Position

SAID_CHARS: Final = 24
"""Hexadecimal digits of the hash of what a sender said."""

UNKNOWN_SAID: Final = b"-" * SAID_CHARS
"""Of a claim that had expired when its event was applied: whatever is sent again is a duplicate."""

State = Literal["pending", "applied", "parked", "dead"]
_LETTERS: Final[dict[State, bytes]] = {
    "pending": b"p",
    "applied": b"a",
    "parked": b"w",
    "dead": b"d",
}
_STATES: Final[dict[bytes, State]] = {letter: state for state, letter in _LETTERS.items()}


class Claim(NamedTuple):
    """What is known of an event id.

    Attributes:
        state: what became of the event.
        said: hash of what the sender said, or `UNKNOWN_SAID`.
        position: where the entry that was applied stands in its shard's stream.
    """

    state: State
    said: bytes
    position: Position | None = None

    def same_as(self, said: bytes) -> bool:
        """Whether the sender says the same again."""
        return self.said in (said, UNKNOWN_SAID)


def letter_of(state: State) -> bytes:
    """How a claim writes its state."""
    return _LETTERS[state]


def write_claim(claim: Claim) -> bytes:
    """As bytes: a letter, the hash, the position."""
    position = b"" if claim.position is None else str(claim.position).encode()
    return _LETTERS[claim.state] + claim.said + position


def read_claim(record: bytes | None) -> Claim | None:
    """What `write_claim` or a script wrote; None where there is none, or none of ours."""
    if record is None or len(record) <= SAID_CHARS or record[:1] not in _STATES:
        return None
    said, rest = record[1 : SAID_CHARS + 1], record[SAID_CHARS + 1 :]
    try:
        position = Position.parse(rest.decode()) if rest else None
    except ValueError:
        return None
    return Claim(_STATES[record[:1]], said, position)
