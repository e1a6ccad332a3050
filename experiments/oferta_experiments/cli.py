"""Commands of the experiments side."""

import typer

app = typer.Typer()
