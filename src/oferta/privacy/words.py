"""The words that protected attributes go by, from `words.toml`: English, Chinese, German and more.

Names are met in three strengths, by how much else a word may mean:

* a *stem* counts wherever it stands in a word: `gender` in `custgendercd`;
* a *phrase* counts as whole words in a row, written together or apart: `date of birth`;
* one *alone* counts only as all of a name but general words: `colour_code`, not `car_colour`.

In Chinese characters every part of a name counts, once what is innocent is taken out of it.
"""

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import cast, get_args

from oferta.privacy.findings import Attribute

_TABLES = tomllib.loads(files("oferta.privacy").joinpath("words.toml").read_text("utf-8"))


def _parts(text: str) -> tuple[str, ...]:
    return tuple(" ".join(part.split()) for part in text.split(",") if part.strip())


def _by_attribute(table: Mapping[str, str]) -> Mapping[Attribute, tuple[str, ...]]:
    unknown = table.keys() - set(get_args(Attribute))
    if unknown:
        raise ValueError(f"words.toml: no such attribute: {', '.join(sorted(unknown))}")
    return {cast("Attribute", name): _parts(text) for name, text in table.items()}


def _sets(table: Mapping[str, str]) -> Mapping[str, frozenset[str]]:
    return {name: frozenset(_parts(text)) for name, text in table.items()}


STEMS = _by_attribute(_TABLES["stems"])
PHRASES = _by_attribute(_TABLES["phrases"])
ALONE = _by_attribute(_TABLES["alone"])
HAN = _by_attribute(_TABLES["han"])

HAN_INNOCENT = _parts(_TABLES["things"]["han_innocent"])

GENERAL = frozenset(_parts(_TABLES["general"]["words"]))
"""Words that say nothing of what a column holds; names are also padded with them: `custsex`."""

PEOPLE, THINGS, UNITS, MEASURES, LANGUAGES, OF_THINGS = (
    frozenset(_parts(_TABLES["things"][name]))
    for name in ("people", "things", "units", "measures", "languages", "of_things")
)
"""Whose age it is after all (`vehicle_owner_age`); what has an age without being a person
(`vehicle_age`); what may stand between the two (`age_of_oldest_account`); whose numbers look
like ages (`income_k`); whose values look like nationalities (`language`); and the words that are
innocent of a thing."""

INNOCENT_BEFORE = _sets(_TABLES["innocent_before"])
"""Word or stem -> the words after which it means something else: `horse` before `race`."""

INNOCENT_AFTER = _sets(_TABLES["innocent_after"])
"""Word or stem -> the words before which it means something else: `limit` after `age`."""

NOBODY, WOMEN, MEN, THIRD = (
    frozenset(_parts(_TABLES["values"][name])) for name in ("nobody", "women", "men", "third")
)
"""Values for no answer, for women, for men, and for others beside them."""

CORE: dict[Attribute, frozenset[str]] = {
    name: frozenset(parts) for name, parts in _by_attribute(_TABLES["values"]["core"]).items()
}
"""Attribute -> values that speak for themselves."""

WEAK: dict[Attribute, frozenset[str]] = {
    name: frozenset(parts) for name, parts in _by_attribute(_TABLES["values"]["weak"]).items()
}
"""Attribute -> values that mean something else without one of the core beside them."""

CREDIT, CREDIT_HAN = (frozenset(_parts(_TABLES["credit"][name])) for name in ("words", "han"))
"""Words of product families that are credit; and characters, wherever they stand in one."""
