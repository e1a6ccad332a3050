"""The consent ledger: everything that customers ever said about consent, on disk, append-only.

An SQLite file beside Redis, not in it: Redis may lose its last second when the power goes, may be
emptied, or be restored from yesterday; an opt-out that was acknowledged may not be. A word counts
as stored when the file was synced (write-ahead log, `synchronous=FULL`). Any number of processes
of one machine may write and read at once; the file must not lie on a network file system, and no
process that has it open may open it by other means: closing it would drop SQLite's locks.

Reading what is in force of one customer takes 3 us, so serving asks the ledger for every answer.
"""

import hashlib
import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import orjson

from oferta.errors import LedgerUnavailable
from oferta.privacy.consents import NOTHING_SAID, Consents, Purpose
from oferta.privacy.ledger_check import disagreeing
from oferta.privacy.ledger_file import BUSY_S, opened, there, told, written
from oferta.privacy.word import ERASURE, Entry, Refusals, Snapshot, State, Word, refusal

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_FIRST_LINK: Final = bytes(32)
_LAST: Final = 2**62
_COLUMNS: Final = (
    "seq, customer_id, purpose, channel, state, at, received_at, source, proof, policy_version"
)
_FORGOTTEN: Final = (
    "SELECT seq FROM forgotten WHERE tombstone = ?1 AND seq NOT IN"
    " (SELECT seq FROM returned WHERE tombstone = ?1) ORDER BY seq DESC LIMIT 1"
)
_IN_FORCE: Final = (
    "SELECT subject, state, seq FROM words WHERE customer_id = ?1 UNION ALL"
    " SELECT NULL, NULL, seq FROM forgotten WHERE tombstone = ?2 AND seq NOT IN"
    " (SELECT seq FROM returned WHERE tombstone = ?2)"
)
"""One statement for both: every answer asks this, and a statement costs more than its rows."""

_FORGOTTEN_SINCE: Final = "SELECT 1 FROM forgotten WHERE tombstone = ? AND seq >= ?"
_SETTLED: Final = (
    "SELECT coalesce(channel, purpose) FROM entries"
    " WHERE customer_id = ?1 AND seq <= ?2 AND state = 'out'"
    " UNION SELECT subject FROM words WHERE customer_id = ?1 AND seq >= ?2"
)
"""What a customer said no to until an entry, or has spoken of since."""

FROM_COPY: Final = "restored copy"
"""Where a word is from that a copy knew and the ledger had lost."""

_Facts = tuple[str, str | None, State, int, int, str | None, str | None, str | None]
"""An entry's columns after the customer."""


def ledger_path(home: Path) -> Path:
    """Where the ledger lies in a state folder; each tenant has a folder of its own."""
    return home / "privacy" / "ledger.sqlite"


def ledger_kept(home: Path) -> Path | None:
    """The ledger of a state folder, as everybody asks who can do without; None: never was one.

    Raises:
        LedgerUnavailable: there was one, and it has vanished: then nothing of anybody may be taken.
    """
    path = ledger_path(home)
    return path if there(path) else None


