"""The guard of protected attributes: none enters a model unless somebody says why.

It looks at names (renamed, abbreviated, joined, encoded, translated) and at values, also inside
JSON and nested columns, and it fails closed: what looks protected is refused. It cannot see through
codes under a name that says nothing (`MGODRK` with 0 to 9): whoever knows such a column lists it
among the allowed ones, where it counts as protected.
"""

import json
from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from oferta.errors import ProtectedAttribute, SettingsInvalid, UnknownName
from oferta.privacy.findings import Attribute, Finding
from oferta.privacy.names import attributes_in, explains_values
from oferta.privacy.values import attributes_of

_READ = 1000  # rows of a JSON column that are parsed
_DEEP = 5
_EXPLAINED: frozenset[Attribute] = frozenset({"age", "national origin", "race"})
"""What values do not show where the name explains them: a car's year, an income in thousands."""


def find(frame: pl.DataFrame, columns: Sequence[str]) -> tuple[Finding, ...]:
    """The protected attributes in `columns` of a customers frame, each once a column.

    Raises:
        UnknownName: a column that the frame does not have.
    """
    findings: list[Finding] = []
    for column in dict.fromkeys(columns):
        if column not in frame.columns:
            raise UnknownName("customer attribute", column, frame.columns)
        seen: dict[Attribute, str] = {}
        for attribute, how in _look(column, frame[column], depth=0):
            seen.setdefault(attribute, how)
        findings += [Finding(column, attribute, how) for attribute, how in seen.items()]
    return tuple(findings)


def require_allowed(
    frame: pl.DataFrame, columns: Sequence[str], allowed: Mapping[str, str]
) -> tuple[Finding, ...]:
    """The protected attributes among `columns`, each allowed with its reason.

    `allowed` maps a column to why it may be used. One that is listed there counts as protected even
    where nothing is found in it.

    Raises:
        ProtectedAttribute: a protected column is not among the allowed.
        SettingsInvalid: a reason is blank.
        UnknownName: a column, used or allowed, that the frame does not have.
    """
    check_reasons(allowed)
    for column in allowed:
        if column not in frame.columns:
            raise UnknownName("customer attribute", column, frame.columns)
    found = find(frame, columns)
    refused = [(one.column, one.attribute, one.how) for one in found if one.column not in allowed]
    if refused:
        raise ProtectedAttribute(refused)
    declared = [
        Finding(column, "declared", "it is listed in allow_protected")
        for column in dict.fromkeys(columns)
        if column in allowed and column not in {one.column for one in found}
    ]
    return tuple(
        Finding(one.column, one.attribute, one.how, allowed[one.column].strip())
        for one in (*found, *declared)
    )


def check_reasons(allowed: Mapping[str, str]) -> Mapping[str, str]:
    """`allowed` as it is, where every column has a reason.

    Raises:
        SettingsInvalid: a reason is blank.
    """
    blank = [column for column, reason in allowed.items() if not reason.strip()]
    if blank:
        raise SettingsInvalid(
            "allow_protected", [f"{column}: say why it may be used" for column in blank]
        )
    return allowed


def _look(name: str, values: pl.Series, *, depth: int) -> Iterator[tuple[Attribute, str]]:
    for attribute, word in attributes_in(name):
        yield attribute, f"the name '{name}' says '{word}'" if depth else f"its name says '{word}'"
    explained = explains_values(name)
    for attribute, how in attributes_of(values):
        if not (explained and attribute in _EXPLAINED):
            yield attribute, f"in '{name}', {how}" if depth else how
    if depth < _DEEP:
        for inner in _inside(values):
            yield from _look(inner.name, inner, depth=depth + 1)


def _inside(values: pl.Series) -> Iterator[pl.Series]:
    """The fields of a nested column, and of text that is JSON."""
    if values.dtype == pl.Struct:
        yield from values.struct.unnest().get_columns()
    elif isinstance(values.dtype, pl.List | pl.Array):
        yield values.explode(empty_as_null=True).alias("")
    elif values.dtype == pl.String:
        yield from _json_fields(values)


def _json_fields(values: pl.Series) -> Iterator[pl.Series]:
    some = values.drop_nulls()
    some = some.filter(some.str.strip_chars_start().str.contains(r"^[\{\[]")).head(_READ)
    fields: dict[str, list[str]] = {}
    for text in some:
        try:
            _gather(json.loads(text), "", fields)
        except (ValueError, RecursionError):
            continue
    for name, texts in fields.items():
        yield pl.Series(name, texts, dtype=pl.String)


def _gather(value: object, name: str, fields: dict[str, list[str]]) -> None:
    """Every leaf of a document under the path of keys that leads there."""
    if isinstance(value, dict):
        for key, inner in value.items():
            _gather(inner, f"{name}.{key}" if name else str(key), fields)
    elif isinstance(value, list):
        for inner in value:
            _gather(inner, name, fields)
    elif value is not None:
        fields.setdefault(name, []).append(str(value))
