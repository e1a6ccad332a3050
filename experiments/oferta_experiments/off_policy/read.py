"""The files of off-policy evaluation, under the names that its columns have inside."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import polars as pl

from oferta.errors import SettingsInvalid, SourceRefused, UnknownName
from oferta.evaluation.off_policy.tables import DECISIONS, POLICY


def renames(options: Iterable[str]) -> dict[str, str]:
    """What `--column NAME=COLUMN` says: the name inside by the column of the file.

    Raises:
        SettingsInvalid: not of that form, or one of the two is named twice.
        UnknownName: no column of that name inside.
    """
    named: dict[str, str] = {}
    for option in options:
        name, equals, column = option.partition("=")
        if not (equals and column):
            raise SettingsInvalid("--column", [f"'{option}': write it as NAME=COLUMN"])
        if name not in DECISIONS.names:
            raise UnknownName("name in --column", name, DECISIONS.names)
        if column in named or name in named.values():
            raise SettingsInvalid("--column", [f"'{option}': named twice"])
        named[column] = name
    return named


def read_log(path: Path, columns: Mapping[str, str]) -> pl.DataFrame:
    """The log at `path`, its `columns` renamed.

    Raises:
        SourceRefused: no such file, or not one that can be read.
        UnknownName: a column to rename that is not there.
        SettingsInvalid: a column of the new name is there already.
    """
    frame = _read(path, columns)
    for column, name in columns.items():
        if column not in frame.columns:
            raise UnknownName(f"column of {path}", column, frame.columns)
        if name in frame.columns and name != column:
            raise SettingsInvalid("--column", [f"{path} has a column '{name}' already"])
    return frame.rename(columns)


def read_policy(path: Path, columns: Mapping[str, str]) -> pl.DataFrame:
    """The policy at `path`; those of the log's `columns` that it has are renamed as there.

    Raises:
        SourceRefused: no such file, or not one that can be read.
    """
    frame = _read(path, columns)
    shared = {
        column: name
        for column, name in columns.items()
        if name in POLICY.names and column in frame.columns and name not in frame.columns
    }
    return frame.rename(shared)


def _read(path: Path, columns: Mapping[str, str]) -> pl.DataFrame:
    if not path.is_file():
        raise SourceRefused("file.missing", path, "no such file", remedy="Give a file of rows.")
    # Left to the reader, the ids 007 and 7 would be one.
    named = {name: name for name in DECISIONS.names} | dict(columns)
    texts = {
        column: pl.String()
        for column, name in named.items()
        if DECISIONS.schema()[name] == pl.String
    }
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
        if path.suffix in {".ndjson", ".jsonl"}:
            return pl.read_ndjson(path, infer_schema_length=None)
        return pl.read_csv(path, schema_overrides=texts, infer_schema_length=None)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise SourceRefused(
            "file.unreadable", path, str(error), remedy="Give a Parquet, CSV or NDJSON file."
        ) from None
