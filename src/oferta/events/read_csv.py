"""CSV: every cell as text, quotes and line breaks in cells understood, ragged rows set apart."""

import gzip
from bisect import bisect_left
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv as pc

from oferta.errors import SourceRefused
from oferta.events.integrity import SourceFile
from oferta.events.rows import ROW, Batch, BrokenRow
from oferta.events.source import TableSource

BLOCK_BYTES: Final = 2 * 2**20
"""Read at a time: a row may not be longer. Arrow reads up to 32 blocks ahead, whoever is slow, so
this bounds memory: with blocks of 16 MB a file of 600 MB was held whole (measured)."""
MAX_BROKEN: Final = 100_000
"""Ragged rows kept for the report of one file; more is a wrong delimiter, not bad rows."""


RowNumbers = np.ndarray[tuple[int], np.dtype[np.uint64]]


def csv_header(file: SourceFile, settings: TableSource) -> tuple[str, ...]:
    """The names in the first row, in order; a byte-order mark is no part of them."""
    with _open(file, settings, names=(), block_bytes=2**20) as reader:
        return tuple(reader.schema.names)


def csv_batches(
    file: SourceFile, settings: TableSource, names: tuple[str, ...], *, rows: int
) -> Generator[Batch, None, None]:
    """The rows of `file`, cells as text exactly as given.

    Raises:
        SourceRefused: a quoted cell swallowed a block, or too many ragged rows: `csv.quotes`.
    """
    broken: list[BrokenRow] = []
    taken = 0
    start = 1
    try:
        with _open(file, settings, names=names, block_bytes=BLOCK_BYTES, broken=broken) as reader:
            for table in _gathered(reader, rows):
                ragged = [row.row for row in broken[taken:]]
                numbers = _row_numbers(start, table.num_rows, ragged)
                end = int(numbers[-1]) + 1 if len(numbers) else start
                here = tuple(broken[taken : taken + bisect_left(ragged, end)])
                taken += len(here)
                start = end
                yield Batch(_frame(table, numbers), here)
    except pa.ArrowInvalid as error:
        raise _unreadable(file.path, str(error)) from None
    if broken[taken:]:
        none = np.array([], dtype=np.uint64)
        yield Batch(_frame(reader.schema.empty_table(), none), tuple(broken[taken:]))


def _gathered(reader: pc.CSVStreamingReader, rows: int) -> Iterator[pa.Table]:
    """Small blocks put together until they have `rows` rows: the work on each has a fixed cost."""
    blocks: list[pa.RecordBatch] = []
    for block in reader:
        blocks.append(block)
        if sum(one.num_rows for one in blocks) >= rows:
            yield pa.Table.from_batches(blocks)
            blocks = []
    if blocks:
        yield pa.Table.from_batches(blocks)


def _frame(table: pa.Table, numbers: RowNumbers) -> pl.DataFrame:
    frame = pl.DataFrame(table)
    return frame.with_columns(pl.Series(ROW, numbers, dtype=pl.UInt64)).rechunk()


def _row_numbers(start: int, count: int, ragged: list[int]) -> RowNumbers:
    """The next `count` row numbers from `start` that are not in `ragged` (ascending)."""
    end = start + count
    while (skipped := bisect_left(ragged, end)) != end - start - count:
        end = start + count + skipped
    numbers = np.arange(start, end, dtype=np.uint64)
    return np.delete(numbers, np.asarray(ragged[:skipped], dtype=np.int64) - start)


@contextmanager
def _open(
    file: SourceFile,
    settings: TableSource,
    *,
    names: tuple[str, ...],
    block_bytes: int,
    broken: list[BrokenRow] | None = None,
) -> Iterator[pc.CSVStreamingReader]:
    def ragged(row: pc.InvalidRow) -> str:
        if broken is not None:
            if len(broken) >= MAX_BROKEN:
                return "error"
            # Arrow counts the header as row 1.
            number = row.number - 1 if row.number is not None else len(broken) + 1
            broken.append(BrokenRow(number, "row.ragged", row.text[:1_000]))
        return "skip"

    with gzip.GzipFile(file.path) if file.compressed else file.path.open("rb") as opened:
        stream = pa.PythonFile(opened, "r")
        if settings.encoding not in {"utf-8", "ascii"}:
            stream = pa.transcoding_input_stream(stream, settings.encoding, "utf-8")
        try:
            reader = pc.open_csv(
                stream,
                # One thread: only then does a ragged row know its number.
                read_options=pc.ReadOptions(block_size=block_bytes, use_threads=False),
                parse_options=pc.ParseOptions(
                    delimiter=file.delimiter,
                    quote_char='"' if settings.quote == '"' else False,
                    newlines_in_values=settings.quote == '"',
                    invalid_row_handler=ragged,
                ),
                convert_options=pc.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()),
                    strings_can_be_null=False,
                    null_values=[],
                ),
            )
        except pa.ArrowInvalid as error:
            raise _unreadable(file.path, str(error)) from None
        with reader:
            yield reader


def _unreadable(path: Path, problem: str) -> SourceRefused:
    return SourceRefused(
        "csv.quotes",
        path,
        f"cannot be told into rows: {problem}",
        remedy="Most often a quote is not closed, or the delimiter is not the declared one.",
    )
