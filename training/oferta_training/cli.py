"""Commands of the training side."""

import typer

app = typer.Typer()
