"""From source files to a dataset: rows judged one by one, then together, then made real at once."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Final

import polars as pl

from oferta.clock import Clock
from oferta.columns import (
    ATTRIBUTES,
    CONSENT,
    CONTRACTS,
    CUSTOMERS,
    EVENTS,
    PRODUCTS,
    TABLES,
    VEHICLES,
)
from oferta.errors import SourceRefused
from oferta.events.across import (
    PART,
    duplicates,
    over_cap,
    remove,
    scan,
    strangers,
    told_again,
    told_before,
)
from oferta.events.archive import reading
from oferta.events.erasing import scrub_dataset
from oferta.events.forgotten import drop_forgotten
from oferta.events.guards import (
    IngestOptions,
    check_consent_age,
    check_rejected,
    check_shrink,
    within,
)
from oferta.events.inspected import Inspected, inspect_source, read_live
from oferta.events.integrity import check_unchanged
from oferta.events.manifest import (
    DatasetManifest,
    FileEntry,
    SourceEntry,
    TableEntry,
)
from oferta.events.output import Output, open_output
from oferta.events.plan import TablePlan, plan_table
from oferta.events.read import header
from oferta.events.report import IngestReport, report_of
from oferta.events.stage import Staged, stage_table
from oferta.events.survey import survey_event_types, survey_times, survey_warnings
from oferta.events.survey_tables import survey_vehicle_ids, survey_wishes, survey_words
from oferta.events.types import event_types
from oferta.progress import Progress

_READ_ORDER: Final = (PRODUCTS, CUSTOMERS, CONSENT, VEHICLES, CONTRACTS, ATTRIBUTES, EVENTS)
_KNOWN: Final[Mapping[str, tuple[str, ...]]] = {
    EVENTS.name: ("product_id", "customer_id"),
    CONTRACTS.name: ("product_id", "customer_id"),
    VEHICLES.name: ("customer_id",),
    ATTRIBUTES.name: ("customer_id",),
}
"""Per table, the ids that the products and the customers table must know, if there are such."""


def ingest(
    source: Path,
    out: Path,
    *,
    options: IngestOptions,
    clock: Clock,
    progress: Progress,
    archive: Path | None = None,
) -> IngestReport:
    """Read `source`, and the live events in `archive`, and make them the dataset `out`.

    Memory does not grow with the events; it does with the number of different customers and
    products. Killed at any moment, `out` is what it was before.

    Raises:
        SourceRefused: with a code of `oferta.events.codes.REFUSALS`; `out` is untouched.
        SettingsInvalid: the `source.toml` is wrong.
        ArchiveUnreadable: a file of the archive is damaged; `out` is untouched.
        OutputFailed: no room to write; `out` is untouched.
    """
    # Who puts archived files together, or takes a customer out of them, waits until it was read.
    with nullcontext() if archive is None or not archive.is_dir() else reading(archive):
        inspected = inspect_source(source, options, progress=progress, archive=archive)
        return ingest_inspected(inspected, out, options=options, clock=clock, progress=progress)


def ingest_inspected(
    source: Inspected, out: Path, *, options: IngestOptions, clock: Clock, progress: Progress
) -> IngestReport:
    """The rest of `ingest`, for who has inspected already."""
    started = time.perf_counter()
    if out.resolve() == source.located.root.resolve():
        raise SourceRefused(
            "output.not_a_dataset",
            out,
            "is the source itself",
            remedy="Choose another --out, as a folder inside it.",
        )
    if options.forgotten is not None:
        scrub_dataset(out, options.forgotten)
    with open_output(out) as output:
        previous = output.previous
        if previous is not None:
            same = previous.source_fingerprint == source.fingerprint
            if same and within(previous, options):
                return report_of(out, previous, unchanged=True, seconds=0.0)
            if not (same or options.replace):
                raise SourceRefused(
                    "output.exists",
                    out,
                    f"holds other content (source {previous.source_fingerprint[:12]}, "
                    f"this one is {source.fingerprint[:12]})",
                    remedy="Replace it with --replace, or choose another --out.",
                )
        manifest, examples = _build(source, output, options, clock, progress)
        output.commit(manifest)
    seconds = time.perf_counter() - started
    return report_of(out, manifest, unchanged=False, seconds=seconds, examples=examples)


def _build(
    source: Inspected,
    output: Output,
    options: IngestOptions,
    clock: Clock,
    progress: Progress,
) -> tuple[DatasetManifest, Mapping[str, Mapping[str, str]]]:
    now = clock.now()
    located, folder = source.located, output.folder
    types = event_types(located.settings.event_types)
    live = read_live(source, folder / "live.parquet")
    plans = {}
    for name, files in source.files.items():
        settings = located.settings.table(name)
        headers = [(file, header(file, settings)) for file in files]
        ours = [] if live is None or name != EVENTS.name else [(live.file, live.header)]
        plans[name] = plan_table(TABLES[name], settings, files=headers, ours=ours)
    staged: dict[str, Staged] = {}
    for table in _READ_ORDER:
        if table.name not in plans:
            continue
        one = stage_table(plans[table.name], folder, now=now, types=types, progress=progress)
        staged[table.name] = one
        drop_forgotten(one, options.forgotten)
        archive = len(one.parts) - 1 if live is not None and table == EVENTS else None
        refused = _second_pass(one, staged, options, progress, archive=archive)
        _join_rejected(one.rejected, refused)
        check_rejected(one, options, place=_place(source, table.name))
    if live is not None:
        live.file.path.unlink()
    for found in source.files.values():
        for file in found:
            check_unchanged(file)

    events = scan(staged[EVENTS.name])
    times = survey_times(events)
    if CONSENT.name in staged:
        # What was said since then is in the consent ledger, as what was done is in the archive.
        delivered = events.filter(pl.col(PART) < len(source.files[EVENTS.name]))
        last = times.last if live is None else survey_times(delivered).last
        check_consent_age(staged[CONSENT.name], last)
    tables = {name: _entry(one, folder) for name, one in staged.items()}
    for table in (PRODUCTS, CUSTOMERS):
        if table.name not in tables:
            tables[table.name] = _derive(table.name, staged, folder)
    rows = {name: entry.rows for name, entry in tables.items()}
    check_shrink(rows, output.previous, options, place=located.root)

    entries = survey_event_types(
        events, located.settings.event_types, place=_place(source, EVENTS.name)
    )
    with progress.task("looking at the whole", total=None):
        warnings = [
            *source.repeated,
            *([] if live is None else _no_ids(plans[EVENTS.name])),
            *(warning for plan in plans.values() for warning in plan.warnings),
            *(
                f"event type '{entry.name}' is not declared: {entry.events:,} events count as "
                "conversions of weight 1"
                for entry in entries
                if entry.origin == "undeclared"
            ),
            *survey_warnings(
                events,
                _scan_entry(tables[PRODUCTS.name], folder),
                _scan_entry(tables[CUSTOMERS.name], folder),
                now=now,
            ),
            *survey_words(staged),
            *survey_vehicle_ids(staged),
            *survey_wishes(staged),
        ]
    fingerprint = _fingerprint(tables, located.settings.event_types)
    naive = any(one.tally.naive_times for one in staged.values())
    zones = sorted({located.settings.table(name).timezone for name in staged})
    manifest = DatasetManifest(
        created_at=now,
        data=output.data_name(fingerprint),
        fingerprint=fingerprint,
        source_fingerprint=source.fingerprint,
        sources=tuple(
            SourceEntry(table=name, name=f.name, format=f.format, bytes=f.size, sha256=f.sha256)
            for name, found in source.files.items()
            for f in (*found, *((live.file,) if live is not None and name == EVENTS.name else ()))
        ),
        ignored=located.ignored,
        tables=tables,
        event_types=entries,
        order=times.order,
        first_time=times.first,
        last_time=times.last,
        undated=times.undated,
        timezone=", ".join(zones) if naive else None,
        archive=None if live is None else live.entry,
        covered=() if source.archive is None else source.archive.covered,
        warnings=tuple(warnings),
    )
    return manifest, {name: one.tally.examples for name, one in staged.items()}


def _no_ids(plan: TablePlan) -> list[str]:
    """Where the delivered events cannot be told from the live ones."""
    if any("event_id" in file.known for file in plan.files[:-1]):
        return []
    return ["events of the files have no event_id: what was also sent live counts twice"]


def _second_pass(
    one: Staged,
    staged: Mapping[str, Staged],
    options: IngestOptions,
    progress: Progress,
    *,
    archive: int | None,
) -> list[Path]:
    """Apply the rules across rows, one after the other; the files of what they rejected.

    `archive` is the part that was read of the archive, if any.
    """
    name = one.plan.table.name
    steps: dict[str, Callable[[], pl.DataFrame]] = {}
    if archive is not None:
        steps["told"] = partial(told_before, one, archive=archive)
        steps["again"] = partial(told_again, one, archive=archive)
    steps["duplicates"] = partial(duplicates, one, archive=archive)
    for column in _KNOWN.get(name, ()):
        table = PRODUCTS if column == "product_id" else CUSTOMERS
        if table.name in staged:
            known, step = staged[table.name], column.replace("_id", ".unknown")
            steps[step] = partial(strangers, one, known, column=column, archive=archive)
    if name == EVENTS.name:
        steps["cap"] = partial(over_cap, one, cap=options.max_customer_events)
    refused: list[Path] = []
    with progress.task(f"comparing {name}", total=len(steps)) as advance:
        for step, rule in steps.items():
            if one.tally.accepted:
                file = remove(one, rule(), name=step)
                refused += [file] if file is not None else []
            advance(1)
    return refused


def _join_rejected(first: Path, others: list[Path]) -> None:
    """One file of rejected rows, or none where no row was rejected."""
    pieces = [path for path in (first, *others) if _rows(path)]
    if others or not pieces:
        joined = first.with_suffix(".joined")
        if pieces:
            pl.concat([pl.scan_parquet(path, glob=False) for path in pieces]).sink_parquet(joined)
        for path in (first, *others):
            path.unlink()
        if pieces:
            joined.rename(first)


def _rows(path: Path) -> int:
    return int(pl.scan_parquet(path, glob=False).select(pl.len()).collect().item())


def _place(source: Inspected, table: str) -> Path:
    files = source.files[table]
    return files[0].path if len(files) == 1 else files[0].path.parent


def _entry(staged: Staged, folder: Path) -> TableEntry:
    tally, plan = staged.tally, staged.plan
    rejected = staged.rejected
    return TableEntry(
        files=tuple(_file_entry(part, folder) for part in staged.parts),
        rows=tally.accepted,
        read=tally.read,
        deduplicated=tally.deduplicated,
        rejected=dict(sorted(tally.rejected.items(), key=lambda item: (-item[1], item[0]))),
        rejected_file=rejected.relative_to(folder).as_posix() if rejected.exists() else None,
        attributes={name: str(dtype) for name, dtype in plan.attributes.items()},
        from_text={name: str(dtype) for name, dtype in staged.guesses.dtypes().items()},
    )


def _derive(name: str, staged: Mapping[str, Staged], folder: Path) -> TableEntry:
    """The table `name` with nothing but the ids that occur, in their order as text."""
    table = TABLES[name]
    (key,) = table.key
    path = folder / name / "part-00000.parquet"
    path.parent.mkdir()
    occurring = [
        scan(staged[n]).select(key) for n, keys in _KNOWN.items() if key in keys and n in staged
    ]
    ids = pl.concat(occurring).unique().sort(key)
    absent = [
        pl.lit(None, column.dtype).alias(column.name)
        for column in table.columns
        if column.name != key
    ]
    ids.with_columns(absent).select(table.names).sink_parquet(path)
    entry = _file_entry(path, folder)
    return TableEntry(files=(entry,), rows=_rows(path), derived=True)


def _scan_entry(entry: TableEntry, folder: Path) -> pl.LazyFrame:
    return pl.scan_parquet([folder / file.name for file in entry.files], glob=False)


def _file_entry(path: Path, folder: Path) -> FileEntry:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileEntry(
        name=path.relative_to(folder).as_posix(), bytes=path.stat().st_size, sha256=digest
    )


def _fingerprint(tables: Mapping[str, TableEntry], weights: Mapping[str, float | str]) -> str:
    content = {
        "tables": {name: [file.sha256 for file in entry.files] for name, entry in tables.items()},
        "from_text": {name: entry.from_text for name, entry in tables.items()},
        "weights": dict(weights),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
