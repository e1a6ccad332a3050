"""`oferta champion`: which version is champion, which were, and going back to one of those."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from oferta_training.registry import Standing


def champion(
    model: Annotated[
        str | None, typer.Argument(help="The registered model (default: the only one).")
    ] = None,
    *,
    to: Annotated[
        int | None, typer.Option(min=1, help="Make this earlier champion champion again.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why: the publication log keeps it. With --to.")] = "",
    home: Annotated[
        Path | None, typer.Option(help="The state folder. Default: OFERTA_HOME, else .oferta.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List a model's versions and what the gate said of them, or go back to an earlier champion.

    What is live changes only when the champion is published.

    Example: oferta champion insurance --to 3 --reason "sales of add-ons fell"
    """
    import json

    from oferta.clock import SystemClock
    from oferta.errors import SettingsInvalid
    from oferta.home import home_folder
    from oferta_training import promotions, registry
    from oferta_training.publications import PublicationLog, publication_log_path

    folder = home_folder(home)
    name = registry.model_name(folder, model)
    if to is None:
        if reason:
            raise SettingsInvalid("--reason", ["goes with --to VERSION"])
        found = registry.standings(folder, name)
        reigns = PublicationLog(publication_log_path(folder), SystemClock()).reigns(name)
        since = {label: at.isoformat() for label, at in reigns}
        typer.echo(
            json.dumps([_as_json(one, since) for one in found]) if as_json else _table(found, since)
        )
        return
    if not reason.strip():
        raise SettingsInvalid("--reason", ["say why: the publication log keeps it"])
    version, before = promotions.roll_back(
        folder, name, to, reason=reason.strip(), clock=SystemClock(), by="oferta champion"
    )
    replaced = None if before is None else before.label
    if as_json:
        typer.echo(json.dumps({"champion": version.label, "replaced": replaced}))
        return
    typer.echo(
        f"{version.label} ({version.model}) is champion again, in place of {replaced}. "
        "It goes live with the next `oferta publish`."
    )


def _as_json(one: "Standing", since: Mapping[str, str]) -> dict[str, object]:
    return {
        "version": one.version.label,
        "model": one.version.model,
        "aliases": list(one.aliases),
        "promoted_at": since.get(one.version.label),
        "gate": one.gate,
        "run_id": one.version.run_id,
    }


def _table(found: "list[Standing]", since: Mapping[str, str]) -> str:
    lines = [f"{'version':>7}  {'alias':10}  {'promoted at':19}  {'model':14}  gate"]
    lines += [
        f"{one.version.number:>7}  {', '.join(one.aliases) or '-':10}  "
        f"{since.get(one.version.label, '-')[:19]:19}  {one.version.model:14}  {one.gate}"
        for one in found
    ]
    return "\n".join(lines)
