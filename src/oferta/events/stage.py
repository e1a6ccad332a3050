"""The first pass: every row of a table judged by itself and written to one of two places."""

from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from oferta.events.guess import Guesses
from oferta.events.parse import Fault, parse
from oferta.events.plan import FilePlan, TablePlan
from oferta.events.read import batches
from oferta.events.rows import RAW, ROW, Batch
from oferta.events.rules import long_cell_faults, normalise, table_faults
from oferta.events.types import EventType
from oferta.progress import Progress

REASON: Final = "rejected_reason"
FILE: Final = "rejected_file"
NUMBER: Final = "rejected_row"
TEXT: Final = "rejected_text"
KEPT_CHARS: Final = 1_000
"""Of each original cell in `rejected/`."""
MAX_EXAMPLES: Final = 5


@dataclass(slots=True)
class Tally:
    """The counts of one table while it is read."""

    read: int = 0
    accepted: int = 0
    deduplicated: int = 0
    naive_times: bool = False
    rejected: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    @property
    def rejected_rows(self) -> int:
        """All rejected rows, whatever their reason."""
        return self.rejected.total()


@dataclass(frozen=True, slots=True)
class Staged:
    """One table after its first pass: a Parquet part for each file, in their order."""

    plan: TablePlan
    parts: tuple[Path, ...]
    rejected: Path
    tally: Tally
    guesses: Guesses


def stage_table(
    plan: TablePlan,
    folder: Path,
    *,
    now: datetime,
    types: Mapping[str, EventType],
    progress: Progress,
) -> Staged:
    """Read the files of `plan` and write accepted rows to `folder/<table>/`, the rest beside.

    Raises:
        SourceRefused: a file turned out to be damaged or to need a declaration.
    """
    name = plan.table.name
    tally = Tally()
    guesses = Guesses(plan)
    parts: list[Path] = []
    rejected = folder / "rejected" / f"{name}.parquet"
    rejected.parent.mkdir(parents=True, exist_ok=True)
    (folder / name).mkdir(parents=True, exist_ok=True)
    total = sum(file.file.size for file in plan.files)
    with (
        PartWriter(rejected, rejected_schema(plan)) as refused,
        progress.task(f"reading {name}", total=total) as advance,
    ):
        for number, file in enumerate(plan.files):
            part = folder / name / f"part-{number:05d}.parquet"
            parts.append(part)
            done = 0
            with (
                # Left to the collector, a refusal half way would leave the file open for a while.
                closing(batches(file.file, file.settings, file.header)) as rows,
                PartWriter(part, accepted_schema(plan)) as accepted,
            ):
                for batch in rows:
                    places = _Places(accepted, refused, tally, guesses)
                    _stage_batch(batch, plan, file=file, places=places, now=now, types=types)
                    step = min(int(batch.frame.estimated_size()), file.file.size - done)
                    done += step
                    advance(step)
            advance(file.file.size - done)
    return Staged(plan, tuple(parts), rejected, tally, guesses)


@dataclass(frozen=True, slots=True)
class _Places:
    """Where judged rows go."""

    accepted: "PartWriter"
    refused: "PartWriter"
    tally: Tally
    guesses: Guesses


def _stage_batch(
    batch: Batch,
    plan: TablePlan,
    *,
    file: FilePlan,
    places: _Places,
    now: datetime,
    types: Mapping[str, EventType],
) -> None:
    refused, tally = places.refused, places.tally
    parsed = parse(batch.frame, plan, file=file)
    tally.naive_times = tally.naive_times or parsed.naive_times
    schema = plan.schema()
    texts = [name for name, dtype in schema.items() if dtype == pl.String]
    faults = [*parsed.faults, *table_faults(plan.table.name, now=now, types=types)]
    faults += long_cell_faults(texts)
    frame = parsed.frame.with_columns(
        pl.any_horizontal([f.rows.fill_null(value=False) for f in faults]).alias(REASON)
    )
    bad = frame.filter(pl.col(REASON))
    good = frame if bad.is_empty() else frame.filter(~pl.col(REASON))
    good = normalise(plan.table.name, good.select(*schema, ROW), types=types)
    places.guesses.update(good)
    places.accepted.write(good)
    tally.read += batch.rows
    tally.accepted += good.height
    if not bad.is_empty():
        _reject(bad, faults, plan, file=file, places=places)
    if batch.broken:
        lines = pl.DataFrame(
            {
                FILE: [file.file.name] * len(batch.broken),
                NUMBER: [row.row for row in batch.broken],
                REASON: [row.reason for row in batch.broken],
                TEXT: [row.text for row in batch.broken],
            },
            schema_overrides={NUMBER: pl.UInt64},
        )
        missing = [pl.lit(None, pl.String).alias(RAW + name) for name in plan.source_columns]
        write_rejected(lines.with_columns(missing), plan, refused, tally=tally)


