"""Rewriting an archive: a day's small files put together, and a customer's rows taken out."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from oferta.durable import sync
from oferta.errors import ArchiveUnreadable
from oferta.events.archive import (
    SCHEMA,
    ArchiveFile,
    appending,
    archive_files,
    clear_drafts,
    clear_rewrites,
    epoch_of,
    every_file,
    positions_of,
    rewriting,
    rewriting_if_free,
    write_file,
)

ROWS: Final = 100_000
"""Rows of a group of a joined file: memory is this."""

Dropped = Callable[[pa.Table], pa.ChunkedArray | pa.Array]
"""Which rows of a table must go, a truth value each."""


def join_days(archive: Path, *, before: str) -> int | None:
    """Put the files of every day before `before` (as 2026-11-23) together; how many went.

    None: somebody reads the archive, or takes rows out of it, and nothing was done.

    Only who holds the archive's lock may call it. Killed at any point, every event is there once:
    a joined file hides those that it was made of until they are removed.

    Raises:
        ArchiveUnreadable: a file is damaged.
        OSError: no room.
    """
    went = 0
    with rewriting_if_free(archive) as free:
        if not free:
            return None
        clear_rewrites(archive)
        for folder in sorted(archive.glob("day=*")):
            if folder.name >= f"day={before}":
                continue
            files = [file for file in archive_files(archive) if file.path.parent == folder]
            if len(files) > 1:
                name = f"{files[0].first:09d}-{files[-1].last:09d}.parquet"
                write_file(
                    archive,
                    _groups(files),
                    positions=positions_of(files[-1].path),
                    epoch=epoch_of(files[-1].path),
                    target=folder / name,
                    rewritten=True,
                )
            went += _remove_hidden(archive, folder)
    return went


def _remove_hidden(archive: Path, folder: Path) -> int:
    """Remove the files of a day that a joined one holds; how many there were."""
    left = {file.path for file in archive_files(archive)}
    hidden = [path for path in every_file(archive) if path.parent == folder and path not in left]
    for path in hidden:
        path.unlink()
    if hidden:
        sync(folder)
    return len(hidden)


def _groups(files: Sequence[ArchiveFile]) -> Iterator[pa.Table]:
    waiting: list[pa.Table] = []
    rows = 0
    for file in files:
        for table in read_groups(file.path):
            waiting.append(table)
            rows += table.num_rows
            if rows >= ROWS:
                yield pa.concat_tables(waiting).combine_chunks()
                waiting, rows = [], 0
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()


def read_groups(path: Path) -> Iterator[pa.Table]:
    """The rows of one file, a group at a time.

    Raises:
        ArchiveUnreadable: it is damaged.
    """
    try:
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                yield file.read_row_group(group, columns=SCHEMA.names).replace_schema_metadata(None)
    except (pa.ArrowException, OSError) as error:
        raise ArchiveUnreadable(path, type(error).__name__) from error


def take_out(archive: Path, dropped: Dropped) -> int:
    """Rewrite every file without the rows that `dropped` marks; how many rows went.

    Each file is replaced in one rename and stays whole; repeated after a kill it goes on. An
    archive that is not there has no rows.

    Raises:
        ArchiveUnreadable: a file is damaged.
        OSError: no room.
    """
    if not archive.is_dir():
        return 0
    went = 0
    with rewriting(archive):
        clear_rewrites(archive)
        with appending(archive) as alone:
            if alone:  # else the archiver has done so when it began
                clear_drafts(archive)
        for folder in sorted(archive.glob("day=*")):
            _remove_hidden(archive, folder)
        for file in archive_files(archive):
            marked = sum(_marked(table, dropped) for table in read_groups(file.path))
            if marked:
                kept = (table.filter(_kept(table, dropped)) for table in read_groups(file.path))
                write_file(
                    archive,
                    kept,
                    positions=positions_of(file.path),
                    epoch=epoch_of(file.path),
                    target=file.path,
                    rewritten=True,
                )
                went += marked
    return went


def _marked(table: pa.Table, dropped: Dropped) -> int:
    return int(np.count_nonzero(~_kept(table, dropped)))


def _kept(table: pa.Table, dropped: Dropped) -> NDArray[np.bool_]:
    """`(rows,)`: those that are not marked; an absent mark is none."""
    return np.array([mark is not True for mark in dropped(table).to_pylist()], dtype=np.bool_)
