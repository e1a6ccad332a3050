"""Consent where another machine keeps the ledger: the copies in Redis, as long as none was lost."""

import asyncio
import os
from pathlib import Path
from typing import Final

import structlog

from oferta.errors import StoreUnavailable
from oferta.store.consent_copies import ConsentCopies, copied_up_to
from oferta_serving.consent.repeated import repeated
from oferta_serving.consent.words import CopiedWords
from oferta_serving.metrics import Metrics

_ELSEWHERE: Final = "the copies of the consent ledger are incomplete, or its machine never ran"

log = structlog.get_logger()


class Following:
    """Watches the marker: gone or lower than before, words may be missing. For one event loop.

    How high it was is kept in the file `seen`, so that a restart forgets nothing of it.
    """

    def __init__(
        self, copies: ConsentCopies | None, *, metrics: Metrics, follow_s: float, seen: Path
    ) -> None:
        self.words = CopiedWords(reliable=False)
        self.trouble: str | None = _ELSEWHERE
        self._copies = copies
        self._metrics = metrics
        self._follow_s = follow_s
        self._seen = seen
        self._highest = 0

    async def follow(self) -> None:
        """Keep `words.reliable` true to the marker until cancelled."""
        await repeated(self.look, every_s=self._follow_s)

    async def look(self) -> None:
        """Read the marker now."""
        marker = None
        if self._copies is not None:
            try:
                marker = await self._copies.marker()
            except StoreUnavailable:
                marker = None  # it may come back as it was some time ago
        seq = copied_up_to(marker)
        self._highest = max(self._highest, await asyncio.to_thread(_higher, self._seen, seq))
        reliable = marker is not None and seq >= self._highest
        if reliable != self.words.reliable:
            log.info("consent.copies_complete") if reliable else log.warning("consent.copies_lost")
        self.words.reliable = reliable
        self.trouble = None if reliable else _ELSEWHERE
        self._metrics.consent_behind.set(int(not reliable))

    async def close(self) -> None:
        """Nothing is open here."""


def _higher(seen: Path, seq: int) -> int:
    """The highest number by the file and by now, which it has from here on.

    Raises:
        OSError: it cannot be read or written.
    """
    text = seen.read_text("ascii").strip() if seen.exists() else "0"
    highest = max(seq, int(text) if text.isdigit() else 0)
    if str(highest) != text:
        seen.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = seen.with_name(f"{seen.name}.{os.getpid()}")
        draft.write_text(f"{highest}\n", "ascii")
        draft.replace(seen)
    return highest
