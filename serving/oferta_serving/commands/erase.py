"""`oferta erase`: forget a customer everywhere; go on with what the API was asked for."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from oferta.privacy.erasures import Erasure
    from oferta_serving.erasing.runner import Run

_PAUSE_S = 1.0
_PATIENCE_S = 600.0


def erase(
    customer: Annotated[
        str | None, typer.Argument(help="The customer's id; none with --resume.")
    ] = None,
    *,
    reason: Annotated[
        str, typer.Option(help="Why, for the receipt. Name nobody in it.")
    ] = "the customer asked",
    wait: Annotated[
        bool, typer.Option("--wait", help="Until it is done: ten minutes at most.")
    ] = False,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with all that are open, and look for what came back."),
    ] = False,
    forget_tombstone: Annotated[
        bool,
        typer.Option(
            "--forget-tombstone",
            help="They are a customer anew, by a new contract: take their data again from now on.",
        ),
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Only check that no receipt was altered.")
    ] = False,
    home: Annotated[Path | None, typer.Option(help="The state folder (default: .oferta).")] = None,
) -> None:
    """Forget a customer everywhere: store, archive, datasets, scores, models; with a receipt.

    From the first moment on every answer is a stranger's. Run `oferta erase --resume` every few
    minutes, by a timer: it goes on with whatever was asked for, after any crash, until no place
    holds anything.
    """
    from oferta.errors import SettingsInvalid
    from oferta.home import home_folder
    from oferta.ids import customer_id

    if (customer is None) != (resume or check):
        raise SettingsInvalid("oferta erase", ["name a customer, or --resume, or --check"])
    if customer is not None:
        customer_id(customer)
    folder = home_folder(home)
    if check:
        _end_checked(asyncio.run(_broken(folder)))
    elif customer is not None and forget_tombstone:
        _end_returned(asyncio.run(_returned(folder, customer, reason)))
    elif customer is None:
        _show_run(asyncio.run(_resumed(folder)))
    else:
        _show(asyncio.run(_erased(folder, customer, reason, patient=wait)))


async def _erased(home: Path, customer: str, reason: str, *, patient: bool) -> "Erasure":
    import time

    from oferta.clock import SystemClock
    from oferta_serving.erasing.requests import new_id
    from oferta_serving.erasing.runner import grounded, running
    from oferta_serving.settings import read_environment

    async with grounded(home, read_environment().redis_url, clock=SystemClock()) as ground:
        with running(ground) as runner:
            made = await runner.saga.request(new_id(), ground.subject(customer), reason)
            until = time.monotonic() + (_PATIENCE_S if patient else 0.0)
            while True:
                await runner.run()
                made = runner.erasures.of(made.id) or made
                if made.state == "done" or time.monotonic() >= until:
                    return made
                await asyncio.sleep(_PAUSE_S)


async def _resumed(home: Path) -> "Run":
    from oferta.clock import SystemClock
    from oferta_serving.erasing.runner import grounded, running
    from oferta_serving.settings import read_environment

    async with grounded(home, read_environment().redis_url, clock=SystemClock()) as ground:
        with running(ground) as runner:
            return await runner.run()


async def _returned(home: Path, customer: str, reason: str) -> bool:
    from oferta.clock import SystemClock
    from oferta_serving.erasing.runner import grounded, running
    from oferta_serving.settings import read_environment

    clock = SystemClock()
    async with grounded(home, read_environment().redis_url, clock=clock) as ground:
        with running(ground) as runner:
            subject = ground.subject(customer)
            at = clock.now().timestamp()
            had_been = runner.erasures.let_return(subject.tombstone, reason, at=at)
            # Also where nothing was to be done: the last try may not have come so far.
            await ground.wire.ask([(b"UNLINK", ground.space.consent(subject.digest))])
            return had_been


async def _broken(home: Path) -> list[str]:
    from oferta.clock import SystemClock
    from oferta_serving.erasing.runner import grounded
    from oferta_serving.settings import read_environment

    async with grounded(home, read_environment().redis_url, clock=SystemClock()) as ground:
        return ground.receipts.broken()


def _show(erasure: "Erasure") -> None:
    typer.echo(f"{erasure.id}: {erasure.state}")
    for place in sorted(erasure.places, key=lambda one: one.place):
        trouble = f"  ({place.trouble})" if place.trouble else ""
        typer.echo(f"  {place.place:10} {place.state:8} {place.erased:>8,} removed{trouble}")
    if erasure.receipt is not None:
        typer.echo(f"receipt: {erasure.receipt}")
    else:
        typer.echo("Every answer is a stranger's already. The rest: oferta erase --resume")


def _show_run(run: "Run") -> None:
    done = sum(erasure.state == "done" for erasure in run.erasures)
    typer.echo(f"{done} of {len(run.erasures)} open erasures are done now.")
    for erasure in run.erasures:
        waiting = [place for place in erasure.places if place.state == "waiting"]
        for place in waiting:
            typer.echo(f"  {erasure.id} waits for {place.place} ({place.trouble})")
        if erasure.state != "done" and not waiting:
            typer.echo(f"  {erasure.id} {_why_open(erasure)}")
    if any(erasure.state != "done" for erasure in run.erasures):
        typer.echo("Every answer is a stranger's already. Then run again: oferta erase --resume")
    for name in run.unseen:
        typer.echo(f"{name} could not be searched for who was forgotten before: the next run does")
    if run.came_back:
        typer.echo(f"{run.came_back} things had come back of who was forgotten, and went again.")


def _why_open(erasure: "Erasure") -> str:
    from oferta.clock import instant
    from oferta.privacy.erasure import SETTLE_S

    if not erasure.sought:
        return "waits for the archive and the streams: their sessions could not be looked for"
    until = instant(erasure.requested_at + SETTLE_S)
    return f"waits until {until}: by then all that had read of them before has ended"


def _end_checked(broken: list[str]) -> None:
    for name in broken:
        typer.echo(f"{name} was altered, or one before it is missing", err=True)
    if broken:
        raise typer.Exit(1)
    typer.echo("All receipts are as they were written.")


def _end_returned(had_been: bool) -> None:
    if not had_been:
        typer.echo("Nobody with this id was forgotten: there is nothing to do.")
        return
    typer.echo("They are a customer anew. What was erased stays erased.")
