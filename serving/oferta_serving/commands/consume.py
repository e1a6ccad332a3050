"""`oferta consume`: what customers did, applied."""

from pathlib import Path
from typing import Annotated

import typer


def consume(
    metrics_port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help="Where Prometheus asks, on this machine only."),
    ] = None,
    take_archive: Annotated[
        bool,
        typer.Option(
            "--take-archive",
            help="Archive here from now on, whoever did; with [events] archive = false: nobody.",
        ),
    ] = False,
    config: Annotated[
        Path | None, typer.Option(help="Settings; serving/serving.toml shows them all.")
    ] = None,
    home: Annotated[Path | None, typer.Option(help="The state folder (default: .oferta).")] = None,
) -> None:
    """Apply events: what customers do changes the next answer, and goes to the archive.

    Any number of these may run, on any machine: each event has its effect once, whoever is killed
    when. Stopped by SIGTERM or Ctrl-C, it finishes what it has begun.
    """
    from oferta.clock import SystemClock
    from oferta.home import home_folder
    from oferta.store.connecting import StoreSettings, connect
    from oferta_serving import logs
    from oferta_serving.consuming.consumer import Consuming
    from oferta_serving.consuming.consumer import consume as run
    from oferta_serving.settings import load_settings, read_environment

    settings = load_settings(config, {})
    folder = home_folder(home)
    logs.configure(settings.log_format)
    with connect(StoreSettings(folder, read_environment().redis_url)) as store:
        run(
            Consuming(
                settings.events,
                store.url,
                store.space,
                folder,
                SystemClock(),
                metrics_port,
                take_archive,
            )
        )
