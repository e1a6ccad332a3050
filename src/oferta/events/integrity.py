"""One pass over a file's bytes before any row is read: what it weighs and that it is whole."""

import codecs
import csv
import gzip
import hashlib
import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np

from oferta.errors import SourceRefused
from oferta.events.locate import format_of
from oferta.events.source import Format, TableSource
from oferta.progress import Advance

MAX_RATIO: Final = 200
"""Unpacked to packed bytes. Event logs reach 10 to 40; deflate's own limit is 1,032."""
RATIO_FROM_BYTES: Final = 64 * 2**20
"""Below this the ratio does not matter: the file fits into memory whatever it holds."""
MAX_ROWS_PER_BYTE: Final = 100
"""Of a Parquet file above 10 million rows; real ones hold fewer than one row a byte."""

_CHUNK: Final = 2**20
_QUOTE: Final = ord('"')
DELIMITERS: Final = ",;\t|"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A whole, readable file, as it was when it was inspected."""

    path: Path
    name: str
    format: Format
    compressed: bool
    size: int
    modified_ns: int
    sha256: str
    delimiter: str | None


def inspect(path: Path, root: Path, settings: TableSource, *, advance: Advance) -> SourceFile:
    """Read `path` once: its hash, and that encoding, packing, quotes and end are right.

    Raises:
        SourceRefused: `file.*`, `gzip.corrupt`, `csv.quotes` or `parquet.truncated`.
    """
    form = format_of(path, settings.format)
    try:
        before = path.stat()
        if before.st_size == 0:
            raise SourceRefused(
                "file.empty",
                path,
                "has 0 bytes",
                remedy="Export it again: an empty file is no empty table.",
            )
        with path.open("rb") as raw:
            hashing = _Hashing(raw, advance)
            compressed = form != "parquet" and raw.peek(2)[:2] == b"\x1f\x8b"
            delimiter = None
            if form == "parquet":
                _drain(hashing)
                _check_parquet_end(path)
            else:
                chunks = _unpacked(path, hashing, compressed=compressed, size=before.st_size)
                delimiter = _check_text(path, chunks, form=form, settings=settings)
                _drain(hashing)
    except PermissionError:
        raise SourceRefused(
            "file.unreadable",
            path,
            "this user may not read it",
            remedy="Give read permission, or run as a user who has it.",
        ) from None
    file = SourceFile(
        path=path,
        name=path.relative_to(root).as_posix(),
        format=form,
        compressed=compressed,
        size=before.st_size,
        modified_ns=before.st_mtime_ns,
        sha256=hashing.sha.hexdigest(),
        delimiter=delimiter,
    )
    check_unchanged(file)
    _check_checksum_file(file)
    return file


def check_unchanged(file: SourceFile) -> None:
    """That `file` is still what was inspected.

    Raises:
        SourceRefused: `file.unstable`.
    """
    try:
        now = file.path.stat()
    except OSError:
        now = None
    if now is None or (now.st_size, now.st_mtime_ns) != (file.size, file.modified_ns):
        raise SourceRefused(
            "file.unstable",
            file.path,
            "changed while it was read",
            remedy="Wait until it is written whole (write elsewhere, then rename), then try again.",
        )


class _Hashing(io.RawIOBase):
    """Passes reads on and hashes every byte on the way."""

    def __init__(self, raw: BinaryIO, advance: Advance) -> None:
        self.sha = hashlib.sha256()
        self._raw = raw
        self._advance = advance

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # RawIOBase wants the wider Buffer
        data = self._raw.read(len(buffer))
        buffer[: len(data)] = data
        self.sha.update(data)
        self._advance(len(data))
        return len(data)


def _drain(stream: _Hashing) -> None:
    while stream.read(_CHUNK):
        pass


def _unpacked(path: Path, stream: _Hashing, *, compressed: bool, size: int) -> Iterator[bytes]:
    if not compressed:
        while chunk := stream.read(_CHUNK):
            yield chunk
        return
    total = 0
    try:
        with gzip.GzipFile(fileobj=io.BufferedReader(stream, _CHUNK)) as unpacked:
            while chunk := unpacked.read(_CHUNK):
                total += len(chunk)
                if total > RATIO_FROM_BYTES and total > MAX_RATIO * size:
                    raise SourceRefused(
                        "file.too_large",
                        path,
                        f"{size:,} bytes unpack to more than {total:,}",
                        remedy="Unpack it yourself if that is meant.",
                    )
                yield chunk
    except (EOFError, OSError, zlib.error) as error:
        raise SourceRefused(
            "gzip.corrupt",
            path,
            f"cannot be unpacked: {error}",
            remedy="The copy is incomplete or damaged: fetch it again.",
        ) from None


def _check_text(
    path: Path, chunks: Iterator[bytes], *, form: Format, settings: TableSource
) -> str | None:
    """Decode everything; the CSV's delimiter, declared or found in its header."""
    decoder = codecs.getincrementaldecoder(settings.encoding)("strict")
    quotes: _Quotes | None = None
    delimiter: str | None = None
    offset = 0
    for chunk in chunks:
        text_needed = offset == 0 or settings.encoding != "utf-8"
        pending = len(decoder.getstate()[0])
        text = ""
        if text_needed or pending or not chunk.isascii():
            try:
                text = decoder.decode(chunk)
            except UnicodeDecodeError as error:
                raise _not_decodable(
                    path, settings, chunk, offset - pending + error.start
                ) from None
        if form == "csv" and settings.quote == '"':
            if quotes is None:
                delimiter = settings.delimiter or sniff_delimiter(text)
                quotes = _Quotes(delimiter)
            quotes.feed(chunk if settings.encoding == "utf-8" else text.encode())
        elif form == "csv" and delimiter is None:
            delimiter = settings.delimiter or sniff_delimiter(text)
        offset += len(chunk)
    try:
        pending = len(decoder.getstate()[0])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise _not_decodable(path, settings, b"", offset - pending) from None
    if offset == 0:
        raise SourceRefused("file.empty", path, "unpacks to 0 bytes", remedy="Export it again.")
    if quotes is not None and not quotes.finish():
        _check_quotes_exactly(path, settings, quotes.delimiter)
    return delimiter


