"""The key secret: what customer ids are hashed with; made once, and kept."""

import os
import secrets
from pathlib import Path
from typing import Final

from oferta.errors import SettingsInvalid

SECRET_VARIABLE: Final = "OFERTA_KEY_SECRET"  # noqa: S105 - the name of the variable, not its value
MIN_SECRET_BYTES: Final = 16


def load_secret(home: Path) -> bytes:
    """The key secret: from OFERTA_KEY_SECRET, else the one kept in `home`, made there once.

    Processes that start at the same moment agree on one: the file appears whole or not at all.

    Raises:
        SettingsInvalid: the variable or the file holds fewer than 16 bytes.
    """
    given = os.environ.get(SECRET_VARIABLE)
    if given is not None:
        return _checked(given.strip().encode(), SECRET_VARIABLE)
    path = home / "key-secret"
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True)
        draft = home / f"key-secret.{os.getpid()}.{secrets.token_hex(4)}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_hex(32) + "\n")
                file.flush()
                os.fsync(file.fileno())
            # A link fails where the name exists, a rename would replace the winner's secret.
            _link(draft, path)
        finally:
            draft.unlink(missing_ok=True)
    return _checked(path.read_bytes().strip(), str(path))


def _link(draft: Path, path: Path) -> None:
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        return


def _checked(secret: bytes, place: str) -> bytes:
    if len(secret) < MIN_SECRET_BYTES:
        raise SettingsInvalid(
            place, [f"the key secret must have {MIN_SECRET_BYTES} characters or more"]
        )
    return secret
