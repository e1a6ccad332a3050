"""From a study's variant to the champion: guards, a fit on everything, the registry."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import polars as pl
from numpy.random import default_rng

from oferta.clock import Clock
from oferta.errors import ExtraMissing, PromotionRefused, SettingsInvalid
from oferta.evaluation.calibration import Bin, Reliability
from oferta.evaluation.evaluate import evaluate
from oferta.evaluation.intervals import Interval
from oferta.evaluation.limits import Limits
from oferta.evaluation.protocol import Protocol
from oferta.evaluation.scorecard import Scorecard
from oferta.events.dataset import Dataset
from oferta.models import catalog
from oferta.models.memory import available_bytes
from oferta.privacy.credit import sells_credit
from oferta.privacy.findings import Finding
from oferta_experiments.study.judging import check_rows, rows_of
from oferta_experiments.study.result import StudyResult
from oferta_experiments.study.run import Place
from oferta_experiments.study.runs import STUDY
from oferta_experiments.study.spec import StudySpec
from oferta_experiments.study.state import Done, State, open_state
from oferta_training import registry, tracking
from oferta_training.code import code_version
from oferta_training.data import job_data
from oferta_training.facts import Facts
from oferta_training.gate import decide
from oferta_training.job import Job
from oferta_training.promotions import promote
from oferta_training.registry import CHAMPION, Version
from oferta_training.verdict import Verdict, unjudged
from oferta_training.winner import fit_on_everything, register_winner

BY = "oferta study promote"


@dataclass(frozen=True, slots=True)
class Promoted:
    """What came of it."""

    variant: str
    version: Version
    verdict: Verdict


def promote_variant(
    spec: StudySpec,
    name: str,
    dataset: Dataset,
    *,
    result: StudyResult,
    job: Job,
    place: Place,
    clock: Clock,
) -> Promoted:
    """Make the variant `name` champion of the job's model, where the study's guards let it.

    The guards look at the values that the study stored, against the champion's recipe on the same
    test rows, fitted as the champion's own job says. Then the variant is fitted on all data and
    registered like any winner of a job: `job` says everything but the model.

    Raises:
        SettingsInvalid: the study was not run as it is now.
        PromotionRefused: a guard failed; nothing was registered.
    """
    if spec.candidates:
        problem = "it ranked given candidates: how a model ranks all products was not judged"
        raise SettingsInvalid(place.folder, [problem])
    state, _ = open_state(place.home, place.name, spec, dataset.fingerprint)
    if not state.has(name) or result.made.get("state") != state.key:
        raise SettingsInvalid(
            place.folder,
            ["this study, as it is now, has not been run on this data: `oferta study run` first"],
        )
    done = state.read(name)
    if not done.facts.get("card"):
        raise SettingsInvalid(place.folder, [f"'{name}' has no figures: it {done.facts['why']}"])
    asked = job_of_variant(spec, name, done, job)
    champion = registry.champion(place.home, job.name)
    verdict = _verdict(spec, done, dataset, state=state, job=asked, champion=champion, place=place)
    if not verdict.promoted:
        raise PromotionRefused(f"'{name}'", verdict.failing, verdict.because)
    experiment = tracking.experiment(place.home, f"oferta/{job.name}")
    tags = {
        STUDY: place.name,
        "oferta.variant": name,
        "oferta.study_run": str(result.run_id),
        "oferta.dataset": str(dataset.path),
        "oferta.fingerprint": dataset.fingerprint,
        "oferta.code": code_version(),
    }
    with tracking.run(
        place.home, experiment_id=experiment, name=f"{job.name}: {name}", tags=tags
    ) as run_id:
        tracker = tracking.client(place.home)
        resolved = asked.model_dump(mode="json")
        tracking.log_params(tracker, run_id, resolved)
        tracking.log_json(tracker, run_id, "job.json", resolved)
        means = {metric: one["mean"] for metric, one in done.facts["card"]["metrics"].items()}
        tracking.log_metrics(tracker, run_id, means)
        data = job_data(dataset, asked)
        model = spec.variant(name).model
        settings = done.facts["card"]["settings"]
        winner = fit_on_everything(model, settings, data, job=asked, progress=place.progress)
        version = register_winner(
            place.home, run_id, winner, data=data, dataset=dataset, job=asked, now=clock.now()
        )
        verdict = promote(
            place.home, version, verdict, over=champion, clock=clock, by=f"{BY} {place.name}"
        )
    if not verdict.promoted:
        raise PromotionRefused(f"'{name}'", verdict.failing, verdict.because)
    return Promoted(name, version, verdict)


def job_of_variant(spec: StudySpec, name: str, done: Done, job: Job) -> Job:
    """The job that trains what the study judged: `job` with the variant's model and inputs.

    Raises:
        SettingsInvalid: what the job says of policy does not agree with how it was judged.
    """
    protocol = spec.variant(name).protocol(spec.evaluation)
    if job.policy.repeatable != protocol.keep_seen:
        problem = (
            f"policy.repeatable is {str(job.policy.repeatable).lower()} and the study judged with "
            f"keep_seen = {str(protocol.keep_seen).lower()}: give a --job that agrees"
        )
        raise SettingsInvalid("job", [problem])
    changed: dict[str, Any] = {
        "seed": protocol.seed,
        "interactions": protocol.weighting,
        "segments": {"by": protocol.segments, "min_customers": protocol.segment_customers},
        "features": {
            "customers": protocol.customer_features,
            "products": protocol.product_features,
        },
        "policy": {**job.policy.model_dump(), "allow_protected": protocol.allow_protected},
        "evaluation": protocol.model_dump(exclude={"candidates"}),
        "gate": {**spec.guards.model_dump()},
        "models": {spec.variant(name).model: done.facts["card"]["settings"]},
    }
    kept = job.model_dump(exclude=set(changed))
    return Job.model_validate({**kept, **changed})


def _verdict(
    spec: StudySpec,
    done: Done,
    dataset: Dataset,
    *,
    state: State,
    job: Job,
    champion: Version | None,
    place: Place,
) -> Verdict:
    rows = state.rows()
    if rows is None:
        raise SettingsInvalid(state.folder, ["the test rows are not there: run the study again"])
    theirs: Scorecard | None = None
    if champion is not None:
        found = _champions_card(spec, dataset, champion, state=state, place=place)
        if isinstance(found, str):
            return unjudged(f"the champion {champion.label} could not be judged: it {found}")
        theirs = found
    customers = dataset.customers().with_columns(pl.col("customer_id").cast(pl.String))
    facts = Facts(
        metric=spec.evaluation.ordering,
        customer_id=rows["customer_id"],
        past=rows["past"].to_numpy(),
        customers=customers.collect(),
        protected=tuple(Finding(**one) for one in done.facts["protected"]),
        credit=sells_credit(dataset.products().collect(), stated=job.policy.credit),
    )
    return decide(
        stored_card(done),
        theirs,
        facts=facts,
        guards=spec.guards,
        rng=default_rng(spec.evaluation.seed),
    )


def _champions_card(
    spec: StudySpec, dataset: Dataset, champion: Version, *, state: State, place: Place
) -> Scorecard | str:
    """The champion's recipe on the study's test rows, or why it could not be judged."""
    job = registry.job_of(place.home, champion)
    try:
        recipe = catalog.recipe(champion.model, orjson.loads(champion.settings))
    except ExtraMissing as error:
        return str(error)
    found = evaluate(
        dataset,
        {CHAMPION: recipe},
        protocol=_as_learnt(spec.evaluation, job.evaluation),
        limits=Limits(spec.budget.minutes * 60, available_bytes(), place.timer),
        progress=place.progress,
    )
    if not found.results:
        return found.skipped[0].why
    check_rows(state, f"the champion {champion.label}", rows_of(found))
    return found.results[0]


def _as_learnt(asked: Protocol, own: Protocol) -> Protocol:
    """What is asked as in the study, what is learnt from as in the champion's job."""
    return asked.model_copy(
        update={
            name: getattr(own, name)
            for name in (
                "weighting",
                "segments",
                "segment_customers",
                "customer_features",
                "product_features",
                "allow_protected",
            )
        }
    )


def stored_card(done: Done) -> Scorecard:
    """The scorecard that was stored."""
    card: Mapping[str, Any] = done.facts["card"]
    stated = card.get("calibration")
    bins = () if stated is None else tuple(Bin(**one) for one in stated["bins"])
    return Scorecard(
        model=card["model"],
        settings=card["settings"],
        customers=card["customers"],
        rows=card["rows"],
        fit_s=card["fit_s"],
        recommend_s=card["recommend_s"],
        metrics={name: Interval(**one) for name, one in card["metrics"].items()},
        folds=tuple(card["folds"]),
        values=done.values,
        calibration=None if stated is None else Reliability(**{**stated, "bins": bins}),
    )