def _reject(
    bad: pl.DataFrame, faults: list[Fault], plan: TablePlan, *, file: FilePlan, places: _Places
) -> None:
    reason = pl.coalesce([pl.when(f.rows).then(pl.lit(f.code)) for f in faults])
    present = {name for name, _ in file.header.columns}
    cells = [
        as_text(pl.col(RAW + name), bad.schema[RAW + name]).alias(RAW + name)
        if name in present
        else pl.lit(None, pl.String).alias(RAW + name)
        for name in plan.source_columns
    ]
    rows = bad.select(
        pl.lit(file.file.name).alias(FILE),
        pl.col(ROW).alias(NUMBER),
        reason.alias(REASON),
        pl.lit(None, pl.String).alias(TEXT),
        *cells,
    )
    write_rejected(rows, plan, places.refused, tally=places.tally)


def as_text(cell: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """A source cell as the text that `rejected/` keeps."""
    if dtype.is_nested() or dtype in {pl.Binary, pl.Object}:
        return cell.map_batches(
            lambda column: pl.Series(column.name, [str(value)[:KEPT_CHARS] for value in column]),
            return_dtype=pl.String,
        )
    return cell.cast(pl.String).str.slice(0, KEPT_CHARS)


def write_rejected(
    rows: pl.DataFrame, plan: TablePlan, refused: "PartWriter", *, tally: Tally
) -> None:
    """Count `rows` by reason, remember examples, and write them (cells under `RAW` names)."""
    refused.write(
        rows.select(
            FILE, NUMBER, REASON, TEXT, *(pl.col(RAW + n).alias(n) for n in plan.source_columns)
        )
    )
    tally.rejected.update(dict(rows[REASON].value_counts().iter_rows()))
    for row in rows.unique(REASON, keep="first", maintain_order=True).iter_rows(named=True):
        tally.examples.setdefault(
            row[REASON], f"{row[FILE]}, row {row[NUMBER]:,}: {_cells(row, plan)}"
        )


def _cells(row: dict[str, object], plan: TablePlan) -> str:
    if row[TEXT] is not None:
        return str(row[TEXT])[:100]
    cells = (f"{name}={row[RAW + name]!r}" for name in plan.source_columns)
    return ", ".join(cell if len(cell) < 50 else cell[:47] + "..." for cell in list(cells)[:6])  # noqa: PLR2004


def accepted_schema(plan: TablePlan) -> pl.Schema:
    """Accepted rows as written: with the row number they came from."""
    return pl.Schema({**plan.schema(), ROW: pl.UInt64()})


def rejected_schema(plan: TablePlan) -> pl.Schema:
    """Rejected rows as written: where, why, and the source's own cells as text."""
    own = {FILE: pl.String(), NUMBER: pl.UInt64(), REASON: pl.String(), TEXT: pl.String()}
    return pl.Schema({**own, **dict.fromkeys(plan.source_columns, pl.String())})


class PartWriter:
    """One Parquet file, written a frame at a time; whole only after a clean exit."""

    def __init__(self, path: Path, schema: pl.Schema) -> None:
        self.rows = 0
        self._schema = schema
        self._arrow = self._table(schema.to_frame()).schema
        self._writer = pq.ParquetWriter(path, self._arrow, compression="zstd", compression_level=1)

    def write(self, frame: pl.DataFrame) -> None:
        """Append `frame`, whose columns are the schema's in its order."""
        if frame.is_empty():
            return
        self._writer.write_table(self._table(frame).cast(self._arrow))
        self.rows += frame.height

    @staticmethod
    def _table(frame: pl.DataFrame) -> pa.Table:
        return frame.to_arrow(compat_level=pl.CompatLevel.oldest())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.close()
