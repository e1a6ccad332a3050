"""The file of API keys: what is kept of each, and the only code that changes it.

A key is `oferta_<prefix>.<secret>`. The prefix finds it and is no secret; of the secret, 32 random
bytes, the file has the SHA-256 alone (a plain hash keeps what cannot be guessed). The file is
replaced whole, under a lock, and on disk before a command says that it is done.
"""

import hashlib
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar

from pydantic import AwareDatetime, Field, ValidationError

from oferta.durable import locked, replaced
from oferta.errors import SettingsInvalid, UnknownName
from oferta.home import DEFAULT_TENANT, TENANT
from oferta.settings import Settings, parse
from oferta_serving.principal import Scope

MOST_ACTIVE: Final = 2
"""Active keys of one name: the old one and the new one, while callers change over."""

_PREFIX_BYTES = 6
_SECRET_BYTES = 32
_KEY: Final = re.compile(rb"oferta_([0-9a-f]{12})\.([A-Za-z0-9_-]{43})")
_LIFETIME: Final = re.compile(r"([1-9][0-9]{0,4})([dhm])")
_UNITS: Final = {"d": "days", "h": "hours", "m": "minutes"}

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
Tenant = Annotated[str, Field(pattern=TENANT)]


_Said = TypeVar("_Said")


