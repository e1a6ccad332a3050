"""Instants as they are sent in bodies: RFC 3339 with an offset, and nothing that resembles it."""

import re
from datetime import datetime
from typing import Final

_INSTANT: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})")


def sent_instant(value: object) -> datetime | None:
    """The aware instant, one that epoch seconds can tell; None: `value` is none."""
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        return None
    try:
        at = datetime.fromisoformat(value)
        at.timestamp()
    except (ValueError, OverflowError):
        return None
    return at
