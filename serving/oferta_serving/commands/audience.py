"""`oferta audience`: the best customers for one offer, as a file."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from oferta.decisions.audience import Audience, Member
    from oferta.decisions.base_table import BaseTable
    from oferta.decisions.engine import Engine


def audience(
    offer: Annotated[str, typer.Argument(help="The offer's id.")],
    out: Annotated[Path, typer.Option(help="The file to write: .parquet, .csv or .ndjson.")],
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many, the best.")] = None,
    channel: Annotated[str, typer.Option(help="One of the policy's, or 'any'.")] = "any",
    scores: Annotated[
        Path | None,
        typer.Option(help="Scores of everybody (default: the newest of the state folder)."),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(help="As of then, as 2027-03-01T10:00:00+01:00 (default: noon of today)."),
    ] = None,
    store: Annotated[
        bool, typer.Option(help="Count what was said to customers before, and caps over everybody.")
    ] = True,
    config: Annotated[
        Path, typer.Option(help="Settings, whose table `decisions` names the files to decide by.")
    ] = Path("serving/serving.toml"),
    home: Annotated[Path | None, typer.Option(help="The state folder (default: .oferta).")] = None,
) -> None:
    """Write the customers to whom an offer is worth making most, by expected value.

    Rules, consent, caps and terms are applied: each member was asked again by a decision of their
    own, as a dry run. Nothing is reserved.
    """
    from rich.console import Console

    from oferta.clock import SystemClock
    from oferta.home import home_folder
    from oferta_serving.base.export import check_out, write_rows
    from oferta_serving.base.rows import member_rows
    from oferta_serving.base.sources import base_table, noon
    from oferta_serving.base.summary import refused_lines, rows_table
    from oferta_serving.commands.values import instant_of
    from oferta_serving.deciding.rules import rule_files
    from oferta_serving.settings import load_settings

    check_out(out)
    settings = load_settings(config, {}).decisions
    engine = rule_files(settings).engine()
    folder = home_folder(home)
    table = base_table(settings, scores=scores, home=folder)
    then = noon(engine, SystemClock()) if at is None else instant_of(at)
    found, members, unreadable = asyncio.run(
        _asked(
            engine, table, offer, channel=channel, at=then, limit=limit, home=folder, store=store
        )
    )
    rows = member_rows(members)
    write_rows(rows, out)
    console = Console(highlight=False)
    if members:
        shown = ["rank", "customer_id", "channel", "propensity", "expected_value", "instalment"]
        console.print(rows_table(rows.select(shown), f"Audience of {offer}"))
    console.print(f"{len(members):,} members of {found.found:,} to whom it could be made: {out}")
    refused = dict(found.refused) | ({"unreadable": unreadable} if unreadable else {})
    if refused:
        console.print("Asked again and left out:")
        console.print(refused_lines(refused))


async def _asked(
    engine: "Engine",
    table: "BaseTable",
    offer: str,
    *,
    channel: str,
    at: float,
    limit: int | None,
    home: Path,
    store: bool,
) -> tuple["Audience", list["Member"], int]:
    from contextlib import AsyncExitStack

    from oferta.decisions.audience import Audience
    from oferta.progress import Terminal
    from oferta_serving.base.states import NoPast, stored_past
    from oferta_serving.settings import read_environment

    async with AsyncExitStack() as stack:
        past = (
            await stack.enter_async_context(
                stored_past(home, redis_url=read_environment().redis_url)
            )
            if store
            else NoPast()
        )
        totals = await past.totals(engine, at=at)
        found = Audience(engine, table, offer, at=at, channel=channel, totals=totals)
        members: list[Member] = []
        unreadable = 0
        progress = Terminal()
        ids = found.ranked(limit=limit, progress=progress)
        with progress.task("asking again", total=len(ids)) as advance:
            for people in found.blocks(ids):
                contacts = await past.contacts([customer for customer, _ in people])
                able = [one for one in people if one[0] not in contacts.unreadable]
                unreadable += len(people) - len(able)
                members += found.members(able, contacts.states, limit=limit)
                advance(len(people))
                if limit is not None and len(members) >= limit:
                    break
    return found, members, unreadable
