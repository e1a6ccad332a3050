"""A study from its file to its result: variants judged, compared, answered, reported."""

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from oferta.errors import ExtraMissing
from oferta.evaluation.candidates import read_candidates
from oferta.evaluation.limits import Timer
from oferta.events.dataset import Dataset
from oferta.models.data import DataShape
from oferta.models.protocol import Composite, Recommender
from oferta.progress import Progress
from oferta_experiments.study import compare
from oferta_experiments.study.answer import answer, not_tested
from oferta_experiments.study.judging import Bench, chosen_recipe, judge_variant
from oferta_experiments.study.learning import learning_curves
from oferta_experiments.study.report import write_report
from oferta_experiments.study.result import (
    Calibration,
    Figure,
    Left,
    StudyResult,
    Trial,
    Variant,
)
from oferta_experiments.study.runs import STUDY, open_runs
from oferta_experiments.study.slices import check_segments, groups_of
from oferta_experiments.study.spec import FILE, StudySpec
from oferta_experiments.study.state import Done, fingerprint, open_state
from oferta_experiments.study.trials import Journal
from oferta_training.code import code_version
from oferta_training.facts import Facts

RESULT = "result.json"
_LIBRARIES = ("numpy", "scipy", "polars", "implicit", "optuna", "mlflow")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a study reads and writes.

    Attributes:
        folder: the study's own.
        home: the state folder.
        timer: measures what is spent.
        say: told what a person should know while it runs.
    """

    folder: Path
    home: Path
    timer: Timer
    progress: Progress
    say: Say

    @property
    def name(self) -> str:
        """The study's name: its folder's."""
        return self.folder.resolve().name


def run_study(spec: StudySpec, dataset: Dataset, *, place: Place) -> StudyResult:
    """Judge what is not judged yet, compare all, write `result.json` and the reports.

    Stopped at any point, also by a kill, the same call goes on where it stopped and gives what an
    undisturbed one would have: finished variants and trials are read, not made again.

    Raises:
        UnknownName: a segment that the customers do not have.
        SplitRefused, SettingsInvalid: the study does not fit the data.
    """
    check_segments(spec.report_by, dataset.customers())
    file = spec.candidates_file(place.folder)
    candidates = None if file is None else read_candidates(file)
    content = fingerprint(dataset, candidates)
    state, changed = open_state(place.home, place.name, spec, content)
    done = [one.name for one in spec.variants if state.has(one.name)]
    if done:
        place.say(f"Going on: {len(done)} of {len(spec.variants)} variants are done already.")
    elif changed:
        place.say("study.toml or the data changed since the last run: everything starts anew.")
    runs = open_runs(place.home, state.key)
    tags = {
        STUDY: place.name,
        "oferta.kind": "study",
        "oferta.question": spec.question,
        "oferta.dataset": spec.dataset,
        "oferta.fingerprint": dataset.fingerprint,
        "oferta.code": code_version(),
    }
    with runs.open(place.name, part="study", tags=tags) as parent:
        bench = Bench(
            name=place.name,
            spec=spec,
            dataset=dataset,
            candidates=candidates,
            state=state,
            runs=runs,
            parent=parent,
            journal=Journal(state.trials, place.name, runs),
            timer=place.timer,
            progress=place.progress,
        )
        runs.params(parent, _params(spec))
        _judge_all(bench)
        result = make_result(bench, place)
        _write(bench, place, result)
    return result


def make_result(bench: Bench, place: Place) -> StudyResult:
    """The result of a study whose variants are all judged; fits only what the curve lacks."""
    spec, state = bench.spec, bench.state
    done = {one.name: state.read(one.name) for one in spec.variants}
    judged = {name: one for name, one in done.items() if one.facts.get("card")}
    metric = spec.evaluation.ordering
    values = {name: one.values[metric] for name, one in judged.items()}
    left = tuple(
        Left(variant=n, why=one.facts["why"]) for n, one in done.items() if n not in judged
    )
    rows = state.rows()
    rows = pl.DataFrame({"customer_id": [], "past": []}) if rows is None else rows
    facts = Facts(metric, rows["customer_id"], rows["past"].to_numpy(), _customers(bench, rows))
    customer = facts.customer if judged else np.zeros(0, np.int32)
    groups = groups_of(facts, spec.report_by, min_customers=spec.segment_customers) if judged else []
    asked: dict[str, Any] = {"baseline": spec.reference, "customer": customer}
    seed = spec.evaluation.seed
    differences = compare.differences(values, **asked, seed=seed)
    slices = compare.segments(values, groups, **asked, seed=seed)
    curves = learning_curves(bench, judged, values)
    variants = [
        _variant(spec, name, one).model_copy(
            update={"segments": slices[name], "learning": curves.get(name, ())}
        )
        for name, one in judged.items()
    ]
    variants.sort(key=lambda one: -one.metrics[metric].mean)
    ranked = bench.candidates is not None
    asked_of_all = spec.evaluation.model_copy(update={"candidates": ranked})
    counts = next(iter(judged.values())).facts["counts"] if judged else {}
    return StudyResult(
        name=bench.name,
        question=spec.question,
        answer=answer(variants, differences, metric=metric, baseline=spec.reference),
        metric=metric,
        baseline=spec.reference,
        dataset=spec.dataset,
        fingerprint=bench.dataset.fingerprint,
        facts=_sizes(bench.dataset, rows, counts),
        protocol=asked_of_all.as_json(),
        sentence=asked_of_all.sentence(),
        variants=tuple(variants),
        differences=differences,
        left=left,
        not_tested=not_tested(
            spec,
            variants=variants,
            left=left,
            test_rows=len(rows),
            customers=rows["customer_id"].n_unique(),
        ),
        made=_made(bench, place, done),
        run_id=bench.parent,
    )


def _judge_all(bench: Bench) -> None:
    """Cheap variants first, so that what they leave of the budget is for the others."""
    spec, state = bench.spec, bench.state
    ordered = _ordered(spec, bench.dataset)
    parts: dict[str, Recommender] = {}
    left = [name for name in ordered if not state.has(name)]
    with bench.progress.task(f"{bench.name}: variants", total=len(ordered)) as advance:
        for name in ordered:
            if name in left:
                done = judge_variant(bench, name, sharing=len(left), parts=parts)
                left.remove(name)
            else:
                done = state.read(name)
            if done.facts.get("card"):
                # A composite takes its parts from the first variant of each model.
                parts.setdefault(spec.variant(name).model, chosen_recipe(spec, name, done))
            advance(1)


def _ordered(spec: StudySpec, dataset: Dataset) -> list[str]:
    """The variants from cheap to dear by what they declare; those made of others last."""
    size = {table: _count(dataset, table) for table in ("customers", "products", "events")}
    shape = DataShape(size["customers"], size["products"], size["events"], size["events"])

    def cost(name: str) -> tuple[bool, float]:
        try:
            recipe = spec.recipe(name)
        except ExtraMissing:
            return False, 0.0
        return isinstance(recipe, Composite), recipe.cost(shape).seconds

    return sorted((one.name for one in spec.variants), key=cost)


def _variant(spec: StudySpec, name: str, done: Done) -> Variant:
    card, stated = done.facts["card"], done.facts["calibration"]
    return Variant(
        name=name,
        model=spec.variant(name).model,
        settings=card["settings"],
        stated=spec.variant(name).beyond(),
        metrics={metric: Figure.model_validate(one) for metric, one in card["metrics"].items()},
        fit_s=card["fit_s"],
        recommend_s=card["recommend_s"],
        calibration=None if stated is None else Calibration.model_validate(stated),
        trials=tuple(Trial.model_validate(one) for one in done.facts["trials"]),
        run_id=done.facts["run_id"],
    )


def _customers(bench: Bench, rows: pl.DataFrame) -> pl.DataFrame:
    asked = rows["customer_id"].cast(pl.String).unique().implode()
    customers = bench.dataset.customers().with_columns(pl.col("customer_id").cast(pl.String))
    return customers.filter(pl.col("customer_id").is_in(asked)).collect()


def _sizes(dataset: Dataset, rows: pl.DataFrame, counts: dict[str, int]) -> dict[str, int]:
    named = {
        "train": "events to learn from",
        "test_pairs": "products to foresee",
        "dropped_seen": "test products left out because they were had before",
        "cold": "cold customers",
        "left_out": "events in no part",
    }
    return {
        **{table: _count(dataset, table) for table in ("customers", "products", "events")},
        "test rows": len(rows),
        "test customers": rows["customer_id"].n_unique(),
        **{said: counts[name] for name, said in named.items() if counts.get(name)},
    }


def _count(dataset: Dataset, table: str) -> int:
    frame: pl.LazyFrame = getattr(dataset, table)()
    return int(frame.select(pl.len()).collect().item())


def _made(bench: Bench, place: Place, done: dict[str, Done]) -> dict[str, Any]:
    folder = f"studies/{bench.name}" if place.folder.is_absolute() else str(place.folder)
    return {
        "seed": bench.spec.evaluation.seed,
        "code": code_version(),
        "python": platform.python_version(),
        **{name: version(name) for name in _LIBRARIES},
        "processors": os.cpu_count(),
        "seconds": round(sum(one.facts["seconds"] for one in done.values()), 1),
        "state": bench.state.key,
        "commands": [f"oferta study run {folder}", f"oferta study report {folder}"],
    }


def _params(spec: StudySpec) -> dict[str, Any]:
    asked = spec.model_dump(mode="json", exclude={"variants", "question"})
    return {**asked, "variants": ", ".join(one.name for one in spec.variants)}


def _write(bench: Bench, place: Place, result: StudyResult) -> None:
    path = place.folder / RESULT
    result.write(path)
    page, text = write_report(result, place.folder)
    best = next(iter(result.variants), None)
    if best is not None:
        means = {name: one.mean for name, one in best.metrics.items()}
        bench.runs.metrics(bench.parent, {**means, "seconds": result.made["seconds"]})
        bench.runs.tags(bench.parent, {"oferta.best": best.name})
    bench.runs.tags(bench.parent, {"oferta.answer": result.answer})
    for file in (place.folder / FILE, path, page, text):
        bench.runs.file(bench.parent, file)
