"""`oferta doctor`: what is wrong with this installation, and what to do."""

from pathlib import Path
from typing import Annotated

import typer


def doctor(
    config: Annotated[
        Path | None, typer.Option(help="Settings; serving/serving.toml shows them all.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    home: Annotated[Path | None, typer.Option(help="The state folder (default: .oferta).")] = None,
) -> None:
    """Look at settings, secrets, disk, Redis and the live release; say what to do.

    Changes nothing. Exits with 1 where anything is wrong, so that a deployment can ask it first.
    """
    from dataclasses import asdict

    import orjson
    from rich.console import Console

    from oferta.clock import SystemClock
    from oferta.home import home_folder
    from oferta_serving.doctor.examine import examine
    from oferta_serving.doctor.show import show

    findings = list(examine(config, home_folder(home), clock=SystemClock()))
    if as_json:
        listed = [asdict(each) for each in findings]
        typer.echo(orjson.dumps(listed, option=orjson.OPT_INDENT_2))
    else:
        show(findings, Console(highlight=False))
    if any(each.state == "wrong" for each in findings):
        raise typer.Exit(1)
