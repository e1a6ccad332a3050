"""How the columns of a table's files become its columns: decided once, before any row is read."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Final

import polars as pl

from oferta.columns import ID_COLUMNS, Column, Table
from oferta.errors import SourceRefused
from oferta.events.integrity import SourceFile
from oferta.events.read import Header
from oferta.events.source import AttributeType, TableSource, usable_name

_DECLARED: Final[Mapping[AttributeType, pl.DataType]] = MappingProxyType(
    {
        "number": pl.Float64(),
        "integer": pl.Int64(),
        "text": pl.String(),
        "boolean": pl.Boolean(),
        "date": pl.Date(),
    }
)


@dataclass(frozen=True, slots=True)
class FilePlan:
    """One file: which of its columns is which of ours, and which are attributes.

    Both map our names to the file's. `settings` are how it is read: the archive's file as ours,
    all others as the source declares.
    """

    file: SourceFile
    header: Header
    settings: TableSource
    known: Mapping[str, str]
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TablePlan:
    """One table: its files, and the attributes that any of them has with their common types.

    `declared` are the attributes whose type the source states: their cells are parsed as ours are.
    """

    table: Table
    settings: TableSource
    files: tuple[FilePlan, ...]
    attributes: Mapping[str, pl.DataType]
    declared: tuple[Column, ...]
    warnings: tuple[str, ...]

    @property
    def source_columns(self) -> tuple[str, ...]:
        """Every column of any file under the source's name, in order of first sight."""
        names = (name for plan in self.files for name, _ in plan.header.columns)
        return tuple(dict.fromkeys(names))

    def schema(self) -> pl.Schema:
        """What accepted rows look like: the table's columns, then the attributes."""
        return pl.Schema({**self.table.schema(), **self.attributes})


def plan_table(
    table: Table,
    settings: TableSource,
    *,
    files: Sequence[tuple[SourceFile, Header]],
    ours: Sequence[tuple[SourceFile, Header]] = (),
) -> TablePlan:
    """The plan of `table`; `ours` are files that we wrote ourselves: nothing declared is of them.

    Raises:
        SourceRefused: `columns.missing`, `columns.duplicate`, `column.dtype`, `id.float` or
            `time.unit`.
    """
    warnings: list[str] = []
    plans = [_plan_file(table, settings, file, header, warnings) for file, header in files]
    plans += [_plan_file(table, TableSource(), file, header, warnings) for file, header in ours]
    declared = {
        name: _DECLARED[said.type]
        for name, said in settings.attributes.items()
        if said.type is not None
    }
    attributes: dict[str, pl.DataType] = {}
    for plan in plans:
        dtypes = dict(plan.header.columns)
        for name, source_name in plan.attributes.items():
            stored = declared.get(name) or storable(dtypes[source_name])
            attributes[name] = _common(attributes.get(name, stored), stored)
    return TablePlan(
        table,
        settings,
        tuple(plans),
        attributes,
        tuple(Column(name, dtype) for name, dtype in declared.items() if name in attributes),
        tuple(dict.fromkeys(warnings)),
    )


def storable(dtype: pl.DataType) -> pl.DataType:
    """The type under which an attribute of `dtype` is kept."""
    if isinstance(dtype, pl.Categorical | pl.Enum | pl.Null):
        return pl.String()
    if dtype.is_integer():
        return pl.Int64() if dtype not in {pl.UInt64, pl.Int128} else pl.String()
    if dtype.is_float():
        return pl.Float64() if dtype == pl.Float64 else pl.Float32()
    return dtype


def _common(first: pl.DataType, second: pl.DataType) -> pl.DataType:
    if first == second:
        return first
    return pl.Float64() if first.is_numeric() and second.is_numeric() else pl.String()


def _plan_file(
    table: Table, settings: TableSource, file: SourceFile, header: Header, warnings: list[str]
) -> FilePlan:
    names = [name for name, _ in header.columns]
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise SourceRefused(
            "columns.duplicate",
            file.path,
            f"has more than one column called {_quoted(repeated)}",
            remedy="Rename or drop all but one.",
        )
    known = _known(table, settings, file, names)
    dtypes = dict(header.columns)
    for name, source_name in known.items():
        _check_dtype(
            next(c for c in table.columns if c.name == name),
            dtypes[source_name],
            file,
            settings,
            source_name,
        )
    attributes = _declared_attributes(table, settings, file, dtypes, known)
    for name, dtype in header.columns:
        if name in known.values() or name in attributes.values():
            continue
        if not usable_name(name):
            warnings.append(f"{file.name}: the column '{name[:40]}' has no usable name: left out")
        elif dtype in {pl.Binary, pl.Object} or name in settings.constants:
            warnings.append(f"{file.name}: the column '{name}' ({dtype}) is left out")
        elif name in table.names:
            warnings.append(
                f"{file.name}: the column '{name}' is left out: "
                f"'{settings.columns[name]}' is declared to be it"
            )
        elif name in attributes:
            warnings.append(
                f"{file.name}: the column '{name}' is left out: "
                f"'{attributes[name]}' is declared to be it"
            )
        else:
            attributes[name] = name
    return FilePlan(file, header, settings, known, attributes)


