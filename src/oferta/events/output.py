"""Where a dataset is written: built aside, made real by one rename, whole whatever is killed when.

    DATASET/dataset.json          names the data folder that is live; replaced by rename
    DATASET/data-<hash>-<random>  one folder of tables; never changed once it is named
    DATASET/.building-<random>    a run at work, or the rest of a dead one

The folder that was live before is kept until the next ingest, so that whoever is reading it can
finish.
"""

import errno
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from oferta.durable import sync, sync_tree
from oferta.errors import OutputFailed, SourceRefused
from oferta.events.manifest import MANIFEST, DatasetManifest, read_manifest

_LOCK: Final = ".lock"
_BUILDING: Final = ".building-"
_OURS: Final = re.compile(
    r"\.lock|dataset\.json(\.new)?|\.building-[0-9a-f]{8}|data-[0-9a-f]{12}-[0-9a-f]{8}"
)
_NO_ROOM: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True, slots=True)
class Output:
    """A dataset folder that this process alone may write."""

    path: Path
    folder: Path
    """Where to build; gone when the block ends without `commit`."""
    previous: DatasetManifest | None

    def data_name(self, fingerprint: str) -> str:
        """A name for the data folder that no other run has."""
        return f"data-{fingerprint[:12]}-{self.folder.name.removeprefix(_BUILDING)}"

    def commit(self, manifest: DatasetManifest) -> None:
        """Make what was built the dataset: from here on readers see it, before they saw the old."""
        sync_tree(self.folder)
        self.folder.rename(self.path / manifest.data)
        new = self.path / (MANIFEST + ".new")
        with new.open("w", encoding="utf-8") as file:
            file.write(manifest.model_dump_json(indent=2))
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path / MANIFEST)
        sync(self.path)
        kept = {manifest.data, self.previous.data if self.previous else ""}
        for old in self.path.glob("data-*"):
            if old.name not in kept and _OURS.fullmatch(old.name):
                shutil.rmtree(old, ignore_errors=True)


@contextmanager
def open_output(path: Path) -> Iterator[Output]:
    """Take `path` for writing and clear away what dead runs left there.

    Raises:
        SourceRefused: `output.not_a_dataset`, `output.unwritable` or `output.busy`.
        OutputFailed: the disk is full.
    """
    created = not path.exists()
    _refuse_foreign(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = (path / _LOCK).open("w")
    except OSError as error:
        raise SourceRefused(
            "output.unwritable",
            path,
            error.strerror or "cannot be written",
            remedy="Choose another --out, or give this user write permission.",
        ) from None
    with lock:
        _take(lock.fileno(), path)
        previous = read_manifest(path)
        _clear(path, previous)
        folder = path / (_BUILDING + secrets.token_hex(4))
        try:
            folder.mkdir()
            yield Output(path, folder, previous)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            raise OutputFailed(path, os.strerror(error.errno or errno.ENOSPC)) from None
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            if created and not (path / MANIFEST).exists():
                shutil.rmtree(path, ignore_errors=True)


def _refuse_foreign(path: Path) -> None:
    if not path.exists():
        return
    foreign = (
        [path.name]
        if not path.is_dir()
        else [entry.name for entry in path.iterdir() if not _OURS.fullmatch(entry.name)]
    )
    if foreign:
        raise SourceRefused(
            "output.not_a_dataset",
            path,
            f"is there already and is no dataset: it holds '{min(foreign)}'",
            remedy="Choose another --out; nothing there was touched.",
        )


def _take(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SourceRefused(
            "output.busy",
            path,
            "another ingest is writing this dataset",
            remedy="Wait for it to end, or choose another --out.",
        ) from None


def _clear(path: Path, manifest: DatasetManifest | None) -> None:
    for entry in path.iterdir():
        dead = entry.name.startswith(_BUILDING) or (
            manifest is None and entry.name.startswith("data-")
        )
        if dead and _OURS.fullmatch(entry.name):
            shutil.rmtree(entry, ignore_errors=True)
