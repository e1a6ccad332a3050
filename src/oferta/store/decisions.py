"""The ports to what is remembered of decisions: three small ones, all exact under concurrency.

A decision is computed on a customer's state as it was read, and committed only if nobody replaced
that state meanwhile: what caps were counted on is then what is stored. Caps over everybody are
places in counters: taken before the commit, given back when it fails. A caller that dies between
the two leaves a place taken until its reservation ends, never one too many.

States, decisions and bundles are read by `fetch` at the keys of `KeySpace`, in one round trip with
whatever else is asked of the customer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

REQUEST_TTL_S: Final = 24 * 3600
"""How long a request id gives its decision back."""

NO_MARK: Final = b""
"""The mark of a customer without a state."""


@dataclass(frozen=True, slots=True)
class NewDecision:
    """A decision to be stored.

    Attributes:
        id: as callers know it; its key is `KeySpace.decision(id)`.
        record: sealed, as `decision_records.seal_decision` makes it.
        ttl_s: how long it can be asked for and replayed.
        request: what `KeySpace.request` makes of the customer's request id, or None without one.
    """

    id: str
    record: bytes
    ttl_s: int
    request: bytes | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be written of one customer, all of it or nothing.

    Attributes:
        customer: the customer's `KeySpace.digest`.
        mark: of the state that this was computed on (`decision_records.mark_of`).
        state: the sealed state that replaces it; None leaves it as it is.
        state_ttl_s: how long that state must be remembered.
        decision: a decision made with it, if this is one.
        log: lines for the decision log, each of them JSON.
    """

    customer: bytes
    mark: bytes
    state: bytes | None
    state_ttl_s: int
    decision: NewDecision | None = None
    log: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True)
class Done:
    """The change was written."""


@dataclass(frozen=True, slots=True)
class Repeated:
    """The request id was there already: nothing was written. `id` is the decision it belongs to."""

    id: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """Another state is stored than the one computed on: nothing was written.

    `state` is the stored one, sealed; None where there is none any more.
    """

    state: bytes | None


Outcome = Done | Repeated | Conflict

LogLine = tuple[str, bytes]
"""Where a line of the log stands, for asking on from there, and the line."""


class Place(NamedTuple):
    """A place in a counter of everybody's decisions.

    Attributes:
        counter: `cap name/what it counts`.
        member: who takes it: one decision and one of its offers.
        until: epoch seconds at which it is free again.
        limit: how many places the counter has; without meaning where a place is only kept longer.
    """

    counter: str
    member: str
    until: float
    limit: int = 0


class Records(Protocol):
    """What states, decisions, bundles and profiles are read through."""

    async def fetch(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """See `contract.Reader.fetch`; more patient, since a decision has nothing to fall back to.

        Raises:
            StoreUnavailable: no answer in time.
        """
        ...


class Ledger(Protocol):
    """What customers were offered and answered."""

    async def apply(self, changes: Sequence[Change]) -> list[Outcome]:
        """What became of each change, in order. Each is atomic and they do not depend on another.

        Raises:
            StoreUnavailable: no answer in time. Any of the changes may have been written or not.
        """
        ...


class Totals(Protocol):
    """Counters over all customers: places that are free again at an instant."""

    async def taken(self, counters: Sequence[str], *, at: float) -> list[int]:
        """How many places of each counter are taken at the instant `at` (epoch seconds).

        Raises:
            StoreUnavailable: no answer in time.
        """
        ...

    async def take(self, places: Sequence[Place], *, at: float) -> list[str]:
        """Take all places, or none: then the counters that have no place left are returned.

        Raises:
            StoreUnavailable: no answer in time. The places may have been taken or not.
        """
        ...

    async def give_back(self, places: Sequence[Place]) -> None:
        """Free places that were taken for nothing.

        Raises:
            StoreUnavailable: no answer in time; they are free again when their time ends.
        """
        ...

    async def keep(self, places: Sequence[Place], *, at: float) -> None:
        """Let places last until a later instant, taking those anew whose time had ended.

        What really happened is counted even beyond the limit. Never shortens a place's time.

        Raises:
            StoreUnavailable: no answer in time.
        """
        ...


class Archive(Protocol):
    """What replays and reports need besides the decisions themselves."""

    async def keep_bundle(self, version: str, bundle: bytes, *, ttl_s: int) -> None:
        """Store the files that decisions are made with, once; from now on for `ttl_s` at least.

        Raises:
            StoreUnavailable: no answer in time.
        """
        ...

    async def log(
        self, tag: int, *, after: str = "0", count: int = 1000
    ) -> list[tuple[str, bytes]]:
        """Lines of the log of one slot tag, oldest first, each with its place.

        The log is kept per slot tag (`keys.TAGS` of them), so that a line is written in the same
        step as what it tells. The oldest lines give way when it has grown to its length.

        Raises:
            StoreUnavailable: no answer in time.
        """
        ...


class DecisionStore(Records, Ledger, Totals, Archive, Protocol):
    """Everything that serving needs to decide."""

    async def close(self) -> None:
        """Leave the store."""
        ...
