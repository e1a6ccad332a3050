"""What an ingest did, for people and for programs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from oferta.events.manifest import ArchiveEntry, DatasetManifest


@dataclass(frozen=True, slots=True)
class TableReport:
    """Counts of one table: `read = accepted + rejected + deduplicated` unless derived."""

    read: int
    accepted: int
    deduplicated: int
    rejected: Mapping[str, int]
    examples: Mapping[str, str] = field(default_factory=dict)
    rejected_file: Path | None = None
    derived: bool = False

    @property
    def rejected_rows(self) -> int:
        """All rejected rows, whatever their reason."""
        return sum(self.rejected.values())


@dataclass(frozen=True, slots=True)
class IngestReport:
    """One ingest. `unchanged` means the dataset held this very content already."""

    dataset: Path
    manifest: DatasetManifest
    tables: Mapping[str, TableReport]
    unchanged: bool
    seconds: float

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should look at."""
        return self.manifest.warnings

    @property
    def notes(self) -> tuple[str, ...]:
        """What was assumed or left aside."""
        return tuple(_notes(self.manifest))

    def as_json(self) -> dict[str, object]:
        """The report as plain values for `--json`."""
        manifest = self.manifest
        return {
            "dataset": str(self.dataset),
            "fingerprint": manifest.fingerprint,
            "unchanged": self.unchanged,
            "seconds": round(self.seconds, 3),
            "order": manifest.order,
            "first_time": _iso(manifest.first_time),
            "last_time": _iso(manifest.last_time),
            "event_types": [entry.model_dump() for entry in manifest.event_types if entry.events],
            "tables": {
                name: {
                    "read": table.read,
                    "accepted": table.accepted,
                    "deduplicated": table.deduplicated,
                    "rejected": dict(table.rejected),
                    "rejected_file": str(table.rejected_file) if table.rejected_file else None,
                    "derived": table.derived,
                }
                for name, table in self.tables.items()
            },
            "warnings": list(self.warnings),
            "notes": list(self.notes),
        }


def report_of(
    dataset: Path,
    manifest: DatasetManifest,
    *,
    unchanged: bool,
    seconds: float,
    examples: Mapping[str, Mapping[str, str]] | None = None,
) -> IngestReport:
    """The report of the dataset whose manifest this is."""
    tables = {
        name: TableReport(
            read=entry.read,
            accepted=entry.rows,
            deduplicated=entry.deduplicated,
            rejected=entry.rejected,
            examples=(examples or {}).get(name, {}),
            rejected_file=dataset / manifest.data / entry.rejected_file
            if entry.rejected_file
            else None,
            derived=entry.derived,
        )
        for name, entry in manifest.tables.items()
    }
    return IngestReport(dataset, manifest, tables, unchanged, seconds)


def _notes(manifest: DatasetManifest) -> list[str]:
    notes: list[str] = []
    if manifest.timezone:
        notes.append(f"times carry no zone: taken as {manifest.timezone}")
    if manifest.order == "none":
        notes.append("events have neither time nor order: splits by time or order are not possible")
    if manifest.undated:
        notes.append(f"{manifest.undated:,} events have no time")
    derived = [name for name, table in manifest.tables.items() if table.derived]
    if derived:
        notes.append(f"no {' and no '.join(derived)} file: made from the events")
    if manifest.archive is not None:
        notes.append(_of_archive(manifest.archive))
    if manifest.ignored:
        names = ", ".join(manifest.ignored[:6])
        more = f" and {len(manifest.ignored) - 6} more" if len(manifest.ignored) > 6 else ""  # noqa: PLR2004
        notes.append(f"other files, not read: {names}{more}")
    return notes


def _of_archive(archive: ArchiveEntry) -> str:
    return (
        f"archive: {archive.events:,} events; left out: {archive.without_product:,} without a "
        f"product, {archive.of_nobody:,} of sessions of nobody known. {archive.of_sessions:,} of "
        "sessions count for the customer that each turned out to be"
    )


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at is not None else None
