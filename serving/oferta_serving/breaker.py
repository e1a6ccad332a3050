"""Leaving Redis alone while it is lost: requests stop waiting for what will not answer."""

from collections.abc import Callable

SPAN_S = 0.1
WINDOW_S = 1.0
WINDOW_CALLS = 20
"""Half of at least 20 calls in most of a second opens too: Redis answers every other call."""


class Breaker:
    """Counts failures; opens, and stays open until a probe succeeds.

    Failures in a row open it once they span `SPAN_S`: a single stall of this machine fails every
    call under way at the same moment, and is over when they have failed.

    Only the background task probes. A request never does, so once the breaker is open no customer
    waits for a lost Redis. For one event loop, not for threads.
    """

    __slots__ = (
        "_calls",
        "_clock",
        "_failures",
        "_in_a_row",
        "_open_after",
        "_probe_s",
        "_probed_at",
        "_row_at",
        "_window_at",
        "is_open",
    )

    def __init__(self, *, open_after: int, probe_s: float, clock: Callable[[], float]) -> None:
        self.is_open = False
        self._open_after = open_after
        self._probe_s = probe_s
        self._clock = clock  # monotonic seconds
        self._in_a_row = 0
        self._row_at = 0.0
        self._window_at = clock()
        self._calls = 0
        self._failures = 0
        self._probed_at = 0.0

    def may_probe(self) -> bool:
        """Whether the background task may try now: always while closed, else once a period."""
        if not self.is_open:
            return True
        now = self._clock()
        if now - self._probed_at < self._probe_s:
            return False
        self._probed_at = now
        return True

    @property
    def struggling(self) -> bool:
        """Whether the last call failed."""
        return self._in_a_row > 0

    def succeeded(self) -> None:
        """Redis answered a request. That alone closes nothing: it may have been asked before."""
        self._in_a_row = 0
        self._count(failed=0)

    def recovered(self) -> None:
        """Redis answered the background task."""
        self.succeeded()
        self.is_open = False

    def failed(self) -> None:
        """Redis did not answer in time, or cannot be reached."""
        now = self._clock()
        if self._in_a_row == 0:
            self._row_at = now
        self._in_a_row += 1
        self._count(failed=1)
        in_a_row = self._in_a_row >= self._open_after and now - self._row_at >= SPAN_S
        half = self._calls >= WINDOW_CALLS and 2 * self._failures >= self._calls
        flapping = half and now - self._window_at >= WINDOW_S / 2
        if not self.is_open and (in_a_row or flapping):
            self.is_open = True
            self._probed_at = now

    def _count(self, *, failed: int) -> None:
        now = self._clock()
        if now - self._window_at >= WINDOW_S:
            self._window_at, self._calls, self._failures = now, 0, 0
        self._calls += 1
        self._failures += failed
