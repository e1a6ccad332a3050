"""What is wrong with this machine: packages, open files, disk, the state folder and its secrets."""

import os
import resource
import shutil
import stat
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from oferta.errors import SettingsInvalid
from oferta.home import owner_of
from oferta.store.key_secret import SECRET_VARIABLE, load_secret
from oferta_serving.doctor.finding import Finding, advice, ok, unknown, wrong

NEEDED: Final = {
    "starlette": (0, 49, 1),  # CVE-2025-62727: a Range header that takes all processor time
    "mlflow": (3, 11, 0),  # CVE-2026-4137 and four before it; only where it is installed
    "redis": (6, 0, 0),
}
"""The oldest versions without a known hole, from the projects' advisories."""

MIN_FILES: Final = 1024
MIN_FREE_BYTES: Final = 1_000_000_000
MIN_FREE_SHARE: Final = 0.05
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def machine_findings(home: Path, *, connections: int) -> Iterator[Finding]:
    """What this machine and the state folder are like.

    Args:
        home: the state folder.
        connections: to Redis, of one worker, by the settings.
    """
    for package, oldest in NEEDED.items():
        yield from _package(package, oldest)
    yield _files(connections)
    yield from _folder(home)
    yield _secret(home)


def _package(package: str, oldest: tuple[int, ...]) -> Iterator[Finding]:
    try:
        found = version(package)
    except PackageNotFoundError:
        return
    numbers = tuple(int(part) for part in found.split(".")[:3] if part.isdigit())
    name = f"package {package}"
    if numbers < oldest:
        wanted = ".".join(map(str, oldest))
        yield wrong(
            "machine", name, f"{found} has known holes.", f"Install {package} {wanted} or later."
        )
    else:
        yield ok("machine", name, f"{found}.")


def _files(connections: int) -> Finding:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit != resource.RLIM_INFINITY and limit < max(MIN_FILES, 4 * connections):
        return advice(
            "machine",
            "open files",
            f"A process may open {limit}.",
            "Raise it: LimitNOFILE=65536 in the systemd unit, or `ulimit -n`.",
        )
    return ok("machine", "open files", f"A process may open {limit}.")


def _folder(home: Path) -> Iterator[Finding]:
    if not home.exists():
        yield ok("files", "state folder", f"{home} will be made at the first run.")
        return
    if not os.access(home, os.R_OK | os.W_OK | os.X_OK):
        yield wrong(
            "files",
            "state folder",
            f"{home} cannot be read and written by this user.",
            "Give it to the user who serves: chown.",
        )
        return
    yield ok("files", "state folder", f"{home} can be read and written.")
    usage = shutil.disk_usage(home)
    said = f"{usage.free / 1e9:.1f} GB free of {usage.total / 1e9:.0f} GB."
    if usage.free < MIN_FREE_BYTES or usage.free < MIN_FREE_SHARE * usage.total:
        yield advice("files", "disk", said, "Make room: ledger and archive stop when it is full.")
    else:
        yield ok("files", "disk", said)


def _secret(home: Path) -> Finding:
    home = owner_of(home).top  # a tenant's is made of it
    path = home / "key-secret"
    given = SECRET_VARIABLE in os.environ
    if not given and not path.exists():
        return unknown("keys", "key secret", "None yet: the first run makes one in the folder.")
    try:
        load_secret(home)
    except (SettingsInvalid, OSError) as error:
        return wrong(
            "keys",
            "key secret",
            str(error) if isinstance(error, SettingsInvalid) else "It cannot be read.",
            f"Set {SECRET_VARIABLE} to the publisher's secret, or share the state folder.",
        )
    if not given and path.stat().st_mode & _OTHERS:
        return wrong(
            "keys",
            "key secret",
            f"{path} can be read by others.",
            f"chmod 600 {path}",
        )
    return ok("keys", "key secret", "By the environment." if given else f"In {path}.")
