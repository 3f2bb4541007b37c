"""What the firmware has said of its EVSEs, as it stands, and what of it is news to the core.

Guarantees
* What is so is kept as it was last said; a core that has just started is told all of it (`everything`), readings before
  the pilot, so that a start has its register.
* A fault is told when it comes and when it goes, once, however often all that is wrong is said again.
* Firmware that is gone is a fault of every EVSE.
"""

from collections.abc import Callable
from typing import Final

from forecourt.dialect.variable_names import variable_of, variables_of
from forecourt.domain.requests import DataTransfer, DataTransferAnswer
from forecourt.domain.variable import VariableSetting
from forecourt.hardware.mqtt_payloads import (
    CableSaid,
    ContractSaid,
    DataTransferAnswerSaid,
    DataTransferSaid,
    EnabledSaid,
    EvCertificateSaid,
    FaultsSaid,
    LocalLimitSaid,
    LockSaid,
    MeterSaid,
    Nothing,
    PilotSaid,
    ResetAllowedSaid,
    Said,
    SecurityEventSaid,
    TokenSaid,
    VariablesSaid,
)
from forecourt.hardware.mqtt_words import TopicError
from forecourt.station.inputs import (
    CableChanged,
    ContractPresented,
    DataTransferAnswered,
    DataTransferWanted,
    EvCertificateWanted,
    EvseEnabled,
    Fault,
    FaultCleared,
    FaultRaised,
    HardwareInput,
    LocalLimit,
    LockChanged,
    MeterReading,
    Pilot,
    PilotChanged,
    PowerFailing,
    RebootFailed,
    ResetsAllowed,
    RestartWanted,
    SecurityEventNoticed,
    SecurityLogCleared,
    StopPressed,
    TokenPresented,
    VariablesWanted,
)

GONE: Final = Fault(
    fault_id="firmware-gone",
    code="InternalError",
    inoperative=True,
    origin="mqtt",
    error_type="Firmware/Gone",
    message="the firmware does not answer",
)
_EVENTS: Final[dict[str, Callable[[], HardwareInput]]] = {
    "firmware/power-failing": PowerFailing,
    "firmware/restart-wanted": RestartWanted,
    "firmware/reboot-failed": RebootFailed,
    "firmware/security-log-cleared": SecurityLogCleared,
}


class _Place:
    """What the firmware has last said of one EVSE (0: the station)."""

    __slots__ = ("cable", "enabled", "faults", "limit_a", "meter", "pilot", "told_faults")

    def __init__(self) -> None:
        self.pilot: Pilot | None = None
        self.cable: bool | None = None
        self.meter: MeterReading | None = None
        self.faults: dict[str, Fault] = {}
        self.told_faults: dict[str, Fault] = {}
        """What the core believes is wrong."""
        self.limit_a: float | None = None
        self.enabled = True


class Seen:
    """The EVSEs 1 to `evses`, and the station as a whole as EVSE 0."""

    def __init__(self, evses: int) -> None:
        self._places = {evse_id: _Place() for evse_id in range(evses + 1)}
        self._resets_allowed = True
        self.asked: dict[str, VariablesSaid] = {}
        """Variables that were asked for and not answered yet."""
        self.gone = False
        """Whether the EVSEs are faulted because nobody watches them."""

    def forget_told(self) -> None:
        """The core has just started: it knows of no fault."""
        for place in self._places.values():
            place.told_faults = {}
        self.asked.clear()

    def hear(self, general: str, evse_id: int | None, said: Said, *, online: bool) -> list[HardwareInput]:
        """Take in what was said; what of it is news, while the firmware is online.

        Raises:
            TopicError: it has no meaning.
        """
        if evse_id is None:
            news = self._event(general, said)
        elif evse_id not in self._places:
            raise TopicError(f"this station has no EVSE {evse_id}")
        else:
            news = self._of_evse(evse_id, said, online=online)
        if online:
            return news
        self.asked.clear()  # of firmware that is not there nobody hears anything
        return []

    def _event(self, general: str, said: Said) -> list[HardwareInput]:
        """Something that concerns no EVSE."""
        match said:
            case TokenSaid():
                return [TokenPresented(_token(said).token())]
            case ResetAllowedSaid():
                self._resets_allowed = said.allowed
                return [ResetsAllowed(said.allowed)]
            case DataTransferSaid():
                message = DataTransfer(vendor_id=said.vendor_id, message_id=said.message_id, content=said.data)
                return [DataTransferWanted(said.reference, message)]
            case DataTransferAnswerSaid():
                answer = DataTransferAnswer(outcome=said.status, content=said.data)
                return [DataTransferAnswered(said.reference, answer)]
            case VariablesSaid():
                return [self._variables(said)]
            case SecurityEventSaid():
                return [SecurityEventNoticed(said.type, said.tech_info, said.critical)]
            case _:
                return [_EVENTS[general]()]

    def _variables(self, said: VariablesSaid) -> VariablesWanted:
        if said.reference in self.asked:
            raise TopicError("reference: is not answered yet")
        try:
            settings = [VariableSetting(ref, value) for ref, value in variables_of(said.set).items()]
            refs = [variable_of(name) for name in said.get]
        except ValueError as error:
            raise TopicError(str(error)) from None
        self.asked[said.reference] = said
        return VariablesWanted(reference=said.reference, settings=tuple(settings), refs=tuple(refs))

    def _of_evse(self, evse_id: int, said: Said, *, online: bool) -> list[HardwareInput]:
        """What has changed at an EVSE."""
        seen = self._places[evse_id]
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
                return self.faults() if online else []
            case LocalLimitSaid():
                if said.limit_a is not None and said.limit_a < 0.0:
                    raise TopicError("limit_a: expected 0 or more")
                seen.limit_a = said.limit_a
                return [LocalLimit(evse_id, said.limit_a)]
            case EnabledSaid():
                seen.enabled = said.enabled
                return [EvseEnabled(evse_id, said.enabled)]
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

    def everything(self) -> list[HardwareInput]:
        """As a core that has just started is told: readings before the pilot, so that a start has its register."""
        news: list[HardwareInput] = [ResetsAllowed(self._resets_allowed)]
        for evse_id, seen in self._places.items():
            if seen.cable is not None:
                news.append(CableChanged(evse_id, seen.cable))
            if seen.meter is not None:
                news.append(seen.meter)
            news.append(LocalLimit(evse_id, seen.limit_a))
            if not seen.enabled:
                news.append(EvseEnabled(evse_id, False))
            if seen.pilot is not None:
                news.append(PilotChanged(evse_id, seen.pilot))
        return [*news, *self.faults()]

    def faults(self) -> list[HardwareInput]:
        """Where what is wrong differs from what the core was told."""
        news: list[HardwareInput] = []
        for evse_id, seen in self._places.items():
            wrong = dict(seen.faults)
            if self.gone and evse_id > 0:
                wrong[GONE.fault_id] = GONE
            news += [FaultRaised(evse_id, fault) for id_, fault in wrong.items() if seen.told_faults.get(id_) != fault]
            news += [FaultCleared(evse_id, id_) for id_ in seen.told_faults if id_ not in wrong]
            seen.told_faults = wrong
        return news


def _token(said: TokenSaid) -> TokenSaid:
    if not said.id_token.strip():
        raise TopicError("id_token: is empty")
    return said
