"""The administration API of a running controller, and its page.

Guarantees
* Everything but the page itself and the description asks for a token (RFC 6750); the page holds nothing until somebody
  has signed in with one.
* Errors are problem+json and name the field; a parameter that nobody knows is refused.
* `/events` says how things stand when it begins, and again as soon as something is different, at most once a second.
"""

import asyncio
import logging
import secrets
import ssl
from collections.abc import AsyncIterator
from http import HTTPStatus
from importlib.metadata import version
from importlib.resources import files
from typing import Annotated, Any, Final

import msgspec
from litestar import Litestar, Request, Response, delete, get, post, put
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency, Provide
from litestar.handlers import BaseRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme, Server
from litestar.params import FromPath, JSONBody, QueryParameter, SkipValidation
from litestar.response import Stream

from forecourt.api.bodies import ApiRequest
from forecourt.api.embedded import EmbeddedServer
from forecourt.api.lists import DEFAULT_LIMIT, Cursor, Filter, Limit
from forecourt.api.outermost import known_parameters, outermost
from forecourt.api.paths import restore_parameters
from forecourt.api.problems import HANDLERS, Refused, documented
from forecourt.api.settings import ApiSettings
from forecourt.api.site.bodies import (
    CommissionBody,
    DimBody,
    LimitBody,
    ModeBody,
    PriorityBody,
    TariffBody,
    UpstreamBody,
    WishBody,
)
from forecourt.api.site.site import AdministeredSite
from forecourt.api.site.tokens import Tokens
from forecourt.api.site.views import (
    AlarmList,
    ChangeList,
    CommissioningView,
    DecisionList,
    MeterList,
    PlanAnswer,
    StateView,
    UpstreamView,
)

log = logging.getLogger(__name__)
security_log = logging.getLogger("forecourt.security")

OPEN: Final = frozenset({"/", "/openapi.json"})
"""All that answers without a token."""

_CHALLENGE: Final = {"www-authenticate": 'Bearer realm="forecourt controller"'}
_QUIET_S: Final = 15.0
_EVERY_S: Final = 1.0
_VIEWS: Final = ["Views"]
_CHANGES: Final = ["Changes"]
_BODY: Final = (404, 408, 409, 413, 415)
_PAGE_HEADERS: Final = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
}
_POLICY: Final = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_DESCRIPTION: Final = """\
Shows and changes what a local controller does at its site. An EVSE is named by its station and number, as `CP1/1` (in a
path `CP1%2F1`), or by its station alone where that has one. Changes answer when they are in the journal; errors are
problem+json and name the field."""

Site = NamedDependency[SkipValidation[AdministeredSite]]
Who = NamedDependency[SkipValidation[str]]
Stopping = NamedDependency[SkipValidation[asyncio.Event]]


class Administrator(msgspec.Struct, frozen=True):
    """Whoever asks; the log names them."""

    name: str


# views


@get("/state", summary="The tree, EVSEs and stations, as things stand", tags=_VIEWS, responses=documented())
async def get_state(site: Site) -> StateView:
    return site.state()


@get("/alarms", summary="The latest alarms", tags=_VIEWS, responses=documented())
async def list_alarms(site: Site, limit: Limit = DEFAULT_LIMIT) -> AlarmList:
    return site.alarms(limit)


@get("/decisions", summary="The latest decisions that changed something, with their reasons", tags=_VIEWS,
     responses=documented())  # fmt: skip
async def list_decisions(
    site: Site, evse: Filter = None, cursor: Cursor = None, limit: Limit = DEFAULT_LIMIT
) -> DecisionList:
    return site.decisions(limit, evse, cursor)


@get("/changes", summary="Who changed what, and when", tags=_VIEWS, responses=documented())
async def list_changes(site: Site, limit: Limit = DEFAULT_LIMIT) -> ChangeList:
    return site.changes(limit)


@get("/plan", summary="What is planned for the hours ahead", tags=_VIEWS, responses=documented())
async def get_plan(site: Site) -> PlanAnswer:
    return site.plan()


@get("/meters", summary="What the meters say", tags=_VIEWS, responses=documented())
async def list_meters(site: Site) -> MeterList:
    return site.meters()


@get("/stations/{station_id:str}/upstream", summary="A station's link to its CSMS", tags=_VIEWS,
     responses=documented(404))  # fmt: skip
async def get_upstream(site: Site, station_id: FromPath[str]) -> UpstreamView:
    return site.upstream(station_id)


