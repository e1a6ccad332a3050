"""Wrong keys, counted by who sent them: after too many, wrong ones wait. Right ones always pass."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from oferta_serving.problems import RequestRefused

MOST_WRONG: Final = 10
"""Wrong secrets for one prefix from one address; unknown prefixes from one count together."""

SHUT_S: Final = 60.0
_MOST_KEPT: Final = 4096
"""Pairs that are remembered. Who needs more addresses than that gains nothing: nobody guesses 256
bits, and what is forgotten first is what was wrong longest ago."""


class Attempts:
    """The wrong keys of the last minute, in this process."""

    __slots__ = ("_clock", "_wrong")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wrong: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()

    def check(self, prefix: str, address: str) -> None:
        """Refuse a wrong key as one of too many.

        Raises:
            RequestRefused: `key.attempts`.
        """
        if not self._wrong:
            return
        count, since = self._wrong.get((prefix, address), (0, 0.0))
        left = since + SHUT_S - self._clock()
        if count >= MOST_WRONG and left > 0:
            after = b"%d" % (int(left) + 1)
            raise RequestRefused("key.attempts", headers=[(b"retry-after", after)])

    def wrong(self, prefix: str, address: str) -> None:
        """Count a wrong key."""
        now = self._clock()
        count, since = self._wrong.pop((prefix, address), (0, now))
        if now - since >= SHUT_S:
            count, since = 0, now
        self._wrong[prefix, address] = (count + 1, now if count + 1 >= MOST_WRONG else since)
        if len(self._wrong) > _MOST_KEPT:
            self._wrong.popitem(last=False)
