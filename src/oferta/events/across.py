"""The second pass: what a row must satisfy beside the others of its table and of other tables.

Each rule gives the rows that must go (`PART`, `ROW`, `REASON`; no reason means "said before, word
for word"). Memory is that of the keys of one partition and of the rows that go, not of the table.
"""

from pathlib import Path
from typing import Final

import polars as pl

from oferta.columns import CONSENT, EVENTS
from oferta.events.rows import RAW, ROW
from oferta.events.stage import (
    FILE,
    NUMBER,
    REASON,
    TEXT,
    PartWriter,
    Staged,
    as_text,
    rejected_schema,
    write_rejected,
)

PART: Final = "__part"
_HASH: Final = "__hash"
_FIRST: Final = "__first"
PARTITION_ROWS: Final = 2_000_000
"""Keys compared at a time: about 100 MB."""

REMOVALS: Final = pl.Schema({PART: pl.UInt32(), ROW: pl.UInt64(), REASON: pl.String()})


def scan(staged: Staged) -> pl.LazyFrame:
    """The accepted rows of all parts, in order, with `PART` and `ROW`."""
    return pl.concat(
        [
            pl.scan_parquet(part, glob=False).with_columns(pl.lit(number, pl.UInt32).alias(PART))
            for number, part in enumerate(staged.parts)
        ]
    )


def duplicates(staged: Staged, *, archive: int | None = None) -> pl.DataFrame:
    """Rows that repeat a key: the repetitions where they agree, all of them where they do not.

    Events without an id are kept: a customer may well buy the same again. So is the part `archive`,
    where an id is its customer's own: see `told_again`.
    """
    table = staged.plan.table
    key = table.key
    rows = scan(staged)
    if table.name == EVENTS.name:
        if "event_id" not in {name for file in staged.plan.files for name in file.known}:
            return REMOVALS.to_frame()
        rows = rows.filter(pl.col("event_id").is_not_null())
    if archive is not None:
        rows = rows.filter(pl.col(PART) != archive)
    hashed = pl.lit(0, pl.UInt64)
    for seed, name in enumerate(key):
        hashed = hashed.xor(pl.col(name).hash(seed))
    rows = rows.with_columns(hashed.alias(_HASH))
    partitions = 1 + staged.tally.accepted // PARTITION_ROWS
    found = [REMOVALS.to_frame()]
    for number in range(partitions):
        here = rows.filter(pl.col(_HASH) % partitions == number) if partitions > 1 else rows
        repeated = (
            here.select(_HASH)
            .group_by(_HASH)
            .len()
            .filter(pl.col("len") > 1)
            .select(_HASH)
            .collect(engine="streaming")
        )
        if repeated.is_empty():
            continue
        suspects = here.join(repeated.lazy(), on=_HASH, how="semi").collect(engine="streaming")
        suspects = suspects.sort(PART, ROW)
        judge = _judge_consent if table.name == CONSENT.name else _judge
        found.append(judge(suspects, key, tuple(staged.plan.schema())))
    return pl.concat(found)


def _judge(suspects: pl.DataFrame, key: tuple[str, ...], columns: tuple[str, ...]) -> pl.DataFrame:
    nested = [name for name in columns if suspects.schema[name].is_nested()]
    plain = suspects.with_columns(
        as_text(pl.col(name), suspects.schema[name]).alias(name) for name in nested
    )
    same = pl.struct(columns).n_unique().over(key) == 1
    judged = plain.select(
        PART,
        ROW,
        pl.when(same).then(None).otherwise(pl.lit("duplicate.conflict")).alias(REASON),
        pl.int_range(pl.len()).over(key).alias(_FIRST),
    )
    return judged.filter(pl.col(REASON).is_not_null() | (pl.col(_FIRST) > 0)).select(
        REMOVALS.names()
    )


def _judge_consent(
    suspects: pl.DataFrame, key: tuple[str, ...], columns: tuple[str, ...]
) -> pl.DataFrame:
    del columns
    out = pl.col("state") == "out"
    judged = suspects.select(
        PART,
        ROW,
        pl.when(out.any().over(key) & ~out).then(pl.lit("consent.outvoted")).alias(REASON),
        pl.int_range(pl.len()).over([*key, "state"]).alias(_FIRST),
    )
    return judged.filter(pl.col(REASON).is_not_null() | (pl.col(_FIRST) > 0)).select(
        REMOVALS.names()
    )


def strangers(staged: Staged, known: Staged, *, column: str, archive: int | None) -> pl.DataFrame:
    """Rows whose `column` is not in the table `known`; of the part `archive` it is no fault."""
    what = column.removesuffix("_id")
    reason = pl.lit(f"{what}.unknown")
    if archive is not None:
        live = pl.col(PART) == archive
        reason = pl.when(live).then(pl.lit(f"archive.{what}")).otherwise(reason)
    rows = scan(staged)
    unknown = (
        rows.select(column)
        .unique()
        .join(scan(known).select(column), on=column, how="anti")
        .collect(engine="streaming")
    )
    if unknown.is_empty():
        return REMOVALS.to_frame()
    return (
        rows.join(unknown.lazy(), on=column, how="semi")
        .select(PART, ROW, reason.alias(REASON))
        .collect(engine="streaming")
    )


