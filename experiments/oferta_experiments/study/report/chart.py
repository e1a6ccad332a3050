"""What a plot of a report is, whatever it shows."""

from dataclasses import dataclass

from markupsafe import Markup

from oferta_experiments.study.report.drawing import BY_VERDICT, SAME
from oferta_experiments.study.report.tables import Table, differences_from_baseline
from oferta_experiments.study.report.words import SIGNS
from oferta_experiments.study.result import StudyResult


@dataclass(frozen=True, slots=True)
class NamedTable:
    """A plot's figures for those who cannot see it or want to copy them."""

    name: str
    table: Table


@dataclass(frozen=True, slots=True)
class Chart:
    """One plot, or one line that says why it is not there.

    Attributes:
        key: what the page's `data-plot` holds.
        title: the finding; where nothing is drawn, what is missing.
        caption: how to read it.
        drawn: the SVG elements; None where the study has no figures for it.
    """

    key: str
    title: str
    caption: str = ""
    drawn: Markup | None = None
    tables: tuple[NamedTable, ...] = ()


def verdicts(result: StudyResult) -> dict[str, str | None]:
    """Variant -> its verdict against the baseline; None for the baseline."""
    found = differences_from_baseline(result)
    return {
        one.name: found[one.name].verdict if one.name in found else None for one in result.variants
    }


def colour(verdict: str | None) -> str:
    """The stand-in of a verdict's colour."""
    return BY_VERDICT.get(verdict, SAME)


def said_verdict(verdict: str | None, baseline: str) -> str:
    """`▲ better than als`; nothing for the baseline."""
    if verdict is None:
        return ""
    joined = {"no difference": "no difference from"}.get(verdict, f"{verdict} than")
    return f"{SIGNS.get(verdict, '')} {joined} {baseline}".strip()
