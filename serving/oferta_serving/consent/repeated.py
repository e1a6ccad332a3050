"""Looking again and again: what keeps copies of the ledger, or the trust in them, up to date."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

log = structlog.get_logger()


async def repeated(look: Callable[[], Awaitable[None]], *, every_s: float) -> None:
    """Look until cancelled; a look that fails is logged, and the next one comes all the same."""
    while True:
        try:
            await look()
        except Exception:
            log.exception("consent.follow_failed")
        await asyncio.sleep(every_s)
