"""The publication log: every publish, promotion and rollback, one JSON line each, outside Redis.

It survives an emptied Redis and says which number the next release must be above, and which
version of a model was champion when, by whose act and why. A line is whole
or it is not there: a torn last line (the machine stopped while it was written) is passed over.
"""

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from oferta.clock import Clock

Action = Literal[
    "publishing",
    "published",
    "refused",
    "rolling back",
    "rolled back",
    "found live",
    "promoting",
    "promoted",
    "refused promotion",
    "rolling champion back",
    "champion rolled back",
    "found champion",
]

DONE: tuple[Action, ...] = ("published", "rolled back", "found live")
"""The actions after which a fence is known to have swapped."""

CHAMPION_DONE: tuple[Action, ...] = ("promoted", "champion rolled back", "found champion")
"""The actions after which a version is known to have been champion."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log.

    Attributes:
        action: what happened. What ends in `-ing`, or says `rolling`, is written before the swap
            or the alias, so that a process killed right after it has left its name.
        release, fence: numbers of the release and of the swap; None of a champion.
        previous: the release that was live before, as far as it was known.
        model, model_run, dataset: what the release was made of, or which version it is about; a
            model without a number where a promotion was refused before there was a version.
        customers: how many have a row in it.
        reason: why, in a person's words: of a rollback or an override; or the code of a refusal;
            or the gate's sentence.
        replaced: the version that was champion before.
        guards: the guards that refused a promotion, with commas between.
        by: what made the change, as `oferta train`.
    """

    action: Action
    release: int | None = None
    fence: int | None = None
    previous: int | None = None
    model: str | None = None
    model_run: str | None = None
    dataset: str | None = None
    customers: int | None = None
    reason: str | None = None
    replaced: str | None = None
    guards: str | None = None
    by: str | None = None


@dataclass(frozen=True, slots=True)
class PublicationLog:
    """The log in one file. Several processes may append to it."""

    path: Path
    clock: Clock

    def append(self, entry: Entry) -> None:
        """Add a line; it is on the disk when this returns."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fields = {"at": self.clock.now().astimezone(UTC).isoformat(), **asdict(entry)}
        line = json.dumps({name: value for name, value in fields.items() if value is not None})
        with self.path.open("ab+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0, os.SEEK_END)
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":  # a torn line must not swallow this one
                    line = "\n" + line
            file.write(line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def entries(self) -> list[tuple[datetime, Entry]]:
        """All whole lines, oldest first."""
        try:
            lines = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        found = []
        for line in lines:
            try:
                fields = json.loads(line)
                found.append((datetime.fromisoformat(fields.pop("at")), Entry(**fields)))
            except (ValueError, TypeError, KeyError, AttributeError):
                continue
        return found

    def last_fence(self) -> int:
        """The largest fence that was ever about to swap; 0 in an empty log."""
        return max((entry.fence or 0 for _, entry in self.entries()), default=0)

    def knows(self, fence: int) -> bool:
        """Whether the swap with this fence is on record as done."""
        return any(entry.fence == fence and entry.action in DONE for _, entry in self.entries())

    def champions(self, name: str) -> list[str]:
        """The versions of the model `name` that were champion, in order, as `name/number`."""
        return [label for label, _ in self.reigns(name)]

    def reigns(self, name: str) -> list[tuple[str, datetime]]:
        """The same, each with when it became champion, or was found to be."""
        return self._acts(name, CHAMPION_DONE)

    def let_through(self, name: str) -> list[str]:
        """The same, without those that no gate ever let through: set by hand, and found."""
        passed = {label for label, _ in self._acts(name, ("promoting", "promoted"))}
        return [label for label in self.champions(name) if label in passed]

    def _acts(self, name: str, actions: tuple[Action, ...]) -> list[tuple[str, datetime]]:
        return [
            (entry.model, at)
            for at, entry in self.entries()
            if entry.action in actions
            and entry.model is not None
            and entry.model.rpartition("/")[0] == name
        ]


def publication_log_path(home: Path) -> Path:
    """Where that of a state folder lies."""
    return home / "ledger.jsonl"
