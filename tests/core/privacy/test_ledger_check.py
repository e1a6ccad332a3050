"""What is in force is what the entries say, and whoever alters it is refused or found."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from oferta.privacy.erasures import Erasures
from oferta.privacy.ledger import Ledger, ledger_path
from oferta.privacy.ledger_schema import LAST_GUARD
from oferta.privacy.places import Subject
from oferta.privacy.word import Word

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
TOMBSTONE = "7f" * 16
GUARDS = (
    *("words_are_said", "words_as_they_are", "words_stay", "floor_rises", "floor_stays"),
    *("erasures_stay", "erasures_as_they_are", "forgotten_stay"),
)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Ann refuses, agreed before and refused at one instant; Bob agrees; Eve was forgotten."""
    opened = Ledger(ledger_path(tmp_path))
    words = [
        Word("ann", "marketing", "in", "app", channel="email", at=NOON),
        Word("ann", "marketing", "out", "app", channel="email", at=NOON),
        Word("ann", "marketing", "in", "app", channel="email", at=NOON - timedelta(days=1)),
        Word("ann", "personalisation", "out", "app", at=NOON),
        Word("bob", "personalisation", "in", "app", at=NOON),
        Word("bob", "personalisation", "in", "call", at=NOON),
        Word("eve", "training", "out", "app", at=NOON),
    ]
    opened.append(words, received_at=NOON)
    erasures = Erasures(opened.path)
    subject = Subject("eve", bytes.fromhex(TOMBSTONE))
    made = erasures.request("er_1", subject, "asked", at=NOON.timestamp())
    opened.forget("eve", TOMBSTONE, at=NOON)
    erasures.finish(made.id, "000001-er_1.json", at=NOON.timestamp())
    erasures.close()
    opened.append([Word("eve", "training", "in", "app", at=NOON)], received_at=NOON)
    opened.stay_above(100)
    yield opened
    opened.close()


TAMPERING = [
    ("UPDATE words SET state = 'in' WHERE customer_id = 'ann'", "words in force that no entry"),
    ("UPDATE words SET subject = 'training' WHERE customer_id = 'ann' AND subject = 'email'", ""),
    ("UPDATE words SET state = 'in', at = at - 86400000000, seq = 3 WHERE subject = 'email'", ""),
    ("DELETE FROM words WHERE customer_id = 'ann'", "words that entries say and are not in force"),
    ("INSERT INTO words VALUES ('zoe', 'training', 'in', 1, 1)", "words in force that no entry"),
    ("INSERT OR REPLACE INTO words VALUES ('ann', 'email', 'in', 9, 9)", "words in force"),
    ("DELETE FROM floor", "lowest numbers"),
    ("DELETE FROM forgotten", "entries of who was forgotten, without the mark"),
    ("UPDATE erasures SET finished_at = NULL", "erasures half marked as done"),
]


@pytest.mark.parametrize(("statement", "said"), TAMPERING)
def test_tables_made_of_entries_can_be_changed_by_these_alone(
    ledger: Ledger, statement: str, said: str
) -> None:
    assert ledger.disagreeing() == []
    with closing(sqlite3.connect(ledger.path, isolation_level=None)) as other:
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            other.execute(statement)
        assert ledger.disagreeing() == []
        for name in GUARDS:
            other.execute(f"DROP TRIGGER {name}")
        other.execute(statement)
    assert ledger.broken_at() is None
    assert any(said in problem for problem in ledger.disagreeing())


def test_a_ledger_made_without_guards_gets_them_as_it_is_opened(ledger: Ledger) -> None:
    with closing(sqlite3.connect(ledger.path, isolation_level=None)) as other:
        for name in GUARDS[:-1]:
            other.execute(f"DROP TRIGGER {name}")
        Ledger(ledger.path).close()
        found = other.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
    assert {LAST_GUARD, *GUARDS} <= {name for (name,) in found}
