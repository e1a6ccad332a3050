"""Faults 12 to 35 of files: what a column or a row may be, and where the rest goes."""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from core.ingest.shops import Shop

from oferta.errors import SourceRefused
from oferta.events import across

HEADER = "customer_id,product_id,event_type,timestamp\n"
GOOD = "c1,p1,purchase,2024-05-01 10:00:00\n"


def reasons(
    shop: Shop,
    rows: str,
    *,
    header: str = HEADER,
    toml: str = "",
    table: str = "events",
    **files: str,
):
    """The reasons of the rejected rows of `rows`, with their row numbers."""
    contents = {"events.csv": HEADER + GOOD, **files}
    contents[f"{table}.csv"] = header + rows
    if toml:
        contents["source.toml"] = toml
    shop.ingest(contents, max_rejected=1.0)
    rejected = shop.dataset().rejected(table)
    if rejected is None:
        return {}
    found = rejected.select("rejected_row", "rejected_reason").collect().sort("rejected_row")
    return dict(found.iter_rows())


def refusal(shop: Shop, files: Mapping[str, str | bytes], **options: object):
    with pytest.raises(SourceRefused) as error:
        shop.ingest(files, **options)
    return error.value.code, str(error.value)


def test_fault_12_a_missing_column_is_named_with_the_likeliest_one(shop: Shop):
    code, message = refusal(shop, {"events.csv": "Customer ID,product_id,event_type\nc,p,view\n"})
    assert code == "columns.missing"
    assert 'customer_id = "Customer ID"' in message


def test_fault_12_a_repeated_column_is_refused(shop: Shop):
    rows = "customer_id,product_id,event_type,event_type\nc,p,view,view\n"
    assert refusal(shop, {"events.csv": rows})[0] == "columns.duplicate"


def test_fault_12_order_is_free_and_other_columns_are_attributes(shop: Shop):
    (event,) = shop.events({"events.csv": "shop,event_type,product_id,customer_id\nN,view,p,c\n"})
    assert (event["customer_id"], event["event_type"], event["shop"]) == ("c", "view", "N")
    assert list(event)[-1] == "shop"


def test_fault_13_a_number_with_a_comma_is_rejected_until_declared(shop: Shop):
    header = "customer_id;product_id;event_type;value\n"
    cells = ["12,5", "1.234,50", "1.234.567", "1.2", "1.23,4", "-3,25"]
    rows = "".join(f"c;p;return;{cell}\n" for cell in cells)
    assert list(reasons(shop, rows, header=header)) == [1, 2, 3, 5, 6]
    toml = '[events]\ndecimal = ","\n'
    shop.ingest({"source.toml": toml}, replace=True, max_rejected=1.0)
    values = shop.dataset().events().collect()["value"].to_list()
    assert values == [12.5, 1234.5, 1234567.0, 3.25]


def test_fault_13_ids_never_pass_through_a_float(shop: Shop):
    frame = pl.DataFrame({"customer_id": [1e15], "product_id": ["p"], "event_type": ["view"]})
    frame.write_parquet(shop.source / "events.parquet")
    assert refusal(shop, {})[0] == "id.float"


def test_fault_13_a_fraction_is_no_id_in_json(shop: Shop):
    lines = [
        {"customer_id": one, "product_id": "p", "event_type": "view"} for one in (1e15, 7, [1])
    ]
    shop.ingest({"events.ndjson": "\n".join(map(json.dumps, lines))}, max_rejected=1.0)
    assert shop.dataset().events().collect()["customer_id"].to_list() == ["7"]
    rejected = shop.dataset().rejected("events").collect()
    assert rejected["rejected_reason"].to_list() == ["id.not_text"] * 2


STRANGE = ["9007199254740993", "00123", "1e5", "0x1F", "-7", "1.0", "TRUE", "NaN", "2024-01-01"]


