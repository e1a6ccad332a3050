"""Faults 23 to 39: times, and what a table says as a whole."""

import os
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from core.ingest.rows_with_faults import GOOD, HEADER, reasons, refusal
from core.ingest.shops import Shop


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
