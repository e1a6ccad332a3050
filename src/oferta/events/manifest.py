"""`dataset.json`: what a dataset holds and where it came from. Written last: else no dataset."""

from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from pydantic import Field

from oferta.errors import SourceRefused
from oferta.events.types import EventType, Meaning
from oferta.settings import Settings

MANIFEST: Final = "dataset.json"
FORMAT: Final = 1

Order = Literal["timestamp", "seq", "none"]
Origin = Literal["built in", "declared", "undeclared"]


class SourceEntry(Settings):
    """A source file as it was read."""

    table: str
    name: str
    format: str
    bytes: int
    sha256: str


class FileEntry(Settings):
    """A file of the dataset, relative to its data folder."""

    name: str
    bytes: int
    sha256: str


class TableEntry(Settings):
    """One table: `read = rows + rejected + deduplicated` unless it was derived."""

    files: tuple[FileEntry, ...]
    rows: int
    read: int = 0
    deduplicated: int = 0
    rejected: dict[str, int] = Field(default_factory=dict)
    rejected_file: str | None = None
    attributes: dict[str, str] = Field(default_factory=dict)
    """Name -> type, in order."""
    from_text: dict[str, str] = Field(default_factory=dict)
    """Attributes stored as text whose every cell has the form of this type."""
    derived: bool = False
    """Made from the events, since the source had no such table."""


class ArchiveEntry(Settings):
    """What was read of the archive of live events, and what was left out of it."""

    files: int
    events: int
    """All that the archive held."""
    without_product: int
    """Left out: nothing was bought, viewed or declined."""
    of_nobody: int
    """Left out: of sessions that never turned out to be a customer."""
    of_sessions: int
    """Among those that were read: of sessions that turned out to be a customer."""


class EventTypeEntry(Settings):
    """One event type that occurs, or that was declared."""

    name: str
    meaning: Meaning
    weight: float
    origin: Origin
    events: int
    like: str | None = None
    """The built-in type that it is."""

    def event_type(self) -> EventType:
        """The type itself."""
        like = self.like or (self.name if self.origin == "built in" else None)
        return EventType(self.name, self.meaning, self.weight, like)


class DatasetManifest(Settings):
    """All that is known of a dataset without opening its tables."""

    format: int = FORMAT
    created_at: datetime
    data: str
    """The folder beside this file that holds the tables."""
    fingerprint: str
    """Over the accepted tables."""
    source_fingerprint: str
    """Over the source files, their settings and the options: equal means nothing to do."""
    sources: tuple[SourceEntry, ...]
    ignored: tuple[str, ...] = ()
    tables: dict[str, TableEntry]
    event_types: tuple[EventTypeEntry, ...]
    order: Order
    first_time: datetime | None = None
    last_time: datetime | None = None
    undated: int = 0
    """Events without a time, where others have one."""
    timezone: str | None = None
    """What naive times were taken to be in; absent when none were."""
    archive: ArchiveEntry | None = None
    covered: tuple[str, ...] = ()
    """Position of every shard's last archived event that was read; empty without an archive."""
    warnings: tuple[str, ...] = ()


def read_manifest(dataset: Path) -> DatasetManifest | None:
    """The manifest of the folder `dataset`, or None when it is no dataset.

    Raises:
        SourceRefused: `dataset.format`.
    """
    path = dataset / MANIFEST
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return DatasetManifest.model_validate_json(text)
    except ValueError:
        raise SourceRefused(
            "dataset.format",
            path,
            "is no manifest that this version can read",
            remedy="Ingest the source again with --replace.",
        ) from None