@pytest.mark.parametrize("form", ["csv", "ndjson", "parquet"])
def test_fault_14_ids_are_kept_to_the_letter(shop: Shop, form: str):
    frame = pl.DataFrame({"customer_id": STRANGE, "product_id": STRANGE[::-1]})
    frame = frame.with_columns(event_type=pl.lit("view"))
    getattr(frame, f"write_{form}")(shop.source / f"events.{form}")
    events = shop.events({})
    assert [event["customer_id"] for event in events] == STRANGE
    assert [event["product_id"] for event in events] == STRANGE[::-1]


@pytest.mark.parametrize("text", ["00123", "1e5", "9007199254740993", "1.0", "true"])
def test_fault_14_a_whole_column_of_numbers_stays_text(shop: Shop, text: str):
    row = f"{text},{text},view,2024-05-01\n"
    events = shop.events({"events.csv": HEADER + row * 3})
    assert [(event["customer_id"], event["product_id"]) for event in events] == [(text, text)] * 3


@pytest.mark.parametrize("number", [2**53 + 1, 2**63 - 1, 2**64 - 1])
def test_fault_14_wide_integers_become_their_decimal_text(shop: Shop, number: int):
    frame = pl.DataFrame(
        {"customer_id": [number], "product_id": ["p"], "event_type": ["view"]},
        schema_overrides={"customer_id": pl.UInt64},
    )
    frame.write_parquet(shop.source / "events.parquet")
    assert shop.events({})[0]["customer_id"] == str(number)


def test_fault_15_only_declared_tokens_are_absent(shop: Shop):
    header = "customer_id,product_id,event_type,channel,value\n"
    rows = "NA,NULL,view,NA,1\nc,p,view,,2\n"
    events = shop.events({"events.csv": header + rows})
    assert [(e["customer_id"], e["channel"]) for e in events] == [("NA", "NA"), ("c", None)]
    shop.write({"source.toml": '[events]\nnulls = ["NA"]\n'})
    events = shop.events({}, replace=True, max_rejected=0.5, accept_shrink=True)
    assert [(e["customer_id"], e["channel"]) for e in events] == [("c", None)]


def test_fault_15_numbers_that_are_none_are_rejected(shop: Shop):
    header = "customer_id,product_id,event_type,value\n"
    rows = "c,p,view,NaN\nc,p,view,inf\nc,p,view,-Infinity\nc,p,view,1\n"
    assert reasons(shop, rows, header=header) == dict.fromkeys((1, 2, 3), "number.not_finite")


def test_fault_16_negative_and_zero_amounts_need_an_event_type_that_takes_back(shop: Shop):
    header = "customer_id,product_id,event_type,quantity,value\n"
    rows = (
        "c,p,purchase,-1,\nc,p,purchase,0,\nc,p,purchase,1,-5\nc,p,return,-3,-9\nc,p,return,2,4\n"
    )
    found = reasons(shop, rows, header=header)
    assert found == {1: "quantity.negative", 2: "quantity.zero", 3: "value.negative"}
    kept = shop.dataset().events().select("quantity", "value").collect().rows()
    assert kept == [(3.0, 9.0), (2.0, 4.0)]


def test_fault_16_a_negative_price_is_rejected(shop: Shop):
    found = reasons(shop, "p1,-1\np2,0\n", header="product_id,price_minor\n", table="products")
    assert found == {1: "price.negative"}


def test_fault_17_equal_rows_are_read_once_and_conflicting_ones_refused(shop: Shop):
    header = "event_id,customer_id,product_id,event_type\n"
    rows = "e1,c,p1,view\n" * 2 + "e2,c,p1,view\ne2,d,p1,view\ne3,c,p1,view\ne3,c,p2,view\n"
    found = reasons(shop, rows, header=header)
    assert found == {3: "duplicate.conflict", 4: "duplicate.conflict"}
    assert shop.dataset().manifest.tables["events"].deduplicated == 1
    kept = shop.dataset().events().select("event_id", "product_id").collect().rows()
    assert kept == [("e1", "p1"), ("e3", "p1"), ("e3", "p2")]


def test_fault_17_the_same_purchase_without_an_id_is_a_second_purchase(shop: Shop):
    assert len(shop.events({"events.csv": HEADER + GOOD * 3})) == 3