def sniff_delimiter(text: str) -> str:
    """The likeliest delimiter of a CSV that begins with `text`: the commonest in its header."""
    header = text.lstrip("\ufeff").splitlines()[0] if text.strip("\ufeff") else ""
    bare = "".join(header.split('"')[::2])
    return max(DELIMITERS, key=bare.count)


class _Quotes:
    """Whether every quote opens or closes a whole cell, checked without parsing cells.

    Quotes alternate between opening and closing (a doubled quote closes and opens again). Strict
    files have a delimiter or a line end before each opening and after each closing one. A file that
    fails may still be right (an inch mark inside a bare cell): only then the exact check is paid.
    """

    def __init__(self, delimiter: str) -> None:
        self.delimiter = delimiter
        around = np.zeros(256, dtype=bool)
        around[[ord("\n"), ord("\r"), _QUOTE, *delimiter.encode()]] = True
        self._around = around
        self._carry = b"\n"
        self._odd = 0
        self._strict = True
        self._first = True

    def feed(self, chunk: bytes) -> None:
        if self._first:
            chunk = chunk.removeprefix(codecs.BOM_UTF8)
            self._first = False
        if not self._strict:
            return
        if b'"' not in chunk and b'"' not in self._carry:
            self._carry = chunk[-1:] or self._carry
            return
        data = np.frombuffer(self._carry + chunk, dtype=np.uint8)
        at = np.flatnonzero(data[1:-1] == _QUOTE) + 1
        opening = at[self._odd :: 2]
        closing = at[1 - self._odd :: 2]
        self._strict = bool(
            self._around[data[opening - 1]].all() and self._around[data[closing + 1]].all()
        )
        self._odd = (self._odd + len(at)) % 2
        # The last byte is judged when its neighbour is known.
        self._carry = data[-2:].tobytes()

    def finish(self) -> bool:
        """Whether the whole file was strict."""
        self.feed(b"\n\n")
        return self._strict and self._odd == 0


def _check_quotes_exactly(path: Path, settings: TableSource, delimiter: str) -> None:
    with path.open("rb") as raw:
        packed = raw.peek(2)[:2] == b"\x1f\x8b"
        stream = gzip.GzipFile(fileobj=raw) if packed else raw
        text = io.TextIOWrapper(stream, encoding=settings.encoding, newline="")
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        try:
            for _ in reader:
                pass
        except csv.Error as error:
            raise SourceRefused(
                "csv.quotes",
                path,
                f"at or before line {reader.line_num}: {error}",
                remedy='Close the quote (a quote inside a quoted cell is doubled: ""), or declare '
                'quote = "none" if quotation marks are plain text there.',
            ) from None


def _not_decodable(path: Path, settings: TableSource, chunk: bytes, offset: int) -> SourceRefused:
    guess = ""
    if offset == 0 and chunk[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
        guess = ' It looks like encoding = "utf-16".'
    return SourceRefused(
        "file.encoding",
        path,
        f"byte {offset:,} is not {settings.encoding}",
        remedy=f'Declare the encoding in source.toml, as encoding = "cp1252".{guess}',
    )


def _check_parquet_end(path: Path) -> None:
    # PAR1 ... footer, footer length (4 bytes), PAR1
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        whole = False
        if size >= 12:  # noqa: PLR2004 - two magics and the length
            file.seek(-8, io.SEEK_END)
            (length,) = struct.unpack("<I", file.read(4))
            whole = file.read(4) == b"PAR1" and length + 12 <= size
            file.seek(0)
            whole = whole and file.read(4) == b"PAR1"
    if not whole:
        raise SourceRefused(
            "parquet.truncated",
            path,
            "does not begin and end as a Parquet file does",
            remedy="The copy is incomplete, or it is not Parquet: fetch it again.",
        )


def _check_checksum_file(file: SourceFile) -> None:
    beside = file.path.with_name(file.path.name + ".sha256")
    if not beside.is_file():
        return
    words = beside.read_text(encoding="utf-8", errors="replace").split()
    if not words or words[0].lower() != file.sha256:
        raise SourceRefused(
            "file.unstable",
            file.path,
            f"its SHA-256 is not the one in {beside.name}",
            remedy="Fetch both again: one of them is older than the other, or damaged.",
        )
