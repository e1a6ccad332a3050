"""The archive of accepted events: Parquet by day, and in each file how far it goes.

    <archive>/day=2026-11-23/000000041.parquet            what was accepted since file 40
    <archive>/day=2026-11-22/000000001-000000040.parquet  files 1 to 40, put together
    <archive>/.lock, .rewriting                           who writes, and who reads or rewrites
    <archive>/.id                                         which archive this is: move it, never copy

A file's own metadata holds the position up to which every shard is archived, and the epoch of the
streams that it is of. So the events and how far they go appear in one rename, and nothing else has
to be remembered: the last file is the state.
"""

import contextlib
import fcntl
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from oferta.columns import WISHES
from oferta.durable import lock_if_free, replaced, sync
from oferta.errors import ArchiveUnreadable
from oferta.events.event import START, Event, Position

SHARDS: Final = 16
"""As many as the store has streams: a test holds them together."""

LOCK: Final = ".lock"
REWRITING: Final = ".rewriting"
IDENTITY: Final = ".id"
_DRAFT: Final = ".draft-"
_REWRITE: Final = ".rewrite-"
_NAME: Final = re.compile(r"(\d{9})(?:-(\d{9}))?\.parquet")
_POSITIONS: Final = b"oferta.positions"
_EPOCH: Final = b"oferta.epoch"
_INSTANT: Final = pa.timestamp("us", "UTC")
_NUMBERS: Final = tuple(name for name in WISHES if name != "wished_model")

SCHEMA: Final = pa.schema(
    [
        ("event_id", pa.string()),
        ("customer_id", pa.string()),
        ("session_id", pa.string()),
        ("product_id", pa.string()),
        ("event_type", pa.string()),
        ("timestamp", _INSTANT),  # when it happened
        ("received_at", _INSTANT),
        ("quantity", pa.float64()),
        ("value", pa.float64()),
        ("channel", pa.string()),
        ("placement", pa.string()),
        ("release", pa.int64()),
        ("decision_id", pa.string()),
        ("offer_id", pa.string()),
        *((name, pa.float64()) for name in _NUMBERS),
        ("wished_model", pa.string()),
        ("attributes", pa.string()),  # the others, as a JSON object; null: none
        ("shard", pa.int8()),
        ("position", pa.string()),
    ]
)
"""Columns of every file: those of `columns.EVENTS` under their names, and what else is known."""

Positions = tuple[Position, ...]
"""The last archived position of every shard, `SHARDS` of them."""

NOWHERE: Final[Positions] = (START,) * SHARDS


class ArchiveFile(NamedTuple):
    """One file: the numbers of the first and the last flush that it holds."""

    path: Path
    first: int
    last: int


class Archived(NamedTuple):
    """An event, and where it stood in its shard's stream."""

    shard: int
    position: Position
    event: Event


def archive_folder(home: Path) -> Path:
    """Where events are archived under a state folder."""
    return home / "archive"


def archive_files(archive: Path) -> list[ArchiveFile]:
    """The files in the order in which they were written; none where there is no such folder."""
    found = []
    for path in archive.glob("day=*/*.parquet"):
        name = _NAME.fullmatch(path.name)
        if name is not None:
            first = int(name[1])
            found.append(ArchiveFile(path, first, int(name[2] or first)))
    joined = [file for file in found if file.last > file.first]
    return sorted(
        (file for file in found if not any(_holds(other, file) for other in joined)),
        key=lambda file: file.last,
    )


def _holds(joined: ArchiveFile, file: ArchiveFile) -> bool:
    """Whether `file` was put together with others to `joined`, and not yet removed."""
    return (
        joined.path != file.path
        and joined.path.parent == file.path.parent
        and joined.first <= file.first
        and file.last <= joined.last
    )


def positions_of(path: Path) -> Positions:
    """How far the archive went when the file was written.

    Raises:
        ArchiveUnreadable: it is no intact file of an archive.
    """
    try:
        said = (pq.read_schema(path).metadata or {})[_POSITIONS]
        positions = tuple(Position.parse(text) for text in orjson.loads(said))
    except (KeyError, ValueError, pa.ArrowException, OSError) as error:
        raise ArchiveUnreadable(path, f"{type(error).__name__}: no positions in it") from error
    if len(positions) != SHARDS:
        raise ArchiveUnreadable(path, f"{len(positions)} positions instead of {SHARDS}")
    return positions


def last_positions(archive: Path) -> Positions:
    """How far the archive goes; `NOWHERE` of an empty one.

    Raises:
        ArchiveUnreadable: its last file is damaged.
    """
    files = archive_files(archive)
    return positions_of(files[-1].path) if files else NOWHERE


def epoch_of(path: Path) -> str:
    """The epoch of a file's positions; "" of a file without one.

    Raises:
        ArchiveUnreadable: it is damaged.
    """
    try:
        said = pq.read_schema(path).metadata or {}
    except (pa.ArrowException, OSError) as error:
        raise ArchiveUnreadable(path, type(error).__name__) from error
    return bytes(said.get(_EPOCH, b"")).decode("ascii", "replace")


def last_epoch(archive: Path) -> str:
    """The epoch of `last_positions`; "" where there is none.

    Raises:
        ArchiveUnreadable: its last file is damaged.
    """
    files = archive_files(archive)
    return epoch_of(files[-1].path) if files else ""


