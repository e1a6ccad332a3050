"""Rows of a ragged array, picked without a loop."""

import numpy as np
from numpy.typing import NDArray


def indices_of_ranges(
    starts: NDArray[np.integer], counts: NDArray[np.integer]
) -> NDArray[np.int64]:
    """The indices `start, start + 1, ...` of all ranges, one range after another; int64."""
    shift = np.repeat(starts - (np.cumsum(counts) - counts), counts)
    indices: NDArray[np.int64] = np.arange(len(shift), dtype=np.int64) + shift
    return indices
