"""What a decision does when Redis fails: it says so. There is no decision without the store.

Caps would not be exact, and an offer that was made might be denied when it is asked about.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog

from oferta.errors import SlotsUnavailable, StoreRefused, StoreUnavailable
from oferta.store.redis import DEADLINE_S
from oferta_serving.breaker import Breaker
from oferta_serving.live import Releases
from oferta_serving.problems import RequestRefused

RETRY: Final = ((b"retry-after", b"1"),)
"""When asking again may help: a lost Redis is tried twice a second."""


log = structlog.get_logger()


class StoreHealth:
    """Goes through the breaker that recommendations go through. `code`: of its refusals."""

    def __init__(
        self,
        breaker: Breaker,
        releases: Releases,
        *,
        code: str = "decisions.store_unavailable",
    ) -> None:
        self._breaker = breaker
        self._releases = releases
        self._code = code
        self._refuses = False

    def check(self) -> None:
        """Refuse at once while Redis is known to be lost.

        Raises:
            RequestRefused: `code`.
        """
        if self._breaker.is_open:
            raise RequestRefused(self._code, headers=RETRY)

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Count what Redis does; refuse what it does not answer."""
        self.check()
        started = time.monotonic()
        try:
            yield
        except (StoreRefused, SlotsUnavailable) as error:
            # A full Redis is read all the same, and so are the other nodes of a cluster.
            if not self._refuses:
                log.warning("store.refuses", problem=str(error))
            self._refuses = True
            raise RequestRefused(self._code, headers=RETRY) from None
        except StoreUnavailable:
            self._releases.store_failed()
            raise RequestRefused(self._code, headers=RETRY) from None
        if self._refuses:
            log.info("store.accepts")
            self._refuses = False
        # Lists wait a tenth as long: an answer that came too late for them is no sign of health.
        if time.monotonic() - started < DEADLINE_S:
            self._releases.store_succeeded()
