"""Artefacts: what is altered, missing, foreign or dangerous is refused before it is used."""

import json
import pickle
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from oferta.errors import ArtefactInvalid
from oferta.scoring.artefact import ARRAYS, MANIFEST, Meta, read_artefact, write_artefact

META = Meta("ease", {"l2": 5.0}, 7, "data", "0.1.0", "2026-01-02T03:04:05+00:00", {"a": [1]})
NAMES = {"weights", "ids", "none"}


@pytest.fixture
def folder(tmp_path: Path):
    arrays = {
        "weights": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "ids": np.array([3, 1], np.int64),
        "none": np.zeros((0, 4), np.bool_),
    }
    write_artefact(tmp_path / "model", arrays, META)
    return tmp_path / "model"


def refused(folder: Path, match: str, **limits: int):
    with pytest.raises(ArtefactInvalid, match=match):
        read_artefact(folder, allowed=NAMES, **limits)


def edit(folder: Path, change: Callable[[dict[str, Any]], object]):
    stated = json.loads((folder / MANIFEST).read_text())
    change(stated)
    (folder / MANIFEST).write_text(json.dumps(stated))


def test_what_was_written_is_read(folder: Path):
    artefact = read_artefact(folder, allowed=NAMES)
    assert artefact.meta == META
    np.testing.assert_array_equal(artefact.arrays["weights"], [[0, 3], [1, 4], [2, 5]])
    assert artefact.arrays["none"].shape == (0, 4)
    assert artefact.arrays["none"].dtype == np.bool_


def test_a_bit_changed_in_an_array_is_noticed(folder: Path):
    raw = bytearray((folder / ARRAYS).read_bytes())
    raw[-3] ^= 1
    (folder / ARRAYS).write_bytes(raw)
    refused(folder, "checksum")


def test_a_bit_changed_with_its_file_checksum_made_to_fit_is_noticed(folder: Path):
    raw = bytearray((folder / ARRAYS).read_bytes())
    raw[-3] ^= 1
    (folder / ARRAYS).write_bytes(raw)
    edit(folder, lambda stated: stated["file"].update(sha256=sha256(raw).hexdigest()))
    refused(folder, "is not what")


def test_files_cut_short_are_refused(folder: Path):
    raw = (folder / ARRAYS).read_bytes()
    (folder / ARRAYS).write_bytes(raw[:-5])
    refused(folder, "bytes, not")
    (folder / ARRAYS).write_bytes(raw)
    text = (folder / MANIFEST).read_text()
    (folder / MANIFEST).write_text(text[: len(text) // 2])
    refused(folder, "not JSON")


@pytest.mark.parametrize("name", [MANIFEST, ARRAYS])
def test_missing_files_are_refused(folder: Path, name: str):
    (folder / name).unlink()
    refused(folder, name)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path):
    refused(tmp_path / "nothing", "no such artefact")


def test_foreign_files_are_refused(folder: Path):
    (folder / "model.pkl").write_bytes(pickle.dumps([1]))
    refused(folder, "foreign: model.pkl")


def test_links_are_refused(folder: Path, tmp_path: Path):
    (folder / ARRAYS).rename(tmp_path / "elsewhere")
    (folder / ARRAYS).symlink_to(tmp_path / "elsewhere")
    refused(folder, "not a plain file")


def test_a_pickle_in_the_place_of_the_arrays_is_never_loaded(folder: Path):
    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return pytest.fail, ("the pickle was executed",)

    raw = pickle.dumps(Bomb())
    (folder / ARRAYS).write_bytes(raw)
    edit(
        folder,
        lambda stated: stated["file"].update(bytes=len(raw), sha256=sha256(raw).hexdigest()),
    )
    refused(folder, "cannot be read")


def test_arrays_nobody_asked_for_are_refused(folder: Path):
    with pytest.raises(ArtefactInvalid, match="'ids' is not one"):
        read_artefact(folder, allowed={"weights", "none"})


def test_arrays_that_the_manifest_does_not_name_are_refused(folder: Path):
    edit(folder, lambda stated: stated["arrays"].pop("ids"))
    refused(folder, "name different arrays")


@pytest.mark.parametrize(
    ("key", "value"), [("shape", [3, 3]), ("dtype", "float64"), ("sha256", "0" * 64)]
)
def test_a_manifest_that_states_another_array_is_refused(folder: Path, key: str, value: object):
    edit(folder, lambda stated: stated["arrays"]["weights"].update({key: value}))
    refused(folder, "'weights' is not what")


def test_other_schemas_and_manifests_that_are_no_objects_are_refused(folder: Path):
    edit(folder, lambda stated: stated.update(schema="oferta.artefact/2"))
    refused(folder, "schema")
    (folder / MANIFEST).write_text("[]")
    refused(folder, "lacks")


def test_meta_data_of_another_shape_are_refused(folder: Path):
    edit(folder, lambda stated: stated["meta"].update(seed="seven"))
    refused(folder, "meta data")


def test_files_over_the_limit_are_not_even_read(folder: Path):
    refused(folder, "the limit is 10", max_bytes=10)


def test_half_precision_and_other_types_are_refused_even_if_the_manifest_agrees(folder: Path):
    half = np.ones(2, np.float16)
    save_file({"ids": half}, folder / ARRAYS)
    raw = (folder / ARRAYS).read_bytes()

    def agree(stated: dict[str, Any]) -> None:
        stated["file"] = {"bytes": len(raw), "sha256": sha256(raw).hexdigest()}
        stated["arrays"] = {
            "ids": {
                "dtype": "float16",
                "shape": [2],
                "sha256": sha256(half.tobytes()).hexdigest(),
            }
        }

    edit(folder, agree)
    refused(folder, "'ids' is not what")


@pytest.mark.parametrize("array", [np.array([object()]), np.array(["a"]), np.ones(2, np.complex64)])
def test_objects_texts_and_odd_numbers_are_not_written(tmp_path: Path, array: NDArray[Any]):
    with pytest.raises(ArtefactInvalid, match="not stored"):
        write_artefact(tmp_path / "model", {"odd": array}, META)
    assert list(tmp_path.iterdir()) == []


def test_an_artefact_is_never_altered(folder: Path):
    with pytest.raises(FileExistsError):
        write_artefact(folder, {}, META)


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("oferta.scoring.artefact.sync", full)
    with pytest.raises(OSError, match="No space"):
        write_artefact(tmp_path / "model", {"ids": np.zeros(3)}, META)
    assert list(tmp_path.iterdir()) == []
