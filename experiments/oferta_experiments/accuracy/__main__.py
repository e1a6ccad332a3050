"""`make accuracy`: run the studies of the table that have not run yet, and write the page."""

import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer
from numpy.random import default_rng
from rich.console import Console

from oferta.clock import SystemClock
from oferta.errors import OfertaError
from oferta.home import home_folder
from oferta.progress import Terminal
from oferta_experiments.accuracy.page import Answered, OffPolicy, page
from oferta_experiments.accuracy.table import answers, read_table
from oferta_experiments.off_policy.synthetic import RUNS, relative_errors, summary
from oferta_experiments.study.result import StudyResult, read_result
from oferta_experiments.study.run import RESULT, Place, run_study
from oferta_experiments.study.source import open_source
from oferta_experiments.study.spec import load_study

SEED = 7  # of the folds of the reward models
TABLE, PAGE = "table.toml", "ACCURACY.md"


def run(
    folder: Path, only: Sequence[str], *, stored: bool, home: Path, console: Console
) -> list[Answered]:
    """Every row of the table in `folder`, or only those of the studies named.

    What has run with the same file, data and code is not run again; with `stored` nothing is, and
    the results are those in the studies' folders.
    """
    rows = [row for row in read_table(folder / TABLE).rows if not only or row.study in only]
    progress, done = Terminal(), []
    for row in rows:
        console.print(f"[bold]{row.study}[/bold]  {row.data}")
        place = Place(folder / row.study, home, perf_counter, progress, console.print)
        result = read_result(place.folder / RESULT) if stored else _run(place)
        done.append(Answered(row, result, answers(row, result)))
        for answer in done[-1].answers:
            mark = "[green]reached[/green]" if answer.met else "[red]short[/red]"
            console.print(f"  {mark}  {answer.asked}: {answer.found}")
    return done


def _run(place: Place) -> StudyResult:
    spec = load_study(place.folder)
    dataset = open_source(
        spec, place.folder, home=place.home, clock=SystemClock(), progress=place.progress
    )
    return run_study(spec, dataset, place=place, anew=True)


def main(
    folder: Path = Path("experiments/studies/accuracy"),
    only: list[str] | None = None,
    home: Path | None = None,
    stored: Annotated[  # noqa: FBT002 - a flag of the command line
        bool, typer.Option("--stored", help="Run no study: read the results that are there.")
    ] = False,
) -> None:
    """Run the table's studies; write the page where all of them ran."""
    console = Console(highlight=False)
    try:
        done = run(folder, only or (), stored=stored, home=home_folder(home), console=console)
    except OfertaError as error:
        console.print(f"[red]{error}[/red]")
        sys.exit(1)
    if not only:
        console.print("[bold]off-policy[/bold]  synthetic setting")
        errors = summary(relative_errors(RUNS, rng=default_rng(SEED), progress=Terminal()))
        (folder / PAGE).write_text(page(done, OffPolicy(errors)), encoding="utf-8")
        console.print(folder / PAGE)


if __name__ == "__main__":
    typer.run(main)
