"""Files that are whole or not there, and work that is done by one process at a time."""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import polars as pl


def write_whole(path: Path, content: pl.DataFrame | Mapping[str, Any] | bytes) -> None:
    """Write beside and rename: a reader never sees half a file.

    A table becomes Parquet, a mapping JSON. Two processes that write the same file do not meet: the
    last one to end stays.
    """
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        if isinstance(content, pl.DataFrame):
            content.write_parquet(beside)
        elif isinstance(content, bytes):
            beside.write_bytes(content)
        else:
            beside.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2))
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock that `path` names; it ends with the process, however that ends.

    Raises:
        BlockingIOError: another process holds it, and `wait` is false.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
