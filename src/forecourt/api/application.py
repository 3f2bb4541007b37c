"""The API as an ASGI application: operations, errors, description.

Guarantees
* All resources are under `/api/v1`, and described at `/api/v1/openapi.json`; no request of a reader leaves for
  anybody else's server.
* A parameter that nobody knows is refused: a filter that is misspelt must not be read as no filter.
"""

from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from typing import Any, Final

from litestar import Litestar, Router
from litestar.di import Provide
from litestar.handlers.http_handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import ASGIApp, Scope

from forecourt.api import (
    auditing,
    batches,
    billing,
    commands,
    driver,
    events,
    exports,
    health,
    imports,
    intended,
    keys,
    locations,
    messages,
    metrics,
    oidc,
    overview,
    payments,
    profiles,
    sign_in,
    site_link,
    sites,
    stations,
    tariffs,
    tokens,
    transactions,
    users,
    webhooks,
)
from forecourt.api import resources as more
from forecourt.api.auditing import run_audited
from forecourt.api.authentication import PREFIX, authenticated, caller_context, cookie_name, required_scope
from forecourt.api.bodies import ApiRequest
from forecourt.api.health import Probe
from forecourt.api.lifetime import Lifetime
from forecourt.api.metrics import Exposition
from forecourt.api.outermost import known_parameters
from forecourt.api.problems import HANDLERS
from forecourt.api.serving import Serving, served_for, serving
from forecourt.api.settings import ApiSettings
from forecourt.csms.ports import Context
from forecourt.csms.sign_ins import Attempts
from forecourt.net.oidc import OidcClient

_DESCRIPTION: Final = """\
Charging stations, what happens at them, and what is asked of them. Our own resources are snake_case; OCPP payloads stay
as they were. Lists are newest first and come in pages: `next_cursor` of one is `cursor` of the next. Errors are
problem+json and name the field."""


def make_application(
    context: Context, settings: ApiSettings, lifetime: Lifetime, accepting: Callable[[], bool] = lambda: True
) -> ASGIApp:
    """Everything but the socket. `accepting`: whether stations can connect."""
    whom = Serving(
        context=context,
        settings=settings,
        lifetime=lifetime,
        provider=None if settings.oidc is None else OidcClient(settings.oidc),
        attempts=Attempts(context.settings.people),
        strangers=driver.Strangers(),
        probe=Probe(context, accepting),
        exposition=Exposition(context),
    )
    return served_for(operations(settings.largest_body, cookie_name(settings)), whom)


def description(settings: ApiSettings) -> dict[str, Any]:
    """The OpenAPI description, as /api/v1/openapi.json answers it."""
    return operations(settings.largest_body, cookie_name(settings)).openapi_schema.to_schema()


@cache
def operations(largest_body: int, cookie: str) -> Litestar:
    """All operations, for any CSMS (`serving`). Made once: a second's work."""

    def authenticate(app: ASGIApp) -> ASGIApp:
        return authenticated(app, serving, run_audited)

    resources = Router(
        PREFIX,
        route_handlers=[
            locations.router,
            stations.router,
            tokens.router,
            transactions.router,
            tariffs.router,
            billing.sessions_router,
            billing.cdrs_router,
            payments.router,
            exports.router,
            imports.router,
            profiles.router,
            profiles.get_composite_schedule,
            intended.get_intended_schedule,
            batches.create_batch,
            batches.router,
            commands.router,
            commands.send_raw,
            events.stream_events,
            events.exchange_events,
            messages.router,
            *more.routers,
            driver.router,
            driver.get_driver_page,
            overview.router,
            sites.router,
            keys.router,
            auditing.list_audit,
            webhooks.router,
            users.router,
            users.organisations_router,
            *sign_in.handlers,
            *oidc.handlers,
        ],
        security=[{"api_key": []}, {"sign_in": [], "csrf_token": []}],
    )
    return Litestar(
        route_handlers=[resources, site_link.site_link, health.healthz, health.readyz, metrics.metrics],
        dependencies={
            "context": Provide(caller_context, sync_to_thread=False),
            "anybody": _given("context"),
            **{name: _given(name) for name in Serving.__struct_fields__ if name != "context"},
        },
        guards=[required_scope, known_parameters],
        middleware=[authenticate],
        request_class=ApiRequest,
        exception_handlers=HANDLERS,
        request_max_body_size=largest_body,
        logging_config=None,
        openapi_config=OpenAPIConfig(
            title="Forecourt",
            version=version("forecourt"),
            description=_DESCRIPTION,
            path=f"{PREFIX}/openapi.json",
            render_plugins=[JsonRenderPlugin(path="/")],
            components=Components(
                security_schemes={
                    "api_key": SecurityScheme(type="http", scheme="bearer", description="An API key."),
                    "sign_in": SecurityScheme(
                        type="apiKey",
                        name=cookie,
                        security_scheme_in="cookie",
                        description="The cookie of a sign-in.",
                    ),
                    "csrf_token": SecurityScheme(
                        type="apiKey",
                        name="x-csrf-token",
                        security_scheme_in="header",
                        description="`csrf_token` of `/me`; needed with the cookie for all that changes something.",
                    ),
                }
            ),
            operation_id_creator=_operation_id,
        ),
    )


def _given(name: str) -> Provide:
    """A dependency: that member of whom the request is served for."""

    def give(scope: Scope) -> Any:
        return getattr(serving(scope), name)

    return Provide(give, sync_to_thread=False)


def _operation_id(handler: HTTPRouteHandler, _method: Any, _path: Any) -> str:
    return handler.handler_name