def test_fault_17_products_and_customers_too(shop: Shop):
    rows = "p1,A\np1,A\np2,A\np2,B\np3,C\n"
    found = reasons(shop, rows, header="product_id,name\n", table="products")
    assert found == {3: "duplicate.conflict", 4: "duplicate.conflict"}
    assert shop.dataset().products().collect()["product_id"].to_list() == ["p1", "p3"]


def test_fault_17_duplicates_are_found_across_files_and_partitions(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(across, "PARTITION_ROWS", 40)
    header = "event_id,customer_id,product_id,event_type\n"
    first = header + "".join(f"e{n},c{n},p,view\n" for n in range(100))
    second = header + "".join(f"e{n},c{n},p,view\n" for n in range(90, 130))
    report = shop.ingest({"events/1.csv": first, "events/2.csv": second})
    assert (report.tables["events"].accepted, report.tables["events"].deduplicated) == (130, 10)
    ids = shop.dataset().events().collect()["event_id"].to_list()
    assert ids == [f"e{n}" for n in range(130)]


def test_fault_18_ids_that_look_alike_stay_apart_and_are_reported(shop: Shop):
    alike = ["caf\u00e9", "cafe\u0301", "p1", "P1", "\u0430bc", "abc", "x y", "other"]
    rows = "".join(f"c,{one},view,2024-05-01\n" for one in alike)
    report = shop.ingest({"events.csv": HEADER + rows})
    assert shop.dataset().products().collect()["product_id"].n_unique() == len(alike)
    (warning,) = [one for one in report.warnings if "look alike" in one]
    assert warning.startswith("3 groups of product_id")


def test_fault_19_ids_are_never_trimmed_and_control_characters_are_rejected(shop: Shop):
    safe = [" c", "c ", "a b", "zero\u200bwidth", "\u202ertl", "a:b{c}", "a/b?c#d%20"]
    rows = "".join(f'"{one}",p,view,2024-05-01\n' for one in safe)
    rows += '"a\tb",p,view,2024-05-01\n"a\nb",p,view,2024-05-01\n"a\0b",p,view,2024-05-01\n'
    found = reasons(shop, rows + "..,p,view,2024-05-01\n,p,view,2024-05-01\n")
    assert list(found.values()) == ["id.control"] * 3 + ["id.dots", "id.empty"]
    assert shop.dataset().events().collect()["customer_id"].to_list() == safe


def test_fault_20_long_ids_and_cells_are_rejected(shop: Shop):
    header = "customer_id,product_id,event_type,note\n"
    rows = "".join(f"{'c' * length},p,view,\n" for length in (128, 129, 10_000))
    rows += f"c,p,view,{'x' * 2**20}\n"
    found = reasons(shop, rows, header=header)
    assert found == {2: "id.too_long", 3: "id.too_long", 4: "cell.too_long"}


def test_fault_22_quotes_line_breaks_and_delimiters_inside_cells(shop: Shop):
    header = '"customer_id","product_id","event_type","note"\r\n'
    rows = '"c;1","p,1","view","two\nlines ""quoted"""\r\nc2,p2,view,5" pipe\r\n'
    events = shop.events({"events.csv": header + rows})
    assert [(e["customer_id"], e["product_id"], e["note"]) for e in events] == [
        ("c;1", "p,1", 'two\nlines "quoted"'),
        ("c2", "p2", '5" pipe'),
    ]


@pytest.mark.parametrize("delimiter", [";", "\t", "|", ","])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_fault_22_delimiters_and_line_ends_are_found(shop: Shop, delimiter: str, ending: str):
    text = (HEADER + GOOD * 2).replace(",", delimiter).replace("\n", ending)
    assert [event["product_id"] for event in shop.events({"events.csv": text})] == ["p1", "p1"]


def test_fault_22_ragged_rows_are_set_apart_and_columns_never_shift(shop: Shop):
    rows = GOOD + "c2,purchase,2024-05-01\n" + GOOD + "c3,p,x,purchase,2024-05-01\n" + GOOD
    assert reasons(shop, rows) == {2: "row.ragged", 4: "row.ragged"}
    assert shop.dataset().events().collect().height == 3


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param('c1,"p1,view,2024-05-01\n' + GOOD, id="never closed"),
        pytest.param('"c1,p,view,x\n' + GOOD * 2 + '"c2,p,view,x\n', id="closed later"),
    ],
)
def test_fault_22_an_unclosed_quote_swallows_nothing(shop: Shop, rows: str):
    code, message = refusal(shop, {"events.csv": HEADER + GOOD + rows})
    assert code == "csv.quotes"
    assert "line" in message