@get("/stations/{station_id:str}/commissioning", summary="What is known of a station's model", tags=_VIEWS,
     responses=documented(404))  # fmt: skip
async def get_commissioning(site: Site, station_id: FromPath[str]) -> CommissioningView:
    return site.commissioning(station_id)


def _documented_stream() -> dict[int, ResponseSpec]:
    responses = documented()
    responses[200] = ResponseSpec(
        data_container=StateView,
        generate_examples=False,
        description="The state, as `data` of server-sent events named `state`",
        media_type="text/event-stream",
    )
    return responses


@get("/events", summary="The state, whenever it is different", tags=_VIEWS, responses=_documented_stream())
async def stream_events(
    site: Site,
    stopping: Stopping,
    count: Annotated[int | None, QueryParameter(ge=1, description="End after so many.")] = None,
) -> Stream:
    return Stream(_states(site, stopping, count), media_type="text/event-stream", headers={"cache-control": "no-store"})


# changes


@put("/nodes/{node:str}/limit", summary="Limit everything through a node", tags=_CHANGES,
     responses=documented(*_BODY))  # fmt: skip
async def limit_node(site: Site, who: Who, node: FromPath[str], data: JSONBody[LimitBody]) -> StateView:
    return site.limit_node(who, node, data)


@delete("/nodes/{node:str}/limit", status_code=200, summary="Take the limit of a node back", tags=_CHANGES,
        responses=documented(404))  # fmt: skip
async def free_node(site: Site, who: Who, node: FromPath[str]) -> StateView:
    return site.limit_node(who, node, None)


@put("/evses/{evse:str}/limit", summary="Limit an EVSE", tags=_CHANGES, responses=documented(*_BODY))
async def limit_evse(site: Site, who: Who, evse: FromPath[str], data: JSONBody[LimitBody]) -> StateView:
    return site.limit_evse(who, evse, data)


@delete("/evses/{evse:str}/limit", status_code=200, summary="Take the limit of an EVSE back", tags=_CHANGES,
        responses=documented(404))  # fmt: skip
async def free_evse(site: Site, who: Who, evse: FromPath[str]) -> StateView:
    return site.limit_evse(who, evse, None)


@put("/evses/{evse:str}/priority", summary="Who is served first", tags=_CHANGES, responses=documented(*_BODY))
async def prioritise(site: Site, who: Who, evse: FromPath[str], data: JSONBody[PriorityBody]) -> StateView:
    return site.prioritise(who, evse, data.priority)


@put("/evses/{evse:str}/mode", summary="How an EVSE is charged", tags=_CHANGES, responses=documented(*_BODY))
async def set_mode(site: Site, who: Who, evse: FromPath[str], data: JSONBody[ModeBody]) -> StateView:
    return site.set_mode(who, evse, data.mode)


@put("/evses/{evse:str}/wish", summary="When the car leaves, and how much it needs", tags=_CHANGES,
     responses=documented(*_BODY))  # fmt: skip
async def set_wish(site: Site, who: Who, evse: FromPath[str], data: JSONBody[WishBody]) -> StateView:
    return site.wish(who, evse, data)


@delete("/evses/{evse:str}/wish", status_code=200, summary="Take a wish back", tags=_CHANGES,
        responses=documented(404, 409))  # fmt: skip
async def forget_wish(site: Site, who: Who, evse: FromPath[str]) -> StateView:
    return site.wish(who, evse, None)


@post("/dim", status_code=200, summary="A grid operator's signal", tags=_CHANGES, responses=documented(*_BODY))
async def dim(site: Site, who: Who, data: JSONBody[DimBody]) -> StateView:
    return site.dim(who, data.dimmed)


@put("/tariff", summary="Upload prices, in place of the file's", tags=_CHANGES, responses=documented(*_BODY))
async def set_tariff(site: Site, who: Who, data: JSONBody[TariffBody]) -> StateView:
    return site.set_tariff(who, data)


@delete("/tariff", status_code=200, summary="Back to the file's prices", tags=_CHANGES, responses=documented())
async def forget_tariff(site: Site, who: Who) -> StateView:
    return site.set_tariff(who, None)


@put("/stations/{station_id:str}/upstream", summary="Relay a station elsewhere, or with another password",
     tags=_CHANGES, responses=documented(*_BODY))  # fmt: skip
async def set_upstream(site: Site, who: Who, station_id: FromPath[str], data: JSONBody[UpstreamBody]) -> UpstreamView:
    return site.set_upstream(who, station_id, data)


