"""Firmware behind MQTT, as the hardware of a station: EVSEs of any make, in any language.

Theory of operation. What the firmware says of itself (pilot, cable, meter, faults, local limit) is kept as it was last
said; the core is told of it while the firmware is online, and of all of it when it comes, or when the core asks for a
report. What the core wants of an EVSE is one retained payload, published whenever it changes. `mqtt_link` is the wire.

Guarantees
* It is a `station.ports.Hardware` on an event loop: it never waits, and calls `wake` when `advance` has news.
* Nothing that the firmware says raises; what can't be understood is answered under `stack/problem` and left.
* Firmware that is gone (its last will, or nothing heard of it for `patience_s`) is a fault of every EVSE that makes it
  inoperative, until it is back: nothing is delivered that nobody watches (OCPP 1.6 §4.9, Faulted). A bolt that can't be
  moved meanwhile has failed.
* The stack that is gone is the firmware's to see: the stack's last will says the current that is safe without it.
* A stack that starts says open power paths and no current before it says that it is online: what a broker retained from
  the life before never closes a contactor.
* A variable that a CSMS may only write (a password) is never published.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from forecourt.domain.clock import Deadlines, Now
from forecourt.domain.variable import Mutability
from forecourt.hardware.display import SimulatedDisplay
from forecourt.hardware.mqtt_system import MqttSystem
from forecourt.hardware.mqtt_words import (
    CableSaid,
    ClockSaid,
    ContractSaid,
    Control,
    DisplayShown,
    EvCertificateGiven,
    EvCertificateSaid,
    FaultsSaid,
    FirmwareSaid,
    FirmwareStatus,
    LocalLimitSaid,
    LockSaid,
    LockWanted,
    MeterSaid,
    Nothing,
    PilotSaid,
    Problem,
    Publication,
    RebootWanted,
    ReservationShown,
    Said,
    SecurityEventSaid,
    StackStatus,
    TokenAnswer,
    TokenSaid,
    TopicError,
    UploadSaid,
    VariableSaid,
    read,
    told,
)
from forecourt.station.effects import (
    ClosePowerPath,
    Configure,
    GiveEvCertificate,
    HardwareEffect,
    LockConnector,
    OpenPowerPath,
    PublishSchedule,
    Reboot,
    ReleaseConnector,
    ReservationMade,
    ReservationOver,
    SetClock,
    SetLimit,
    ShowPrices,
    TokenAnswered,
)
from forecourt.station.inputs import (
    CableChanged,
    ContractPresented,
    EvCertificateWanted,
    Fault,
    FaultCleared,
    FaultRaised,
    HardwareInput,
    LocalLimit,
    LockChanged,
    LockOutcome,
    MeterReading,
    Pilot,
    PilotChanged,
    PowerFailing,
    RebootFailed,
    RestartWanted,
    SecurityEventNoticed,
    SecurityLogCleared,
    StopPressed,
    TokenPresented,
)
from forecourt.station.variable_table import TABLE

log = logging.getLogger(__name__)

GONE: Final = Fault(
    fault_id="firmware-gone",
    code="InternalError",
    inoperative=True,
    origin="mqtt",
    error_type="Firmware/Gone",
    message="the firmware does not answer",
)
_SECRET: Final = frozenset(spec.ref for spec in TABLE if spec.mutability is Mutability.WRITE_ONLY)
_EVENTS: Final[dict[str, Callable[[], HardwareInput]]] = {
    "firmware/power-failing": PowerFailing,
    "firmware/restart-wanted": RestartWanted,
    "firmware/reboot-failed": RebootFailed,
    "firmware/security-log-cleared": SecurityLogCleared,
}


class _Seen:
    """What the firmware has last said of one EVSE (0: the station)."""

    __slots__ = ("cable", "faults", "limit_a", "meter", "pilot", "told_faults")

    def __init__(self) -> None:
        self.pilot: Pilot | None = None
        self.cable: bool | None = None
        self.meter: MeterReading | None = None
        self.faults: dict[str, Fault] = {}
        self.told_faults: dict[str, Fault] = {}
        """What the core believes is wrong."""
        self.limit_a: float | None = None


class MqttHardware:
    """The EVSEs of one station, 1 to `evses`, and the station as a whole, behind a broker."""

    def __init__(
        self,
        evses: int,
        *,
        number_phases: Sequence[int] = (),
        safe_limit_a: float = 0.0,
        patience_s: float = 15.0,
        system: MqttSystem | None = None,
    ) -> None:
        """`number_phases` of each EVSE, 3 where it isn't said. `safe_limit_a` is what the firmware may offer while the
        stack is gone.
        """
        if patience_s <= 0.0:
            raise ValueError(f"patience_s: expected more than 0, got {patience_s}")
        self.wake: Callable[[], None] = lambda: None
        """Called on the event loop when there is news: whoever drives the station asks `advance` then."""
        self.publish: Callable[[Publication], None] = lambda publication: None  # noqa: ARG005 - of the link
        """Where publications go: to `mqtt_link`."""
        self.system = system
        self.display = SimulatedDisplay()
        """What the firmware's displays were last told, for whoever looks."""
        self._safe_limit_a = safe_limit_a
        self._patience_s = patience_s
        phases = [*number_phases, *([3] * evses)][:evses]
        self._seen = {evse_id: _Seen() for evse_id in range(evses + 1)}
        self._control = {evse_id: Control(False, 0.0, phases[evse_id - 1]) for evse_id in range(1, evses + 1)}
        self._reservations: dict[int, ReservationShown] = {}
        self._news: list[HardwareInput] = []
        self._linked = False
        self._online = False
        self._gone = False
        """Whether the EVSEs have been told to be faulted."""
        self._missing_since_s: float | None = None
        self._silent = True
        """Nothing has been heard of the firmware by its own word, so that patience is called for."""

    # The link

    @property
    def online(self) -> bool:
        """Whether the firmware is there, as far as we know."""
        return self._online and self._linked

    def first_words(self) -> list[Publication]:
        """What to publish on a new connection, in this order: what is wanted now, then that we are here."""
        return [
            *(told("stack/evse/{n}/control", control, evse_id=n) for n, control in self._control.items()),
            told("stack/reservations", list(self._reservations.values())),
            told("stack/status", StackStatus(True, self._safe_limit_a)),
        ]

    def last_will(self) -> Publication:
        """What the broker says when we are gone, and we when we go."""
        return told("stack/status", StackStatus(False, self._safe_limit_a))

    def link_up(self) -> None:
        """There is a connection to the broker, and all that was retained has come."""
        self._linked = True

    def link_down(self) -> None:
        """The connection is gone: the firmware may be there or not."""
        self._linked = False
        self._silent = True
        self.wake()

    def received(self, topic: str, payload: bytes, *, retained: bool) -> None:
        """The firmware has said something, on a topic below the prefix."""
        try:
            self._hear(*read(topic, payload, retained=retained))
        except TopicError as error:
            log.warning("firmware: %s: %s", topic[:200], error)
            self.publish(told("stack/problem", Problem(topic[:200], str(error)[:500])))
        if self._news or self._silent:
            self.wake()

    # As a port

    def carry_out(self, effect: HardwareEffect, now: Now) -> list[HardwareInput]:
        """Do what the core asks."""
        match effect:
            case SetLimit():
                phases = max(1, min(effect.number_phases, 3))
                self._want(effect.evse_id, limit_a=max(0.0, effect.limit_a), number_phases=phases)
            case ClosePowerPath():
                self._want(effect.evse_id, power_path=True)
            case OpenPowerPath():
                self._want(effect.evse_id, power_path=False)
            case LockConnector() | ReleaseConnector():
                if effect.evse_id not in self._control:
                    return []
                if not self.online:
                    return [LockChanged(effect.evse_id, LockOutcome.FAILED)]
                lock = isinstance(effect, LockConnector)
                self.publish(told("stack/evse/{n}/lock", LockWanted(lock), evse_id=effect.evse_id))
            case Reboot():
                for evse_id in self._control:
                    self._want(evse_id, power_path=False, limit_a=0.0)
                self.publish(told("stack/reboot", RebootWanted(effect.hard)))
            case SetClock():
                at = (now.at + timedelta(seconds=effect.offset_s)).isoformat()
                self.publish(told("stack/clock", ClockSaid(at, effect.offset_s)))
            case Configure():
                if effect.ref not in _SECRET:
                    name = str(effect.ref)
                    self.publish(told("stack/variable/{name}", VariableSaid(effect.value), name=name))
            case ReservationMade() | ReservationOver():
                self._show(effect)
            case PublishSchedule():
                self.publish(told("stack/evse/{n}/schedule", effect.schedule, evse_id=effect.evse_id))
            case ShowPrices():
                self._display(effect)
            case GiveEvCertificate():
                given = EvCertificateGiven(effect.exi_response)
                self.publish(told("stack/evse/{n}/ev-certificate", given, evse_id=effect.evse_id))
            case TokenAnswered():
                answer = TokenAnswer(effect.id_token.value, effect.accepted, effect.evse_id, effect.reason)
                self.publish(told("stack/token-answer", answer))
        return []

    def advance(self, now: Now) -> list[HardwareInput]:
        """What has been said until now."""
        if self._silent and not self._gone:
            if self._missing_since_s is None:
                self._missing_since_s = now.elapsed_s
            elif now.elapsed_s >= self._missing_since_s + self._patience_s:
                self._lose()
        news, self._news = self._news, []
        return news

    def report(self, now: Now) -> list[HardwareInput]:
        """Everything the firmware has said, for a core that has just started."""
        self._missing_since_s = now.elapsed_s
        self._news.clear()
        for seen in self._seen.values():
            seen.told_faults = {}
        return self._everything() if self._online else self._faults()

    def next_deadlines(self) -> Deadlines:
        """When patience ends."""
        if self._silent and not self._gone and self._missing_since_s is not None:
            return Deadlines(elapsed_s=self._missing_since_s + self._patience_s)
        return Deadlines()

    # What is wanted of the firmware

    def _want(
        self,
        evse_id: int,
        *,
        power_path: bool | None = None,
        limit_a: float | None = None,
        number_phases: int | None = None,
    ) -> None:
        before = self._control.get(evse_id)
        if before is None:
            return
        after = Control(
            before.power_path if power_path is None else power_path,
            before.limit_a if limit_a is None else limit_a,
            before.number_phases if number_phases is None else number_phases,
        )
        if after != before:
            self._control[evse_id] = after
            self.publish(told("stack/evse/{n}/control", after, evse_id=evse_id))

    def _show(self, effect: ReservationMade | ReservationOver) -> None:
        if isinstance(effect, ReservationOver):
            self._reservations.pop(effect.reservation_id, None)
        else:
            self._reservations[effect.reservation_id] = ReservationShown(
                effect.reservation_id, effect.evse_id, effect.id_token.value, effect.expires_at.isoformat()
            )
        self.publish(told("stack/reservations", list(self._reservations.values())))

    def _display(self, shown: ShowPrices) -> None:
        self.display.show(shown)
        whose = None if shown.id_token is None else shown.id_token.value
        words = DisplayShown(shown.about, shown.text, shown.cost, shown.language, shown.qr_code_text, whose)
        topic = "stack/display" if shown.evse_id is None else "stack/evse/{n}/display"
        self.publish(told(topic, words, evse_id=shown.evse_id))

    # What the firmware says

    def _hear(self, general: str, evse_id: int | None, said: Said) -> None:
        match said:
            case FirmwareStatus():
                self._come(said.online)
                return
            case FirmwareSaid() | UploadSaid():
                if self.system is not None:
                    self.system.hear(said)
                return
            case _ if evse_id is None:
                news = self._event(general, said)
            case _ if evse_id not in self._seen:
                raise TopicError(f"this station has no EVSE {evse_id}")
            case _:
                news = self._of_evse(evse_id, said)
        if self._online:
            self._news += news

    def _come(self, online: bool) -> None:
        self._silent = False
        self._missing_since_s = None
        if not online:
            self._online = False
            self._lose()
            return
        self._online = True
        self._gone = False
        self._news += self._everything()
        if self.system is not None:
            self.system.firmware_came()

    def _lose(self) -> None:
        """The firmware is gone."""
        self._missing_since_s = None
        if not self._gone:
            log.warning("the firmware is gone: nothing is delivered until it is back")
            self._gone = True
            self._online = False
            self._news += self._faults()
        if self.system is not None:
            self.system.firmware_left()

    def _event(self, general: str, said: Said) -> list[HardwareInput]:
        """Something that concerns no EVSE."""
        match said:
            case TokenSaid():
                return [TokenPresented(_token(said).token())]
            case SecurityEventSaid():
                return [SecurityEventNoticed(said.type, said.tech_info, said.critical)]
            case _:
                return [_EVENTS[general]()]

    def _of_evse(self, evse_id: int, said: Said) -> list[HardwareInput]:
        """What has changed at an EVSE."""
        seen = self._seen[evse_id]
        match said:
            case PilotSaid():
                seen.pilot = said.pilot
                return [PilotChanged(evse_id, said.pilot)]
            case CableSaid():
                seen.cable = said.present
                return [CableChanged(evse_id, said.present)]
            case MeterSaid():
                seen.meter = MeterReading(evse_id, said.all_samples())
                return [seen.meter]
            case FaultsSaid():
                seen.faults = {fault.fault_id: fault for fault in said.faults}
                return self._faults() if self._online else []
            case LocalLimitSaid():
                if said.limit_a is not None and said.limit_a < 0.0:
                    raise TopicError("limit_a: expected 0 or more")
                seen.limit_a = said.limit_a
                return [LocalLimit(evse_id, said.limit_a)]
            case LockSaid():
                return [LockChanged(evse_id, said.outcome)]
            case TokenSaid():
                return [TokenPresented(_token(said).token(), evse_id)]
            case ContractSaid():
                return [ContractPresented(evse_id, said.emaid, said.certificate_chain)]
            case EvCertificateSaid():
                return [EvCertificateWanted(evse_id, said.schema_version, said.action, said.exi_request)]
            case Nothing():
                return [StopPressed(evse_id)]
            case _:
                raise TopicError("not of an EVSE")

    def _everything(self) -> list[HardwareInput]:
        """As a core that has just started is told: readings before the pilot, so that a start has its register."""
        news: list[HardwareInput] = []
        for evse_id, seen in self._seen.items():
            if seen.cable is not None:
                news.append(CableChanged(evse_id, seen.cable))
            if seen.meter is not None:
                news.append(seen.meter)
            news.append(LocalLimit(evse_id, seen.limit_a))
            if seen.pilot is not None:
                news.append(PilotChanged(evse_id, seen.pilot))
        return [*news, *self._faults()]

    def _faults(self) -> list[HardwareInput]:
        """Where what is wrong differs from what the core was told."""
        news: list[HardwareInput] = []
        for evse_id, seen in self._seen.items():
            wrong = dict(seen.faults)
            if self._gone and evse_id > 0:
                wrong[GONE.fault_id] = GONE
            news += [FaultRaised(evse_id, fault) for id_, fault in wrong.items() if seen.told_faults.get(id_) != fault]
            news += [FaultCleared(evse_id, id_) for id_ in seen.told_faults if id_ not in wrong]
            seen.told_faults = wrong
        return news


def _token(said: TokenSaid) -> TokenSaid:
    if not said.id_token.strip():
        raise TopicError("id_token: is empty")
    return said
