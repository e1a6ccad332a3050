"""The rows of one source file as a stream of small frames, in their order, as the file has them."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Final

import polars as pl

from oferta.events.integrity import SourceFile
from oferta.events.read_csv import csv_batches, csv_header
from oferta.events.read_ndjson import ndjson_batches, ndjson_keys
from oferta.events.read_parquet import parquet_batches, parquet_schema
from oferta.events.rows import Batch
from oferta.events.source import TableSource

BATCH_ROWS: Final = 250_000
"""A few tens of MB a batch: memory is this, whatever the file holds."""


@dataclass(frozen=True, slots=True)
class Header:
    """The columns of one file. Text files know names only: every cell is text (`pl.String`)."""

    columns: tuple[tuple[str, pl.DataType], ...]


def header(file: SourceFile, settings: TableSource) -> Header:
    """The columns of `file`; for NDJSON every key that occurs."""
    if file.format == "parquet":
        return Header(tuple(parquet_schema(file).items()))
    names = csv_header(file, settings) if file.format == "csv" else ndjson_keys(file, settings)
    return Header(tuple((name, pl.String()) for name in names))


def batches(
    file: SourceFile, settings: TableSource, columns: Header
) -> Generator[Batch, None, None]:
    """The rows of `file` in order, `BATCH_ROWS` or fewer at a time.

    Raises:
        SourceRefused: `parquet.corrupt`, `csv.quotes`.
    """
    if file.format == "parquet":
        return parquet_batches(file, rows=BATCH_ROWS)
    names = tuple(name for name, _ in columns.columns)
    if file.format == "csv":
        return csv_batches(file, settings, names, rows=BATCH_ROWS)
    return ndjson_batches(file, settings, names, rows=BATCH_ROWS)
