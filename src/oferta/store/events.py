"""The ports to events on their way: from the API to a customer's record, to the archive.

An event id is claimed in its customer's slot, then the event is appended to the stream of the
customer's shard. A consumer applies it and marks the claim in one step, and acknowledges the entry
afterwards. Whoever dies between two steps leaves something that is done again and has no effect
twice: the claim tells (docs/events.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal, NamedTuple, Protocol

from oferta.events.event import Position
from oferta.store.event_claims import State


class Arrival(NamedTuple):
    """An event to be accepted.

    Attributes:
        owner: hash of the customer, or of the session where no customer is known.
        event_id: the sender's.
        said: hash of what the sender said, `SAID_CHARS` hexadecimal digits.
        data: as `encode_event` makes it.
        waits: whether it will be parked, for all that is known here.
    """

    owner: bytes
    event_id: str
    said: bytes
    data: bytes
    waits: bool = False


class Fate(Enum):
    """What became of an arrival."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"  # it was there already; safe either way
    CONFLICT = "conflict"  # the id was used for something else
    FULL = "full"  # too many wait in its shard, or are set aside there: nothing was done


class Entry(NamedTuple):
    """An entry of a shard's stream.

    Attributes:
        claim: key of the event's claim; empty where the entry has none.
        data: as `encode_event` made it.
        deliveries: how often handling it was begun: when it was read, and by `Shards.begin`.
    """

    position: Position
    claim: bytes
    data: bytes
    deliveries: int = 1


class Held(NamedTuple):
    """Of entries that a consumer was given, those to go on with.

    Attributes:
        entries: those that the stream has still.
        restored: how many of the others were appended again, to be given out once more.
    """

    entries: list[Entry]
    restored: int = 0


class TakenOver(NamedTuple):
    """Entries that were delivered before and not acknowledged.

    Attributes:
        lost: how many had been removed from the stream meanwhile.
    """

    entries: list[Entry]
    lost: int = 0


Aside = Literal["parked", "dead"]


class Letter(NamedTuple):
    """An entry that was set aside.

    Attributes:
        position: among those set aside, not in the shard's stream.
        reason: why.
        at: when, epoch seconds.
    """

    position: Position
    claim: bytes
    data: bytes
    reason: str
    deliveries: int
    at: float


@dataclass(frozen=True, slots=True)
class RecentChange:
    """What events change of one customer or session, all of it or nothing.

    Attributes:
        owner: whose, by their hash.
        mark: of the record that this was computed on.
        record: the record that replaces it; None leaves it as it is.
        claims: key and position of each event that it holds from now on.
    """

    owner: bytes
    mark: bytes
    record: bytes | None
    claims: Sequence[tuple[bytes, Position]]


class Settled(Enum):
    """What became of an entry, as the archive must know it."""

    PENDING = "pending"  # not acknowledged yet: it and all after it wait
    APPLIED = "applied"  # this very entry was applied: it belongs into the archive
    ELSEWHERE = "elsewhere"  # parked, dead, or another entry of the same event was applied
    FORGOTTEN = "forgotten"  # acknowledged, and its claim is gone: expired, or erased


class Charge(NamedTuple):
    """Which archive the events of a tenant go to.

    Attributes:
        archive: its id.
        epoch: of the streams: another one where Redis was emptied since. Positions of one epoch say
            nothing in another.
    """

    archive: str
    epoch: str


class Intake(Protocol):
    """Where events come in."""

    async def accept(self, arrivals: Sequence[Arrival]) -> list[Fate]:
        """What became of each, in order. Those accepted are stored before this returns.

        Raises:
            StoreUnavailable: no answer in time, or Redis refused to write. Any of them may have
                been accepted or not: sent again, they are told apart.
        """
        ...


class Shards(Protocol):
    """A consumer's side of the shards' streams."""

    async def read(self, shard: int, consumer: str, *, count: int, wait_s: float) -> list[Entry]:
        """The next entries that nobody was given, waiting for the first of them.

        Raises:
            StoreUnavailable: no answer in time; entries may have been given all the same, and are
                found by `take_over`.
        """
        ...

    async def take_over(
        self, shard: int, consumer: str, *, idle_s: float | None, count: int
    ) -> TakenOver:
        """Entries that were given to anybody `idle_s` ago or longer; None: to this consumer, ever.

        Raises:
            StoreUnavailable: no answer in time.
        """
        ...

    async def begin(self, shard: int, consumer: str, entries: Sequence[Entry]) -> list[Entry]:
        """Note that entries taken over are handled anew, for the case that it ends badly.

        Raises:
            StoreUnavailable: no answer in time.
        """
        ...

    async def restore(self, shard: int, entries: Sequence[Entry]) -> Held:
        """After Redis was away: append again what it lost, unless it was settled, and forget it.

        Raises:
            StoreUnavailable: no answer in time; to be repeated.
        """
        ...

    async def acknowledge(self, shard: int, positions: Sequence[Position]) -> None:
        """These are settled: nobody is given them again.

        Raises:
            StoreUnavailable: no answer in time.
        """
        ...


