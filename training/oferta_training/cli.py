"""Commands of the training side, in the order of the loop."""

import typer

from oferta_training.commands.champion import champion
from oferta_training.commands.evaluate import evaluate
from oferta_training.commands.ingest import ingest
from oferta_training.commands.monitor import monitor
from oferta_training.commands.nightly import nightly
from oferta_training.commands.publish import publish, releases, rollback
from oferta_training.commands.scores import export, recommend
from oferta_training.commands.train import train

app = typer.Typer()
app.command()(ingest)
app.command()(evaluate)
app.command()(train)
app.command()(champion)
app.command()(export)
app.command()(recommend)
app.command()(publish)
app.command()(rollback)
app.command()(releases)
app.command()(nightly)
app.command()(monitor)
