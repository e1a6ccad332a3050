"""What is remembered of decisions, in a dictionary: for tests, never for customers that matter.

It keeps the contract of the Redis one within a process, for any number of threads.
"""

from collections import defaultdict, deque
from collections.abc import Sequence
from threading import Lock

from oferta.store.decision_records import mark_of
from oferta.store.decisions import (
    REQUEST_TTL_S,
    Change,
    Conflict,
    Done,
    LogLine,
    Outcome,
    Place,
    Repeated,
)
from oferta.store.keys import KeySpace
from oferta.store.memory import MemoryStore


class MemoryDecisions:
    """All of `decisions.DecisionStore`; records lie in the dictionary of the store given."""

    def __init__(self, space: KeySpace, memory: MemoryStore, *, log_lines: int = 1_000_000) -> None:
        self._space = space
        self._memory = memory
        self._lock = Lock()
        self._counters: dict[str, dict[str, float]] = defaultdict(dict)
        length = space.lines_per_tag(log_lines)
        self._logs: dict[int, deque[tuple[int, bytes]]] = defaultdict(lambda: deque(maxlen=length))
        self._lines = 0

    async def fetch(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """See `decisions.Records`."""
        return self._memory.records(keys)

    async def apply(self, changes: Sequence[Change]) -> list[Outcome]:
        """See `decisions.Ledger`."""
        with self._lock:
            return [self._apply(change) for change in changes]

    async def taken(self, counters: Sequence[str], *, at: float) -> list[int]:
        """See `decisions.Totals`."""
        with self._lock:
            return [self._taken(counter, at) for counter in counters]

    async def take(self, places: Sequence[Place], *, at: float) -> list[str]:
        """See `decisions.Totals`."""
        with self._lock:
            taking: dict[str, int] = {}
            full: list[str] = []
            for place in places:
                taken = taking.get(place.counter)
                taken = self._taken(place.counter, at) if taken is None else taken
                taking[place.counter] = taken + 1
                if taken >= place.limit:
                    full.append(place.counter)
            if not full:
                for place in places:
                    self._counters[place.counter][place.member] = place.until
            return list(dict.fromkeys(full))

    async def give_back(self, places: Sequence[Place]) -> None:
        """See `decisions.Totals`."""
        with self._lock:
            for place in places:
                self._counters[place.counter].pop(place.member, None)

    async def keep(self, places: Sequence[Place], *, at: float) -> None:
        """See `decisions.Totals`."""
        del at
        with self._lock:
            for place in places:
                counter = self._counters[place.counter]
                counter[place.member] = max(place.until, counter.get(place.member, 0.0))

    async def keep_bundle(self, version: str, bundle: bytes, *, ttl_s: int) -> None:
        """See `decisions.Archive`."""
        key = self._space.bundle(version)
        (there,) = self._memory.records([key])
        self._memory.put([(key, bundle if there is None else there)], ttl_s=ttl_s)

    async def log(self, tag: int, *, after: str = "0", count: int = 1000) -> list[LogLine]:
        """See `decisions.Archive`."""
        with self._lock:
            lines = [(str(at), line) for at, line in self._logs[tag] if at > int(after)]
        return lines[:count]

    async def close(self) -> None:
        """See `decisions.DecisionStore`; there is nothing to leave."""

    def _apply(self, change: Change) -> Outcome:
        space, memory, decision = self._space, self._memory, change.decision
        request = None if decision is None else decision.request
        if request is not None:
            (was,) = memory.records([request])
            if was is not None:
                return Repeated(was.decode("ascii"))
        key = space.state(change.customer)
        (stored,) = memory.records([key])
        if mark_of(stored) != change.mark:
            return Conflict(stored)
        if change.state is not None:
            memory.put([(key, change.state)], ttl_s=change.state_ttl_s)
        if decision is not None:
            memory.put([(space.decision(decision.id), decision.record)], ttl_s=decision.ttl_s)
            if request is not None:
                memory.put([(request, decision.id.encode())], ttl_s=REQUEST_TTL_S)
        log = self._logs[space.tag(change.customer)]
        for line in change.log:
            self._lines += 1
            log.append((self._lines, line))
        return Done()

    def _taken(self, counter: str, at: float) -> int:
        return sum(until > at for until in self._counters[counter].values())
