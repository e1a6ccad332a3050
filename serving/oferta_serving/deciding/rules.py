"""The rules being decided by: followed on disk, replaced whole, never by a set with a mistake.

A change is looked for once a second, and by every request unless the last look is a few
milliseconds old; a request that comes while a change is being read waits for it. So whoever saves a
file and asks meets the new version in the very next answer.
"""

import asyncio
import gc
import time
from typing import Final

import structlog

from oferta.errors import SettingsInvalid
from oferta_serving.deciding.files import Rulebook, RuleFiles, Seen, load_rulebook
from oferta_serving.metrics import Metrics
from oferta_serving.settings import DecisionSettings

LOOK_EVERY_S: Final = 1.0
LOOK_AGAIN_S: Final = 0.005
"""Nobody saves a file and asks within this; a look costs some 20 us."""

log = structlog.get_logger()


class LiveRules:
    """Follows the files. For one event loop; `current` is replaced, never altered.

    Attributes:
        current: what is decided by; None while no valid set was ever read.
        refused: the problems of what is on disk now, where that is not what is decided by.
    """

    def __init__(self, files: RuleFiles, metrics: Metrics) -> None:
        self.current: Rulebook | None = None
        self.refused: tuple[str, ...] = ()
        self._files = files
        self._metrics = metrics
        self._seen: Seen | None = None
        self._looked_at = float("-inf")
        self._looking = asyncio.Lock()

    async def follow(self) -> None:
        """Keep `current` up to date until cancelled."""
        while True:
            try:
                await self.look()
            except Exception:
                log.exception("rules.follow_failed")
            await asyncio.sleep(LOOK_EVERY_S)

    async def fresh(self) -> Rulebook | None:
        """What is to be decided by now."""
        # A look that is under way has set its time, and may have found what is not read yet.
        if self._looking.locked() or time.monotonic() - self._looked_at > LOOK_AGAIN_S:
            await self.look()
        return self.current

    async def look(self) -> None:
        """Read the files if they changed."""
        self._looked_at = time.monotonic()
        if self._files.look() == self._seen and not self._looking.locked():
            return
        async with self._looking:
            seen = self._files.look()
            if seen == self._seen:
                return
            try:
                loaded = await asyncio.to_thread(load_rulebook, self._files)
            except SettingsInvalid as error:
                self._refuse(error)
            else:
                self._become(loaded)
            self._seen = seen
            self._looked_at = time.monotonic()

    def _become(self, loaded: Rulebook) -> None:
        before = self.current
        self.refused = ()
        self._metrics.rules_refused.set(0)
        if before is not None and before.version == loaded.version:
            return
        self.current = loaded
        # Rules are no garbage for hours: see `live`, which sets a release aside likewise.
        gc.collect()
        gc.freeze()
        engine = loaded.engine
        log.info(
            "rules.loaded",
            policy=engine.policy_version,
            catalogue=engine.catalogue_version,
            rate_card=engine.cards.version,
            offers=len(engine.catalogue.offers),
        )

    def _refuse(self, error: SettingsInvalid) -> None:
        self.refused = tuple(error.problems)
        self._metrics.rules_refused.set(1)
        log.error(
            "rules.refused",
            problems=error.problems,
            deciding_by=None if self.current is None else self.current.version,
        )


def rule_files(settings: DecisionSettings) -> RuleFiles:
    """The files of the settings, which name all three or none.

    Raises:
        SettingsInvalid: they name none.
    """
    if settings.policy is None or settings.catalogue is None or settings.rate_cards is None:
        raise SettingsInvalid(
            "decisions",
            ["no policy, catalogue and rate_cards are named: see [decisions] in docs/api.md"],
        )
    return RuleFiles(settings.policy, settings.catalogue, settings.rate_cards)
