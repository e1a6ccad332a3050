"""The parts that decide, opened for one command instead of a server."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from oferta.clock import Clock
from oferta.errors import SettingsInvalid
from oferta.store.connecting import StoreSettings, connect
from oferta.store.decisions_redis import RedisDecisions
from oferta_serving import logs
from oferta_serving.breaker import Breaker
from oferta_serving.consent.words import words_here
from oferta_serving.deciding.parts import Deciding, deciding_parts
from oferta_serving.deciding.rules import rule_files
from oferta_serving.live import Releases
from oferta_serving.metrics import Metrics
from oferta_serving.settings import ServingSettings, read_environment

PATIENCE_S = 5.0
"""Nobody waits for a page meanwhile, as they do for a server."""


@asynccontextmanager
async def opened(settings: ServingSettings, home: Path, *, clock: Clock) -> AsyncIterator[Deciding]:
    """The parts over the store of the environment, with what is live now.

    Raises:
        SettingsInvalid: every mistake of the files to decide by, or there are none.
        StoreUnavailable: the embedded Redis cannot be started.
    """
    rule_files(settings.decisions)  # a mistake is told before a Redis is started
    logs.silence()
    metrics = Metrics()
    breaker = Breaker(open_after=1000, probe_s=0.1, clock=time.monotonic)
    store = connect(StoreSettings(home, read_environment().redis_url))
    try:
        releases = Releases(
            store.reader,
            store.space,
            breaker=breaker,
            metrics=metrics,
            folder=home / "serving",
            refresh_s=1.0,
        )
        deciding = deciding_parts(
            settings,
            RedisDecisions(
                store.url,
                store.space,
                log_lines=settings.decisions.log_lines,
                deadline_s=PATIENCE_S,
            ),
            words=words_here(settings, home),
            space=store.space,
            releases=releases,
            breaker=breaker,
            metrics=metrics,
            clock=clock,
        )
        async with deciding.following():
            if deciding.rules.current is None:
                raise SettingsInvalid("decisions", deciding.rules.refused)
            await releases.refresh()
            yield deciding
            await releases.close()
    finally:
        await store.aclose()
