"""Parquet: row groups as a stream of frames, with the damaged one named."""

from collections.abc import Iterator

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from oferta.errors import SourceRefused
from oferta.events.integrity import MAX_ROWS_PER_BYTE, SourceFile
from oferta.events.rows import ROW, Batch

BOMB_ROWS = 10_000_000


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


def parquet_batches(file: SourceFile, *, rows: int) -> Iterator[Batch]:
    """The rows of `file`, `rows` at a time.

    Raises:
        SourceRefused: `parquet.corrupt`, naming the row group.
    """
    frame = pl.scan_parquet(file.path, glob=False).with_row_index(ROW, offset=1)
    frame = frame.with_columns(pl.col(ROW).cast(pl.UInt64))
    try:
        for batch in frame.collect_batches(chunk_size=rows, maintain_order=True):
            yield Batch(batch)
    except (pl.exceptions.PolarsError, OSError, pl.exceptions.PanicException) as error:
        raise _corrupt(
            file, f"{_damaged_group(file)} cannot be read: {_first_line(error)}"
        ) from None


def _damaged_group(file: SourceFile) -> str:
    metadata = pq.read_metadata(file.path)
    first = 0
    for group in range(metadata.num_row_groups):
        rows = metadata.row_group(group).num_rows
        try:
            pl.scan_parquet(file.path, glob=False).slice(first, rows).collect(engine="streaming")
        except (pl.exceptions.PolarsError, OSError, pl.exceptions.PanicException):
            return f"row group {group} (rows {first + 1:,} to {first + rows:,})"
        first += rows
    return "a page"


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _corrupt(file: SourceFile, problem: str) -> SourceRefused:
    return SourceRefused(
        "parquet.corrupt", file.path, problem, remedy="The copy is damaged: fetch it again."
    )
