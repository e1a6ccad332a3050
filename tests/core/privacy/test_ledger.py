"""The consent ledger: what is acknowledged is on disk, and nothing is ever altered."""

import multiprocessing
import os
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypedDict, Unpack

import pytest

from oferta.errors import LedgerUnavailable
from oferta.privacy.consents import NOTHING_SAID, Consents, Purpose
from oferta.privacy.erasures import Erasures
from oferta.privacy.ledger import Ledger, ledger_path
from oferta.privacy.ledger_file import KEPT
from oferta.privacy.word import Channel, Word

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
_REST = """customer_id, purpose, channel, 'in', at, received_at, source, proof, policy_version,
    salt, link FROM entries"""


class _More(TypedDict, total=False):
    channel: Channel
    at: datetime
    proof: str


def _out(
    customer_id: str = "ann", purpose: Purpose = "personalisation", **more: Unpack[_More]
) -> Word:
    return Word(customer_id, purpose, "out", "app", **more)


def _in(
    customer_id: str = "ann", purpose: Purpose = "personalisation", **more: Unpack[_More]
) -> Word:
    return Word(customer_id, purpose, "in", "app", **more)


@pytest.fixture
def ledger(tmp_path: Path):
    opened = Ledger(ledger_path(tmp_path))
    yield opened
    opened.close()


def test_the_newest_word_of_each_purpose_holds(ledger: Ledger) -> None:
    assert ledger.consents_of("ann") == NOTHING_SAID
    ledger.append([_in(), _in(purpose="marketing")], received_at=NOON)
    ledger.append([_out()], received_at=NOON + MINUTE)
    assert ledger.consents_of("ann") == Consents({"personalisation": False, "marketing": True}, 3)
    assert ledger.consents_of("bob") == NOTHING_SAID


def test_at_one_instant_the_no_holds_whichever_came_first(ledger: Ledger) -> None:
    ledger.append([_out(at=NOON), _in(at=NOON)], received_at=NOON)
    ledger.append([_in("bob", at=NOON), _out("bob", at=NOON)], received_at=NOON)
    assert ledger.consents_of("ann").said == {"personalisation": False}
    assert ledger.consents_of("bob").said == {"personalisation": False}


def test_a_letter_of_last_week_does_not_undo_what_was_said_yesterday(ledger: Ledger) -> None:
    ledger.append([_in(at=NOON)], received_at=NOON)
    ledger.append([_out(at=NOON - timedelta(days=7))], received_at=NOON + MINUTE)
    assert ledger.consents_of("ann").said == {"personalisation": True}
    assert len(ledger.history("ann")) == 2


def test_what_is_said_now_holds_even_where_the_clock_was_set_back(ledger: Ledger) -> None:
    ledger.append([_in()], received_at=NOON)
    ledger.append([_out()], received_at=NOON - timedelta(days=1))
    assert ledger.consents_of("ann").said == {"personalisation": False}
    ledger.append([_in()], received_at=NOON - timedelta(days=2))
    assert ledger.consents_of("ann").said == {"personalisation": True}


def test_marketing_on_a_channel_is_a_word_of_its_own(ledger: Ledger) -> None:
    ledger.append(
        [_in(purpose="marketing"), _out(purpose="marketing", channel="email")], received_at=NOON
    )
    assert ledger.consents_of("ann").said == {"marketing": True, "email": False}


def test_the_same_word_again_is_not_written_again(ledger: Ledger) -> None:
    (first,) = ledger.append([_out()], received_at=NOON)
    (again,) = ledger.append([_out()], received_at=NOON + MINUTE)
    assert again.repeated
    assert again.seq == first.seq
    dated = _out("bob", at=NOON)
    ledger.append([dated, _in("bob"), dated], received_at=NOON + MINUTE)
    assert [entry.state for entry in ledger.history("bob")] == ["out", "in"]
    ledger.append([_out(proof="call-7")], received_at=NOON + MINUTE)
    assert [entry.proof for entry in ledger.history("ann")] == [None, "call-7"]


def test_words_are_stored_all_or_none(ledger: Ledger) -> None:
    with pytest.raises(LedgerUnavailable):
        ledger.append([_out(), Word("ann", "marketing", "never", "app")], received_at=NOON)  # type: ignore[arg-type]
    assert ledger.snapshot().seq == 0


