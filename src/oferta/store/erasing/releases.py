"""A customer's rows in releases: lists, profiles, pasts; of all that are announced, whole or not.

A bucket is written once and never again but here, so it is replaced by comparing: two who erase
two customers of one bucket at the same instant both succeed.
"""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from oferta.errors import RecordCorrupt, StoreUnavailable
from oferta.privacy.places import Row, Subject
from oferta.store import keys, scripts
from oferta.store.keys import KeySpace
from oferta.store.wire import Script, Wire

_REPLACE: Final = Script(scripts.REPLACE)
_TRIES: Final = 50
"""Each lost try is another customer's success; there are 16 in a bucket."""

Told = Callable[[Subject], Awaitable[Sequence[Row]]]
"""What an export says of a subject."""


@dataclass(frozen=True, slots=True)
class ReleaseRows:
    """One kind of rows of all announced releases: a `Place`.

    Attributes:
        per_tag: what an announcement calls the number of buckets of this kind.
        key: a bucket's key from release, buckets a tag, customer's hash.
        removed: a bucket without a customer, None where they are not in it.
        told: what an export says.
    """

    name: str
    wire: Wire
    space: KeySpace
    per_tag: str
    key: Callable[[int, int, bytes], bytes]
    removed: Callable[[bytes, int], bytes | None]
    told: Told

    async def erase(self, subject: Subject) -> int:
        """See `Place.erase`."""
        rest = keys.rest(subject.digest)
        return sum([await self._taken_out(key, rest) for key in await self._keys(subject)])

    async def export(self, subject: Subject) -> Sequence[Row]:
        """See `Place.export`."""
        return await self.told(subject)

    async def holds(self, subject: Subject) -> bool:
        """See `Place.holds`."""
        rest = keys.rest(subject.digest)
        records = await self.wire.fetch(await self._keys(subject))
        return any(self._without(record, rest) is not None for record in records if record)

    async def _keys(self, subject: Subject) -> list[bytes]:
        notes = await announced(self.wire, self.space)
        numbers = {release: note.get(self.per_tag) for release, note in notes.items()}
        return [
            self.key(release, per_tag, subject.digest)
            for release, per_tag in sorted(numbers.items())
            if isinstance(per_tag, int) and per_tag > 0
        ]

    async def _taken_out(self, key: bytes, rest: int) -> int:
        for _ in range(_TRIES):
            (record,) = await self.wire.fetch([key])
            without = None if record is None else self._without(record, rest)
            if record is None or without is None:
                return 0
            if not without:
                await self.wire.ask([(b"UNLINK", key)])
                return 1
            digest = hashlib.sha1(record, usedforsecurity=False).hexdigest().encode()
            (replaced,) = await self.wire.run(_REPLACE, [([key], [digest, without])])
            if replaced == 1:
                return 1
        raise StoreUnavailable("a bucket changed again and again while a row was taken out of it")

    def _without(self, record: bytes, rest: int) -> bytes | None:
        """The record that stays; nothing of a damaged one, from which nobody is served."""
        try:
            return self.removed(record, rest)
        except RecordCorrupt:
            return b""


async def announced(wire: Wire, space: KeySpace) -> dict[int, dict[str, object]]:
    """The announcements of releases, as JSON, by number: of those being written, too.

    Raises:
        StoreUnavailable: no answer in time.
    """
    (reply,) = await wire.ask([(b"HGETALL", space.releases())])
    pairs = reply.items() if isinstance(reply, dict) else zip(*[iter(reply)] * 2, strict=True)
    found: dict[int, dict[str, object]] = {}
    for number, note in pairs:
        try:
            said = orjson.loads(note)
            found[int(number)] = said if isinstance(said, dict) else {}
        except ValueError:
            continue  # its rows expire by themselves
    return found
