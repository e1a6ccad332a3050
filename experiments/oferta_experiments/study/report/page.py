"""What a study found as pages: one that opens anywhere without a network, one for a repository.

Both are made from a `StudyResult` alone, and the same result gives the same bytes.
"""

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from oferta_experiments.study.files import write_whole
from oferta_experiments.study.report import tables, words
from oferta_experiments.study.report.chances import chances_chart
from oferta_experiments.study.report.chart import Chart
from oferta_experiments.study.report.cost import cost_chart
from oferta_experiments.study.report.learning import learning_chart
from oferta_experiments.study.report.markdown import commands, made, markdown
from oferta_experiments.study.report.quality import metric_chart, reach_chart
from oferta_experiments.study.report.search import search_charts
from oferta_experiments.study.report.segments import segments_chart
from oferta_experiments.study.result import StudyResult


def write_report(result: StudyResult, folder: Path) -> tuple[Path, Path]:
    """Write `report.html` and `REPORT.md` into `folder`, which is made where it is not there.

    The page holds its style and its plots, runs no script and forbids itself to load anything.

    Returns:
        The paths of the page and of the Markdown file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    page, text = folder / "report.html", folder / "REPORT.md"
    write_whole(page, _page(result).encode())
    write_whole(text, markdown(result).encode())
    return page, text


def _page(result: StudyResult) -> str:
    loader = PackageLoader("oferta_experiments.study", "pages")
    environment = Environment(
        loader=loader,
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # The style sheet is ours: the only text that is not escaped beside the drawn plots.
    style = Markup(loader.get_source(environment, "report.css")[0])  # noqa: S704
    return environment.get_template("report.html.j2").render(
        result=result,
        lines=tables.main_lines(result),
        plots=_charts(result),
        style=style,
        commands=commands(result),
        made=made(result),
        tables=tables,
        words=words,
    )


def _charts(result: StudyResult) -> list[Chart]:
    if not result.variants:
        return []
    return [
        metric_chart(result),
        cost_chart(result),
        segments_chart(result),
        chances_chart(result),
        reach_chart(result),
        learning_chart(result),
        *search_charts(result),
    ]
