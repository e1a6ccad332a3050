"""Commands of the serving side."""

import typer

app = typer.Typer()
