"""`oferta demo`: the whole loop on data that is at hand."""

from pathlib import Path
from typing import Annotated, Literal

import typer

DemoData = Literal["auto", "retail"]


def demo(
    data: Annotated[
        DemoData,
        typer.Option(help="auto: a simulated auto financier; retail: a grocer's real year."),
    ] = "auto",
    once: Annotated[bool, typer.Option("--once", help="End after the answers.")] = False,
    port: Annotated[int, typer.Option(help="Where the API listens.", min=1, max=65535)] = 8000,
    customers: Annotated[
        int, typer.Option(help="How many customers are simulated.", min=1000, max=1_000_000)
    ] = 20_000,
    home: Annotated[Path | None, typer.Option(help="The state folder (default: .oferta).")] = None,
) -> None:
    """Run the whole loop, from files to offers with terms and reasons, then serve until Ctrl-C.

    Example: oferta demo --once
    """
    from rich.console import Console

    from oferta.home import home_folder
    from oferta_experiments.demo.auto import run_auto
    from oferta_experiments.demo.retail import run_retail
    from oferta_experiments.demo.stage import Stage

    console, folder = Console(highlight=False), home_folder(home)
    if data == "retail":
        run_retail(Stage(console, folder / "demo-retail"), port=port, once=once)
    else:
        run_auto(Stage(console, folder / "demo"), port=port, once=once, customers=customers)
