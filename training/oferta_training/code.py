"""Which program made a model: its version, and the commit where it runs from a checkout."""

import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path


@cache
def code_version() -> str:
    """`0.1.0`, or `0.1.0+1a2b3c4d` from a checkout; `.dirty` where it has uncommitted changes."""
    released = version("oferta")
    here = Path(__file__).parent
    try:
        commit = _git(here, "rev-parse", "--short=8", "HEAD")
        tracked = _git(here, "ls-files", Path(__file__).name)
        changed = _git(here, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return released
    if not tracked:  # installed into somebody else's checkout
        return released
    return f"{released}+{commit}{'.dirty' if changed else ''}"


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(  # noqa: S603 - constant words
        ["git", *words],  # noqa: S607 - the user's own git
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()
