"""`oferta replay`: a stored decision, made again from its record."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from oferta_serving.deciding.past import PastDecision


def replay(
    decision: Annotated[str, typer.Argument(help="The decision's id, as it was answered.")],
    home: Annotated[Path | None, typer.Option(help="The state folder (default: .oferta).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the decision as JSON.")] = False,
) -> None:
    """Make a stored decision again, from what was known and the files it was made with.

    Ends with 0 where the answer is the same, with 1 and the differences where it is not.
    """
    import orjson
    from rich.console import Console

    from oferta.decisions.record import Record
    from oferta.decisions.replay import differences
    from oferta.decisions.replay import replay as replayed
    from oferta.home import home_folder
    from oferta_serving.deciding.answers import receipt_of
    from oferta_serving.deciding.decider import Answered
    from oferta_serving.deciding.files import rulebook_of
    from oferta_serving.deciding.page import decision_page, difference_page

    past, files = asyncio.run(_read(home_folder(home), decision))
    record = Record(past.request, past.known, past.decision)
    again = replayed(rulebook_of(files).engine, record)
    found = differences(past.decision, again)
    if as_json:
        said = {
            **receipt_of(past),
            "same": not found,
            "differs_in": [one.field for one in found],
        }
        typer.echo(orjson.dumps(said, option=orjson.OPT_INDENT_2))
    else:
        console = Console(highlight=False)
        degraded = past.notes.get("degraded_reason")
        console.print(decision_page(Answered(past.id, past.request, past.decision, degraded)))
        if found:
            console.print(difference_page(found))
        else:
            console.print("Replayed: the same decision, to the last digit.", style="green")
    if found:
        raise typer.Exit(1)


async def _read(home: Path, decision_id: str) -> tuple["PastDecision", dict[str, str]]:
    from oferta.store.connecting import StoreSettings, connect
    from oferta.store.decisions_redis import RedisDecisions
    from oferta_serving.consent.words import words_here
    from oferta_serving.deciding.past import Past
    from oferta_serving.metrics import Metrics
    from oferta_serving.problems import RequestRefused
    from oferta_serving.settings import load_settings, read_environment

    store = connect(StoreSettings(home, read_environment().redis_url))
    records = RedisDecisions(store.url, store.space, deadline_s=5.0)
    try:
        words = words_here(load_settings(None, {}), home)
        past = Past(records, store.space, Metrics(), words=words)
        (found,) = await past.of([decision_id])
        if found is None:
            raise RequestRefused("decision.unknown")
        return found, await past.files(found)
    finally:
        await records.close()
        await store.aclose()
