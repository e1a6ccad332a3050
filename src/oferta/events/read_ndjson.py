"""NDJSON: one object a line, every value as text exactly as given."""

import codecs
import gzip
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import BinaryIO, Final

import orjson
import polars as pl

from oferta.columns import ID_COLUMNS
from oferta.errors import SourceRefused
from oferta.events.integrity import SourceFile
from oferta.events.rows import ROW, Batch, BrokenRow
from oferta.events.source import TableSource

_NO_ID: Final = (bool, float, list, dict)

MAX_LINE_BYTES: Final = 16 * 2**20
MAX_KEYS: Final = 2_000
"""Different keys in one file; more is data in the place of names."""


def ndjson_keys(file: SourceFile, settings: TableSource) -> tuple[str, ...]:
    """Every key of any line, in order of first sight. Reads the whole file."""
    keys: dict[str, None] = {}
    with _lines(file, settings) as lines:
        for line in lines:
            keys.update(dict.fromkeys(_parse(line) or ()))
            if len(keys) > MAX_KEYS:
                raise SourceRefused(
                    "columns.missing",
                    file.path,
                    f"has more than {MAX_KEYS:,} different keys",
                    remedy="Write ids as values under one key, not as keys.",
                )
    return tuple(keys)


def ndjson_batches(
    file: SourceFile, settings: TableSource, names: tuple[str, ...], *, rows: int
) -> Generator[Batch, None, None]:
    """The objects of `file` in order; a line that is no object is a broken row."""
    number = 0
    ids = tuple(settings.columns.get(name, name) for name in ID_COLUMNS)
    with _lines(file, settings) as lines:
        while block := list(islice(lines, min(rows, 100_000))):
            cells: dict[str, list[str | None]] = {name: [] for name in names}
            numbers: list[int] = []
            broken: list[BrokenRow] = []
            for line in block:
                if not line.strip():
                    continue
                number += 1
                record = _parse(line)
                if record is None:
                    text = line.decode(errors="replace").rstrip("\r\n")[:1_000]
                    broken.append(BrokenRow(number, "json.malformed", text))
                    continue
                if any(isinstance(record.get(name), _NO_ID) for name in ids):
                    text = line.decode(errors="replace").rstrip("\r\n")[:1_000]
                    broken.append(BrokenRow(number, "id.not_text", text))
                    continue
                numbers.append(number)
                for name, column in cells.items():
                    column.append(_text(record.get(name)))
            schema = dict.fromkeys(names, pl.String())
            frame = pl.DataFrame(cells, schema=schema)
            yield Batch(frame.with_columns(pl.Series(ROW, numbers, dtype=pl.UInt64)), tuple(broken))


@contextmanager
def _lines(file: SourceFile, settings: TableSource) -> Iterator[Iterator[bytes]]:
    """The lines as UTF-8. A longer one comes in pieces, which are no JSON and so rejected."""
    opened: BinaryIO | gzip.GzipFile
    opened = gzip.GzipFile(file.path) if file.compressed else file.path.open("rb")
    with opened as stream:
        if settings.encoding in {"utf-8", "ascii"}:
            yield iter(partial(stream.readline, MAX_LINE_BYTES), b"")
        else:
            text = codecs.getreader(settings.encoding)(stream)
            yield (line.encode() for line in text)


def _parse(line: bytes) -> dict[str, object] | None:
    try:
        record = orjson.loads(line.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError:
        return None
    return record if isinstance(record, dict) else None


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return orjson.dumps(value).decode()
