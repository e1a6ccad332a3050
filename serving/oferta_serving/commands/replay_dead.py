"""`oferta replay-dead`: dead letters listed by reason, and put back."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from oferta.store.events import EventStore


def replay_dead(
    reason: Annotated[
        str | None, typer.Option(help="Only those that died of this (default: all).")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List them and change nothing.")
    ] = False,
    config: Annotated[
        Path | None, typer.Option(help="Settings; serving/serving.toml shows them all.")
    ] = None,
    home: Annotated[Path | None, typer.Option(help="The state folder (default: .oferta).")] = None,
) -> None:
    """Put events back that could not be applied: `oferta consume` tries them again.

    Each still has its effect once, however often it is put back.
    """
    from rich.console import Console
    from rich.table import Table

    from oferta.home import home_folder
    from oferta.store.connecting import StoreSettings, connect
    from oferta.store.events_redis import RedisEvents
    from oferta_serving.settings import load_settings, read_environment

    settings = load_settings(config, {})
    with connect(StoreSettings(home_folder(home), read_environment().redis_url)) as store:
        events = RedisEvents(
            store.url, store.space, keeping=settings.events.keeping, deadline_s=5.0
        )
        counts = asyncio.run(_replay(events, reason, dry_run=dry_run))
    console = Console(highlight=False)
    if not counts:
        console.print("No dead letters" + (f" of reason '{reason}'." if reason else "."))
        return
    table = Table("reason", "events", box=None)
    for name, count in counts.most_common():
        table.add_row(name, f"{count:,}")
    console.print(table)
    total = sum(counts.values())
    console.print(f"{total:,} would be put back." if dry_run else f"{total:,} put back.")


async def _replay(events: "EventStore", reason: str | None, *, dry_run: bool) -> Counter[str]:
    from oferta.events.event import START
    from oferta.store.keys import SHARDS

    counts: Counter[str] = Counter()
    try:
        for shard in range(SHARDS):
            after, chosen = START, []
            while letters := await events.letters(shard, "dead", after=after, count=500):
                after = letters[-1].position
                chosen += [
                    (one.position, one.reason)
                    for one in letters
                    if reason is None or one.reason == reason
                ]
            counts.update(why for _, why in chosen)
            if chosen and not dry_run:  # after all were listed: some may die again at once
                await events.put_back(shard, "dead", [position for position, _ in chosen])
    finally:
        await events.close()
    return counts
