"""What a dataset gives: tables that always exist, order, types, and sources taken as they are."""

import gzip
import os
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
from core.ingest.shops import Shop

from oferta.clock import FixedClock, SystemClock
from oferta.columns import CUSTOMERS, EVENTS, PRODUCTS
from oferta.errors import SettingsInvalid, SourceRefused
from oferta.events.dataset import open_dataset
from oferta.progress import Silent

HEADER = "customer_id,product_id,event_type\n"
CLOCK = FixedClock(datetime(2026, 3, 1, 12, 0, tzinfo=UTC))


def take(path: Path, home: Path):
    return open_dataset(path, home=home, clock=CLOCK, progress=Silent())


def test_missing_tables_are_made_from_the_events(shop: Shop):
    shop.ingest({"events.csv": HEADER + "c2,p2,view\nc1,p1,view\nc2,p1,view\n"})
    dataset = shop.dataset()
    assert dataset.events().collect_schema().names() == list(EVENTS.names)
    assert dataset.products().collect_schema() == PRODUCTS.schema()
    assert dataset.customers().collect_schema() == CUSTOMERS.schema()
    assert dataset.products().collect()["product_id"].to_list() == ["p1", "p2"]
    assert dataset.customers().collect()["customer_id"].to_list() == ["c1", "c2"]
    assert dataset.consent() is None
    assert dataset.rejected("events") is None


@pytest.mark.parametrize(
    ("column", "cells", "order"),
    [
        ("timestamp", ("2024-05-01", ""), "timestamp"),
        ("seq", ("7", "8"), "seq"),
        ("note", "ab", "none"),
    ],
)
def test_order_comes_from_the_time_else_from_seq(
    shop: Shop, column: str, cells: Sequence[str], order: str
):
    rows = "".join(f"c,p,view,{cell}\n" for cell in cells)
    report = shop.ingest({"events.csv": HEADER.strip() + f",{column}\n{rows}"})
    assert shop.dataset().order == order
    assert report.manifest.undated == (1 if order == "timestamp" else 0)


def test_event_types_are_built_in_declared_or_reported(shop: Shop):
    shop.write({"source.toml": "[event_types]\ntest_drive = 0.5\n"})
    report = shop.ingest({"events.csv": HEADER + "c,p,test_drive\nc,p,visit\nc,p,view\n"})
    types = shop.dataset().event_types
    weights = [types[name].weight for name in ("test_drive", "visit", "view", "purchase")]
    assert weights == [0.5, 1.0, 0.1, 1.0]
    assert [one for one in report.warnings if "not declared" in one] == [
        "event type 'visit' is not declared: 1 events count as conversions of weight 1"
    ]
    assert types["test_drive"].meaning == "interest"


def test_own_event_types_may_be_said_to_be_built_in_ones(shop: Shop) -> None:
    """A calculator used is not a loan taken, whatever the seller's system calls either."""
    shop.write(
        {"source.toml": '[event_types]\nAbschluss = "purchase"\nKalkulator = "calculator"\n'}
    )
    shop.ingest({"events.csv": HEADER + "c,p,Abschluss\nc,p,Kalkulator\n"})
    types = shop.dataset().event_types
    assert (types["Abschluss"].meaning, types["Abschluss"].weight) == ("conversion", 1.0)
    assert (types["Kalkulator"].meaning, types["Kalkulator"].weight) == ("interest", 0.3)


def test_a_built_in_type_that_there_is_not_is_refused_with_the_nearest(shop: Shop) -> None:
    shop.write({"source.toml": '[event_types]\nAbschluss = "purchse"\n'})
    with pytest.raises(SettingsInvalid, match="Did you mean 'purchase'"):
        shop.ingest({"events.csv": HEADER + "c,p,Abschluss\n"})


def test_a_declared_reversal_may_have_a_negative_quantity(shop: Shop):
    shop.write({"source.toml": "[event_types]\nstorno = -1.0\n"})
    header = "customer_id,product_id,event_type,quantity\n"
    assert shop.events({"events.csv": header + "c,p,storno,-2\n"})[0]["quantity"] == 2.0


