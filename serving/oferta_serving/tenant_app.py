"""The application of one tenant: its routes over its services. Nobody but the gate calls it."""

from collections.abc import Sequence
from importlib.metadata import version

from fastapi import FastAPI
from starlette.exceptions import HTTPException

from oferta_serving.lifespan import lifespan_of
from oferta_serving.ports import TenantPorts
from oferta_serving.problems import RequestRefused
from oferta_serving.responses import BareRoute, Refusals
from oferta_serving.routes.base import add_base_routes
from oferta_serving.routes.batch import add_batch_routes
from oferta_serving.routes.consent import add_consent_routes
from oferta_serving.routes.customers import add_customer_routes
from oferta_serving.routes.decisions import add_decision_routes
from oferta_serving.routes.events import add_event_routes
from oferta_serving.routes.feedback import add_feedback_routes
from oferta_serving.routes.operations import add_operation_routes
from oferta_serving.routes.privacy import add_privacy_routes
from oferta_serving.routes.products import add_product_routes
from oferta_serving.routes.profiles import add_profile_routes
from oferta_serving.services import Process
from oferta_serving.settings import ServingSettings
from oferta_serving.tenant_services import tenant_services

ROUTES = (
    add_customer_routes,
    add_batch_routes,
    add_consent_routes,
    add_product_routes,
    add_decision_routes,
    add_feedback_routes,
    add_event_routes,
    add_profile_routes,
    add_privacy_routes,
    add_base_routes,
    add_operation_routes,
)


def tenant_app(
    settings: ServingSettings,
    ports: TenantPorts,
    *,
    process: Process,
    others: Sequence[FastAPI] = (),
) -> FastAPI:
    """The routes over the services of one tenant.

    Args:
        settings: as they are for this tenant.
        ports: its own.
        process: what it shares with other tenants.
        others: applications that start and stop with this one.
    """
    services = tenant_services(
        settings,
        ports,
        process=process,
        others=tuple(other.state.services for other in others),
    )
    app = FastAPI(
        title="oferta",
        version=version("oferta"),
        summary="Recommendations for every customer, with their reasons.",
        description="Errors are problems (RFC 9457) with a stable `code`; see docs/api.md.",
        openapi_url="/openapi.json" if settings.shows_docs else None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan_of(services, ports, others=others),
        # Its spans would tell a collector every URL, and a URL holds a customer's id.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.services = services
    refusals = Refusals(services.metrics, process.audit)
    app.add_exception_handler(RequestRefused, refusals.refused)
    app.add_exception_handler(HTTPException, refusals.unrouted)
    app.add_exception_handler(Exception, refusals.failed)
    # Straight into the application's own router: an included one is matched twice per request.
    app.router.route_class = BareRoute
    for add in ROUTES:
        add(app.router, services)
    return app
