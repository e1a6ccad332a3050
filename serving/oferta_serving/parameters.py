"""The parameters of the routes: stated once, read strictly, documented from the same statement."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from oferta.ids import MAX_ID_CHARS, id_fault
from oferta_serving.problems import RequestRefused
from oferta_serving.strict import json_integer, query_integer, query_values

Schema = dict[str, object]

_WORDS = ("true", "false")
_KEPT = 256  # query strings of a route that are not read again


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number with bounds, both included."""

    name: str
    default: int
    low: int
    high: int
    about: str

    def from_query(self, values: Mapping[str, str]) -> int:
        """Its value in a query, or the default."""
        digits = values.get(self.name)
        if digits is None:
            return self.default
        return query_integer(digits, self.name, low=self.low, high=self.high)

    def from_json(self, fields: Mapping[str, object]) -> int:
        """Its value in a JSON object, or the default."""
        if self.name not in fields:
            return self.default
        return json_integer(fields[self.name], self.name, low=self.low, high=self.high)

    def schema(self) -> Schema:
        """As JSON schema."""
        return {
            "type": "integer",
            "minimum": self.low,
            "maximum": self.high,
            "default": self.default,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """Yes or no."""

    name: str
    default: bool
    about: str

    def from_query(self, values: Mapping[str, str]) -> bool:
        """Its value in a query, `true` or `false`, or the default."""
        text = values.get(self.name)
        if text is None:
            return self.default
        if text not in _WORDS:
            raise RequestRefused("parameter.boolean", self.name)
        return text == "true"

    def from_json(self, fields: Mapping[str, object]) -> bool:
        """Its value in a JSON object, or the default."""
        value = fields.get(self.name, self.default)
        if not isinstance(value, bool):
            raise RequestRefused("body.type", self.name)
        return value

    def schema(self) -> Schema:
        """As JSON schema."""
        return {"type": "boolean", "default": self.default}


@dataclass(frozen=True, slots=True)
class Name:
    """The name of a category or segment: any text that could also be an id."""

    name: str
    about: str
    example: str

    def from_query(self, values: Mapping[str, str]) -> str | None:
        """Its value in a query, None when absent."""
        return self._checked(values[self.name]) if self.name in values else None

    def from_json(self, fields: Mapping[str, object]) -> str | None:
        """Its value in a JSON object, None when absent."""
        if self.name not in fields:
            return None
        value = fields[self.name]
        if not isinstance(value, str):
            raise RequestRefused("body.type", self.name)
        return self._checked(value)

    def _checked(self, value: str) -> str:
        if id_fault(value) is not None:
            raise RequestRefused(f"{self.name}.invalid", self.name)
        return value

    def schema(self) -> Schema:
        """As JSON schema."""
        return {"type": "string", "minLength": 1, "maxLength": MAX_ID_CHARS}


N = Whole("n", 10, 1, 100, "How many items.")
OFFSET = Whole("offset", 0, 0, 1000, "How many items to skip: pages tile the list of one release.")
CATEGORY = Name("category", "Only products of this category; gaps are filled within it.", "loan")
SEGMENT = Name("segment", "The list of this segment, filled from everybody's.", "new-customers")

PERSONALISE = Flag(
    name="personalise", default=True, about="`false`: the list that anybody gets, whoever asks."
)

Parameter = Whole | Name | Flag


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request wants of a list."""

    n: int = N.default
    offset: int = OFFSET.default
    category: str | None = None
    segment: str | None = None
    personalise: bool = PERSONALISE.default


class Query:
    """The parameters that one route takes."""

    __slots__ = ("_kept", "_known", "parameters")

    def __init__(self, *parameters: Parameter) -> None:
        self.parameters = parameters
        self._known = frozenset(parameter.name for parameter in parameters)
        self._kept = lru_cache(maxsize=_KEPT)(self._read)

    def read(self, query: bytes) -> Wanted:
        """What the raw query string asks for; that of a caller is mostly the same.

        Raises:
            RequestRefused: an unknown, repeated, undecodable or wrong parameter.
        """
        return self._kept(query)

    def _read(self, query: bytes) -> Wanted:
        values = query_values(query, self._known)
        return Wanted(
            n=N.from_query(values),
            offset=OFFSET.from_query(values),
            category=CATEGORY.from_query(values),
            segment=SEGMENT.from_query(values),
            personalise=PERSONALISE.from_query(values),
        )

    def documented(self, *path_ids: str) -> list[Schema]:
        """The path's ids and these parameters as OpenAPI has them."""
        in_path: list[Schema] = [
            {
                "name": name,
                "in": "path",
                "required": True,
                "description": "Percent-encoded UTF-8; any id that ingest accepts.",
                "schema": {"type": "string", "minLength": 1, "maxLength": MAX_ID_CHARS},
                "example": "household-1",
            }
            for name in path_ids
        ]
        in_query: list[Schema] = [
            {
                "name": parameter.name,
                "in": "query",
                "required": False,
                "description": parameter.about,
                "schema": parameter.schema(),
            }
            for parameter in self.parameters
        ]
        return in_path + in_query
