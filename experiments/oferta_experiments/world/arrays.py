"""The array types of the world. A row is a customer of the chunk at hand."""

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Reals = NDArray[np.float64]
Tastes = NDArray[np.float32]
Flags = NDArray[np.bool_]
