"""Files that outlive a kill: whole or as they were, on the disk, changed by one process at a time.

A lock here is one of the file's (`flock`): it ends with the process that has it, however that ends.
"""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def sync(path: Path) -> None:
    """Bring a file to the disk; of a folder, the names in it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Bring a folder with everything under it to the disk."""
    for path in folder.rglob("*"):
        sync(path)
    sync(folder)


@contextmanager
def replaced(path: Path, *, mode: int = 0o666) -> Iterator[BinaryIO]:
    """A file to write, which takes the place of `path` at the end of the block, on the disk.

    Who reads `path` sees the old file or the new one. Where the block fails the old one stays.
    Several processes may do this at once, each with a draft of its own: the last to end wins.

    Args:
        path: in a folder that is there.
        mode: who may read and write it, as for `os.open`.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    sync(path.parent)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Have the lock at `path` until the block ends; another process that has it is waited for."""
    descriptor = _opened(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def lock_if_free(path: Path) -> Iterator[int | None]:
    """The descriptor of the lock at `path`, had until the block ends; None: another's. Never waits.

    A child process that inherits the descriptor has the lock, too, and for as long as it lives.
    """
    descriptor = _opened(path)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield descriptor
    finally:
        os.close(descriptor)


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
