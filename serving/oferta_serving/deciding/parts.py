"""The parts of a process that decides, and how they are put together."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from oferta.clock import Clock
from oferta.store.decisions import DecisionStore
from oferta.store.keys import KeySpace
from oferta_serving.breaker import Breaker
from oferta_serving.consent.words import Words
from oferta_serving.deciding.decider import Decider
from oferta_serving.deciding.known import Knowledge
from oferta_serving.deciding.lately import Lately
from oferta_serving.deciding.listener import Listener
from oferta_serving.deciding.past import Past
from oferta_serving.deciding.rules import LiveRules, rule_files
from oferta_serving.deciding.store_health import StoreHealth
from oferta_serving.live import Releases
from oferta_serving.metrics import Metrics
from oferta_serving.settings import ServingSettings

NONCE_BYTES = 11


@dataclass(frozen=True, slots=True)
class Deciding:
    """What routes of decisions work with."""

    decider: Decider
    listener: Listener
    past: Past
    knowledge: Knowledge
    rules: LiveRules
    health: StoreHealth
    store: DecisionStore

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Follow the rules' files; leaves the store at the end."""
        await self.rules.look()
        task = asyncio.create_task(self.rules.follow())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})
            await self.store.close()


def deciding_parts(
    settings: ServingSettings,
    store: DecisionStore,
    *,
    words: Words,
    space: KeySpace,
    releases: Releases,
    breaker: Breaker,
    metrics: Metrics,
    clock: Clock,
) -> Deciding:
    """The parts over these stores.

    Raises:
        SettingsInvalid: the settings name no files to decide by.
    """
    chosen = settings.decisions
    rules = LiveRules(rule_files(chosen), metrics)
    health = StoreHealth(breaker, releases)
    lately = Lately(settings.events.known_types(), settings.events.suppress_declined_d)
    knowledge = Knowledge(store, space, metrics, words=words, lately=lately)
    past = Past(store, space, metrics, words=words)
    decider = Decider(
        store,
        knowledge,
        past,
        rules=rules,
        releases=releases,
        health=health,
        space=space,
        settings=settings,
        clock=clock,
        metrics=metrics,
        nonce=partial(secrets.token_bytes, NONCE_BYTES),
    )
    listener = Listener(
        store,
        past,
        health=health,
        space=space,
        clock=clock,
        metrics=metrics,
        deadline_s=chosen.deadline_ms / 1000,
    )
    return Deciding(decider, listener, past, knowledge, rules, health, store)
