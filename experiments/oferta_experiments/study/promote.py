"""From a study's variant to the champion: guards, a fit on everything, the registry."""

from dataclasses import dataclass, replace
from typing import Any

import polars as pl
from numpy.random import default_rng

from oferta.clock import Clock
from oferta.errors import ExtraMissing, PromotionRefused, SettingsInvalid
from oferta.evaluation.evaluate import evaluate
from oferta.evaluation.limits import Limits
from oferta.evaluation.scorecard import Scorecard
from oferta.events.dataset import Dataset
from oferta.models.memory import available_bytes
from oferta.privacy.credit import sells_credit
from oferta.settings import parse
from oferta_experiments.study.finished import interval, reliability
from oferta_experiments.study.judging import card_of, chosen_recipe
from oferta_experiments.study.made import made_now
from oferta_experiments.study.parts import told_of
from oferta_experiments.study.result import StudyResult
from oferta_experiments.study.run import Place
from oferta_experiments.study.runs import STUDY
from oferta_experiments.study.spec import StudySpec
from oferta_experiments.study.state import Done, State, open_state
from oferta_training import registry, tracking
from oferta_training.champions import champions_card
from oferta_training.code import code_version
from oferta_training.data import job_data
from oferta_training.facts import Facts
from oferta_training.gate import decide
from oferta_training.job import Job
from oferta_training.promotions import promote, refuse
from oferta_training.registry import Version
from oferta_training.verdict import Verdict, unjudged
from oferta_training.winner import fit_on_everything, register_winner

BY = "oferta study promote"
_STATED_ELSEWHERE = (
    "weighting",
    "segments",
    "segment_customers",
    "customer_features",
    "product_features",
    "allow_protected",
    "exposure",
    "calibrate",
)
"""Choices of a protocol that a job states in sections of their own."""


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
    state, done = _judged(spec, name, dataset, result=result, place=place)
    asked = job_of_variant(spec, name, done, job)
    champion = registry.champion(place.home, job.name)
    verdict = _verdict(spec, done, dataset, state=state, job=asked, champion=champion, place=place)
    if not verdict.promoted:
        refuse(
            place.home,
            f"{job.name} ({name})",
            verdict,
            dataset=dataset.fingerprint,
            clock=clock,
            by=f"{BY} {place.name}",
        )
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
        card = stored_card(done)
        means = {metric: one.mean for metric, one in card.metrics.items()}
        tracking.log_metrics(tracker, run_id, means)
        data = job_data(dataset, asked)
        model, settings = done.found.model, dict(card.settings)
        winner = fit_on_everything(model, settings, data, job=asked, progress=place.progress)
        version = register_winner(
            place.home, run_id, winner, data=data, dataset=dataset, job=asked, now=clock.now()
        )
        verdict = promote(
            place.home, version, verdict, over=champion, clock=clock, by=f"{BY} {place.name}"
        )
    if not verdict.promoted:
        raise PromotionRefused(
            f"'{name}', registered as {version.label},", verdict.failing, verdict.because
        )
    return Promoted(name, version, verdict)


def _judged(
    spec: StudySpec, name: str, dataset: Dataset, *, result: StudyResult, place: Place
) -> tuple[State, Done]:
    """What the study, as it is now, found of the variant with the code and libraries of now."""
    state, _ = open_state(place.home, place.name, spec, dataset.fingerprint)
    shown = next((one for one in result.variants if one.name == name), None)
    left = next((one for one in result.left if one.variant == name), None)
    if left is not None:
        raise SettingsInvalid(place.folder, [f"'{name}' has no figures: it {left.why}"])
    done = state.read(shown.key) if shown is not None and shown.key else None
    told = told_of(spec, name)
    if (
        done is None
        or result.made.get("state") != state.key
        or {key: done.found.asked.get(key) for key in told} != told
    ):
        raise SettingsInvalid(
            place.folder,
            ["this study, as it is now, has not been run on this data: `oferta study run` first"],
        )
    differing = done.found.made.unlike(made_now())
    if differing:
        problem = f"'{name}' was judged by {differing}: `oferta study run --anew` first"
        raise SettingsInvalid(place.folder, [problem])
    return state, done


def job_of_variant(spec: StudySpec, name: str, done: Done, job: Job) -> Job:
    """The job that trains what the study judged: `job` with the variant's model and inputs.

    Raises:
        SettingsInvalid: what the job says of policy does not agree with how it was judged, or
            anything else of the job with the study.
    """
    protocol = spec.variant(name).protocol(spec.protocol)
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
        "calibration": {"method": protocol.calibrate},
        "evaluation": protocol.model_dump(exclude={"candidates", *_STATED_ELSEWHERE}),
        "gate": spec.guards.model_dump(),
        "models": {done.found.model: dict(stored_card(done).settings)},
    }
    kept = job.model_dump(exclude=set(changed))
    return parse({**kept, **changed}, Job, place="job")


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
    ours, theirs = stored_card(done), None
    if champion is not None:
        found = champions_card(
            place.home,
            champion,
            dataset,
            asked=spec.protocol,
            rows_digest=str(rows["digest"][0]),
            limits=Limits(spec.budget.minutes * 60, available_bytes(), place.timer),
            progress=place.progress,
        )
        if isinstance(found, str):
            return unjudged(f"the champion {found}")
        theirs = found
        if spec.guards.cost.factor is not None:  # seconds of two occasions say nothing
            again = _card(spec, dataset, done, place=place)
            if isinstance(again, str):
                return unjudged(f"'{done.found.name}' could not be fitted again: it {again}")
            ours = replace(ours, fit_s=again.fit_s, recommend_s=again.recommend_s)
    customers = dataset.customers().with_columns(pl.col("customer_id").cast(pl.String))
    facts = Facts(
        metric=spec.protocol.ordering,
        customer_id=rows["customer_id"],
        past=rows["past"].to_numpy(),
        customers=customers.collect(),
        protected=done.found.findings(),
        credit=sells_credit(dataset.products().collect(), stated=job.policy.credit),
    )
    return decide(
        ours,
        theirs,
        facts=facts,
        guards=spec.guards,
        rng=default_rng(spec.protocol.seed),
    )


def _card(spec: StudySpec, dataset: Dataset, done: Done, *, place: Place) -> Scorecard | str:
    """The variant fitted and judged once more, as the champion just was, or why it was not."""
    name = done.found.name
    try:
        recipe = chosen_recipe(done)
    except ExtraMissing as error:
        return str(error)
    found = evaluate(
        dataset,
        {name: recipe},
        protocol=spec.variant(name).protocol(spec.protocol),
        limits=Limits(spec.budget.minutes * 60, available_bytes(), place.timer),
        progress=place.progress,
        twins=False,
    )
    return card_of(found, name) or found.skipped[0].why


def stored_card(done: Done) -> Scorecard:
    """The scorecard that was stored."""
    card = done.found.card
    if card is None:
        raise ValueError(f"'{done.found.name}' has no figures")
    return Scorecard(
        model=done.found.name,
        settings=card.settings,
        customers=card.customers,
        rows=card.rows,
        fit_s=card.fit_s,
        recommend_s=card.recommend_s,
        metrics={name: interval(one) for name, one in card.metrics.items()},
        folds=card.folds,
        values=done.values,
        calibration=reliability(card.calibration),
    )