def test_text_attributes_get_the_type_that_all_their_cells_have(shop: Shop):
    header = "customer_id,age,score,zip,vip,since,mixed\n"
    rows = "c1,41,1.5,00123,true,2020-02-29,1\nc2,,2,99999,false,,x\n"
    shop.ingest({"events.csv": HEADER + "c1,p,view\n", "customers.csv": header + rows})
    first, second = shop.dataset().customers().collect().to_dicts()
    assert first == {
        "customer_id": "c1", "age": 41, "score": 1.5, "zip": "00123", "vip": True,
        "since": date(2020, 2, 29), "mixed": "1",
    }  # fmt: skip
    assert (second["age"], second["score"], second["since"]) == (None, 2.0, None)


def test_attributes_of_parquet_keep_their_types_lists_and_structs_too(shop: Shop):
    frame = pl.DataFrame(
        {
            "customer_id": [1, 2], "product_id": ["p", "q"], "event_type": ["view", "view"],
            "tags": [["a"], []], "place": [{"x": 1}, {"x": 2}], "day": [date(2024, 1, 1), None],
            "size": pl.Series([1, 2], dtype=pl.Int16),
            "kind": pl.Series(["a", "b"], dtype=pl.Categorical), "raw": [b"x", b"y"],
        }
    )  # fmt: skip
    frame.write_parquet(shop.source / "events.parquet")
    report = shop.ingest({})
    events = shop.dataset().events().collect()
    assert events["tags"].to_list() == [["a"], []]
    assert events["place"].to_list() == [{"x": 1}, {"x": 2}]
    assert events.select("day", "size", "kind").dtypes == [pl.Date, pl.Int64, pl.String]
    assert any("'raw' (Binary) is left out" in warning for warning in report.warnings)


def test_files_of_different_forms_make_one_table(shop: Shop):
    pl.DataFrame(
        {"customer_id": [1], "product_id": ["p"], "event_type": ["view"], "shop": [7], "n": [1]}
    ).write_parquet(shop.source / "a.parquet")
    files = {
        "b.csv": "event_type,customer_id,product_id,shop\nview,2,p,north\n",
        "c.ndjson.gz": gzip.compress(
            b'{"customer_id":3,"product_id":"p","event_type":"view","n":2.5,"extra":{"a":[1]}}\n'
        ),
        "source.toml": '[events]\nfile = ["a.parquet", "b.csv", "c.*"]\n',
    }
    events = shop.events(files)
    assert [(e["customer_id"], e["shop"], e["n"], e["extra"]) for e in events] == [
        ("1", "7", 1.0, None),
        ("2", "north", None, None),
        ("3", None, 2.5, '{"a":[1]}'),
    ]


def test_foreign_names_and_forms_are_mapped(shop: Shop):
    files = {
        "verkauf.csv": "Kunde;Artikel;Menge;Betrag;Datum\n0007;A-1;2;1234,50;31.01.2024 18:05\n",
        "source.toml": """
            [events]
            file = "verkauf.csv"
            delimiter = ";"
            decimal = ","
            timezone = "Europe/Berlin"
            time_format = "%d.%m.%Y %H:%M"
            [events.columns]
            customer_id = "Kunde"
            product_id = "Artikel"
            quantity = "Menge"
            value = "Betrag"
            timestamp = "Datum"
            [events.constants]
            event_type = "purchase"
        """,
    }
    (event,) = shop.events(files)
    assert {name: cell for name, cell in event.items() if cell is not None} == {
        "customer_id": "0007", "product_id": "A-1", "event_type": "purchase", "quantity": 2.0,
        "value": 1234.5, "timestamp": datetime(2024, 1, 31, 17, 5, tzinfo=UTC),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("toml", "hint"),
    [
        ("[event]\n", "did you mean 'events'?"),
        ('[events]\ndelimeter = ";"\n', "did you mean 'delimiter'?"),
        ('[events.columns]\ncustomer = "x"\n', "did you mean 'customer_id'?"),
        ('[events]\ntimezone = "Warsaw"\n', "no time zone is called 'Warsaw'"),
        ('[events]\nencoding = "utf-9"\n', "no encoding is called 'utf-9'"),
    ],
)
def test_a_mistake_in_source_toml_names_the_nearest_right_one(shop: Shop, toml: str, hint: str):
    with pytest.raises(SettingsInvalid) as error:
        shop.ingest({"events.csv": HEADER + "c,p,view\n", "source.toml": toml})
    assert hint in str(error.value)


