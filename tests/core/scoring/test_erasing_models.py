"""A customer's row of a stored model becomes nobody's, and everybody else's stays."""

import asyncio
from pathlib import Path

import pytest
from erasing_worlds import ANNA, BELA, write_model

from oferta.interactions.texts import unpack_texts
from oferta.privacy.places import Subject
from oferta.scoring.artefact import read_artefact
from oferta.scoring.erasing import ModelRows, erase_from_model, scrub_models


def arrays_of(folder: Path) -> dict[str, object]:
    names = [
        *(f"past.{name}" for name in ("indptr", "product", "weight", "recency", "segment")),
        *(f"{whose}.{part}" for whose in ("customers", "products") for part in ("bytes", "ends")),
        *("embeddings.customers", "embeddings.products", "model.customers"),
    ]
    return dict(read_artefact(folder, allowed=names).arrays)


def test_the_row_is_emptied_and_the_others_stay(tmp_path: Path):
    folder = tmp_path / "artefact"
    write_model(folder)
    before = arrays_of(folder)
    assert erase_from_model(folder, ANNA) == 1
    after = arrays_of(folder)
    ids = unpack_texts({"bytes": after["customers.bytes"], "ends": after["customers.ends"]}, "id")
    assert ids.to_list()[::2] == ["x", BELA]
    assert ids[1].startswith("erased-")
    assert ANNA.encode() not in (folder / "arrays.safetensors").read_bytes()
    assert after["past.indptr"].tolist() == [0, 1, 1, 4, 4]
    assert after["past.weight"].tolist() == [1, 4, 5, 6]
    assert after["past.segment"].tolist() == [0, -1, 0, 1]
    for name in ("embeddings.customers", "model.customers"):
        assert after[name][1].tolist() == [0, 0]
        assert after[name][[0, 2, 3]].tolist() == before[name][[0, 2, 3]].tolist()
    assert after["embeddings.products"].tolist() == before["embeddings.products"].tolist()
    assert erase_from_model(folder, ANNA) == 0


@pytest.mark.parametrize("part", [ANNA[:-1], ANNA[1:], "", BELA + "x"])
def test_part_of_an_id_is_no_id(tmp_path: Path, part: str):
    write_model(tmp_path / "artefact")
    assert erase_from_model(tmp_path / "artefact", part) == 0


def test_ids_that_run_into_each_other_are_told_apart(tmp_path: Path):
    write_model(tmp_path / "artefact", customers=("ab", "abab", "ba", "b"))
    assert erase_from_model(tmp_path / "artefact", "ba") == 1
    arrays = arrays_of(tmp_path / "artefact")
    ids = unpack_texts({"bytes": arrays["customers.bytes"], "ends": arrays["customers.ends"]}, "id")
    assert ids.to_list()[:2] == ["ab", "abab"]
    assert ids[3] == "b"


def test_all_versions_are_searched_and_what_a_kill_left_is_finished(tmp_path: Path):
    one, two = (tmp_path / f"mlflow-artifacts/{name}/artefact" for name in "ab")
    write_model(one)
    write_model(two)
    two.rename(two.with_name(".artefact.erasing-ready"))  # between the two renames
    models = ModelRows(tmp_path)
    subject = Subject(ANNA, bytes(16))
    assert asyncio.run(models.holds(subject))
    assert asyncio.run(models.erase(subject)) == 2
    assert not asyncio.run(models.holds(subject))
    assert models.customers() >= {BELA, "x", "y"}
    assert scrub_models(tmp_path, lambda ids: [each for each in ids if each == BELA]) == 2
    assert BELA not in models.customers()
