"""The ladder: how far an answer is from what it should be, as one word in every answer.

| level | what it is | the rows it needs |
| --- | --- | --- |
| L0 | personalised and fresh, or whatever else was asked for, as it should be | all |
| L1 | personalised, without what the customer did lately | the live release's |
| L2 | the customer's row of the release before, for a day after it was replaced | that one |
| L3 | everybody's list, from this process's memory | none |
| L4 | everybody's list, from the release kept on disk; nothing where none was | none |

A level follows from why the answer is degraded, and from where the release is from: a new reason
without a level fails where it is first answered with, and in a test.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

Rung = Literal["L0", "L1", "L2", "L3", "L4"]

RUNGS: Final[Mapping[str, Rung]] = MappingProxyType(
    {
        "recent_unreadable": "L1",
        "previous_release": "L2",
        "store_unavailable": "L3",
        "store_empty": "L3",
        "release_unreadable": "L3",
        "key_secret_differs": "L3",
        "consent_unreadable": "L3",
        "consent_unknown": "L3",
        "record_missing": "L3",
        "record_corrupt": "L3",
        "no_profiles": "L3",
        "release_from_disk": "L4",
        "release_expired": "L4",
        "no_release": "L4",
    }
)
"""By `degraded_reason`, of lists and of decisions."""


def rung(reason: str | None, *, from_disk: bool = False) -> Rung:
    """The level of an answer.

    Args:
        reason: why it is degraded; None: it is not.
        from_disk: whether what was served is of the release kept on disk.
    """
    if reason is None:
        return "L0"
    level = RUNGS[reason]
    return "L4" if level == "L3" and from_disk else level
