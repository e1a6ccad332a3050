"""`make accuracy`: run the studies of the table that have not run yet, and write the page."""

import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import typer
from numpy.random import default_rng
from rich.console import Console

from oferta.clock import SystemClock
from oferta.errors import OfertaError
from oferta.events.dataset import open_dataset
from oferta.home import home_folder
from oferta.progress import Terminal
from oferta_experiments.accuracy.page import Answered, OffPolicy, page
from oferta_experiments.accuracy.table import Row, answers, read_table
from oferta_experiments.off_policy.synthetic import RUNS, relative_errors, summary
from oferta_experiments.study.run import Place, run_study
from oferta_experiments.study.spec import load_study

SEED = 7  # of the folds of the reward models
TABLE, PAGE = "table.toml", "ACCURACY.md"


def run(folder: Path, only: Sequence[str], *, home: Path, console: Console) -> list[Answered]:
    """Every row of the table in `folder`, or only those of the studies named.

    What has run with the same file and data is not run again.
    """
    rows = [row for row in read_table(folder / TABLE).rows if not only or row.study in only]
    progress, done = Terminal(), []
    for row in rows:
        console.print(f"[bold]{row.study}[/bold]  {row.data}")
        done.append(_run(row, folder / row.study, home, console, progress))
        for answer in done[-1].answers:
            mark = "[green]reached[/green]" if answer.met else "[red]short[/red]"
            console.print(f"  {mark}  {answer.asked}: {answer.found}")
    return done


def _run(row: Row, folder: Path, home: Path, console: Console, progress: Terminal) -> Answered:
    spec = load_study(folder)
    dataset = open_dataset(spec.source(folder), home=home, clock=SystemClock(), progress=progress)
    place = Place(folder, home, perf_counter, progress, console.print)
    result = run_study(spec, dataset, place=place)
    return Answered(row, result, answers(row, result))


def main(
    folder: Path = Path("experiments/studies/accuracy"),
    only: list[str] | None = None,
    home: Path | None = None,
) -> None:
    """Run the table's studies; write the page where all of them ran."""
    console = Console(highlight=False)
    try:
        done = run(folder, only or (), home=home_folder(home), console=console)
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