def test_two_files_for_one_table_are_ambiguous(shop: Shop):
    pl.DataFrame({"a": [1]}).write_parquet(shop.source / "events.parquet")
    with pytest.raises(SourceRefused, match=r"table\.ambiguous"):
        shop.ingest({"events.csv": HEADER})


def test_other_files_are_named_and_not_read(shop: Shop):
    files = {"events.csv": HEADER + "c,p,view\n", "loans.csv": "x", "notes.txt": "y"}
    assert shop.ingest(files).manifest.ignored == ("loans.csv", "notes.txt")


def test_a_source_is_taken_as_it_is_and_ingested_once(shop: Shop, tmp_path: Path):
    shop.write({"events.csv": HEADER + "c,p,view\n"})
    first = take(shop.source, tmp_path / "home")
    stamp = (first.path / "dataset.json").stat().st_mtime_ns
    second = take(shop.source, tmp_path / "home")
    assert (second.path, (second.path / "dataset.json").stat().st_mtime_ns) == (first.path, stamp)
    single = take(shop.source / "events.csv", tmp_path / "home")
    assert single.fingerprint == first.fingerprint
    shop.write({"events.csv": HEADER + "c,p,view\nd,p,view\n"})
    assert take(shop.source, tmp_path / "home").fingerprint != first.fingerprint


def test_a_folder_without_a_manifest_or_with_a_lost_part_is_no_dataset(shop: Shop, tmp_path: Path):
    shop.ingest({"events.csv": HEADER + "c,p,view\n"})
    manifest = shop.dataset().manifest
    part = shop.out / manifest.data / manifest.tables["events"].files[0].name
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(SourceRefused, match=r"dataset\.format"):
        shop.dataset()
    (shop.out / "dataset.json").unlink()
    with pytest.raises(SourceRefused, match=r"table\.missing"):
        take(shop.out, tmp_path / "home")


def test_strict_allows_no_rejected_row(shop: Shop):
    rows = "c,p,view\n" * 99 + ",p,view\n"
    assert shop.ingest({"events.csv": HEADER + rows}).tables["events"].rejected == {"id.empty": 1}
    with pytest.raises(SourceRefused, match=r"rejected\.strict"):
        shop.ingest(replace=True, strict=True)


def test_the_same_rows_have_the_same_fingerprint_wherever_they_lie(shop: Shop, tmp_path: Path):
    shop.ingest({"events.csv": HEADER + "c,p,view\n"})
    other = type(shop)(shop.source, tmp_path / "other")
    assert other.ingest().manifest.fingerprint == shop.dataset().fingerprint


BENCH = os.environ.get("OFERTA_BENCH_DATA")
FOLDERS = {
    "coil2000": (10_622, "none"),
    "berka": (13_414, "timestamp"),
    "ml-1m": (1_000_209, "none"),
    "online-retail": (406_829, "timestamp"),
    "insurance-purchases": (55_619, "timestamp"),
    "zimnat": (79_206, "none"),
    "s3rec-beauty": (198_502, "seq"),
}


@pytest.mark.bench_data
@pytest.mark.skipif(BENCH is None, reason="OFERTA_BENCH_DATA is not set")
@pytest.mark.parametrize("name", FOLDERS)
def test_every_row_of_the_benchmark_data_is_accepted(name: str, tmp_path: Path):
    dataset = open_dataset(
        Path(str(BENCH)) / name, home=tmp_path, clock=SystemClock(), progress=Silent()
    )
    rows, order = FOLDERS[name]
    assert (dataset.manifest.tables["events"].rows, dataset.order) == (rows, order)
    assert all(not table.rejected for table in dataset.manifest.tables.values())
    assert dataset.events().select("quantity").min().collect().item() in {None, 1.0}
