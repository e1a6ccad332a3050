"""A folder is replaced as a whole, and a kill between any two renames loses nothing."""

from pathlib import Path

import pytest

from oferta.privacy.folders import note_folder, noted_folders, recovered, replacing, unfinished


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


def test_folders_elsewhere_are_noted_once_and_those_inside_never(tmp_path: Path):
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
