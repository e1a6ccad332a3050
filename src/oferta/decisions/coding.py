"""Frozen dataclasses to JSON and back, exactly: what is read equals what was written.

Numbers keep their shortest form, `Decimal` travels as text, a date as ISO, tuples as arrays, named
ones too. The types say what is to be read: dataclasses, tuples, mappings, literals, one alternative
to None.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from types import NoneType, UnionType
from typing import Final, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import orjson
from pydantic import BaseModel

from oferta.catalogue.texts import Text
from oferta.errors import RecordCorrupt

T = TypeVar("T")

Reader = Callable[[object], object]

_PLAIN: Final = (str, int, float, bool, NoneType)


def encode(value: object, *, sort: bool = False) -> bytes:
    """The value as JSON; `sort`: with the names of every object in order."""
    return orjson.dumps(value, default=_plain, option=orjson.OPT_SORT_KEYS if sort else None)


def decode(kind: type[T], data: bytes) -> T:
    """The value of type `kind` that `encode` wrote.

    Raises:
        RecordCorrupt: it did not write this.
    """
    try:
        read = reader(cast("Hashable", kind))
        return cast("T", read(orjson.loads(data)))
    except (AttributeError, TypeError, ValueError, KeyError, ArithmeticError) as error:
        problem = f"no {kind.__name__} can be read: {type(error).__name__} {error}"
        raise RecordCorrupt(problem) from None


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Text):
        return {"en": value.en, "zh": value.zh}
    if isinstance(value, BaseModel):
        return value.model_dump()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple):  # a named one: others are arrays already
        return list(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


@lru_cache(maxsize=256)
def reader(kind: Hashable) -> Reader:
    """What makes a value of the type `kind` from plain JSON."""
    origin = get_origin(kind)
    if kind in _PLAIN or origin is Literal:
        return _same
    if origin in (Union, UnionType):
        return _alternatives(get_args(kind))
    if origin is tuple:
        return _tuple(get_args(kind))
    if origin is not None and issubclass(origin, Mapping):
        return _mapping(get_args(kind)[1])
    if isinstance(kind, type):
        return _of_type(kind)
    raise TypeError(f"{kind} has no form in JSON")


def _of_type(kind: type) -> Reader:
    if kind is Decimal:
        return lambda value: Decimal(str(value))
    if kind is date:
        return lambda value: date.fromisoformat(str(value))
    if issubclass(kind, BaseModel):
        return kind.model_validate
    if is_dataclass(kind):
        return _dataclass(kind)
    if hasattr(kind, "_fields"):
        return _named(kind)
    raise TypeError(f"{kind} has no form in JSON")


def _same(value: object) -> object:
    return value


def _alternatives(kinds: tuple[Hashable, ...]) -> Reader:
    rest = [kind for kind in kinds if not _is_none(kind)]
    if len(rest) == 1:
        one = reader(rest[0])
        return lambda value: None if value is None else one(value)
    if any(reader(kind) is not _same for kind in rest):
        raise TypeError(f"{kinds}: JSON can not tell which")
    return _same


def _is_none(kind: object) -> bool:
    return kind is NoneType


def _tuple(kinds: tuple[Hashable, ...]) -> Reader:
    if kinds[1:] == (Ellipsis,):
        one = reader(kinds[0])
        return lambda value: tuple(one(part) for part in cast("list[object]", value))
    each = [reader(kind) for kind in kinds]
    return lambda value: tuple(
        read(part) for read, part in zip(each, cast("list[object]", value), strict=True)
    )


def _mapping(kind: Hashable) -> Reader:
    one = reader(kind)
    return lambda value: {
        name: one(part) for name, part in cast("dict[str, object]", value).items()
    }


def _named(kind: type) -> Reader:
    read = _tuple(tuple(get_type_hints(kind).values()))
    return lambda value: kind(*cast("tuple[object, ...]", read(value)))


def _dataclass(kind: type) -> Reader:
    hints = get_type_hints(kind)
    names = [field.name for field in fields(kind)]
    each = {name: reader(hints[name]) for name in names}

    def read(value: object) -> object:
        given = cast("dict[str, object]", value)
        return kind(**{name: each[name](part) for name, part in given.items()})

    return read
