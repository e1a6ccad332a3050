"""Lists of texts as arrays, for artefacts."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from oferta.errors import ArtefactInvalid


def pack_texts(texts: pl.Series) -> dict[str, NDArray[Any]]:
    """Texts as their UTF-8 bytes in a row and the place where each one ends."""
    sizes = texts.str.len_bytes().to_numpy().astype(np.int64)
    raw = "".join(texts.to_list()).encode()
    return {"bytes": np.frombuffer(raw, np.uint8), "ends": np.cumsum(sizes)}


def unpack_texts(arrays: Mapping[str, NDArray[Any]], name: str) -> pl.Series:
    """The texts whose `pack_texts` this is, as a series called `name`.

    Raises:
        ArtefactInvalid: the bytes are not UTF-8, or the ends not within them and ascending.
    """
    raw, ends = arrays.get("bytes"), arrays.get("ends")
    if raw is None or ends is None or raw.dtype != np.uint8 or ends.dtype != np.int64:
        raise ArtefactInvalid("ids", "their bytes or ends are missing or of another type")
    whole = np.concatenate([np.zeros(1, np.int64), ends])
    if (np.diff(whole) < 0).any() or whole[-1] != len(raw):
        raise ArtefactInvalid("ids", "their ends do not fit their bytes")
    data = raw.tobytes()
    try:
        texts = [
            data[a:b].decode() for a, b in zip(whole[:-1].tolist(), ends.tolist(), strict=True)
        ]
    except UnicodeDecodeError:
        raise ArtefactInvalid("ids", "they are not UTF-8") from None
    return pl.Series(name, texts, dtype=pl.String)
