"""A customer's rows in ingested datasets and in the archive of events."""

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import orjson
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from oferta.events.archive import archive_files, every_file
from oferta.events.archive_rewrite import read_groups
from oferta.events.archive_rewrite import take_out as take_out_of_archive
from oferta.events.event import Event
from oferta.events.forgotten import Forgotten
from oferta.events.manifest import DatasetManifest, FileEntry, TableEntry, read_manifest
from oferta.events.output import Output, open_output
from oferta.events.stage import FILE, NUMBER, REASON, TEXT
from oferta.privacy.folders import noted_folders
from oferta.privacy.places import Row, Subject
from oferta.privacy.tables import CUSTOMER, customers_in, replace_table

_REJECTED: Final = "rejected"
CLAIM_S: Final = 366 * 86_400.0
"""The longest that any setting keeps a claim of an event's id: those that came in since are looked
for, whatever the setting is now."""


@dataclass(frozen=True, slots=True)
class DatasetRows:
    """All datasets of a state folder, and those noted in it: a `Place`."""

    home: Path
    name: str = "datasets"

    async def erase(self, subject: Subject) -> int:
        """See `Place.erase`."""
        return await asyncio.to_thread(
            lambda: sum(erase_from_dataset(one, subject.customer_id) for one in self._datasets())
        )

    async def export(self, subject: Subject) -> Sequence[Row]:
        """See `Place.export`; rejected rows too."""
        return await asyncio.to_thread(self._rows, subject.customer_id)

    async def holds(self, subject: Subject) -> bool:
        """See `Place.holds`."""
        return await asyncio.to_thread(self._holds, subject.customer_id)

    def customers(self) -> set[str]:
        """Everybody who has an accepted row in any dataset."""
        return customers_in(
            table
            for dataset in self._datasets()
            for folder in _data_folders(dataset)
            for table in _accepted(folder)
        )

    def _holds(self, customer_id: str) -> bool:
        return any(
            _of(table, customer_id).select(pl.len()).collect(engine="streaming").item()
            for dataset in self._datasets()
            for folder in _data_folders(dataset)
            for table in sorted(folder.rglob("*.parquet"))
        )

    def _rows(self, customer_id: str) -> list[Row]:
        rows: list[Row] = []
        for dataset in self._datasets():
            manifest = read_manifest(dataset)
            if manifest is None:
                continue
            live = dataset / manifest.data
            for table in sorted(live.rglob("*.parquet")):
                name = table.relative_to(live)
                found = _of(table, customer_id).collect(engine="streaming")
                rows += [
                    {"dataset": dataset.name, "table": str(name), **r} for r in found.to_dicts()
                ]
        return rows

    def _datasets(self) -> list[Path]:
        here = sorted(path.parent for path in (self.home / "datasets").glob("*/dataset.json"))
        noted = noted_folders(self.home, "dataset")
        return here + [dataset for dataset in noted if read_manifest(dataset) is not None]


def erase_from_dataset(dataset: Path, customer_id: str) -> int:
    """Take a customer out of a dataset, the data folder kept from before included.

    The live data get a new folder and fingerprint, and whoever reads the old ones goes on reading:
    without the customer, from file to file. How many rows of the live data went.

    Raises:
        SourceRefused: `output.busy` (it is being written: the next try goes on),
            `output.unwritable` or `dataset.format`.
        OutputFailed: the disk is full.
    """
    if not any(_holding(folder, customer_id) for folder in _data_folders(dataset)):
        return 0
    went = 0
    with open_output(dataset) as output:
        manifest = output.previous
        if manifest is not None:
            live = dataset / manifest.data
            if _holding(live, customer_id):
                went = _renewed(output, manifest, live, customer_id)
        for folder in _data_folders(dataset):
            for table in _holding(folder, customer_id):
                replace_table(table, _others(table, customer_id))
    return went


def scrub_dataset(dataset: Path, forgotten: Forgotten) -> int:
    """Take whoever was forgotten out of a dataset, where there is one; how many rows went.

    Raises:
        SourceRefused, OutputFailed: as `erase_from_dataset`.
    """
    folders = _data_folders(dataset)
    ids = customers_in(table for folder in folders for table in _accepted(folder))
    return sum(erase_from_dataset(dataset, one) for one in sorted(forgotten(ids)))


def _renewed(output: Output, manifest: DatasetManifest, live: Path, customer_id: str) -> int:
    for path in sorted(live.rglob("*")):
        name = output.folder / path.relative_to(live)
        if path.is_dir():
            name.mkdir()
        else:
            name.hardlink_to(path)
    tables = {
        name: _entry(entry, output.folder, customer_id) for name, entry in manifest.tables.items()
    }
    went = sum(entry.read - tables[name].read for name, entry in manifest.tables.items())
    went += sum(
        entry.rows - tables[name].rows for name, entry in manifest.tables.items() if entry.derived
    )
    sums = [[file.sha256 for file in entry.files] for entry in tables.values()]
    fingerprint = hashlib.sha256(orjson.dumps([manifest.fingerprint, sums])).hexdigest()
    output.commit(
        manifest.model_copy(
            update={
                "tables": tables,
                "fingerprint": fingerprint,
                "data": output.data_name(fingerprint),
            }
        )
    )
    return went


