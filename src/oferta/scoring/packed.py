"""Live scorers as named arrays, and back."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oferta.errors import ArtefactInvalid
from oferta.scoring.fold_in import FoldIn
from oferta.scoring.live import EmbeddingScorer, LiveScorer, NeighbourScorer
from oferta.scoring.stored import take_array

_NUMBERS = ("alpha", "implied", "ridge")  # of a fold-in, in the order in which they are stored

Named = Mapping[str, NDArray[Any]]


def pack_live(scorer: LiveScorer) -> dict[str, NDArray[Any]]:
    """The scorer's arrays by name; numbers become arrays of one."""
    told = {} if scorer.attributes is None else {"attributes": scorer.attributes}
    if isinstance(scorer, NeighbourScorer):
        return {
            **told,
            "indptr": scorer.indptr,
            "neighbour": scorer.neighbour,
            "weight": scorer.weight,
            "base": scorer.base,
            "step": np.array([scorer.step_decay, scorer.binary], np.float64),
        }
    packed = {**told, "products": scorer.products, "cold": scorer.cold}
    if scorer.fold_in is None:
        return packed
    return {
        **packed,
        "precision": scorer.fold_in.precision,
        "alpha": np.array([getattr(scorer.fold_in, name) for name in _NUMBERS], np.float64),
    }


def unpack_live(arrays: Named) -> LiveScorer:
    """The scorer whose `pack_live` this is.

    Raises:
        ArtefactInvalid: arrays are missing, of other types, or do not fit together.
    """
    return _neighbours(arrays) if "neighbour" in arrays else _embeddings(arrays)


def _neighbours(arrays: Named) -> NeighbourScorer:
    step = take_array(arrays, "step", np.float64, 1)
    if len(step) != len(("decay", "binary")):
        raise ArtefactInvalid("live scorer", "its two numbers are not two")
    scorer = NeighbourScorer(
        indptr=take_array(arrays, "indptr", np.int64, 1),
        neighbour=take_array(arrays, "neighbour", np.int32, 1),
        weight=take_array(arrays, "weight", np.float32, 1),
        base=take_array(arrays, "base", np.float32, 2),
        step_decay=float(step[0]),
        binary=bool(step[1]),
        attributes=_attributes(arrays),
    )
    width, entries = scorer.base.shape[1], len(scorer.neighbour)
    fits = (
        len(scorer.indptr) == width + 1
        and (scorer.attributes is None or scorer.attributes.shape[1] == width)
        and scorer.indptr[0] == 0
        and scorer.indptr[-1] == entries == len(scorer.weight)
        and bool((np.diff(scorer.indptr) >= 0).all())
        and (not entries or (scorer.neighbour.min() >= 0 and scorer.neighbour.max() < width))
    )
    if not fits:
        raise ArtefactInvalid("live scorer", "its arrays do not fit together")
    return scorer


def _embeddings(arrays: Named) -> EmbeddingScorer:
    products = take_array(arrays, "products", np.float32, 2)
    cold = take_array(arrays, "cold", np.float32, 2)
    width = products.shape[1]
    fold_in = None
    if "precision" in arrays:
        precision = take_array(arrays, "precision", np.float32, 2)
        numbers = take_array(arrays, "alpha", np.float64, 1)
        if not 1 <= len(numbers) <= len(_NUMBERS):
            raise ArtefactInvalid("live scorer", "its fold-in has too many numbers, or none")
        fold_in = FoldIn(precision, *(float(number) for number in numbers))
        if precision.shape != (width, width):
            raise ArtefactInvalid("live scorer", "its fold-in is of another width")
    attributes = _attributes(arrays)
    lengths = {cold.shape[1], width if attributes is None else attributes.shape[1]}
    if lengths != {width}:
        raise ArtefactInvalid("live scorer", "its vectors are of different lengths")
    return EmbeddingScorer(products, cold, fold_in, attributes)


def _attributes(arrays: Named) -> NDArray[np.float32] | None:
    return take_array(arrays, "attributes", np.float32, 2) if "attributes" in arrays else None
