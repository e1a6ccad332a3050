"""A training run: compare models, register the best, let the gate decide if it goes live."""

import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic

import orjson
from numpy.random import default_rng

from oferta.clock import Clock
from oferta.errors import ExtraMissing, NothingFitted
from oferta.evaluation.evaluate import evaluate
from oferta.evaluation.intervals import Interval
from oferta.evaluation.limits import Limits
from oferta.evaluation.scorecard import Evaluation, Scorecard
from oferta.events.dataset import Dataset
from oferta.models import catalog
from oferta.models.memory import available_bytes
from oferta.privacy.credit import sells_credit
from oferta.progress import Progress
from oferta_training import plots, registry, tracking
from oferta_training.code import code_version
from oferta_training.data import job_data
from oferta_training.facts import Facts
from oferta_training.gate import decide
from oferta_training.job import Job
from oferta_training.promotions import promote
from oferta_training.registry import Version
from oferta_training.verdict import Verdict, unjudged
from oferta_training.winner import fit_on_everything, register_winner

_CHAMPION_ENTRY = "champion"
"""Under which name the champion's recipe takes part in the comparison."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What a run came to."""

    version: Version
    evaluation: Evaluation
    best: Scorecard
    verdict: Verdict
    run_id: str


def train(dataset: Dataset, job: Job, *, home: Path, clock: Clock, progress: Progress) -> Trained:
    """Run the job on the dataset.

    Killed at any point, nothing that was live has changed: the alias moves last.

    Raises:
        SplitRefused, UnknownName, SettingsInvalid: the job does not fit the data.
        ProtectedAttribute: the job uses one without a reason.
        ModelTooLarge: the winner would not fit into memory on all the data.
    """
    experiment = tracking.experiment(home, f"oferta/{job.name}")
    tags = {
        "oferta.dataset": str(dataset.path),
        "oferta.fingerprint": dataset.fingerprint,
        "oferta.code": code_version(),
    }
    with tracking.run(home, experiment_id=experiment, name=job.name, tags=tags) as run_id:
        _log_inputs(home, run_id, dataset, job)
        champion = registry.champion(home, job.name)
        evaluation = _compare(dataset, job, champion, progress)
        _log_comparison(home, run_id, experiment, evaluation)
        _log_protected(home, run_id, evaluation)
        best = _best(evaluation)
        data = job_data(dataset, job)
        winner = fit_on_everything(best.model, best.settings, data, job=job, progress=progress)
        version = register_winner(
            home, run_id, winner, data=data, dataset=dataset, job=job, now=clock.now()
        )
        facts = Facts.of(
            evaluation,
            dataset.customers().collect(),
            credit=sells_credit(dataset.products().collect(), stated=job.policy.credit),
        )
        verdict = _judge(evaluation, best, champion, facts=facts, job=job)
        verdict = promote(home, version, verdict, over=champion, clock=clock, by="oferta train")
    return Trained(version, evaluation, best, verdict, run_id)


def _compare(
    dataset: Dataset, job: Job, champion: Version | None, progress: Progress
) -> Evaluation:
    """All of the job's models, and the champion's recipe, on the same split.

    The recipe, not the stored arrays: those may have been fitted on the very rows tested now.
    """
    recipes = job.recipes()
    if champion is not None:
        with suppress(ExtraMissing):  # then the champion is not judged, and stays
            recipes[_CHAMPION_ENTRY] = catalog.recipe(
                champion.model, orjson.loads(champion.settings)
            )
    return evaluate(
        dataset,
        recipes,
        protocol=job.evaluation,
        limits=Limits(job.tuning.budget_minutes * 60, available_bytes(), monotonic),
        progress=progress,
        tune=job.tuning.settings,
    )


def _best(evaluation: Evaluation) -> Scorecard:
    """The best of the job's own models; ties go to the one listed first.

    Raises:
        NothingFitted: only the champion's recipe could be fitted.
    """
    for card in evaluation.results:
        if card.model != _CHAMPION_ENTRY:
            return card
    raise NothingFitted((one.model, one.why) for one in evaluation.skipped)


def _judge(
    evaluation: Evaluation, best: Scorecard, champion: Version | None, *, facts: Facts, job: Job
) -> Verdict:
    """Whether `best` may replace `champion`: one that could not be judged is not replaced."""
    judged = {card.model: card for card in evaluation.results}
    if champion is not None and _CHAMPION_ENTRY not in judged:
        why = {one.model: one.why for one in evaluation.skipped}.get(
            _CHAMPION_ENTRY, "needs a library that is not installed"
        )
        return unjudged(f"the champion {champion.label} could not be judged: it {why}")
    return decide(
        best,
        judged[_CHAMPION_ENTRY] if champion is not None else None,
        facts=facts,
        guards=job.gate,
        rng=default_rng(job.seed),
    )


def _log_inputs(home: Path, run_id: str, dataset: Dataset, job: Job) -> None:
    tracker = tracking.client(home)
    resolved = job.model_dump(mode="json")
    tracking.log_params(
        tracker,
        run_id,
        {**resolved, "dataset": {"path": dataset.path, "fingerprint": dataset.fingerprint}},
    )
    tracking.log_json(tracker, run_id, "job.json", resolved)


def _log_comparison(home: Path, run_id: str, experiment: str, evaluation: Evaluation) -> None:
    """Figures of the best with the run, one child run per model, the tables and the plots."""
    tracker = tracking.client(home)
    metric = evaluation.protocol.ordering
    tracking.log_metrics(tracker, run_id, _means(_best(evaluation).metrics))
    tracking.log_json(tracker, run_id, "evaluation.json", evaluation.as_json(run_id))
    for card in evaluation.results:
        with tracking.run(
            home, experiment_id=experiment, name=card.model, tags={}, parent=run_id
        ) as child:
            tracking.log_params(tracker, child, card.settings)
            seconds = {"fit_s": card.fit_s, "recommend_s": card.recommend_s}
            tracking.log_metrics(tracker, child, {**_means(card.metrics), **seconds})
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "comparison.png"
        cards = {card.model: card for card in evaluation.results}
        plots.comparison({m: card.metrics[metric] for m, card in cards.items()}, metric, picture)
        tracker.log_artifact(run_id, str(picture))
        picture = Path(folder) / "quality_and_cost.png"
        plots.quality_and_cost(
            {
                model: (card.fit_s + card.recommend_s, card.metrics[metric].mean)
                for model, card in cards.items()
            },
            metric,
            picture,
        )
        tracker.log_artifact(run_id, str(picture))


def _log_protected(home: Path, run_id: str, evaluation: Evaluation) -> None:
    """Which protected attributes models may have used, and why: `oferta.protected`."""
    if evaluation.protected:
        said = orjson.dumps([asdict(one) for one in evaluation.protected]).decode()
        tracking.client(home).set_tag(run_id, "oferta.protected", said)


def _means(metrics: Mapping[str, Interval]) -> dict[str, float]:
    return {name: interval.mean for name, interval in metrics.items()}
