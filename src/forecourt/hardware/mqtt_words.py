"""The words between a station and its firmware over MQTT: topics, payloads, qualities of service.

Guarantees
* `docs/hardware-mqtt.md` is this table in prose; a test holds the two together.
* Below the prefix, `firmware/` is what the firmware says and nobody else, `stack/` what the stack says: two rules in a
  broker's access list are enough.
* What is so (a pilot, a meter, a limit) is retained and of QoS 1: whoever comes later knows it, and twice is no harm.
  What happens once (a token is held to the reader) is never retained, a retained one is ignored, and it is of QoS 2:
  the same tap twice would start and stop a transaction.
* Numbers are in base units: A, V, W, Wh, percent. A signed reading (OCMF and others) is a text that nobody looks into.
* A payload that can't be read is a `TopicError` that says why; nothing else is raised.
"""

import re
from typing import Final

import msgspec

from forecourt.domain.certificate import ContractAction
from forecourt.domain.firmware import LogUploadStatus
from forecourt.domain.meter import Measurand, MeasuredPhase, MeasuringPoint, SampledValue, SignedMeterValue
from forecourt.domain.token import IdToken, IdTokenType
from forecourt.station.effects import PriceSubject
from forecourt.station.inputs import Fault, FirmwareStep, LockOutcome, Pilot

AT_MOST_ONCE: Final = 0
AT_LEAST_ONCE: Final = 1
EXACTLY_ONCE: Final = 2

LARGEST_BYTES: Final = 262_144
"""What is longer is no payload of ours; signed readings with their certificates fit many times."""

_CURRENT_PHASES: Final = (MeasuredPhase.L1, MeasuredPhase.L2, MeasuredPhase.L3)
_VOLTAGE_PHASES: Final = (MeasuredPhase.L1_N, MeasuredPhase.L2_N, MeasuredPhase.L3_N)


class TopicError(Exception):
    """A topic or payload that means nothing here; the text is for whoever writes the firmware."""


class Publication(msgspec.Struct, frozen=True):
    """Something for the broker."""

    topic: str
    """Below the prefix."""
    payload: bytes
    qos: int
    retain: bool


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
    | TokenSaid
    | ContractSaid
    | EvCertificateSaid
    | SecurityEventSaid
    | FirmwareSaid
    | UploadSaid
    | Nothing
)


class Word(msgspec.Struct, frozen=True):
    """One topic of the firmware, `{n}` standing for the number of an EVSE."""

    topic: str
    payload: type[Said]
    retained: bool
    qos: int
    example: str
    station_too: bool = False
    """Whether EVSE 0, the station as a whole, may be meant."""


FROM_FIRMWARE: Final = (
    Word("firmware/status", FirmwareStatus, True, AT_LEAST_ONCE, '{"online": true}'),
    Word("firmware/evse/{n}/pilot", PilotSaid, True, AT_LEAST_ONCE, '{"pilot": "B"}'),
    Word("firmware/evse/{n}/cable", CableSaid, True, AT_LEAST_ONCE, '{"present": true}'),
    Word(
        "firmware/evse/{n}/meter",
        MeterSaid,
        True,
        AT_LEAST_ONCE,
        '{"energy_wh": 1204.5, "power_w": 11040, "current_a": [16, 16, 16], "voltage_v": [230, 230, 230]}',
        station_too=True,
    ),
    Word(
        "firmware/evse/{n}/faults",
        FaultsSaid,
        True,
        AT_LEAST_ONCE,
        '{"faults": [{"fault_id": "rcd", "code": "GroundFailure", "inoperative": true}]}',
        station_too=True,
    ),
    Word("firmware/evse/{n}/lock", LockSaid, False, AT_LEAST_ONCE, '{"outcome": "Locked"}'),
    Word("firmware/evse/{n}/local-limit", LocalLimitSaid, True, AT_LEAST_ONCE, '{"limit_a": 10.0}', station_too=True),
    Word("firmware/evse/{n}/token", TokenSaid, False, EXACTLY_ONCE, '{"id_token": "04A2B3C4"}'),
    Word(
        "firmware/evse/{n}/contract",
        ContractSaid,
        False,
        EXACTLY_ONCE,
        '{"emaid": "DE8AACA2B3C4D5", "certificate_chain": "-----BEGIN CERTIFICATE-----…"}',
    ),
    Word("firmware/evse/{n}/ev-certificate", EvCertificateSaid, False, EXACTLY_ONCE, '{"exi_request": "gJgC"}'),
    Word("firmware/evse/{n}/stop", Nothing, False, EXACTLY_ONCE, "{}"),
    Word("firmware/token", TokenSaid, False, EXACTLY_ONCE, '{"id_token": "04A2B3C4", "type": "ISO14443"}'),
    Word("firmware/power-failing", Nothing, False, EXACTLY_ONCE, "{}"),
    Word("firmware/restart-wanted", Nothing, False, EXACTLY_ONCE, "{}"),
    Word("firmware/reboot-failed", Nothing, False, EXACTLY_ONCE, "{}"),
    Word(
        "firmware/security-event",
        SecurityEventSaid,
        False,
        EXACTLY_ONCE,
        '{"type": "TamperDetectionActivated", "tech_info": "lid"}',
    ),
    Word("firmware/security-log-cleared", Nothing, False, EXACTLY_ONCE, "{}"),
    Word("firmware/system/firmware", FirmwareSaid, False, EXACTLY_ONCE, '{"job_id": 3, "step": "downloaded"}'),
    Word("firmware/system/upload", UploadSaid, False, EXACTLY_ONCE, '{"job_id": 4, "status": "Uploaded"}'),
)
"""Every topic that the firmware may publish, below the prefix."""

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


