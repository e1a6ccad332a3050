"""`oferta study`: a question in a file, an answer that can be trusted and shown."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from oferta.events.dataset import Dataset
    from oferta_experiments.study.spec import StudySpec

_Folder = Annotated[Path, typer.Argument(help="The study's folder.", metavar="FOLDER")]
_Home = Annotated[Path | None, typer.Option(help="The state folder (default: .oferta).")]
_AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]

app = typer.Typer(
    no_args_is_help=True,
    help="Ask a question as one small file; get an answer with its evidence.\n\n"
    "Example: oferta study new does-decay-help",
)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="A few words, as does-decay-help.")],
    data: Annotated[
        str | None,
        typer.Option(help="A dataset or a folder of source files (default: the demo's data)."),
    ] = None,
    into: Annotated[Path, typer.Option(help="Where the study's folder is made.")] = Path("studies"),
) -> None:
    """Make the folder of a new study, with a study.toml that runs as it is.

    Example: oferta study new does-decay-help --data sales/
    """
    from oferta.clock import SystemClock
    from oferta_experiments.study.new import write_new

    folder = write_new(name, into=into, today=SystemClock().now().date(), data=data)
    typer.echo(f"{folder / 'study.toml'} is ready: change the question and the variants, then\n")
    typer.echo(f"  oferta study run {folder}")


@app.command()
def run(
    folder: _Folder,
    home: _Home = None,
    anew: Annotated[
        bool, typer.Option("--anew", help="Judge again what other code or libraries judged.")
    ] = False,
    as_json: _AsJson = False,
) -> None:
    """Judge the variants, compare them, write result.json, report.html and REPORT.md.

    Stopped or killed, the same command goes on where it stopped.

    Example: oferta study run studies/2026-01-31-does-decay-help
    """
    from time import perf_counter

    from rich.console import Console

    from oferta.home import home_folder
    from oferta.progress import Terminal
    from oferta_experiments.study.report.terminal import summary_text
    from oferta_experiments.study.run import Place, run_study
    from oferta_experiments.study.spec import load_study

    folder = _folder_of(folder)
    spec, state = load_study(folder), home_folder(home)

    def say(text: str) -> None:
        typer.echo(text, err=True)

    try:
        dataset = _open(spec, folder, state)
        place = Place(folder, state, perf_counter, Terminal(), say)
        result = run_study(spec, dataset, place=place, anew=anew)
    except (KeyboardInterrupt, SystemExit):
        say(f"\nStopped. What is done is kept: `oferta study run {folder}` goes on from here.")
        raise
    if as_json:
        typer.echo(result.model_dump_json(indent=2))
        return
    paths = [folder / "report.html", folder / "REPORT.md"]
    Console(highlight=False).print(summary_text(result, paths))


@app.command()
def report(folder: _Folder) -> None:
    """Make report.html and REPORT.md again from result.json; nothing is fitted.

    Example: oferta study report studies/2026-01-31-does-decay-help
    """
    from oferta_experiments.study.report.page import write_report
    from oferta_experiments.study.result import read_result
    from oferta_experiments.study.run import RESULT

    folder = _folder_of(folder)
    for path in write_report(read_result(folder / RESULT), folder):
        typer.echo(path)


@app.command()
def promote(
    folder: _Folder,
    variant: Annotated[
        str | None, typer.Argument(help="Which variant (default: the best).", metavar="[VARIANT]")
    ] = None,
    job: Annotated[
        Path | None,
        typer.Option(help="The job file whose name and policy hold (default: the built-in job)."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The registered model's name (default: the job's).")
    ] = None,
    home: _Home = None,
) -> None:
    """Make a variant champion, if it passes the study's guards; ends with 1 where one fails.

    Example: oferta study promote studies/2026-01-31-decay "with decay"
    """
    from time import perf_counter

    from oferta.clock import SystemClock
    from oferta.errors import SettingsInvalid
    from oferta.home import home_folder
    from oferta.progress import Terminal
    from oferta.settings import parse
    from oferta_experiments.study.promote import promote_variant
    from oferta_experiments.study.result import read_result
    from oferta_experiments.study.run import RESULT, Place
    from oferta_experiments.study.spec import load_study
    from oferta_training.job import Job, load_job

    folder = _folder_of(folder)
    spec, state, result = load_study(folder), home_folder(home), read_result(folder / RESULT)
    if not result.variants:
        raise SettingsInvalid(folder, ["no variant of this study could be judged"])
    asked = load_job(job)
    if job is None:  # the built-in job has no policy of its own to keep
        values = {"policy": {"repeatable": spec.evaluation.keep_seen}}
        asked = parse(values, Job, place="job")
    asked = asked if name is None else parse({**asked.model_dump(), "name": name}, Job, place="job")
    chosen = spec.variant(variant or result.variants[0].name).name
    done = promote_variant(
        spec,
        chosen,
        _open(spec, folder, state),
        result=result,
        job=asked,
        place=Place(folder, state, perf_counter, Terminal(), typer.echo),
        clock=SystemClock(),
    )
    typer.echo(f"{done.version.label} ({chosen}) is champion: {done.verdict.because}.")
    for one in done.verdict.outcomes:
        typer.echo(f"  {one.guard}: {one.sentence}")
    typer.echo("Next: oferta publish")


@app.command()
def compare(
    places: Annotated[
        list[str],
        typer.Argument(help="Studies' folders, or FOLDER:VARIANT.", metavar="FOLDER..."),
    ],
    home: _Home = None,
    export: Annotated[
        Path | None,
        typer.Option(help="Write all figures to this file: .csv, .parquet or .ndjson."),
    ] = None,
) -> None:
    """Put variants of one study or several side by side; pair those tested on the same rows.

    Example: oferta study compare studies/2026-01-31-decay studies/2026-02-07-hybrid
    """
    from rich.console import Console

    from oferta.home import home_folder
    from oferta_experiments.study.across import compare_results
    from oferta_experiments.study.across_text import across_text, write_table

    found = compare_results(places, home=home_folder(home))
    if export is not None:
        write_table(found, export)
    Console(highlight=False).print(across_text(found))


def _folder_of(place: Path) -> Path:
    """The study's folder, where its file was named instead."""
    return place.parent if place.name == "study.toml" else place


def _open(spec: "StudySpec", folder: Path, home: Path) -> "Dataset":
    from oferta.clock import SystemClock
    from oferta.progress import Terminal
    from oferta_experiments.study.source import open_source

    return open_source(spec, folder, home=home, clock=SystemClock(), progress=Terminal())
