"""The composition root of a process: the gate, the pages, and the tenants behind them.

`ports` is what a tenant is given, `tenant_services` puts its parts together, `tenant_app` its
routes, `lifespan` starts and stops them.
"""

from collections.abc import Mapping

from fastapi import FastAPI

from oferta.clock import Clock
from oferta_serving.access.keyring import Keyring
from oferta_serving.documented import with_problem_schema
from oferta_serving.gate import Gate
from oferta_serving.pages import add_pages
from oferta_serving.ports import TenantPorts
from oferta_serving.schemas import ProblemAnswer
from oferta_serving.services import Process
from oferta_serving.settings import ServingSettings
from oferta_serving.tenant_app import tenant_app
from oferta_serving.turns import Turns


def create_app(
    settings: ServingSettings,
    ports: TenantPorts,
    *,
    keyring: Keyring | None = None,
    clock: Clock | None = None,
    process: Process | None = None,
    tenants: Mapping[str, FastAPI] | None = None,
) -> FastAPI:
    """The API over the stores of the default tenant, behind the gate.

    Args:
        settings: of `serving.toml`.
        ports: the default tenant's.
        keyring: who may call; None: those whose keys the state folder has.
        clock: tells when offers start and end, where no `process` is given; else the machine's.
        process: what all tenants share; one of its own, unless given.
        tenants: the applications of further tenants, from `tenant_app` with the same `process`.
    """
    process = process or Process.of(settings, clock=clock)
    others = dict(tenants or {})
    app = tenant_app(settings, ports, process=process, others=tuple(others.values()))
    if settings.shows_docs:
        add_pages(app)
        with_problem_schema(
            app.openapi(),
            ProblemAnswer.model_json_schema(ref_template="#/components/schemas/{model}"),
        )
    app.add_middleware(
        Gate,
        limits=settings.limits,
        keyring=keyring or Keyring(ports.home, process.clock, audit=process.audit),
        audit=process.audit,
        rates=process.rates,
        tenants=others,
        turns=Turns(process.turnstile),
        metrics=process.metrics,
        access_log=settings.access_log,
    )
    return app
