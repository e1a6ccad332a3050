"""Cells to values: text, numbers, truth values and instants, with the cells that are none."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import polars as pl

from oferta.columns import INSTANT, Column
from oferta.events.plan import FilePlan, TablePlan, time_unit_missing
from oferta.events.rows import RAW
from oferta.events.source import TableSource

_LOCAL: Final = "local:"
_ISO: Final = (
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%dT%H:%M:%S%#z",
    "%Y-%m-%d %H:%M:%S%#z",
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
)
"""Tried in this order on what those before left. The year comes first: no locale is guessed."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A reason code and the rows that it holds for, as an expression over parsed rows."""

    code: str
    rows: pl.Expr


@dataclass(frozen=True, slots=True)
class Parsed:
    """Typed rows, the cells that could not be read, and whether times came without a zone."""

    frame: pl.DataFrame
    faults: list[Fault]
    naive_times: bool


def parse(frame: pl.DataFrame, plan: TablePlan, *, file: FilePlan) -> Parsed:
    """`frame` with the table's columns and attributes typed; the source's cells under `RAW`.

    The faults are those of single cells that cannot be read; an absent cell is none.

    Raises:
        SourceRefused: `time.unit` when times turn out to be integers in a text file.
    """
    settings = file.settings
    dtypes = dict(file.header.columns)
    frame = frame.rename({name: RAW + name for name in dtypes})
    frame = frame.with_columns(_absent(dtypes, settings, csv=file.file.format == "csv"))
    faults: list[Fault] = []
    values: list[pl.Expr] = []
    naive = False
    declared = {column.name for column in plan.declared}
    for column in (*plan.table.columns, *plan.declared):
        source_name = file.known.get(column.name) or file.attributes.get(column.name)
        if source_name is not None:
            raw, dtype = pl.col(RAW + source_name), dtypes[source_name]
        elif column.name in settings.constants:
            raw, dtype = pl.lit(settings.constants[column.name], pl.String()), pl.String()
        else:
            values.append(pl.lit(None, column.dtype).alias(column.name))
            continue
        if column.dtype.is_temporal():
            series = frame.select(raw.alias(column.name)).to_series()
            if series.len() != frame.height:
                series = series.new_from_index(0, frame.height)
            local = _local_times(
                series, settings, file=file, source_name=source_name or column.name
            )
            frame = frame.with_columns(local.alias(_LOCAL + column.name))
            if isinstance(column.dtype, pl.Date):
                values.append(pl.col(_LOCAL + column.name).dt.date().alias(column.name))
                faults.append(_instant_faults(column.name, raw)[0])
                continue
            naive = naive or (local.dtype != INSTANT and local.null_count() < local.len())
            values.append(_instant(_LOCAL + column.name, local.dtype, settings).alias(column.name))
            faults += _instant_faults(column.name, raw)
        else:
            values.append(_value(raw, column, dtype, settings).alias(column.name))
            faults += _value_faults(column, raw, dtype)
    for name, wanted in plan.attributes.items():
        if name not in declared:
            values.append(_attribute(file.attributes.get(name), wanted, dtypes).alias(name))
    return Parsed(frame.with_columns(values), faults, naive)


def _absent(
    dtypes: dict[str, pl.DataType], settings: TableSource, *, csv: bool
) -> Iterator[pl.Expr]:
    tokens = [*([""] if csv else []), *settings.nulls]
    for name, dtype in dtypes.items():
        if not tokens or not isinstance(dtype, pl.String):
            continue
        cell = pl.col(RAW + name)
        is_token = cell == tokens[0] if len(tokens) == 1 else cell.is_in(tokens)
        yield pl.when(is_token).then(None).otherwise(cell).alias(RAW + name)


def _value(raw: pl.Expr, column: Column, dtype: pl.DataType, settings: TableSource) -> pl.Expr:
    if isinstance(column.dtype, pl.String):
        text = raw.cast(pl.String)
        words = settings.words.get(column.name)
        return text.replace(words) if words else text
    if isinstance(column.dtype, pl.Boolean):
        if isinstance(dtype, pl.Boolean):
            return raw
        text = raw.cast(pl.String).str.to_lowercase()
        return (
            pl.when(text.is_in(["true", "1", "yes"]))
            .then(pl.lit(True))
            .when(text.is_in(["false", "0", "no"]))
            .then(pl.lit(False))
        )
    if isinstance(dtype, pl.String) and settings.decimal == ",":
        raw = _with_point(raw)
    if isinstance(column.dtype, pl.Int64) and dtype.is_float():
        return pl.when(raw == raw.round()).then(raw).cast(pl.Int64, strict=False)
    return raw.cast(column.dtype, strict=False)


def _with_point(raw: pl.Expr) -> pl.Expr:
    """Decimal commas as points. Points stand only between groups of three: `1.234,5`."""
    grouped = raw.str.contains(r"^[+-]?[0-9]{1,3}(?:\.[0-9]{3})+(?:,[0-9]+)?$")
    plain = pl.when(grouped).then(raw.str.replace_all(".", "", literal=True)).otherwise(raw)
    return pl.when(~plain.str.contains(".", literal=True)).then(
        plain.str.replace(",", ".", literal=True)
    )


