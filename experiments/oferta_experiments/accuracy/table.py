"""What the accuracy table asks of each study, and what the study's result answers."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from oferta.errors import UnknownName
from oferta.settings import Settings, load
from oferta_experiments.study.result import StudyResult, Variant

_COSTS = ("fit_s", "recommend_s")
_CHANCES = ("ece", "brier")


class Bar(Settings):
    """One thing that a row must reach.

    Attributes:
        of: the variant that is asked. It is named here, before the study runs: the best of the test
            would be flattered by it.
        metric: `ndcg@10` and the like, `fit_s`, `ece`, ...
        at_least, at_most: the bar. With `times`, it is a multiple of that variant's own figure.
        above: a variant that must be beaten by the paired, corrected comparison on the study's
            metric.
        stretch: what would be better still; reported and never failed.
    """

    of: str
    metric: str = ""
    at_least: float | None = None
    at_most: float | None = None
    times: str | None = None
    above: str | None = None
    stretch: float | None = None

    @model_validator(mode="after")
    def _one_question(self) -> Self:
        stated = [value is not None for value in (self.at_least, self.at_most, self.above)]
        if sum(stated) != 1 or (self.above is None) == (not self.metric):
            raise ValueError("state a metric with at_least or at_most, or else above alone")
        return self


class Row(Settings):
    """One row of the table.

    Attributes:
        study: the folder of the study.
        data: what the data and the protocol are, for people.
        published: the best published figures, with their source's name.
        remark: what a reader must know beside the figures.
    """

    study: str
    data: str
    published: str
    bars: tuple[Bar, ...] = Field(min_length=1)
    remark: str = ""


class Table(Settings):
    """The whole table."""

    rows: tuple[Row, ...] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one bar: the figure, as people read it, and whether it is reached."""

    asked: str
    found: str
    met: bool


def read_table(path: Path) -> Table:
    """The table's file.

    Raises:
        SettingsInvalid: every unknown key and wrong value at once.
    """
    return load(path, Table)


def answers(row: Row, result: StudyResult) -> list[Answer]:
    """The row's bars, each answered by the study's result.

    Raises:
        UnknownName: a variant or a metric that the result does not have.
    """
    return [_answer(bar, result) for bar in row.bars]


def _answer(bar: Bar, result: StudyResult) -> Answer:
    variant = _variant(result, bar.of)
    if bar.above is not None:
        return _above(variant.name, bar.above, result)
    value = figure(variant, bar.metric)
    factor = 1.0 if bar.times is None else figure(_variant(result, bar.times), bar.metric)
    limit = factor * float((bar.at_least if bar.at_most is None else bar.at_most) or 0.0)
    met = value >= limit if bar.at_most is None else value <= limit
    sign = ">=" if bar.at_most is None else "<="
    asked = f"{bar.metric} {sign} {_number(limit)}"
    if bar.times is not None:
        asked += f" ({(bar.at_least or bar.at_most):g} x {bar.times})"
    if bar.stretch is not None:
        reached = value >= bar.stretch if bar.at_most is None else value <= bar.stretch
        asked += f", stretch {_number(bar.stretch)}{' reached' if reached else ''}"
    return Answer(asked, f"{_number(value)}{_interval(variant, bar.metric)} ({variant.name})", met)


def _above(name: str, other: str, result: StudyResult) -> Answer:
    _variant(result, other)
    asked = f"{result.metric} above {other}, paired"
    for one in result.differences:
        if {one.variant, one.other} == {name, other}:
            turned = one.variant != name
            low, high = one.figure.low, one.figure.high
            mean, low, high = (
                (-one.figure.mean, -high, -low) if turned else (one.figure.mean, low, high)
            )
            found = f"{mean:+.4f} [{low:+.4f}, {high:+.4f}] ({name})"
            return Answer(asked, found, one.verdict == ("worse" if turned else "better"))
    return Answer(asked, f"{name} is {other}" if name == other else "not compared", met=False)


def figure(variant: Variant, metric: str) -> float:
    """A variant's figure by its name: a metric, seconds, or of its calibration.

    Raises:
        UnknownName: it has none such.
    """
    if metric in _COSTS:
        return float(getattr(variant, metric))
    if metric in _CHANCES and variant.calibration is not None:
        return float(getattr(variant.calibration, metric))
    if metric not in variant.metrics:
        raise UnknownName("metric", metric, [*variant.metrics, *_COSTS, *_CHANCES])
    return variant.metrics[metric].mean


def _variant(result: StudyResult, name: str) -> Variant:
    known: Iterable[str] = [one.name for one in result.variants]
    for one in result.variants:
        if name == one.name:
            return one
    raise UnknownName("variant", name, known)


def _interval(variant: Variant, metric: str) -> str:
    found = variant.metrics.get(metric)
    return "" if found is None else f" [{_number(found.low)}, {_number(found.high)}]"


def _number(value: float) -> str:
    return f"{value:.1f}" if abs(value) > 1 else f"{value:.4f}"
