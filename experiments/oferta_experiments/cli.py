"""Commands of the experiments side."""

from pathlib import Path
from typing import Annotated

import typer

from oferta_experiments.commands.off_policy import off_policy
from oferta_experiments.commands.study import app as study

app = typer.Typer()
app.add_typer(study, name="study")
app.command("off-policy")(off_policy)


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="End after the answers.")] = False,
    port: Annotated[int, typer.Option(help="Where the API listens.", min=1, max=65535)] = 8000,
    home: Annotated[Path | None, typer.Option(help="The state folder (default: .oferta).")] = None,
) -> None:
    """Run the whole loop on a grocer's year, then serve it until Ctrl-C.

    Example: oferta demo --once
    """
    from rich.console import Console

    from oferta.home import home_folder
    from oferta_experiments.demo.run import run

    run(home=home_folder(home), port=port, once=once, console=Console(highlight=False))
