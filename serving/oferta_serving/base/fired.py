"""Which triggers have fired: a file of ids under the state folder, one run at a time.

    .oferta/triggers/fired.txt    ids, one a line, oldest first

A run that dies between its output and this file fires the same triggers again, with the same ids:
whoever takes them knows that they are the same.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from oferta.durable import locked
from oferta.errors import OutputFailed

_FOLDER: Final = "triggers"
_FILE: Final = "fired.txt"
_LOCK: Final = "lock"


class FiredTriggers:
    """The ids of all triggers that have fired. Held by one process at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        text = path.read_text(encoding="ascii") if path.is_file() else ""
        # A line that was not written to its end is none: what it was to say will fire again.
        whole = text if text.endswith("\n") else text.rpartition("\n")[0]
        self._ids = set(whole.split())
        self._torn = whole != text

    def __contains__(self, trigger_id: object) -> bool:
        return trigger_id in self._ids

    def __len__(self) -> int:
        return len(self._ids)

    def remember(self, ids: Iterable[str]) -> None:
        """Write down that these have fired; they are on disk when this returns.

        Raises:
            OutputFailed: they could not be written.
        """
        new = [one for one in ids if one not in self._ids]
        start = "\n" if self._torn else ""
        try:
            with self._path.open("a", encoding="ascii") as file:
                file.write(start + "".join(f"{one}\n" for one in new))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputFailed(self._path, str(error)) from None
        self._torn = False
        self._ids.update(new)


def seen_triggers(home: Path) -> FiredTriggers:
    """The ids as they are on disk now: to look at, while another run may add to them."""
    return FiredTriggers(home / _FOLDER / _FILE)


@contextmanager
def fired_triggers(home: Path) -> Iterator[FiredTriggers]:
    """The ids of the state folder; another run that has them is waited for."""
    folder = home / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / _LOCK):
        yield FiredTriggers(folder / _FILE)
