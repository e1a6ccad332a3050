"""Live events are read with a source's files: each once, for whoever it turned out to be."""

import asyncio
import io
from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from core.ingest.shops import CLOCK, HEADER, NOW, Shop

from oferta.errors import ArchiveUnreadable, SourceRefused
from oferta.events.archive import (
    NOWHERE,
    SCHEMA,
    SHARDS,
    Archived,
    Positions,
    append,
    appending,
    archive_files,
    last_positions,
    rows_of,
)
from oferta.events.archive_rewrite import join_days, take_out
from oferta.events.erasing import ArchiveRows
from oferta.events.event import Event, Position
from oferta.events.guards import IngestOptions
from oferta.events.ingest import ingest
from oferta.events.report import IngestReport
from oferta.privacy.places import Subject
from oferta.progress import Silent
from oferta.store import keys
from oferta.store.keys import KeySpace

FILES = {
    "events.csv": "event_id,customer_id,product_id,event_type,timestamp\n"
    "event-001,ann,loan,purchase,2026-02-01\n"
    "event-002,bob,card,view,2026-02-02\n"
}
EARLIER = (NOW - timedelta(hours=6)).timestamp()


def event(number: int, *, after_s: float = 0, **said: object) -> Event:
    told = {"type": "click", "customer_id": "ann", "product_id": "loan", **said}
    at = EARLIER + after_s
    return Event(f"live-{number:04d}", at=at, received_at=at, **told)  # type: ignore[arg-type]


def positions(ms: int) -> Positions:
    return (Position(ms, 1), *NOWHERE[1:])


def archive(folder: Path, *files: list[Event]) -> Path:
    """An archive with these files, a day each."""
    folder.mkdir()
    for number, events in enumerate(files, 1):
        rows = rows_of([Archived(0, Position(number, at), one) for at, one in enumerate(events)])
        append(folder, rows, positions=positions(number), day=f"2026-02-{number:02d}")
    return folder


def read(
    shop: Shop, files: Mapping[str, str], live: Path, **options: object
) -> tuple[IngestReport, list[dict[str, object]]]:
    shop.write(files)
    report = ingest(
        shop.source,
        shop.out,
        options=IngestOptions(**options),  # type: ignore[arg-type]
        clock=CLOCK,
        progress=Silent(),
        archive=live,
    )
    for counts in report.tables.values():
        assert counts.derived or counts.read == (
            counts.accepted + counts.rejected_rows + counts.deduplicated
        )
    return report, shop.dataset().events().collect().to_dicts()


def test_there_are_as_many_positions_as_streams():
    assert SHARDS == keys.SHARDS


def test_nothing_that_an_event_says_is_left_out_of_the_archive():
    """Who adds a field to events adds it here, or says why not."""
    told = {"id": "event_id", "type": "event_type", "at": "timestamp"}
    names = {told.get(field.name, field.name) for field in fields(Event)}
    assert names - set(SCHEMA.names) == set()


def test_live_events_are_read_after_the_files_and_the_manifest_says_how_far(
    shop: Shop, tmp_path: Path
):
    live = archive(
        tmp_path / "archive",
        [event(1, channel="app", value=12.5, quantity=2.0)],
        [event(2, customer_id="new", attributes={"wished_amount": 9000, "note": "x"})],
    )
    report, rows = read(shop, FILES, live)
    assert [row["event_id"] for row in rows] == [
        *("event-001", "event-002", "live-0001", "live-0002")
    ]
    first = rows[2]
    assert (first["customer_id"], first["product_id"], first["event_type"]) == (
        *("ann", "loan", "click"),
    )
    assert (first["channel"], first["value"], first["quantity"]) == ("app", 12.5, 2.0)
    assert first["timestamp"] == datetime.fromtimestamp(EARLIER, UTC)
    assert rows[3]["wished_amount"] == 9000
    assert "note" not in rows[3]
    assert "placement" not in rows[3]
    assert report.manifest.covered == ("2-1", *["0-0"] * 15)
    assert {file.name for file in report.manifest.sources} == {"events.csv", "archive"}
    assert not list(shop.out.rglob("live.parquet"))


