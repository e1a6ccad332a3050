"""What a study found, as one object: written by the run, and all that its reports are made of."""

from pathlib import Path
from typing import Any

import orjson
from pydantic import Field

from oferta.errors import SettingsInvalid
from oferta.settings import Settings, parse
from oferta_experiments.study.files import write_whole


class Figure(Settings):
    """A mean and the ends of its 95 % interval."""

    mean: float
    low: float
    high: float


class Difference(Settings):
    """How far a variant is above another on the study's metric, customer by customer.

    Attributes:
        variant, other: what is compared; positive means `variant` is better.
        figure: the paired difference with its own 95 % interval.
        p_value: of no difference, two-sided, from the same draws.
        p_adjusted: the same after Holm's correction for all pairs of the study's variants.
        verdict: `better` or `worse` where `p_adjusted` is below .05, else `no difference`.
    """

    variant: str
    other: str
    figure: Figure
    p_value: float
    p_adjusted: float
    verdict: str


class Slice(Settings):
    """One variant's figure among the customers of one segment.

    Attributes:
        by, label: the attribute (or `activity`, `cold`) and its value.
        customers: distinct ones with a test row.
        figure: of the study's metric.
        difference: from the baseline among the same customers; None for the baseline itself.
        verdict: as in `Difference`, corrected over all slices of the study.
    """

    by: str
    label: str
    customers: int
    figure: Figure
    difference: Figure | None = None
    verdict: str | None = None


class Bin(Settings):
    """Scores of one height: the chance that was stated, and what came of it."""

    stated: float
    observed: float
    count: int


class Calibration(Settings):
    """How far stated chances can be believed, on test rows."""

    ece: float
    brier: float
    bins: tuple[Bin, ...]


class Point(Settings):
    """The figure of a variant fitted on a share of the customers."""

    share: float
    customers: int
    figure: Figure


class Trial(Settings):
    """One setting that was tried on the validation cut."""

    settings: dict[str, Any]
    value: float | None
    seconds: float
    share_of_customers: float = 1.0
    state: str = "complete"
    """`complete`, `stopped` or `failed`; the reason is in `why`."""

    why: str | None = None


class Variant(Settings):
    """One variant's outcome.

    Attributes:
        name, model: as the study calls it, and the catalogue's model.
        settings: all of the model's settings that were used on the test.
        stated: what the study's file says of the variant beyond its model's settings.
        metrics: name@k -> figure; coverage's ends are its mean.
        fit_s, recommend_s: seconds on the machine that ran.
        segments, learning, trials, calibration: empty or None where the study did not ask.
        parts: model -> the variant whose settings it took for a part of that model.
        key: names its values per row in the state folder.
        run_id: its child run in MLflow.
    """

    name: str
    model: str
    settings: dict[str, Any]
    stated: dict[str, Any] = Field(default_factory=dict)
    metrics: dict[str, Figure]
    fit_s: float
    recommend_s: float
    segments: tuple[Slice, ...] = ()
    calibration: Calibration | None = None
    learning: tuple[Point, ...] = ()
    trials: tuple[Trial, ...] = ()
    parts: dict[str, str] = Field(default_factory=dict)
    key: str = ""
    run_id: str | None = None


class Left(Settings):
    """A variant without figures, and why."""

    variant: str
    why: str


class StudyResult(Settings):
    """A study's outcome.

    Attributes:
        name: of the study's folder.
        question, answer: a sentence each; the answer is made from the figures.
        metric: what variants are ordered, tuned and compared by.
        baseline: the variant that others are compared with.
        dataset: what the data is called; `fingerprint` is of its content.
        facts: customers, products, events and what was set aside, by name.
        protocol: every choice that changes a figure; `sentence` says them for people.
        variants: best first.
        differences: every pair that was compared; those from the baseline first.
        left: variants that could not be judged.
        not_tested: sentences, what the figures cannot tell.
        made: seed, code and library versions, processors, seconds: what reproducing takes.
        run_id: the parent run in MLflow.
    """

    name: str
    question: str
    answer: str
    metric: str
    baseline: str
    dataset: str
    fingerprint: str
    facts: dict[str, int]
    protocol: dict[str, Any]
    sentence: str
    variants: tuple[Variant, ...]
    differences: tuple[Difference, ...]
    left: tuple[Left, ...] = ()
    not_tested: tuple[str, ...] = ()
    made: dict[str, Any] = Field(default_factory=dict)
    run_id: str | None = None

    def write(self, path: Path) -> None:
        """Keep it as JSON."""
        write_whole(path, self.model_dump(mode="json"))


def read_result(path: Path) -> StudyResult:
    """What `StudyResult.write` wrote.

    Raises:
        SettingsInvalid: no such file, or not a study's result.
    """
    try:
        values = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        raise SettingsInvalid(path, ["no such file; `oferta study run` makes it"]) from None
    except orjson.JSONDecodeError as error:
        raise SettingsInvalid(path, [str(error)]) from None
    return parse(values, StudyResult, place=path)
