"""What the doctor says of one thing it looked at."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "advice", "wrong", "unknown"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        area: where it belongs: redis, release, events, privacy, keys, files, machine.
        name: what was looked at, in a few words.
        state: `wrong` needs mending before this may serve; `advice` is for somebody to weigh;
            `unknown` could not be looked at.
        said: what was found. Never a secret, never a customer.
        remedy: what to do; empty where nothing is to be done.
    """

    area: str
    name: str
    state: State
    said: str
    remedy: str = ""


def ok(area: str, name: str, said: str) -> Finding:
    """Nothing to do."""
    return Finding(area, name, "ok", said)


def advice(area: str, name: str, said: str, remedy: str) -> Finding:
    """Something to weigh."""
    return Finding(area, name, "advice", said, remedy)


def wrong(area: str, name: str, said: str, remedy: str) -> Finding:
    """Something to mend."""
    return Finding(area, name, "wrong", said, remedy)


def unknown(area: str, name: str, said: str, remedy: str = "") -> Finding:
    """Something that could not be looked at."""
    return Finding(area, name, "unknown", said, remedy)
