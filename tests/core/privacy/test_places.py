"""Whatever is kept of a customer has a place: a new family of keys or files without one fails."""

import inspect
import re

import pytest

from oferta import home
from oferta.privacy.places import (
    FILE_FAMILIES,
    FILES_OF_NOBODY,
    KEY_FAMILIES,
    KEYS_OF_NOBODY,
    PLACES,
)
from oferta.store import keys

KEYS = [
    found[1]
    for found in re.finditer(r"^    \{default[^}]*\}:([a-z]+)", keys.__doc__ or "", re.MULTILINE)
]
FILES = [
    name.strip()
    for found in re.finditer(r"^  (\S+(?:, \S+)*)  +", home.__doc__ or "", re.MULTILINE)
    for name in found[1].split(",")
]


def test_the_families_were_found():
    assert {"r", "p", "pointer", "y", "g"} <= set(KEYS)
    assert {"archive/", "mlflow.db", "key-secret"} <= set(FILES)


@pytest.mark.parametrize("family", KEYS)
def test_every_family_of_keys_has_one_place_or_a_reason(family: str):
    assert (family in KEY_FAMILIES) + (family in KEYS_OF_NOBODY) == 1


@pytest.mark.parametrize("family", FILES)
def test_every_family_of_files_has_one_place_or_a_reason(family: str):
    assert (family in FILE_FAMILIES) + (family in FILES_OF_NOBODY) == 1


def test_no_key_is_built_that_the_docstring_does_not_list():
    built = re.findall(
        r"\}:([a-z]+)", inspect.getsource(keys).partition('"""')[2].partition('"""')[2]
    )
    assert set(built) == set(KEYS)


def test_nothing_is_listed_that_there_is_not():
    assert set(KEYS) == {*KEY_FAMILIES, *KEYS_OF_NOBODY}
    assert set(FILES) == {*FILE_FAMILIES, *FILES_OF_NOBODY}


def test_every_family_belongs_to_a_place_that_there_is():
    assert set(KEY_FAMILIES.values()) | set(FILE_FAMILIES.values()) == set(PLACES)
