"""`oferta whatif`: who gains and who loses by a new policy, catalogue or rate card."""

from pathlib import Path
from typing import Annotated

import typer


def whatif(
    policy: Annotated[Path | None, typer.Option(help="The new policy.toml.")] = None,
    catalogue: Annotated[Path | None, typer.Option(help="The new folder of offers.")] = None,
    cards: Annotated[Path | None, typer.Option(help="The new folder of rate cards.")] = None,
    scores: Annotated[
        Path | None,
        typer.Option(help="Scores of everybody (default: the newest of the state folder)."),
    ] = None,
    channel: Annotated[str, typer.Option(help="One of the policy's, or 'any'.")] = "any",
    placement: Annotated[
        list[str] | None, typer.Option(help="Repeat for several; none: all without a context.")
    ] = None,
    context: Annotated[
        list[str] | None, typer.Option(help="A field of the placements' context, as kwh=7.5.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(help="As of then, as 2027-03-01T10:00:00+01:00 (default: noon of today)."),
    ] = None,
    max_losers: Annotated[
        str | None,
        typer.Option(help="End with 1 if more than this share lose every offer, as 1%."),
    ] = None,
    max_value_drop: Annotated[
        str | None,
        typer.Option(help="End with 1 if the expected value falls by more than this, as 5%."),
    ] = None,
    page: Annotated[Path | None, typer.Option(help="Write an HTML page, too.")] = None,
    customers: Annotated[
        Path | None,
        typer.Option(help="Write for whom anything changes, and what: a .parquet file."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False,
    config: Annotated[
        Path, typer.Option(help="Settings, whose table `decisions` names the files in force.")
    ] = Path("serving/serving.toml"),
    home: Annotated[Path | None, typer.Option(help="The state folder (default: .oferta).")] = None,
) -> None:
    """Compare new files with those in force over the whole base, before they are in force.

    Every customer's best offer under both: who gains, who loses every offer, expected value, mix by
    segment, family and risk. Ends with 1 if a stated bound is broken. Nothing is reserved.
    """
    import orjson
    from rich.console import Console

    from oferta.clock import SystemClock
    from oferta.decisions.request import Request
    from oferta.decisions.whatif import what_if
    from oferta.errors import SettingsInvalid
    from oferta.home import home_folder
    from oferta.progress import Terminal
    from oferta_serving.base.changed import ChangedCustomers
    from oferta_serving.base.numbers import percent, share_of
    from oferta_serving.base.sources import base_table, changed_files, noon
    from oferta_serving.base.whatif_page import whatif_json, write_whatif_page
    from oferta_serving.base.whatif_table import whatif_lines
    from oferta_serving.commands.values import instant_of, plain_values_of
    from oferta_serving.deciding.rules import rule_files
    from oferta_serving.settings import load_settings

    if policy is None and catalogue is None and cards is None:
        raise SettingsInvalid("oferta whatif", ["name what is new: --policy, --catalogue, --cards"])
    bounds = {
        "--max-losers": None if max_losers is None else share_of(max_losers, "--max-losers"),
        "--max-value-drop": (
            None if max_value_drop is None else share_of(max_value_drop, "--max-value-drop")
        ),
    }
    settings = load_settings(config, {}).decisions
    files = rule_files(settings)
    before = files.engine()
    after = changed_files(files, policy=policy, catalogue=catalogue, cards=cards).engine()
    table = base_table(settings, scores=scores, home=home_folder(home))
    request = Request(
        "",
        channel,
        tuple(placement or ()),
        context=plain_values_of(context or [], "--context"),
        dry_run=True,
    )
    then = noon(before, SystemClock()) if at is None else instant_of(at)
    kept = None if customers is None else ChangedCustomers(customers)
    found = what_if(
        table,
        before,
        after,
        request=request,
        at=then,
        keep=None if kept is None else kept.keep,
        progress=Terminal(),
    )
    if kept is not None:
        kept.write()
    if page is not None:
        write_whatif_page(found, page)
    if as_json:
        typer.echo(orjson.dumps(whatif_json(found), option=orjson.OPT_INDENT_2))
    else:
        Console(highlight=False).print(whatif_lines(found))
    reached = {"--max-losers": found.losers, "--max-value-drop": -found.value_change}
    broken = [
        f"{option} {percent(bound)}: it is {percent(reached[option])}"
        for option, bound in bounds.items()
        if bound is not None and reached[option] > bound
    ]
    for one in broken:
        typer.echo(f"oferta whatif: bound broken: {one}", err=True)
    if broken:
        raise typer.Exit(1)
