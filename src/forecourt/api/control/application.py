"""The control API: one operation for each thing a hand can do.

Guarantees
* An operation does what it says to the hardware and answers at once with what is the case then; what the station and
  its CSMS make of it is seen later in `/state`.
* An unknown path, EVSE or fault is 404; what the hardware can't do now is 409 with the reason; a body that can't be is
  422 and names the field.
* On a loopback address it takes requests of this machine only, and none from other sites' pages.
"""

import logging
from importlib.metadata import version
from typing import Annotated, Any, Final

from litestar import Litestar, delete, get, post
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency, Provide
from litestar.handlers import BaseRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Server
from litestar.params import FromPath, JSONBody, QueryParameter, SkipValidation

from forecourt.api.bodies import ApiRequest
from forecourt.api.control.bodies import (
    ContractBody,
    DataTransferBody,
    PlugIn,
    PresentToken,
    RaiseFault,
    RebootBody,
    ResendBody,
    SetVariablesBody,
    WantEvCertificate,
)
from forecourt.api.control.frames import FrameDirection, StationFrame
from forecourt.api.control.state import CompositeView, EvseView, OutboxMessages, StateView, VariablesView
from forecourt.api.control.station import ControlledStation
from forecourt.api.embedded import EmbeddedServer
from forecourt.api.lists import DEFAULT_LIMIT, Cursor, Filter, Limit, Listing
from forecourt.api.outermost import known_parameters, of_this_machine, outermost
from forecourt.api.paths import restore_parameters
from forecourt.api.problems import HANDLERS, documented
from forecourt.api.settings import ApiSettings
from forecourt.domain.profile import ChargingRateUnit
from forecourt.net.urls import is_loopback

log = logging.getLogger(__name__)

Controlled = NamedDependency[SkipValidation[ControlledStation]]
Duration = Annotated[int, QueryParameter(ge=1, le=31_622_400, description="From now on, in seconds.")]
RateUnit = Annotated[ChargingRateUnit, QueryParameter(description="A per phase, or W over all.")]

_HARDWARE: Final = ["Hardware"]
_LINK: Final = ["Link and power"]
_VIEWS: Final = ["Views"]
_BODY: Final = (404, 408, 409, 413, 415)

_DESCRIPTION: Final = """\
Drives the simulated hardware of one charging station as a hand would, and shows what an eye would see. Every operation
answers at once; errors are problem+json and name the field."""


class FrameList(Listing, frozen=True, kw_only=True):
    """Frames, newest first."""

    items: tuple[StationFrame, ...]


@post("/evses/{evse_id:int}/plug-in", status_code=200, summary="A car is connected", tags=_HARDWARE,
      responses=documented(*_BODY))  # fmt: skip
async def plug_in(controlled: Controlled, evse_id: FromPath[int], data: JSONBody[PlugIn | None] = None) -> EvseView:
    return controlled.plug_in(evse_id, data or PlugIn())


@post("/evses/{evse_id:int}/unplug", status_code=200, summary="The car is disconnected and leaves", tags=_HARDWARE,
      description="A plug that is locked stays in its socket until the lock lets go of it.",
      responses=documented(404, 409))  # fmt: skip
async def unplug(controlled: Controlled, evse_id: FromPath[int]) -> EvseView:
    return controlled.unplug(evse_id)


@post("/evses/{evse_id:int}/present-token", status_code=200, summary="A token is held to the reader", tags=_HARDWARE,
      responses=documented(*_BODY))  # fmt: skip
async def present_token(controlled: Controlled, evse_id: FromPath[int], data: JSONBody[PresentToken]) -> EvseView:
    return controlled.present_token(evse_id, data)


@post("/evses/{evse_id:int}/present-contract", status_code=200, summary="The car shows a contract (Plug & Charge)",
      tags=_HARDWARE, responses=documented(*_BODY))  # fmt: skip
async def present_contract(controlled: Controlled, evse_id: FromPath[int], data: JSONBody[ContractBody]) -> EvseView:
    return controlled.present_contract(evse_id, data)


