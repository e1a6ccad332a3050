"""How unlike the products of a list are: by hand, against a brute force, within its memory."""

import numpy as np
import pytest
from numpy.random import default_rng
from numpy.typing import NDArray
from scipy.sparse import csr_array

from oferta.evaluation import diversity as module
from oferta.evaluation.diversity import diversity

# Four customers, five products; nobody has product 4.
HAS = csr_array(
    np.array(
        [
            [1, 1, 0, 1, 0],
            [1, 1, 0, 0, 0],
            [0, 1, 3, 0, 0],
            [0, 1, 2, 0, 0],
        ],
        np.float32,
    )
)


def test_by_hand():
    """0: 2 holders, 1: 4, 2: 2, 3: 1. Both: 0-1 2, 0-2 none, 1-2 2, 0-3 1, 1-3 1."""
    lists = np.array([[0, 1, 2], [0, 3, -1], [4, 0, -1], [1, -1, -1], [-1, -1, -1]], np.int32)
    zero_one, one_two = 2 / np.sqrt(2 * 4), 2 / np.sqrt(4 * 2)
    found = diversity(lists, HAS, k=(3, 2))
    assert found[3].tolist() == pytest.approx(
        [1 - (zero_one + 0 + one_two) / 3, 1 - 1 / np.sqrt(2), 1, 0, 0]
    )
    assert found[2].tolist() == pytest.approx([1 - zero_one, 1 - 1 / np.sqrt(2), 1, 0, 0])


def brute_force(lists: NDArray[np.int32], has: NDArray[np.bool_], k: int) -> list[float]:
    found = []
    for row in lists:
        chosen = [product for product in row[:k] if product >= 0]
        alike = []
        for place, one in enumerate(chosen):
            for other in chosen[:place]:
                both = (has[:, one] & has[:, other]).sum()
                norm = np.sqrt(has[:, one].sum() * has[:, other].sum())
                alike.append(both / norm if norm else 0.0)
        found.append(1 - float(np.mean(alike)) if alike else 0.0)
    return found


@pytest.mark.parametrize("density", [0.03, 0.6], ids=["sparse", "dense"])
@pytest.mark.parametrize("cells", [50, 10**6], ids=["many blocks", "one block"])
def test_it_is_exact_however_it_is_cut_into_blocks(
    density: float, cells: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "_CELLS", cells)
    monkeypatch.setattr(module, "_GATHERED", cells)
    rng = default_rng(4)
    has = rng.random((90, 37)) < density
    lists = np.stack([rng.permutation(37)[:8] for _ in range(60)]).astype(np.int32)
    for row in range(0, 60, 3):
        lists[row, rng.integers(0, 8) :] = -1
    found = diversity(lists, csr_array(has.astype(np.float32)), k=(8, 3))
    for k in (8, 3):
        assert found[k] == pytest.approx(brute_force(lists, has, k), abs=1e-6)