def test_the_same_archive_is_nothing_new_and_a_longer_one_is(shop: Shop, tmp_path: Path):
    live = archive(tmp_path / "archive", [event(1)])
    read(shop, FILES, live)
    assert read(shop, FILES, live)[0].unchanged
    append(live, rows_of([Archived(1, Position(9, 0), event(2))]), positions=positions(9), day="a")
    with pytest.raises(SourceRefused, match="other content"):
        read(shop, FILES, live)
    report, rows = read(shop, FILES, live, replace=True)
    assert (len(rows), report.manifest.covered[0]) == (4, "9-1")


def test_what_the_files_and_the_archive_tell_counts_once_as_the_files_tell_it(
    shop: Shop, tmp_path: Path
):
    told = Event("event-001", "view", EARLIER, EARLIER, "ann", product_id="card")
    report, rows = read(shop, FILES, archive(tmp_path / "archive", [told, event(1)]))
    assert [row["event_id"] for row in rows] == ["event-001", "event-002", "live-0001"]
    assert rows[0]["event_type"] == "purchase"
    assert report.tables["events"].deduplicated == 1
    assert not report.tables["events"].rejected


def test_an_event_that_was_archived_twice_counts_once(shop: Shop, tmp_path: Path):
    live = archive(tmp_path / "archive", [event(1)], [event(1)])
    report, rows = read(shop, FILES, live)
    assert len(rows) == 3
    assert report.tables["events"].deduplicated == 1


def test_an_id_that_two_customers_used_tells_two_events(shop: Shop, tmp_path: Path):
    """As it did when they were sent: a claim is its customer's."""
    of_a_file = replace(event(1, customer_id="bob"), id="event-001")  # ann's, by the files
    live = archive(tmp_path / "archive", [event(1), event(1, customer_id="bob"), of_a_file])
    report, rows = read(shop, FILES, live)
    assert not report.tables["events"].rejected
    for name in ("live-0001", "event-001"):
        told = [row["customer_id"] for row in rows if row["event_id"] == name]
        assert sorted(map(str, told)) == ["ann", "bob"]


def test_without_ids_in_the_files_the_report_warns(shop: Shop, tmp_path: Path):
    files = {"events.csv": HEADER + "ann,loan,purchase,2026-02-01\n"}
    report, rows = read(shop, files, archive(tmp_path / "archive", [event(1)]))
    assert len(rows) == 2
    assert any("no event_id" in warning for warning in report.warnings)


def test_what_belongs_to_no_product_or_to_nobody_is_left_out_and_counted(
    shop: Shop, tmp_path: Path
):
    live = archive(
        tmp_path / "archive",
        [
            event(1, product_id=None),
            event(2, customer_id=None, session_id="ghost"),
            event(3, customer_id=None, session_id="ghost", product_id=None),
        ],
    )
    report, rows = read(shop, FILES, live)
    assert len(rows) == 2
    told = report.manifest.archive
    assert told is not None
    assert (told.events, told.without_product, told.of_nobody) == (3, 2, 1)
    assert any("2 without a product" in note for note in report.notes)


def test_a_sessions_events_count_for_whom_it_turned_out_to_be(shop: Shop, tmp_path: Path):
    """The first customer that it was told with, as the consumer has it."""
    anonymous = {"customer_id": None, "session_id": "s1"}
    live = archive(
        tmp_path / "archive",
        [event(1, after_s=0, **anonymous)],
        [
            event(2, after_s=20, **anonymous),
            event(3, after_s=10, customer_id="ann", session_id="s1", product_id=None),
            event(4, after_s=30, customer_id="bob", session_id="s1", product_id=None),
            event(5, after_s=40, **anonymous),
        ],
        [event(6, after_s=50, customer_id=None, session_id="s2")],
    )
    report, rows = read(shop, FILES, live)
    owners = {row["event_id"]: row["customer_id"] for row in rows[2:]}
    assert owners == {"live-0001": "ann", "live-0002": "ann", "live-0005": "ann"}
    assert report.manifest.archive is not None
    assert report.manifest.archive.of_sessions == 3