def test_nobody_can_alter_or_remove_an_entry(ledger: Ledger) -> None:
    ledger.append([_out()], received_at=NOON)
    with sqlite3.connect(ledger.path) as other:
        for statement in (
            "UPDATE entries SET state = 'in'",
            "UPDATE entries SET customer_id = 'bob'",
            "UPDATE entries SET customer_id = 'x', source = NULL, proof = NULL, salt = NULL",
            "DELETE FROM entries",
            f"INSERT INTO entries SELECT 0, {_REST}",
            f"INSERT OR REPLACE INTO entries SELECT seq, {_REST}",
        ):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                other.execute(statement)
    other.close()


def test_an_entry_altered_behind_the_triggers_is_found(ledger: Ledger) -> None:
    ledger.append([_out(), _out("bob"), _out("eve")], received_at=NOON)
    assert ledger.broken_at() is None
    with sqlite3.connect(ledger.path) as other:
        other.execute("DROP TRIGGER entries_as_they_are")
        other.execute("UPDATE entries SET state = 'in' WHERE seq = 2")
    other.close()
    assert ledger.broken_at() == 2


def _clear(ledger: Ledger) -> None:
    erasures = Erasures(ledger.path)
    erasures.clear()
    erasures.close()


def test_who_is_forgotten_leaves_no_byte_of_their_id(ledger: Ledger) -> None:
    ledger.append([_out("ann-the-first", proof="call-ann"), _out("bob")], received_at=NOON)
    seq = ledger.forget("ann-the-first", "7f" * 16, at=NOON + MINUTE)
    assert ledger.forget("ann-the-first", "7f" * 16, at=NOON + MINUTE) == seq == 3
    _clear(ledger)
    for file in ledger.path.parent.iterdir():
        assert b"ann-the" not in file.read_bytes(), file
    forgotten = ledger.consents_of("ann-the-first", "7f" * 16)
    assert forgotten == Consents({}, 3, erased=True)
    assert ledger.consents_of("bob", "8a" * 16) == Consents({"personalisation": False}, 2)
    assert [entry.purpose for entry in ledger.history("7f" * 16)] == ["personalisation", "erasure"]
    assert ledger.broken_at() is None
    assert ledger.refusals("personalisation").customer_ids == {"bob"}
    ledger.append([_out("ann-the-first", purpose="marketing")], received_at=NOON + 2 * MINUTE)
    returned = ledger.consents_of("ann-the-first", "7f" * 16)
    assert returned == Consents({"marketing": False}, 4, erased=True)


def test_no_id_is_left_in_any_page_of_a_large_ledger(ledger: Ledger) -> None:
    names = [f"household-{number:05}" for number in range(3000)]
    ledger.append([_out(name) for name in names], received_at=NOON)
    ledger.append([_in(name, "marketing") for name in names[::-1]], received_at=NOON)
    for name in names[7::300]:
        ledger.forget(name, name[-5:].encode().hex() * 3, at=NOON)
    _clear(ledger)
    held = b"".join(file.read_bytes() for file in ledger.path.parent.iterdir())
    assert [name for name in names if name.encode() not in held] == names[7::300]


def test_the_snapshot_names_one_state_of_one_ledger(ledger: Ledger, tmp_path: Path) -> None:
    empty = ledger.snapshot()
    ledger.append([_out(), _out("bob", "training")], received_at=NOON)
    one = ledger.snapshot()
    refusals = ledger.refusals("training")
    assert (refusals.customer_ids, refusals.snapshot) == ({"bob"}, one)
    ledger.append([_in("bob", "training")], received_at=NOON + MINUTE)
    assert len({empty.id, one.id, ledger.snapshot().id}) == 3
    assert ledger.snapshot(upto=2) == one
    other = Ledger(tmp_path / "other" / "ledger.sqlite")
    other.append([_out(), _out("bob", "training")], received_at=NOON)
    assert other.snapshot().seq == one.seq
    assert other.snapshot().id != one.id
    other.close()


def test_entries_can_be_followed(ledger: Ledger) -> None:
    ledger.append([_out(name) for name in ("a", "b", "c")], received_at=NOON)
    assert [entry.customer_id for entry in ledger.entries_after(0, limit=2)] == ["a", "b"]
    assert [entry.customer_id for entry in ledger.entries_after(2, limit=2)] == ["c"]


