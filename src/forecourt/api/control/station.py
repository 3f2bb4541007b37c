"""A running station in the hands of its control API.

Guarantees
* Hardware that is not simulated has no hand here: what only a hand could do is 409, with who could; views, link and
  restart are the same.
* What is done to the hardware is done, and on the disk, before the answer; the core is told in the same moment, or when
  it comes up, if the station is down. Nothing here waits for the CSMS.
"""

from collections.abc import Sequence
from http import HTTPStatus
from itertools import islice

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
from forecourt.api.control.frames import FrameDirection, FrameHistory, StationFrame
from forecourt.api.control.state import (
    CompositeView,
    EvseView,
    OutboxMessages,
    StateView,
    VariablesView,
    composite_of,
    evse_of,
    messages_of,
    state_of,
    turn_of,
)
from forecourt.api.problems import Refused
from forecourt.csms.errors import Invalid
from forecourt.dialect.variable_names import variables_of
from forecourt.domain.profile import ChargingRateUnit
from forecourt.domain.requests import DataTransfer
from forecourt.domain.token import IdToken
from forecourt.domain.variable import VariableSetting
from forecourt.hardware.kept import KeptHardware
from forecourt.hardware.mqtt import MqttHardware
from forecourt.hardware.simulated import PlugError
from forecourt.net.station_session import StationSession
from forecourt.station.inputs import (
    ContractPresented,
    DataTransferWanted,
    EvCertificateWanted,
    Fault,
    HardwareInput,
    ResendWanted,
    RestartWanted,
    StopPressed,
    TokenPresented,
    VariablesWanted,
)


