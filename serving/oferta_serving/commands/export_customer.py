"""`oferta export-customer`: everything that is held of one customer, as a file."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer


def export_customer(
    customer: Annotated[str, typer.Argument(help="The customer's id.")],
    out: Annotated[Path, typer.Option(help="The file to write: .json, or .zip with tables.")],
    home: Annotated[Path | None, typer.Option(help="The state folder (default: .oferta).")] = None,
) -> None:
    """Write everything that is held of a customer, from every place, with where it is from.

    Fails where a place cannot be read: an export that lacks one would be no answer.
    """
    from oferta.errors import SettingsInvalid
    from oferta.home import home_folder
    from oferta.ids import customer_id

    if out.suffix not in {".json", ".zip"}:
        raise SettingsInvalid(out, ["the ending must be .json or .zip"])
    if not out.parent.is_dir():
        raise SettingsInvalid(out, [f"{out.parent} is no folder: make it, or write elsewhere"])
    customer_id(customer)
    rows = asyncio.run(_written(home_folder(home), customer, out))
    typer.echo(f"{rows:,} things from every place: {out}")


async def _written(home: Path, customer: str, out: Path) -> int:
    import os

    from oferta.clock import SystemClock
    from oferta_serving.erasing.export import as_json, as_zip, exported
    from oferta_serving.erasing.runner import grounded
    from oferta_serving.settings import read_environment

    async with grounded(home, read_environment().redis_url, clock=SystemClock()) as ground:
        held = await exported(ground, customer)
    draft = out.with_name(f".{out.name}.{os.getpid()}.draft")
    try:
        draft.touch(mode=0o600)  # it is personal: nobody else reads it
        draft.write_bytes(as_json(held) if out.suffix == ".json" else as_zip(held))
        draft.replace(out)
    finally:
        draft.unlink(missing_ok=True)
    places = held["held"]
    return sum(map(len, places.values())) if isinstance(places, dict) else 0
