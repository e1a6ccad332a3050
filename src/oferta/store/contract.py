"""The ports to a key-value store: one for readers, three small ones for publishers.

All deal in bytes and in one small record, the pointer. What the bytes mean is `codec`'s business,
where they lie is `keys`'s. Memory and Redis implement them and pass one contract suite.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from oferta.errors import PublishRefused


@dataclass(frozen=True, slots=True)
class Pointer:
    """Which release is live. Changed by one atomic script only, never in parts.

    Attributes:
        release: number of the live release.
        previous: number of the release a rollback goes to, or None.
        fence: of the swap that set this pointer. Fences only grow, so a publisher that was paused
            and wakes late is refused.
        swapped_at: epoch seconds of the swap, to the microsecond.
        manifest: SHA-256 of the live release's manifest record, hexadecimal.
    """

    release: int
    previous: int | None
    fence: int
    swapped_at: float
    manifest: str


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the store has room for. `limit_bytes` is None where there is no limit."""

    policy: str  # the eviction policy; anything but noeviction may lose rows silently
    used_bytes: int
    limit_bytes: int | None
    version: str
    replicas: int = 0


class Reader(Protocol):
    """What serving needs. Never waits longer than its deadline."""

    async def pointer(self) -> Pointer | None:
        """The live pointer, or None before the first publish.

        Raises:
            StoreUnavailable: no answer within the deadline.
            RecordCorrupt: there is something at the pointer's key that is no pointer.
        """
        ...

    async def fetch(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The records at `keys`, in their order; None where there is none (or a foreign type).

        Raises:
            SlotsUnavailable: nodes of a cluster are away; it carries what the others have.
            StoreUnavailable: no answer within the deadline.
        """
        ...


class Writer(Protocol):
    """How a publisher changes the store. Blocking; all but `put` and `remove` are atomic."""

    def reserve_fence(self, *, above: int = 0) -> int:
        """A fence larger than every one before and than `above`; also a new release's number.

        `above` is what the publication log remembers: a store that lost everything must not give a
        number out again that readers may still hold rows of.

        Raises:
            StoreUnavailable: the store went away.
        """
        ...

    def put(self, records: Iterable[tuple[bytes, bytes]], *, ttl_s: int) -> int:
        """Write records in bounded pipelines; how many were written.

        Raises:
            StoreUnavailable: the store went away.
            PublishRefused: the store is full.
        """
        ...

    def remove(self, keys: Iterable[bytes]) -> int:
        """Delete without blocking the store; how many existed."""
        ...

    def replace(self, key: bytes, was: bytes, record: bytes) -> bool:
        """Put `record` in place of `was`, with what is left of its life; False: that is not there.

        Raises:
            StoreUnavailable: the store went away; it may have been replaced or not.
        """
        ...

    def swap(self, pointer: Pointer, *, replacing: int | None = None) -> bool:
        """Make `pointer` the live one, atomically, if its fence is larger than the stored one.

        With `replacing`, only if the stored fence is exactly that one: a rollback must not go back
        to a release that a publisher has meanwhile put up for removal.

        What was live until then becomes `previous`, whatever the given pointer says: only the
        store knows it at the instant of the swap. A pointer that cannot be read is overwritten.

        Returns whether it was this very call that swapped; False means another fence holds.

        Raises:
            PublishRefused: the release's manifest is not in the store, or is another.
        """
        ...


class Inspector(Protocol):
    """What a publisher looks at before it swaps. Blocking and unhurried."""

    def live(self) -> Pointer | None:
        """The live pointer, or None before the first publish.

        Raises:
            StoreUnavailable: the store went away.
            RecordCorrupt: there is something at the pointer's key that is no pointer.
        """
        ...

    def records(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The records at `keys`, in their order; None where there is none (or a foreign type)."""
        ...

    def count(self, keys: Iterable[bytes]) -> int:
        """How many of `keys` exist."""
        ...

    def capacity(self) -> Capacity:
        """What the store has room for."""
        ...


class Announcements(Protocol):
    """Which releases are, or may be, in the store: so that they are found without any scan."""

    def announce(self, release: int, note: bytes) -> None:
        """Remember that rows of `release` may exist from now on."""
        ...

    def announced(self) -> dict[int, bytes]:
        """All announced releases and their notes."""
        ...

    def withdraw(self, release: int) -> None:
        """Forget a release whose rows were removed."""
        ...

    def replicated(self, replicas: int, *, timeout_s: float) -> int:
        """How many replicas have everything written so far, after waiting for that many."""
        ...


class PublisherStore(Writer, Inspector, Announcements, Protocol):
    """Everything that a publisher needs."""


def swap_refused(release: int, outcome: str) -> PublishRefused:
    """Why a swap may not happen: the manifest is `missing`, or `differs` from the pointer's."""
    problem = "is not in the store" if outcome == "missing" else "is not the one that was verified"
    return PublishRefused(
        f"manifest.{outcome}", "swap", f"the manifest of release {release} {problem}"
    )
