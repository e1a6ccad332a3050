"""A simulation as one page that opens anywhere without a network."""

from pathlib import Path

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from oferta_experiments.study.files import write_whole
from oferta_experiments.study.report import words
from oferta_experiments.world.simulate import said
from oferta_experiments.world.simulate.charts import charts
from oferta_experiments.world.simulate.result import Simulation


def write_page(result: Simulation, path: Path) -> Path:
    """Write the page: its style and plots are in it, it runs no script and loads nothing.

    The same result gives the same bytes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, _page(result).encode())
    return path


def _page(result: Simulation) -> str:
    reports = PackageLoader("oferta_experiments.study", "pages")
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("oferta_experiments.world.simulate", "pages"), reports]),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # The reports' own style sheet: the only text that is not escaped beside the drawn plots.
    style = Markup(reports.get_source(environment, "report.css")[0])  # noqa: S704
    return environment.get_template("simulation.html.j2").render(
        result=result, plots=charts(result), style=style, said=said, words=words
    )
