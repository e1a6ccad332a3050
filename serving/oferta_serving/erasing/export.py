"""Everything that is held of one customer, as JSON or as tables in a zip."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Final

import orjson
import polars as pl

from oferta.clock import instant
from oferta.events.csv_safety import safe_csv_cell
from oferta.privacy.places import PLACES, Row
from oferta_serving.erasing.places import Ground, all_places

LOGIC: Final[Mapping[str, str]] = {
    "lists": """A model learns from what all customers bought or did which products go together, and
ranks for each customer what goes with theirs; every entry says because of which product.""",
    "profiles": """Facts are taken from the seller's tables, and from what the customer did, by the
rules that their evidence names.""",
    "decisions": """Rules say which offers may be made. Of these the one of the largest value
is made: chance that it is accepted, times what it earns, times what the moment adds. Rates and
fees come from the rate card alone, never from behaviour. Nothing here approves or denies a credit.
""",
}
"""What happens with all this, in words."""

RECIPIENTS: Final = ("the seller, and who works for them", "files that the seller has exported")
SOURCES: Final = (
    "the seller's tables, as ingested: see `datasets`",
    "what the customer did, as their apps and branches sent it: see `archive`",
    "what the customer said: see `consents`",
)

_PLAIN: Final = orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z

_EPOCH_SECONDS: Final = (1e8, 1e10)
"""Numbers of columns that are called `at` or `…_at` and are instants: of 1973 to 2286."""


async def exported(ground: Ground, customer_id: str) -> dict[str, object]:
    """All that is held of the customer, by place; places that hold nothing are empty lists.

    Raises:
        OfertaError, OSError: a place cannot be read: an export that lacks one would be no answer.
    """
    subject = ground.subject(customer_id)
    held = {
        place.name: [_dated(row) for row in await place.export(subject)]
        for place in all_places(ground)
    }
    return {
        "customer_id": customer_id,
        "exported_at": instant(ground.clock.now().timestamp()),
        "held": held,
        "places": {name: PLACES[name] for name in held},
        "logic": LOGIC,
        "sources": SOURCES,
        "recipients": RECIPIENTS,
    }


def as_json(export: Mapping[str, object]) -> bytes:
    """As JSON; instants as ISO 8601, UTC."""
    option = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY | _PLAIN
    return orjson.dumps(export, default=str, option=option)


def as_zip(export: Mapping[str, object]) -> bytes:
    """As a zip: `about.json`, and a CSV file for each place that holds anything.

    No cell begins as a formula does: a spreadsheet shows what is there and runs nothing.
    """
    out = io.BytesIO()
    held = export["held"]
    about = {name: said for name, said in export.items() if name != "held"}
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("about.json", as_json(about))
        for name, rows in held.items() if isinstance(held, Mapping) else ():
            if rows:
                archive.writestr(f"{name}.csv", _table(rows))
    return out.getvalue()


def _table(rows: Sequence[Row]) -> bytes:
    names = dict.fromkeys(name for row in rows for name in row)
    cells = {name: [_cell(row.get(name)) for row in rows] for name in names}
    frame = pl.DataFrame(cells, schema=dict.fromkeys(names, pl.String()))
    guarded = frame.with_columns(safe_csv_cell(name) for name in names)
    return guarded.write_csv().encode()


def _dated(value: object, name: str = "") -> object:
    """The value with its instants as ISO 8601, where records have seconds of the epoch."""
    if isinstance(value, Mapping):
        return {key: _dated(one, str(key)) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_dated(one) for one in value]
    if isinstance(value, int | float) and (name == "at" or name.endswith("_at")):
        first, last = _EPOCH_SECONDS
        return instant(value) if first <= value < last else value
    return value


def _cell(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, datetime):  # JSON would put it between quotation marks
        return instant(value)
    if isinstance(value, date):
        return value.isoformat()
    return orjson.dumps(value, default=str, option=_PLAIN).decode()
