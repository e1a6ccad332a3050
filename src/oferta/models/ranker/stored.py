"""A ranker's own arrays: trees as bytes, and the tables beside them."""

from collections.abc import Mapping
from dataclasses import astuple, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from oferta.errors import ArtefactInvalid
from oferta.models.protocol import Arrays, FittedRecommender
from oferta.models.ranker.booster import Trees
from oferta.models.ranker.listed import Sorter
from oferta.models.ranker.pairs import PART_COLUMNS, ProductFacts
from oferta.models.ranker.profile import Known
from oferta.models.ranker.whole import Chooser
from oferta.scoring.stored import take_array

_TOLD = len(fields(Known))


def pack_chooser(chooser: Chooser) -> dict[str, NDArray[Any]]:
    """`start`, `trees`, and the numbers that say what is known."""
    return {
        "start": chooser.start,
        "trees": _text(chooser.trees),
        "flags": np.array([chooser.repeatable, *astuple(chooser.known)], np.int64),
    }


def unpack_chooser(arrays: Arrays) -> Chooser:
    """The chooser whose `pack_chooser` this is.

    Raises:
        ArtefactInvalid: an array is missing, of another type, or they do not fit together.
    """
    start = take_array(arrays, "start", np.float32, 2)
    repeatable, *told = _flags(arrays, 1 + _TOLD)
    known = _known(told)
    trees = _trees(arrays)
    if start.shape != (known.segments + 1, known.products):
        raise ArtefactInvalid("model arrays", "'start' is of other products or segments")
    if trees is not None and trees.classes != known.products:
        raise ArtefactInvalid("model arrays", "'trees' are of other products")
    return Chooser(start, trees, known, bool(repeatable))


def pack_sorter(sorter: Sorter) -> dict[str, NDArray[Any]]:
    """`trees`, `facts`, traits, what is known, and the parts in order of their names."""
    names = sorted(sorter.parts)
    packed: dict[str, NDArray[Any]] = {
        "trees": _text(sorter.trees),
        "facts": sorter.facts.columns,
        "flags": np.array([sorter.n, sorter.repeatable, *astuple(sorter.known)], np.int64),
        "order": np.array([names.index(name) for name in sorter.parts], np.int64),
    }
    traits = sorter.facts.traits
    if traits is not None:
        packed |= {
            "trait_indptr": traits.indptr.astype(np.int64),
            "trait_indices": traits.indices.astype(np.int32),
            "trait_data": traits.data,
        }
    return packed


def unpack_sorter(arrays: Arrays, parts: Mapping[str, FittedRecommender]) -> Sorter:
    """The sorter of `parts` whose `pack_sorter` this is.

    Raises:
        ArtefactInvalid: an array is missing, of another type, or they do not fit together.
    """
    n, repeatable, *told = _flags(arrays, 2 + _TOLD)
    order = take_array(arrays, "order", np.int64, 1)
    names = sorted(parts)
    if sorted(order.tolist()) != list(range(len(names))) or not names:
        raise ArtefactInvalid("model arrays", "'order' is not one of the parts that are there")
    facts = ProductFacts(take_array(arrays, "facts", np.float32, 2), _traits(arrays))
    trees = _trees(arrays)
    if trees is not None and trees.columns < PART_COLUMNS * len(names):
        raise ArtefactInvalid("model arrays", "'trees' are of fewer parts")
    return Sorter(
        parts={names[place]: parts[names[place]] for place in order.tolist()},
        trees=trees,
        facts=facts,
        n=n,
        known=_known(told),
        repeatable=bool(repeatable),
    )


def _known(told: list[int]) -> Known:
    products, segments, attributes, codes, ordered, aged = told
    return Known(products, segments, attributes, codes, bool(ordered), bool(aged))


def _traits(arrays: Arrays) -> csr_array | None:
    if "trait_indptr" not in arrays:
        return None
    indptr = take_array(arrays, "trait_indptr", np.int64, 1)
    indices = take_array(arrays, "trait_indices", np.int32, 1)
    data = take_array(arrays, "trait_data", np.float32, 1)
    rows = len(take_array(arrays, "facts", np.float32, 2))
    if len(indptr) != rows + 1 or indptr[-1] != len(indices) or len(indices) != len(data):
        raise ArtefactInvalid("model arrays", "the products' traits do not fit together")
    width = int(indices.max(initial=-1)) + 1
    return csr_array((data, indices, indptr), shape=(rows, width))


def _flags(arrays: Arrays, count: int) -> list[int]:
    flags = take_array(arrays, "flags", np.int64, 1)
    if len(flags) != count:
        raise ArtefactInvalid("model arrays", f"'flags' are not {count}")
    return [int(one) for one in flags]


def _text(trees: Trees | None) -> NDArray[np.uint8]:
    return np.zeros(0, np.uint8) if trees is None else trees.text


def _trees(arrays: Arrays) -> Trees | None:
    text = take_array(arrays, "trees", np.uint8, 1)
    return Trees.restore(text) if len(text) else None
