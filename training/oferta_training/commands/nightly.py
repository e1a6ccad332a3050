"""`oferta nightly`: the loop, once."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from oferta_training.nightly.settings import NightlySettings
    from oferta_training.nightly.state import Places


def nightly(
    given: Annotated[
        Path, typer.Argument(help="A nightly.toml, or what to ingest.", metavar="CONFIG|SOURCE")
    ],
    *,
    job: Annotated[Path | None, typer.Option(help="The job file.")] = None,
    policy: Annotated[
        Path | None, typer.Option(help="The policy that will decide on the profiles.")
    ] = None,
    archive: Annotated[
        Path | None,
        typer.Option(help="Live events (default: the state folder's).", metavar="FOLDER"),
    ] = None,
    keep: Annotated[int | None, typer.Option(min=2, help="Datasets kept (default: 7).")] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Begin anew, whatever became of the last run.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be run, and run nothing.")
    ] = False,
    home: Annotated[
        Path | None, typer.Option(help="The state folder. Default: OFERTA_HOME, else .oferta.")
    ] = None,
) -> None:
    """Ingest, train, ask the gate, publish, look at it: each step only if the one before was done.

    The live release is left alone when any step fails. Run again, it goes on where it stopped. Ends
    with 0 (done), 2 (asked wrongly), 10 (ingest failed), 11 (training), 12 (the gate refused), 13
    (publishing), 14 (published, but the look at it failed), 15 (another run is at work).

    Example: oferta nightly nightly.toml
    """
    import os

    from oferta.clock import SystemClock
    from oferta.home import home_folder, top_folder
    from oferta_training.nightly.loop import Loop
    from oferta_training.nightly.page import write_report
    from oferta_training.nightly.settings import load_nightly
    from oferta_training.nightly.state import Places
    from oferta_training.nightly.steps import BUSY

    options = {"job": job, "policy": policy, "archive": archive, "keep": keep}
    settings = load_nightly(given, options)
    places = Places(home_folder(home).absolute())
    if dry_run:
        _show_plan(settings, places, fresh=fresh)
        return
    with places.locked() as lock:
        if lock is None:
            typer.echo("oferta: another nightly run, or a step of one, is at work", err=True)
            raise typer.Exit(BUSY)
        loop = Loop(
            settings,
            places,
            SystemClock(),
            lock,
            # The steps find the tenant's folder as this command did: OFERTA_TENANT is theirs, too.
            {**os.environ, "OFERTA_HOME": str(top_folder(home).absolute())},
            lambda line: typer.echo(line, err=True),
        )
        run, code = loop.run(fresh=fresh)
        page = write_report(places, run)
    typer.echo(f"{run.name}: {run.result}. {page}")
    raise typer.Exit(code)


def _show_plan(settings: "NightlySettings", places: "Places", *, fresh: bool) -> None:
    import shlex

    from oferta.clock import SystemClock
    from oferta_training.nightly.loop import goes_on
    from oferta_training.nightly.state import STEPS, Run, run_name
    from oferta_training.nightly.steps import Night

    now = SystemClock().now()
    run, last = Run(run_name(now), settings.digest(), now.timestamp()), places.last()
    if last is not None and not fresh and goes_on(last, settings, now=now.timestamp()):
        run = last
        typer.echo(f"# goes on with run {last.name}, which ended at: {last.result}")
    for step in STEPS:
        words = Night(settings, places, run).words(step)
        said = shlex.join(["oferta", *words]) if words else "# the gate's answer is read"
        typer.echo(f"# {step}: done already" if run.done(step) else said)
