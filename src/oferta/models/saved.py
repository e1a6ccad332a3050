"""A fitted model as a folder: with everything that is needed to score, serve and explain it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oferta.errors import ArtefactInvalid
from oferta.features.customers import CustomerFeatures
from oferta.interactions.histories import Histories
from oferta.interactions.idmap import IdMap
from oferta.interactions.texts import pack_texts, unpack_texts
from oferta.interactions.weighting import Weighting
from oferta.models.catalog import MODELS, recipe
from oferta.models.data import TrainingData
from oferta.models.protocol import Embeddings, FittedRecommender, Recommender
from oferta.scoring.artefact import Meta, read_artefact, write_artefact
from oferta.scoring.calibration import CalibrationMap
from oferta.scoring.live import LiveScorer
from oferta.scoring.packed import pack_live, unpack_live
from oferta.settings import Settings, parse

_MODEL, _LIVE, _EMBEDDINGS, _PAST = "model.", "live.", "embeddings.", "past."
_CALIBRATION = "calibration."
_OPTIONAL = ("features", "age_days", "count")  # of a past: not every data has them
_VECTORS = ("products", "cold", "precision", "alpha", "attributes")
_WEIGHTS = ("share", "weights", "base", "indptr", "indices", "data")
_OF_MODELS = (*_WEIGHTS, "customers", *_VECTORS)
_TREES = ("trees", "start", "flags", "order", "facts")
_TRAITS = ("trait_indptr", "trait_indices", "trait_data")
_ALLOWED = frozenset(
    {
        *(f"{_MODEL}{name}" for name in _OF_MODELS),
        *(f"{_MODEL}{part}.{name}" for part in MODELS for name in _OF_MODELS),
        f"{_MODEL}blend",
        *(f"{_CALIBRATION}{name}" for name in ("score", "value")),
        *(f"{_MODEL}{name}" for name in (*_TREES, *_TRAITS)),
        *(f"{_LIVE}{name}" for name in _VECTORS),
        *(f"{_LIVE}{name}" for name in ("indptr", "neighbour", "weight", "base", "step")),
        *(f"{_EMBEDDINGS}{name}" for name in ("customers", "products")),
        *(f"{_PAST}{name}" for name in ("indptr", "product", "weight", "recency", "segment")),
        *(f"{_PAST}{name}" for name in _OPTIONAL),
        *(f"{ids}.{part}" for ids in ("customers", "products") for part in ("bytes", "ends")),
    }
)
"""Every array that an artefact of any model may hold."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a fit comes from; all given by the caller.

    Attributes:
        seed: what the generator was made of.
        data_fingerprint: of the dataset.
        code_version: of the program.
        trained_at: aware, UTC.
        weighting: how events became the pasts it was fitted on.
    """

    seed: int
    data_fingerprint: str
    code_version: str
    trained_at: datetime
    weighting: Weighting


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """A fitted model with all that belongs to it.

    Attributes:
        name: of the model in the catalogue.
        recipe, fitted: the two halves of the model.
        live: its live scorer.
        embeddings: its vectors, or those of the embedding model that was fitted beside it.
        customers, products: the id maps of its rows.
        past: the training pasts, in the order of `customers`, `known` being the row.
        segments: labels of the segments; `past.segment` are positions in it.
        customer_features: what the codes in `past.features` mean; None where it took none.
        calibration: from the model's scores to chances; None where it was not calibrated.
        meta: where it comes from.
    """

    name: str
    recipe: Recommender
    fitted: FittedRecommender
    live: LiveScorer
    embeddings: Embeddings
    customers: IdMap
    products: IdMap
    past: Histories
    segments: tuple[str, ...]
    customer_features: CustomerFeatures | None
    calibration: CalibrationMap | None
    meta: Origin

    def histories(self, rows: NDArray[np.integer]) -> Histories:
        """The training pasts of `rows`; where a row is -1, of somebody of whom nothing is known."""
        nobody = len(self.past)
        extended = replace(
            self.past,
            indptr=np.append(self.past.indptr, self.past.indptr[-1]),
            known=np.append(self.past.known, np.int32(-1)),
            segment=np.append(self.past.segment, np.int32(-1)),
            features=None
            if self.past.features is None
            else np.vstack([self.past.features, np.full_like(self.past.features[:1], -1)]),
        )
        return extended.take(np.where(np.asarray(rows) < 0, nobody, rows))

    def recognise(self, data: TrainingData) -> Histories:
        """The pasts of `data` as this model knows them: its rows, its segments.

        `data` is of the same product map; its customers may be others. A customer whose past is the
        one trained on is known, anybody else is scored from the past itself.

        Raises:
            ArtefactInvalid: `data` has another product map.
        """
        if data.products.fingerprint != self.products.fingerprint:
            raise ArtefactInvalid("data to score", "its product rows are not those of the model")
        place = {label: code for code, label in enumerate(self.segments)}
        codes = np.array([place.get(label, -1) for label in data.segments] + [-1], np.int32)
        known = replace(
            data.histories,
            known=self.customers.rows(data.customers.ids),
            segment=codes[data.histories.segment],
        )
        return known.known_to(self.past)


def save(
    folder: Path,
    fitted: FittedRecommender,
    *,
    name: str,
    recipe: Recommender,
    data: TrainingData,
    embeddings: Embeddings | None = None,
    calibration: CalibrationMap | None = None,
    origin: Origin,
) -> None:
    """Write `fitted` as a new artefact folder.

    `embeddings` are those of the embedding model; None where the model has its own.

    Raises:
        ValueError: neither the model nor the caller has embeddings, or they fit other rows.
        FileExistsError: the folder is there already.
    """
    vectors = embeddings or fitted.embeddings()
    if vectors is None:
        raise ValueError(f"{name} has no embeddings of its own: pass those of an embedding model")
    rows = (len(data.customers), len(data.products))
    if (len(vectors.customers), len(vectors.products)) != rows:
        raise ValueError(f"the embeddings are not of these {rows} customers and products")
    past = data.histories
    arrays = {
        **_prefixed(_MODEL, fitted.arrays()),
        **_prefixed(_LIVE, pack_live(fitted.live_scorer())),
        f"{_EMBEDDINGS}customers": vectors.customers,
        f"{_EMBEDDINGS}products": vectors.products,
        f"{_PAST}indptr": past.indptr,
        f"{_PAST}product": past.product,
        f"{_PAST}weight": past.weight,
        f"{_PAST}recency": past.recency,
        f"{_PAST}segment": past.segment,
        **_prefixed(_PAST, _present(past)),
        **({} if calibration is None else _prefixed(_CALIBRATION, calibration.arrays())),
        **_prefixed("customers.", pack_texts(data.customers.ids)),
        **_prefixed("products.", pack_texts(data.products.ids)),
    }
    meta = Meta(
        kind=name,
        settings=_settings(recipe),
        seed=origin.seed,
        data_fingerprint=origin.data_fingerprint,
        code_version=origin.code_version,
        created_at=origin.trained_at.isoformat(),
        extra={
            "segments": list(data.segments),
            "weighting": origin.weighting.model_dump(mode="json"),
            "customer_features": None
            if data.customer_features is None
            else data.customer_features.as_json(),
        },
    )
    write_artefact(folder, arrays, meta)


def load(folder: Path) -> Loaded:
    """The model in `folder`, checked as a whole before any of it is used.

    Raises:
        ArtefactInvalid: something is missing, altered, or does not fit the rest.
        UnknownName: a model of a later version, which this catalogue does not have.
        ExtraMissing: the model's library is not installed.
    """
    artefact = read_artefact(folder, allowed=_ALLOWED)
    arrays, meta = artefact.arrays, artefact.meta
    try:
        made = recipe(meta.kind, meta.settings)
        customers = IdMap(unpack_texts(_part(arrays, "customers."), "id"))
        products = IdMap(unpack_texts(_part(arrays, "products."), "id"))
        past = Histories(
            indptr=arrays[f"{_PAST}indptr"],
            product=arrays[f"{_PAST}product"],
            weight=arrays[f"{_PAST}weight"],
            recency=arrays[f"{_PAST}recency"],
            known=np.arange(len(customers), dtype=np.int32),
            segment=arrays[f"{_PAST}segment"],
            **{name: arrays.get(f"{_PAST}{name}") for name in _OPTIONAL},
        )
        described = meta.extra.get("customer_features")
        chances = _part(arrays, _CALIBRATION)
        vectors = Embeddings(arrays[f"{_EMBEDDINGS}customers"], arrays[f"{_EMBEDDINGS}products"])
        loaded = Loaded(
            name=meta.kind,
            recipe=made,
            fitted=made.restore(_part(arrays, _MODEL)),
            live=unpack_live(_part(arrays, _LIVE)),
            embeddings=vectors,
            customers=customers,
            products=products,
            past=past,
            segments=tuple(str(label) for label in meta.extra["segments"]),
            customer_features=None if described is None else CustomerFeatures.from_json(described),
            calibration=CalibrationMap.restore(chances) if chances else None,
            meta=Origin(
                seed=meta.seed,
                data_fingerprint=meta.data_fingerprint,
                code_version=meta.code_version,
                trained_at=datetime.fromisoformat(meta.created_at),
                weighting=parse(meta.extra["weighting"], Weighting, place=folder),
            ),
        )
    except (KeyError, ValueError) as error:
        raise ArtefactInvalid(folder, f"the parts do not make a model ({error})") from None
    _check_rows(folder, loaded)
    return loaded


def _check_rows(folder: Path, loaded: Loaded) -> None:
    rows = (len(loaded.customers), len(loaded.products))
    vectors = loaded.embeddings
    if (len(vectors.customers), len(vectors.products)) != rows or len(loaded.past) != rows[0]:
        raise ArtefactInvalid(folder, "ids, pasts and embeddings are of different sizes")


def _present(past: Histories) -> dict[str, NDArray[Any]]:
    found = {name: getattr(past, name) for name in _OPTIONAL}
    return {name: array for name, array in found.items() if array is not None}


def _settings(recipe: Recommender) -> dict[str, Any]:
    if not isinstance(recipe, Settings):
        raise TypeError(f"{type(recipe).__name__} is no Settings")
    return recipe.model_dump(mode="json")


def _prefixed(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {f"{prefix}{name}": array for name, array in arrays.items()}


def _part(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    return {name[len(prefix) :]: one for name, one in arrays.items() if name.startswith(prefix)}
