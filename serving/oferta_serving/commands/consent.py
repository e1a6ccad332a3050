"""`oferta consent`: what customers agree to, in the ledger of this machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from oferta.privacy.ledger import Ledger

consent = typer.Typer(help="What customers agree to: show it, write it down, check the ledger.")

_Customer = Annotated[str, typer.Argument(help="The customer's id.")]
_Home = Annotated[Path | None, typer.Option(help="The state folder (default: .oferta).")]


@consent.command(epilog="Example: oferta consent show c-1042 --json")
def show(
    customer: _Customer,
    home: _Home = None,
    as_json: Annotated[bool, typer.Option("--json", help="As the API answers.")] = False,
) -> None:
    """Show what is in force of a customer, and everything they ever said."""
    from rich.console import Console
    from rich.table import Table

    from oferta.home import home_folder
    from oferta.ids import customer_id
    from oferta.store.tenants import space_of
    from oferta_serving.consent.answers import told

    customer_id(customer)
    folder = home_folder(home)
    with _ledger(folder) as ledger:
        consents = ledger.consents_of(customer, space_of(folder).digest(customer).hex())
        history = ledger.history(customer)
    if as_json:
        typer.echo(told(customer, consents, history).decode())
        return
    console = Console(highlight=False)
    if consents.erased:
        console.print("They were forgotten: nothing of theirs is used.")
    for purpose, agreed in sorted(consents.said.items()):
        console.print(f"[bold]{purpose}[/bold]  {'agreed' if agreed else 'refused'}")
    if not history:
        console.print("They never said anything here: the source's consent and the policy hold.")
        return
    table = Table("seq", "purpose", "channel", "state", "at", "source", "proof", box=None)
    for entry in history:
        cells = (entry.channel, entry.state, f"{entry.at:%Y-%m-%d %H:%M:%S}Z", entry.source)
        table.add_row(
            str(entry.seq), entry.purpose, *(cell or "" for cell in cells), entry.proof or ""
        )
    console.print(table)


@consent.command("set", epilog="Example: oferta consent set c-1042 marketing out --source letter")
def set_word(
    customer: _Customer,
    purpose: Annotated[str, typer.Argument(help="personalisation, marketing, training...")],
    state: Annotated[str, typer.Argument(help="in: they agree; out: they do not.")],
    source: Annotated[str, typer.Option(help="Where it was said.")],
    channel: Annotated[str | None, typer.Option(help="Of marketing: email, sms...")] = None,
    at: Annotated[str | None, typer.Option(help="When, RFC 3339 (default: now).")] = None,
    proof: Annotated[str | None, typer.Option(help="Where the proof lies.")] = None,
    home: _Home = None,
) -> None:
    """Write down what a customer said: in force here at once, in Redis when `oferta serve` runs."""
    from oferta.clock import SystemClock
    from oferta.home import home_folder
    from oferta.ids import customer_id
    from oferta_serving.consent.bodies import read_words
    from oferta_serving.problems import RequestRefused

    customer_id(customer)
    now = SystemClock().now()
    said = {"purpose": purpose, "state": state, "source": source}
    more = {"channel": channel, "at": at, "proof": proof}
    try:
        words = read_words(customer, {**said, **more}, now=now)
    except RequestRefused as refused:
        (error,) = refused.errors
        near = error.facts.get("nearest")
        raise RequestRefused(
            error.code, str(error.facts.get("where")), near=None if near is None else str(near)
        ) from None
    with _ledger(home_folder(home)) as ledger:
        (entry,) = ledger.append(words, received_at=now)
    again = ", as before" if entry.repeated else ""
    typer.echo(f"stored as number {entry.seq}: {purpose} {state}{again}")


@consent.command(epilog="Example: oferta consent verify")
def verify(home: _Home = None) -> None:
    """Check that no entry of the ledger was altered since, and that what is in force is theirs."""
    from oferta.home import home_folder

    with _ledger(home_folder(home)) as ledger:
        broken, snapshot = ledger.broken_at(), ledger.snapshot()
        # What is in force can be compared with entries that are as they were written alone.
        problems = ledger.disagreeing() if broken is None else [f"entry {broken} was altered"]
    for problem in problems:
        typer.echo(f"{problem}: restore the ledger from a backup", err=True)
    if problems:
        raise typer.Exit(1)
    typer.echo(f"whole: {snapshot.seq} is the last number, state {snapshot.id}")


@contextmanager
def _ledger(home: Path) -> "Iterator[Ledger]":
    from oferta.privacy.ledger import Ledger, ledger_path

    ledger = Ledger(ledger_path(home))
    try:
        yield ledger
    finally:
        ledger.close()