class Told(msgspec.Struct, frozen=True):
    """One topic of the stack."""

    topic: str
    retained: bool
    qos: int
    example: str


FROM_STACK: Final = (
    Told("stack/status", True, AT_LEAST_ONCE, '{"online": true, "safe_limit_a": 0.0}'),
    Told("stack/evse/{n}/control", True, AT_LEAST_ONCE, '{"power_path": true, "limit_a": 16.0, "number_phases": 3}'),
    Told("stack/evse/{n}/lock", False, AT_LEAST_ONCE, '{"lock": true}'),
    Told("stack/evse/{n}/schedule", True, AT_LEAST_ONCE, '{"evse_id": 1, "start": "…", "periods": […], …}'),
    Told("stack/reservations", True, AT_LEAST_ONCE, '[{"reservation_id": 7, "evse_id": 1, …}]'),
    Told("stack/display", True, AT_LEAST_ONCE, '{"about": "DefaultPrice", "text": "0.39 EUR/kWh", …}'),
    Told("stack/evse/{n}/display", True, AT_LEAST_ONCE, '{"about": "RunningCost", "cost": "3.31", …}'),
    Told("stack/evse/{n}/ev-certificate", False, AT_LEAST_ONCE, '{"exi_response": "gJgC"}'),
    Told("stack/token-answer", False, AT_LEAST_ONCE, '{"id_token": "04A2B3C4", "accepted": true, "evse_id": 1, …}'),
    Told("stack/reboot", False, EXACTLY_ONCE, '{"hard": false}'),
    Told("stack/clock", False, AT_LEAST_ONCE, '{"at": "2026-05-01T06:00:00+00:00", "offset_s": 0.4}'),
    Told("stack/variable/{name}", True, AT_LEAST_ONCE, '{"value": "54"}'),
    Told("stack/system", False, EXACTLY_ONCE, '{"request": "DownloadFirmware", "job_id": 3, "location": "…"}'),
    Told("stack/problem", False, AT_MOST_ONCE, '{"topic": "firmware/status", "problem": "…"}'),
)
"""Every topic that the stack publishes, below the prefix."""

_TOLD: Final = {told.topic: told for told in FROM_STACK}
_EVSE: Final = re.compile(r"(?<=/evse/)(0|[1-9][0-9]{0,3})(?=/)")
_SAID: Final = {
    word.topic: (word, msgspec.json.Decoder(word.payload), word.payload is Nothing) for word in FROM_FIRMWARE
}
_encode = msgspec.json.Encoder().encode


def told(topic: str, payload: object, *, evse_id: int | None = None, name: str | None = None) -> Publication:
    """`payload` under one of the topics of `FROM_STACK`."""
    row = _TOLD[topic]
    filled = topic if evse_id is None else topic.replace("{n}", str(evse_id))
    filled = filled if name is None else filled.replace("{name}", name)
    return Publication(filled, _encode(payload), row.qos, row.retained)


def read(topic: str, payload: bytes, *, retained: bool) -> tuple[str, int | None, Said]:
    """What the firmware said: the topic with `{n}` in it, the number of the EVSE, and the payload.

    Raises:
        TopicError: it said nothing that has a meaning.
    """
    found = _EVSE.search(topic)
    evse_id = None if found is None else int(found.group())
    general = topic if found is None else f"{topic[: found.start()]}{{n}}{topic[found.end() :]}"
    if general not in _SAID:
        raise TopicError("no such topic")
    word, decoder, bare = _SAID[general]
    if evse_id == 0 and not word.station_too:
        raise TopicError("EVSE 0 has none")
    if retained and not word.retained:
        raise TopicError("this happens once, and must not be retained")
    if len(payload) > LARGEST_BYTES:
        raise TopicError(f"longer than {LARGEST_BYTES} bytes")
    if bare and not payload:
        return general, evse_id, Nothing()
    try:
        said: Said = decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise TopicError(str(error)) from None
    return general, evse_id, said
