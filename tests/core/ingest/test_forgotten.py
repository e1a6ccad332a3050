"""Whoever was forgotten is not taken from a later delivery, and leaves nothing in what is kept."""

from collections.abc import Collection
from pathlib import Path

from erasing_worlds import ANNA, BELA, write_source

from oferta.clock import SystemClock
from oferta.events.erasing import erase_from_dataset
from oferta.events.guards import IngestOptions
from oferta.events.ingest import ingest
from oferta.events.manifest import DatasetManifest, read_manifest
from oferta.events.report import IngestReport
from oferta.progress import Silent


def taken(source: Path, out: Path, *, forgotten: str | None = None) -> IngestReport:
    def among(customer_ids: Collection[str]) -> list[str]:
        return [one for one in customer_ids if one == forgotten]

    options = IngestOptions(strict=False, forgotten=among if forgotten else None)
    return ingest(source, out, options=options, clock=SystemClock(), progress=Silent())


def holding(folder: Path, customer_id: str) -> list[str]:
    """Files that hold the id; Parquet keeps short texts as they are."""
    return [
        path.name
        for path in sorted(folder.rglob("*"))
        if path.is_file() and customer_id.encode() in path.read_bytes()
    ]


def manifest_of(dataset: Path) -> DatasetManifest:
    found = read_manifest(dataset)
    assert found is not None
    return found


def counts_add_up(manifest: DatasetManifest) -> bool:
    return all(
        entry.derived
        or entry.read == entry.rows + sum(entry.rejected.values()) + entry.deduplicated
        for entry in manifest.tables.values()
    )


def test_rows_of_who_was_forgotten_are_counted_and_kept_nowhere(tmp_path: Path):
    source, out = write_source(tmp_path / "source"), tmp_path / "out"
    report = taken(source, out, forgotten=ANNA)
    assert report.tables["events"].rejected["erased"] == 2
    assert report.tables["consent"].rejected == {"erased": 1}
    assert holding(out, ANNA) == []
    assert holding(out, BELA) != []
    assert counts_add_up(report.manifest)


def test_they_do_not_count_against_the_share_of_rejected_rows(tmp_path: Path):
    source = tmp_path / "source"
    source.mkdir()
    rows = [f"{ANNA},p1,purchase"] * 9 + [f"{BELA},p1,purchase"]
    (source / "events.csv").write_text("customer_id,product_id,event_type\n" + "\n".join(rows))
    report = taken(source, tmp_path / "out", forgotten=ANNA)
    assert report.tables["events"].accepted == 1


def test_the_same_source_again_is_unchanged_and_brings_nobody_back(tmp_path: Path):
    source, out = write_source(tmp_path / "source"), tmp_path / "out"
    taken(source, out)
    before = manifest_of(out).fingerprint
    assert holding(out, ANNA)
    again = taken(source, out, forgotten=ANNA)
    assert again.unchanged
    assert holding(out, ANNA) == []
    assert manifest_of(out).fingerprint != before, "training would think it the same data"


def test_an_erased_customer_goes_from_the_live_data_and_from_those_before(tmp_path: Path):
    source, out = write_source(tmp_path / "source"), tmp_path / "out"
    taken(source, out)
    events = source / "events.csv"
    events.write_text(events.read_text() + f"{BELA},p009,purchase,2026-05-09T10:00:00Z\n")
    options = IngestOptions(replace=True)
    ingest(source, out, options=options, clock=SystemClock(), progress=Silent())
    assert len(list(out.glob("data-*"))) == 2
    before = manifest_of(out)
    assert erase_from_dataset(out, ANNA) == 5  # 2 events, 1 of them rejected, 1 consent, 1 derived
    after = manifest_of(out)
    assert holding(out, ANNA) == []
    assert counts_add_up(after)
    assert after.tables["events"].rows == before.tables["events"].rows - 2
    assert erase_from_dataset(out, ANNA) == 0
    assert manifest_of(out) == after


def test_a_dataset_without_the_customer_is_not_touched(tmp_path: Path):
    out = tmp_path / "out"
    taken(write_source(tmp_path / "source"), out)
    before = manifest_of(out)
    assert erase_from_dataset(out, "nobody") == 0
    assert manifest_of(out) == before
