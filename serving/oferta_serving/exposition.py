"""What Prometheus is given: computed beside the answers, and at most once a second.

Merging the files of four workers takes 14 ms, in which an event loop would answer nobody.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

FOR_S: Final = 1.0
"""How long a text is given out again; Prometheus asks every 15 s or so."""


class Exposition:
    """The counters as text. For one event loop; any number may ask at once.

    Args:
        compute: makes the text; called in a thread, never twice at a time.
        seconds: a clock that only goes forward.
    """

    def __init__(
        self, compute: Callable[[], bytes], seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._compute = compute
        self._seconds = seconds
        self._text = b""
        self._until = float("-inf")
        self._computing: asyncio.Task[bytes] | None = None

    async def text(self) -> bytes:
        """The counters as they were at most a second ago."""
        if self._seconds() < self._until:
            return self._text
        if self._computing is None:
            self._computing = asyncio.create_task(self._computed())
        return await asyncio.shield(self._computing)  # others wait for it, too

    async def _computed(self) -> bytes:
        try:
            self._text = await asyncio.to_thread(self._compute)
            self._until = self._seconds() + FOR_S
        finally:
            self._computing = None
        return self._text
