"""What the payloads say that a station and its firmware exchange over MQTT: each a JSON object, in its own type.

Guarantees
* Numbers are in base units: A, V, W, Wh, percent. A signed reading (OCMF and others) is a text that nobody looks into.
* The topics that they go by are in `mqtt_words`.
"""

from typing import Final

import msgspec

from forecourt.domain.certificate import ContractAction
from forecourt.domain.firmware import LogUploadStatus
from forecourt.domain.meter import Measurand, MeasuredPhase, MeasuringPoint, SampledValue, SignedMeterValue
from forecourt.domain.requests import DataTransferStatus
from forecourt.domain.token import IdToken, IdTokenType
from forecourt.domain.variable import SetVariableStatus
from forecourt.station.effects import PriceSubject
from forecourt.station.inputs import Fault, FirmwareStep, LockOutcome, Pilot

_CURRENT_PHASES: Final = (MeasuredPhase.L1, MeasuredPhase.L2, MeasuredPhase.L3)
_VOLTAGE_PHASES: Final = (MeasuredPhase.L1_N, MeasuredPhase.L2_N, MeasuredPhase.L3_N)


# What the firmware says


class FirmwareStatus(msgspec.Struct, frozen=True):
    """`firmware/status`, and with `online` false the firmware's last will."""

    online: bool


class PilotSaid(msgspec.Struct, frozen=True):
    """`pilot`: the state of the control pilot (IEC 61851-1, annex A)."""

    pilot: Pilot


class CableSaid(msgspec.Struct, frozen=True):
    """`cable`: whether a plug is in the socket. An EVSE with a fixed cable never says it."""

    present: bool


class MeterSaid(msgspec.Struct, frozen=True, kw_only=True):
    """`meter`: everything the meter shows now. The short names cover what most meters have; `samples` the rest."""

    energy_wh: float | None = None
    power_w: float | None = None
    current_a: tuple[float, ...] = ()
    """By phase, L1 first."""
    voltage_v: tuple[float, ...] = ()
    """By phase to neutral, L1 first."""
    soc_percent: float | None = None
    signed: SignedMeterValue | None = None
    """The register as the meter has signed it."""
    samples: tuple[SampledValue, ...] = ()

    def all_samples(self) -> tuple[SampledValue, ...]:
        """As the core wants them."""
        found: list[SampledValue] = []
        if self.energy_wh is not None or self.signed is not None:
            found.append(SampledValue(self.energy_wh, signed=self.signed))
        if self.power_w is not None:
            found.append(SampledValue(self.power_w, Measurand.POWER_ACTIVE_IMPORT))
        found += [
            SampledValue(value, Measurand.CURRENT_IMPORT, phase)
            for value, phase in zip(self.current_a, _CURRENT_PHASES, strict=False)
        ]
        found += [
            SampledValue(value, Measurand.VOLTAGE, phase)
            for value, phase in zip(self.voltage_v, _VOLTAGE_PHASES, strict=False)
        ]
        if self.soc_percent is not None:
            found.append(SampledValue(self.soc_percent, Measurand.SOC, measuring_point=MeasuringPoint.EV))
        return (*found, *self.samples)


class FaultsSaid(msgspec.Struct, frozen=True):
    """`faults`: all that is wrong now; what is no longer in it has been cleared."""

    faults: tuple[Fault, ...]


class LockSaid(msgspec.Struct, frozen=True):
    """`lock`: how moving the bolt went."""

    outcome: LockOutcome


class LocalLimitSaid(msgspec.Struct, frozen=True):
    """`local-limit`: somebody on site limits the EVSE (0: the station), per phase; null: no longer."""

    limit_a: float | None


class EnabledSaid(msgspec.Struct, frozen=True):
    """`enabled`: whether the site wants the EVSE to be in use."""

    enabled: bool


class TokenSaid(msgspec.Struct, frozen=True):
    """`token`: one was held to the reader."""

    id_token: str
    type: IdTokenType = IdTokenType.ISO14443

    def token(self) -> IdToken:
        """As the core wants it."""
        return IdToken(self.id_token, self.type)


class ContractSaid(msgspec.Struct, frozen=True):
    """`contract`: a car shows a contract (ISO 15118); its chain in PEM, without the root."""

    emaid: str
    certificate_chain: str


class EvCertificateSaid(msgspec.Struct, frozen=True):
    """`ev-certificate`: a car wants a certificate for its contract; EXI in base64."""

    exi_request: str
    action: ContractAction = ContractAction.INSTALL
    schema_version: str = "urn:iso:15118:2:2013:MsgDef"


class ResetAllowedSaid(msgspec.Struct, frozen=True):
    """`reset-allowed`: whether the firmware can be restarted now."""

    allowed: bool


