"""A study from its file to its result: variants judged, compared, answered, reported."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl

from oferta.errors import SettingsInvalid
from oferta.evaluation.candidates import read_candidates
from oferta.evaluation.limits import Timer
from oferta.events.dataset import Dataset
from oferta.progress import Progress
from oferta_experiments.study import compare
from oferta_experiments.study.answer import answer, not_tested
from oferta_experiments.study.files import locked
from oferta_experiments.study.judge_all import (
    Sizes,
    judge_all,
    kept_variants,
    ordered_variants,
    sizes_of,
    undated_share,
)
from oferta_experiments.study.judging import Bench
from oferta_experiments.study.learning import learning_curves
from oferta_experiments.study.made import Made, made_now
from oferta_experiments.study.report.page import write_report
from oferta_experiments.study.result import Calibration, Left, StudyResult, Variant
from oferta_experiments.study.runs import STUDY, open_runs
from oferta_experiments.study.slices import check_segments, groups_of
from oferta_experiments.study.spec import FILE, StudySpec
from oferta_experiments.study.state import Done, fingerprint, open_state
from oferta_experiments.study.trials import Journal
from oferta_training.facts import Facts

RESULT = "result.json"

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


def run_study(
    spec: StudySpec, dataset: Dataset, *, place: Place, anew: bool = False
) -> StudyResult:
    """Judge what is not judged yet, compare all, write `result.json` and the reports.

    Stopped at any point, also by a kill, the same call goes on where it stopped and gives what an
    undisturbed one would have: finished variants and trials are read, not made again. With `anew`
    those are judged again that other code or other libraries judged.

    Raises:
        UnknownName: a segment that the customers do not have.
        SplitRefused, SettingsInvalid: the study does not fit the data, or it is being run already.
    """
    check_segments(spec.report_by, dataset.customers())
    file = spec.candidates_file(place.folder)
    candidates = None if file is None else read_candidates(file)
    with _alone(place):
        state, changed = open_state(place.home, place.name, spec, fingerprint(dataset, candidates))
        made, sizes = made_now(), sizes_of(dataset)
        ordered = ordered_variants(spec, sizes)
        kept = kept_variants(spec, ordered, state, made=made, anew=anew)
        if kept:
            place.say(f"Going on: {len(kept)} of {len(ordered)} variants are done already.")
        elif changed:
            place.say(
                "The evaluation or the data changed since the last run: everything starts anew."
            )
        for said in _made_otherwise(kept, made):
            place.say(f"{said}: `oferta study run --anew` judges it again.")
        runs = open_runs(place.home, state.key)
        with runs.open(place.name, part="study", tags=_tags(spec, dataset, place, made)) as parent:
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
                made=made,
            )
            runs.params(parent, _params(spec))
            done = judge_all(bench, ordered, anew=anew)
            result = make_result(bench, place, done, sizes)
            _write(bench, place, result)
    return result


def make_result(bench: Bench, place: Place, done: Mapping[str, Done], sizes: Sizes) -> StudyResult:
    """The result of a study whose variants are all `done`; fits only what the curve lacks."""
    spec, state = bench.spec, bench.state
    done = {one.name: done[one.name] for one in spec.variants}
    judged = {name: one for name, one in done.items() if one.found.card is not None}
    metric, seed = spec.protocol.ordering, spec.protocol.seed
    values = {name: one.values[metric] for name, one in judged.items()}
    left = tuple(
        Left(variant=n, why=str(one.found.why)) for n, one in done.items() if n not in judged
    )
    rows = state.rows()
    rows = pl.DataFrame({"customer_id": [], "past": []}) if rows is None else rows
    facts = Facts(metric, rows["customer_id"], rows["past"].to_numpy(), _customers(bench))
    customer = facts.customer if judged else np.zeros(0, np.int32)
    groups = (
        groups_of(facts, spec.report_by, min_customers=spec.segment_customers) if judged else []
    )
    differences = compare.differences(values, baseline=spec.reference, customer=customer, seed=seed)
    slices = compare.segments(values, groups, baseline=spec.reference, customer=customer, seed=seed)
    curves = learning_curves(bench, judged, values)
    variants = [
        _variant(spec, one).model_copy(
            update={"segments": slices[name], "learning": curves.get(name, ())}
        )
        for name, one in judged.items()
    ]
    variants.sort(key=lambda one: -one.metrics[metric].mean)
    ranked = bench.candidates is not None
    asked_of_all = spec.protocol.model_copy(update={"candidates": ranked})
    counts = next(iter(judged.values())).found.counts if judged else {}
    untested = not_tested(
        spec,
        variants=variants,
        left=left,
        test_rows=len(rows),
        customers=rows["customer_id"].n_unique(),
        undated=undated_share(bench.dataset),
    )
    return StudyResult(
        name=bench.name,
        question=spec.question,
        answer=answer(variants, differences, metric=metric, baseline=spec.reference),
        metric=metric,
        baseline=spec.reference,
        dataset=spec.dataset,
        fingerprint=bench.dataset.fingerprint,
        facts=_facts(sizes, rows, counts, folds=spec.protocol.folds),
        protocol=asked_of_all.as_json(),
        sentence=asked_of_all.sentence(),
        variants=tuple(variants),
        differences=differences,
        left=left,
        not_tested=(*untested, *(f"{said}." for said in _made_otherwise(judged, bench.made))),
        made=_made(bench, place, done),
        run_id=bench.parent,
    )


@contextmanager
def _alone(place: Place) -> Iterator[None]:
    """One run of a study at a time: two would judge the same and write the same files."""
    try:
        with locked(place.home / "studies" / f"{place.name}.lock", wait=False):
            yield
    except BlockingIOError:
        problem = "this study is being run by another process: wait for it, or stop that one"
        raise SettingsInvalid(place.folder, [problem]) from None


def _made_otherwise(done: Mapping[str, Done], made: Made) -> list[str]:
    return [
        f"{name} was judged by {differing}"
        for name, one in done.items()
        if (differing := one.found.made.unlike(made))
    ]


def _variant(spec: StudySpec, done: Done) -> Variant:
    found = done.found
    if found.card is None:
        raise ValueError(f"'{found.name}' has no figures")
    stated = found.card.calibration
    return Variant(
        name=found.name,
        model=found.model,
        settings=found.card.settings,
        stated=spec.variant(found.name).beyond(),
        metrics=found.card.metrics,
        fit_s=found.card.fit_s,
        recommend_s=found.card.recommend_s,
        calibration=None
        if stated is None
        else Calibration(ece=stated.ece, brier=stated.brier, bins=stated.bins),
        trials=found.trials,
        parts=found.parts,
        key=done.slot,
        run_id=found.run_id,
    )


def _customers(bench: Bench) -> pl.DataFrame:
    """All of them: groups are cut as guards cut them."""
    return bench.dataset.customers().with_columns(pl.col("customer_id").cast(pl.String)).collect()


def _facts(
    sizes: Sizes, rows: pl.DataFrame, counts: Mapping[str, int], *, folds: int
) -> dict[str, int]:
    named = {
        "train": "events to learn from",
        "test_pairs": "products to foresee",
        "dropped_seen": "test products left out because they were had before",
        "left_out": "events in no part",
    }
    several = f", over {folds} folds" if folds > 1 else ""
    cold = rows.filter(pl.col("past") == 0)["customer_id"].n_unique()
    return {
        **sizes,
        f"test rows{several}": len(rows),
        "test customers": rows["customer_id"].n_unique(),
        **({"cold customers": cold} if cold else {}),
        **{f"{said}{several}": counts[name] for name, said in named.items() if counts.get(name)},
    }


def _made(bench: Bench, place: Place, done: Mapping[str, Done]) -> dict[str, Any]:
    folder = f"studies/{bench.name}" if place.folder.is_absolute() else str(place.folder)
    makes = [one.found.made for one in done.values()]
    libraries = dict.fromkeys(name for one in makes for name in one.libraries)
    told = {
        "code": [one.code for one in makes],
        "python": [one.python for one in makes],
        **{name: [one.libraries.get(name, "none") for one in makes] for name in libraries},
    }
    return {
        "seed": bench.spec.protocol.seed,
        **{name: ", ".join(dict.fromkeys(versions)) for name, versions in told.items()},
        "mlflow": version("mlflow"),
        "processors": os.cpu_count(),
        "seconds": round(sum(bench.seconds.values()), 3),
        "state": bench.state.key,
        "commands": [f"oferta study run {folder}", f"oferta study report {folder}"],
    }


def _tags(spec: StudySpec, dataset: Dataset, place: Place, made: Made) -> dict[str, str]:
    """What may change while the study stays: the rest are parameters."""
    return {
        STUDY: place.name,
        "oferta.kind": "study",
        "oferta.question": spec.question,
        "oferta.dataset": spec.dataset,
        "oferta.fingerprint": dataset.fingerprint,
        "oferta.code": made.code,
        "oferta.baseline": spec.reference,
        "oferta.variants": ", ".join(one.name for one in spec.variants)[:4000],
        "oferta.guards": orjson.dumps(
            spec.guards.model_dump(mode="json", exclude_defaults=True)
        ).decode()[:4000],
    }


def _params(spec: StudySpec) -> dict[str, Any]:
    return {"dataset": spec.dataset, "evaluation": spec.protocol.model_dump(mode="json")}


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
