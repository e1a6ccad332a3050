"""Too much to do at once: few requests at a time, a short queue, and a fast no for the rest.

A process that takes on everything answers nobody in time. Here no more requests are under way than
the processor gets through in half of `queue_ms`, and never more than `concurrent`; the others wait,
the most urgent first. A burst is waited out. Where a queue has stood for a tenth of a second it is
an overload (as CoDel tells them apart): then a list waits no longer than `queue_ms` until it is
told to come again, and where waiting cannot help, newcomers are told at once. A queue that gets
shorter is no overload, however old; and while the whole process stood still, no queue grew older.

What a customer agreed to counts most: consent goes before lists, these before decisions (but one
decision after every `LISTS` lists), these before events, these before batches and what staff ask.
Consent may use a reserve that nobody else can. A decision and an event may wait `LONGER` times
`queue_ms`.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from oferta_serving.metrics import Metrics
from oferta_serving.problems import RequestRefused
from oferta_serving.settings import OverloadSettings

RETRY: Final = ((b"retry-after", b"1"),)

RESERVE: Final = 8
"""More than anybody else may have under way, consent may."""

WIDER: Final = 8
"""So many times as many requests may be under way while Redis keeps them waiting: that is no work
of this process, and each of them is over after its deadline."""

LONGER: Final = 5
"""So many times as long as a list a decision and an event may wait: they take the processor longer,
and with a list's patience a few callers at once would be turned away nearly always."""

LISTS: Final = 8
"""After so many lists a decision that waits is let in: a flood of lists must not shut it out.
It takes the processor about ten times as long as a list: either kind gets about half then."""

PATIENCE_S: Final = 2.0
"""How long consent, batches and staff may wait: what they ask for is worth as much then."""

STALL_S: Final = 0.1
"""A younger queue is a burst, or a stall of the machine: CoDel's interval."""

SHRUNK: Final = 0.75
"""A queue this much shorter than it was `STALL_S` ago is a burst that is being worked off."""

BURSTS: Final = 5
"""For at most so many times `STALL_S` a queue is given the time to get shorter."""

LATE_S: Final = 0.3
"""An event loop that is late for so long at each look has more to read than it gets through."""

TICK_S: Final = 0.01
"""How often it is looked whether the event loop is late."""

FEWEST: Final = 4
"""So many may be under way, however long each takes."""

_PACE_WEIGHT: Final = 0.1
_MEASURED: Final = 32  # requests, until the processor time of one is worked out anew


class Turn(IntEnum):
    """How urgent a request is; the least number goes first."""

    CONSENT = 0
    SERVE = 1
    DECIDE = 2
    EVENTS = 3
    BATCH = 4
    STAFF = 5


_TIMES: Final = {Turn.SERVE: 1, Turn.DECIDE: LONGER, Turn.EVENTS: LONGER}
"""How many times `queue_ms` they wait."""


@dataclass(slots=True, eq=False)
class _Waiter:
    turn: Turn
    admitted: "asyncio.Future[None]"
    chances: int  # how often it may go on waiting, while its queue does not stand
    timer: asyncio.TimerHandle | None = None


