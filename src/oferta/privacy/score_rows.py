"""A customer's rows in folders of scores: lists, wide rows, and their line among the customers."""

import asyncio
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from oferta.privacy.folders import noted_folders, recovered, replacing, unfinished
from oferta.privacy.places import Row, Subject
from oferta.privacy.tables import customers_in, holds_customer, rows_of, take_out

_MANIFEST: Final = "manifest.json"
_PEOPLE: Final = "customers.parquet"


@dataclass(frozen=True, slots=True)
class ScoreRows:
    """All folders of scores of a state folder, and those noted in it: a `Place`."""

    home: Path
    name: str = "scores"

    async def erase(self, subject: Subject) -> int:
        """See `Place.erase`."""
        return await asyncio.to_thread(self._erase, subject.customer_id)

    async def export(self, subject: Subject) -> Sequence[Row]:
        """See `Place.export`."""
        return await asyncio.to_thread(self._rows, subject.customer_id)

    async def holds(self, subject: Subject) -> bool:
        """See `Place.holds`."""
        return await asyncio.to_thread(self._holds, subject.customer_id)

    def customers(self) -> set[str]:
        """Everybody who has a row in any folder."""
        return customers_in(table for folder in self._folders() for table in _tables(folder))

    def _erase(self, customer_id: str) -> int:
        for folder in (*unfinished(self.home / "scores"), *noted_folders(self.home, "scores")):
            recovered(folder)
        return sum(erase_from_scores(folder, customer_id) for folder in self._folders())

    def _holds(self, customer_id: str) -> bool:
        return any(
            holds_customer(table, customer_id)
            for folder in self._folders()
            for table in _tables(folder)
        )

    def _rows(self, customer_id: str) -> list[Row]:
        return [
            {"folder": folder.name, "table": str(table.relative_to(folder)), **row}
            for folder in self._folders()
            for table in _tables(folder)
            for row in rows_of(table, customer_id)
        ]

    def _folders(self) -> list[Path]:
        """Those that were finished; a run at work looks for who was erased when it ends."""
        scores = self.home / "scores"
        found = [manifest.parent for manifest in sorted(scores.glob(f"*/{_MANIFEST}"))]
        found += noted_folders(self.home, "scores")
        return [one for one in found if one.is_dir() and not one.name.startswith(".")]


def erase_from_scores(folder: Path, customer_id: str) -> int:
    """Take a customer out of one folder of scores, which is whole before and after.

    One process at a time. How many rows went.
    """
    recovered(folder)
    if not any(holds_customer(table, customer_id) for table in _tables(folder)):
        return 0
    fields: dict[str, Any] = orjson.loads((folder / _MANIFEST).read_bytes())
    went: dict[str, int] = {}
    with replacing(folder) as built:
        for path in sorted(folder.rglob("*")):
            there = built / path.relative_to(folder)
            if path.is_dir():
                there.mkdir()
            elif path.name != _MANIFEST:
                there.hardlink_to(path)
        for table in _tables(built):
            name = table.relative_to(built).as_posix()
            went[name] = take_out(table, customer_id)
            if went[name]:
                fields["files"][name] = _facts(table)
        fields["customers"] -= went.get(_PEOPLE, 0)
        fields["suggestions"] -= sum(went.get(part, 0) for part in fields["parts"])
        before = (folder / _MANIFEST).stat()
        (built / _MANIFEST).write_bytes(orjson.dumps(fields, option=orjson.OPT_INDENT_2))
        # Its age is what newer scores are told by.
        os.utime(built / _MANIFEST, ns=(before.st_atime_ns, before.st_mtime_ns))
    return sum(went.values())


def _tables(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.parquet"))


def _facts(path: Path) -> dict[str, object]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": digest}
