"""Faults 1 to 11 of files as a whole: a clear refusal, and what was loaded before stays."""

import gzip
import os
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from core.ingest.shops import CLOCK, Shop

from oferta.errors import SourceRefused
from oferta.events.guards import IngestOptions
from oferta.events.ingest import ingest
from oferta.progress import Advance, Silent

HEADER = "customer_id,product_id,event_type,timestamp\n"
ROW = "c1,p1,purchase,2024-05-01 10:00:00\n"
ROWS = "".join(f"c{n},p{n % 3},purchase,2024-05-01 10:00:00\n" for n in range(100))


def refused(shop: Shop, files: Mapping[str, str | bytes], code: str, **options: object):
    """Ingest `files` after a good load; the refusal's code is `code` and the good load stays."""
    (shop.source / "events.csv").write_text(HEADER + ROW)
    before = shop.ingest().manifest
    (shop.source / "events.csv").unlink()
    with pytest.raises(SourceRefused) as error:
        shop.ingest(files, replace=True, **options)
    assert error.value.code == code, str(error.value)
    assert shop.dataset().manifest == before
    assert shop.dataset().events().collect().height == 1
    assert not list(shop.out.glob(".building-*"))
    return str(error.value)


@pytest.mark.parametrize("name", ["events.csv", "events.ndjson", "events.parquet"])
def test_fault_01_an_empty_file_is_refused(shop: Shop, name: str):
    refused(shop, {name: ""}, "file.empty")


def test_fault_01_an_empty_packed_file_is_refused(shop: Shop):
    refused(shop, {"events.csv.gz": gzip.compress(b"")}, "file.empty")


def test_fault_02_a_header_alone_is_refused(shop: Shop):
    message = refused(shop, {"events.csv": HEADER}, "file.header_only")
    assert "--allow-empty" in message


def test_fault_02_a_header_alone_is_taken_when_allowed(shop: Shop):
    shop.ingest({"events.csv": HEADER}, allow_empty=True)
    assert shop.dataset().events().collect().height == 0


def test_fault_03_a_byte_order_mark_is_no_part_of_the_first_name(shop: Shop):
    assert (
        shop.events({"events.csv": b"\xef\xbb\xbf" + (HEADER + ROW).encode()})[0]["customer_id"]
        == "c1"
    )


def test_fault_03_a_byte_order_mark_before_a_quoted_name(shop: Shop):
    text = HEADER.replace("customer_id", '"customer_id"') + ROW
    assert len(shop.events({"events.csv": b"\xef\xbb\xbf" + text.encode()})) == 1


@pytest.mark.parametrize(
    ("encoding", "letter", "place"),
    [("latin-1", "ñ", len(HEADER + ROW)), ("gbk", "中", len(HEADER + ROW)), ("utf-16", "a", 0)],
)
def test_fault_04_foreign_bytes_are_refused_with_their_place(
    shop: Shop, encoding: str, letter: str, place: int
):
    raw = (HEADER + ROW + letter).encode(encoding)
    message = refused(shop, {"events.csv": raw}, "file.encoding")
    assert f"byte {place:,} " in message


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "cp1252"])
@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_fault_04_declared_bytes_are_read(shop: Shop, encoding: str, form: str):
    record = '{"customer_id":"é1","product_id":"p","event_type":"purchase"}\n'
    text = record if form == "ndjson" else "customer_id,product_id,event_type\né1,p,purchase\n"
    name = f"events.{form}"
    shop.write({"source.toml": f'[events]\nfile = "{name}"\nencoding = "{encoding}"\n'})
    assert shop.events({name: text.encode(encoding)})[0]["customer_id"] == "é1"


def parquet(path: Path, rows: int = 1000, **options: object) -> bytes:
    frame = pl.DataFrame(
        {
            "customer_id": [f"c{n}" for n in range(rows)],
            "product_id": [f"p{n % 7}" for n in range(rows)],
            "event_type": ["purchase"] * rows,
        }
    )
    frame.write_parquet(path, **options)
    data = path.read_bytes()
    path.unlink()
    return data


