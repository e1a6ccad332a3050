"""What a consumer is called: the same after a restart, so that it finds what it left unfinished."""

import fcntl
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path


@contextmanager
def consumer_name(home: Path) -> Iterator[str]:
    """A name that no other process of this machine has: the first free number under its host.

    The lock goes with the process, however it ends.
    """
    folder = home / "serving" / "consumers"
    folder.mkdir(parents=True, exist_ok=True)
    host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())[:64] or "host"
    for number in count():
        descriptor = os.open(folder / f"{number}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        try:
            yield f"{host}-{number}"
        finally:
            os.close(descriptor)
        return
