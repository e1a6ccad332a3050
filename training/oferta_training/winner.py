"""From the recipe that won to a registered version: fitted on everything, stored, tagged."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson
from numpy.random import default_rng

from oferta.evaluation.calibration import calibration_of
from oferta.events.dataset import Dataset
from oferta.models import catalog
from oferta.models.data import TrainingData
from oferta.models.propensity.propensity import Propensity
from oferta.models.propensity.stored import save_propensity
from oferta.models.protocol import Embeddings, FittedRecommender, Recommender
from oferta.models.saved import Origin, save
from oferta.progress import Progress
from oferta.scoring.calibration import CalibrationMap
from oferta_training import registry
from oferta_training.code import code_version
from oferta_training.job import Job
from oferta_training.registry import Version


@dataclass(frozen=True, slots=True, eq=False)
class Winner:
    """The best recipe, fitted on everything, with the vectors its version carries.

    `calibration` is None where the job asks for none, or the data can not be cut to fit one on.
    """

    name: str
    settings: Mapping[str, object]
    recipe: Recommender
    fitted: FittedRecommender
    embeddings: Embeddings
    calibration: CalibrationMap | None


def fit_on_everything(
    model: str,
    settings: Mapping[str, object],
    data: TrainingData,
    *,
    job: Job,
    progress: Progress,
) -> Winner:
    """The recipe fitted on all events, test window included; and vectors where it has none."""
    recipe = catalog.recipe(model, dict(settings))
    fitted = recipe.fit(data, rng=default_rng(job.seed), progress=progress)
    embeddings = fitted.embeddings()
    if embeddings is None:
        vectors = catalog.recipe(job.embedding.model, job.embedding.settings)
        embeddings = vectors.fit(data, rng=default_rng(job.seed), progress=progress).embeddings()
    if embeddings is None:
        raise ValueError(f"[embedding] model '{job.embedding.model}' has no vectors")
    calibration = None
    if job.calibration.method != "none":
        calibration = calibration_of(
            recipe,
            fitted,
            data,
            method=job.calibration.method,
            k=job.scores.top_n,
            seed=job.seed,
            progress=progress,
        )
    return Winner(model, settings, recipe, fitted, embeddings, calibration)


def register_winner(
    home: Path,
    run_id: str,
    winner: Winner,
    *,
    data: TrainingData,
    dataset: Dataset,
    job: Job,
    now: datetime,
    propensity: Propensity | None = None,
) -> Version:
    """Store the winner with the run and register it as a new version of the job's model.

    `propensity` states its chances, if something does.
    """
    last_us = data.events.last_us
    origin = Origin(
        seed=job.seed,
        data_fingerprint=dataset.fingerprint,
        code_version=code_version(),
        trained_at=now if last_us is None else datetime.fromtimestamp(last_us / 1e6, UTC),
        weighting=job.interactions,
    )
    facts = {
        "oferta.model": winner.name,
        "oferta.settings": orjson.dumps(dict(winner.settings)).decode(),
        "oferta.dataset": str(dataset.path.resolve()),
        "oferta.fingerprint": dataset.fingerprint,
    }
    with tempfile.TemporaryDirectory() as folder:
        artefact = Path(folder) / "artefact"
        save(
            artefact,
            winner.fitted,
            name=winner.name,
            recipe=winner.recipe,
            data=data,
            embeddings=winner.embeddings,
            calibration=winner.calibration,
            origin=origin,
        )
        chances = None
        if propensity is not None:
            chances = Path(folder) / "propensity"
            save_propensity(
                chances,
                propensity,
                seed=origin.seed,
                data_fingerprint=origin.data_fingerprint,
                code_version=origin.code_version,
                trained_at=origin.trained_at,
            )
        return registry.register(
            home, run_id=run_id, name=job.name, artefact=artefact, facts=facts, propensity=chances
        )
