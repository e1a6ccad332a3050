"""`oferta serve`: the HTTP API."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer


def serve(
    host: Annotated[
        str | None, typer.Option(help="Where to listen; beyond this machine only with API keys.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="0 takes a free one.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; one per core is enough.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="Settings; serving/serving.toml shows them all.")
    ] = None,
    home: Annotated[Path | None, typer.Option(help="The state folder (default: .oferta).")] = None,
) -> None:
    """Serve recommendations and decisions over HTTP.

    Reads the live release from the Redis of OFERTA_REDIS_URL, or from the embedded one under the
    state folder. Before the first `oferta publish` it answers with empty lists that say so.
    """
    from oferta.errors import SettingsInvalid
    from oferta.home import DEFAULT_TENANT, TENANT_VARIABLE, home_folder, tenant_of_environment
    from oferta.store.connecting import StoreSettings, connect
    from oferta_serving.access.keyfile import KeyFile
    from oferta_serving.server import run
    from oferta_serving.settings import check_reach, load_settings, read_environment

    given = {"host": host, "port": port, "workers": workers}
    if tenant_of_environment() != DEFAULT_TENANT:
        raise SettingsInvalid(
            TENANT_VARIABLE, ["a server serves all tenants that its settings name: leave it out"]
        )
    settings = load_settings(
        config, {name: value for name, value in given.items() if value is not None}
    )
    environment = read_environment()
    folder = home_folder(home)
    check_reach(settings.host, folder)
    KeyFile(folder).remember()
    if settings.decisions.policy is not None or settings.tenants:
        from oferta_serving.deciding.files import load_rulebook
        from oferta_serving.deciding.rules import rule_files

        # A mistake is told here, with every other one, rather than by a server without decisions.
        for tenant in (DEFAULT_TENANT, *settings.tenants):
            decisions = settings.of(tenant).decisions
            if decisions.policy is not None:
                load_rulebook(rule_files(decisions))
    # This process joins the embedded Redis for all workers, is the last of them to leave it, and
    # starts it again where it dies.
    with (
        connect(StoreSettings(folder, environment.redis_url)) as store,
        nullcontext() if store.server is None else store.server.kept(),
    ):
        run(settings, store.url, folder)
