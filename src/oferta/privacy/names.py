"""Protected attributes in names of columns: renamed, abbreviated, joined, encoded, translated."""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from oferta.privacy import words
from oferta.privacy.findings import Attribute

_BORDERS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_TOKENS = re.compile(r"[^\W\d_]+|\d+")
_HAN = re.compile(r"[\u4e00-\u9fff]")
_PLAIN = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "æ": "ae", "œ": "oe"})
_LONGEST_RUN = 6  # words that one phrase may be cut into
_SHORTEST_STEM_OF_A_RUN = 6

Words = tuple[str, ...]


def words_of(name: str) -> Words:
    """The words of a name, plain and in lower case: `custProfile.DateOfBirth` has five."""
    text = _BORDERS.sub(" ", unicodedata.normalize("NFKC", name))
    decomposed = unicodedata.normalize("NFKD", text.casefold().translate(_PLAIN))
    plain = "".join(sign for sign in decomposed if not unicodedata.combining(sign))
    return tuple(_TOKENS.findall(plain))


@lru_cache(maxsize=4096)
def attributes_in(name: str) -> tuple[tuple[Attribute, str], ...]:
    """What the name says the column holds, each with the word that says it; empty: nothing."""
    found: dict[Attribute, str] = {}
    tokens = words_of(name)
    for attribute, word in (*_in_han(name), *_in_words(tokens)):
        found.setdefault(attribute, word)
    return tuple(found.items())


def explains_values(name: str) -> bool:
    """Whether the name explains the values: a thing's (a car, a language), a measure (income)."""
    said = set(words_of(name))
    a_thing = said & (words.THINGS | words.LANGUAGES) and not said & words.PEOPLE
    return bool(a_thing or said & words.MEASURES)


def _in_han(name: str) -> Iterator[tuple[Attribute, str]]:
    text = unicodedata.normalize("NFKC", name)
    if not _HAN.search(text):
        return
    if "".join(_HAN.findall(text)) in {"男", "女", "是男", "是女", "是否男", "是否女"}:
        yield "sex", text
    for innocent in words.HAN_INNOCENT:
        text = text.replace(innocent, " ")
    for attribute, parts in words.HAN.items():
        for part in parts:
            if part in text:
                yield attribute, part


def _in_words(tokens: Words) -> Iterator[tuple[Attribute, str]]:
    core = "".join(token for token in tokens if not _is_general(token))
    if core in _ALONE:
        yield _ALONE[core], core
    for start in range(len(tokens)):
        for stop in range(start + 1, min(len(tokens), start + _LONGEST_RUN) + 1):
            for attribute, word in _in_run("".join(tokens[start:stop]), alone=stop == start + 1):
                if not _innocent(word, tokens, start, stop):
                    yield attribute, word


def _in_run(run: str, *, alone: bool) -> Iterator[tuple[Attribute, str]]:
    """What some words in a row, written together, say; `alone`: they are one word."""
    for form in _forms(run) if alone else (run,):
        if form in _PHRASES:
            yield _PHRASES[form], form
    if alone or len(run) >= _SHORTEST_STEM_OF_A_RUN:
        for stem, attribute in _STEMS.items():
            # Over several words only from the first one's start: `agen_der...` is no gender.
            if (stem in run) if alone else run.startswith(stem):
                yield attribute, stem


def _innocent(word: str, tokens: Words, start: int, stop: int) -> bool:
    before = tokens[start - 1] if start else ""
    after = tokens[stop] if stop < len(tokens) else ""
    spelt = _SPELT.get(word, word)
    if before in words.INNOCENT_BEFORE.get(spelt, ()) or after in words.INNOCENT_AFTER.get(
        spelt, ()
    ):
        return True
    if not {spelt, spelt.split()[0]} & words.OF_THINGS:
        return False
    ahead = [token for token in tokens[:start] if token not in words.UNITS]
    behind = [token for token in tokens[stop:] if token not in words.UNITS]
    if ahead and ahead[-1] in words.THINGS:
        return True
    return bool(behind and behind[0] in words.THINGS and not set(behind) & words.PEOPLE)


def _forms(token: str) -> Iterator[str]:
    """The word, and what is left of it without what such words are padded with."""
    yield token
    for affix in _AFFIXES:
        if len(token) > len(affix) + 1:
            if token.startswith(affix):
                yield from _cut(token[len(affix) :])
            if token.endswith(affix):
                yield from _cut(token[: -len(affix)])


def _cut(token: str) -> Iterator[str]:
    """The rest of a padded word, and that without a second padding at its end."""
    yield token
    for affix in _AFFIXES:
        if len(token) > len(affix) + 1 and token.endswith(affix):
            yield token[: -len(affix)]


def _is_general(word: str) -> bool:
    return word.isdigit() or word in words.GENERAL or (len(word) == 1 and word not in {"m", "f"})


def _squeezed(phrase: str) -> str:
    return "".join(words_of(phrase))


_PHRASES: dict[str, Attribute] = {
    _squeezed(phrase): attribute
    for attribute, phrases in words.PHRASES.items()
    for phrase in phrases
}
_SPELT = {_squeezed(phrase): phrase for phrases in words.PHRASES.values() for phrase in phrases}
_ALONE: dict[str, Attribute] = {
    _squeezed(phrase): attribute for attribute, phrases in words.ALONE.items() for phrase in phrases
}
_STEMS: dict[str, Attribute] = {
    stem: attribute for attribute, stems in words.STEMS.items() for stem in stems
}
_AFFIXES = tuple(
    sorted(
        {word for word in words.GENERAL | words.UNITS if len(word) > 1} - {"co", "of", "or", "no"}
    )
)
"""What may be written together with a word: `custsex`, `agegroup`."""
