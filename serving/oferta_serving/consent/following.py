"""Consent where another machine keeps the ledger: the copies in Redis, as long as none was lost."""

import asyncio
from typing import Final

import structlog

from oferta.errors import StoreUnavailable
from oferta.store.consent_copies import ConsentCopies, copied_up_to
from oferta_serving.consent.words import CopiedWords
from oferta_serving.metrics import Metrics

_ELSEWHERE: Final = "the copies of the consent ledger are incomplete, or its machine never ran"

log = structlog.get_logger()


class Following:
    """Watches the marker: gone or lower than before, words may be missing. For one event loop."""

    def __init__(self, copies: ConsentCopies | None, *, metrics: Metrics, follow_s: float) -> None:
        self.words = CopiedWords(reliable=False)
        self.trouble: str | None = _ELSEWHERE
        self._copies = copies
        self._metrics = metrics
        self._follow_s = follow_s
        self._highest = 0

    async def follow(self) -> None:
        """Keep `words.reliable` true to the marker until cancelled."""
        while True:
            try:
                await self.look()
            except Exception:
                log.exception("consent.follow_failed")
            await asyncio.sleep(self._follow_s)

    async def look(self) -> None:
        """Read the marker now."""
        marker = None
        if self._copies is not None:
            try:
                marker = await self._copies.marker()
            except StoreUnavailable:
                marker = None  # it may come back as it was some time ago
        seq = copied_up_to(marker)
        reliable = marker is not None and seq >= self._highest
        self._highest = max(self._highest, seq)
        if reliable != self.words.reliable:
            log.info("consent.copies_complete") if reliable else log.warning("consent.copies_lost")
        self.words.reliable = reliable
        self.trouble = None if reliable else _ELSEWHERE
        self._metrics.consent_behind.set(int(not reliable))

    async def close(self) -> None:
        """Nothing is open here."""
