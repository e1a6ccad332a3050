"""A folder is replaced as a whole, and a kill between any two renames loses nothing."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from oferta.clock import FixedClock
from oferta.events.erasing import DatasetRows
from oferta.events.guards import IngestOptions
from oferta.events.ingest import ingest
from oferta.privacy.folders import note_folder, noted_folders, recovered, replacing, unfinished
from oferta.privacy.places import Subject
from oferta.progress import Silent


def content(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "scores"
    made.mkdir()
    (made / "a").write_text("old")
    return made


def test_the_new_one_takes_its_place(folder: Path):
    with replacing(folder) as built:
        (built / "a").write_text("new")
        assert content(folder) == {"a": "old"}
    assert content(folder) == {"a": "new"}
    assert unfinished(folder.parent) == []
    assert [path.name for path in folder.parent.iterdir()] == ["scores"]


def test_a_fault_leaves_the_old_one(folder: Path):
    with pytest.raises(FileNotFoundError), replacing(folder) as built:
        (built / "gone" / "a").write_text("new")
    assert content(folder) == {"a": "old"}
    assert unfinished(folder.parent) == []


@pytest.mark.parametrize(
    ("left", "there", "expected"),
    [
        (("erasing",), True, "old"),  # killed while it was built
        (("erasing-ready",), True, "old"),  # before the old one was moved away
        (("erasing-ready", "erasing-old"), False, "new"),  # between the two renames
        (("erasing-old",), True, "old"),  # before the old one was removed
    ],
)
def test_killed_at_any_point_it_is_recovered(
    folder: Path, left: tuple[str, ...], *, there: bool, expected: str
):
    for stage in left:
        stray = folder.with_name(f".{folder.name}.{stage}")
        stray.mkdir()
        (stray / "a").write_text("new")
    if not there:
        (folder / "a").unlink()
        folder.rmdir()
    assert unfinished(folder.parent) == [folder]
    recovered(folder)
    assert content(folder) == {"a": expected}
    assert unfinished(folder.parent) == []


def test_folders_elsewhere_are_noted_once_and_those_where_they_are_kept_never(tmp_path: Path):
    home = tmp_path / "home"
    for _ in range(2):
        note_folder(home, "dataset", tmp_path / "else")
        note_folder(home, "dataset", home / "datasets" / "x")
    note_folder(home, "scores", tmp_path / "other")
    with (home / "privacy/folders.jsonl").open("a") as file:
        file.write('{"kind": "dataset", "fol')  # cut off
    note_folder(home, "dataset", tmp_path / "third")
    assert noted_folders(home, "dataset") == [tmp_path / "else", tmp_path / "third"]
    assert noted_folders(home, "scores") == [tmp_path / "other"]


def test_datasets_inside_the_state_folder_are_found_wherever_they_lie(tmp_path: Path):
    home = tmp_path / "home"
    unnoted = [home / "dataset", home / "work" / "shop"]
    others = [home / "datasets" / "kept", home / "tenants" / "bank"]
    for folder in (*unnoted, *others):
        folder.mkdir(parents=True)
        (folder / "dataset.json").write_text("{}")
    note_folder(home, "dataset", home / "shop")  # not written yet: noted all the same
    note_folder(home, "dataset", home / "tenants" / "bank" / "shop")
    assert noted_folders(home, "dataset") == [home / "shop", *unnoted]


def test_a_customer_is_erased_from_a_dataset_beside_the_kept_ones(tmp_path: Path):
    home, source = tmp_path / "home", tmp_path / "shop"
    source.mkdir()
    (source / "events.csv").write_text(
        "customer_id,product_id,event_type,timestamp\n"
        "c-1,p-1,purchase,2026-01-01T10:00:00Z\nc-2,p-1,purchase,2026-01-02T10:00:00Z\n"
    )
    clock = FixedClock(datetime(2026, 2, 1, tzinfo=UTC))
    ingest(source, home / "dataset", options=IngestOptions(), clock=clock, progress=Silent())
    place, subject = DatasetRows(home), Subject("c-1", bytes(16))
    assert asyncio.run(place.holds(subject))
    assert len(asyncio.run(place.export(subject))) == 2  # and of the customers it derived
    assert asyncio.run(place.erase(subject)) == 2
    assert not asyncio.run(place.holds(subject))
    assert place.customers() == {"c-2"}
