"""A training run: compare models, register the best, let the gate decide if it goes live."""

import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import monotonic

import orjson
from numpy.random import default_rng

from oferta.clock import Clock
from oferta.errors import NothingFitted
from oferta.evaluation.evaluate import evaluate
from oferta.evaluation.intervals import Interval
from oferta.evaluation.limits import Limits
from oferta.evaluation.scorecard import Evaluation, Scorecard, Skipped
from oferta.events.dataset import Dataset
from oferta.models.memory import available_bytes
from oferta.privacy.credit import sells_credit
from oferta.progress import Progress
from oferta.scoring.erasing import scrub_models
from oferta.store.forgotten import forgotten_now
from oferta_training import plots, registry, tracking
from oferta_training.champions import champions_card
from oferta_training.code import code_version
from oferta_training.data import job_data
from oferta_training.facts import Facts
from oferta_training.gate import decide
from oferta_training.job import Job
from oferta_training.promotions import promote
from oferta_training.propensity import Learned, learn_propensity
from oferta_training.refused import Refusers, refusers
from oferta_training.registry import CHAMPION, Version
from oferta_training.verdict import Verdict, unjudged
from oferta_training.winner import fit_on_everything, register_winner


@dataclass(frozen=True, slots=True)
class Trained:
    """What a run came to.

    Attributes:
        learned: what became of `[propensity]`; None where the job asks for none.
        refusing: who refused training, and was left out.
    """

    version: Version
    evaluation: Evaluation
    best: Scorecard
    verdict: Verdict
    run_id: str
    refusing: Refusers
    learned: Learned | None = None


def train(dataset: Dataset, job: Job, *, home: Path, clock: Clock, progress: Progress) -> Trained:
    """Run the job on the dataset.

    Killed at any point, nothing that was live has changed: the alias moves last.

    Raises:
        SplitRefused, UnknownName, SettingsInvalid: the job does not fit the data.
        ProtectedAttribute: the job uses one without a reason.
        ModelTooLarge: the winner would not fit into memory on all the data.
        LedgerUnavailable: nobody can say who refused training.
        RefusersLearnedFrom: they are in the data all the same.
    """
    refusing = refusers(dataset, home, "training", needed=job.policy.consent == "ledger")
    dataset = dataset.without(refusing.customer_ids)
    experiment = tracking.experiment(home, f"oferta/{job.name}")
    tags = {
        "oferta.dataset": str(dataset.path),
        "oferta.fingerprint": dataset.fingerprint,
        "oferta.code": code_version(),
        "oferta.consent.excluded": str(len(refusing.customer_ids)),
        "oferta.consent.ledger": refusing.ledger or "none",
    }
    with tracking.run(home, experiment_id=experiment, name=job.name, tags=tags) as run_id:
        _log_inputs(home, run_id, dataset, job)
        champion = registry.champion(home, job.name)
        evaluation = evaluate(
            dataset,
            job.recipes(),
            protocol=job.evaluation,
            limits=_limits(job),
            progress=progress,
            tune=job.tuning.settings,
        )
        refusing.check(evaluation.customer_id)
        best = _best(evaluation, job)
        theirs = None
        if champion is not None:
            theirs = champions_card(
                home,
                champion,
                dataset,
                asked=job.evaluation,
                rows_digest=evaluation.rows_digest,
                limits=_limits(job),
                progress=progress,
            )
            evaluation = _beside(evaluation, theirs)
        _log_comparison(home, run_id, experiment, evaluation, best=best)
        _log_protected(home, run_id, evaluation)
        data = job_data(dataset, job)
        refusing.check(data.customers.ids)
        winner = fit_on_everything(best.model, best.settings, data, job=job, progress=progress)
        learned = _learned(dataset, job, best, progress)
        if learned is not None:
            _log_propensity(home, run_id, learned)
        version = register_winner(
            home,
            run_id,
            winner,
            data=data,
            dataset=dataset,
            job=job,
            now=clock.now(),
            propensity=None if learned is None else learned.propensity,
        )
        # After it was stored: an erasure that was written down since then finds it there by itself.
        scrub_models(home, forgotten_now(home))
        facts = Facts.of(
            evaluation,
            dataset.customers().collect(),
            credit=sells_credit(dataset.products().collect(), stated=job.policy.credit),
        )
        if isinstance(theirs, str):
            verdict = unjudged(f"the champion {theirs}")
        else:
            verdict = decide(best, theirs, facts=facts, guards=job.gate, rng=default_rng(job.seed))
        verdict = promote(home, version, verdict, over=champion, clock=clock, by="oferta train")
    return Trained(version, evaluation, best, verdict, run_id, refusing, learned)


