"""A variant as it is kept once it was judged, or could not be."""

from dataclasses import asdict
from typing import Any

from pydantic import Field

from oferta.evaluation.calibration import Bin as Slots
from oferta.evaluation.calibration import Reliability
from oferta.evaluation.intervals import Interval
from oferta.evaluation.scorecard import Evaluation, Scorecard
from oferta.evaluation.search import difference
from oferta.models.catalog import recipe
from oferta.privacy.findings import Finding
from oferta.settings import Settings
from oferta_experiments.study.made import Made
from oferta_experiments.study.result import Bin, Calibration, Figure, Trial
from oferta_experiments.study.trials import trials_of


class Chances(Calibration):
    """What stated chances are worth, whole."""

    log_loss: float
    count: int


class Card(Settings):
    """A scorecard without the values per row, which lie beside it."""

    settings: dict[str, Any]
    customers: int
    rows: int
    fit_s: float
    recommend_s: float
    metrics: dict[str, Figure]
    folds: tuple[dict[str, float], ...]
    calibration: Chances | None = None


class Finished(Settings):
    """What is kept of a variant.

    Attributes:
        name, model: as the study calls it, and the catalogue's model.
        asked: all of the study that its figures depend on beside evaluation and data.
        made: with what code and libraries.
        minutes: the study's budget at the time.
        parts: model -> the variant whose settings a model made of others took for it.
        run_id: its run in MLflow.
        why: why it has no figures, where it has none.
        seconds: that it took, in all runs.
        card: its figures; None where it could not be judged.
        differing: the settings used that are not the model's own.
        counts, learners, protected: of the evaluation.
        trials: of its search, in the order made.
    """

    name: str
    model: str
    asked: dict[str, Any]
    made: Made
    minutes: float
    parts: dict[str, str] = Field(default_factory=dict)
    run_id: str
    why: str | None = None
    seconds: float = 0.0
    card: Card | None = None
    differing: dict[str, Any] = Field(default_factory=dict)
    counts: dict[str, int] = Field(default_factory=dict)
    learners: int = 0
    protected: tuple[dict[str, str | None], ...] = ()
    trials: tuple[Trial, ...] = ()

    @property
    def was_cut_short(self) -> bool:
        """Whether the budget ended its search."""
        return any(one.state == "stopped" for one in self.trials)

    def findings(self) -> tuple[Finding, ...]:
        """The protected attributes that it may have used."""
        return tuple(Finding(**one) for one in self.protected)  # type: ignore[arg-type] # as stored


class Learnt(Settings):
    """A variant fitted on a share of the customers, as it is kept.

    Attributes:
        of: mark of what made the variant's own figures.
        figure: None where it could not be judged.
    """

    of: str
    share: float
    customers: int
    seconds: float
    figure: Figure | None = None


def found_in(evaluation: Evaluation, card: Scorecard | None, model: str) -> dict[str, Any]:
    """The fields of `Finished` that an evaluation of one recipe gives."""
    fields: dict[str, Any] = {
        "counts": dict(evaluation.counts),
        "learners": evaluation.learners,
        "protected": tuple(asdict(one) for one in evaluation.protected),
        "trials": trials_of(evaluation.tuning),
    }
    if card is not None:
        fields["card"] = _kept(card)
        fields["differing"] = difference(recipe(model), recipe(model, card.settings))
    return fields


def _kept(card: Scorecard) -> Card:
    return Card(
        settings=dict(card.settings),
        customers=card.customers,
        rows=card.rows,
        fit_s=round(card.fit_s, 3),
        recommend_s=round(card.recommend_s, 3),
        metrics={
            name: Figure(mean=one.mean, low=one.low, high=one.high)
            for name, one in card.metrics.items()
        },
        folds=tuple(dict(fold) for fold in card.folds),
        calibration=None if card.calibration is None else _chances(card.calibration),
    )


def _chances(stated: Reliability) -> Chances:
    return Chances(
        ece=stated.ece,
        brier=stated.brier,
        log_loss=stated.log_loss,
        count=stated.count,
        bins=tuple(
            Bin(stated=one.stated, observed=one.observed, count=one.count) for one in stated.bins
        ),
    )


def reliability(stated: Chances | None) -> Reliability | None:
    """As an evaluation has it."""
    if stated is None:
        return None
    bins = tuple(Slots(one.stated, one.observed, one.count) for one in stated.bins)
    return Reliability(stated.ece, stated.brier, stated.log_loss, bins, stated.count)


def interval(found: Figure) -> Interval:
    """As an evaluation has it."""
    return Interval(found.mean, found.low, found.high)
