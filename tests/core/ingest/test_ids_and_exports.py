"""The one rule of ids holds in both engines, and exports run no formulas."""

import csv
import io

import polars as pl
import pytest
from core.ingest.shops import Shop
from hypothesis import given, settings
from hypothesis import strategies as st

from oferta.events.csv_safety import original_csv_cell, safe_csv_cell
from oferta.events.rules import id_faults
from oferta.ids import id_fault

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=140) | st.sampled_from(
    [".", "..", "...", "", "\n", "a\n", "\x85", "\u2028", "\x7f", "x" * 128, "é" * 128, "😀" * 129]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=20))
def test_a_file_and_a_request_agree_on_every_id(texts: list[str]):
    faults = id_faults("id")
    reason = pl.coalesce([pl.when(fault.rows).then(pl.lit(fault.code)) for fault in faults])
    frame = pl.DataFrame({"id": texts}, schema={"id": pl.String})
    assert frame.select(reason).to_series().to_list() == [id_fault(text) for text in texts]


FORMULAS = ["=HYPERLINK(1)", "+1", "-1", "@x", "\tx", "'=x", "''+", "plain", "'", "", "a=b", None]


def test_fault_21_exported_cells_run_nothing_and_come_back_whole():
    stored = pl.DataFrame({"name": FORMULAS})
    text = stored.select(safe_csv_cell("name")).write_csv(quote_style="non_numeric")
    _, *rows = csv.reader(io.StringIO(text, newline=""))
    cells = [row[0] if row else "" for row in rows]
    assert not any(cell.startswith(("=", "+", "-", "@", "\t")) for cell in cells)
    back = pl.DataFrame({"name": cells}).select(original_csv_cell("name"))["name"].to_list()
    assert back == [cell or "" for cell in FORMULAS]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text("'=+-@\t\rab", max_size=6), min_size=1))
def test_fault_21_the_guard_is_undone_for_any_text(texts: list[str]):
    frame = pl.DataFrame({"name": texts})
    there = frame.select(safe_csv_cell("name"))
    assert there.select(original_csv_cell("name")).equals(frame)
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in there["name"])


@pytest.mark.parametrize("formula", FORMULAS[:5])
def test_fault_21_inside_formulas_stay_as_they_came(shop: Shop, formula: str):
    header = "customer_id,product_id,event_type,note\n"
    (event,) = shop.events({"events.csv": f'{header}c,p,view,"{formula}"\n'})
    assert event["note"] == formula or event["note"] == float(formula)
