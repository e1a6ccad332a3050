"""Whose key a request carries: the file of keys, as it is on disk now."""

import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import structlog

from oferta.clock import Clock
from oferta.errors import SettingsInvalid
from oferta_serving.access.attempts import Attempts
from oferta_serving.access.audit import Audit
from oferta_serving.access.keyfile import KeyFile, StoredKey, parsed
from oferta_serving.principal import LOCAL, Principal
from oferta_serving.problems import RequestRefused

LOOK_S: Final = 0.5
"""How often the file is looked at: a revoked key opens nothing a second later."""

_NOBODY = bytes(32)
_UNKNOWN = ""  # no prefix of ours

log = structlog.get_logger()

_Mark = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class _Known:
    stored: StoredKey
    digest: bytes
    principal: Principal


class Keyring:
    """The keys of a state folder. Where none was ever made, everybody is `LOCAL`.

    The file is read again when it changed; it is looked at by a request, so that a worker that is
    asked nothing does nothing. One that is damaged changes nothing and is logged: a slip of the
    editor must not lock everybody out. One that is gone lets nobody in,
    whether it went before the start or after.
    """

    def __init__(
        self,
        home: Path,
        clock: Clock,
        *,
        audit: Audit | None = None,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file = KeyFile(home)
        self._clock = clock
        self._audit = audit or Audit(seconds)
        self._seconds = seconds
        self._attempts = Attempts(seconds)
        self._keys: MappingProxyType[str, _Known] = MappingProxyType({})
        self._open = self._file.never_made()
        self._mark: _Mark | None = None
        self._look_at = float("-inf")
        self._look()
        if not self._open and self._mark is None:
            log.error("keys.missing")

    def principal(self, key: bytes | None, address: str) -> Principal:
        """Who speaks with `key`, from `address`.

        Raises:
            RequestRefused: `key.missing`, `key.invalid`, `key.expired`, `key.revoked` (the last two
                told only to who has the secret), or `key.attempts`.
        """
        if self._seconds() >= self._look_at:
            self._look()
        if self._open:
            return LOCAL
        if key is None:
            raise RequestRefused("key.missing")
        found = parsed(key)
        prefix, digest = found or (_UNKNOWN, _NOBODY)
        known = self._keys.get(prefix)
        counted = _UNKNOWN if known is None else prefix
        # Compared even where there is nothing to compare with: time does not tell which was wrong.
        right = hmac.compare_digest(_NOBODY if known is None else known.digest, digest)
        if known is None or not right or found is None:
            # Only who is wrong is slowed: a prefix and an address are no secrets, and must not be
            # enough to shut out whose they are.
            self._check_attempts(counted, address)
            self._attempts.wrong(counted, address)
            self._refused("key.invalid", None if known is None else known.stored, address)
            raise RequestRefused("key.invalid")
        if not known.stored.active(self._clock.now()):
            code = "key.revoked" if known.stored.revoked else "key.expired"
            self._refused(code, known.stored, address)
            raise RequestRefused(code)
        return known.principal

    def _check_attempts(self, counted: str, address: str) -> None:
        try:
            self._attempts.check(counted, address)
        except RequestRefused as refused:
            self._audit.refused(refused.code, prefix=counted, address=address)
            raise

    def _refused(self, code: str, stored: StoredKey | None, address: str) -> None:
        """For the audit: of a key of ours its name and prefix, of any other nothing."""
        if stored is None:
            self._audit.refused(code, address=address)
        else:
            self._audit.refused(
                code,
                name=stored.name,
                prefix=stored.prefix,
                tenant=stored.tenant,
                address=address,
            )

    def _look(self) -> None:
        self._look_at = self._seconds() + LOOK_S
        try:
            stat = self._file.path.stat()
        except FileNotFoundError:
            if not self._open:
                self._keys, self._mark = MappingProxyType({}), None
            return
        except OSError:
            log.exception("keys.unreadable")
            return
        mark = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        if mark == self._mark:
            return
        self._mark = mark
        self._open = False
        try:
            stored = self._file.read()
        except SettingsInvalid as error:
            log.error("keys.unreadable", problem=str(error))  # noqa: TRY400 - no trace: it is theirs
            return
        self._keys = MappingProxyType({key.prefix: _known(key) for key in stored})
        log.info("keys.loaded", keys=len(stored))


def _known(key: StoredKey) -> _Known:
    principal = Principal(key.name, key.tenant, frozenset(key.scopes))
    return _Known(key, bytes.fromhex(key.sha256), principal)
