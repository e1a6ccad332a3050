"""Looks every half minute whether Redis was told to evict: then rows would go without any error.

A release is refused at once by who publishes it (`oferta publish` looks before it writes). Here the
alarm is raised for the release that is served already.
"""

import asyncio
from typing import Final

import structlog

from oferta.errors import StoreUnavailable
from oferta_serving.metrics import Metrics

EVERY_S: Final = 30.0
KEEPS: Final = "noeviction"

log = structlog.get_logger()


class StoreWatch:
    """Watches one Redis; of a cluster, the first node of its address that answers.

    Attributes:
        policy: the eviction policy as it was seen last; None: it was not told yet.
    """

    def __init__(self, url: str, metrics: Metrics, *, every_s: float = EVERY_S) -> None:
        self.policy: str | None = None
        self._url = url
        self._metrics = metrics
        self._every_s = every_s
        self._followed = False

    @property
    def evicts(self) -> bool:
        """Whether it may remove what it should keep."""
        return self.policy is not None and self.policy != KEEPS

    async def follow(self) -> None:
        """Watch until cancelled: once, however many tenants of the process ask for it."""
        if self._followed:
            return
        self._followed = True
        while True:
            await self._look()
            await asyncio.sleep(self._every_s)

    async def _look(self) -> None:
        # It is asked through a connection of its own, which no request waits for.
        from oferta.store.server_facts import server_facts  # noqa: PLC0415 - a second client

        try:
            facts = await asyncio.to_thread(server_facts, self._url)
        except StoreUnavailable:
            return  # others tell that
        policy = facts.text("maxmemory_policy") or None
        if policy is not None and policy != self.policy:
            (log.info if policy == KEEPS else log.error)("store.eviction_policy", policy=policy)
            self.policy = policy
        self._metrics.store_evicts.set(int(self.evicts))
