"""Which archive holds a tenant's events, as one fact in Redis, and since which epoch.

There may be one at a time: two would each have half of the events. The fact is made with its epoch
by the first archiver that finds none, so a Redis that was emptied begins an epoch of its own, in
which positions of before say nothing.
"""

from collections.abc import Sequence
from typing import Final

from oferta.events.event import START, Position
from oferta.store import event_scripts
from oferta.store.events import Charge
from oferta.store.keys import KeySpace
from oferta.store.wire import Call, Script, Wire


class ArchiveCharge:
    """The fact of one tenant. For one asyncio loop; see `events.Passed`."""

    def __init__(self, wire: Wire, space: KeySpace) -> None:
        self._wire = wire
        self._space = space

    async def held(self) -> Charge | None:
        """Who has it."""
        (said,) = await self._wire.fetch([self._space.archive()])
        return _read(said)

    async def claim(self, charge: Charge) -> Charge:
        """Take it where nobody has it; who has it then."""
        call: Call = [self._space.archive()], [_written(charge)]
        (said,) = await self._wire.run(_CLAIM_ARCHIVE, [call])
        return _read(said) or charge

    async def hand_to(self, charge: Charge | None) -> None:
        """Give it to somebody, or to nobody, whoever had it."""
        written = b"" if charge is None else _written(charge)
        await self._wire.ask([(b"SET", self._space.archive(), written)])

    async def pass_by(self, positions: Sequence[Position]) -> None:
        """No entry will ever stand at or before these, but those that do so already."""
        calls: list[Call] = [
            ([self._space.events(shard)], [str(position).encode()])
            for shard, position in enumerate(positions)
            if position > START
        ]
        if calls:
            await self._wire.run(_ADVANCE, calls)


_CLAIM_ARCHIVE: Final = Script(event_scripts.CLAIM_ARCHIVE)
_ADVANCE: Final = Script(event_scripts.ADVANCE)


def _written(charge: Charge) -> bytes:
    return f"{charge.archive} {charge.epoch}".encode()


def _read(said: bytes | None) -> Charge | None:
    if not said:
        return None
    archive, _, epoch = said.decode("ascii", "replace").partition(" ")
    return Charge(archive, epoch)
