"""The words between a station and its firmware over MQTT: topics, payloads, qualities of service.

Guarantees
* `docs/hardware-mqtt.md` is this table in prose; a test holds the two together.
* Below the prefix, `firmware/` is what the firmware says and nobody else, `stack/` what the stack says: two rules in a
  broker's access list are enough.
* What is so (a pilot, a meter, a limit) is retained and of QoS 1: whoever comes later knows it, and twice is no harm.
  What happens once (a token is held to the reader) is never retained, a retained one is ignored, and it is of QoS 2:
  the same tap twice would start and stop a transaction.
* A payload that can't be read is a `TopicError` that says why; nothing else is raised.
"""

import re
from typing import Final

import msgspec

from forecourt.hardware.mqtt_payloads import (
    CableSaid,
    ContractSaid,
    DataTransferAnswerSaid,
    DataTransferSaid,
    EnabledSaid,
    EvCertificateSaid,
    FaultsSaid,
    FirmwareSaid,
    FirmwareStatus,
    LocalLimitSaid,
    LockSaid,
    MeterSaid,
    Nothing,
    PilotSaid,
    ResetAllowedSaid,
    Said,
    SecurityEventSaid,
    TokenSaid,
    UploadSaid,
    VariablesSaid,
)

AT_MOST_ONCE: Final = 0
AT_LEAST_ONCE: Final = 1
EXACTLY_ONCE: Final = 2

LARGEST_BYTES: Final = 262_144
"""What is longer is no payload of ours; signed readings with their certificates fit many times."""


class TopicError(Exception):
    """A topic or payload that means nothing here; the text is for whoever writes the firmware."""


class Publication(msgspec.Struct, frozen=True):
    """Something for the broker."""

    topic: str
    """Below the prefix."""
    payload: bytes
    qos: int
    retain: bool


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
    Word("firmware/evse/{n}/enabled", EnabledSaid, True, AT_LEAST_ONCE, '{"enabled": false}'),
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
    Word("firmware/reset-allowed", ResetAllowedSaid, True, AT_LEAST_ONCE, '{"allowed": false}'),
    Word(
        "firmware/data-transfer",
        DataTransferSaid,
        False,
        EXACTLY_ONCE,
        '{"reference": "17", "vendor_id": "com.example", "message_id": "Hello", "data": "…"}',
    ),
    Word(
        "firmware/data-transfer-answer",
        DataTransferAnswerSaid,
        False,
        EXACTLY_ONCE,
        '{"reference": "4", "status": "Accepted", "data": "…"}',
    ),
    Word(
        "firmware/variables",
        VariablesSaid,
        False,
        EXACTLY_ONCE,
        '{"reference": "5", "set": {"LightIntensity": "40"}, "get": ["HeartbeatInterval"]}',
    ),
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


class Told(msgspec.Struct, frozen=True):
    """One topic of the stack."""

    topic: str
    retained: bool
    qos: int
    example: str


FROM_STACK: Final = (
    Told("stack/status", True, AT_LEAST_ONCE, '{"online": true, "safe_limit_a": 0.0}'),
    Told("stack/evse/{n}/control", True, AT_LEAST_ONCE, '{"power_path": true, "limit_a": 16.0, "number_phases": 3}'),
    Told("stack/evse/{n}/operative", True, AT_LEAST_ONCE, '{"operative": true}'),
    Told("stack/evse/{n}/lock", False, AT_LEAST_ONCE, '{"lock": true}'),
    Told("stack/evse/{n}/schedule", True, AT_LEAST_ONCE, '{"evse_id": 1, "start": "…", "periods": […], …}'),
    Told("stack/reservations", True, AT_LEAST_ONCE, '[{"reservation_id": 7, "evse_id": 1, …}]'),
    Told("stack/display", True, AT_LEAST_ONCE, '{"about": "DefaultPrice", "text": "0.39 EUR/kWh", …}'),
    Told("stack/evse/{n}/display", True, AT_LEAST_ONCE, '{"about": "RunningCost", "cost": "3.31", …}'),
    Told("stack/evse/{n}/ev-certificate", False, AT_LEAST_ONCE, '{"exi_response": "gJgC"}'),
    Told("stack/token-answer", False, AT_LEAST_ONCE, '{"id_token": "04A2B3C4", "accepted": true, "evse_id": 1, …}'),
    Told(
        "stack/data-transfer",
        False,
        EXACTLY_ONCE,
        '{"reference": "4", "vendor_id": "com.example", "message_id": "Hello", "data": "…"}',
    ),
    Told("stack/data-transfer-answer", False, AT_LEAST_ONCE, '{"reference": "17", "status": "Accepted", "data": null}'),
    Told(
        "stack/variables-answer",
        False,
        AT_LEAST_ONCE,
        '{"reference": "5", "set": {"LightIntensity": "Accepted"}, "get": {"HeartbeatInterval": "300"}}',
    ),
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
