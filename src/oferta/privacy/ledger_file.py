"""The file of the consent ledger: made whole or not at all, opened only if it is ours."""

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from oferta.durable import sync
from oferta.errors import LedgerUnavailable
from oferta.privacy.ledger_schema import APPLICATION_ID, GUARDS, LAST_GUARD, SCHEMA, VERSION

BUSY_S: Final = 2.0
"""How long a writer waits for another process's."""

KEPT: Final = ".kept"
"""The mark beside a ledger that there is one: it stays when the file goes."""


def opened(path: Path, *, busy_s: float = BUSY_S) -> sqlite3.Connection:
    """A connection to the ledger at `path`, which is made where there never was one.

    Raises:
        LedgerUnavailable: it can be neither opened nor made, has vanished, or is no ledger of ours.
    """
    with told(path, "cannot be opened"):
        if not there(path):
            _make(path)
        mark = path.with_name(KEPT)
        if not mark.exists():
            mark.touch(mode=0o600)
        file = _connect(path, busy_s)
        (ours,) = file.execute("PRAGMA application_id").fetchone()
        (version,) = file.execute("PRAGMA user_version").fetchone()
    if ours != APPLICATION_ID or version != VERSION:
        file.close()
        raise LedgerUnavailable(path, "is no consent ledger of this version of oferta")
    _guard(file)
    return file


def there(path: Path) -> bool:
    """Whether there is a ledger at `path`; False: there never was one.

    Raises:
        LedgerUnavailable: there was one, by the mark beside it, and it has vanished: nobody knows
            who refused what, which is not the same as that nobody did.
    """
    with told(path, "cannot be found"):
        kept = path.with_name(KEPT).exists()  # asked first: the mark is made after the file
        if path.exists():
            return True
    if kept:
        problem = f"has vanished: restore it from its backup ({KEPT} beside it says there was one)"
        raise LedgerUnavailable(path, problem)
    return False


@contextmanager
def told(path: Path, what: str) -> Iterator[None]:
    """Say of what SQLite or the system refuses which file it was, and what was wanted of it."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise LedgerUnavailable(path, f"{what} ({error})") from error


@contextmanager
def written(file: sqlite3.Connection, path: Path) -> Iterator[None]:
    """What the block writes into the ledger at `path`: all of it, on the disk, or nothing.

    Raises:
        LedgerUnavailable: the disk is full or faulty, or another process holds the ledger.
    """
    with told(path, "could not be written"):
        file.execute("BEGIN IMMEDIATE")
        try:
            yield
            file.execute("COMMIT")
        except BaseException:
            if file.in_transaction:
                file.execute("ROLLBACK")
            raise


def _connect(path: Path, busy_s: float) -> sqlite3.Connection:
    file = sqlite3.connect(
        path, timeout=busy_s, isolation_level=None, check_same_thread=False, cached_statements=32
    )
    file.execute("PRAGMA synchronous = FULL")
    file.execute("PRAGMA secure_delete = ON")
    return file


def _guard(file: sqlite3.Connection) -> None:
    """Give a ledger its guards, if it was made without; one that cannot be written does without."""
    with suppress(sqlite3.OperationalError):
        there = "SELECT 1 FROM sqlite_master WHERE type = 'trigger' AND name = ?"
        if file.execute(there, (LAST_GUARD,)).fetchone() is None:
            file.executescript(f"BEGIN IMMEDIATE; {GUARDS} COMMIT;")
    if file.in_transaction:
        file.execute("ROLLBACK")


def _make(path: Path) -> None:
    """Make an empty ledger; of processes that start at once, one wins and all use its file."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        file = _connect(draft, BUSY_S)
        file.execute("PRAGMA journal_mode = WAL")
        file.executescript(f"BEGIN; {SCHEMA} {GUARDS} COMMIT;")
        file.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        file.execute(f"PRAGMA user_version = {VERSION}")
        file.close()
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            return
        sync(path.parent)
    finally:
        draft.unlink(missing_ok=True)
