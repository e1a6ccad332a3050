"""One variant judged: its search, its fit, its figures; stored, shown in MLflow, read again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from oferta.errors import ExtraMissing, InputError
from oferta.evaluation.evaluate import evaluate
from oferta.evaluation.limits import Limits, Timer
from oferta.evaluation.protocol import Protocol
from oferta.evaluation.scorecard import Evaluation, Scorecard
from oferta.events.dataset import Dataset
from oferta.models.catalog import recipe
from oferta.models.memory import available_bytes
from oferta.models.protocol import Recommender
from oferta.progress import Progress
from oferta_experiments.study.finished import Finished, found_in
from oferta_experiments.study.made import Made
from oferta_experiments.study.parts import Asked
from oferta_experiments.study.runs import LEFT, STUDY, Runs
from oferta_experiments.study.spec import StudySpec
from oferta_experiments.study.state import Done, State
from oferta_experiments.study.trials import Journal


class RowsDiffer(InputError):
    """Models were tested on different rows, so their values cannot be paired."""

    code = "rows.differ"

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"'{name}' was tested on other rows than those before it: its values cannot be paired "
            "with theirs. Only what models learn from may differ, not what they are asked."
        )


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
        made: what figures are made with.
        seconds: what was spent so far, by variant and point of the learning curve, in all runs.
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
    made: Made
    seconds: dict[str, float] = field(default_factory=dict)

    def limits(self, *, sharing: int = 1) -> Limits:
        """What may still be spent, by one of `sharing` variants that are left."""
        return Limits(
            self.spec.budget.minutes * 60,
            available_bytes(),
            self.timer,
            part=1 / sharing,
            spent=sum(self.seconds.values()),
        )


def judge_variant(bench: Bench, asked: Asked, *, sharing: int) -> Done:
    """Judge what is `asked` and store what was found.

    Raises:
        RowsDiffer: it was not tested on the rows that the variants before it were.
    """
    name, spec = asked.name, bench.spec
    variant = spec.variant(name)
    protocol = variant.protocol(spec.protocol)
    tags = {STUDY: bench.name, "oferta.variant": name, "oferta.kind": "variant"}
    tags |= {"oferta.model": variant.model, "oferta.code": bench.made.code}
    begun = bench.timer()
    part = f"{asked.slot}/{bench.made.mark}"
    with bench.runs.open(name, part=part, tags=tags, parent=bench.parent) as run_id:
        bench.journal.begin(name, book=part, run_id=run_id)
        found: Evaluation | None = None
        card: Scorecard | None = None
        why = None
        try:
            found = evaluate(
                bench.dataset,
                {name: asked.recipe()},
                protocol=protocol,
                limits=bench.limits(sharing=sharing),
                progress=bench.progress,
                candidates=bench.candidates,
                tune=spec.budget.settings if spec.search else 0,
                trials=bench.journal,
                twins=False,
            )
        except ExtraMissing as error:
            why = str(error)
        fields: dict[str, Any] = {}
        if found is not None:
            card = card_of(found, name)
            why = None if card is not None else found.skipped[0].why
            check_rows(bench.state, name, rows_of(found))
            fields = found_in(found, card, variant.model)
        kept = Finished(
            name=name,
            model=variant.model,
            asked=asked.told,
            made=bench.made,
            minutes=spec.budget.minutes,
            parts=asked.origins,
            run_id=run_id,
            why=why,
            # Trials of a run that was killed took their time, too.
            seconds=bench.timer() - begun + bench.journal.recalled(name),
            **fields,
        )
        _show(bench.runs, run_id, protocol, card, kept)
    done = Done(asked.slot, kept, {} if card is None else card.values)
    bench.state.keep(done)
    return done


def card_of(found: Evaluation, name: str) -> Scorecard | None:
    """The scorecard of the recipe that was called `name`."""
    return next((one for one in found.results if one.model == name), None)


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


def chosen_recipe(done: Done) -> Recommender:
    """The recipe that was used on the test."""
    settings = {} if done.found.card is None else done.found.card.settings
    return recipe(done.found.model, settings)


def rows_of(found: Evaluation) -> pl.DataFrame:
    """The test rows of an evaluation: `customer_id`, `past`, and what tells them from others."""
    return pl.DataFrame(
        {
            "customer_id": found.customer_id.cast(pl.String),
            "past": found.past,
            "digest": [found.rows_digest] * len(found.past),
        }
    )


def _show(
    runs: Runs, run_id: str, protocol: Protocol, card: Scorecard | None, kept: Finished
) -> None:
    """Settings, figures and seconds with the variant's run."""
    runs.json(run_id, "variant.json", kept.model_dump(mode="json"))
    if card is None:
        runs.tags(run_id, {LEFT: str(kept.why)})
        return
    own: Mapping[str, Any] = {
        "weighting": protocol.weighting.model_dump(mode="json"),
        "segments": protocol.segments,
        "customer_features": protocol.customer_features,
        "product_features": protocol.product_features,
    }
    differing = ", ".join(f"{name}={value}" for name, value in kept.differing.items())
    runs.params(run_id, {"differing": differing or "none", **card.settings, **own})
    means = {name: found.mean for name, found in card.metrics.items()}
    seconds = {"fit_s": card.fit_s, "recommend_s": card.recommend_s}
    stated = {} if card.calibration is None else {"ece": card.calibration.ece}
    runs.metrics(run_id, {**means, **seconds, **stated})
    runs.untag(run_id, LEFT)  # of a time when it could not be judged
