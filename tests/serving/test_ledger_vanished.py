"""A ledger that is gone although there was one: nobody who asks it goes on as if nobody refused."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from serving.conftest import RealRedis

from oferta.clock import SystemClock
from oferta.errors import LedgerUnavailable
from oferta.events.event import Event, Position, encode_event
from oferta.privacy.consents import NOTHING_SAID
from oferta.privacy.erasures import Erasures
from oferta.privacy.ledger import Ledger, ledger_path
from oferta.privacy.word import Word
from oferta.store.events import Entry
from oferta.store.events_redis import RedisEvents
from oferta.store.forgotten import forgotten_of, tombstones_of
from oferta_serving.consent.words import CopiedWords, words_here
from oferta_serving.consuming.deeds import deed_of
from oferta_serving.consuming.forgotten import Forgetting
from oferta_serving.consuming.metrics import ConsumerMetrics
from oferta_serving.settings import ServingSettings
from oferta_training.copying import bring_consents
from oferta_training.refused import refusals_of

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A state folder with a ledger in which somebody refused."""
    ledger = Ledger(ledger_path(tmp_path))
    ledger.append([Word("anna", "training", "out", "app")], received_at=NOON)
    ledger.close()
    return tmp_path


def lose(home: Path) -> None:
    for file in ledger_path(home).parent.glob("ledger.sqlite*"):
        file.unlink()


@pytest.mark.parametrize(
    "ask",
    [
        lambda home: Ledger(ledger_path(home)),
        lambda home: Erasures(ledger_path(home)),
        tombstones_of,
        forgotten_of,
        lambda home: refusals_of(home, "training"),
    ],
)
def test_who_asks_is_told_that_nobody_knows(home: Path, ask: Callable[[Path], object]):
    lose(home)
    with pytest.raises(LedgerUnavailable, match="vanished: restore it"):
        ask(home)
    assert not ledger_path(home).exists()


def test_where_there_never_was_one_nobody_refused(tmp_path: Path):
    assert refusals_of(tmp_path, "training") is None
    assert forgotten_of(tmp_path) is None
    assert isinstance(words_here(ServingSettings(), tmp_path), CopiedWords)
    assert not ledger_path(tmp_path).exists()


def test_commands_take_nothing_personal(home: Path, redis_process: RealRedis):
    lose(home)
    words = words_here(ServingSettings(), home)
    assert words.of("anna", b"", NOTHING_SAID) == "consent_unknown"
    with pytest.raises(LedgerUnavailable):
        bring_consents(home, redis_process.url, redis_process.space, clock=SystemClock())


def test_a_ledger_from_before_gets_its_mark_when_it_is_opened(home: Path):
    (ledger_path(home).parent / ".kept").unlink()
    assert tombstones_of(home) == frozenset()
    lose(home)
    with pytest.raises(LedgerUnavailable):
        tombstones_of(home)


@pytest.mark.parametrize("whole_folder", [False, True])
def test_the_consumer_waits(home: Path, redis_process: RealRedis, *, whole_folder: bool):
    space = redis_process.space
    event = Event("e-1", "view", 1.0, 1.0, "anna")
    deed = deed_of(Entry(Position(1, 0), b"", encode_event(event)), space)

    async def work() -> None:
        store = RedisEvents(redis_process.url, space, deadline_s=5.0)
        forgetting = Forgetting(store, space, home=home, metrics=ConsumerMetrics())
        try:
            assert await forgetting.split([deed]) == ([deed], [])
            if whole_folder:
                ledger_path(home).parent.rename(home / "away")
            else:
                lose(home)
            for _ in range(2):
                with pytest.raises(LedgerUnavailable):
                    await forgetting.split([deed])
        finally:
            forgetting.close()
            await store.close()

    asyncio.run(work())
