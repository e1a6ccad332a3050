"""Reading a fitted model's arrays back with distrust."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from oferta.errors import ArtefactInvalid
from oferta.models.protocol import Arrays


def take_array(arrays: Arrays, name: str, dtype: DTypeLike, ndim: int) -> NDArray[Any]:
    """The array `name`, as it is.

    Raises:
        ArtefactInvalid: it is missing, of another dtype or another number of dimensions.
    """
    if name not in arrays:
        raise ArtefactInvalid("model arrays", f"'{name}' is missing")
    array = arrays[name]
    if array.dtype != np.dtype(dtype) or array.ndim != ndim:
        raise ArtefactInvalid(
            "model arrays",
            f"'{name}' is {array.ndim}-dimensional {array.dtype}, not {ndim}-dimensional "
            f"{np.dtype(dtype)}",
        )
    return array
