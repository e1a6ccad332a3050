"""The files that decisions are made with: policy, catalogue and rate cards, read as one snapshot.

A snapshot is text by name, with a version of its own. It is stored with the decisions made by it,
and gives the same engine again when a decision is replayed, whatever became of the files.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import orjson

from oferta.catalogue.offers import load_catalogue
from oferta.decisions.engine import Engine
from oferta.errors import SettingsInvalid
from oferta.policy.file import load_policy
from oferta.terms.card import load_cards

_POLICY = "policy.toml"
_CATALOGUE = "catalogue"
_RATE_CARDS = "rate_cards"
_SUFFIX = ".toml"

Seen = tuple[tuple[str, int, int, int], ...]
"""What a look at the files saw: of each its path, instant of change, size and number."""


@dataclass(frozen=True, slots=True)
class RuleFiles:
    """Where the files are."""

    policy: Path
    catalogue: Path
    rate_cards: Path

    def look(self) -> Seen:
        """What tells whether anything changed: 2 us a file, since every decision asks."""
        seen = [_seen(os.fspath(self.policy), self.policy.stat)]
        for folder in (self.catalogue, self.rate_cards):
            with suppress(OSError), os.scandir(folder) as files:
                seen += [_seen(one.path, one.stat) for one in files if one.name.endswith(_SUFFIX)]
        return tuple(sorted(seen))

    def read(self) -> dict[str, str]:
        """Their texts by name.

        Raises:
            SettingsInvalid: a file cannot be read.
        """
        texts: dict[str, str] = {}
        for name, path in self._files():
            try:
                texts[name] = path.read_text(encoding="utf-8")
            except FileNotFoundError:
                raise SettingsInvalid(path, ["no such file"]) from None
            except (OSError, UnicodeDecodeError) as error:
                raise SettingsInvalid(path, [str(error)]) from None
        return texts

    def engine(self) -> Engine:
        """The engine of these files.

        Raises:
            SettingsInvalid: every problem of the first kind that there is: of the files by
                themselves, then between them.
        """
        problems: list[str] = []
        try:
            policy = load_policy(self.policy)
        except SettingsInvalid as error:
            problems += _told(error)
        try:
            catalogue = load_catalogue(self.catalogue)
        except SettingsInvalid as error:
            problems += _told(error)
        try:
            cards = load_cards(self.rate_cards)
        except SettingsInvalid as error:
            problems += _told(error)
        if problems:
            raise SettingsInvalid("decisions", problems)
        return Engine.build(catalogue, policy, cards)

    def _files(self) -> Iterator[tuple[str, Path]]:
        yield _POLICY, self.policy
        for folder, path in ((_CATALOGUE, self.catalogue), (_RATE_CARDS, self.rate_cards)):
            for file in sorted(path.glob(f"*{_SUFFIX}")):
                yield f"{folder}/{file.name}", file


def _seen(path: str, stat: Callable[[], os.stat_result]) -> tuple[str, int, int, int]:
    try:
        found = stat()
    except OSError:
        return path, 0, 0, 0
    return path, found.st_mtime_ns, found.st_size, found.st_ino


@dataclass(frozen=True, slots=True, eq=False)
class Rulebook:
    """An engine with the files it is made of.

    Attributes:
        files: texts by name.
        version: hash of all of them, hexadecimal.
    """

    engine: Engine
    files: Mapping[str, str]
    version: str


def load_rulebook(files: RuleFiles) -> Rulebook:
    """The rulebook of these files: about a tenth of a second for a hundred offers.

    Raises:
        SettingsInvalid: every problem of the files.
    """
    texts = files.read()
    while True:
        engine = files.engine()
        again = files.read()
        if again == texts:
            return Rulebook(engine, texts, version_of(texts))
        texts = again  # changed while they were read: the snapshot must be what was built


def rulebook_of(texts: Mapping[str, str]) -> Rulebook:
    """The rulebook that a snapshot was made of.

    Raises:
        SettingsInvalid: this version of oferta does not understand the files any more.
    """
    with tempfile.TemporaryDirectory(prefix="oferta-rules-") as scratch:
        folder = Path(scratch)
        for name in (_CATALOGUE, _RATE_CARDS):
            (folder / name).mkdir()
        for name, text in texts.items():
            kind, _, file = name.rpartition("/")
            if kind not in {"", _CATALOGUE, _RATE_CARDS}:
                raise SettingsInvalid("bundle", [f"'{name}' is no file of a rulebook"])
            (folder / kind / Path(file).name).write_text(text, encoding="utf-8")
        files = RuleFiles(folder / _POLICY, folder / _CATALOGUE, folder / _RATE_CARDS)
        return Rulebook(files.engine(), texts, version_of(texts))


def version_of(texts: Mapping[str, str]) -> str:
    """Sixteen digits that change whenever a file's text or name does."""
    return hashlib.sha256(orjson.dumps(dict(texts), option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def _told(error: SettingsInvalid) -> list[str]:
    return [f"{error.place}: {problem}" for problem in error.problems]
