"""What an evaluation reads: the events of a dataset, with the columns that a protocol needs."""

from collections.abc import Mapping
from typing import Protocol as Port

import polars as pl

from oferta.columns import EVENTS
from oferta.errors import SourceRefused, UnknownName
from oferta.evaluation.cuts import ColumnCut
from oferta.evaluation.protocol import Protocol
from oferta.evaluation.splits import ROW
from oferta.events.types import EventType

_NEEDED = ("customer_id", "product_id", "event_type", "timestamp", "seq", "quantity")
_MOST_PARTS = 10


class Source(Port):
    """Data to evaluate on: an opened dataset, or a test's own frames."""

    @property
    def event_types(self) -> Mapping[str, EventType]:
        """Every type of event by name."""
        ...

    def events(self) -> pl.LazyFrame:
        """Columns of `oferta.columns.EVENTS` and attributes; optional columns may be missing."""
        ...

    def products(self) -> pl.LazyFrame:
        """`product_id` and more: all of them are ranked, also those that nobody has."""
        ...

    def customers(self) -> pl.LazyFrame:
        """`customer_id` and attributes."""
        ...


def read(source: Source, protocol: Protocol) -> pl.DataFrame:
    """The events as one frame with `ROW`, their number in the source.

    Holds the needed columns (null where the source has none), the group, the cut's column, and
    text columns that look like parts of a split, which a refusal can then name.

    Raises:
        UnknownName: the group, a condition's or the cut's column is not there.
        SourceRefused: no event meets the conditions.
    """
    events = source.events()
    schema = events.collect_schema()
    asked = {protocol.group} if protocol.group else set[str]()
    if isinstance(protocol.cut, ColumnCut):
        asked.add(protocol.cut.column)
    conditions = [tuple(condition.split("=", 1)) for condition in protocol.where]
    for name in sorted(asked | {column for column, _ in conditions}):
        if name not in schema:
            raise UnknownName("column", name, schema.names())
    dtypes = EVENTS.schema()
    columns = [
        pl.col(name) if name in schema else pl.lit(None, dtypes[name]).alias(name)
        for name in _NEEDED
    ]
    extra = sorted((asked | _parts(events, schema)) - set(_NEEDED))
    for column, value in conditions:
        events = events.filter(pl.col(column).cast(pl.String) == value)
    chosen = events.select(*columns, *(pl.col(name).cast(pl.String) for name in extra))
    found = chosen.collect(engine="streaming").with_row_index(ROW)
    if not len(found):
        raise SourceRefused(
            "evaluation.no_events",
            "events",
            "none" + (f" where {' and '.join(protocol.where)}" if protocol.where else ""),
            remedy="Evaluate on data with events, or with other conditions.",
        )
    return found


def targets(
    events: pl.DataFrame, types: Mapping[str, EventType], protocol: Protocol
) -> frozenset[str]:
    """The event types to foresee: those asked for, else all conversions, else all interests.

    Raises:
        UnknownName: a type asked for that no event has.
        SourceRefused: neither conversions nor interests are there.
    """
    present = sorted(events["event_type"].unique().to_list())
    for name in protocol.target:
        if name not in present:
            raise UnknownName("event type", name, present)
    if protocol.target:
        return frozenset(protocol.target)
    for meaning in ("conversion", "interest"):
        # A type that nobody declared is a conversion, as everywhere.
        found = [
            name
            for name in present
            if (types[name].meaning if name in types else "conversion") == meaning
        ]
        if found:
            return frozenset(found)
    raise SourceRefused(
        "evaluation.no_target",
        "events",
        f"neither a conversion nor an interest among the event types ({', '.join(present)})",
        remedy="Name what to foresee with --target, or declare the types in source.toml.",
    )


def _parts(events: pl.LazyFrame, schema: pl.Schema) -> set[str]:
    text = [
        name
        for name, dtype in schema.items()
        if dtype in {pl.String, pl.Categorical} and name not in EVENTS.names
    ]
    if not text:
        return set()
    found = events.select(
        *(pl.col(name).n_unique().alias(f"n:{name}") for name in text),
        *((pl.col(name).cast(pl.String) == "train").any().alias(f"t:{name}") for name in text),
    ).collect(engine="streaming")
    return {name for name in text if found[f"n:{name}"][0] <= _MOST_PARTS and found[f"t:{name}"][0]}
