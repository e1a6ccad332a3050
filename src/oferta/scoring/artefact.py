"""Arrays and their manifest in a folder: checked before anything of them is used, never a pickle.

folder/
├── manifest.json        what it is, of which data, and every array's name, shape, dtype, SHA-256
└── arrays.safetensors   the arrays
"""

import json
import os
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save_file

from oferta.durable import sync
from oferta.errors import ArtefactInvalid

MANIFEST = "manifest.json"
ARRAYS = "arrays.safetensors"

_SCHEMA = "oferta.artefact/1"
_DTYPES = frozenset({"float32", "float64", "int64", "int32", "uint8", "bool"})
_MANIFEST_LIMIT = 16 << 20
_ARRAYS_LIMIT = 32 << 30


@dataclass(frozen=True, slots=True)
class Meta:
    """What the arrays are and where they come from.

    Attributes:
        kind: what reads them: the model's name in the catalogue.
        settings: the recipe's settings.
        seed: what the fit was seeded with.
        data_fingerprint: of the dataset.
        code_version: of the program that fitted.
        created_at: ISO 8601, UTC.
        extra: anything else that is JSON.
    """

    kind: str
    settings: Mapping[str, Any]
    seed: int
    data_fingerprint: str
    code_version: str
    created_at: str
    extra: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Artefact:
    """What a folder held."""

    arrays: Mapping[str, NDArray[Any]]
    meta: Meta


def write_artefact(folder: Path, arrays: Mapping[str, NDArray[Any]], meta: Meta) -> None:
    """Write a new folder; it appears whole or not at all.

    Raises:
        ArtefactInvalid: an array's dtype is none of those that are read back.
        FileExistsError: the folder is there already; an artefact is never altered.
    """
    if folder.exists():
        raise FileExistsError(folder)
    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    for name, array in whole.items():
        if array.dtype.name not in _DTYPES or array.dtype.byteorder == ">":
            raise ArtefactInvalid(folder, f"array '{name}' is {array.dtype}, which is not stored")
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = folder.with_name(f".{folder.name}.{uuid4().hex}")
    draft.mkdir()
    try:
        save_file(whole, draft / ARRAYS)
        manifest = {
            "schema": _SCHEMA,
            "meta": {
                **{each.name: getattr(meta, each.name) for each in fields(meta)},
                "settings": dict(meta.settings),
                "extra": dict(meta.extra),
            },
            "file": {"bytes": (draft / ARRAYS).stat().st_size, "sha256": _file_sum(draft / ARRAYS)},
            "arrays": {
                name: {
                    "dtype": array.dtype.name,
                    "shape": list(array.shape),
                    "sha256": _array_sum(array),
                }
                for name, array in whole.items()
            },
        }
        text = json.dumps(manifest, indent=1, sort_keys=True, allow_nan=False)
        (draft / MANIFEST).write_text(text, encoding="utf-8")
        for path in (draft / ARRAYS, draft / MANIFEST, draft):
            sync(path)
        draft.rename(folder)
        sync(folder.parent)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def read_artefact(
    folder: Path, *, allowed: Collection[str], max_bytes: int = _ARRAYS_LIMIT
) -> Artefact:
    """The arrays of `folder`, every one of them named in `allowed`, and its meta data.

    Raises:
        ArtefactInvalid: something is missing, altered, too large, or not ours.
    """
    names = _files(folder)
    if names != {MANIFEST, ARRAYS}:
        odd = sorted(names ^ {MANIFEST, ARRAYS})
        raise ArtefactInvalid(folder, f"missing or foreign: {', '.join(odd)}")
    stated = _manifest(folder)
    raw = _checked_bytes(folder, stated["file"], max_bytes)
    for name in stated["arrays"]:
        if name not in allowed:
            raise ArtefactInvalid(folder, f"array '{name}' is not one that this reader takes")
    try:
        arrays = load(raw)
    except (SafetensorError, ValueError, KeyError) as error:
        raise ArtefactInvalid(folder, f"{ARRAYS} cannot be read ({error})") from None
    if arrays.keys() != stated["arrays"].keys():
        raise ArtefactInvalid(folder, f"{MANIFEST} and {ARRAYS} name different arrays")
    for name, array in arrays.items():
        _check_array(folder, name, array, stated["arrays"][name])
    return Artefact(MappingProxyType(arrays), _meta(folder, stated["meta"]))


def _files(folder: Path) -> set[str]:
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        raise ArtefactInvalid(folder, f"no such artefact ({error.strerror})") from None
    for entry in entries:
        if not entry.is_file(follow_symlinks=False):
            raise ArtefactInvalid(folder, f"'{entry.name}' is not a plain file")
    return {entry.name for entry in entries}


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if path.stat().st_size > _MANIFEST_LIMIT:
        raise ArtefactInvalid(folder, f"{MANIFEST} is larger than {_MANIFEST_LIMIT} bytes")
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise ArtefactInvalid(folder, f"{MANIFEST} is not JSON: cut short or altered") from None
    shape = {"schema": str, "meta": dict, "file": dict, "arrays": dict}
    if not isinstance(stated, dict) or any(
        not isinstance(stated.get(key), kind) for key, kind in shape.items()
    ):
        raise ArtefactInvalid(folder, f"{MANIFEST} lacks one of {', '.join(shape)}")
    if stated["schema"] != _SCHEMA:
        raise ArtefactInvalid(folder, f"schema is '{stated['schema']}', not '{_SCHEMA}'")
    return stated


def _checked_bytes(folder: Path, stated: Mapping[str, Any], max_bytes: int) -> bytes:
    path = folder / ARRAYS
    size = path.stat().st_size
    if size > max_bytes:
        raise ArtefactInvalid(folder, f"{ARRAYS} has {size} bytes; the limit is {max_bytes}")
    if size != stated.get("bytes"):
        raise ArtefactInvalid(folder, f"{ARRAYS} has {size} bytes, not {stated.get('bytes')}")
    raw = path.read_bytes()
    if sha256(raw).hexdigest() != stated.get("sha256"):
        raise ArtefactInvalid(folder, f"{ARRAYS} has another checksum than {MANIFEST} states")
    return raw


def _check_array(folder: Path, name: str, array: NDArray[Any], stated: object) -> None:
    real = {"dtype": array.dtype.name, "shape": list(array.shape), "sha256": _array_sum(array)}
    if real != stated or array.dtype.name not in _DTYPES:
        raise ArtefactInvalid(folder, f"array '{name}' is not what {MANIFEST} states")


def _meta(folder: Path, stated: Mapping[str, Any]) -> Meta:
    kinds = {
        "kind": str,
        "settings": dict,
        "seed": int,
        "data_fingerprint": str,
        "code_version": str,
        "created_at": str,
        "extra": dict,
    }
    if stated.keys() != kinds.keys() or any(
        not isinstance(stated[key], kind) for key, kind in kinds.items()
    ):
        raise ArtefactInvalid(folder, f"the meta data in {MANIFEST} are not {', '.join(kinds)}")
    return Meta(**stated)


def _array_sum(array: NDArray[Any]) -> str:
    return sha256(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data).hexdigest()


def _file_sum(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