def _value_faults(column: Column, raw: pl.Expr, dtype: pl.DataType) -> list[Fault]:
    value = pl.col(column.name)
    if isinstance(column.dtype, pl.String):
        return []
    lost = raw.is_not_null() & value.is_null()
    if isinstance(column.dtype, pl.Boolean):
        return [] if isinstance(dtype, pl.Boolean) else [Fault("boolean.unparsable", lost)]
    faults = [Fault("number.unparsable", lost)]
    if column.dtype.is_float() and not dtype.is_integer():
        faults.append(Fault("number.not_finite", ~value.is_finite()))
    return faults


def _local_times(
    cells: pl.Series, settings: TableSource, *, file: FilePlan, source_name: str
) -> pl.Series:
    """Microseconds: naive as written, or aware in UTC where the cells tell their zone."""
    if isinstance(cells.dtype, pl.Categorical | pl.Enum | pl.Null):
        cells = cells.cast(pl.String)
    if isinstance(cells.dtype, pl.Date):
        return cells.cast(pl.Datetime("us"))
    if isinstance(cells.dtype, pl.Datetime):
        zoned = cells.dtype.time_zone is not None
        return (
            cells.dt.convert_time_zone("UTC").cast(INSTANT)
            if zoned
            else cells.cast(pl.Datetime("us"))
        )
    if cells.dtype.is_integer():
        return _from_epoch(cells.cast(pl.Int64, strict=False), settings)
    if settings.time_unit is not None:
        return _from_epoch(cells.cast(pl.Int64, strict=False), settings)
    if settings.time_format is not None:
        return _strptime(cells, settings.time_format)
    first = cells.drop_nulls().head(100)
    if first.len() and first.str.contains(r"^-?\d{5,}$").all():
        raise time_unit_missing(file.file, source_name)
    return _iso(cells, settings)


def _from_epoch(numbers: pl.Series, settings: TableSource) -> pl.Series:
    unit = settings.time_unit or "s"
    if unit == "ns":
        return (numbers // 1000).cast(INSTANT)
    scale = {"s": 1_000_000, "ms": 1_000, "us": 1}[unit]
    # Out of range stays a number beyond every year; it must not wrap around into a plausible one.
    limit = 2**62 // scale
    return (numbers.clip(-limit, limit) * scale).cast(INSTANT)


def _iso(cells: pl.Series, settings: TableSource) -> pl.Series:
    """Every ISO form that occurs; most batches have one and pay for one."""
    left = cells
    whole: pl.Series | None = None
    for form in _guess_first(cells):
        if left.len() == left.null_count():
            break
        parsed = _strptime(left, form)
        if parsed.null_count() == parsed.len():
            continue
        rest = left.null_count() == parsed.null_count()
        if whole is None and rest:
            return parsed
        zoned = parsed if parsed.dtype == INSTANT else _zoned(parsed, settings)
        whole = zoned if whole is None else whole.fill_null(zoned)
        left = left.zip_with(
            parsed.is_null(), pl.Series([None], dtype=pl.String).new_from_index(0, left.len())
        )
    return (
        whole
        if whole is not None
        else pl.Series(cells.name, [None], dtype=INSTANT).new_from_index(0, cells.len())
    )


def _zoned(local: pl.Series, settings: TableSource) -> pl.Series:
    return local.to_frame("at").select(_instant("at", local.dtype, settings)).to_series()


def _guess_first(cells: pl.Series) -> list[str]:
    """The forms, the one that fits the first cell in front."""
    sample = cells.drop_nulls().head(1)
    fits = [form for form in _ISO if sample.len() and _strptime(sample, form).null_count() == 0]
    return [*fits[:1], *(form for form in _ISO if form not in fits[:1])]


def _strptime(cells: pl.Series, form: str) -> pl.Series:
    if form == "%Y-%m-%d" or not any(mark in form for mark in ("%H", "%I", "%T", "%R", "%c")):
        return cells.str.to_date(form, strict=False).cast(pl.Datetime("us"))
    return cells.str.to_datetime(form, strict=False, time_unit="us")


def _instant(name: str, dtype: pl.DataType, settings: TableSource) -> pl.Expr:
    """UTC. A local time that occurs twice in autumn is the earlier; one that never was is null."""
    if dtype == INSTANT:
        return pl.col(name)
    return (
        pl.col(name)
        .dt.replace_time_zone(settings.timezone, ambiguous="earliest", non_existent="null")
        .dt.convert_time_zone("UTC")
    )


def _instant_faults(name: str, raw: pl.Expr) -> list[Fault]:
    local, value = pl.col(_LOCAL + name), pl.col(name)
    return [
        Fault("time.unparsable", raw.is_not_null() & local.is_null()),
        Fault("time.gap", local.is_not_null() & value.is_null()),
    ]


def _attribute(name: str | None, wanted: pl.DataType, dtypes: dict[str, pl.DataType]) -> pl.Expr:
    if name is None:
        return pl.lit(None, wanted)
    raw = pl.col(RAW + name)
    dtype = dtypes[name]
    if dtype.is_nested() and wanted == pl.String:
        return raw.map_batches(_as_text, return_dtype=pl.String)
    return raw if dtype == wanted else raw.cast(wanted)


def _as_text(series: pl.Series) -> pl.Series:
    return pl.Series(
        series.name, [None if cell is None else str(cell) for cell in series], pl.String
    )
