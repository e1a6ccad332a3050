"""Reading stored arrays back with distrust."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from oferta.errors import ArtefactInvalid


def take_array(
    arrays: Mapping[str, NDArray[Any]], name: str, dtype: DTypeLike, ndim: int
) -> NDArray[Any]:
    """The array `name`, as it is.

    Raises:
        ArtefactInvalid: it is missing, of another dtype or another number of dimensions.
    """
    if name not in arrays:
        raise ArtefactInvalid("stored arrays", f"'{name}' is missing")
    array = arrays[name]
    if array.dtype != np.dtype(dtype) or array.ndim != ndim:
        raise ArtefactInvalid(
            "stored arrays",
            f"'{name}' is {array.ndim}-dimensional {array.dtype}, not {ndim}-dimensional "
            f"{np.dtype(dtype)}",
        )
    return array
