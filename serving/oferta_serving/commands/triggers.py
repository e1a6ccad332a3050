"""`oferta triggers`: who is to be spoken to, and with which offer, as a file."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from datetime import date

    from oferta.decisions.base_table import BaseTable
    from oferta.decisions.engine import Engine
    from oferta.decisions.triggers import Fired, Triggers
    from oferta_serving.base.fired import FiredTriggers


def triggers(
    out: Annotated[Path, typer.Option(help="The file to write: .parquet, .csv or .ndjson.")],
    due_before: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Only what is due before this day."),
    ] = None,
    channel: Annotated[
        str, typer.Option(help="One of the policy's, or 'any': the best for each customer.")
    ] = "any",
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
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Do not remember that these triggers have fired.")
    ] = False,
    config: Annotated[
        Path, typer.Option(help="Settings, whose table `decisions` names the files to decide by.")
    ] = Path("serving/serving.toml"),
    home: Annotated[Path | None, typer.Option(help="The state folder (default: .oferta).")] = None,
) -> None:
    """Write the triggers of the policy that are due, each with the offer to make.

    Moments of the contract clock and patterns of behaviour. Each fires once: a second run over the
    same base writes none. Ids are stable, so that whoever takes them can tell.
    """
    from rich.console import Console

    from oferta.clock import SystemClock
    from oferta.home import home_folder
    from oferta_serving.base.export import check_out, write_rows
    from oferta_serving.base.fired import fired_triggers
    from oferta_serving.base.rows import trigger_rows
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
    before = None if due_before is None else due_before.date()
    with fired_triggers(folder) as seen:
        known = len(seen)
        asked, fired = asyncio.run(
            _fired(
                engine,
                table,
                channel=channel,
                at=then,
                before=before,
                seen=seen,
                home=folder,
                store=store,
            )
        )
        rows = trigger_rows(fired).sort(
            "due", "trigger", "expected_value", descending=[False, False, True]
        )
        write_rows(rows, out)
        if not dry_run:
            seen.remember(rows["trigger_id"])
    console = Console(highlight=False)
    if fired:
        shown = ["due", "trigger", "customer_id", "offer_id", "channel", "expected_value"]
        console.print(rows_table(rows.select(shown), "Due first"))
    by_trigger = rows["trigger"].value_counts(sort=True).rows()
    said = ", ".join(f"{name} {count:,}" for name, count in by_trigger)
    console.print(f"{len(rows):,} triggers{f' ({said})' if said else ''}: {out}")
    console.print(f"{known:,} fired before and are silent.", style="dim")
    if asked.refused:
        console.print("Due, but no offer can be made now:")
        console.print(refused_lines(asked.refused))


async def _fired(
    engine: "Engine",
    table: "BaseTable",
    *,
    channel: str,
    at: float,
    before: "date | None",
    seen: "FiredTriggers",
    home: Path,
    store: bool,
) -> tuple["Triggers", list["Fired"]]:
    from contextlib import AsyncExitStack

    from oferta.decisions.triggers import Triggers
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
        asked = Triggers(engine, table, at=at, totals=totals, channel=channel)
        fired: list[Fired] = []
        with Terminal().task("triggers", total=None) as advance:
            for block in asked.due(before=before, seen=seen):
                contacts = await past.contacts(list(block.customers))
                able = block.without(contacts.unreadable)
                fired += asked.fired(able, contacts.states)
                advance(len(block.due))
    return asked, fired
