"""A source before any row is read: its files, that they are whole, and their fingerprint."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from oferta.columns import ATTRIBUTES, CONTRACTS, TABLES, VEHICLES
from oferta.events.archive_read import (
    InspectedArchive,
    ReadArchive,
    archive_size,
    inspect_archive,
    read_archive,
)
from oferta.events.guards import IngestOptions
from oferta.events.integrity import SourceFile, inspect
from oferta.events.locate import Located, locate
from oferta.events.manifest import FORMAT
from oferta.progress import Progress

SourceFiles = Mapping[str, tuple[SourceFile, ...]]


@dataclass(frozen=True, slots=True)
class Inspected:
    """A source whose files are whole, and the hash over them and all that decides their reading."""

    located: Located
    files: SourceFiles
    fingerprint: str
    repeated: tuple[str, ...]
    archive: InspectedArchive | None = None


def inspect_source(
    source: Path, options: IngestOptions, *, progress: Progress, archive: Path | None = None
) -> Inspected:
    """Locate and check the files of `source` and of the archive, without reading rows.

    Raises:
        ArchiveUnreadable: a file of the archive is damaged.
        SourceRefused: `source.*`, `table.*`, `file.*`, `gzip.*`, `csv.*` or `parquet.*`.
        SettingsInvalid: the `source.toml` is wrong.
    """
    located = locate(source)
    paths = [(name, path) for name, table in located.tables.items() for path in table.files]
    total = sum(path.stat().st_size for _, path in paths)
    total += 0 if archive is None else archive_size(archive)
    files: dict[str, list[SourceFile]] = {}
    repeated: list[str] = []
    with progress.task("checking files", total=total) as advance:
        for name, path in paths:
            file = inspect(path, located.root, located.settings.table(name), advance=advance)
            here = files.setdefault(name, [])
            same = [other.name for other in here if other.sha256 == file.sha256]
            if same:
                repeated.append(f"{file.name} is the same file as {same[0]}: read once")
            else:
                here.append(file)
        live = None if archive is None else inspect_archive(archive, advance=advance)
    listing = [[name, [file.sha256 for file in files[name]]] for name in sorted(files)]
    content: list[object] = [
        FORMAT,
        listing,
        _settings_of(located),
        options.max_customer_events,
    ]
    content += [] if live is None else [live.fingerprint]
    fingerprint = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    frozen = {name: tuple(found) for name, found in files.items()}
    return Inspected(located, frozen, fingerprint, tuple(repeated), live)


def _settings_of(located: Located) -> dict[str, object]:
    """All that decides the reading; what is not spoken of leaves no trace.

    So a dataset made before there was such a setting is still the same.
    """
    dump: dict[str, object] = located.settings.model_dump(mode="json")
    for name in TABLES:
        table = dump[name]
        if isinstance(table, dict):
            for setting in ("words", "attributes"):
                if not table[setting]:
                    del table[setting]
        if name in {CONTRACTS.name, VEHICLES.name, ATTRIBUTES.name} and name not in located.tables:
            del dump[name]
    return dump


def read_live(source: Inspected, target: Path) -> ReadArchive | None:
    """What counts of the source's archive, as one more file of events, written to `target`.

    Of its attributes those that `source.toml` gives a type, by the name that they have inside.

    Raises:
        ArchiveUnreadable: a file of the archive is damaged.
    """
    if source.archive is None:
        return None
    declared = source.located.settings.events.attributes
    typed = [name for name, said in declared.items() if said.type is not None]
    return read_archive(source.archive, target, attributes=typed)
