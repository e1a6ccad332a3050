"""Reading text from outside, strictly: what is not exactly right is refused, never guessed.

Numbers are plain digits, percent-encoding is UTF-8, JSON is RFC 8259 with every key once. All
that a request carries goes through here, and nothing here keeps or repeats what it refuses.
"""

import json
import math
import re
from typing import Never
from urllib.parse import unquote_to_bytes

from oferta.ids import id_fault
from oferta_serving.problems import RequestRefused

MAX_DIGITS = 15
"""More than any bound of ours, less than what a double or 64 bits would alter."""

MAX_DEPTH = 8

_DIGITS = re.compile(r"-?(?:0|[1-9][0-9]*)")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def percent_decoded(text: str) -> str | None:
    """`text` with its `%XX` read as UTF-8; None where that is broken. A plus stays a plus."""
    if "%" not in text:
        return text if text.isascii() else None
    if _BROKEN_ESCAPE.search(text):
        return None
    try:
        return unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        return None


def path_id(segment: str) -> str:
    """The id that a raw, still percent-encoded path segment carries.

    Raises:
        RequestRefused: `id.encoding`, or a code of `oferta.ids.id_fault`.
    """
    text = percent_decoded(segment)
    if text is None:
        raise RequestRefused("id.encoding")
    fault = id_fault(text)
    if fault is not None:
        raise RequestRefused(fault)
    return text


def query_values(query: bytes, known: frozenset[str]) -> dict[str, str]:
    """The parameters of a raw query string, each of them `known` and there once.

    Raises:
        RequestRefused: `parameter.unknown`, `parameter.repeated` or `parameter.encoding`.
    """
    values: dict[str, str] = {}
    if not query:
        return values
    for part in query.decode("latin-1").split("&"):
        if not part:
            continue
        raw_name, _, raw_value = part.partition("=")
        name = percent_decoded(raw_name)
        if name not in known:
            raise RequestRefused("parameter.unknown")
        if name in values:
            raise RequestRefused("parameter.repeated", name)
        value = percent_decoded(raw_value.replace("+", " "))
        if value is None:
            raise RequestRefused("parameter.encoding", name)
        values[name] = value
    return values


def query_integer(digits: str, name: str, *, low: int, high: int) -> int:
    """The whole number that a query parameter spells in plain digits, within `[low, high]`.

    Raises:
        RequestRefused: `parameter.integer` or `parameter.out_of_range`.
    """
    if not _DIGITS.fullmatch(digits):
        raise RequestRefused("parameter.integer", name)
    # int() of thousands of digits costs quadratic time; this many are out of range either way.
    value = int(digits) if len(digits) <= MAX_DIGITS else low - 1
    return within(value, name, low=low, high=high)


def json_integer(value: object, name: str, *, low: int, high: int) -> int:
    """The JSON number `value` within `[low, high]`; never a text, a fraction or a boolean.

    Raises:
        RequestRefused: `body.type` or `parameter.out_of_range`.
    """
    if type(value) is not int:  # to isinstance, True is an int
        raise RequestRefused("body.type", name)
    return within(value, name, low=low, high=high)


def within(value: int, name: str, *, low: int, high: int) -> int:
    """`value`, if it lies in `[low, high]`.

    Raises:
        RequestRefused: `parameter.out_of_range`.
    """
    if not low <= value <= high:
        raise RequestRefused("parameter.out_of_range", name, bounds=(low, high))
    return value


def json_object(body: bytes) -> dict[str, object]:
    """The body as one JSON object.

    Raises:
        RequestRefused: one of the `json.` codes, `number.too_large` or `body.not_object`.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise RequestRefused("json.encoding") from None
    if text.startswith("\ufeff") or "\x00" in text:  # UTF-16 of ASCII is UTF-8 with NULs
        raise RequestRefused("json.encoding")
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        raise RequestRefused("json.too_deep") from None
    except json.JSONDecodeError:
        raise RequestRefused("json.malformed") from None
    if _deeper_than(value, MAX_DEPTH):
        raise RequestRefused("json.too_deep")
    if not isinstance(value, dict):
        raise RequestRefused("body.not_object")
    return value


def _deeper_than(value: object, levels: int) -> bool:
    if isinstance(value, dict):
        return levels == 0 or any(_deeper_than(inner, levels - 1) for inner in value.values())
    if isinstance(value, list):
        return levels == 0 or any(_deeper_than(inner, levels - 1) for inner in value)
    return False


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise RequestRefused("json.duplicate_key")
    return fields


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS + 1:
        raise RequestRefused("number.too_large")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise RequestRefused("number.too_large")
    return number


def _not_finite(_name: str) -> Never:
    raise RequestRefused("json.not_finite")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_int=_integer,
    parse_float=_finite,
    parse_constant=_not_finite,
)
