"""`oferta train`."""

from pathlib import Path
from typing import Annotated

import typer


def train(
    dataset: Annotated[Path, typer.Argument(help="A dataset, or a folder of source files.")],
    job: Annotated[
        Path | None, typer.Option(help="The job file (default: the built-in job).")
    ] = None,
    home: Annotated[Path | None, typer.Option(help="The state folder (default: .oferta).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
    brief: Annotated[
        bool, typer.Option("--brief", help="One line for each model, in place of the tables.")
    ] = False,
) -> None:
    """Compare the job's models, register the best one, make it champion if the gate lets it.

    Example: oferta train DATASET --job training/jobs/insurance.toml
    """
    from dataclasses import asdict

    import orjson
    from rich.console import Console
    from rich.markup import escape

    from oferta.clock import SystemClock
    from oferta.events.dataset import open_dataset
    from oferta.home import home_folder
    from oferta.progress import Terminal
    from oferta.store.forgotten import forgotten_of
    from oferta_training.job import load_job
    from oferta_training.scoreboard import show, show_briefly
    from oferta_training.tracking import answered
    from oferta_training.train import train as run

    folder, clock, progress = home_folder(home), SystemClock(), Terminal()
    settings = load_job(job)
    opened = open_dataset(
        dataset, home=folder, clock=clock, progress=progress, forgotten=forgotten_of(folder)
    )
    with answered():
        done = run(opened, settings, home=folder, clock=clock, progress=progress)
    alias = "champion" if done.verdict.promoted else "challenger"
    if as_json:
        outcome = {
            "version": done.version.label,
            "alias": alias,
            "model": done.best.model,
            "because": done.verdict.because,
            "gate": [asdict(outcome) for outcome in done.verdict.outcomes],
            "run_id": done.run_id,
            "consent": {
                "excluded": len(done.refusing.customer_ids),
                "ledger": done.refusing.ledger,
            },
            "propensity": None
            if done.learned is None or done.learned.judged is None
            else done.learned.judged.as_json(),
            "evaluation": done.evaluation.as_json(str(dataset)),
        }
        typer.echo(orjson.dumps(outcome, option=orjson.OPT_INDENT_2))
        return
    console = Console(highlight=False)
    (show_briefly if brief else show)(done.evaluation, str(dataset), console)
    console.print(
        f"[bold]{done.best.model}[/bold] is registered as [bold]{done.version.label}[/bold], "
        f"{alias}{':' if done.verdict.promoted else ', refused by the gate:'}"
    )
    failing = [one for one in done.verdict.outcomes if not one.passed]
    for one in failing:
        console.print(f"  [bold]{one.guard}[/bold]: {escape(one.sentence)}")
    if not failing:
        console.print(f"  {escape(done.verdict.because)}")
    if done.refusing.customer_ids:
        ledger = "" if done.refusing.ledger is None else f" (ledger {done.refusing.ledger})"
        left_out = len(done.refusing.customer_ids)
        console.print(f"  {left_out} customer(s) refused training and were left out{ledger}")
    if done.learned is not None:
        told = done.learned.judged
        if told is not None:
            console.print(f"  {escape(told.sentence())}")
        if done.learned.propensity is None:
            console.print(f"  no chances by trees: {escape(done.learned.why_not)}")
    console.print("[dim]Next: oferta publish[/dim]")
