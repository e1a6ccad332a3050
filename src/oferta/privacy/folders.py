"""Folders with rows of customers: which there are, and how one is replaced as a whole.

<home>/privacy/folders.jsonl    datasets and scores that lie anywhere but in `<home>/datasets` and
                                `<home>/scores`, noted as they were used
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

import orjson

from oferta.durable import sync, sync_tree

Kind = Literal["dataset", "scores"]

_FILE: Final = "folders.jsonl"
_KEPT: Final[dict[Kind, str]] = {"dataset": "datasets", "scores": "scores"}
_TENANTS: Final = "tenants"
_WITHIN: Final = ("dataset.json", "*/dataset.json", "*/*/dataset.json")
"""Where a dataset may lie in a state folder without having been noted."""


def note_folder(home: Path, kind: Kind, folder: Path) -> None:
    """Remember that `folder`, wherever it lies, may hold customers.

    What lies where its kind is kept is found without a note; other tenants' is not this one's.
    """
    where, root = folder.resolve(), home.resolve()
    if where == root:
        return  # a note inside a dataset would make it somebody else's folder
    if where.parent == root / _KEPT[kind] or where.is_relative_to(root / _TENANTS):
        return
    if where in _notes(home, kind):
        return
    notes = home / "privacy" / _FILE
    notes.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with notes.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        # A line that was cut off must not swallow this one; empty ones are passed over.
        file.write(b"\n" + orjson.dumps({"kind": kind, "folder": str(where)}) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def noted_folders(home: Path, kind: Kind) -> list[Path]:
    """The folders of a kind that lie elsewhere than where it is kept; any may be gone by now.

    Those that were noted; and datasets up to two levels below the state folder, noted or not.
    """
    found = dict.fromkeys(_notes(home, kind))
    if kind == "dataset":
        root = home.resolve()
        for pattern in _WITHIN:
            for manifest in sorted(root.glob(pattern)):
                folder = manifest.parent
                elsewhere = folder.relative_to(root).parts[:1] != (_TENANTS,)
                if elsewhere and folder.parent != root / _KEPT[kind]:
                    found[folder.resolve()] = None
    return list(found)


def _notes(home: Path, kind: Kind) -> list[Path]:
    try:
        lines = (home / "privacy" / _FILE).read_bytes().splitlines()
    except FileNotFoundError:
        return []
    found: dict[Path, None] = {}
    for line in lines:
        try:
            said = orjson.loads(line)
            if said["kind"] == kind:
                found[Path(said["folder"])] = None
        except (orjson.JSONDecodeError, KeyError, TypeError):
            continue
    return list(found)


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """An empty folder to build in, which takes the place of `folder` at the end of the block.

    Killed at any point, `folder` is the old or the new one, or `recovered` makes it the new one;
    for the instant between two renames it is not there. One process at a time may replace it.
    """
    recovered(folder)
    part, ready, old = _beside(folder)
    part.mkdir()
    try:
        yield part
        sync_tree(part)
        part.rename(ready)
        folder.rename(old)
        ready.rename(folder)
        sync(folder.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)


def recovered(folder: Path) -> None:
    """Finish, or clear away, what a killed process left of `replacing`."""
    part, ready, old = _beside(folder)
    shutil.rmtree(part, ignore_errors=True)
    if ready.exists() and not folder.exists():
        ready.rename(folder)
        sync(folder.parent)
    shutil.rmtree(ready, ignore_errors=True)
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)


def unfinished(parent: Path) -> list[Path]:
    """The folders under `parent` whose replacement was cut off."""
    ends = (".erasing", ".erasing-ready", ".erasing-old")
    names = {
        path.name.removesuffix(end).removeprefix(".")
        for path in parent.glob(".*")
        for end in ends
        if path.name.endswith(end)
    }
    return [parent / name for name in sorted(names)]


def _beside(folder: Path) -> tuple[Path, Path, Path]:
    stages = ("erasing", "erasing-ready", "erasing-old")
    part, ready, old = (folder.with_name(f".{folder.name}.{stage}") for stage in stages)
    return part, ready, old
