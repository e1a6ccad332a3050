"""What makes a whole source too bad to take, after its rows were judged."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from oferta.errors import SourceRefused
from oferta.events.codes import REASONS
from oferta.events.manifest import DatasetManifest
from oferta.events.stage import Staged

FUTURE_SHARE: Final = 0.001
FUTURE_FROM_ROWS: Final = 1_000
PRODUCTS_MAY_SHRINK: Final = 0.20
CUSTOMERS_MAY_SHRINK: Final = 0.10
CONTRACTS_MAY_SHRINK: Final = 0.20
MAX_EVENT_TYPES: Final = 1_000

_BY_DESIGN: Final = frozenset(
    {
        "customer.too_many_events",
        "consent.outvoted",
        "archive.customer",
        "archive.product",
        "erased",
    }
)
"""Reasons that say nothing bad of the source: live events may be of customers of today."""


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """What the caller allows. The defaults guard against half exports and wrong declarations."""

    strict: bool = False
    """No rejected row at all."""
    max_rejected: float = 0.05
    """Largest share of rejected rows per table."""
    allow_empty: bool = False
    """Tables without rows, as in a delivery of changes."""
    replace: bool = False
    """Other content than the dataset has now."""
    accept_shrink: bool = False
    """Far fewer products or customers than the dataset has now."""
    max_customer_events: int = 100_000
    """Of the newest; a customer with more is a machine, and costs every model time."""
    forgotten: Callable[[Collection[str]], Collection[str]] | None = None
    """Of some ids, those of customers who were forgotten; nothing of them is taken."""


def check_rejected(staged: Staged, options: IngestOptions, *, place: Path) -> None:
    """Refuse a table of which too much was rejected.

    Raises:
        SourceRefused: `file.header_only`, `rejected.strict`, `time.too_many_future` or
            `rejected.too_many`, with the commonest reasons and an example of each.
    """
    tally, name = staged.tally, staged.plan.table.name
    if tally.read == 0 and not options.allow_empty:
        raise SourceRefused(
            "file.header_only",
            place,
            f"the table '{name}' has no rows",
            remedy="Export it again, or allow it with --allow-empty.",
        )
    counted = {reason: n for reason, n in tally.rejected.items() if reason not in _BY_DESIGN}
    if options.strict and counted:
        raise _too_many(
            "rejected.strict", place, staged, counted=counted, limit="--strict allows none"
        )
    if tally.read >= FUTURE_FROM_ROWS:
        future = counted.pop("time.future", 0)
        if future > FUTURE_SHARE * tally.read:
            ahead = {"time.future": future}
            limit = "0.1 % are allowed"
            raise _too_many("time.too_many_future", place, staged, counted=ahead, limit=limit)
    if sum(counted.values()) > options.max_rejected * tally.read:
        limit = f"--max-rejected allows {options.max_rejected:.1%}"
        raise _too_many("rejected.too_many", place, staged, counted=counted, limit=limit)


def within(manifest: DatasetManifest, options: IngestOptions) -> bool:
    """Whether a dataset made under other options would also pass under these."""
    most = 0.0 if options.strict else options.max_rejected
    return all(
        sum(n for reason, n in table.rejected.items() if reason not in _BY_DESIGN)
        <= most * table.read
        for table in manifest.tables.values()
    )


def _too_many(
    code: str, place: Path, staged: Staged, *, counted: Mapping[str, int], limit: str
) -> SourceRefused:
    tally, name = staged.tally, staged.plan.table.name
    commonest = sorted(counted.items(), key=lambda item: -item[1])[:5]
    lines = [
        f"\n  {count:,} x {reason}: {REASONS[reason]}\n      {tally.examples.get(reason, '')}"
        for reason, count in commonest
    ]
    total = sum(counted.values())
    hints = [_HINTS[reason] for reason, _ in commonest if reason in _HINTS]
    return SourceRefused(
        code,
        place,
        f"{total:,} of {tally.read:,} rows of '{name}' would be rejected and {limit}:"
        + "".join(lines)
        + "\n ",
        remedy=" ".join(hints) or "Correct the rows or their export.",
    )


_HINTS: Final[Mapping[str, str]] = {
    "time.unparsable": "Times that are not ISO need their form in source.toml: "
    'time_format = "%d.%m.%Y %H:%M".',
    "time.range": 'Check time_unit in source.toml ("s" or "ms"?).',
    "time.future": "Check the clock of this machine and `timezone` in source.toml.",
    "rate.range": "Rates are percent a year: 4.9, not 0.049 and not 490.",
    "number.unparsable": 'Numbers with a comma need decimal = "," in source.toml; '
    'words that mean absent need nulls = ["NA"].',
    "row.ragged": "Check the delimiter; cells that hold it must be quoted.",
    "product.unknown": "Is the products file complete? Without one, products come from the events.",
    "customer.unknown": "Is the customers file complete? Without one, customers come from the "
    "events.",
    "quantity.negative": 'What was taken back needs an event type of its own: "return", or a '
    "declared one of negative weight.",
    "duplicate.conflict": "An event_id (with its product_id), product_id, customer_id, contract_id "
    "or vehicle_id may occur once.",
}


def check_shrink(
    rows: Mapping[str, int],
    previous: DatasetManifest | None,
    options: IngestOptions,
    *,
    place: Path,
) -> None:
    """Refuse a source that looks like half an export beside the dataset it would replace.

    Raises:
        SourceRefused: `shrink`, or `consent.missing` where the dataset had consent.
    """
    if previous is None or options.accept_shrink:
        return
    for name, allowed in (
        ("products", PRODUCTS_MAY_SHRINK),
        ("customers", CUSTOMERS_MAY_SHRINK),
        ("contracts", CONTRACTS_MAY_SHRINK),
    ):
        if name not in previous.tables:
            continue
        before, now = previous.tables[name].rows, rows.get(name, 0)
        if now < (1 - allowed) * before:
            raise SourceRefused(
                "shrink",
                place,
                f"{now:,} {name} where there were {before:,}: a loss of more than {allowed:.0%}",
                remedy="If this is no half export, allow it with --accept-shrink.",
            )
    if "consent" in previous.tables and "consent" not in rows:
        raise SourceRefused(
            "consent.missing",
            place,
            "the dataset holds consent and this source brings none",
            remedy="Bring the consent file, or allow it with --accept-shrink.",
        )


def check_consent_age(consent: Staged, last_event: datetime | None) -> None:
    """Refuse consent that was written before the newest event: an opt-out may be missing.

    Raises:
        SourceRefused: `consent.stale`.
    """
    newest = max(file.file.modified_ns for file in consent.plan.files)
    written = datetime.fromtimestamp(newest / 1e9, UTC)
    if last_event is not None and written < last_event:
        raise SourceRefused(
            "consent.stale",
            consent.plan.files[0].file.path,
            f"was written {written:%Y-%m-%d %H:%M} UTC and the newest event is of "
            f"{last_event:%Y-%m-%d %H:%M} UTC",
            remedy="Export consent again, together with the events.",
        )