def test_fault_23_times_ahead_are_rejected_and_too_many_refuse_the_file(shop: Shop):
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    near, far = (now + timedelta(minutes=m) for m in (4, 6))
    row = "c,p,view,{:%Y-%m-%d %H:%M:%S}\n"
    assert reasons(shop, row.format(near) + row.format(far)) == {2: "time.future"}
    many = {"events.csv": HEADER + GOOD * 1_998 + row.format(far) * 2}
    shop.ingest(many, replace=True)
    many["events.csv"] += row.format(far)
    assert refusal(shop, many, replace=True, max_rejected=1.0)[0] == "time.too_many_future"


def test_fault_24_impossible_years_and_undeclared_units(shop: Shop):
    rows = "c,p,view,1970-01-20 10:00:00\nc,p,view,9999-12-31\nc,p,view,0024-05-01\n"
    assert set(reasons(shop, rows).values()) == {"time.range"}
    epochs = {"events.csv": HEADER + "c,p,view,1714557600\n"}
    code, message = refusal(shop, epochs, replace=True)
    assert code == "time.unit"
    assert "time_unit" in message


@pytest.mark.parametrize(("unit", "scale"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)])
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_fault_24_a_declared_unit_is_believed_and_a_wrong_one_is_out_of_range(
    shop: Shop, unit: str, scale: int, form: str
):
    shop.write({"source.toml": f'[events]\ntime_unit = "{unit}"\n'})
    frame = pl.DataFrame({"timestamp": [1_714_557_600 * scale]}).with_columns(
        customer_id=pl.lit("c"), product_id=pl.lit("p"), event_type=pl.lit("view")
    )
    getattr(frame, f"write_{form}")(shop.source / f"events.{form}")
    assert shop.events({})[0]["timestamp"] == datetime(2024, 5, 1, 10, tzinfo=UTC)
    wrong = {"s": "ms", "ms": "s", "us": "ms", "ns": "us"}[unit]
    shop.write({"source.toml": f'[events]\ntime_unit = "{wrong}"\n'})
    code, message = refusal(shop, {}, replace=True)
    assert (code, "time.range" in message) == ("rejected.too_many", True)


def test_fault_24_a_wild_number_does_not_wrap_around_into_a_year(shop: Shop):
    wild = (2**64 + 1_600_000_000_000_000) // 10**6
    found = reasons(shop, f"c,p,view,{wild}\n", toml='[events]\ntime_unit = "s"\n')
    assert found == {1: "time.range"}


def test_fault_25_naive_times_are_of_the_declared_zone_else_utc(shop: Shop):
    report = shop.ingest({"events.csv": HEADER + GOOD})
    assert "times carry no zone: taken as UTC" in report.notes
    shop.write({"source.toml": '[events]\ntimezone = "Europe/Warsaw"\n'})
    (event,) = shop.events({}, replace=True)
    assert event["timestamp"] == datetime(2024, 5, 1, 8, tzinfo=UTC)


def test_fault_25_a_skipped_hour_is_rejected_and_a_repeated_one_is_the_earlier(shop: Shop):
    rows = "c,p,view,2024-03-31 02:30:00\nc,p,view,2024-10-27 02:30:00\n"
    toml = '[events]\ntimezone = "Europe/Warsaw"\n'
    assert reasons(shop, rows, toml=toml) == {1: "time.gap"}
    (kept,) = shop.dataset().events().collect()["timestamp"].to_list()
    assert kept == datetime(2024, 10, 27, 0, 30, tzinfo=UTC)