class Effects(Protocol):
    """What events change."""

    async def fetch(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Records and claims at their keys.

        Raises:
            StoreUnavailable: no answer in time.
        """
        ...

    async def apply(self, changes: Sequence[RecentChange]) -> list[bool]:
        """Whether each was written. False: its record or one of its claims had changed.

        Raises:
            StoreUnavailable: no answer in time. Any of the changes may have been written or not.
        """
        ...

    async def settle(
        self, claims: Sequence[tuple[bytes, Position | None]], state: State
    ) -> list[bool]:
        """Say what became of events whose claims are not marked by `apply`.

        Returns:
            Of each whether it says so now. False: it was applied, and stays so.

        Raises:
            StoreUnavailable: no answer in time.
        """
        ...


class Letters(Protocol):
    """Events that were set aside: parked, or dead."""

    async def set_aside(
        self, shard: int, to: Aside, letters: Sequence[tuple[Entry, str]], *, at: float
    ) -> int:
        """Move entries of the stream there, each with a reason; how many were moved.

        Raises:
            StoreUnavailable: no answer in time.
        """
        ...

    async def letters(
        self, shard: int, where: Aside, *, after: Position, count: int
    ) -> list[Letter]:
        """Those set aside, in their order.

        Raises:
            StoreUnavailable: no answer in time.
        """
        ...

    async def put_back(self, shard: int, where: Aside, positions: Sequence[Position]) -> int:
        """Append them to the shard's stream again; how many were there to be moved.

        Raises:
            StoreUnavailable: no answer in time.
        """
        ...

    async def bury(
        self, shard: int, positions: Sequence[Position], reason: str, *, at: float
    ) -> int:
        """Make dead letters of parked ones; how many were there to be moved.

        Raises:
            StoreUnavailable: no answer in time.
        """
        ...

    async def forget(self, shard: int, where: Aside, *, before: float) -> int:
        """Remove those that were set aside before an instant; how many there were.

        Raises:
            StoreUnavailable: no answer in time.
        """
        ...


class Passed(Protocol):
    """The archive's side of the shards' streams."""

    async def entries(self, shard: int, *, after: Position, count: int) -> list[Entry]:
        """The entries after a position, in their order, whatever became of them.

        Raises:
            StoreUnavailable: no answer in time.
        """
        ...

    async def claims(self, shard: int, entries: Sequence[Entry]) -> list[Settled]:
        """What became of each of `entries`, which `entries()` gave.

        Raises:
            StoreUnavailable: no answer in time.
        """
        ...

    async def trim(self, shard: int, upto: Position | None = None) -> int:
        """Remove the entries up to this position; None: all that are settled. How many there were.

        Never removes an entry that is not settled, whatever `upto` says.

        Raises:
            StoreUnavailable: no answer in time.
        """
        ...

    async def in_charge(self) -> Charge | None:
        """Which archive the events go to; None: nobody archives them.

        Raises:
            StoreUnavailable: no answer in time.
        """
        ...

    async def claim_charge(self, charge: Charge) -> Charge:
        """Archive the events there if nobody does; where they are archived then.

        Raises:
            StoreUnavailable: no answer in time; it may have been claimed or not.
        """
        ...

    async def hand_charge(self, charge: Charge | None) -> None:
        """Archive the events there from now on, whoever did; None: nowhere.

        Raises:
            StoreUnavailable: no answer in time.
        """
        ...

    async def pass_by(self, positions: Sequence[Position]) -> None:
        """See to it that whatever comes stands after these, one of each shard, whatever the clock.

        Raises:
            StoreUnavailable: no answer in time; to be repeated.
        """
        ...

    async def depths(self, which: Aside | None = None) -> list[int]:
        """How many entries each shard's stream holds, or how many were set aside there.

        Raises:
            StoreUnavailable: no answer in time.
        """
        ...


class EventStore(Intake, Shards, Effects, Letters, Passed, Protocol):
    """Everything about events on their way."""

    async def close(self) -> None:
        """Leave the store."""
        ...
