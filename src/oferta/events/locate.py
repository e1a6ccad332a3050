"""Which files of a source are which table, and that all of them lie inside the source."""

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final

from oferta.columns import EVENTS, TABLES
from oferta.errors import SourceRefused
from oferta.events.source import SOURCE_FILE, Format, SourceSettings, TableSource, load_source

FORMATS: Final[dict[str, Format]] = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".csv.gz": "csv",
    ".tsv.gz": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".ndjson.gz": "ndjson",
    ".jsonl.gz": "ndjson",
}


@dataclass(frozen=True, slots=True)
class TableFiles:
    """The files of one table, in the order in which they are read."""

    name: str
    settings: TableSource
    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Located:
    """A source: its folder, its settings, its tables, and the files nobody asked for."""

    root: Path
    settings: SourceSettings
    tables: dict[str, TableFiles]
    ignored: tuple[str, ...]


def locate(source: Path) -> Located:
    """The tables of `source`: a folder, one file of events, or a `source.toml`.

    Raises:
        SourceRefused: nothing there, no events, two files for one table, or a path that leaves the
            folder or is no regular file.
        SettingsInvalid: the `source.toml` is wrong.
    """
    _refuse_address(str(source))
    if not source.exists():
        raise SourceRefused(
            "source.not_found",
            source,
            "there is no such file or folder",
            remedy="Give a folder with an events file in it, or the events file itself.",
        )
    if source.is_dir():
        declared = source / SOURCE_FILE
        settings = load_source(declared) if declared.exists() else SourceSettings()
        return _in_folder(source, settings, own=SOURCE_FILE)
    if source.suffix == ".toml":
        return _in_folder(source.parent, load_source(source), own=source.name)
    _refuse_irregular(source)
    table = TableFiles(EVENTS.name, TableSource(), (source,))
    return Located(source.parent, SourceSettings(), {EVENTS.name: table}, ())


def format_of(path: Path, declared: Format | None) -> Format:
    """Parquet, CSV or NDJSON, by declaration or by the name's end.

    Raises:
        SourceRefused: `file.format`.
    """
    if declared is not None:
        return declared
    name = path.name.lower()
    for ending, found in FORMATS.items():
        if name.endswith(ending):
            return found
    raise SourceRefused(
        "file.format",
        path,
        "the name does not say what is in the file",
        remedy=f'Names end in {", ".join(FORMATS)}; or declare format = "csv" in source.toml.',
    )


def _in_folder(root: Path, settings: SourceSettings, *, own: str) -> Located:
    tables: dict[str, TableFiles] = {}
    for name in TABLES:
        declared = settings.table(name)
        files = _declared(root, name, declared) if declared.patterns else _by_name(root, name)
        if files:
            tables[name] = TableFiles(name, declared, files)
        elif settings.declares(name):
            raise _missing(root, name)
    if EVENTS.name not in tables:
        raise _missing(root, EVENTS.name)
    used = {path.relative_to(root).parts[0] for table in tables.values() for path in table.files}
    ignored = sorted(
        path.name
        for path in root.iterdir()
        if path.name not in {own, *used} and not path.name.startswith(".")
    )
    return Located(root, settings, tables, tuple(ignored))


def _missing(root: Path, name: str) -> SourceRefused:
    if name == "consent":
        return SourceRefused(
            "consent.missing",
            root,
            "source.toml speaks of consent and there is no consent file",
            remedy="Bring the file, or take [consent] out if consent is kept elsewhere.",
        )
    files = ", ".join(sorted(path.name for path in root.iterdir())[:8]) or "nothing"
    return SourceRefused(
        "table.missing",
        root,
        f"no file of the table '{name}'; the folder holds {files}",
        remedy=f"Name it {name}.csv, {name}.parquet or {name}.ndjson, or say which one it is in "
        f'source.toml: [{name}] file = "..."',
    )


def _declared(root: Path, name: str, settings: TableSource) -> tuple[Path, ...]:
    found: list[Path] = []
    for pattern in settings.patterns:
        _refuse_address(pattern)
        if PurePath(pattern).is_absolute() or ".." in PurePath(pattern).parts:
            raise _outside(pattern)
        matches = sorted(root.glob(pattern))
        if not matches and name != "consent":
            raise SourceRefused(
                "table.missing",
                root / pattern,
                f"no such file, declared for the table '{name}'",
                remedy="Correct the name or the pattern in source.toml.",
            )
        found.extend(path for path in matches if path not in found)
    for path in found:
        _refuse_escape(root, path)
    return tuple(found)


def _by_name(root: Path, name: str) -> tuple[Path, ...]:
    ways = [way for way in _possible(root, name) if way]
    if len(ways) > 1:
        first, second = ways[0][0], ways[1][0]
        raise SourceRefused(
            "table.ambiguous",
            root,
            f"both {first.relative_to(root)} and {second.relative_to(root)} could be '{name}'",
            remedy=f'Remove one, or say which in source.toml: [{name}] file = "{first.name}"',
        )
    for path in ways[0] if ways else ():
        _refuse_escape(root, path)
    return ways[0] if ways else ()


def _possible(root: Path, name: str) -> Iterator[tuple[Path, ...]]:
    for ending in FORMATS:
        single = root / f"{name}{ending}"
        if single.exists() or single.is_symlink():
            yield (single,)
        yield tuple(sorted((root / name).glob(f"*{ending}")))


def _refuse_address(text: str) -> None:
    # `Path` folds the two slashes of an address into one.
    if "://" in text or text.startswith(("http:/", "https:/", "ftp:/", "s3:/", "file:/")):
        raise SourceRefused(
            "source.url",
            text,
            "this is an address, and files are only read from disk",
            remedy="Download it first and give the path.",
        )


def _outside(place: Path | str) -> SourceRefused:
    return SourceRefused(
        "source.outside",
        place,
        "leads out of the source folder",
        remedy="Copy the file into the source folder, or make that folder the source.",
    )


def _refuse_escape(root: Path, path: Path) -> None:
    if not path.resolve().is_relative_to(root.resolve()):
        raise _outside(path)
    _refuse_irregular(path)


def _refuse_irregular(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise SourceRefused(
            "source.not_found",
            path,
            error.strerror or "cannot be looked at",
            remedy="Check the path and its permissions.",
        ) from None
    if not stat.S_ISREG(mode):
        raise SourceRefused(
            "source.not_a_file",
            path,
            "is not a regular file",
            remedy="Pipes, devices and folders cannot be read twice: give a file.",
        )
