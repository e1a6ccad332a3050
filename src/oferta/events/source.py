"""`source.toml`: where each table's files are, and how foreign names and forms map to ours."""

import codecs
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl
from pydantic import Field, StringConstraints, field_validator, model_validator

from oferta.columns import TABLES
from oferta.errors import UnknownName
from oferta.events.types import event_types
from oferta.settings import Settings, load

SOURCE_FILE: Final = "source.toml"

Format = Literal["parquet", "csv", "ndjson"]
TimeUnit = Literal["s", "ms", "us", "ns"]
AttributeType = Literal["number", "integer", "text", "boolean", "date"]
_OneCharacter = Annotated[str, StringConstraints(min_length=1, max_length=1)]


class AttributeSource(Settings):
    """One attribute of a table, named and typed."""

    column: str | None = None
    """The source's column; absent: it has the attribute's own name."""
    type: AttributeType | None = None
    """Absent: as the file has it. A cell that cannot be read so rejects its row."""


class TableSource(Settings):
    """How one table is read. Nothing is needed where the files use our names and ISO forms."""

    file: str | tuple[str, ...] = ()
    """A name, a list of names, or a pattern such as `2024-*.csv`, inside the source folder."""
    format: Format | None = None
    """Only where the name does not tell."""
    delimiter: _OneCharacter | None = None
    """CSV: absent, it is found in the header among comma, semicolon, tab and bar."""
    quote: Literal['"', "none"] = '"'
    """CSV: `none` where a quotation mark is a mark like any other."""
    encoding: str = "utf-8"
    decimal: Literal[".", ","] = "."
    timezone: str = "UTC"
    """Of times that carry none."""
    nulls: tuple[str, ...] = ()
    """Texts that mean absent. An empty CSV cell always does; `NA` and `NULL` only if named here."""
    time_unit: TimeUnit | None = None
    """Of times given as integers since 1970."""
    time_format: str | None = None
    """Of times that are not ISO, as `%d.%m.%Y %H:%M`."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Our column name -> the source's."""
    constants: dict[str, str] = Field(default_factory=dict)
    """Our column name -> a text that every row has."""
    words: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Our column name -> the source's word -> ours."""
    attributes: dict[str, AttributeSource] = Field(default_factory=dict)
    """The attribute's name inside -> where it is and what it is."""

    @property
    def patterns(self) -> tuple[str, ...]:
        """The declared names and patterns; empty when the table is to be found by its name."""
        return (self.file,) if isinstance(self.file, str) else self.file

    @field_validator("attributes")
    @classmethod
    def _usable_names(cls, value: dict[str, AttributeSource]) -> dict[str, AttributeSource]:
        for name in value:
            if not usable_name(name):
                raise ValueError(f"'{name[:40]}' is no usable name of an attribute")
        return value

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        try:
            return codecs.lookup(value).name
        except LookupError:
            raise ValueError(f"no encoding is called '{value}'") from None

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"no time zone is called '{value}'; as 'Europe/Warsaw'") from None
        return value


def usable_name(name: str) -> bool:
    """Whether an attribute may be called so: neither blank nor long nor one of our own marks."""
    return bool(name.strip()) and not name.startswith("__") and len(name) <= 128  # noqa: PLR2004


class SourceSettings(Settings):
    """The whole `source.toml`."""

    events: TableSource = TableSource()
    products: TableSource = TableSource()
    customers: TableSource = TableSource()
    consent: TableSource = TableSource()
    contracts: TableSource = TableSource()
    vehicles: TableSource = TableSource()
    attributes: TableSource = TableSource()
    event_types: dict[str, float | str] = Field(default_factory=dict)
    """Declared event types: name -> the built-in type it is, or its weight; a purchase weighs 1."""

    @field_validator("event_types")
    @classmethod
    def _known_types(cls, value: dict[str, float | str]) -> dict[str, float | str]:
        try:
            event_types(value)
        except UnknownName as error:
            raise ValueError(str(error)) from None
        return value

    def table(self, name: str) -> TableSource:
        """The settings of the table called `name`."""
        found: Mapping[str, TableSource] = {
            "events": self.events,
            "products": self.products,
            "customers": self.customers,
            "consent": self.consent,
            "contracts": self.contracts,
            "vehicles": self.vehicles,
            "attributes": self.attributes,
        }
        return found[name]

    def declares(self, name: str) -> bool:
        """Whether the file speaks of the table called `name`."""
        return name in self.model_fields_set

    @model_validator(mode="after")
    def _known_columns(self) -> "SourceSettings":
        problems = [
            problem
            for table in TABLES.values()
            for section in ("columns", "constants", "words")
            for name in getattr(self.table(table.name), section)
            if (problem := _unknown_column(f"{table.name}.{section}", name, table.names))
        ]
        problems += [
            f"{table.name}.attributes.{name}: is a column of the table; map it under "
            f"[{table.name}.columns]"
            for table in TABLES.values()
            for name in self.table(table.name).attributes
            if name in table.names
        ]
        problems += [
            f"{table.name}.words.{column}: only columns of text have words"
            for table in TABLES.values()
            for column in self.table(table.name).words
            if column in table.names and table.schema()[column] != pl.String
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return self


def _unknown_column(place: str, name: str, known: tuple[str, ...]) -> str | None:
    if name in known:
        return None
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"
    return f"{place}.{name}: no such column; {hint} (other columns keep their names)"


def load_source(path: Path) -> SourceSettings:
    """The settings in `path`.

    Raises:
        SettingsInvalid: no TOML, an unknown key (with the nearest known one) or a wrong value.
    """
    return load(path, SourceSettings)
