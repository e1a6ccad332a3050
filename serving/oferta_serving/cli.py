"""Commands of the serving side."""

import typer

from oferta_serving.commands.audience import audience
from oferta_serving.commands.consent import consent
from oferta_serving.commands.consume import consume
from oferta_serving.commands.decide import decide
from oferta_serving.commands.doctor import doctor
from oferta_serving.commands.erase import erase
from oferta_serving.commands.export_customer import export_customer
from oferta_serving.commands.keys import keys
from oferta_serving.commands.replay import replay
from oferta_serving.commands.replay_dead import replay_dead
from oferta_serving.commands.serve import serve
from oferta_serving.commands.triggers import triggers
from oferta_serving.commands.whatif import whatif

app = typer.Typer()
app.command(epilog="Example: oferta serve --port 8000, then curl localhost:8000/v1/popular?n=3")(
    serve
)
app.command(epilog="Example: oferta consume --metrics-port 9101")(consume)
app.command(epilog="Example: oferta replay-dead --reason product --dry-run")(replay_dead)
app.command(epilog="Example: oferta decide c-1042 --channel app --placement home --dry-run")(decide)
app.command(epilog="Example: oferta replay d_0a35d1f2c3b4a5968778695a4b")(replay)
app.command(epilog="Example: oferta whatif --policy new-policy.toml --max-losers 1%")(whatif)
app.command(epilog="Example: oferta audience balloon-refinance --out members.csv --limit 500")(
    audience
)
app.command(epilog="Example: oferta triggers --out due.csv --due-before 2026-12-01")(triggers)
app.command(epilog='Example: oferta erase c-1042 --reason "request of 2026-11-23" --wait')(erase)
app.command(epilog="Example: oferta export-customer c-1042 --out c-1042.zip")(export_customer)
app.command(epilog="Example: oferta doctor --config serving/serving.toml")(doctor)
app.add_typer(keys, name="keys", epilog="Example: oferta keys create app --scopes serve,events")
app.add_typer(consent, name="consent", epilog="Example: oferta consent show c-1042")