def test_whom_the_tables_do_not_know_yet_is_rejected_and_does_not_refuse_the_source(
    shop: Shop, tmp_path: Path
):
    files = {
        **FILES,
        "customers.csv": "customer_id\nann\nbob\n",
        "products.csv": "product_id\nloan\ncard\n",
    }
    live = archive(
        tmp_path / "archive",
        [event(n, customer_id="newcomer") for n in range(10)] + [event(11, product_id="gone")],
    )
    report, rows = read(shop, files, live)
    assert len(rows) == 2
    assert report.tables["events"].rejected == {"archive.customer": 10, "archive.product": 1}


def test_how_the_files_are_written_says_nothing_of_the_archive(shop: Shop, tmp_path: Path):
    files = {
        "source.toml": '[events]\ndelimiter = ";"\ndecimal = ","\ntime_format = "%d.%m.%Y"\n'
        'nulls = ["app"]\n'
        '[events.columns]\ncustomer_id = "Kunde"\ntimestamp = "Tag"\n'
        '[events.constants]\nevent_type = "purchase"\n'
        '[events.attributes.branch]\ncolumn = "Filiale"\ntype = "integer"\n'
        '[event_types]\nStorno = "return"\n',
        "events.csv": "Kunde;product_id;Tag;Filiale\nann;loan;01.02.2026;7\n",
    }
    live = archive(
        tmp_path / "archive",
        [event(1, type="Storno", value=-3.0, channel="app", attributes={"branch": 12})],
    )
    _, rows = read(shop, files, live)
    assert [(row["event_type"], row["branch"]) for row in rows] == [("purchase", 7), ("Storno", 12)]
    assert (rows[1]["value"], rows[1]["channel"]) == (3.0, "app")


def test_consent_needs_to_be_as_new_as_the_files_not_as_the_archive(shop: Shop, tmp_path: Path):
    import os  # noqa: PLC0415 - one stamp

    files = {
        **FILES,
        "consent.csv": "customer_id,purpose,state,at\nann,marketing,in,2026-01-01\n",
    }
    shop.write(files)
    stamp = datetime(2026, 2, 3, tzinfo=UTC).timestamp()
    os.utime(shop.source / "consent.csv", (stamp, stamp))
    live = archive(tmp_path / "archive", [event(1)])
    report = ingest(
        *(shop.source, shop.out),
        options=IngestOptions(),
        clock=CLOCK,
        progress=Silent(),
        archive=live,
    )
    assert report.tables["events"].accepted == 3


def test_what_a_session_sent_and_then_its_customer_is_counted_once(shop: Shop, tmp_path: Path):
    first = event(1, customer_id=None, session_id="s-1")
    again = event(1, after_s=9, session_id="s-1")
    live = archive(tmp_path / "archive", [first, again, event(2)])
    report, rows = read(shop, FILES, live)
    assert [row["event_id"] for row in rows[2:]] == ["live-0001", "live-0002"]
    assert report.tables["events"].rejected_rows == 0


def test_days_are_put_together_and_say_the_same(shop: Shop, tmp_path: Path):
    live = archive(tmp_path / "archive", [event(1)])
    for number in (2, 3):
        rows = rows_of([Archived(0, Position(number, 0), event(number))])
        append(live, rows, positions=positions(number), day="2026-02-01")
    assert join_days(live, before="2026-02-01") == 0
    (live / ".rewrite-dead").touch()
    assert join_days(live, before="2026-02-02") == 3
    assert [(file.first, file.last) for file in archive_files(live)] == [(1, 3)]
    assert not list(live.glob(".rewrite-*"))
    assert last_positions(live) == positions(3)
    assert len(read(shop, FILES, live)[1]) == 5