@post("/evses/{evse_id:int}/want-ev-certificate", status_code=200, tags=_HARDWARE,
      summary="The car wants a certificate for its contract", responses=documented(*_BODY),
      description="What comes of it is seen in `/state`, as `ev_certificate` of the EVSE.")  # fmt: skip
async def want_ev_certificate(
    controlled: Controlled, evse_id: FromPath[int], data: JSONBody[WantEvCertificate]
) -> EvseView:
    return controlled.want_ev_certificate(evse_id, data)


@post("/evses/{evse_id:int}/suspend", status_code=200, summary="The car wants no energy for now", tags=_HARDWARE,
      responses=documented(404, 409))  # fmt: skip
async def suspend(controlled: Controlled, evse_id: FromPath[int]) -> EvseView:
    return controlled.suspend(evse_id, suspended=True)


@post("/evses/{evse_id:int}/resume", status_code=200, summary="The car wants energy again", tags=_HARDWARE,
      responses=documented(404, 409))  # fmt: skip
async def resume(controlled: Controlled, evse_id: FromPath[int]) -> EvseView:
    return controlled.suspend(evse_id, suspended=False)


@post("/evses/{evse_id:int}/faults", status_code=200, summary="Something breaks (EVSE 0: the station as a whole)",
      tags=_HARDWARE, responses=documented(*_BODY))  # fmt: skip
async def raise_fault(controlled: Controlled, evse_id: FromPath[int], data: JSONBody[RaiseFault]) -> StateView:
    return controlled.raise_fault(evse_id, data)


@delete("/evses/{evse_id:int}/faults/{code:str}", status_code=200, summary="It is well again", tags=_HARDWARE,
        responses=documented(404))  # fmt: skip
async def clear_fault(controlled: Controlled, evse_id: FromPath[int], code: FromPath[str]) -> StateView:
    return controlled.clear_fault(evse_id, code)


@post("/evses/{evse_id:int}/lock-failure", status_code=200, summary="The plug's bolt jams where it is",
      tags=_HARDWARE, responses=documented(404, 409))  # fmt: skip
async def break_lock(controlled: Controlled, evse_id: FromPath[int]) -> EvseView:
    return controlled.break_lock(evse_id, broken=True)


@delete("/evses/{evse_id:int}/lock-failure", status_code=200, summary="The bolt moves again", tags=_HARDWARE,
        responses=documented(404, 409))  # fmt: skip
async def mend_lock(controlled: Controlled, evse_id: FromPath[int]) -> EvseView:
    return controlled.break_lock(evse_id, broken=False)


@post("/evses/{evse_id:int}/stop", status_code=200, summary="The stop button is pressed", tags=_HARDWARE,
      responses=documented(404, 409))  # fmt: skip
async def press_stop(controlled: Controlled, evse_id: FromPath[int]) -> EvseView:
    return controlled.press_stop(evse_id)


@post("/link/disconnect", status_code=200, summary="Take the link to the CSMS down, and keep it down", tags=_LINK,
      responses=documented())  # fmt: skip
async def disconnect(controlled: Controlled) -> StateView:
    return controlled.disconnect()


@post("/link/connect", status_code=200, summary="Bring the link up again, or hurry the next attempt", tags=_LINK,
      responses=documented())  # fmt: skip
async def connect(controlled: Controlled) -> StateView:
    return controlled.connect()


@post("/data-transfer", status_code=200, summary="Say something of a vendor's to the CSMS", tags=_LINK,
      description="Its answer is seen in `/ocpp-messages`.", responses=documented(*_BODY))  # fmt: skip
async def say_vendor_message(controlled: Controlled, data: JSONBody[DataTransferBody]) -> StateView:
    return controlled.data_transfer(data)


@post("/reboot", status_code=200, summary="Restart the station", tags=_LINK, responses=documented(*_BODY))
async def reboot(controlled: Controlled, data: JSONBody[RebootBody | None] = None) -> StateView:
    return controlled.reboot(data or RebootBody())


@get("/state", summary="The station, its EVSEs, transactions and limits", tags=_VIEWS, responses=documented())
async def get_state(controlled: Controlled) -> StateView:
    return controlled.state()