def _entry(entry: TableEntry, folder: Path, customer_id: str) -> TableEntry:
    """The table's entry after its files in `folder` were rewritten without the customer."""
    files: list[FileEntry] = []
    went = 0
    for file in entry.files:
        path = folder / file.name
        theirs = _count(_of(path, customer_id))
        if theirs:
            replace_table(path, _others(path, customer_id))
            with path.open("rb") as opened:
                digest = hashlib.file_digest(opened, "sha256").hexdigest()
            file = FileEntry(name=file.name, bytes=path.stat().st_size, sha256=digest)  # noqa: PLW2901 - the file as it is now
        files.append(file)
        went += theirs
    rejected = dict(entry.rejected)
    if entry.rejected_file is not None:
        path = folder / entry.rejected_file
        reasons = _of(path, customer_id).select(REASON).collect()[REASON].value_counts()
        for reason, count in reasons.iter_rows():
            rejected[reason] = rejected.get(reason, 0) - count
        if len(reasons):
            replace_table(path, _others(path, customer_id))
    fewer = sum(entry.rejected.values()) - sum(rejected.values())
    read = entry.read if entry.derived else entry.read - went - fewer
    return entry.model_copy(
        update={
            "files": tuple(files),
            "rows": entry.rows - went,
            "read": read,
            "rejected": {reason: count for reason, count in rejected.items() if count},
        }
    )


def _data_folders(dataset: Path) -> list[Path]:
    return sorted(path for path in dataset.glob("data-*") if path.is_dir())


def _accepted(folder: Path) -> Iterable[Path]:
    return (path for path in sorted(folder.rglob("*.parquet")) if _REJECTED not in path.parts)


def _holding(folder: Path, customer_id: str) -> list[Path]:
    return [
        path for path in sorted(folder.rglob("*.parquet")) if _count(_of(path, customer_id)) > 0
    ]


def _of(path: Path, customer_id: str) -> pl.LazyFrame:
    return pl.scan_parquet(path, glob=False).filter(_theirs(path, customer_id))


def _others(path: Path, customer_id: str) -> pl.LazyFrame:
    return pl.scan_parquet(path, glob=False).filter(~_theirs(path, customer_id))


def _theirs(path: Path, customer_id: str) -> pl.Expr:
    """Which rows of a table are the customer's.

    A rejected row has the source's own cells, under its names, and may be the text of a whole
    line: there, whatever says the id anywhere goes. Too much is better than too little of these.
    """
    kinds = pl.read_parquet_schema(path)
    if TEXT not in kinds:
        known = CUSTOMER in kinds
        return pl.col(CUSTOMER).eq_missing(customer_id) if known else pl.lit(value=False)
    ours = {REASON, FILE, NUMBER, TEXT}
    cells = [pl.col(name) == customer_id for name in kinds if name not in ours]
    cells.append(pl.col(TEXT).str.contains(customer_id, literal=True))
    return pl.any_horizontal(cells).fill_null(value=False)


def _count(rows: pl.LazyFrame) -> int:
    return int(rows.select(pl.len()).collect(engine="streaming").item())


@dataclass(frozen=True, slots=True)
class ArchiveRows:
    """The archive of a tenant's events: a `Place`. Sessions that became the customer are theirs."""

    archive: Path
    name: str = "archive"

    async def erase(self, subject: Subject) -> int:
        """See `Place.erase`."""
        return await asyncio.to_thread(take_out_of_archive, self.archive, _in_archive(subject))

    async def export(self, subject: Subject) -> Sequence[Row]:
        """See `Place.export`."""
        return await asyncio.to_thread(self._rows, subject)

    async def holds(self, subject: Subject) -> bool:
        """See `Place.holds`."""
        files = await asyncio.to_thread(every_file, self.archive)
        return bool(await asyncio.to_thread(self._rows, subject, files))

    def events(self, subject: Subject) -> list[Event]:
        """The subject's events: ids, customers and sessions alone, to know claims and sessions by.

        Raises:
            ArchiveUnreadable: a file is damaged.
        """
        return [
            Event(
                id=str(row["event_id"]),
                type=str(row["event_type"]),
                at=0.0,
                received_at=_epoch(row["received_at"]),
                customer_id=None if row["customer_id"] is None else str(row["customer_id"]),
                session_id=None if row["session_id"] is None else str(row["session_id"]),
            )
            for row in self._rows(subject)
        ]

    def customers(self) -> set[str]:
        """Everybody who has an event in it."""
        return customers_in(file.path for file in archive_files(self.archive))

    def _rows(
        self, subject: Subject, files: Sequence[Path] | None = None
    ) -> list[dict[str, object]]:
        """Their rows in `files`; where nothing is said, in those that are read."""
        theirs = _in_archive(subject)
        if files is None:
            files = [file.path for file in archive_files(self.archive)]
        return [
            row
            for file in files
            for table in read_groups(file)
            for row in table.filter(theirs(table)).to_pylist()
        ]


def _in_archive(subject: Subject) -> Callable[[pa.Table], pa.ChunkedArray]:
    # Called by name: pyarrow makes its functions when it is imported, so no checker knows them.
    ask = pc.call_function
    sessions = pc.SetLookupOptions(pa.array([one.id for one in subject.sessions], pa.string()))

    def theirs(table: pa.Table) -> pa.ChunkedArray:
        customers = table["customer_id"]
        own = ask("equal", [customers, pa.scalar(subject.customer_id)])
        met = ask("is_in", [table["session_id"]], sessions)
        nobodys = ask("and", [ask("is_null", [customers]), met])
        return ask("coalesce", [ask("or_kleene", [own, nobodys]), pa.scalar(value=False)])

    return theirs


def _epoch(instant: object) -> float:
    return instant.astimezone(UTC).timestamp() if isinstance(instant, datetime) else 0.0