def test_numbers_stay_above_those_given_before_a_backup_was_restored(ledger: Ledger) -> None:
    ledger.append([_out()], received_at=NOON)
    ledger.stay_above(900)
    ledger.stay_above(5)
    assert ledger.snapshot() == ledger.snapshot(upto=900)
    assert (ledger.snapshot(upto=899).seq, ledger.snapshot().seq) == (1, 900)
    (entry,) = ledger.append([_in()], received_at=NOON + MINUTE)
    assert entry.seq == 901


def test_the_ledger_is_its_owners_alone(ledger: Ledger) -> None:
    ledger.append([_out()], received_at=NOON)
    modes = {stat.S_IMODE(file.stat().st_mode) for file in ledger.path.parent.iterdir()}
    assert modes == {0o600}
    assert stat.S_IMODE(ledger.path.parent.stat().st_mode) == 0o700


def test_a_removed_or_replaced_file_is_noticed(ledger: Ledger) -> None:
    assert ledger.in_place()
    ledger.path.unlink()
    ledger.path.with_name(KEPT).unlink()
    assert not ledger.in_place()
    Ledger(ledger.path).close()
    assert not ledger.in_place()


def test_a_file_that_is_no_ledger_is_refused(tmp_path: Path) -> None:
    torn = tmp_path / "ledger.sqlite"
    torn.write_bytes(b"SQLite format 3\0 and nothing like it" * 40)
    with pytest.raises(LedgerUnavailable, match=r"ledger\.sqlite cannot be opened"):
        Ledger(torn)
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as file:
        file.execute("CREATE TABLE entries (seq)")
    file.close()
    with pytest.raises(LedgerUnavailable, match="no consent ledger"):
        Ledger(other)


def test_a_ledger_that_another_process_holds_is_told_in_time(ledger: Ledger) -> None:
    hasty = Ledger(ledger.path, busy_s=0.05)
    holder = sqlite3.connect(ledger.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerUnavailable, match="locked"):
        hasty.append([_out()], received_at=NOON)
    assert hasty.consents_of("ann") == NOTHING_SAID  # readers wait for nobody
    holder.execute("ROLLBACK")
    hasty.append([_out()], received_at=NOON)
    holder.close()
    hasty.close()


def _append_many(path: Path, name: str) -> None:
    ledger = Ledger(path)
    for number in range(40):
        ledger.append([_out(f"{name}-{number}")], received_at=NOON)
    ledger.close()


def test_processes_that_write_at_once_from_the_first_on_lose_nothing(tmp_path: Path) -> None:
    path = ledger_path(tmp_path)
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_append_many, args=(path, name)) for name in "abcd"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(30)
        assert writer.exitcode == 0
    ledger = Ledger(path)
    assert [entry.seq for entry in ledger.entries_after(0, limit=1000)] == [*range(1, 161)]
    assert ledger.broken_at() is None
    ledger.close()
    assert sorted(file.name for file in path.parent.iterdir()) == [".kept", "ledger.sqlite"]


_WRITER = textwrap.dedent(
    """
    import sys
    from datetime import UTC, datetime
    from pathlib import Path
    from oferta.privacy.ledger import Ledger
    from oferta.privacy.word import Channel, Word
    ledger = Ledger(Path(sys.argv[1]))
    number = 0
    while True:
        number += 1
        word = Word(f"c-{number}", "personalisation", "out", "app")
        ledger.append([word], received_at=datetime.now(UTC))
        print(number, flush=True)
    """
)


def test_what_was_acknowledged_survives_the_death_of_its_writer(tmp_path: Path) -> None:
    path = ledger_path(tmp_path)
    for _ in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        told = [int(writer.stdout.readline()) for _ in range(30)]
        os.kill(writer.pid, signal.SIGKILL)
        told += [int(line) for line in writer.stdout.read().split()]
        writer.wait()
        writer.stdout.close()
        ledger = Ledger(path)
        for number in told:
            assert ledger.consents_of(f"c-{number}").said == {"personalisation": False}
        assert ledger.broken_at() is None
        ledger.close()


