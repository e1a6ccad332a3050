"""`oferta world`: a simulated auto-finance seller, as source files and as the truth behind them."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer


def world(
    *,
    out: Annotated[Path, typer.Option("--out", help="The folder to write.", metavar="DIR")],
    customers: Annotated[int, typer.Option(help="How many customers.", min=1)] = 50_000,
    months: Annotated[int, typer.Option(help="How many months of history.", min=1)] = 36,
    seed: Annotated[int, typer.Option(help="The same seed gives the same world.", min=0)] = 7,
    end: Annotated[
        datetime,
        typer.Option(formats=["%Y-%m-%d"], help="The first day after it, the first of a month."),
    ] = datetime(2026, 11, 1),  # noqa: DTZ001 - a day
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace a simulated world that is there.")
    ] = False,
) -> None:
    """Write a simulated seller: customers, cars, contracts, events, consent, and truth/.

    Nothing in it is real, and every file says so. `oferta ingest DIR` takes it as it is.

    Example: oferta world --customers 50000 --months 36 --seed 7 --out world/
    """
    from oferta.progress import Terminal
    from oferta_experiments.world.build import WorldSpec, write_world

    spec = WorldSpec(customers, months, seed, end.date())
    write_world(spec, out, replace=replace, progress=Terminal())
    typer.echo(f"{out}: {customers:,} simulated customers over {months} months, until {spec.end}")
    typer.echo(f"Next: oferta ingest {out} --out DATASET")
