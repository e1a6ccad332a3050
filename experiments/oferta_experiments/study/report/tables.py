"""A study's figures as tables of text: what the page, REPORT.md and the plots' other form show."""

from collections.abc import Sequence
from dataclasses import dataclass

from oferta_experiments.study.report.words import (
    NOTHING,
    SIGNS,
    chance,
    clock,
    ends,
    percent,
    plain,
    setting,
    signed,
    signed_ends,
)
from oferta_experiments.study.result import Difference, StudyResult, Variant


@dataclass(frozen=True, slots=True)
class Table:
    """Text in rows; the first column says what a row is about, the last `figures` are figures."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    figures: int = 0

    def is_figure(self, column: int) -> bool:
        """Whether a column is aligned as figures are."""
        return column >= len(self.heads) - self.figures


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure over what qualifies it: its interval, its p-value."""

    head: str
    main: str
    beside: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One variant in the main table.

    Attributes:
        verdict: against the baseline; None for the baseline itself and where it was not compared.
        cells: the same heads for every variant of a study.
    """

    variant: Variant
    is_baseline: bool
    verdict: str | None
    cells: tuple[Cell, ...]

    @property
    def sign(self) -> str:
        """The verdict's mark."""
        return SIGNS.get(self.verdict or "", "")


def differences_from_baseline(result: StudyResult) -> dict[str, Difference]:
    """Variant -> its difference from the baseline."""
    return {one.variant: one for one in result.differences if one.other == result.baseline}


def beside(result: StudyResult, name: str) -> str:
    """The key of a metric at the list length that the study's metric has: `coverage@10`."""
    return f"{name}@{result.metric.partition('@')[2]}"


def main_lines(result: StudyResult) -> list[Line]:
    """The table that answers, best first; columns that no variant has a figure for are absent."""
    from_baseline = differences_from_baseline(result)
    lines = []
    for variant in result.variants:
        difference = from_baseline.get(variant.name)
        cells = (
            _measured(variant, result.metric),
            _against(difference, variant.name == result.baseline),
            *_beside(result, variant),
        )
        lines.append(
            Line(
                variant,
                is_baseline=variant.name == result.baseline,
                verdict=difference.verdict if difference else None,
                cells=cells,
            )
        )
    empty = {
        column
        for column in range(2, len(lines[0].cells) if lines else 0)
        if all(line.cells[column].main == NOTHING for line in lines)
    }
    return [
        Line(
            line.variant,
            is_baseline=line.is_baseline,
            verdict=line.verdict,
            cells=tuple(cell for column, cell in enumerate(line.cells) if column not in empty),
        )
        for line in lines
    ]


def _measured(variant: Variant, metric: str) -> Cell:
    figure = variant.metrics[metric]
    return Cell(metric, plain(figure.mean), ends(figure))


def _against(difference: Difference | None, is_baseline: bool) -> Cell:  # noqa: FBT001 (private)
    if difference is None:
        return Cell("from the baseline", "baseline" if is_baseline else NOTHING)
    figure = difference.figure
    return Cell("from the baseline", signed(figure.mean), signed_ends(figure))


def _beside(result: StudyResult, variant: Variant) -> tuple[Cell, ...]:
    kinds = (
        ("coverage", "coverage", percent),
        ("novelty, bits", "novelty", lambda value: plain(value, 2)),
        ("popular share", "popularity_share", percent),
        ("diversity", "diversity", lambda value: plain(value, 3)),
    )
    cells = []
    for head, name, said in kinds:
        figure = variant.metrics.get(beside(result, name))
        cells.append(Cell(head, NOTHING if figure is None else said(figure.mean)))
    calibration = variant.calibration
    cells += [
        Cell("ECE", plain(calibration.ece) if calibration else NOTHING),
        Cell("Brier", plain(calibration.brier) if calibration else NOTHING),
        Cell("fit,\N{NO-BREAK SPACE}s", clock(variant.fit_s)),
        Cell("scoring,\N{NO-BREAK SPACE}s", clock(variant.recommend_s)),
    ]
    return tuple(cells)


def all_differences(result: StudyResult) -> Table:
    """Every pair that was compared."""
    return Table(
        ("variant", "against", "verdict", "difference", "95 % interval", "p", "p adjusted"),
        tuple(
            (
                one.variant,
                one.other,
                f"{SIGNS.get(one.verdict, '')} {one.verdict}".strip(),
                signed(one.figure.mean),
                signed_ends(one.figure),
                chance(one.p_value),
                chance(one.p_adjusted),
            )
            for one in result.differences
        ),
        figures=4,
    )


def all_metrics(result: StudyResult) -> Table:
    """Every metric of every variant with its interval."""
    names = list(dict.fromkeys(name for one in result.variants for name in one.metrics))
    rows = []
    for name in names:
        row = [name]
        for variant in result.variants:
            figure = variant.metrics.get(name)
            if figure is None:
                row.append(NOTHING)
            elif figure.low == figure.high:
                row.append(plain(figure.mean))
            else:
                row.append(f"{plain(figure.mean)} ({ends(figure)})")
        rows.append(tuple(row))
    heads = ("metric", *(one.name for one in result.variants))
    return Table(heads, tuple(rows), figures=len(result.variants))


def all_settings(result: StudyResult) -> Table:
    """What each variant is: its model, what the study's file says of it, the settings used."""
    return Table(
        ("variant", "model", "stated in the study", "settings used on the test"),
        tuple(
            (
                one.name,
                one.model,
                pairs(_stated(one)) or NOTHING,
                pairs(one.settings) or "its defaults",
            )
            for one in result.variants
        ),
    )


def _stated(variant: Variant) -> dict[str, object]:
    parts = {model: f"those of '{name}'" for model, name in variant.parts.items()}
    return {**variant.stated, **({"parts": parts} if parts else {})}


def pairs(values: dict[str, object]) -> str:
    """`a = 1, b.c = true`: settings in one line."""
    return ", ".join(f"{name} = {value}" for name, value in named_values(values))


def named_values(values: dict[str, object], *, under: str = "") -> Sequence[tuple[str, str]]:
    """Name and value in the order given; what is nested is named `outer.inner`."""
    found: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, dict) and value:
            found += named_values(value, under=f"{under}{name}.")
        else:
            found.append((f"{under}{name}", setting(value)))
    return found


def untested(result: StudyResult) -> list[str]:
    """What the figures cannot tell; variants left out are named once, whoever names them first."""
    said = list(result.not_tested)
    for one in result.left:
        if not any(one.variant in sentence and one.why in sentence for sentence in said):
            said.append(f"{one.variant} was not judged: it {one.why}.")
    return said