class ControlledStation:
    """What the operations act on."""

    def __init__(
        self, station_id: str, session: StationSession, hardware: KeptHardware | MqttHardware, frames: FrameHistory
    ) -> None:
        self._station_id = station_id
        self._session = session
        self._metal = hardware
        self._frames = frames

    @property
    def _hardware(self) -> KeptHardware:
        """Only where there is a hand for it."""
        if isinstance(self._metal, KeptHardware):
            return self._metal
        raise Refused(HTTPStatus.CONFLICT, "the hardware is not simulated: its firmware, behind MQTT, does that")

    # Hardware

    def plug_in(self, evse_id: int, body: PlugIn) -> EvseView:
        """A car is connected."""
        self._known(evse_id)
        try:
            news = self._hardware.plug_in(
                evse_id, body.vehicle(), self._session.clock.now(), leaves_after_s=body.unplug_after_s
            )
        except PlugError as error:
            raise _impossible(error) from error
        if body.contract is not None:
            news = [*news, _shown(evse_id, body.contract)]
        return self._told(evse_id, news)

    def unplug(self, evse_id: int) -> EvseView:
        """The car is disconnected."""
        self._known(evse_id)
        try:
            news = self._hardware.unplug(evse_id, self._session.clock.now())
        except PlugError as error:
            raise _impossible(error) from error
        return self._told(evse_id, news)

    def suspend(self, evse_id: int, *, suspended: bool) -> EvseView:
        """The car takes nothing for now, or wants energy again."""
        self._known(evse_id)
        try:
            news = self._hardware.suspend(evse_id, suspended, self._session.clock.now())
        except PlugError as error:
            raise _impossible(error) from error
        return self._told(evse_id, news)

    def present_token(self, evse_id: int, body: PresentToken) -> EvseView:
        """A token is held to the reader."""
        self._known(evse_id)
        _ = self._hardware
        self._up("the reader is dark")
        return self._told(evse_id, [TokenPresented(IdToken(body.id_token, body.type), evse_id)])

    def present_contract(self, evse_id: int, body: ContractBody) -> EvseView:
        """The car shows a contract."""
        self._with_car(evse_id)
        return self._told(evse_id, [_shown(evse_id, body)])

    def want_ev_certificate(self, evse_id: int, body: WantEvCertificate) -> EvseView:
        """The car wants a certificate for its contract."""
        self._with_car(evse_id)
        wanted = EvCertificateWanted(evse_id, body.schema_version, body.action, body.exi_request)
        return self._told(evse_id, [wanted])

    def press_stop(self, evse_id: int) -> EvseView:
        """The stop button is pressed."""
        self._known(evse_id)
        _ = self._hardware
        self._up("nobody listens to the button")
        return self._told(evse_id, [StopPressed(evse_id)])

    def raise_fault(self, evse_id: int, body: RaiseFault) -> StateView:
        """Something breaks."""
        self._known(evse_id, or_station=True)
        fault = Fault(
            fault_id=body.code,
            code=body.code,
            inoperative=body.stops_energy,
            origin=body.origin,
            error_type=body.error_type,
            message=body.message,
        )
        self._session.tell(self._hardware.fail(evse_id, fault, self._session.clock.now()))
        return self.state()

    def clear_fault(self, evse_id: int, code: str) -> StateView:
        """It is well again."""
        self._known(evse_id, or_station=True)
        news = self._hardware.recover(evse_id, code, self._session.clock.now())
        if not news:
            raise Refused(HTTPStatus.NOT_FOUND, f"EVSE {evse_id} has no fault {code!r} that a hand could mend")
        self._session.tell(news)
        return self.state()

    def break_lock(self, evse_id: int, *, broken: bool) -> EvseView:
        """The bolt jams, or moves again."""
        self._known(evse_id)
        try:
            self._hardware.break_lock(evse_id, broken)
        except PlugError as error:
            raise _impossible(error) from error
        return evse_of(self._session, self._hardware, evse_id)

    # Link and power

    def disconnect(self) -> StateView:
        """Take the link down."""
        self._session.disconnect()
        return self.state()

    def connect(self) -> StateView:
        """Bring it up again."""
        self._session.reconnect()
        return self.state()

    def reboot(self, body: RebootBody) -> StateView:
        """Restart."""
        self._up("it is restarting already")
        if body.power_cut:
            self._session.power_cycle()
        else:
            self._session.tell([RestartWanted()])
        return self.state()

    def data_transfer(self, body: DataTransferBody) -> StateView:
        """Say something of a vendor's to the CSMS."""
        self._up("nobody can ask the CSMS")
        if not self._session.endpoint.station.parts.calls.online:
            raise Refused(HTTPStatus.CONFLICT, "the CSMS can't be asked now")
        message = DataTransfer(vendor_id=body.vendor_id, message_id=body.message_id, content=body.data)
        self._session.tell([DataTransferWanted("control", message)])
        return self.state()

    def set_variables(self, body: SetVariablesBody) -> VariablesView:
        """Set variables, as whoever owns the station would."""
        hardware = self._hardware.hardware
        self._up("nothing can be set")
        try:
            settings = tuple(VariableSetting(ref, value) for ref, value in variables_of(body.variables).items())
        except ValueError as error:
            raise Invalid("variables", str(error)) from error
        self._session.tell([VariablesWanted(reference="control", settings=settings)])
        told = hardware.variables_told.pop("control").results
        outcomes = (result.outcome.value for result in told)
        return VariablesView(variables=dict(zip(body.variables, outcomes, strict=True)))

    def resend(self, body: ResendBody) -> OutboxMessages:
        """Send again what was set aside."""
        self._up("nothing can be sent")
        aside = {entry.seq for entry in self._session.endpoint.station.parts.outbox.set_aside}
        if body.seq is not None and body.seq not in aside:
            raise Refused(HTTPStatus.CONFLICT, f"the message {body.seq} was not set aside")
        self._session.tell([ResendWanted(body.seq)])
        return self.outbox()

    # Views

    def outbox(self) -> OutboxMessages:
        """What has not reached the CSMS."""
        return messages_of(self._session.endpoint.station.parts.outbox)

    def variables(self) -> VariablesView:
        """All variables that may be read, by the names of OCPP 2.x."""
        readings = self._session.endpoint.station.parts.variables.read(None)
        known = {str(reading.ref): reading.value for reading in readings if reading.value is not None}
        return VariablesView(variables=known)

    def state(self) -> StateView:
        """Everything, as of now."""
        self._session.tell(())  # brings the meter to this instant
        return state_of(self._session, self._metal, self._station_id)

    def composite_schedule(self, evse_id: int, duration_s: int, rate_unit: ChargingRateUnit) -> CompositeView:
        """What the installed profiles come to."""
        self._known(evse_id, or_station=True)
        charging = self._session.endpoint.station.parts.charging
        return composite_of(charging.composite(evse_id, duration_s, rate_unit, turn_of(self._session)))

    def messages(
        self, action: str | None, direction: FrameDirection | None, cursor: str | None, limit: int
    ) -> tuple[tuple[StationFrame, ...], str | None]:
        """A page of frames, newest first, and the cursor of the next."""
        if cursor is not None and not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 19):
            raise Invalid("cursor", "is none of ours")
        found = (
            frame
            for frame in self._frames.newest_first(before=None if cursor is None else int(cursor))
            if (action is None or frame.action == action) and (direction is None or frame.direction is direction)
        )
        page = tuple(islice(found, limit + 1))
        return page[:limit], str(page[limit - 1].id) if len(page) > limit else None

    # Inside

    def _told(self, evse_id: int, news: Sequence[HardwareInput]) -> EvseView:
        self._session.tell(news)
        return evse_of(self._session, self._hardware, evse_id)

    def _known(self, evse_id: int, *, or_station: bool = False) -> None:
        if evse_id not in self._session.endpoint.station.parts.evses and not (or_station and evse_id == 0):
            raise Refused(HTTPStatus.NOT_FOUND, f"there is no EVSE {evse_id}")

    def _with_car(self, evse_id: int) -> None:
        self._known(evse_id)
        self._up("nobody talks to the car")
        if self._hardware.evses[evse_id].vehicle is None:
            raise Refused(HTTPStatus.CONFLICT, f"EVSE {evse_id}: there is no car")

    def _up(self, otherwise: str) -> None:
        if self._session.restarting:
            raise Refused(HTTPStatus.CONFLICT, f"the station is down: {otherwise}")


def _shown(evse_id: int, contract: ContractBody) -> ContractPresented:
    return ContractPresented(evse_id, contract.emaid, contract.certificate_chain)


def _impossible(error: PlugError) -> Refused:
    return Refused(HTTPStatus.CONFLICT, str(error))
