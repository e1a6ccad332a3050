"""Receipts of erasures: what was erased, where and when, for whoever asks afterwards.

    <home>/privacy/receipts/000001-er_5f1c….json

A receipt names nobody: it has the tombstone, which only who holds the key secret can make of an id.
It carries the signature of the one before and its own, so none can be altered, or taken out of the
middle, without being found.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from oferta.durable import replaced
from oferta.errors import OutputFailed

Sign = Callable[[bytes], str]
"""`KeySpace.signature`."""

_NAME: Final = re.compile(r"(\d{6})-(er_[0-9a-f]{24})\.json")
_FIRST: Final = "0" * 64


def receipts_folder(privacy: Path) -> Path:
    """Where the receipts beside a ledger lie; `privacy` is the ledger's folder."""
    return privacy / "receipts"


@dataclass(frozen=True, slots=True)
class Receipts:
    """The receipts of one ledger; one process at a time may write."""

    folder: Path
    sign: Sign

    def write(self, id_: str, said: Mapping[str, object]) -> str:
        """Write the receipt of an erasure; its name. Said again it is the one that is there.

        Raises:
            OutputFailed: it could not be written.
        """
        there = self._names()
        for name in there:
            if name.endswith(f"-{id_}.json"):
                return name
        before = self._signature(there[-1]) if there else _FIRST
        number = int(there[-1][:6]) + 1 if there else 1
        body = {"number": number, "erasure_id": id_, **said, "before": before}
        whole = {**body, "signature": self.sign(_canonical(body))}
        name = f"{number:06d}-{id_}.json"
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with replaced(self.folder / name) as file:
                file.write(orjson.dumps(whole, option=orjson.OPT_INDENT_2) + b"\n")
        except OSError as error:
            raise OutputFailed(self.folder, str(error)) from None
        return name

    def read(self, name: str) -> dict[str, object] | None:
        """The receipt of this name; None where there is none, or it cannot be read."""
        try:
            found = orjson.loads((self.folder / name).read_bytes())
        except (OSError, orjson.JSONDecodeError):
            return None
        return found if isinstance(found, dict) else None

    def broken(self) -> list[str]:
        """Names of receipts that were altered, or before which one is missing."""
        broken: list[str] = []
        before, number = _FIRST, 0
        for name in self._names():
            said = self.read(name) or {}
            signature = said.pop("signature", None)
            whole = signature == self.sign(_canonical(said))
            if not whole or said.get("before") != before or int(name[:6]) != number + 1:
                broken.append(name)
            before, number = str(signature), int(name[:6])
        return broken

    def _names(self) -> list[str]:
        if not self.folder.is_dir():
            return []
        return sorted(path.name for path in self.folder.iterdir() if _NAME.fullmatch(path.name))

    def _signature(self, name: str) -> str:
        return str((self.read(name) or {}).get("signature", _FIRST))


def _canonical(said: Mapping[str, object]) -> bytes:
    return orjson.dumps(dict(said), option=orjson.OPT_SORT_KEYS)