def told_before(staged: Staged, *, archive: int) -> pl.DataFrame:
    """Rows of the part `archive` whose customer's event the parts before it tell: these count."""
    if "event_id" not in {name for file in staged.plan.files[:archive] for name in file.known}:
        return REMOVALS.to_frame()
    rows = scan(staged).filter(pl.col("event_id").is_not_null())
    partitions = 1 + staged.tally.accepted // PARTITION_ROWS
    found = [REMOVALS.to_frame()]
    for number in range(partitions):
        here = rows.filter(pl.col("event_id").hash() % partitions == number)
        told = here.filter(pl.col(PART) < archive).select("event_id", "customer_id")
        found.append(
            here.filter(pl.col(PART) == archive)
            .join(told, on=["event_id", "customer_id"], how="semi")
            .select(PART, ROW, pl.lit(None, pl.String).alias(REASON))
            .collect(engine="streaming")
        )
    return pl.concat(found)


def told_again(staged: Staged, *, archive: int) -> pl.DataFrame:
    """Rows of the part `archive` that repeat an event of the same customer: the first counts.

    The archive has an event twice where a session sent it, and then the customer that it turned
    out to be; or where an archiver was killed as its Redis was emptied.
    """
    rows = scan(staged).filter((pl.col(PART) == archive) & pl.col("event_id").is_not_null())
    key = ("event_id", "product_id", "customer_id")
    partitions = 1 + staged.tally.accepted // PARTITION_ROWS
    found = [REMOVALS.to_frame()]
    for number in range(partitions):
        here = rows.filter(pl.col("event_id").hash() % partitions == number)
        first = pl.col(ROW) == pl.col(ROW).min().over(key)
        again = here.select(PART, ROW, *key).filter(~first)
        found.append(
            again.select(PART, ROW, pl.lit(None, pl.String).alias(REASON)).collect(
                engine="streaming"
            )
        )
    return pl.concat(found)


def over_cap(staged: Staged, *, cap: int) -> pl.DataFrame:
    """Events of customers who have more than `cap`: all but their newest `cap`."""
    rows = scan(staged)
    heavy = (
        rows.group_by("customer_id")
        .len()
        .filter(pl.col("len") > cap)
        .select("customer_id")
        .collect(engine="streaming")
    )
    if heavy.is_empty():
        return REMOVALS.to_frame()
    theirs = rows.join(heavy.lazy(), on="customer_id", how="semi")
    events = theirs.select("customer_id", "timestamp", "seq", PART, ROW).collect(engine="streaming")
    newest_first = events.sort(
        "timestamp", "seq", PART, ROW, descending=True, nulls_last=True
    ).with_columns(pl.int_range(pl.len()).over("customer_id").alias(_FIRST))
    return newest_first.filter(pl.col(_FIRST) >= cap).select(
        PART, ROW, pl.lit("customer.too_many_events").alias(REASON)
    )


def remove(staged: Staged, removals: pl.DataFrame, *, name: str) -> Path | None:
    """Take `removals` out of the parts of `staged`; the file of those that have a reason."""
    if removals.is_empty():
        return None
    plan, tally = staged.plan, staged.tally
    tally.accepted -= removals.height
    tally.deduplicated += removals[REASON].null_count()
    refused = staged.rejected.with_name(f"{plan.table.name}.{name}.parquet")
    with PartWriter(refused, rejected_schema(plan)) as writer:
        for number, part in enumerate(staged.parts):
            here = removals.filter(pl.col(PART) == number).select(ROW, REASON)
            if here.is_empty():
                continue
            rows = pl.scan_parquet(part, glob=False)
            named = here.filter(pl.col(REASON).is_not_null())
            if not named.is_empty():
                lost = rows.join(named.lazy(), on=ROW, how="inner").sort(ROW)
                cells = _source_cells(lost.collect(engine="streaming"), staged, number)
                write_rejected(cells, plan, writer, tally=tally)
            left = part.with_suffix(".left")
            rows.join(here.lazy(), on=ROW, how="anti", maintain_order="left").sink_parquet(
                left, compression="zstd", compression_level=1
            )
            left.replace(part)
    return refused


def _source_cells(rows: pl.DataFrame, staged: Staged, number: int) -> pl.DataFrame:
    """Accepted rows as `rejected/` has them: under the source's names, as text."""
    file = staged.plan.files[number]
    ours = {source: name for name, source in (*file.known.items(), *file.attributes.items())}
    return rows.select(
        pl.lit(file.file.name).alias(FILE),
        pl.col(ROW).alias(NUMBER),
        pl.col(REASON),
        pl.lit(None, pl.String).alias(TEXT),
        *(
            as_text(pl.col(ours[name]), rows.schema[ours[name]]).alias(RAW + name)
            if name in ours
            else pl.lit(None, pl.String).alias(RAW + name)
            for name in staged.plan.source_columns
        ),
    )
