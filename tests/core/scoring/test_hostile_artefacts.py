"""S3: whatever a model's folder was made to hold, nothing of it is executed, unpacked or believed.

Every hostile file lies where the arrays should, with a manifest that agrees with its size and its
checksum: what refuses it is not the checksum.
"""

import gzip
import io
import json
import pickle
import resource
import struct
import zipfile
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from oferta.errors import ArtefactInvalid, RecordCorrupt
from oferta.scoring.artefact import ARRAYS, MANIFEST, Meta, read_artefact, write_artefact
from oferta.store import codec
from oferta.store.release import Manifest
from oferta.store.scorer import digest_of, read_scorer, seal_parts

META = Meta("ease", {}, 7, "data", "0.1.0", "2026-01-02T03:04:05+00:00")
MANY = 10**12


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.mark,)


def pickled(mark: Path, protocol: int) -> bytes:
    return pickle.dumps(Bomb(mark), protocol)


def numpy_file(save: Callable[..., None], *arrays: object, **named: object) -> bytes:
    out = io.BytesIO()
    save(out, *arrays, **named)
    return out.getvalue()


def objects(mark: Path) -> np.ndarray:
    array = np.empty(1, object)
    array[0] = Bomb(mark)
    return array


def zipped(names: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in names.items():
            archive.writestr(name, content)
    return out.getvalue()


def tensors(header: object, body: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def tensor(dtype: str, shape: list[int], start: int, end: int) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def corpus(mark: Path) -> dict[str, bytes]:
    zeros = bytes(50_000_000)
    return {
        **{f"pickle, protocol {n}": pickled(mark, n) for n in range(pickle.HIGHEST_PROTOCOL + 1)},
        "pickle in gzip": gzip.compress(pickled(mark, 2)),
        "pickle in zip, as PyTorch has it": zipped({"archive/data.pkl": pickled(mark, 2)}),
        "pickle as a tensor's header": tensors(pickled(mark, 0)),
        "npy of objects": numpy_file(np.save, objects(mark), allow_pickle=True),
        "npz of objects": numpy_file(np.savez, weights=objects(mark)),
        "npz": numpy_file(np.savez, weights=np.zeros(3)),
        "path traversal in zip": zipped({"../../evil.py": b"open('x')", "/etc/evil": b""}),
        "zip bomb": zipped({"weights.npy": zeros}),
        "gzip bomb": gzip.compress(zeros),
        "nothing": b"",
        "a header longer than the file": struct.pack("<Q", MANY) + b"{}",
        "a header of 2^64": b"\xff" * 8 + b"{}",
        "a tensor larger than the file": tensors({"weights": tensor("F32", [MANY], 0, 4 * MANY)}),
        "a shape that overflows": tensors({"weights": tensor("F32", [2**62, 8], 0, 0)}),
        "a shape that lies": tensors({"weights": tensor("F32", [1000, 1000], 0, 4)}, bytes(4)),
        "offsets that run backwards": tensors({"weights": tensor("F32", [1], 4, 0)}, bytes(4)),
        "offsets that overlap": tensors(
            {"weights": tensor("F32", [1], 0, 4), "ids": tensor("F32", [1], 0, 4)}, bytes(4)
        ),
        "a name twice": tensors(
            b'{"weights":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
            b'"weights":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}X',
            bytes(4),
        ),
        "a name that is a path": tensors({"../../x": tensor("F32", [1], 0, 4)}, bytes(4)),
        "a name that is an attribute": tensors({"__class__": tensor("F32", [1], 0, 4)}, bytes(4)),
        "nested deeply": tensors(b"[" * 100_000),
    }


NAMES = sorted(corpus(Path("unused")))


def with_arrays(folder: Path, raw: bytes) -> None:
    """Put `raw` where the arrays lie, and make the manifest agree."""
    write_artefact(folder, {"weights": np.zeros(1, np.float32)}, META)
    (folder / ARRAYS).write_bytes(raw)
    stated = json.loads((folder / MANIFEST).read_text())
    stated["file"] = {"bytes": len(raw), "sha256": sha256(raw).hexdigest()}
    (folder / MANIFEST).write_text(json.dumps(stated))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    mark = tmp_path_factory.mktemp("mark") / "executed"
    return mark, corpus(mark)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_s_folder_is_refused_before_anything_of_it_is_used(
    name: str, hostile: tuple[Path, dict[str, bytes]], tmp_path: Path
):
    mark, files = hostile
    with_arrays(tmp_path / "model", files[name])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ArtefactInvalid):
        read_artefact(tmp_path / "model", allowed={"weights", "ids"})
    assert not mark.exists()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["model"]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000  # kB: not unpacked


@pytest.mark.parametrize("name", NAMES)
def test_a_scorer_in_the_store_is_refused_before_anything_of_it_is_used(
    name: str, hostile: tuple[Path, dict[str, bytes]]
):
    """As somebody would write it who may write to Redis: sealed, and named by its manifest."""
    mark, files = hostile
    manifest = Manifest(
        release=1,
        model="ease/1",
        model_run="run",
        trained_at=1.0,
        created_at=2.0,
        dataset="data",
        customers=1,
        products=1,
        buckets_per_tag=1,
        similar=0,
        key_check="",
        scorer_bytes=len(files[name]),
        scorer_sha256=digest_of(files[name]),
    )
    with pytest.raises(RecordCorrupt):
        read_scorer(manifest, seal_parts(files[name], codec.stamp(manifest)), ())
    assert not mark.exists()


def test_the_bombs_are_live(tmp_path: Path):
    """Else nothing above would mean anything."""
    pickle.loads(pickled(tmp_path / "executed", 2))  # noqa: S301 - this is what must not happen
    assert (tmp_path / "executed").exists()


@pytest.mark.parametrize("place", ["../secret", "/etc/passwd", "sub/arrays", "..", ""])
def test_no_name_in_a_manifest_leads_out_of_the_folder(tmp_path: Path, place: str):
    folder = tmp_path / "model"
    write_artefact(folder, {"weights": np.zeros(1, np.float32)}, META)
    stated = json.loads((folder / MANIFEST).read_text())
    stated["arrays"][place] = stated["arrays"]["weights"]
    stated["file"]["name"] = place
    (folder / MANIFEST).write_text(json.dumps(stated))

    with pytest.raises(ArtefactInvalid):
        read_artefact(folder, allowed={"weights"})