def test_files_that_were_put_together_and_not_yet_removed_are_not_read_twice(
    shop: Shop, tmp_path: Path
):
    live = archive(tmp_path / "archive", [event(1)])
    append(live, rows_of([Archived(0, Position(2, 0), event(2))]), positions=positions(2), day="x")
    kept = {path: path.read_bytes() for path in live.glob("day=2026-02-01/*")}
    rows = rows_of([Archived(0, Position(3, 0), event(3))])
    append(live, rows, positions=positions(3), day="2026-02-01")
    join_days(live, before="2026-02-02")
    for path, content in kept.items():
        path.write_bytes(content)  # as if killed before it was removed
    _, found = read(shop, FILES, live)
    assert sorted(str(row["event_id"]) for row in found)[2:] == [
        *("live-0001", "live-0002", "live-0003")
    ]
    assert last_positions(live) == positions(3)
    assert join_days(live, before="2026-02-02") == 1


def test_a_customers_rows_are_taken_out_and_positions_stay(shop: Shop, tmp_path: Path):
    live = archive(tmp_path / "archive", [event(1), event(2, customer_id="bob")], [event(3)])
    assert take_out(live, lambda rows: pc.equal(rows["customer_id"], "ann")) == 2
    assert take_out(live, lambda rows: pc.equal(rows["customer_id"], "ann")) == 0
    assert last_positions(live) == positions(2)
    report, found = read(shop, FILES, live)
    assert [row["event_id"] for row in found[2:]] == ["live-0002"]
    assert report.manifest.covered[0] == "2-1"


def test_an_erasure_finds_what_killed_writers_have_left(tmp_path: Path):
    live = archive(tmp_path / "archive", [event(1)])
    kept = {path: path.read_bytes() for path in live.glob("day=2026-02-01/*")}
    append(live, rows_of([]), positions=NOWHERE, day="2026-02-01")
    join_days(live, before="2026-02-02")
    for path, content in kept.items():
        path.write_bytes(content)  # as if killed before it was removed
        for draft in (".draft-dead", ".rewrite-dead"):
            (live / draft).write_bytes(content)
    take_out(live, lambda rows: pc.equal(rows["customer_id"], "nobody"))
    assert not any(path.exists() for path in kept)
    assert not list(live.glob(".*-dead"))
    for path, content in kept.items():
        path.write_bytes(content)  # by a join that was killed since
    theirs = Subject("ann", KeySpace(b"sixteen bytes and more").digest("ann"))
    ((joined, *_),) = [one for one in archive_files(live) if one.first < one.last]
    joined.write_bytes(_without_rows(joined))
    assert asyncio.run(ArchiveRows(live).holds(theirs)), "in a file that nobody reads any more"
    asyncio.run(ArchiveRows(live).erase(theirs))
    assert not asyncio.run(ArchiveRows(live).holds(theirs))


def _without_rows(path: Path) -> bytes:
    out = io.BytesIO()
    pq.write_table(pq.read_table(path).slice(0, 0), out)
    return out.getvalue()


def test_drafts_of_an_archiver_at_work_are_left_to_it(tmp_path: Path):
    live = archive(tmp_path / "archive", [event(1)])
    (live / ".draft-alive").touch()
    with appending(live) as alone:
        assert alone
        take_out(live, lambda rows: pc.equal(rows["customer_id"], "ann"))
        assert (live / ".draft-alive").exists()


def test_a_damaged_archive_refuses_and_the_dataset_stays(shop: Shop, tmp_path: Path):
    live = archive(tmp_path / "archive", [event(1)], [event(2)])
    read(shop, FILES, live)
    (first, second) = (file.path for file in archive_files(live))
    for path in (first, second):
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(ArchiveUnreadable, match="no intact file"):
            read(shop, FILES, live, replace=True)
        path.write_bytes(whole)
    assert len(shop.dataset().events().collect()) == 4


def test_no_archive_is_refused_and_an_empty_one_is_not(shop: Shop, tmp_path: Path):
    with pytest.raises(SourceRefused, match=r"archive\.not_found"):
        read(shop, FILES, tmp_path / "nowhere")
    (tmp_path / "archive").mkdir()
    report, rows = read(shop, FILES, tmp_path / "archive")
    assert (len(rows), report.manifest.covered) == (2, ())