class Turnstile:
    """Lets requests in. For one event loop, shared by all tenants of a process."""

    def __init__(
        self,
        settings: OverloadSettings,
        metrics: Metrics,
        *,
        clock: Callable[[], float],
        processor: Callable[[], float] = time.process_time,
    ) -> None:
        self._slow: list[Callable[[], bool]] = []
        self._processor = processor  # seconds that this process has worked
        self._worked_s = processor()
        self._over = 0
        self._late_since: float | None = None
        self._concurrent = self._most = settings.concurrent
        self._most_batches = settings.batches
        self._queue_s = settings.queue_ms / 1000
        self._clock = clock  # monotonic seconds
        self._under_way = metrics.under_way
        self._refused = {turn: metrics.overloaded.labels(turn.name.lower()) for turn in Turn}
        self._inside = 0
        self._batches = 0
        self._lists = 0  # let in since a decision was, of those that waited
        self._queues: tuple[deque[_Waiter], ...] = tuple(deque() for _ in Turn)
        self._pace_s = 0.0  # between two that leave, while others wait
        self._left_at: float | None = None
        self._queued_since: float | None = None  # None: nobody is in the queues
        self._looked_at = 0.0  # when the queue was last found to be none that stands
        self._longest = 0  # since then
        self._stands = False
        self._ticked_at: float | None = None

    @property
    def inside(self) -> int:
        """How many requests are under way."""
        return self._inside

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return sum(map(len, self._queues))

    @property
    def most(self) -> int:
        """How many may be under way at once, as things are."""
        return self._most

    def sheds(self, turn: Turn) -> bool:
        """Whether who comes now would wait too long: the protocol need not parse."""
        since = self._late_since
        if self._inside >= self._most and since is not None and self._clock() - since >= LATE_S:
            return True
        return self._standing() and self._expected_s(turn) > self._patience_s(turn)

    async def watch(self) -> None:
        """Look whether this process keeps its event loop late, until cancelled."""
        while True:
            due, worked_s = self._clock() + TICK_S, self._processor()
            await asyncio.sleep(TICK_S)
            now = self._ticked_at = self._clock()
            late_s, worked_s = now - due, self._processor() - worked_s
            # Late for lack of a processor is no overload: that is the machine, or somebody else.
            if late_s < self._queue_s or worked_s < late_s / 2:
                self._late_since = None
            elif self._late_since is None:
                self._late_since = now

    def widen_while(self, slow: Callable[[], bool]) -> None:
        """Let in `WIDER` times as many while `slow` says that a store keeps them waiting."""
        self._slow.append(slow)

    async def enter(self, turn: Turn, *, wait_s: float | None = None) -> None:
        """Wait for one's turn; whoever entered leaves.

        `wait_s`: how long the caller is willing to wait, if they said so.

        Raises:
            RequestRefused: `overloaded`: waited too long, or would.
        """
        if self._room(turn) and (self._queued_since is None or not self._before(turn)):
            self._take(turn)
            return
        patience = self._patience_s(turn) if wait_s is None else min(wait_s, self._patience_s(turn))
        standing = self._standing()
        if standing and self._expected_s(turn) > patience:
            raise self._refusal(turn)
        in_burst = wait_s is None and not standing and turn in _TIMES
        await self._wait(turn, patience, chances=BURSTS - 1 if in_burst else 0)

    def leave(self, turn: Turn) -> None:
        """A request that had entered is over."""
        self._inside -= 1
        if turn >= Turn.BATCH:
            self._batches -= 1
        self._over += 1
        if self._over >= _MEASURED:
            self._measure()
        now = self._clock()
        if self._left_at is not None and self._queued_since is not None:
            gap = now - max(self._left_at, self._queued_since)
            if gap < STALL_S:
                self._pace_s += _PACE_WEIGHT * (gap - self._pace_s)
        self._left_at = now
        if self._queued_since is not None:
            self._admit()

    def turned_away(self, turn: Turn) -> None:
        """Count one refusal."""
        self._refused[turn].inc()

    def _refusal(self, turn: Turn) -> RequestRefused:
        self.turned_away(turn)
        return RequestRefused("overloaded", headers=RETRY)

    def _measure(self) -> None:
        """How many requests the processor gets through in half the time that one may wait."""
        worked_s = self._processor()
        each_s = (worked_s - self._worked_s) / self._over
        self._worked_s, self._over = worked_s, 0
        self._under_way.set(self._inside)
        fitting = self._queue_s / 2 / each_s if each_s > 0 else self._concurrent
        self._most = round(min(self._concurrent, max(FEWEST, fitting)))

    async def _wait(self, turn: Turn, patience: float, *, chances: int) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = _Waiter(turn, future, chances)
        self._set_timer(waiter, patience)
        self._queues[turn].append(waiter)
        if self._queued_since is None:
            self._queued_since = self._looked_at = self._clock()
            self._longest = 0
        self._longest = max(self._longest, self.waiting)
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self.leave(turn)  # let in and called off at the same moment
            raise
        finally:
            if waiter.timer is not None:
                waiter.timer.cancel()

    def _set_timer(self, waiter: _Waiter, patience: float) -> None:
        loop = asyncio.get_running_loop()
        waiter.timer = loop.call_later(patience, self._expire, waiter)

    def _expire(self, waiter: _Waiter) -> None:
        if waiter.admitted.done():
            return
        if waiter.chances > 0 and not self._standing():
            waiter.chances -= 1
            self._set_timer(waiter, STALL_S)
            return
        waiter.admitted.set_exception(self._refusal(waiter.turn))

    def _admit(self) -> None:
        """Let in whoever is next, as long as there is room."""
        for turn in Turn:
            while (turn is Turn.SERVE and self._overtakes()) or self._admit_one(turn):
                pass
        if not any(self._queues):
            self._queued_since = None
            self._stands = False

    def _overtakes(self) -> bool:
        """Let in a decision before the next list, if one is due; whether it was."""
        return self._lists >= LISTS and self._admit_one(Turn.DECIDE)

    def _admit_one(self, turn: Turn) -> bool:
        """Let in who has waited longest for this turn; whether anybody was."""
        queue = self._queues[turn]
        while queue and (queue[0].admitted.done() or self._room(turn)):
            waiter = queue.popleft()
            if not waiter.admitted.done():
                self._take(turn)
                self._lists += turn is Turn.SERVE
                waiter.admitted.set_result(None)
                return True
        return False

    def _take(self, turn: Turn) -> None:
        self._inside += 1
        if turn is Turn.DECIDE:
            self._lists = 0
        if turn >= Turn.BATCH:
            self._batches += 1

    def _room(self, turn: Turn) -> bool:
        if turn >= Turn.BATCH and self._batches >= self._most_batches:
            return False
        if self._inside < self._most:
            return True
        most = self._most * WIDER if any(slow() for slow in self._slow) else self._most
        return self._inside < (most + RESERVE if turn is Turn.CONSENT else most)

    def _before(self, turn: Turn) -> bool:
        """Whether anybody waits who goes before a newcomer of this kind."""
        return any(self._queues[at] for at in range(turn + 1))

    def _standing(self) -> bool:
        if self._queued_since is None or self._stands:
            return self._stands
        now, waiting = self._clock(), self.waiting
        stood_still = self._ticked_at is not None and now - self._ticked_at >= STALL_S
        if not stood_still and now - self._looked_at < STALL_S:
            return False
        shrunk = waiting <= SHRUNK * self._longest
        if stood_still:
            self._queued_since = self._ticked_at = now
        elif not shrunk or now - self._queued_since >= BURSTS * STALL_S:
            self._stands = True
            return True
        self._looked_at, self._longest = now, waiting
        return False

    def _expected_s(self, turn: Turn) -> float:
        ahead = sum(len(self._queues[at]) for at in range(turn + 1))
        return (ahead + 1) * self._pace_s

    def _patience_s(self, turn: Turn) -> float:
        if turn not in _TIMES:
            return PATIENCE_S
        most = self._queue_s * _TIMES[turn]
        return most if self._standing() else max(most, STALL_S)
