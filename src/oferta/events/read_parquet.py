"""Parquet: row groups as a stream of frames, with the damaged one named."""

from collections.abc import Generator
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from oferta.errors import SourceRefused
from oferta.events.integrity import MAX_ROWS_PER_BYTE, SourceFile
from oferta.events.rows import ROW, Batch

BOMB_ROWS: Final = 10_000_000


def parquet_schema(file: SourceFile) -> pl.Schema:
    """The file's columns and types.

    Raises:
        SourceRefused: `parquet.corrupt` when the footer cannot be read; `file.too_large` when it
            promises far more rows than its bytes can hold.
    """
    try:
        rows = pq.read_metadata(file.path).num_rows
        schema = pl.read_parquet_schema(file.path)
    except (pa.ArrowException, pl.exceptions.PolarsError, OSError) as error:
        raise _corrupt(file, f"its footer cannot be read: {_first_line(error)}") from None
    if rows > BOMB_ROWS and rows > MAX_ROWS_PER_BYTE * file.size:
        raise SourceRefused(
            "file.too_large",
            file.path,
            f"{file.size:,} bytes promise {rows:,} rows",
            remedy="No real table packs like that: export it again.",
        )
    return pl.Schema(schema)


def parquet_batches(file: SourceFile, *, rows: int) -> Generator[Batch, None, None]:
    """The rows of `file`, `rows` at a time.

    Raises:
        SourceRefused: `parquet.corrupt`, naming the row group.
    """
    frame = pl.scan_parquet(file.path, glob=False).with_row_index(ROW, offset=1)
    frame = frame.with_columns(pl.col(ROW).cast(pl.UInt64))
    promised = pq.read_metadata(file.path).num_rows
    seen = 0
    try:
        for batch in frame.collect_batches(chunk_size=rows, maintain_order=True):
            seen += batch.height
            yield Batch(batch)
    except (pl.exceptions.PolarsError, OSError, pl.exceptions.PanicException) as error:
        problem = f"{_damaged_group(file)} cannot be read: {_first_line(error)}"
        raise _corrupt(file, problem) from None
    # Over a damaged page the stream of polars 2.1 ends early without an error.
    if seen != promised:
        problem = f"{_damaged_group(file)} cannot be read: {seen:,} of {promised:,} rows came"
        raise _corrupt(file, problem)


def _damaged_group(file: SourceFile) -> str:
    with pq.ParquetFile(file.path, page_checksum_verification=True) as parquet:
        first = 0
        for group in range(parquet.metadata.num_row_groups):
            rows = parquet.metadata.row_group(group).num_rows
            try:
                for _ in parquet.iter_batches(batch_size=10_000, row_groups=[group]):
                    pass
            except (pa.ArrowException, OSError):
                return f"row group {group} (rows {first + 1:,} to {first + rows:,})"
            first += rows
    return "a page of some row group"


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _corrupt(file: SourceFile, problem: str) -> SourceRefused:
    return SourceRefused(
        "parquet.corrupt", file.path, problem, remedy="The copy is damaged: fetch it again."
    )
