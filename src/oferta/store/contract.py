"""The two ports to a key-value store: one for publishers, one for readers.

Both deal in bytes and in one small record, the pointer. What the bytes mean is `codec`'s business,
where they lie is `keys`'s. Memory and Redis implement both and pass one contract suite.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Pointer:
    """Which release is live. Changed by one atomic script only, never in parts.

    Attributes:
        release: number of the live release.
        previous: number of the release a rollback goes to, or None.
        fence: of the swap that set this pointer. Fences only grow, so a publisher that was paused
            and wakes late is refused.
        swapped_at: epoch seconds of the swap.
        manifest: SHA-256 of the live release's manifest record, hexadecimal.
    """

    release: int
    previous: int | None
    fence: int
    swapped_at: float
    manifest: str


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the store has room for. `limit` is None where there is no limit."""

    policy: str  # the eviction policy; anything but noeviction may lose rows silently
    used_bytes: int
    limit_bytes: int | None
    version: str


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
            StoreUnavailable: no answer within the deadline.
        """
        ...


class Writer(Protocol):
    """What a publisher needs besides reading. Blocking."""

    def reserve_fence(self) -> int:
        """A fence larger than every one before; it is also the number of a new release."""
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

    def swap(self, pointer: Pointer) -> bool:
        """Make `pointer` the live one, atomically, if its fence is larger than the stored one.

        Returns whether it was this very call that swapped; False means a newer fence holds.

        Raises:
            PublishRefused: the release's manifest is not in the store, or is another.
        """
        ...
