"""Commands of the experiments side."""

import typer

from oferta_experiments.commands.demo import demo
from oferta_experiments.commands.off_policy import off_policy
from oferta_experiments.commands.simulate import simulate
from oferta_experiments.commands.study import app as study
from oferta_experiments.commands.world import world

app = typer.Typer()
app.add_typer(study, name="study")
app.command("off-policy")(off_policy)
app.command("world")(world)
app.command("simulate")(simulate)
app.command()(demo)