class DataTransferSaid(msgspec.Struct, frozen=True):
    """`data-transfer`: an application has a vendor's message for the CSMS; `reference` comes back with the answer."""

    reference: str
    vendor_id: str
    message_id: str | None = None
    data: str | None = None


class DataTransferAnswerSaid(msgspec.Struct, frozen=True):
    """`data-transfer-answer`: the application's answer to `stack/data-transfer`."""

    reference: str
    status: DataTransferStatus
    data: str | None = None


class VariablesSaid(msgspec.Struct, frozen=True):
    """`variables`: set these, then say what those are; by either name."""

    reference: str
    set: dict[str, str] = {}
    get: tuple[str, ...] = ()


class SecurityEventSaid(msgspec.Struct, frozen=True):
    """`security-event`: the firmware has noticed something (security white paper §8)."""

    type: str
    tech_info: str | None = None
    critical: bool | None = None


class FirmwareSaid(msgspec.Struct, frozen=True):
    """`system/firmware`: how far a firmware job has come."""

    job_id: int
    step: FirmwareStep
    info: str = ""


class UploadSaid(msgspec.Struct, frozen=True):
    """`system/upload`: how an upload ended."""

    job_id: int
    status: LogUploadStatus


class Nothing(msgspec.Struct, frozen=True):
    """An event that says all by happening; its payload is empty, or `{}`."""


Said = (
    FirmwareStatus
    | PilotSaid
    | CableSaid
    | MeterSaid
    | FaultsSaid
    | LockSaid
    | LocalLimitSaid
    | EnabledSaid
    | TokenSaid
    | ContractSaid
    | EvCertificateSaid
    | ResetAllowedSaid
    | DataTransferSaid
    | DataTransferAnswerSaid
    | VariablesSaid
    | SecurityEventSaid
    | FirmwareSaid
    | UploadSaid
    | Nothing
)


# What the stack says


class StackStatus(msgspec.Struct, frozen=True):
    """`stack/status`, and with `online` false the stack's last will: fall back to `safe_limit_a`, 0 being none."""

    online: bool
    safe_limit_a: float


class Control(msgspec.Struct, frozen=True):
    """`stack/evse/{n}/control`: whether energy may flow, and how much; one payload, so that it is never half new."""

    power_path: bool
    limit_a: float
    number_phases: int


class Operative(msgspec.Struct, frozen=True):
    """`stack/evse/{n}/operative`: whether the EVSE is in use, for lights and displays."""

    operative: bool


class LockWanted(msgspec.Struct, frozen=True):
    """`stack/evse/{n}/lock`: move the bolt, and say how it went, also where it is there already."""

    lock: bool


class TokenAnswer(msgspec.Struct, frozen=True):
    """`stack/token-answer`: what came of a token."""

    id_token: str
    accepted: bool
    evse_id: int | None
    reason: str


class ReservationShown(msgspec.Struct, frozen=True):
    """One reservation, for displays and lights."""

    reservation_id: int
    evse_id: int | None
    id_token: str
    expires_at: str


class DisplayShown(msgspec.Struct, frozen=True):
    """What a display says of prices and costs from now on."""

    about: PriceSubject
    text: str
    cost: str | None
    language: str
    qr_code_text: str | None
    id_token: str | None
    """Whose price it is, where it is somebody's."""


class EvCertificateGiven(msgspec.Struct, frozen=True):
    """`stack/evse/{n}/ev-certificate`: what the CSMS answered the car; null: nothing came of it."""

    exi_response: str | None


class DataTransferPassed(msgspec.Struct, frozen=True):
    """`stack/data-transfer`: the CSMS says something of a vendor's, to be answered under the same reference."""

    reference: str
    vendor_id: str
    message_id: str | None
    data: str | None


class DataTransferResult(msgspec.Struct, frozen=True):
    """`stack/data-transfer-answer`: what the CSMS answered; `status` null: it could not be asked, or did not answer."""

    reference: str
    status: DataTransferStatus | None
    data: str | None


class VariablesAnswer(msgspec.Struct, frozen=True):
    """`stack/variables-answer`: by the names that were used; of what can't be read, null."""

    reference: str
    set: dict[str, SetVariableStatus]
    get: dict[str, str | None]


class RebootWanted(msgspec.Struct, frozen=True):
    """`stack/reboot`: restart; `hard`: everything, not only the software."""

    hard: bool


class ClockSaid(msgspec.Struct, frozen=True):
    """`stack/clock`: the time of the CSMS, and how far it is ahead of this machine's."""

    at: str
    offset_s: float


class VariableSaid(msgspec.Struct, frozen=True):
    """`stack/variable/{name}`: a variable whose effect lies outside the stack."""

    value: str


class Problem(msgspec.Struct, frozen=True):
    """`stack/problem`: something the firmware said could not be understood."""

    topic: str
    problem: str
