"""Plots of how good variants are: their metric, and how far their lists reach."""

from oferta_experiments.study.report.chart import Chart, NamedTable
from oferta_experiments.study.report.dots import Panel, paint_rows, panel_table
from oferta_experiments.study.report.drawing import drawn
from oferta_experiments.study.report.tables import beside, differences_from_baseline
from oferta_experiments.study.report.words import (
    counted,
    ends,
    gain,
    percent,
    plain,
    quoted,
    signed,
    signed_ends,
)
from oferta_experiments.study.result import Difference, Figure, StudyResult


def metric_chart(result: StudyResult) -> Chart:
    """The metric with intervals beside the paired differences that the verdicts are from."""
    metric = result.metric
    measured = {one.name: one.metrics[metric] for one in result.variants}
    paired = {name: one.figure for name, one in differences_from_baseline(result).items()}
    base = measured.get(result.baseline)
    panels = [Panel(f"{metric}, mean", measured, plain, ends, at=base.mean if base else None)]
    caption = "A dot is a mean and its line the 95 % bootstrap interval over customers."
    if paired:
        label = "paired difference from the baseline"
        panels.append(Panel(label, paired, signed, signed_ends, at=0.0))
        caption += (
            " The dashed line is the baseline, whose dot is hollow. Read verdicts from the paired "
            "differences: they compare the same customers, so two variants can differ although "
            "their own intervals overlap. Blue is better than the baseline, orange worse, grey no "
            "difference, here and in all plots below."
        )
    title = _metric_title(result, list(differences_from_baseline(result).values()))
    return Chart(
        "metric",
        title,
        caption,
        drawn("metric", title, lambda pen: paint_rows(pen, result, panels)),
        (NamedTable("These figures as a table", panel_table(result, panels)),),
    )


def _metric_title(result: StudyResult, found: list[Difference]) -> str:
    best, baseline = result.variants[0], quoted(result.baseline)
    if not found:
        mean = plain(best.metrics[result.metric].mean)
        return f"{quoted(best.name)} reaches {mean} of {result.metric}"
    better = [one for one in found if one.verdict == "better"]
    worse = sum(one.verdict == "worse" for one in found)
    others = counted(len(found), "variant")
    if better:
        lead = max(better, key=lambda one: one.figure.mean)
        known = {one.name: one.metrics[result.metric].mean for one in result.variants}
        base = known.get(result.baseline, 0.0)
        by = f" by {gain(lead.figure.mean / base)}" if base > 0 else ""
        if len(better) == 1:
            return f"{quoted(lead.variant)} is better than {baseline}{by}"
        most = f"{quoted(lead.variant)} the most{',' if by else ''}{by}"
        many = f"All {others}" if len(better) == len(found) else f"{len(better)} of {others}"
        return f"{many} are better than {baseline}, {most}"
    if not worse:
        return f"No variant differs from {baseline}"
    if worse == len(found):
        return f"{baseline} is better than every other variant"
    return f"No variant is better than {baseline}; {worse} of {others} worse"


def reach_chart(result: StudyResult) -> Chart:
    """Popularity share and coverage."""
    kinds = (
        ("coverage", "share of the products in any list"),
        ("popularity_share", "share of popular products in the lists"),
    )
    found = {name: _figures(result, beside(result, name)) for name, _ in kinds}
    panels = [Panel(label, found[name], _exact, _percents) for name, label in kinds if found[name]]
    if not panels:
        return Chart("reach", "Popularity share and coverage were not measured.")
    title = "; ".join(said for said in (_shown(found), _leaning(found)) if said)
    return Chart(
        "reach",
        title,
        "Coverage is how many of all products the lists show to anybody; the popularity share is "
        "how much of the lists the most popular tenth of the products fills. Neither is good or "
        "bad in itself: a list of bestsellers can be accurate and still sell nothing new.",
        drawn("reach", title, lambda pen: paint_rows(pen, result, panels)),
        (NamedTable("These figures as a table", panel_table(result, panels)),),
    )


def _figures(result: StudyResult, metric: str) -> dict[str, Figure]:
    return {one.name: one.metrics[metric] for one in result.variants if metric in one.metrics}


def _exact(share: float) -> str:
    return percent(share, 1)


def _percents(figure: Figure) -> str:
    if figure.low == figure.high:
        return ""
    return f"{_exact(figure.low)} to {_exact(figure.high)}"


def _shown(found: dict[str, dict[str, Figure]]) -> str:
    shown = {name: figure.mean for name, figure in found["coverage"].items()}
    if not shown:
        return ""
    most, least = max(shown, key=lambda name: shown[name]), min(shown, key=lambda name: shown[name])
    said = f"{quoted(most)} shows {percent(shown[most])} of the products"
    return said if most == least else f"{said}, {quoted(least)} {percent(shown[least])}"


def _leaning(found: dict[str, dict[str, Figure]]) -> str:
    shares = [figure.mean for figure in found["popularity_share"].values()]
    if not shares:
        return ""
    least, most = percent(min(shares)), percent(max(shares))
    return f"popular ones fill {least if least == most else f'{least} to {most}'} of the lists"
