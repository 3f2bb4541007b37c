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
from forecourt.domain.requests import DataTransferAnswer, DataTransferStatus
from forecourt.domain.variable import Mutability
from forecourt.hardware.display import SimulatedDisplay
from forecourt.hardware.mqtt_payloads import (
    ClockSaid,
    Control,
    DataTransferPassed,
    DataTransferResult,
    DisplayShown,
    EvCertificateGiven,
    FirmwareSaid,
    FirmwareStatus,
    LockWanted,
    Operative,
    Problem,
    RebootWanted,
    ReservationShown,
    Said,
    StackStatus,
    TokenAnswer,
    UploadSaid,
    VariableSaid,
    VariablesAnswer,
)
from forecourt.hardware.mqtt_seen import Seen
from forecourt.hardware.mqtt_system import MqttSystem
from forecourt.hardware.mqtt_words import Publication, TopicError, read, told
from forecourt.station.effects import (
    ClosePowerPath,
    Configure,
    DataTransferDone,
    GiveEvCertificate,
    HardwareEffect,
    LockConnector,
    OpenPowerPath,
    PassDataTransfer,
    PublishSchedule,
    Reboot,
    ReleaseConnector,
    ReservationMade,
    ReservationOver,
    SetClock,
    SetLimit,
    SetOperative,
    ShowPrices,
    TokenAnswered,
    VariablesTold,
)
from forecourt.station.inputs import (
    DataTransferAnswered,
    HardwareInput,
    LockChanged,
    LockOutcome,
)
from forecourt.station.variable_table import TABLE

log = logging.getLogger(__name__)

_SECRET: Final = frozenset(spec.ref for spec in TABLE if spec.mutability is Mutability.WRITE_ONLY)


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
        self._seen = Seen(evses)
        self._control = {evse_id: Control(False, 0.0, phases[evse_id - 1]) for evse_id in range(1, evses + 1)}
        self._operative = dict.fromkeys(self._control, True)
        self._reservations: dict[int, ReservationShown] = {}
        self._news: list[HardwareInput] = []
        self._linked = False
        self._online = False
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
            *(told("stack/evse/{n}/operative", Operative(is_so), evse_id=n) for n, is_so in self._operative.items()),
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
            case SetOperative():
                self._use(effect.evse_id, operative=effect.operative)
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
            case PassDataTransfer():
                return self._pass_on(effect)
            case DataTransferDone():
                done = effect.answer
                outcome, content = (None, None) if done is None else (done.outcome, done.content)
                result = DataTransferResult(effect.reference, outcome, content)
                self.publish(told("stack/data-transfer-answer", result))
            case VariablesTold():
                self._tell_variables(effect)
            case TokenAnswered():
                answer = TokenAnswer(effect.id_token.value, effect.accepted, effect.evse_id, effect.reason)
                self.publish(told("stack/token-answer", answer))
        return []

    def advance(self, now: Now) -> list[HardwareInput]:
        """What has been said until now."""
        if self._silent and not self._seen.gone:
            if self._missing_since_s is None:
                self._missing_since_s = now.elapsed_s
            elif now.elapsed_s >= self._missing_since_s + self._patience_s:
                self._lose()
        news, self._news = self._news, []
        return news

    def report(self, now: Now) -> list[HardwareInput]:
        """Everything the firmware has said, for a core that has just started: one that takes every EVSE to be in use
        until it says otherwise (OCPP 1.6 §5.2)."""
        self._missing_since_s = now.elapsed_s
        for evse_id, operative in self._operative.items():
            if not operative:
                self._use(evse_id, operative=True)
        self._news.clear()
        self._seen.forget_told()
        return self._seen.everything() if self._online else self._seen.faults()

    def next_deadlines(self) -> Deadlines:
        """When patience ends."""
        if self._silent and not self._seen.gone and self._missing_since_s is not None:
            return Deadlines(elapsed_s=self._missing_since_s + self._patience_s)
        return Deadlines()

    # What is wanted of the firmware

    def _use(self, evse_id: int, *, operative: bool) -> None:
        self._operative[evse_id] = operative
        self.publish(told("stack/evse/{n}/operative", Operative(operative), evse_id=evse_id))

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

    def _pass_on(self, effect: PassDataTransfer) -> list[HardwareInput]:
        """A vendor's message of the CSMS; nobody answers it while the firmware is away."""
        if not self.online:
            refused = DataTransferAnswer(outcome=DataTransferStatus.REJECTED)
            return [DataTransferAnswered(effect.reference, refused)]
        message = effect.request
        passed = DataTransferPassed(effect.reference, message.vendor_id, message.message_id, message.content)
        self.publish(told("stack/data-transfer", passed))
        return []

    def _tell_variables(self, effect: VariablesTold) -> None:
        asked = self._seen.asked.pop(effect.reference, None)
        if asked is not None:
            outcomes = dict(zip(asked.set, (result.outcome for result in effect.results), strict=True))
            values = dict(zip(asked.get, (reading.value for reading in effect.readings), strict=True))
            self.publish(told("stack/variables-answer", VariablesAnswer(effect.reference, outcomes, values)))

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
            case FirmwareSaid() | UploadSaid():
                if self.system is not None:
                    self.system.hear(said)
            case _:
                self._news += self._seen.hear(general, evse_id, said, online=self._online)

    def _come(self, online: bool) -> None:
        self._silent = False
        self._missing_since_s = None
        if not online:
            self._online = False
            self._lose()
            return
        self._online = True
        self._seen.gone = False
        self._news += self._seen.everything()
        if self.system is not None:
            self.system.firmware_came()

    def _lose(self) -> None:
        """The firmware is gone."""
        self._missing_since_s = None
        if not self._seen.gone:
            log.warning("the firmware is gone: nothing is delivered until it is back")
            self._seen.gone = True
            self._online = False
            self._news += self._seen.faults()
        if self.system is not None:
            self.system.firmware_left()
