"""The archive as a source of events: what was accepted live, in the terms of the events table.

An event counts for a customer and a product. What a session did counts for the customer that it
turned out to be: the first one that an event names with it, as when it was applied. Events without
a product, and those of sessions that never turned out to be anybody, are left out and counted; they
stay in the archive.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from oferta.columns import EVENTS, WISHES
from oferta.errors import SourceRefused
from oferta.events.archive import ArchiveFile, archive_files, positions_of
from oferta.events.archive_rewrite import read_groups
from oferta.events.integrity import SourceFile
from oferta.events.manifest import ArchiveEntry
from oferta.events.read import Header
from oferta.progress import Advance

NAME: Final = "archive"
"""What the rows of the archive are said to be from, in `rejected/` and in the manifest."""

_CHUNK: Final = 2**20
_TIES: Final = pl.Schema(
    {"session_id": pl.String(), "tied": pl.String(), "since": pl.Datetime("us", "UTC")}
)


@dataclass(frozen=True, slots=True)
class InspectedArchive:
    """An archive as it stands: what is appended to it later is not seen.

    Attributes:
        files: in the order in which they were written.
        fingerprint: over the bytes of all of them.
        covered: the last position of every shard in them; empty where there is no file.
        size: bytes.
    """

    folder: Path
    files: tuple[ArchiveFile, ...]
    fingerprint: str
    covered: tuple[str, ...]
    size: int


@dataclass(frozen=True, slots=True)
class ReadArchive:
    """The events of an archive that count, as a file like those of a source.

    Attributes:
        header: the columns in which there is anything, and those that a table always has.
    """

    file: SourceFile
    header: Header
    entry: ArchiveEntry


def archive_size(folder: Path) -> int:
    """Bytes of all files.

    Raises:
        SourceRefused: `archive.not_found`.
    """
    if not folder.is_dir():
        raise SourceRefused(
            "archive.not_found",
            folder,
            "there is no such folder",
            remedy="Give the archive that `oferta consume` writes, or leave out --archive.",
        )
    return sum(file.path.stat().st_size for file in archive_files(folder))


def inspect_archive(folder: Path, *, advance: Advance) -> InspectedArchive:
    """Read every byte once for the hash.

    Raises:
        ArchiveUnreadable: its last file is damaged.
    """
    files = tuple(archive_files(folder))
    digest, size = hashlib.sha256(), 0
    for file in files:
        with file.path.open("rb") as opened:
            while chunk := opened.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
                advance(len(chunk))
    covered = [str(position) for position in positions_of(files[-1].path)] if files else []
    return InspectedArchive(folder, files, digest.hexdigest(), tuple(covered), size)


def read_archive(
    found: InspectedArchive, target: Path, *, attributes: Iterable[str]
) -> ReadArchive:
    """Write the events that count to `target`: the columns of `EVENTS`, wishes, and `attributes`.

    Memory is that of one group of rows, and of the ties of sessions to customers.

    Raises:
        ArchiveUnreadable: a file is damaged.
    """
    ties = _ties(found.files)
    names = [name for name in EVENTS.names if name not in {"seq", "rating"}]
    wanted = {name: _told(name) for name in attributes if "'" not in name and "\\" not in name}
    counts: dict[str, int] = dict.fromkeys(
        ("events", "without_product", "of_nobody", "of_sessions"), 0
    )
    schema = {name: dtype for name, dtype in EVENTS.schema().items() if name in names}
    schema |= {**WISHES, **dict.fromkeys(wanted, pl.String())}
    with pq.ParquetWriter(target, _arrow(pl.Schema(schema).to_frame()).schema) as writer:
        for archived in found.files:
            for group in read_groups(archived.path):
                rows = pl.DataFrame(group)
                rows = _counting(_owned(rows, ties), counts)
                rows = rows.select(*names, *WISHES, *(e.alias(n) for n, e in wanted.items()))
                writer.write_table(_arrow(rows))
    entry = ArchiveEntry(files=len(found.files), **counts)
    stat = target.stat()
    file = SourceFile(
        path=target,
        name=NAME,
        format="parquet",
        compressed=False,
        size=stat.st_size,
        modified_ns=stat.st_mtime_ns,
        sha256=found.fingerprint,
        delimiter=None,
    )
    return ReadArchive(file, Header(tuple(_filled(target, schema, always=names))), entry)


def _ties(files: Iterable[ArchiveFile]) -> pl.DataFrame:
    """Which customer each session turned out to be: the first one that it was told with."""
    ties = _TIES.to_frame()
    for file in files:
        for group in read_groups(file.path):
            here = (
                pl.DataFrame(group)
                .select("session_id", tied="customer_id", since="received_at")
                .drop_nulls()
            )
            ties = pl.concat([ties, here]).sort("since", "tied").unique("session_id", keep="first")
    return ties.select("session_id", "tied")


def _owned(rows: pl.DataFrame, ties: pl.DataFrame) -> pl.DataFrame:
    """`rows` with the customer of every session that is known, and `__tied`: by which event."""
    nobody = pl.col("customer_id").is_null()
    return (
        rows.join(ties, on="session_id", how="left", maintain_order="left")
        .with_columns(__tied=nobody & pl.col("tied").is_not_null())
        .with_columns(pl.coalesce("customer_id", "tied").alias("customer_id"))
        .drop("tied")
    )


def _counting(rows: pl.DataFrame, counts: dict[str, int]) -> pl.DataFrame:
    """The rows that count; all others are added to `counts`."""
    product, customer = pl.col("product_id").is_not_null(), pl.col("customer_id").is_not_null()
    counts["events"] += rows.height
    counts["without_product"] += rows.select((~product).sum()).item()
    counts["of_nobody"] += rows.select((product & ~customer).sum()).item()
    rows = rows.filter(product & customer)
    counts["of_sessions"] += rows.select(pl.col("__tied").sum()).item()
    return rows


def _told(name: str) -> pl.Expr:
    return pl.col("attributes").str.json_path_match(f"$['{name}']")


def _filled(
    path: Path, schema: Mapping[str, pl.DataType], *, always: Iterable[str]
) -> Iterable[tuple[str, pl.DataType]]:
    """The columns that a table has in any case, and those others in which there is anything."""
    held = pl.scan_parquet(path, glob=False).select(pl.all().count()).collect()
    kept = set(always)
    for name, dtype in schema.items():
        if name in kept or held[name].item():
            yield name, dtype


def _arrow(frame: pl.DataFrame) -> pa.Table:
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())
