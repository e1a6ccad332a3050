"""The document of `--json`: to a file, or to standard output."""

import sys
from pathlib import Path
from typing import Any

import orjson


def write_document(document: dict[str, Any], place: str) -> None:
    """`document` as indented JSON in the file `place`; `-`: on standard output."""
    text = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    if place == "-":
        sys.stdout.buffer.write(text)
    else:
        Path(place).write_bytes(text)