def _within_a_small_file(path: Path, told: Connection) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    ledger = Ledger(path)
    ledger.append([_out("first")], received_at=NOON)
    size = max(file.stat().st_size for file in path.parent.iterdir())
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 8192, resource.RLIM_INFINITY))
    stored = ["first"]
    try:
        for number in range(1000):
            ledger.append([_out(f"c-{number}", proof="x" * 500)], received_at=NOON)
            stored.append(f"c-{number}")
    except LedgerUnavailable as error:
        readable = ledger.consents_of("first").said
        told.send((str(error), stored, readable))
    told.close()


def test_a_full_disk_is_told_and_what_was_stored_stays(tmp_path: Path) -> None:
    path = ledger_path(tmp_path)
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    writer = context.Process(target=_within_a_small_file, args=(path, theirs))
    writer.start()
    theirs.close()
    problem, stored, readable = ours.recv()
    writer.join()
    assert "could not be written" in problem
    assert readable == {"personalisation": False}
    ledger = Ledger(path)
    assert ledger.snapshot().seq >= len(stored)
    assert all(ledger.consents_of(name).said for name in stored)
    ledger.append([_out("later")], received_at=NOON)
    assert ledger.broken_at() is None
    ledger.close()


@pytest.mark.parametrize(
    ("written", "copied", "then"),
    [
        ([], Consents({"personalisation": False}, 1), {"personalisation": False}),
        ([], Consents({"sms": False}, 9), {"sms": False}),
        ([], Consents({"sms": True}, 9), {}),
        ([_out()], Consents({"personalisation": False}, 1), {"personalisation": False}),
        ([_out(), _in()], Consents({"personalisation": False}, 1), {"personalisation": True}),
        ([_out("bob"), _in()], Consents({"personalisation": False}, 2), {"personalisation": True}),
        (
            [_out("bob"), _in(purpose="marketing")],
            Consents({"personalisation": False, "marketing": True}, 2),
            {"personalisation": False, "marketing": True},
        ),
        (
            [_out(), _out("bob"), _in()],
            Consents({"personalisation": False, "marketing": True}, 2),
            {"personalisation": True},
        ),
    ],
    ids=[
        "everything is lost",
        "a channel's, and its number was never given here",
        "a yes is not taken back",
        "nothing is lost",
        "nothing is lost, and a yes came after",
        "a yes has the number of the no that was lost",
        "the number is one of theirs that says another thing",
        "a yes was lost, the no was not, and a yes came after",
    ],
)
def test_what_a_copy_knows_and_the_ledger_lost_is_taken_back(
    ledger: Ledger, written: list[Word], copied: Consents, then: dict[str, bool]
) -> None:
    ledger.append(written, received_at=NOON)
    before = ledger.consents_of("ann")
    lost = ledger.take_back("ann", "f0", copied, at=NOON)
    now = ledger.consents_of("ann")
    assert now.said == then
    assert lost is (now != before)
    assert ledger.append([_in(purpose="sharing")], received_at=NOON)[0].seq > copied.seq
    assert not ledger.take_back("ann", "f0", copied, at=NOON)
    assert ledger.disagreeing() == []
    assert ledger.broken_at() is None


def test_an_erasure_that_was_lost_is_taken_back_and_a_former_life_is_not(ledger: Ledger) -> None:
    gone, former = Consents({}, 5, erased=True), Consents({"personalisation": False}, 1)
    ledger.append([_out()], received_at=NOON)
    assert ledger.take_back("ann", "f0", gone, at=NOON)
    assert ledger.consents_of("ann", "f0").erased
    assert not ledger.take_back("ann", "f0", former, at=NOON)
    erasures = Erasures(ledger.path)
    erasures.let_return("f0", "a new contract", at=NOON.timestamp())
    erasures.close()
    for copied in (gone, former):
        assert not ledger.take_back("ann", "f0", copied, at=NOON)
    assert ledger.consents_of("ann", "f0") == NOTHING_SAID
    lost_since = Consents({"personalisation": False}, 9)
    assert ledger.take_back("ann", "f0", lost_since, at=NOON)
    assert ledger.consents_of("ann", "f0").said == {"personalisation": False}
    gone_again = Consents({}, 12, erased=True)
    assert ledger.take_back("ann", "f0", gone_again, at=NOON)
    assert ledger.consents_of("ann", "f0").erased
