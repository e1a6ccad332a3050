"""One variant judged: its search, its fit, its figures; stored, shown in MLflow, read again."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from oferta.errors import ExtraMissing, RowsDiffer
from oferta.evaluation.calibration import Reliability
from oferta.evaluation.evaluate import evaluate
from oferta.evaluation.limits import Limits, Timer
from oferta.evaluation.protocol import Protocol
from oferta.evaluation.scorecard import Evaluation, Scorecard
from oferta.evaluation.search import difference
from oferta.events.dataset import Dataset
from oferta.models.catalog import recipe
from oferta.models.memory import available_bytes
from oferta.models.protocol import Recommender
from oferta.progress import Progress
from oferta_experiments.study.result import Bin, Calibration
from oferta_experiments.study.runs import STUDY, Runs
from oferta_experiments.study.spec import StudySpec
from oferta_experiments.study.state import Done, State
from oferta_experiments.study.trials import Journal, trials_of


@dataclass(frozen=True, slots=True)
class Bench:
    """What all variants of one run of a study share.

    Attributes:
        name: the study's.
        spec: what is asked.
        dataset: the data.
        candidates: what alone is ranked; None: every product.
        state: what is done so far.
        runs: where runs go; `parent` is the study's own.
        journal: of the searches' trials.
        timer: measures what is spent.
    """

    name: str
    spec: StudySpec
    dataset: Dataset
    candidates: pl.DataFrame | None
    state: State
    runs: Runs
    parent: str
    journal: Journal
    timer: Timer
    progress: Progress

    def spent(self) -> float:
        """Seconds that finished variants took, in this run or one before."""
        return sum(
            float(self.state.read(one.name).facts["seconds"])
            for one in self.spec.variants
            if self.state.has(one.name)
        )

    def limits(self, *, sharing: int = 1) -> Limits:
        """What may still be spent, by one of `sharing` variants that are left."""
        return Limits(
            self.spec.budget.minutes * 60,
            available_bytes(),
            self.timer,
            part=1 / sharing,
            spent=self.spent(),
        )


def judge_variant(
    bench: Bench, name: str, *, sharing: int, parts: Mapping[str, Recommender]
) -> Done:
    """Judge the variant `name` and store what was found; `parts` are settings chosen before.

    Raises:
        RowsDiffer: it was not tested on the rows that the variants before it were.
    """
    variant = bench.spec.variant(name)
    tags = {STUDY: bench.name, "oferta.variant": name, "oferta.kind": "variant"}
    tags["oferta.model"] = variant.model
    begun = bench.timer()
    with bench.runs.open(name, part=name, tags=tags, parent=bench.parent) as run_id:
        bench.journal.parents[name] = run_id
        found: Evaluation | None = None
        why = None
        try:
            found = evaluate(
                bench.dataset,
                {name: bench.spec.recipe(name)},
                protocol=variant.protocol(bench.spec.evaluation),
                limits=bench.limits(sharing=sharing),
                progress=bench.progress,
                candidates=bench.candidates,
                tune=bench.spec.budget.settings if bench.spec.search else 0,
                trials=bench.journal,
                parts=parts,
            )
        except ExtraMissing as error:
            why = str(error)
        card = found.results[0] if found is not None and found.results else None
        if found is not None and card is None:
            why = found.skipped[0].why
        facts: dict[str, Any] = {"run_id": run_id, "why": why}
        if found is not None:
            check_rows(bench.state, name, rows_of(found))
            facts |= _facts(found, card, variant.model)
        recalled = sum(one["seconds"] for one in facts.get("trials", ()))
        facts["seconds"] = max(bench.timer() - begun, recalled)
        if card is not None:
            _show(bench.runs, run_id, variant.protocol(bench.spec.evaluation), card, facts)
        else:
            bench.runs.tags(run_id, {"oferta.left": str(why)})
    bench.state.keep(name, facts, None if card is None else card.values)
    return bench.state.read(name)


def check_rows(state: State, name: str, rows: pl.DataFrame) -> None:
    """Keep the test rows, or find that they are those that are kept.

    Raises:
        RowsDiffer: they are others.
    """
    kept = state.rows()
    if kept is None:
        state.keep_rows(rows)
    elif kept["digest"][0] != rows["digest"][0]:
        raise RowsDiffer(name)


def chosen_recipe(spec: StudySpec, name: str, done: Done) -> Recommender:
    """The recipe that was used on the test."""
    return recipe(spec.variant(name).model, done.facts["card"]["settings"])


def rows_of(found: Evaluation) -> pl.DataFrame:
    """The test rows of an evaluation: `customer_id`, `past`, and what tells them from others."""
    return pl.DataFrame(
        {
            "customer_id": found.customer_id.cast(pl.String),
            "past": found.past,
            "digest": [found.rows_digest] * len(found.past),
        }
    )


def _facts(found: Evaluation, card: Scorecard | None, model: str) -> dict[str, Any]:
    trials = [one.model_dump(mode="json") for one in trials_of(found.tuning)]
    facts: dict[str, Any] = {
        "counts": dict(found.counts),
        "target": list(found.target),
        "learners": found.learners,
        "protected": [asdict(one) for one in found.protected],
        "trials": trials,
        "validation": None if found.tuning is None else found.tuning["validation"],
    }
    if card is not None:
        facts["differing"] = difference(recipe(model), recipe(model, card.settings))
        stated = card.calibration
        facts["card"] = card.as_json()
        facts["calibration"] = None if stated is None else _calibration(stated).model_dump()
    return facts


def _calibration(stated: Reliability) -> Calibration:
    bins = tuple(Bin(stated=b.stated, observed=b.observed, count=b.count) for b in stated.bins)
    return Calibration(ece=stated.ece, brier=stated.brier, bins=bins)


def _show(
    runs: Runs, run_id: str, protocol: Protocol, card: Scorecard, facts: Mapping[str, Any]
) -> None:
    """Settings, figures and seconds with the variant's run."""
    own = {"weighting": protocol.weighting.model_dump(mode="json"), "segments": protocol.segments}
    differing = ", ".join(f"{name}={value}" for name, value in facts["differing"].items())
    runs.params(run_id, {"differing": differing or "none", **card.settings, **own})
    means = {name: found.mean for name, found in card.metrics.items()}
    seconds = {"fit_s": card.fit_s, "recommend_s": card.recommend_s}
    stated = {} if card.calibration is None else {"ece": card.calibration.ece}
    runs.metrics(run_id, {**means, **seconds, **stated})
    runs.json(run_id, "variant.json", facts)
