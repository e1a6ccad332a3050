"""`oferta keys`: who may call the API."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from oferta_serving.access.keyfile import KeyFile, NewKey
    from oferta_serving.principal import Scope

keys = typer.Typer(help="Who may call the API: make, list, rotate and revoke keys.")

_Home = Annotated[Path | None, typer.Option(help="The state folder (default: .oferta).")]
_Expires = Annotated[str, typer.Option(help="90d, 12h, 30m or never.")]


@keys.command(epilog="Example: oferta keys create app --scopes serve,events --expires 90d")
def create(
    name: Annotated[str, typer.Argument(help="Whose key it is: a-z, 0-9, '-' and '_'.")],
    scopes: Annotated[
        str, typer.Option(help="serve, explain, events, consent, privacy, operate; with commas.")
    ] = "serve",
    tenant: Annotated[
        str | None, typer.Option(help="Whose customers it is for (default: OFERTA_TENANT).")
    ] = None,
    expires: _Expires = "90d",
    home: _Home = None,
) -> None:
    """Make a key and print it, once: what is kept of it cannot give it back."""
    from oferta.clock import SystemClock
    from oferta.home import tenant_of_environment
    from oferta_serving.access.keyfile import lifetime

    new = _file(home).create(
        name,
        scopes=_scopes(scopes),
        tenant=tenant or tenant_of_environment(),
        lives=lifetime(expires),
        now=SystemClock().now(),
    )
    _show_once(new)


@keys.command(epilog="Example: oferta keys rotate app, then oferta keys revoke PREFIX of the old")
def rotate(
    name: Annotated[str, typer.Argument(help="Whose key gets a successor.")],
    expires: _Expires = "90d",
    home: _Home = None,
) -> None:
    """Make a second key with the same scopes. Both open until the first is revoked."""
    from oferta.clock import SystemClock
    from oferta_serving.access.keyfile import lifetime

    _show_once(_file(home).rotate(name, lives=lifetime(expires), now=SystemClock().now()))


@keys.command(epilog="Example: oferta keys revoke app")
def revoke(
    what: Annotated[str, typer.Argument(help="A name (all its keys) or a prefix (that key).")],
    home: _Home = None,
) -> None:
    """End keys: within a second they open nothing any more, in any worker."""
    from oferta.clock import SystemClock

    for key in _file(home).revoke(what, now=SystemClock().now()):
        typer.echo(f"revoked {key.name} {key.prefix}")


@keys.command("list", epilog="Example: oferta keys list")
def list_keys(home: _Home = None) -> None:
    """List all keys, without anything that would open."""
    from rich.console import Console
    from rich.table import Table

    from oferta.clock import SystemClock

    now = SystemClock().now()
    columns = ("name", "prefix", "tenant", "scopes", "created", "expires", "state")
    table = Table(*columns, box=None)
    for key in _file(home).read():
        expires = "never" if key.expires is None else f"{key.expires:%Y-%m-%d %H:%M}Z"
        created = f"{key.created:%Y-%m-%d}"
        scopes = ", ".join(key.scopes)
        table.add_row(key.name, key.prefix, key.tenant, scopes, created, expires, key.state(now))
    Console().print(table)


def _file(home: Path | None) -> "KeyFile":
    from oferta.home import top_folder
    from oferta_serving.access.keyfile import KeyFile

    return KeyFile(top_folder(home))


def _scopes(text: str) -> tuple["Scope", ...]:
    from oferta.errors import UnknownName
    from oferta_serving.principal import SCOPES

    asked = {part.strip() for part in text.split(",") if part.strip()}
    for name in sorted(asked.difference(SCOPES)):
        raise UnknownName("scope", name, SCOPES)
    return tuple(scope for scope in SCOPES if scope in asked)


def _show_once(new: "NewKey") -> None:
    stored = new.stored
    over = "never" if stored.expires is None else f"{stored.expires:%Y-%m-%d %H:%M} UTC"
    typer.echo(new.text)
    typer.echo(
        f"{stored.name}: {', '.join(stored.scopes)}; tenant {stored.tenant}; expires {over}. "
        "The key above is shown this once: only its hash is kept.",
        err=True,
    )
