"""Faults 12 to 22 of files: what a column, an id or a cell may be, and where the rest goes."""

import json

import polars as pl
import pytest
from core.ingest.rows_with_faults import GOOD, HEADER, reasons, refusal
from core.ingest.shops import Shop

from oferta.events import across


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
