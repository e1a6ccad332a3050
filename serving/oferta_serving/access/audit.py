"""Lines about who was refused: for the audit, and few enough that a flood cannot fill a disk."""

import time
from collections.abc import Callable
from typing import Final

import structlog

MOST_PER_S: Final = 20
"""Lines a second and process. What comes beyond is counted in one."""

log = structlog.get_logger()


class Audit:
    """Of one process. A line has a key's name and prefix, never a key, a customer or a URL."""

    __slots__ = ("_left", "_seconds", "_since", "_unsaid")

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._since = float("-inf")
        self._left = 0
        self._unsaid = 0

    def refused(
        self,
        code: str,
        *,
        name: str | None = None,
        prefix: str | None = None,
        tenant: str | None = None,
        address: str | None = None,
        request_id: str | None = None,
    ) -> None:
        """Somebody was refused: by name and tenant where the key is one of ours."""
        now = self._seconds()
        if now - self._since >= 1:
            if self._unsaid:
                log.warning("keys.refused_more", count=self._unsaid)
            self._since, self._left, self._unsaid = now, MOST_PER_S, 0
        if self._left == 0:
            self._unsaid += 1
            return
        self._left -= 1
        said = {
            "name": name,
            "prefix": prefix,
            "tenant": tenant,
            "address": address,
            "request_id": request_id,
        }
        known = {word: value for word, value in said.items() if value}
        log.warning("key.refused", code=code, **known)
