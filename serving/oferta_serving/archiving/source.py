"""What the archiver needs of the store of events."""

from collections.abc import Sequence
from typing import Literal, Protocol

from oferta.events.archive import Archived
from oferta.events.event import Position

Fate = Literal["applied", "passed over", "open"]
"""What became of an entry of a stream. `applied`: its event counts, and at this very position.
`passed over`: it says again what another entry said, or nobody could apply it, or it waits for its
product: then it comes back as a new entry, or never. `open`: nobody has dealt with it yet."""


class Accepted(Protocol):
    """The accepted events of one tenant, in streams of which each is in order."""

    async def page(self, shard: int, *, after: Position, count: int) -> Sequence[Archived]:
        """Up to `count` entries of a shard after a position, in order.

        Raises:
            StoreUnavailable: no answer in time.
        """
        ...

    async def fates(self, entries: Sequence[Archived]) -> Sequence[Fate]:
        """What became of each of these entries.

        Raises:
            StoreUnavailable: no answer in time.
        """
        ...

    async def trim(self, shard: int, *, upto: Position) -> None:
        """Remove the entries of a shard up to a position that nobody is still to acknowledge.

        Raises:
            StoreUnavailable: no answer in time.
        """
        ...
