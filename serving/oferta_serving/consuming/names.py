"""What a consumer is called: the same after a restart, so that it finds what it left unfinished."""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from oferta.durable import lock_if_free


@contextmanager
def consumer_name(home: Path) -> Iterator[str]:
    """A name that no other process of this machine has: the first free number under its host.

    The lock goes with the process, however it ends.
    """
    folder = home / "serving" / "consumers"
    folder.mkdir(parents=True, exist_ok=True)
    host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())[:64] or "host"
    for number in count():
        with lock_if_free(folder / f"{number}.lock") as lock:
            if lock is not None:
                yield f"{host}-{number}"
                return