@post("/stations/{station_id:str}/commissioning", status_code=200, summary="Find out what a station does with limits",
      tags=_CHANGES, responses=documented(*_BODY))  # fmt: skip
async def commission(
    site: Site, who: Who, station_id: FromPath[str], data: JSONBody[CommissionBody]
) -> CommissioningView:
    return site.commission(who, station_id, data)


@get("/", include_in_schema=False)
async def page() -> Response[bytes]:
    nonce = secrets.token_urlsafe(18)
    headers = {**_PAGE_HEADERS, "content-security-policy": _POLICY.format(nonce=nonce)}
    return Response(_PAGE.replace(b"__nonce__", nonce.encode()), media_type="text/html", headers=headers)


_PAGE: Final = (files("forecourt.api.site") / "page.html").read_bytes()

_HANDLERS: Final = [
    get_state, list_alarms, list_decisions, list_changes, get_plan, list_meters, get_upstream, stream_events,
    limit_node, free_node, limit_evse, free_evse, prioritise, set_mode, set_wish, forget_wish, dim, set_tariff,
    forget_tariff, set_upstream, get_commissioning, commission, page,
]  # fmt: skip


def make_administration(
    site: AdministeredSite, tokens: Tokens, settings: ApiSettings, stopping: asyncio.Event
) -> Litestar:
    """The application."""

    def admitted(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        restore_parameters(connection.scope)
        if connection.scope["path"] in OPEN:
            return
        scheme, _space, shown = connection.headers.get("authorization", "").partition(" ")
        whose = tokens.whose(shown.strip()) if scheme.lower() == "bearer" else None
        if whose is None:
            if shown:
                security_log.warning("the administration refuses a token from %s", connection.client)
            raise Refused(HTTPStatus.UNAUTHORIZED, "a token is needed", headers=_CHALLENGE)
        connection.scope["auth"] = Administrator(whose)

    def who(request: Request[Any, Any, Any]) -> str:
        return str(request.scope["auth"].name)

    return Litestar(
        route_handlers=_HANDLERS,
        dependencies={
            "site": Provide(lambda: site, sync_to_thread=False),
            "stopping": Provide(lambda: stopping, sync_to_thread=False),
            "who": Provide(who, sync_to_thread=False),
        },
        guards=[admitted, known_parameters],
        request_class=ApiRequest,
        exception_handlers=HANDLERS,
        request_max_body_size=settings.largest_body,
        logging_config=None,
        openapi_config=OpenAPIConfig(
            title="Forecourt controller",
            version=version("forecourt"),
            description=_DESCRIPTION,
            path="/openapi.json",
            render_plugins=[JsonRenderPlugin(path="/")],
            servers=[Server(url="/")],
            components=Components(security_schemes={"token": SecurityScheme(type="http", scheme="bearer")}),
            security=[{"token": []}],
            operation_id_creator=lambda handler, _method, _path: handler.handler_name,
        ),
    )


class AdministrationServer:
    """The administration on a socket. `start`, then `stop`."""

    def __init__(
        self, site: AdministeredSite, tokens: Tokens, settings: ApiSettings, tls: ssl.SSLContext | None = None
    ) -> None:
        """Of `settings` host, port and patience count."""
        self.tokens = tokens
        self._stopping = asyncio.Event()
        application = make_administration(site, tokens, settings, self._stopping)
        self._server = EmbeddedServer(outermost(application, settings), settings, tls)
        self._site = site

    @property
    def port(self) -> int:
        """Where it listens. Only while it runs."""
        return self._server.port

    async def start(self) -> None:
        """Listen. OSError when the address can't be had."""
        await self._server.start()

    async def stop(self) -> None:
        """End streams, finish what is under way, close."""
        self._stopping.set()
        await self._server.stop()
        self._site.close()


async def _states(site: AdministeredSite, stopping: asyncio.Event, count: int | None) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    last, said_s, sent = b"", loop.time(), 0
    while not stopping.is_set():
        state = site.recent_state()
        body = msgspec.json.encode(state)
        told = msgspec.json.encode(msgspec.structs.replace(state, at=None))
        if told != last:
            last, said_s, sent = told, loop.time(), sent + 1
            yield b"event: state\ndata: " + body + b"\n\n"
            if sent == count:
                return
        elif loop.time() >= said_s + _QUIET_S:
            said_s = loop.time()
            yield b": nothing new\n\n"
        try:
            async with asyncio.timeout(_EVERY_S):
                await stopping.wait()
        except TimeoutError:
            continue
