"""Scores leave the house: as a file for programs, as a list for a person."""

import gzip
import json
from pathlib import Path

import polars as pl
import pytest
from shop import LONELY
from trained_shop import Shop

from oferta.errors import SettingsInvalid
from oferta.ids import CustomerId
from oferta_training.export import customer_list, export_scores


@pytest.mark.parametrize("name", ["lists.parquet", "lists.csv", "lists.csv.gz", "lists.ndjson"])
def test_every_format_holds_every_row(shop: Shop, tmp_path: Path, name: str) -> None:
    out = tmp_path / name
    rows = export_scores(shop.scores, out, top=None)
    assert rows == shop.scores.suggestions
    if name.endswith(".parquet"):
        found = pl.read_parquet(out)
    elif name.endswith(".ndjson"):
        found = pl.read_ndjson(out)
    else:
        text = gzip.decompress(out.read_bytes()) if name.endswith(".gz") else out.read_bytes()
        found = pl.read_csv(text)
    assert len(found) == rows
    assert found.columns == shop.scores.lists().collect_schema().names()


def test_top_cuts_by_rank(shop: Shop, tmp_path: Path) -> None:
    export_scores(shop.scores, tmp_path / "top.parquet", top=2)
    assert pl.read_parquet(tmp_path / "top.parquet")["rank"].max() == 2


def test_an_unknown_ending_is_refused_and_nothing_is_written(shop: Shop, tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="parquet"):
        export_scores(shop.scores, tmp_path / "lists.xlsx", top=None)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_named_rather_than_a_draft_in_it(shop: Shop, tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="missing is no folder") as refused:
        export_scores(shop.scores, tmp_path / "missing" / "lists.csv", top=None)
    assert "draft" not in str(refused.value)


def test_a_failed_export_leaves_the_old_file(shop: Shop, tmp_path: Path) -> None:
    """A directory in the way of the draft: the export fails, the earlier file stays whole."""
    out = tmp_path / "lists.csv"
    out.write_text("yesterday's")
    part = shop.scores.path / shop.scores.parts[0]
    moved = part.rename(part.with_suffix(".away"))
    try:
        with pytest.raises(FileNotFoundError):
            export_scores(shop.scores, out, top=None)
    finally:
        moved.rename(part)
    assert out.read_text() == "yesterday's"
    assert [path.name for path in tmp_path.iterdir()] == ["lists.csv"]


def test_one_customers_list_has_names_and_reasons(shop: Shop) -> None:
    found = customer_list(shop.scores, CustomerId("c001"), n=3)
    assert found.known
    assert [item["rank"] for item in found.items] == [1, 2, 3]
    assert all(item["name"].startswith(("Car", "Home", "Account")) for item in found.items)
    assert all(item["text"] for item in found.items)
    json.dumps(found.as_json())


def test_a_customer_without_a_past_reads_as_popular(shop: Shop) -> None:
    found = customer_list(shop.scores, CustomerId(LONELY), n=1)
    assert found.known
    assert found.items[0]["text"] == "Popular with customers like you"


def test_a_stranger_gets_the_popular_list_and_is_told_so(shop: Shop) -> None:
    found = customer_list(shop.scores, CustomerId("never-seen"), n=2)
    assert not found.known
    assert [item["reason"] for item in found.items] == ["popular", "popular"]