def test_fault_05_a_parquet_file_without_its_end_is_refused(shop: Shop, tmp_path: Path):
    whole = parquet(tmp_path / "x.parquet")
    refused(shop, {"events.parquet": whole[: len(whole) // 2]}, "parquet.truncated")


def test_fault_06_a_damaged_page_is_refused_and_its_row_group_named(shop: Shop, tmp_path: Path):
    whole = bytearray(parquet(tmp_path / "x.parquet", 4000, row_group_size=1000))
    start = len(whole) // 2
    whole[start : start + 200] = os.urandom(200)
    message = refused(shop, {"events.parquet": bytes(whole)}, "parquet.corrupt")
    assert "row group" in message


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: data[:-20], id="cut short"),
        pytest.param(lambda data: data[:-8] + b"\0\0\0\0" + data[-4:], id="wrong checksum"),
        pytest.param(lambda data: data + b"more", id="other bytes behind"),
    ],
)
def test_fault_07_a_damaged_gzip_file_is_refused(shop: Shop, damage: Callable[[bytes], bytes]):
    packed = gzip.compress((HEADER + ROWS).encode())
    refused(shop, {"events.csv.gz": damage(packed)}, "gzip.corrupt")


def test_fault_07_several_gzip_members_are_one_file(shop: Shop):
    packed = gzip.compress((HEADER + ROW).encode()) + gzip.compress(ROW.encode())
    assert len(shop.events({"events.csv.gz": packed})) == 2


def test_fault_08_a_gzip_bomb_is_refused_before_a_row_is_read(shop: Shop):
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = b"0" * 2**20
    bomb = packer.compress(HEADER.encode()) + b"".join(packer.compress(zeros) for _ in range(80))
    refused(shop, {"events.csv.gz": bomb + packer.flush()}, "file.too_large")


def test_fault_08_a_parquet_bomb_is_refused_by_its_footer(shop: Shop, tmp_path: Path):
    path = tmp_path / "bomb.parquet"
    row = pl.LazyFrame({"customer_id": ["c"], "product_id": ["p"], "event_type": ["view"]})
    row.select(pl.all().repeat_by(12_000_000).explode()).sink_parquet(path, compression="zstd")
    refused(shop, {"events.parquet": path.read_bytes()}, "file.too_large")


