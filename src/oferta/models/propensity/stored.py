"""What states chances as a folder beside its model's."""

from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from oferta.errors import ArtefactInvalid
from oferta.models.propensity.columns import OF_A_PAIR, Described
from oferta.models.propensity.facts import FactCoding
from oferta.models.propensity.propensity import Propensity
from oferta.models.ranker.booster import Trees
from oferta.scoring.artefact import Meta, read_artefact, write_artefact
from oferta.scoring.stored import take_array

_KIND: Final = "propensity"
_ARRAYS: Final = frozenset({"trees", "category", "price"})


def save_propensity(
    folder: Path,
    propensity: Propensity,
    *,
    seed: int,
    data_fingerprint: str,
    code_version: str,
    trained_at: datetime,
) -> None:
    """Write it as a new artefact folder.

    Raises:
        FileExistsError: the folder is there already.
    """
    arrays: dict[str, NDArray[Any]] = {
        "trees": propensity.trees.text,
        "category": propensity.described.category,
        "price": propensity.described.price,
    }
    extra = {
        "coding": propensity.coding.as_json(),
        "horizon_days": propensity.horizon_days,
        "line": list(propensity.line),
    }
    meta = Meta(_KIND, {}, seed, data_fingerprint, code_version, trained_at.isoformat(), extra)
    write_artefact(folder, arrays, meta)


def load_propensity(folder: Path, *, products: int) -> Propensity:
    """What `save_propensity` wrote, of a model with so many products.

    Raises:
        ArtefactInvalid: something is missing, altered, or does not fit the model.
    """
    artefact = read_artefact(folder, allowed=_ARRAYS)
    arrays, meta = artefact.arrays, artefact.meta
    if meta.kind != _KIND:
        raise ArtefactInvalid(folder, f"it is a {meta.kind}, not a {_KIND}")
    described = Described(
        take_array(arrays, "category", np.int32, 1), take_array(arrays, "price", np.float32, 1)
    )
    trees = Trees.restore(take_array(arrays, "trees", np.uint8, 1))
    try:
        coding = FactCoding.of_json(meta.extra["coding"])
        horizon = float(meta.extra["horizon_days"])
        slope, offset = map(float, meta.extra["line"])
    except (KeyError, TypeError, ValueError) as error:
        raise ArtefactInvalid(folder, f"its description cannot be read ({error})") from None
    fits = trees.columns == len(OF_A_PAIR) + len(coding.names)
    if not fits or {len(described.category), len(described.price)} != {products}:
        raise ArtefactInvalid(folder, "its arrays are of other products or columns")
    if products and int(described.category.min()) < 0:
        raise ArtefactInvalid(folder, "a product has no category")
    return Propensity(trees, described, coding, horizon, (slope, offset))
