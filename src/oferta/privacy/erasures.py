"""Requests to be forgotten: what was asked, how far each came, and when it was done.

They lie in the file of the consent ledger, so that a request is on the disk before it is answered,
together with the entry that takes effect at once. The customer's id is kept as long as it is needed
to find the rest, and overwritten in the end: what stays is the tombstone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import orjson

from oferta.errors import LedgerUnavailable
from oferta.privacy.ledger_file import BUSY_S, opened, told, written
from oferta.privacy.places import Session, Subject

ErasureState = Literal["requested", "erasing", "done"]
PlaceState = Literal["waiting", "erased", "clean"]

_COLUMNS: Final = "id, tombstone, reason, requested_at, subject, finished_at, receipt"


@dataclass(frozen=True, slots=True)
class PlaceProgress:
    """How far one place came.

    Attributes:
        erased: how many things were removed, over all tries.
        trouble: what was wrong at the last try, as the name of an error; None: nothing.
        at: epoch seconds of the last change.
    """

    place: str
    erased: int
    state: PlaceState
    trouble: str | None
    at: float


@dataclass(frozen=True, slots=True)
class Erasure:
    """A request to be forgotten.

    Attributes:
        subject: who; None once it is done.
        sought: whether sessions and events of the subject were looked for already.
        receipt: name of its receipt, once it is done.
    """

    id: str
    tombstone: str
    reason: str
    requested_at: float
    subject: Subject | None
    finished_at: float | None
    receipt: str | None
    sought: bool = False
    places: Sequence[PlaceProgress] = field(default=())

    @property
    def state(self) -> ErasureState:
        """How far it came as a whole."""
        if self.finished_at is not None:
            return "done"
        return "erasing" if self.places else "requested"


class Erasures:
    """The requests of one ledger. For one thread at a time."""

    def __init__(self, path: Path, *, busy_s: float = BUSY_S) -> None:
        """Open those in the ledger at `path`, which is made where there is none.

        Raises:
            LedgerUnavailable: it can be neither opened nor made.
        """
        self.path = path
        self._file = opened(path, busy_s=busy_s)

    def request(self, id_: str, subject: Subject, reason: str, *, at: float) -> Erasure:
        """Write a request down; on the disk when this returns.

        Where one of the same customer is under way, that one is given back.

        Raises:
            LedgerUnavailable: it could not be written.
        """
        with written(self._file, self.path):
            self._file.execute(
                f"INSERT INTO erasures ({_COLUMNS}) VALUES (?,?,?,?,?,NULL,NULL)"  # noqa: S608 - constants
                " ON CONFLICT (tombstone) WHERE finished_at IS NULL DO NOTHING",
                (id_, subject.tombstone, reason, at, _packed(subject, sought=False)),
            )
        (found,) = self._found("WHERE tombstone = ? AND finished_at IS NULL", subject.tombstone)
        return found

    def of(self, id_: str) -> Erasure | None:
        """The request with this id.

        Raises:
            LedgerUnavailable: it cannot be read.
        """
        return next(iter(self._found("WHERE id = ?", id_)), None)

    def open(self) -> list[Erasure]:
        """Those that are not done, the oldest first.

        Raises:
            LedgerUnavailable: they cannot be read.
        """
        return self._found("WHERE finished_at IS NULL ORDER BY number")

    def finished_since(self, at: float) -> list[str]:
        """Tombstones of those that were done at the instant `at` or later.

        Raises:
            LedgerUnavailable: they cannot be read.
        """
        return [one.tombstone for one in self._found("WHERE finished_at >= ?", at)]

    def sought(self, id_: str, subject: Subject) -> None:
        """Remember what was found of whom, before any of it is erased.

        Raises:
            LedgerUnavailable: it could not be written.
        """
        with written(self._file, self.path):
            self._file.execute(
                "UPDATE erasures SET subject = ? WHERE id = ? AND finished_at IS NULL",
                (_packed(subject, sought=True), id_),
            )

    def came(self, id_: str, progress: PlaceProgress) -> None:
        """Say how far a place came; what it erased is added to what it erased before.

        Raises:
            LedgerUnavailable: it could not be written.
        """
        with written(self._file, self.path):
            self._file.execute(
                "INSERT INTO erasure_places VALUES (?,?,?,?,?,?) ON CONFLICT DO UPDATE SET"
                " erased = erased + excluded.erased, state = excluded.state,"
                " trouble = excluded.trouble, at = excluded.at",
                (
                    id_,
                    progress.place,
                    progress.erased,
                    progress.state,
                    progress.trouble,
                    progress.at,
                ),
            )

    def removed(self, id_: str, place: str, count: int, *, at: float) -> None:
        """Count what a place lost at once, before its turn came; of requests that are not done.

        Raises:
            LedgerUnavailable: it could not be written.
        """
        with written(self._file, self.path):
            self._file.execute(
                "INSERT INTO erasure_places SELECT id, ?2, ?3, 'erased', NULL, ?4 FROM erasures"
                " WHERE id = ?1 AND finished_at IS NULL"
                " ON CONFLICT DO UPDATE SET erased = erased + excluded.erased",
                (id_, place, count, at),
            )

    def finish(self, id_: str, receipt: str, *, at: float) -> None:
        """Say that it is done, and forget who it was; the old bytes are overwritten.

        Raises:
            LedgerUnavailable: it could not be written, or old bytes are left in the file's log.
        """
        with written(self._file, self.path):
            self._file.execute(
                "UPDATE erasures SET subject = NULL, finished_at = ?, receipt = ? WHERE id = ?",
                (at, receipt, id_),
            )
        self.clear()

    def clear(self) -> None:
        """Overwrite what the file's log still has of who was forgotten.

        Raises:
            LedgerUnavailable: somebody is reading it: ask again.
        """
        with told(self.path, "could not be cleared of what was forgotten"):
            (busy, *_) = self._file.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise LedgerUnavailable(self.path, "is being read: its log was not cleared, ask again")

    def tombstones(self) -> frozenset[str]:
        """Everybody who was forgotten and has not come back, those under way too.

        Raises:
            LedgerUnavailable: they cannot be read.
        """
        with told(self.path, "cannot be read"):
            rows = self._file.execute(
                "SELECT tombstone FROM (SELECT tombstone, seq FROM forgotten"
                " EXCEPT SELECT tombstone, seq FROM returned)"
                " UNION SELECT tombstone FROM erasures WHERE finished_at IS NULL"
            ).fetchall()
        return frozenset(row[0] for row in rows)

    def let_return(self, tombstone: str, reason: str, *, at: float) -> bool:
        """Who was forgotten is a customer anew, with nothing of before. Whether they had been.

        Raises:
            LedgerUnavailable: it could not be written.
        """
        with written(self._file, self.path):
            went = self._file.execute(
                "INSERT OR IGNORE INTO returned SELECT tombstone, seq, ?, ? FROM forgotten"
                " WHERE tombstone = ?",
                (reason, round(at * 1e6), tombstone),
            )
            return went.rowcount > 0

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _found(self, where: str, *values: object) -> list[Erasure]:
        with told(self.path, "cannot be read"):
            rows = self._file.execute(
                f"SELECT {_COLUMNS} FROM erasures {where}",  # noqa: S608 - our own constants
                values,
            ).fetchall()
            return [self._erasure(row) for row in rows]

    def _erasure(self, row: Sequence[Any]) -> Erasure:
        id_, tombstone, reason, requested_at, subject, finished_at, receipt = row
        places = self._file.execute(
            "SELECT place, erased, state, trouble, at FROM erasure_places WHERE erasure = ?", (id_,)
        ).fetchall()
        who, sought = (None, True) if subject is None else _unpacked(subject, tombstone)
        return Erasure(
            id_,
            tombstone,
            reason,
            requested_at,
            who,
            finished_at,
            receipt,
            sought=sought,
            places=[PlaceProgress(*each) for each in places],
        )


def _packed(subject: Subject, *, sought: bool) -> str:
    sessions = [[session.id, session.digest.hex()] for session in subject.sessions]
    return orjson.dumps([subject.customer_id, sought, sessions, subject.events]).decode()


def _unpacked(text: str, tombstone: str) -> tuple[Subject, bool]:
    customer_id, sought, sessions, events = orjson.loads(text)
    found = tuple(Session(id_, bytes.fromhex(digest)) for id_, digest in sessions)
    return Subject(customer_id, bytes.fromhex(tombstone), found, tuple(events)), sought