@post("/variables", status_code=200, summary="Set variables, as whoever owns the station would", tags=_LINK,
      description="By either name; judged as if the CSMS did it. What came of each, by the name that was used.",
      responses=documented(*_BODY))  # fmt: skip
async def set_variables(controlled: Controlled, data: JSONBody[SetVariablesBody]) -> VariablesView:
    return controlled.set_variables(data)


@get("/variables", summary="All variables that may be read", tags=_VIEWS, responses=documented())
async def get_variables(controlled: Controlled) -> VariablesView:
    return controlled.variables()


@get("/outbox", summary="Messages that bills depend on and that have not reached the CSMS", tags=_VIEWS,
     responses=documented())  # fmt: skip
async def get_outbox(controlled: Controlled) -> OutboxMessages:
    return controlled.outbox()


@post("/outbox/resend", status_code=200, summary="Send again what the CSMS refused too often", tags=_LINK,
      responses=documented(*_BODY))  # fmt: skip
async def resend(controlled: Controlled, data: JSONBody[ResendBody | None] = None) -> OutboxMessages:
    return controlled.resend(data or ResendBody())


@get("/composite-schedule", summary="What the installed profiles come to, and why", tags=_VIEWS,
     responses=documented(404))  # fmt: skip
async def get_composite_schedule(
    controlled: Controlled,
    evse_id: Annotated[int, QueryParameter(ge=0, description="0: the station.")] = 0,
    duration_s: Duration = 86_400,
    rate_unit: RateUnit = ChargingRateUnit.A,
) -> CompositeView:
    return controlled.composite_schedule(evse_id, duration_s, rate_unit)


@get("/ocpp-messages", summary="The latest frames as they went over the wire", tags=_VIEWS, responses=documented())
async def list_messages(
    controlled: Controlled,
    action: Filter = None,
    direction: Annotated[FrameDirection | None, QueryParameter(description="As the station sees it.")] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> FrameList:
    items, next_cursor = controlled.messages(action, direction, cursor, limit)
    return FrameList(items=items, next_cursor=next_cursor)


def make_control(controlled: ControlledStation, settings: ApiSettings) -> Litestar:
    """The application."""

    def admitted(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        restore_parameters(connection.scope)
        if is_loopback(settings.host):
            of_this_machine(connection.headers)

    return Litestar(
        route_handlers=[
            plug_in,
            unplug,
            present_token,
            present_contract,
            want_ev_certificate,
            suspend,
            resume,
            raise_fault,
            clear_fault,
            break_lock,
            mend_lock,
            press_stop,
            disconnect,
            connect,
            say_vendor_message,
            reboot,
            get_state,
            get_outbox,
            resend,
            get_variables,
            set_variables,
            get_composite_schedule,
            list_messages,
        ],
        dependencies={"controlled": Provide(lambda: controlled, sync_to_thread=False)},
        guards=[admitted, known_parameters],
        request_class=ApiRequest,
        exception_handlers=HANDLERS,
        request_max_body_size=settings.largest_body,
        logging_config=None,
        openapi_config=OpenAPIConfig(
            title="Forecourt station",
            version=version("forecourt"),
            description=_DESCRIPTION,
            path="/openapi.json",
            render_plugins=[JsonRenderPlugin(path="/")],
            servers=[Server(url="/")],
            operation_id_creator=lambda handler, _method, _path: handler.handler_name,
        ),
    )


class ControlServer:
    """The control API on a socket. `start`, then `stop`."""

    def __init__(self, controlled: ControlledStation, settings: ApiSettings) -> None:
        """Of `settings` host, port and patience count; there are no keys."""
        self._server = EmbeddedServer(outermost(make_control(controlled, settings), settings), settings)
        self._host = settings.host

    @property
    def port(self) -> int:
        """Where it listens. Only while it runs."""
        return self._server.port

    async def start(self) -> None:
        """Listen. OSError when the address can't be had."""
        await self._server.start()
        if not is_loopback(self._host):
            log.warning("whoever reaches %s can drive this station: the control API asks for no key", self._host)

    async def stop(self) -> None:
        """Finish what is under way, close."""
        await self._server.stop()