class Ledger:
    """One connection to a ledger, made where there is none. For one thread at a time."""

    def __init__(self, path: Path, *, busy_s: float = BUSY_S) -> None:
        """Open the ledger at `path`.

        Raises:
            LedgerUnavailable: it can be neither opened nor made, or is no ledger of ours.
        """
        self.path = path
        self._file = opened(path, busy_s=busy_s)
        self._inode = path.stat().st_ino

    def append(self, words: Sequence[Word], *, received_at: datetime) -> list[Entry]:
        """Write the words down, in their order, all or none; on disk when this returns.

        What was said before just so is not written again: its entry is given back, `repeated`.

        Raises:
            LedgerUnavailable: the disk is full or faulty, or another process holds the ledger: the
                caller may be told nothing but that it was not stored. It may be stored all the
                same, as after any write that was not confirmed; saying it again is harmless.
        """
        now = _micros(received_at)
        with written(self._file, self.path):
            return [self._append(word, now) for word in words]

    def consents_of(self, customer_id: str, tombstone: str | None = None) -> Consents:
        """What is in force of a customer; `tombstone` is what they would have been forgotten under.

        Raises:
            LedgerUnavailable: it cannot be read.
        """
        try:
            rows = self._file.execute(_IN_FORCE, (customer_id, tombstone)).fetchall()
        except sqlite3.Error as error:
            raise LedgerUnavailable(self.path, f"cannot be read ({error})") from error
        if not rows:
            return NOTHING_SAID
        said = {subject: state == "in" for subject, state, _ in rows if subject is not None}
        gone = any(subject is None for subject, *_ in rows)
        return Consents(said, max(seq for *_, seq in rows), erased=gone)

    def history(self, customer_id: str) -> list[Entry]:
        """Everything that a customer, or who was forgotten under a tombstone, said; oldest first.

        Raises:
            LedgerUnavailable: it cannot be read.
        """
        return self._entries("WHERE customer_id = ? ORDER BY seq", customer_id)

    def entries_after(self, seq: int, *, limit: int) -> list[Entry]:
        """The next entries after number `seq`, at most `limit`.

        Raises:
            LedgerUnavailable: it cannot be read.
        """
        return self._entries("WHERE seq > ? ORDER BY seq LIMIT ?", seq, limit)

    def snapshot(self, *, upto: int = _LAST) -> Snapshot:
        """How far it goes; or how it was when number `upto` was the last that was given.

        Raises:
            LedgerUnavailable: it cannot be read.
        """
        with told(self.path, "cannot be read"):
            return self._snapshot(upto)

    def refusals(self, purpose: Purpose) -> Refusals:
        """Everybody who refuses a purpose, and how far the ledger goes, at one instant.

        Raises:
            LedgerUnavailable: it cannot be read.
        """
        with told(self.path, "cannot be read"):
            self._file.execute("BEGIN")
            try:
                said: dict[str, set[str]] = {"in": set(), "out": set()}
                for customer_id, state in self._file.execute(
                    "SELECT customer_id, state FROM words WHERE subject = ?", (purpose,)
                ):
                    said[state].add(customer_id)
                refusing, agreeing = frozenset(said["out"]), frozenset(said["in"])
                return Refusals(purpose, refusing, self._snapshot(), agreeing)
            finally:
                self._file.execute("ROLLBACK")

    def words(self) -> list[tuple[str, str, bool]]:
        """What is in force of everybody: who, of what, and whether they agree.

        Raises:
            LedgerUnavailable: it cannot be read.
        """
        with told(self.path, "cannot be read"):
            found = self._file.execute("SELECT customer_id, subject, state = 'in' FROM words")
            return [(customer_id, subject, bool(agreed)) for customer_id, subject, agreed in found]

    def forget(self, customer_id: str, tombstone: str, *, at: datetime) -> int:
        """Replace a customer's id by their tombstone, everywhere; on disk when this returns.

        What they said stays, as nobody's in particular; where it is from and its proof go. From
        then on `consents_of` with this tombstone says `erased`. May be said again. The file's log
        has the pages of before until `Erasures.clear`.

        Args:
            customer_id: who is forgotten.
            tombstone: the keyed hash that stands for them, `KeySpace.digest` in hexadecimal: copies
                of the ledger are found by it.
            at: the present instant, aware.

        Returns:
            The number of the entry that says so.

        Raises:
            LedgerUnavailable: it could not be written.
        """
        with written(self._file, self.path):
            return self._forget(customer_id, tombstone, _micros(at))

    def stay_above(self, seq: int) -> None:
        """Number the next entry higher than `seq`: of a ledger that was restored from a backup.

        Raises:
            LedgerUnavailable: it could not be written.
        """
        with written(self._file, self.path):
            self._stay_above(seq)

    def take_back(
        self, customer_id: str, tombstone: str, copied: Consents, *, at: datetime
    ) -> bool:
        """Write down what a copy knows and a restored ledger lost: each no, or that they are gone.

        A no was lost if nothing here, up to the number of the copy, says so. It is not taken back
        over a word with a higher number, which was said after the ledger was restored.

        Args:
            customer_id: whose copy it is.
            tombstone: as for `forget`.
            copied: what the copy says.
            at: the present instant, aware.

        Returns:
            Whether anything had been lost.

        Raises:
            LedgerUnavailable: it could not be written.
        """
        now = _micros(at)
        with written(self._file, self.path):
            since = self._file.execute(_FORGOTTEN_SINCE, (tombstone, copied.seq)).fetchone()
            if since or self.consents_of(customer_id, tombstone).erased:
                return False
            known = {
                subject for (subject,) in self._file.execute(_SETTLED, (customer_id, copied.seq))
            }
            lost = [one for one, agreed in copied.said.items() if not agreed and one not in known]
            if copied.seq > self._snapshot().seq:
                self._stay_above(copied.seq)  # else the copy would stay, as the newer one
            if copied.erased:
                self._forget(customer_id, tombstone, now)
                return True
            for subject in lost:
                self._append(refusal(customer_id, subject, FROM_COPY), now)
        return bool(lost)

    def in_place(self) -> bool:
        """Whether the file is still the one that was opened: not moved, removed or replaced."""
        try:
            return self.path.stat().st_ino == self._inode
        except OSError:
            return False

    def broken_at(self) -> int | None:
        """The first entry that was altered behind our back; None: all are as they were written.

        Entries of who was forgotten can no longer be checked, but for their place in the chain.

        Raises:
            LedgerUnavailable: it cannot be read.
        """
        with told(self.path, "cannot be read"):
            before = _FIRST_LINK
            for *row, salt, link in self._file.execute(
                f"SELECT {_COLUMNS}, salt, link FROM entries ORDER BY seq"  # noqa: S608 - constants
            ):
                if salt is not None and _link(before, salt, row) != link:
                    return int(row[0])
                before = link
            return None

    def disagreeing(self) -> list[str]:
        """What of the tables made of entries is not as these have it; in words, nobody is named.

        Raises:
            LedgerUnavailable: it cannot be read.
        """
        with told(self.path, "cannot be read"):
            self._file.execute("BEGIN")
            try:
                return disagreeing(self._file)
            finally:
                self._file.execute("ROLLBACK")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _forget(self, customer_id: str, tombstone: str, now: int) -> int:
        found = self._file.execute(_FORGOTTEN, (tombstone,)).fetchone()
        if found is None:
            facts: _Facts = (ERASURE, None, "out", now, now, None, None, None)
            found = (self._write(tombstone, facts),)
            self._file.execute("INSERT INTO forgotten VALUES (?, ?, ?)", (tombstone, *found, now))
        self._file.execute(
            "UPDATE entries SET customer_id = ?, source = NULL, proof = NULL, salt = NULL"
            " WHERE customer_id = ?",
            (tombstone, customer_id),
        )
        self._file.execute("DELETE FROM words WHERE customer_id = ?", (customer_id,))
        seq: int = found[0]
        return seq

    def _stay_above(self, seq: int) -> None:
        self._file.execute("UPDATE floor SET seq = ? WHERE seq < ?", (seq, seq))

    def _append(self, word: Word, now: int) -> Entry:
        there = self._said_so(word)
        if there is not None:
            return there
        at = now if word.at is None else _micros(word.at)
        if word.at is None:
            # After all that was said before, even if this machine's clock was set back since.
            newest = self._file.execute(
                "SELECT at FROM words WHERE customer_id = ? AND subject = ?",
                (word.customer_id, word.subject),
            ).fetchone()
            at = now if newest is None else max(now, newest[0] + 1)
        facts = (word.purpose, word.channel, word.state, at, now, word.source)
        seq = self._write(word.customer_id, (*facts, word.proof, word.policy_version))
        (entry,) = self._entries("WHERE seq = ?", seq)
        return entry

    def _said_so(self, word: Word) -> Entry | None:
        """The entry that says just this: at that instant, or, where none is named, in force."""
        facts = (word.customer_id, word.purpose, word.channel, word.state, word.source)
        more = (word.proof, word.policy_version)
        same = (
            "WHERE customer_id = ? AND purpose = ? AND channel IS ? AND state = ? AND source IS ?"
            " AND proof IS ? AND policy_version IS ? AND "
        )
        if word.at is not None:
            found = self._entries(same + "at = ?", *facts, *more, _micros(word.at))
        else:
            in_force = "seq = (SELECT seq FROM words WHERE customer_id = ? AND subject = ?)"
            found = self._entries(same + in_force, *facts, *more, word.customer_id, word.subject)
        return replace(found[0], repeated=True) if found else None

    def _write(self, customer_id: str, facts: _Facts) -> int:
        last = self._snapshot()
        seq = last.seq + 1
        row = (seq, customer_id, *facts)
        salt = secrets.token_bytes(16)
        self._file.execute(
            f"INSERT INTO entries ({_COLUMNS}, salt, link) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",  # noqa: S608 - constants
            (*row, salt, _link(bytes.fromhex(last.link), salt, row)),
        )
        return seq

    def _entries(self, where: str, *values: object) -> list[Entry]:
        with told(self.path, "cannot be read"):
            rows = self._file.execute(
                f"SELECT {_COLUMNS} FROM entries {where}",  # noqa: S608 - our own constants
                values,
            ).fetchall()
        return [_entry(row) for row in rows]

    def _snapshot(self, upto: int = _LAST) -> Snapshot:
        (floor,) = self._file.execute("SELECT seq FROM floor").fetchone()
        row = self._file.execute(
            "SELECT seq, link FROM entries WHERE seq <= ? ORDER BY seq DESC LIMIT 1", (upto,)
        ).fetchone()
        seq, link = (0, _FIRST_LINK) if row is None else row
        return Snapshot(max(seq, floor) if floor <= upto else seq, link.hex())


def _link(before: bytes, salt: bytes, row: Sequence[object]) -> bytes:
    return hashlib.sha256(before + salt + orjson.dumps(row)).digest()


def _entry(row: Sequence[Any]) -> Entry:
    seq, customer_id, purpose, channel, state, at, received_at, source, proof, version = row
    return Entry(
        seq,
        customer_id,
        purpose,
        channel,
        state,
        at=_instant(at),
        received_at=_instant(received_at),
        source=source,
        proof=proof,
        policy_version=version,
    )


def _micros(instant: datetime) -> int:
    return (instant - _EPOCH) // _MICROSECOND


def _instant(micros: int) -> datetime:
    return _EPOCH + micros * _MICROSECOND
