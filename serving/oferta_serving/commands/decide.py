"""`oferta decide`: one decision, asked of the store directly, to read."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from oferta.decisions.request import Request
    from oferta_serving.deciding.decider import Answered
    from oferta_serving.settings import ServingSettings


def decide(
    customer: Annotated[str, typer.Argument(help="The customer's id.")],
    channel: Annotated[str, typer.Option(help="One of the policy's, or 'any'.")] = "any",
    placement: Annotated[
        list[str] | None, typer.Option(help="Repeat for several; none: all of the channel.")
    ] = None,
    context: Annotated[
        list[str] | None, typer.Option(help="A field of the placements' context, as kwh=7.5.")
    ] = None,
    wish: Annotated[
        list[str] | None, typer.Option(help="What the customer wishes, as instalment=250.")
    ] = None,
    offer: Annotated[
        list[str] | None, typer.Option(help="Only this offer; repeat for several.")
    ] = None,
    n: Annotated[int | None, typer.Option("-n", help="At most so many offers.")] = None,
    at: Annotated[
        str | None,
        typer.Option(help="As if it were then, as 2027-03-01T10:00:00+01:00: a dry run."),
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="Reserve and store nothing.")] = False,
    personalise: Annotated[bool, typer.Option(help="Whether the customer may matter.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print what the API answers.")] = False,
    config: Annotated[
        Path, typer.Option(help="Settings, whose table `decisions` names the files to decide by.")
    ] = Path("serving/serving.toml"),
    home: Annotated[Path | None, typer.Option(help="The state folder (default: .oferta).")] = None,
) -> None:
    """Decide which offers to make to a customer now, with terms and reasons.

    The decision is stored and holds its places under the caps, as one of the API is.
    """
    import orjson
    from rich.console import Console

    from oferta.home import home_folder
    from oferta_serving.commands.values import instant_of, values_of
    from oferta_serving.deciding.answers import decision_answer
    from oferta_serving.deciding.bodies import one_request
    from oferta_serving.deciding.page import decision_page
    from oferta_serving.settings import load_settings

    settings = load_settings(config, {})
    then = None if at is None else instant_of(at)
    fields: dict[str, object] = {
        "customer_id": customer,
        "channel": channel,
        "placements": placement or [],
        "context": values_of(context or [], "--context"),
        "offers": offer or [],
        "explain": True,
        "dry_run": dry_run or then is not None,
        "personalise": personalise,
    }
    if n is not None:
        fields["n"] = n
    if wish:
        fields["wish"] = values_of(wish, "--wish")
    made = asyncio.run(_decided(settings, home_folder(home), one_request(fields), then))
    answer = decision_answer(made, settings.freshness)
    if as_json:
        typer.echo(orjson.dumps(answer, option=orjson.OPT_INDENT_2))
        return
    Console(highlight=False).print(decision_page(made))


async def _decided(
    settings: "ServingSettings", home: Path, request: "Request", at: float | None
) -> "Answered":
    from oferta.clock import SystemClock
    from oferta_serving.deciding.opened import opened

    async with opened(settings, home, clock=SystemClock()) as deciding:
        return await deciding.decider.decide(request, at=at)