def test_fault_25_zones_may_differ_from_row_to_row(shop: Shop):
    rows = [
        "2024-05-01T10:00:00Z",
        "2024-05-01T12:00:00+02:00",
        "2024-05-01 12:00:00",
        "2024-05-01T10:00:00.000001Z",
        "2024-05-01",
    ]
    shop.write({"source.toml": '[events]\ntimezone = "Europe/Warsaw"\n'})
    events = shop.events({"events.csv": HEADER + "".join(f"c,p,view,{at}\n" for at in rows)})
    ten = datetime(2024, 5, 1, 10, tzinfo=UTC)
    midnight = datetime(2024, 4, 30, 22, tzinfo=UTC)
    expected = [ten, ten, ten, ten + timedelta(microseconds=1), midnight]
    assert [event["timestamp"] for event in events] == expected


def test_fault_26_local_dates_are_refused_until_their_form_is_declared(shop: Shop):
    files = {"events.csv": HEADER + "c,p,view,03/04/2024\n"}
    code, message = refusal(shop, files)
    assert (code, "time_format" in message) == ("rejected.too_many", True)
    shop.write({"source.toml": '[events]\ntime_format = "%d/%m/%Y"\n'})
    assert shop.events(files)[0]["timestamp"] == datetime(2024, 4, 3, tzinfo=UTC)


def test_fault_27_unsorted_events_are_kept_in_the_sources_order(shop: Shop):
    rows = "".join(f"c{n},p,view,2024-05-{28 - n:02d}\n" for n in range(20))
    events = shop.events({"events.csv": HEADER + rows})
    assert [event["customer_id"] for event in events] == [f"c{n}" for n in range(20)]


def test_fault_28_strangers_are_set_apart_and_too_many_refuse_the_file(shop: Shop):
    tables = {"products.csv": "product_id\np1\n", "customers.csv": "customer_id\nc1\nc2\n"}
    rows = GOOD * 98 + "c1,p9,view,2024-05-01\nc9,p1,view,2024-05-01\n"
    report = shop.ingest({"events.csv": HEADER + rows, **tables})
    assert report.tables["events"].rejected == {"customer.unknown": 1, "product.unknown": 1}
    assert shop.dataset().rejected("events").collect()["product_id"].to_list() == ["p9", "p1"]
    rows += "c1,p9,view,2024-05-01\n" * 10
    code, message = refusal(shop, {"events.csv": HEADER + rows}, replace=True)
    assert (code, "product.unknown" in message) == ("rejected.too_many", True)


def test_fault_29_products_off_sale_are_loaded_with_a_warning(shop: Shop):
    header = "product_id,starts_at,ends_at,price_minor\n"
    rows = "p1,2020-01-01,2021-01-01,1\np2,2027-01-01,,2\np3,2020-01-01,9999-12-31,\n"
    files = {"events.csv": HEADER + GOOD, "products.csv": header + rows}
    report = shop.ingest(files)
    assert report.tables["products"].accepted == 3
    warnings = " ".join(report.warnings)
    assert "1 products have ended" in warnings
    assert "1 products are not started" in warnings
    assert "1 products are without a price" in warnings


def test_fault_29_a_product_that_ends_before_it_starts_or_has_no_known_status(shop: Shop):
    header = "product_id,starts_at,ends_at,status\n"
    rows = "p1,2024-01-02,2024-01-01,\np2,2024-01-01,2024-01-01,\np3,,,sold\np4,,,hidden\n"
    found = reasons(
        shop,
        rows,
        header=header,
        table="products",
        **{"events.csv": HEADER + GOOD.replace("p1", "p4")},
    )
    assert found == {1: "dates.order", 2: "dates.order", 3: "status.unknown"}


def catalogue(count: int):
    return "product_id\n" + "".join(f"p{n}\n" for n in range(count))


def test_fault_30_half_an_export_is_stopped(shop: Shop):
    shop.ingest({"events.csv": HEADER + GOOD, "products.csv": catalogue(100)})
    shop.ingest({"products.csv": catalogue(80)}, replace=True)
    assert refusal(shop, {"products.csv": catalogue(63)}, replace=True)[0] == "shrink"
    assert shop.dataset().products().collect().height == 80
    shop.ingest(replace=True, accept_shrink=True)
    assert shop.dataset().products().collect().height == 63


