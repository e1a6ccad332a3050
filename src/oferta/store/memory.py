"""The store as a dictionary: for tests and for trying things out, never for a release that matters.

It keeps the same contract as Redis, expiry by its clock included, within one process.
"""

from collections.abc import Iterable, Sequence

from oferta.clock import Clock
from oferta.errors import RecordCorrupt
from oferta.store import head
from oferta.store.contract import Capacity, Pointer, swap_refused
from oferta.store.keys import KeySpace


class MemoryStore:
    """All ports over one dictionary; `records_by_key` is open, so a test can damage a record."""

    def __init__(self, space: KeySpace, clock: Clock) -> None:
        self.records_by_key: dict[
            bytes, tuple[bytes, float]
        ] = {}  # record, expiry in epoch seconds
        self._space = space
        self._clock = clock
        self._fence = 0
        self._notes: dict[int, bytes] = {}

    async def pointer(self) -> Pointer | None:
        """See `contract.Reader`."""
        return self.live()

    async def fetch(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """See `contract.Reader`."""
        return self.records(keys)

    def reserve_fence(self, *, above: int = 0) -> int:
        """See `contract.Writer`."""
        self._fence = max(self._fence, above) + 1
        return self._fence

    def put(self, records: Iterable[tuple[bytes, bytes]], *, ttl_s: int) -> int:
        """See `contract.Writer`."""
        expiry = self._clock.now().timestamp() + ttl_s
        written = {key: (record, expiry) for key, record in records}
        self.records_by_key |= written
        return len(written)

    def remove(self, keys: Iterable[bytes]) -> int:
        """See `contract.Writer`."""
        return sum(self.records_by_key.pop(key, None) is not None for key in keys)

    def replace(self, key: bytes, was: bytes, record: bytes) -> bool:
        """See `contract.Writer`."""
        if self.records([key]) != [was]:
            return False
        self.records_by_key[key] = (record, self.records_by_key[key][1])
        return True

    def swap(self, pointer: Pointer, *, replacing: int | None = None) -> bool:
        """See `contract.Writer`."""
        (manifest,) = self.records([self._space.manifest(pointer.release)])
        if manifest is None:
            raise swap_refused(pointer.release, "missing")
        if head.manifest_digest(manifest) != pointer.manifest:
            raise swap_refused(pointer.release, "differs")
        try:
            live = self.live()
        except RecordCorrupt:
            live = None
        previous = None
        if live is not None:
            if pointer.fence <= live.fence or replacing not in (None, live.fence):
                return False
            previous = live.previous if live.release == pointer.release else live.release
        text = head.pointer_text(pointer, previous)
        self.records_by_key[self._space.pointer()] = (text, float("inf"))
        return True

    def live(self) -> Pointer | None:
        """See `contract.Inspector`."""
        (record,) = self.records([self._space.pointer()])
        return None if record is None else head.read_pointer(record)

    def records(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """See `contract.Inspector`."""
        now = self._clock.now().timestamp()
        found = (self.records_by_key.get(key) for key in keys)
        return [None if each is None or each[1] <= now else each[0] for each in found]

    def count(self, keys: Iterable[bytes]) -> int:
        """See `contract.Inspector`."""
        return sum(record is not None for record in self.records(list(keys)))

    def capacity(self) -> Capacity:
        """See `contract.Inspector`."""
        used = sum(len(key) + len(record) for key, (record, _) in self.records_by_key.items())
        return Capacity(policy="noeviction", used_bytes=used, limit_bytes=None, version="memory")

    def announce(self, release: int, note: bytes) -> None:
        """See `contract.Announcements`."""
        self._notes[release] = note

    def announced(self) -> dict[int, bytes]:
        """See `contract.Announcements`."""
        return dict(self._notes)

    def withdraw(self, release: int) -> None:
        """See `contract.Announcements`."""
        self._notes.pop(release, None)

    def replicated(self, replicas: int, *, timeout_s: float) -> int:
        """See `contract.Announcements`; a dictionary has none."""
        del replicas, timeout_s
        return 0

    def close(self) -> None:
        """Nothing to close."""
