"""The state folder: where a project keeps what it made. One place, `.oferta` unless told otherwise.

.oferta/
  datasets/      source folders that a command was given as they are, ingested
  mlflow.db, mlflow-artifacts/    runs and registered models
  studies/       what each study has done: figures, values per test row, trials
  scores/        batch scores, one folder per scoring
  triggers/      which triggers have fired
  archive/       accepted events
  nightly/       the last night: its steps, what they printed, its report
  monitoring/    report and metrics of what goes in and out
  privacy/       the consent ledger, receipts of erasures
  serving/       the last release's head, for a start without Redis; figures of workers
  redis/         the embedded server's socket and append-only file
  ledger.jsonl   the publication log: every publish, promotion and rollback
  key-secret     what customer ids are hashed with (mode 0600)
  api-keys.json  who may call the API (mode 0600)
  api-keys.made  that there were keys once
  tenants/NAME/  the same of a further tenant, without redis, key-secret and keys of callers

A tenant's folder is a state folder like any other, so whatever is given one works for a tenant; a
file in it says whose it is.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from oferta.errors import SettingsInvalid

HOME_VARIABLE: Final = "OFERTA_HOME"
TENANT_VARIABLE: Final = "OFERTA_TENANT"
DEFAULT_TENANT: Final = "default"
"""Whose data it is where nobody said."""

TENANT: Final = r"^[a-z0-9][a-z0-9_-]{0,31}$"
"""What a tenant may be called."""

_MARK: Final = "tenant"


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a state folder is, and the project's own, which has the secret and the server."""

    top: Path
    tenant: str


def home_folder(given: Path | None = None) -> Path:
    """The state folder: `given`, else the environment's `OFERTA_HOME`, else `.oferta` here.

    Where `OFERTA_TENANT` names another tenant than the default one, that tenant's within it.

    Raises:
        SettingsInvalid: `OFERTA_TENANT` cannot name a tenant.
    """
    return tenant_folder(top_folder(given), tenant_of_environment())


def top_folder(given: Path | None = None) -> Path:
    """The project's own state folder, whatever the tenant."""
    return given or Path(os.environ.get(HOME_VARIABLE) or ".oferta")


def tenant_of_environment() -> str:
    """The tenant that `OFERTA_TENANT` names."""
    return os.environ.get(TENANT_VARIABLE) or DEFAULT_TENANT


def tenant_folder(top: Path, tenant: str) -> Path:
    """A tenant's state folder, made where there is none.

    Raises:
        SettingsInvalid: no tenant can have this name.
    """
    if tenant == DEFAULT_TENANT:
        return top
    if not re.fullmatch(TENANT, tenant):
        raise SettingsInvalid(
            "tenant", [f"'{tenant}': 1 to 32 of a-z, 0-9, '-' and '_', no other characters"]
        )
    if owner_of(top).tenant != DEFAULT_TENANT:
        raise SettingsInvalid("tenant", [f"{top} is a tenant's own folder: name the one above"])
    folder = top / "tenants" / tenant
    if not (folder / _MARK).exists():
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f"{_MARK}.{os.getpid()}"  # it appears whole, whoever else makes it
        draft.write_text(f"{tenant}\n", encoding="ascii")
        draft.replace(folder / _MARK)
    return folder


def owner_of(home: Path) -> Owner:
    """Whose this state folder is.

    Raises:
        SettingsInvalid: it was made for a tenant and then moved or renamed.
    """
    try:
        said = (home / _MARK).read_text(encoding="ascii").strip()
    except (FileNotFoundError, NotADirectoryError):
        return Owner(home, DEFAULT_TENANT)
    place = home.absolute()
    if place.name != said or place.parent.name != "tenants":
        raise SettingsInvalid(
            home, [f"was made for tenant '{said}': it must lie at tenants/{said} of a state folder"]
        )
    return Owner(place.parent.parent, said)