class Meanwhile:
    """Someone who appends to `path` while the rows are read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def task(self, name: str, *, total: int | None) -> Iterator[Advance]:
        with Silent().task(name, total=total) as advance:
            yield advance
        if name == "reading events":
            with self.path.open("a") as file:
                file.write(ROW)


def test_fault_09_a_file_that_grows_while_it_is_read_is_refused(shop: Shop):
    shop.write({"events.csv": HEADER + ROW})
    progress = Meanwhile(shop.source / "events.csv")
    with pytest.raises(SourceRefused, match=r"file\.unstable"):
        ingest(shop.source, shop.out, options=IngestOptions(), clock=CLOCK, progress=progress)
    assert not shop.out.exists()


def test_fault_09_a_checksum_file_that_disagrees_is_believed(shop: Shop):
    files = {"events.csv": HEADER + ROW, "events.csv.sha256": "0" * 64 + "  events.csv\n"}
    refused(shop, files, "file.unstable")


def test_fault_10_the_same_content_again_does_nothing(shop: Shop):
    first = shop.ingest({"events.csv": HEADER + ROW})
    stamp = (shop.out / "dataset.json").stat().st_mtime_ns
    second = shop.ingest({"events.csv": HEADER + ROW})
    assert (first.unchanged, second.unchanged) == (False, True)
    assert (shop.out / "dataset.json").stat().st_mtime_ns == stamp


def test_fault_10_one_file_named_twice_is_read_once(shop: Shop):
    files = {"events/a.csv": HEADER + ROW, "events/b.csv": HEADER + ROW}
    report = shop.ingest(files)
    assert report.tables["events"].accepted == 1
    assert any("same file" in warning for warning in report.warnings)


def test_fault_11_other_content_needs_replace(shop: Shop):
    shop.ingest({"events.csv": HEADER + ROW})
    with pytest.raises(SourceRefused, match=r"--replace") as error:
        shop.ingest({"events.csv": HEADER + ROW * 2})
    assert error.value.code == "output.exists"
    assert shop.dataset().events().collect().height == 1
    shop.ingest(replace=True)
    assert shop.dataset().events().collect().height == 2


def test_fault_36_paths_that_leave_the_source_are_refused(shop: Shop, tmp_path: Path):
    (tmp_path / "secret.csv").write_text(HEADER + ROW)
    (shop.source / "events.csv").symlink_to(tmp_path / "secret.csv")
    with pytest.raises(SourceRefused) as link:
        shop.ingest()
    (shop.source / "events.csv").unlink()
    shop.write({"source.toml": '[events]\nfile = "../secret.csv"\n'})
    with pytest.raises(SourceRefused) as parent:
        shop.ingest()
    shop.write({"source.toml": f'[events]\nfile = "{tmp_path}/secret.csv"\n'})
    with pytest.raises(SourceRefused) as absolute:
        shop.ingest()
    codes = {error.value.code for error in (link, parent, absolute)}
    assert codes == {"source.outside"}


@pytest.mark.parametrize("address", ["http://169.254.169.254/events.csv", "s3://bucket/x.csv"])
def test_fault_36_addresses_are_refused(shop: Shop, address: str):
    shop.write({"source.toml": f'[events]\nfile = "{address}"\n'})
    with pytest.raises(SourceRefused, match=r"source\.url"):
        shop.ingest()


def test_fault_36_pipes_and_devices_are_refused_without_reading(shop: Shop):
    os.mkfifo(shop.source / "events.csv")
    with pytest.raises(SourceRefused, match=r"source\.not_a_file"):
        shop.ingest()


def test_fault_38_a_folder_that_cannot_be_written_is_refused_before_work(
    shop: Shop, tmp_path: Path
):
    if os.geteuid() == 0:
        blocker = tmp_path / "file"
        blocker.write_text("in the way")
        shop = type(shop)(shop.source, blocker / "dataset")
    else:
        shop.out.mkdir(mode=0o500)
    with pytest.raises(SourceRefused, match=r"output\.unwritable"):
        shop.ingest({"events.csv": HEADER + ROW})


def test_a_folder_of_someone_else_is_never_touched(shop: Shop):
    shop.out.mkdir()
    (shop.out / "thesis.txt").write_text("years of work")
    with pytest.raises(SourceRefused, match=r"output\.not_a_dataset"):
        shop.ingest({"events.csv": HEADER + ROW}, replace=True)
    assert [path.name for path in shop.out.iterdir()] == ["thesis.txt"]


def test_rests_of_killed_runs_are_cleared_and_strange_folders_are_not(shop: Shop):
    shop.ingest({"events.csv": HEADER + ROW})
    rest = shop.out / ".building-0123abcd"
    shutil.copytree(shop.source, rest)
    shop.ingest({"events.csv": HEADER + ROW * 2}, replace=True)
    assert not rest.exists()
    assert len(list(shop.out.glob("data-*"))) == 2
    shop.ingest({"events.csv": HEADER + ROW * 3}, replace=True)
    assert len(list(shop.out.glob("data-*"))) == 2


def test_the_counts_of_a_large_random_table_add_up(shop: Shop):
    rng = np.random.default_rng(3)
    lines = [
        f"c{rng.integers(9)},p{rng.integers(5)},purchase,2024-05-0{rng.integers(0, 9)}"
        + (",x" if rng.random() < 0.1 else "")
        for _ in range(5_000)
    ]
    report = shop.ingest({"events.csv": HEADER + "\n".join(lines)}, max_rejected=1.0)
    counts = report.tables["events"]
    assert counts.read == 5_000
    ragged = sum(line.endswith("x") for line in lines)
    assert counts.rejected["row.ragged"] == ragged
    rejected = shop.dataset().rejected("events").collect()
    numbers = rejected.filter(pl.col("rejected_reason") == "row.ragged")["rejected_row"]
    assert sorted(numbers) == [n for n, line in enumerate(lines, 1) if line.endswith("x")]