class StoredKey(Settings):
    """What is kept of a key: all but the key."""

    name: Name
    prefix: str = Field(pattern=r"^[0-9a-f]{12}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    scopes: tuple[Scope, ...] = Field(min_length=1)
    tenant: Tenant = DEFAULT_TENANT
    created: AwareDatetime
    expires: AwareDatetime | None = None
    revoked: AwareDatetime | None = None

    def active(self, now: datetime) -> bool:
        """Whether it lets anybody in at `now`."""
        return self.revoked is None and (self.expires is None or now < self.expires)

    def state(self, now: datetime) -> str:
        """In a word: active, revoked or expired."""
        return "revoked" if self.revoked else "active" if self.active(now) else "expired"


class _Document(Settings):
    version: Literal[1] = 1
    keys: tuple[StoredKey, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class NewKey:
    """A key that was just made. The `text` exists nowhere else: it is shown once."""

    stored: StoredKey
    text: str

    def __repr__(self) -> str:
        return f"NewKey({self.stored.name})"


def parsed(key: bytes) -> tuple[str, bytes] | None:
    """Prefix and SHA-256 of the secret of what may be a key; None: it cannot be one."""
    found = _KEY.fullmatch(key)
    return None if found is None else (found[1].decode(), hashlib.sha256(found[2]).digest())


def lifetime(text: str) -> timedelta | None:
    """How long a key lives: `90d`, `12h`, `30m`; None for `never`.

    Raises:
        SettingsInvalid: it is none of these.
    """
    if text == "never":
        return None
    found = _LIFETIME.fullmatch(text)
    if found is None:
        raise SettingsInvalid("--expires", [f"'{text}': write 90d, 12h, 30m or never"])
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


class KeyFile:
    """`api-keys.json` of a state folder.

    Beside it `api-keys.made` says that there were keys once: without it a file that got lost would
    look like a machine that never had any, where anybody may ask anything.
    """

    def __init__(self, home: Path) -> None:
        self.path = home / "api-keys.json"
        self._made = home / "api-keys.made"

    def never_made(self) -> bool:
        """Whether this state folder never had keys, as far as can be seen."""
        try:
            return not (self.path.exists() or self._made.exists())
        except OSError:
            return False

    def remember(self) -> None:
        """See to it that keys which are there, of an older program perhaps, are remembered."""
        with suppress(OSError):  # a folder that cannot be written: the file alone counts there
            if self.path.exists() and not self._made.exists():
                self._made.touch(0o600)

    def check_not_lost(self) -> None:
        """Refuse to go on without keys that there were.

        Raises:
            SettingsInvalid: keys were made here, and their file is gone.
        """
        if self.path.exists() or not self._made.exists():
            return
        problem = (
            "API keys were made here and their file is gone: restore it from a backup, or make new "
            "keys (`oferta keys create NAME`; the lost ones stay shut). See docs/access.md"
        )
        raise SettingsInvalid(self.path, [problem])

    def read(self) -> tuple[StoredKey, ...]:
        """All keys, oldest first; none where there is no file.

        Raises:
            SettingsInvalid: the file cannot be read, or is none of ours.
        """
        try:
            text = self.path.read_bytes()
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise SettingsInvalid(self.path, [str(error.strerror)]) from None
        try:
            return _Document.model_validate_json(text).keys
        except ValidationError as error:
            wrong = ".".join(str(part) for part in error.errors(include_input=False)[0]["loc"])
            raise SettingsInvalid(
                self.path, [f"not a file of keys, from '{wrong}' on: restore it from a backup"]
            ) from None

    def create(
        self,
        name: str,
        *,
        scopes: tuple[Scope, ...],
        tenant: str,
        lives: timedelta | None,
        now: datetime,
    ) -> NewKey:
        """A key under a new name.

        Raises:
            SettingsInvalid: the name has active keys already, or a value is wrong.
        """

        def change(keys: tuple[StoredKey, ...]) -> tuple[tuple[StoredKey, ...], NewKey]:
            if any(key.name == name and key.active(now) for key in keys):
                raise SettingsInvalid(
                    "name", [f"'{name}' has an active key: `oferta keys rotate {name}` adds one"]
                )
            new = _made(name, scopes=scopes, tenant=tenant, lives=lives, now=now)
            return (*keys, new.stored), new

        return self._changed(change)

    def rotate(self, name: str, *, lives: timedelta | None, now: datetime) -> NewKey:
        """A second key of the same name, scopes and tenant; the first stays until revoked.

        Raises:
            UnknownName: no key of this name is active.
            SettingsInvalid: two are.
        """

        def change(keys: tuple[StoredKey, ...]) -> tuple[tuple[StoredKey, ...], NewKey]:
            active = [key for key in keys if key.name == name and key.active(now)]
            if not active:
                raise UnknownName("active key", name, {k.name for k in keys if k.active(now)})
            if len(active) >= MOST_ACTIVE:
                old = active[0].prefix
                raise SettingsInvalid(
                    "name",
                    [f"'{name}' has two active keys: `oferta keys revoke {old}` ends the older"],
                )
            was = active[-1]
            new = _made(name, scopes=was.scopes, tenant=was.tenant, lives=lives, now=now)
            return (*keys, new.stored), new

        return self._changed(change)

    def revoke(self, what: str, *, now: datetime) -> tuple[StoredKey, ...]:
        """End the key with this prefix, or all active ones of this name; returns those.

        Raises:
            UnknownName: no active key has this prefix or name.
        """

        def change(
            keys: tuple[StoredKey, ...],
        ) -> tuple[tuple[StoredKey, ...], tuple[StoredKey, ...]]:
            ended = tuple(
                key.model_copy(update={"revoked": now})
                for key in keys
                if what in {key.name, key.prefix} and key.active(now)
            )
            if not ended:
                raise UnknownName("active key", what, {k.name for k in keys if k.active(now)})
            by_prefix = {key.prefix: key for key in ended}
            return tuple(by_prefix.get(key.prefix, key) for key in keys), ended

        return self._changed(change)

    def _changed(
        self, change: Callable[[tuple[StoredKey, ...]], tuple[tuple[StoredKey, ...], _Said]]
    ) -> _Said:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with locked(self.path.with_suffix(".lock")):
            keys, said = change(self.read())
            self._made.touch(0o600)
            with replaced(self.path, mode=0o600) as file:
                file.write(_Document(keys=keys).model_dump_json(indent=1).encode() + b"\n")
            return said


def _made(
    name: str,
    *,
    scopes: tuple[Scope, ...],
    tenant: str,
    lives: timedelta | None,
    now: datetime,
) -> NewKey:
    prefix = secrets.token_hex(_PREFIX_BYTES)
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    values = {
        "name": name,
        "prefix": prefix,
        "sha256": hashlib.sha256(secret.encode()).hexdigest(),
        "scopes": scopes,
        "tenant": tenant,
        "created": now,
        "expires": None if lives is None else now + lives,
    }
    stored = parse(values, StoredKey, place="oferta keys")
    return NewKey(stored, f"oferta_{prefix}.{secret}")