def _declared_attributes(
    table: Table,
    settings: TableSource,
    file: SourceFile,
    dtypes: Mapping[str, pl.DataType],
    known: Mapping[str, str],
) -> dict[str, str]:
    """The attributes that the source names or types: our name -> the file's."""
    found: dict[str, str] = {}
    for name, said in settings.attributes.items():
        source_name = said.column or name
        if source_name not in dtypes:
            near = _nearest(source_name, list(dtypes))
            raise SourceRefused(
                "columns.missing",
                file.path,
                f"has no column '{source_name}', declared to be the attribute '{name}'",
                remedy=f"Correct [{table.name}.attributes.{name}] in source.toml"
                + (f"; did you mean '{near}'?" if near else "."),
            )
        if source_name in {*known.values(), *found.values()}:
            raise SourceRefused(
                "columns.duplicate",
                file.path,
                f"'{source_name}' is declared to be two columns",
                remedy=f"Correct [{table.name}.attributes.{name}] in source.toml.",
            )
        if said.type is not None:
            column = Column(name, _DECLARED[said.type])
            _check_dtype(column, dtypes[source_name], file, settings, source_name)
        found[name] = source_name
    return found


def _known(
    table: Table, settings: TableSource, file: SourceFile, names: list[str]
) -> dict[str, str]:
    known: dict[str, str] = {}
    missing: list[str] = []
    for column in table.columns:
        if column.name in settings.constants:
            continue
        source_name = settings.columns.get(column.name)
        if source_name is None and column.name in names:
            # Unless it was declared to be another of our columns.
            if column.name not in settings.columns.values():
                known[column.name] = column.name
        elif source_name is not None and source_name in names:
            known[column.name] = source_name
        elif source_name is not None:
            missing.append(source_name)
        if column.required and column.name not in known and source_name is None:
            missing.append(column.name)
    if missing:
        raise _missing(table, file, names, missing)
    twice = [name for name, count in Counter(known.values()).items() if count > 1]
    if twice:
        raise SourceRefused(
            "columns.duplicate",
            file.path,
            f"{_quoted(twice)} is declared to be two columns",
            remedy=f"Correct [{table.name}.columns] in source.toml.",
        )
    return known


def _missing(table: Table, file: SourceFile, names: list[str], missing: list[str]) -> SourceRefused:
    declared = [name for name in missing if name not in table.names]
    if declared:
        near = _nearest(declared[0], names)
        guess = f"; did you mean '{near}'?" if near else "."
        remedy = f"Correct [{table.name}.columns] in source.toml{guess}"
    else:
        lines = [f'\n    {name} = "{_nearest(name, names) or "..."}"' for name in missing]
        remedy = f"Map in source.toml:\n    [{table.name}.columns]" + "".join(lines)
        if "event_type" in missing:
            remedy += (
                "\n  or, when all events are of one kind, in place of the last line:"
                f'\n    [{table.name}.constants]\n    event_type = "purchase"'
            )
    return SourceRefused(
        "columns.missing",
        file.path,
        f"has no column {_quoted(missing)}; it has {_quoted(names[:12])}",
        remedy=remedy,
    )


def _nearest(wanted: str, names: list[str]) -> str | None:
    plain = {name.lower().replace("_", "").replace(" ", ""): name for name in names}
    near = get_close_matches(wanted.lower().replace("_", "").replace(" ", ""), plain, n=1)
    return plain[near[0]] if near else None


def _check_dtype(
    column: Column, dtype: pl.DataType, file: SourceFile, settings: TableSource, source_name: str
) -> None:
    if column.name in ID_COLUMNS and dtype.is_float():
        raise SourceRefused(
            "id.float",
            file.path,
            f"the ids in '{source_name}' are floating-point numbers, which lose digits",
            remedy="Write them as integers or text (a column with gaps becomes float in pandas: "
            'use astype("Int64") first).',
        )
    if not _possible(column, dtype):
        raise SourceRefused(
            "column.dtype",
            file.path,
            f"'{source_name}' is {dtype} and cannot be '{column.name}'",
            remedy="Write another type, or map another column in source.toml.",
        )
    if column.dtype.is_temporal() and dtype.is_integer() and settings.time_unit is None:
        raise time_unit_missing(file, source_name)


def time_unit_missing(file: SourceFile, column: str) -> SourceRefused:
    """The refusal of integer times whose unit nobody stated."""
    return SourceRefused(
        "time.unit",
        file.path,
        f"'{column}' holds integers, and whether they are seconds or milliseconds is not declared",
        remedy='Declare it in source.toml: time_unit = "s" (or "ms", "us", "ns"); '
        'or, for dates like 20240131, time_format = "%Y%m%d".',
    )


def _possible(column: Column, dtype: pl.DataType) -> bool:
    if isinstance(dtype, pl.String | pl.Categorical | pl.Enum | pl.Null):
        return True
    if column.dtype.is_temporal():
        return dtype.is_integer() or isinstance(dtype, pl.Date | pl.Datetime)
    if isinstance(column.dtype, pl.Boolean):
        return dtype.is_integer() or isinstance(dtype, pl.Boolean)
    if column.dtype.is_numeric():
        return dtype.is_numeric()
    if column.name in ID_COLUMNS:
        return dtype.is_integer() or (isinstance(dtype, pl.Decimal) and dtype.scale == 0)
    return not dtype.is_nested() and not isinstance(dtype, pl.Binary | pl.Object)


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