def archive_id(archive: Path, *, new: str) -> str:
    """Which archive this is; `new` from now on, where nobody has said it yet.

    Only who holds the archive's lock may call it.

    Raises:
        OSError: it can be neither read nor written.
    """
    place = archive / IDENTITY
    try:
        said = place.read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        said = ""
    if said:
        return said
    with replaced(place) as file:
        file.write(new.encode("ascii"))
    return new


def rows_of(events: Sequence[Archived]) -> pa.Table:
    """The events as rows of `SCHEMA`, in their order."""
    return pa.Table.from_pylist([_row(*each) for each in events], schema=SCHEMA)


def _row(shard: int, position: Position, event: Event) -> dict[str, object]:
    wishes = {name: said for name in _NUMBERS if _number(said := event.attributes.get(name))}
    model = event.attributes.get("wished_model")
    if isinstance(model, str):
        wishes["wished_model"] = model
    others = {name: said for name, said in event.attributes.items() if name not in wishes}
    return {
        "event_id": event.id,
        "customer_id": event.customer_id,
        "session_id": event.session_id,
        "product_id": event.product_id,
        "event_type": event.type,
        "timestamp": _instant(event.at),
        "received_at": _instant(event.received_at),
        "quantity": event.quantity,
        "value": event.value,
        "channel": event.channel,
        "placement": event.placement,
        "release": event.release,
        "decision_id": event.decision_id,
        "offer_id": event.offer_id,
        **wishes,
        "attributes": orjson.dumps(others).decode() if others else None,
        "shard": shard,
        "position": str(position),
    }


def _number(said: object) -> bool:
    return isinstance(said, int | float) and not isinstance(said, bool)


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def append(
    archive: Path, rows: pa.Table, *, positions: Positions, day: str, epoch: str = ""
) -> Path:
    """Add a file that holds `rows` and goes up to `positions`; on the disk when this returns.

    Only who holds the archive's lock may call it. `day` is written as 2026-11-23.

    Raises:
        OSError: no room, or no permission; the archive is as it was.
    """
    files = archive_files(archive)
    number = files[-1].last + 1 if files else 1
    return write_file(
        archive,
        [rows],
        positions=positions,
        epoch=epoch,
        target=archive / f"day={day}" / f"{number:09d}.parquet",
    )


def write_file(
    archive: Path,
    rows: Iterable[pa.Table],
    *,
    positions: Positions,
    epoch: str = "",
    target: Path,
    rewritten: bool = False,
) -> Path:
    """Write a file whole or not at all: a draft, its bytes on the disk, then one rename.

    `rewritten`: of rows that were in the archive before, by who holds it for `rewriting`.
    """
    said = orjson.dumps([str(position) for position in positions])
    schema = SCHEMA.with_metadata({_POSITIONS: said, _EPOCH: epoch.encode()})
    draft = archive / f"{_REWRITE if rewritten else _DRAFT}{secrets.token_hex(4)}"
    try:
        with draft.open("wb") as file:
            with pq.ParquetWriter(file, schema, compression="zstd") as writer:
                for table in rows:
                    writer.write_table(table.replace_schema_metadata(schema.metadata))
            file.flush()
            os.fsync(file.fileno())
        if not target.parent.is_dir():
            target.parent.mkdir()
            sync(archive)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    sync(target.parent)
    return target


def clear_drafts(archive: Path) -> None:
    """Remove what killed archivers left; only who holds the archive's lock may call it."""
    for draft in archive.glob(f"{_DRAFT}*"):
        draft.unlink(missing_ok=True)


def clear_rewrites(archive: Path) -> None:
    """Remove what killed rewriters left; only who holds it for `rewriting` may call it."""
    for draft in archive.glob(f"{_REWRITE}*"):
        draft.unlink(missing_ok=True)


@contextlib.contextmanager
def appending(archive: Path) -> Iterator[bool]:
    """Nobody else adds files meanwhile; whether that is so, for another may be the archiver.

    Raises:
        OSError: there is no such folder, or no permission.
    """
    with lock_if_free(archive / LOCK) as lock:
        yield lock is not None


@contextlib.contextmanager
def reading(archive: Path) -> Iterator[None]:
    """Nobody puts files together or takes rows out of them meanwhile; new files may appear."""
    with _held(archive, fcntl.LOCK_SH):
        yield


@contextlib.contextmanager
def rewriting(archive: Path) -> Iterator[None]:
    """Nobody else reads the archive as a whole, or rewrites any file of it, meanwhile."""
    with _held(archive, fcntl.LOCK_EX):
        yield


@contextlib.contextmanager
def rewriting_if_free(archive: Path) -> Iterator[bool]:
    """As `rewriting`, where nobody reads or rewrites now; whether that is so."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(_held(archive, fcntl.LOCK_EX | fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True


def every_file(archive: Path) -> list[Path]:
    """All files with events, those too that a joined one hides, which a killed join has left."""
    return sorted(path for path in archive.glob("day=*/*.parquet") if _NAME.fullmatch(path.name))


@contextlib.contextmanager
def _held(archive: Path, how: int) -> Iterator[None]:
    with (archive / REWRITING).open("ab") as file:
        fcntl.flock(file, how)
        yield
