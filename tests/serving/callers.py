"""Keys of callers, and a clock of seconds that a test moves."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from serving.worlds import NOON

from oferta_serving.access.keyfile import KeyFile
from oferta_serving.principal import Scope

THEN = datetime.fromtimestamp(NOON, UTC)
YEAR = timedelta(days=365)


def make_key(
    home: Path,
    name: str,
    *scopes: Scope,
    tenant: str = "default",
    lives: timedelta | None = YEAR,
    now: datetime = THEN,
) -> str:
    """A new key, as the command makes it."""
    return KeyFile(home).create(name, scopes=scopes, tenant=tenant, lives=lives, now=now).text


class Hands:
    """A clock of seconds that a test moves."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at