def _learned(dataset: Dataset, job: Job, best: Scorecard, progress: Progress) -> Learned | None:
    if not job.propensity.learn:
        return None
    return learn_propensity(
        dataset, job, model=best.model, settings=best.settings, progress=progress
    )


def _limits(job: Job) -> Limits:
    return Limits(job.tuning.budget_minutes * 60, available_bytes(), monotonic)


def _best(evaluation: Evaluation, job: Job) -> Scorecard:
    """The best of the job's own models; ties go to the one listed first.

    A twin without features, shown beside its model, is none of them.

    Raises:
        NothingFitted: none of them could be fitted.
    """
    for card in evaluation.results:
        if card.model in job.models:
            return card
    raise NothingFitted((one.model, one.why) for one in evaluation.skipped)


def _beside(evaluation: Evaluation, theirs: Scorecard | str) -> Evaluation:
    """The evaluation with the champion among the results, or why it is not."""
    if isinstance(theirs, str):
        return replace(evaluation, skipped=(*evaluation.skipped, Skipped(CHAMPION, theirs)))
    metric = evaluation.protocol.ordering
    cards = sorted((*evaluation.results, theirs), key=lambda card: -card.metrics[metric].mean)
    return replace(evaluation, results=tuple(cards))


def _log_inputs(home: Path, run_id: str, dataset: Dataset, job: Job) -> None:
    tracker = tracking.client(home)
    resolved = job.model_dump(mode="json")
    tracking.log_params(
        tracker,
        run_id,
        {**resolved, "dataset": {"path": dataset.path, "fingerprint": dataset.fingerprint}},
    )
    tracking.log_json(tracker, run_id, "job.json", resolved)


def _log_comparison(
    home: Path, run_id: str, experiment: str, evaluation: Evaluation, *, best: Scorecard
) -> None:
    """Figures of the best with the run, one child run per model, the tables and the plots."""
    tracker = tracking.client(home)
    metric = evaluation.protocol.ordering
    tracking.log_metrics(tracker, run_id, _means(best.metrics))
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


def _log_propensity(home: Path, run_id: str, learned: Learned) -> None:
    """What chances were worth in the newest window."""
    tracker = tracking.client(home)
    judged = learned.judged
    said = {"why_not": learned.why_not, "judged": None if judged is None else judged.as_json()}
    tracking.log_json(tracker, run_id, "propensity.json", said)
    if judged is not None:
        figures = {"log_loss": judged.trees.log_loss, "base_log_loss": judged.base.log_loss}
        figures["ece"] = judged.trees.ece
        metrics = {f"propensity_{name}": value for name, value in figures.items()}
        tracking.log_metrics(tracker, run_id, metrics)


def _log_protected(home: Path, run_id: str, evaluation: Evaluation) -> None:
    """Which protected attributes models may have used, and why: `oferta.protected`."""
    if evaluation.protected:
        said = orjson.dumps([asdict(one) for one in evaluation.protected]).decode()
        tracking.client(home).set_tag(run_id, "oferta.protected", said)


def _means(metrics: Mapping[str, Interval]) -> dict[str, float]:
    return {name: interval.mean for name, interval in metrics.items()}
