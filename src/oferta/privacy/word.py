"""What a customer said about consent, and the ledger's entry of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, cast

from oferta.privacy.consents import Purpose

State = Literal["in", "out"]
STATES: Final[tuple[State, ...]] = ("in", "out")

Channel = Literal["email", "sms", "push", "phone"]
CHANNELS: Final[tuple[Channel, ...]] = ("email", "sms", "push", "phone")

ERASURE: Final = "erasure"
"""The purpose of the entry by which somebody is forgotten."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word of one customer, as it is to be written down.

    Attributes:
        customer_id: whose. Need not be known to anybody else.
        channel: with the purpose `marketing` only, which then means marketing on that channel.
        state: `in`, they agree; `out`, they do not.
        source: where it was said: `app`, `branch`, `letter`...
        at: when, aware; None: now, and after everything said before.
        proof: where the proof lies: the id of a document, a call, a form.
        policy_version: of the text that they were shown.
    """

    customer_id: str
    purpose: Purpose
    state: State
    source: str
    channel: Channel | None = None
    at: datetime | None = None
    proof: str | None = None
    policy_version: str | None = None

    @property
    def subject(self) -> str:
        """What it speaks of, as `Consents.said` has it: the channel of a channel's marketing."""
        return self.channel or self.purpose


def refusal(customer_id: str, subject: str, source: str) -> Word:
    """The word by which somebody does not agree to what a `Word.subject` speaks of."""
    if subject in CHANNELS:
        return Word(customer_id, "marketing", "out", source, channel=subject)
    return Word(customer_id, cast("Purpose", subject), "out", source)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the ledger. Of who was forgotten, the id is the tombstone.

    Attributes:
        seq: its number, from 1, rising in the order of writing; not every number need be used.
        purpose: one of `PURPOSES`, or `erasure`.
        at: when it was said; received_at: when it was written down.
        repeated: it was there already: the same was said again, and nothing was written.
    """

    seq: int
    customer_id: str
    purpose: str
    channel: str | None
    state: State
    at: datetime
    received_at: datetime
    source: str | None
    proof: str | None
    policy_version: str | None
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How far a ledger went when it was read.

    Attributes:
        seq: number of the last entry, 0 of an empty ledger.
        link: SHA-256 over all entries until then, in hexadecimal.
    """

    seq: int
    link: str

    @property
    def id(self) -> str:
        """As runs and markers name it: equal for equal ledgers only."""
        return f"{self.seq}-{self.link[:16]}"


@dataclass(frozen=True, slots=True)
class Refusals:
    """Who refused a purpose, and how far the ledger went then.

    Attributes:
        customer_ids: who refuses. agreeing: who agreed: others never said anything.
    """

    purpose: Purpose
    customer_ids: frozenset[str]
    snapshot: Snapshot
    agreeing: frozenset[str] = frozenset()