def test_fault_30_lost_customers_are_stopped_too(shop: Shop):
    rows = [f"c{n},p1,view,2024-05-01\n" for n in range(100)]
    shop.ingest({"events.csv": HEADER + "".join(rows)})
    code, message = refusal(shop, {"events.csv": HEADER + "".join(rows[:89])}, replace=True)
    assert (code, "89 customers" in message) == ("shrink", True)


def test_fault_31_one_customer_that_is_nearly_all_is_reported(shop: Shop):
    rows = GOOD * 900 + "".join(f"c{n},p{n},view,2024-05-01\n" for n in range(2, 302))
    report = shop.ingest({"events.csv": HEADER + rows})
    assert any("customer_id ('c1')" in one for one in report.warnings)
    assert report.tables["events"].accepted == 1_200


def test_fault_32_a_machine_keeps_its_newest_events_only(shop: Shop):
    rows = "".join(f"bot,p{n},view,2024-05-{n:02d}\n" for n in (5, 1, 9, 3, 7)) + GOOD
    report = shop.ingest({"events.csv": HEADER + rows}, max_customer_events=2)
    assert report.tables["events"].rejected == {"customer.too_many_events": 3}
    kept = shop.dataset().events().collect()["product_id"].to_list()
    assert kept == ["p9", "p7", "p1"]


CONSENT = "customer_id,purpose,state,at\n"


def test_fault_33_declared_consent_that_is_missing_or_old_is_refused(shop: Shop):
    shop.write({"events.csv": HEADER + GOOD})
    missing = {"source.toml": '[consent]\nfile = "consent.csv"\n'}
    assert refusal(shop, missing)[0] == "consent.missing"
    shop.write({"consent.csv": CONSENT + "c1,marketing,in,2024-01-01\n"})
    written = datetime(2024, 4, 30, tzinfo=UTC).timestamp()
    os.utime(shop.source / "consent.csv", (written, written))
    assert refusal(shop, {})[0] == "consent.stale"
    os.utime(shop.source / "consent.csv")
    shop.ingest()
    (shop.source / "consent.csv").unlink()
    (shop.source / "source.toml").unlink()
    assert refusal(shop, {}, replace=True)[0] == "consent.missing"


def test_fault_34_consent_may_arrive_before_its_customer(shop: Shop):
    files = {"consent.csv": CONSENT + "stranger,marketing,out,2024-01-01\n"}
    shop.ingest({"events.csv": HEADER + GOOD, "customers.csv": "customer_id\nc1\n", **files})
    assert shop.dataset().consent().collect()["customer_id"].to_list() == ["stranger"]


def test_fault_35_at_the_same_instant_the_opt_out_stands(shop: Shop):
    rows = "".join(f"c,{p},{s},2024-01-01\n" for p, s in [("m", "in"), ("m", "out"), ("x", "in")])
    found = reasons(shop, rows + rows, header=CONSENT, table="consent")
    assert found == {1: "consent.outvoted", 4: "consent.outvoted"}
    kept = shop.dataset().consent().select("purpose", "state").collect().rows()
    assert kept == [("m", "out"), ("x", "in")]


def test_an_opt_out_is_kept_whatever_its_clock_said_and_an_opt_in_is_not(shop: Shop):
    rows = "a,m,out,2030-01-01\nb,m,in,2030-01-01\nc,m,maybe,2024-01-01\nd,m,in,\n"
    found = reasons(shop, rows, header=CONSENT, table="consent")
    assert found == {2: "time.future", 3: "consent.state", 4: "time.missing"}


def test_fault_39_event_types_that_explode_are_a_wrong_column(shop: Shop):
    rows = "".join(f"c,p,type{n},2024-05-01\n" for n in range(1_001))
    assert refusal(shop, {"events.csv": HEADER + rows})[0] == "event_types.too_many"
