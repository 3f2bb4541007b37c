"""Firmware behind MQTT without a broker: what the core hears and what the firmware is told; and the page about it."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from forecourt.domain.certificate import ContractAction
from forecourt.domain.clock import Now
from forecourt.domain.firmware import LogType, LogUploadStatus
from forecourt.domain.meter import Measurand, MeasuredPhase, SampledValue, SignedMeterValue
from forecourt.domain.requests import DataTransfer, DataTransferAnswer, DataTransferStatus
from forecourt.domain.token import IdToken, IdTokenType
from forecourt.domain.variable import (
    GetVariableStatus,
    SetVariableStatus,
    VariableReading,
    VariableRef,
    VariableSetResult,
    VariableSetting,
)
from forecourt.hardware.mqtt import MqttHardware
from forecourt.hardware.mqtt_seen import GONE
from forecourt.hardware.mqtt_system import MqttSystem
from forecourt.hardware.mqtt_words import FROM_FIRMWARE, FROM_STACK, Publication, TopicError, read, told
from forecourt.station.effects import (
    CancelFirmware,
    ClosePowerPath,
    Configure,
    ConfirmFirmware,
    DataTransferDone,
    DownloadFirmware,
    GiveEvCertificate,
    InstallFirmware,
    LockConnector,
    OpenPowerPath,
    PassDataTransfer,
    PriceSubject,
    Reboot,
    ReleaseConnector,
    ReservationMade,
    ReservationOver,
    SetClock,
    SetLimit,
    SetOperative,
    ShowPrices,
    TokenAnswered,
    UploadLog,
    VariablesTold,
)
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
    FirmwareProgress,
    FirmwareStep,
    HardwareInput,
    LocalLimit,
    LockChanged,
    LockOutcome,
    MeterReading,
    Pilot,
    PilotChanged,
    PowerFailing,
    ResetsAllowed,
    SecurityEventNoticed,
    StopPressed,
    TokenPresented,
    UploadProgress,
    VariablesWanted,
)
from forecourt.station.ports import Hardware, System
from forecourt.station.variable_table import BASIC_AUTH_PASSWORD, WEBSOCKET_PING_INTERVAL

PAGE = Path(__file__).parents[2] / "docs" / "hardware-mqtt.md"
EXAMPLE = Path(__file__).parents[2] / "examples" / "firmware.py"
START = datetime(2026, 5, 1, tzinfo=UTC)
RCD = Fault(fault_id="rcd", code="GroundFailure", inoperative=True)


def at(elapsed_s: float) -> Now:
    return Now(elapsed_s, elapsed_s, START + timedelta(seconds=elapsed_s))


class Desk:
    """An `MqttHardware` without a wire."""

    def __init__(self, evses: int = 1, **options: Any) -> None:
        self.system = MqttSystem(("HTTP",))
        self.hardware = MqttHardware(evses, system=self.system, **options)
        self.told: list[tuple[str, Any]] = []
        self.hardware.publish = self.system.publish = self._note
        self.hardware.link_up()

    def _note(self, publication: Publication) -> None:
        self.told.append((publication.topic, json.loads(publication.payload)))

    def say(self, topic: str, payload: Any = None, *, retained: bool = False) -> None:
        self.hardware.received(f"firmware/{topic}", json.dumps(payload or {}).encode(), retained=retained)

    def news(self, elapsed_s: float = 0.0) -> list[HardwareInput]:
        return self.hardware.advance(at(elapsed_s))

    def come(self) -> None:
        """The firmware is online with a free EVSE."""
        self.say("evse/1/pilot", {"pilot": "A"}, retained=True)
        self.say("status", {"online": True}, retained=True)
        self.news()
        self.told.clear()


def test_what_was_said_counts_when_the_firmware_says_it_is_online() -> None:
    desk = Desk(2)
    desk.say("evse/1/pilot", {"pilot": "C"}, retained=True)
    desk.say("evse/1/cable", {"present": True}, retained=True)
    desk.say("evse/1/meter", {"energy_wh": 12.5}, retained=True)
    desk.say("evse/0/local-limit", {"limit_a": 10}, retained=True)
    desk.say("evse/1/faults", {"faults": [{"fault_id": "rcd", "code": "GroundFailure", "inoperative": True}]})
    desk.say("evse/1/token", {"id_token": "A"})
    assert desk.news() == []
    desk.say("status", {"online": True}, retained=True)
    news = desk.news()
    assert not any(isinstance(one, TokenPresented) for one in news), "a tap from before is none"
    of_first = [one for one in news if getattr(one, "evse_id", None) == 1]
    assert of_first == [
        CableChanged(1, True),
        MeterReading(1, (SampledValue(12.5),)),
        LocalLimit(1, None),
        PilotChanged(1, Pilot.C),
        FaultRaised(1, RCD),
    ]
    assert LocalLimit(0, 10.0) in news
    assert desk.hardware.report(at(1)) == news, "a core that starts anew hears all of it again"


def test_what_happens_is_told_in_order() -> None:
    desk = Desk()
    desk.come()
    desk.say("evse/1/pilot", {"pilot": "B"})
    desk.say("evse/1/token", {"id_token": "DE-8AA", "type": "eMAID"})
    desk.say("token", {"id_token": "04A2"})
    desk.say("evse/1/stop")
    desk.say("evse/1/lock", {"outcome": "Failed"})
    desk.say("power-failing")
    desk.say("security-event", {"type": "TamperDetectionActivated", "tech_info": "lid"})
    assert desk.news() == [
        PilotChanged(1, Pilot.B),
        TokenPresented(IdToken("DE-8AA", IdTokenType.EMAID), 1),
        TokenPresented(IdToken("04A2")),
        StopPressed(1),
        LockChanged(1, LockOutcome.FAILED),
        PowerFailing(),
        SecurityEventNoticed("TamperDetectionActivated", "lid", None),
    ]
    assert desk.news() == []


def test_faults_are_told_as_they_come_and_go() -> None:
    desk = Desk()
    desk.come()
    desk.say("evse/1/faults", {"faults": [{"fault_id": "rcd", "code": "GroundFailure", "inoperative": True}]})
    assert desk.news() == [FaultRaised(1, RCD)]
    desk.say("evse/1/faults", {"faults": [{"fault_id": "rcd", "code": "GroundFailure", "inoperative": True}]})
    assert desk.news() == [], "said twice is no news"
    desk.say("status", {"online": False})
    assert desk.news() == [FaultRaised(1, GONE)]
    desk.say("evse/1/faults", {"faults": []})
    assert desk.news() == [], "who is not there says nothing"
    desk.say("status", {"online": True})
    assert [one for one in desk.news() if isinstance(one, FaultCleared)] == [
        FaultCleared(1, "rcd"),
        FaultCleared(1, GONE.fault_id),
    ]


def test_ocmf_is_carried_untouched() -> None:
    desk = Desk()
    desk.come()
    ocmf = 'OCMF|{"FV":"1.0","RD":[{"RV":1.2500,"RU":"kWh"}]}|{"SD":"3045..","x":" \\u00fc "}'
    signed = {"signed_data": ocmf, "encoding_method": "OCMF", "public_key": "0xAB"}
    desk.say("evse/1/meter", {"energy_wh": 1250.0, "signed": signed, "voltage_v": [231.0], "soc_percent": 55})
    (heard,) = desk.news()
    assert isinstance(heard, MeterReading)
    assert heard.samples[0] == SampledValue(1250.0, signed=SignedMeterValue(ocmf, "OCMF", "", "0xAB"))
    assert heard.samples[1] == SampledValue(231.0, Measurand.VOLTAGE, MeasuredPhase.L1_N)
    desk.say("evse/1/meter", {"samples": [{"value": 50.0, "measurand": "Frequency"}]})
    assert desk.news() == [MeterReading(1, (SampledValue(50.0, Measurand.FREQUENCY),))]


def test_firmware_that_is_never_heard_of_is_a_fault_after_a_while() -> None:
    desk = Desk(2, patience_s=15.0)
    assert desk.hardware.report(at(0)) == []
    assert desk.news(14.9) == []
    assert desk.hardware.next_deadlines().elapsed_s == 15.0
    assert desk.news(15.0) == [FaultRaised(1, GONE), FaultRaised(2, GONE)]
    assert desk.hardware.next_deadlines().elapsed_s is None
    desk.say("status", {"online": True})
    assert [one for one in desk.news(16) if isinstance(one, FaultCleared)] == [
        FaultCleared(1, GONE.fault_id),
        FaultCleared(2, GONE.fault_id),
    ]


def test_a_broker_that_is_away_for_a_moment_is_forgiven() -> None:
    desk = Desk(patience_s=15.0)
    desk.come()
    desk.hardware.link_down()
    assert desk.news(100) == []
    assert desk.news(114) == []
    desk.hardware.link_up()
    desk.say("status", {"online": True}, retained=True)
    assert not any(isinstance(one, FaultRaised) for one in desk.news(116))
    desk.hardware.link_down()
    assert desk.news(200) == []
    assert desk.news(216) == [FaultRaised(1, GONE)]


def test_what_is_wanted_of_an_evse_is_one_payload() -> None:
    desk = Desk(2, number_phases=(3, 1))
    desk.come()
    for effect in (SetLimit(1, 16.0, 3), ClosePowerPath(1), ClosePowerPath(1), SetLimit(2, 10.0, 1), OpenPowerPath(1)):
        assert desk.hardware.carry_out(effect, at(0)) == []
    on, off = {"limit_a": 16.0, "number_phases": 3}, {"power_path": False}
    assert desk.told == [
        ("stack/evse/1/control", {**off, **on}),
        ("stack/evse/1/control", {**on, "power_path": True}),
        ("stack/evse/2/control", {"power_path": False, "limit_a": 10.0, "number_phases": 1}),
        ("stack/evse/1/control", {**off, **on}),
    ]
    desk.hardware.carry_out(ClosePowerPath(1), at(0))
    desk.told.clear()
    desk.hardware.carry_out(Reboot(hard=True), at(0))
    assert desk.told[0] == ("stack/evse/1/control", {"power_path": False, "limit_a": 0.0, "number_phases": 3})
    assert desk.told[-1] == ("stack/reboot", {"hard": True})


def test_a_stack_that_starts_wants_nothing_to_flow_before_it_says_that_it_is_there() -> None:
    words = MqttHardware(2, safe_limit_a=6.0).first_words()
    assert [said.topic for said in words][-1] == "stack/status"
    for said in words[:2]:
        control = json.loads(said.payload)
        assert said.retain
        assert (control["power_path"], control["limit_a"]) == (False, 0.0)
    will = MqttHardware(2, safe_limit_a=6.0).last_will()
    assert (will.topic, will.retain) == ("stack/status", True)
    assert json.loads(will.payload) == {"online": False, "safe_limit_a": 6.0}


def test_a_bolt_that_can_not_be_asked_has_failed() -> None:
    desk = Desk()
    for effect in (LockConnector(1), ReleaseConnector(1)):
        assert desk.hardware.carry_out(effect, at(0)) == [LockChanged(1, LockOutcome.FAILED)]
    desk.come()
    for effect in (LockConnector(1), ReleaseConnector(1), ReleaseConnector(1)):
        assert desk.hardware.carry_out(effect, at(0)) == []
    assert [payload["lock"] for _, payload in desk.told] == [True, False, False], "asked again, told again"


def test_displays_are_told() -> None:
    desk = Desk()
    desk.come()
    desk.hardware.carry_out(ReservationMade(7, 1, IdToken("A"), None, START), at(0))
    desk.hardware.carry_out(ReservationOver(7), at(0))
    desk.hardware.carry_out(TokenAnswered(IdToken("A"), True, 1), at(0))
    desk.hardware.carry_out(SetClock(-2.0), at(10))
    desk.hardware.carry_out(Configure(WEBSOCKET_PING_INTERVAL, "30"), at(0))
    shown = {"reservation_id": 7, "evse_id": 1, "id_token": "A", "expires_at": START.isoformat()}
    assert desk.told == [
        ("stack/reservations", [shown]),
        ("stack/reservations", []),
        ("stack/token-answer", {"id_token": "A", "accepted": True, "evse_id": 1, "reason": ""}),
        ("stack/clock", {"at": (START + timedelta(seconds=8)).isoformat(), "offset_s": -2.0}),
        (f"stack/variable/{WEBSOCKET_PING_INTERVAL}", {"value": "30"}),
    ]


def test_a_password_is_never_published() -> None:
    desk = Desk()
    desk.come()
    desk.hardware.carry_out(Configure(BASIC_AUTH_PASSWORD, "secret"), at(0))
    assert desk.told == []


def test_the_firmware_of_the_firmware() -> None:
    desk = Desk()
    system: System = desk.system
    hardware: Hardware = desk.hardware
    assert list(hardware.report(at(0))) == []
    download = DownloadFirmware(3, "http://x/fw")
    system.carry_out(download, at(0))
    assert desk.told == [], "nobody is there to be asked"
    desk.come()
    desk.told.clear()
    system.carry_out(download, at(0))
    assert desk.told == [("stack/system", {"request": "DownloadFirmware", "job_id": 3, "location": "http://x/fw"})]
    desk.say("system/firmware", {"job_id": 2, "step": "downloaded"})
    desk.say("system/firmware", {"job_id": 3, "step": "download paused"})
    desk.say("system/firmware", {"job_id": 3, "step": "downloaded"})
    desk.say("system/firmware", {"job_id": 3, "step": "downloaded"})
    assert system.advance(at(0)) == (
        FirmwareProgress(3, FirmwareStep.DOWNLOAD_PAUSED),
        FirmwareProgress(3, FirmwareStep.DOWNLOADED),
    )
    system.carry_out(InstallFirmware(3), at(0))
    system.carry_out(UploadLog(4, LogType.DIAGNOSTICS, "http://x/", "a.log"), at(0))
    desk.say("status", {"online": False})
    desk.told.clear()
    desk.say("status", {"online": True})
    assert [payload["request"] for topic, payload in desk.told if topic == "stack/system"] == [
        "ConfirmFirmware",
        "UploadLog",
    ]
    desk.say("system/firmware", {"job_id": 3, "step": "installed"})
    desk.say("system/upload", {"job_id": 4, "status": "Uploaded"})
    assert system.advance(at(0)) == (
        FirmwareProgress(3, FirmwareStep.INSTALLED),
        UploadProgress(4, LogUploadStatus.UPLOADED),
    )
    system.carry_out(ConfirmFirmware(5), at(0))
    system.carry_out(CancelFirmware(5), at(0))
    desk.say("system/firmware", {"job_id": 5, "step": "installed"})
    assert system.advance(at(0)) == ()


@pytest.mark.parametrize(
    ("topic", "payload", "retained"),
    [
        ("firmware/evse/1/pilot", b'{"pilot": "X"}', False),
        ("firmware/evse/1/pilot", b"", False),
        ("firmware/evse/2/pilot", b'{"pilot": "A"}', False),
        ("firmware/evse/0/pilot", b'{"pilot": "A"}', False),
        ("firmware/evse/01/pilot", b'{"pilot": "A"}', False),
        ("firmware/evse/1/meter", b'{"energy_wh": "12"}', False),
        ("firmware/evse/1/meter", b'{"energy_wh": 1e999}', False),
        ("firmware/evse/1/meter", b'{"energy_wh": NaN}', False),
        ("firmware/evse/1/local-limit", b'{"limit_a": -1}', False),
        ("firmware/evse/1/token", b'{"id_token": " "}', False),
        ("firmware/evse/1/token", b'{"id_token": "A"}', True),
        ("firmware/evse/1/stop", b"", True),
        ("firmware/nothing", b"{}", False),
        ("firmware/token", b"[" * 100_000, False),
        ("firmware/token", b"\xff\xfe", False),
        ("firmware/token", b" " * 300_000, False),
    ],
)
def test_what_means_nothing_is_said_back_and_left(topic: str, payload: bytes, retained: bool) -> None:
    desk = Desk()
    desk.come()
    desk.hardware.received(topic, payload, retained=retained)
    assert desk.news() == []
    ((where, problem),) = desk.told
    assert (where, problem["topic"]) == ("stack/problem", topic)
    assert problem["problem"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
topics = st.one_of(
    st.sampled_from([word.topic.replace("{n}", number) for word in FROM_FIRMWARE for number in ("0", "1", "7", "x")]),
    st.text(max_size=30),
)
payloads = st.one_of(
    st.binary(max_size=60),
    json_values.map(lambda value: json.dumps(value).encode()),
    st.sampled_from([word.example.encode() for word in FROM_FIRMWARE]),
)


@given(st.lists(st.tuples(topics, payloads, st.booleans()), max_size=12))
def test_nothing_the_firmware_says_raises(said: list[tuple[str, bytes, bool]]) -> None:
    desk = Desk()
    told_faults: set[tuple[int, str]] = set()
    for number, (topic, payload, retained) in enumerate(said):
        desk.hardware.received(topic, payload, retained=retained)
        for one in desk.news(float(number)):
            if isinstance(one, FaultRaised):
                told_faults.add((one.evse_id, one.fault.fault_id))
            elif isinstance(one, FaultCleared):
                assert one.fault_id is not None
                told_faults.remove((one.evse_id, one.fault_id))


def test_contracts_and_displays() -> None:
    desk = Desk()
    desk.come()
    desk.say("evse/1/contract", {"emaid": "DE8AACA2B3C4D5", "certificate_chain": "PEM"})
    desk.say("evse/1/ev-certificate", {"exi_request": "ZXhp", "action": "Update"})
    assert desk.news() == [
        ContractPresented(1, "DE8AACA2B3C4D5", "PEM"),
        EvCertificateWanted(1, "urn:iso:15118:2:2013:MsgDef", ContractAction.UPDATE, "ZXhp"),
    ]
    desk.hardware.carry_out(GiveEvCertificate(1, None), at(0))
    desk.hardware.carry_out(ShowPrices(evse_id=None, about=PriceSubject.DEFAULT_PRICE, text="0.39"), at(0))
    desk.hardware.carry_out(ShowPrices(evse_id=1, about=PriceSubject.RUNNING_COST, cost="3.31"), at(0))
    shown = {"text": "", "cost": None, "language": "", "qr_code_text": None, "id_token": None}
    assert desk.told == [
        ("stack/evse/1/ev-certificate", {"exi_response": None}),
        ("stack/display", {**shown, "about": "DefaultPrice", "text": "0.39"}),
        ("stack/evse/1/display", {**shown, "about": "RunningCost", "cost": "3.31"}),
    ]


# The page


def rows(heading: str) -> dict[str, list[str]]:
    text = PAGE.read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("| `")]
    return {row[0].strip().strip("`"): [cell.strip() for cell in row[1:]] for row in cells}


def test_the_page_says_what_the_firmware_may_say() -> None:
    page = rows("What the firmware says")
    assert list(page) == [word.topic for word in FROM_FIRMWARE]
    for word in FROM_FIRMWARE:
        qos, retained, example, _ = page[word.topic]
        assert (qos, retained) == (str(word.qos), "yes" if word.retained else "no"), word.topic
        assert example == f"`{word.example}`"
        number = "1" if "{n}" in word.topic else None
        general, evse_id, _ = read(word.topic.replace("{n}", number or ""), word.example.encode(), retained=False)
        assert (general, evse_id) == (word.topic, None if number is None else 1)


def test_the_page_says_what_the_stack_says() -> None:
    page = rows("What the stack says")
    assert list(page) == [word.topic for word in FROM_STACK]
    for word in FROM_STACK:
        qos, retained, example, _ = page[word.topic]
        assert (qos, retained) == (str(word.qos), "yes" if word.retained else "no"), word.topic
        assert example == f"`{word.example}`"
        assert told(word.topic, {}, evse_id=1, name="x").retain is word.retained


def test_the_example_of_the_page_is_the_one_that_runs() -> None:
    assert EXAMPLE.read_text(encoding="utf-8").split('"""\n', 1)[1].strip() in PAGE.read_text(encoding="utf-8")


def test_the_first_payload_of_a_topic_that_is_none_is_refused() -> None:
    with pytest.raises(TopicError, match="no such topic"):
        read("stack/status", b"{}", retained=False)


HELLO = DataTransfer(vendor_id="com.example", message_id="Hello", content="{}")


def test_a_vendors_message_goes_both_ways() -> None:
    desk = Desk()
    desk.come()
    assert desk.hardware.carry_out(PassDataTransfer("4", HELLO), at(0)) == []
    said = {"vendor_id": "com.example", "message_id": "Hello", "data": "{}"}
    assert desk.told == [("stack/data-transfer", {"reference": "4", **said})]
    desk.say("data-transfer-answer", {"reference": "4", "status": "Accepted", "data": "hi"})
    desk.say("data-transfer", {"reference": "17", **said})
    accepted = DataTransferAnswer(outcome=DataTransferStatus.ACCEPTED, content="hi")
    assert desk.news() == [DataTransferAnswered("4", accepted), DataTransferWanted("17", HELLO)]
    desk.told.clear()
    desk.hardware.carry_out(DataTransferDone("17", accepted), at(0))
    desk.hardware.carry_out(DataTransferDone("18", None), at(0))
    assert desk.told == [
        ("stack/data-transfer-answer", {"reference": "17", "status": "Accepted", "data": "hi"}),
        ("stack/data-transfer-answer", {"reference": "18", "status": None, "data": None}),
    ]


def test_nobody_answers_a_vendors_message_while_the_firmware_is_away() -> None:
    desk = Desk()
    rejected = DataTransferAnswer(outcome=DataTransferStatus.REJECTED)
    assert desk.hardware.carry_out(PassDataTransfer("4", HELLO), at(0)) == [DataTransferAnswered("4", rejected)]


def test_firmware_that_can_not_restart_now_says_so_and_is_believed_after_a_start() -> None:
    desk = Desk()
    desk.come()
    desk.say("reset-allowed", {"allowed": False}, retained=True)
    assert desk.news() == [ResetsAllowed(False)]
    assert ResetsAllowed(False) in desk.hardware.report(at(1))


def test_variables_are_set_and_read_by_the_names_that_the_firmware_uses() -> None:
    desk = Desk()
    desk.come()
    names = ["HeartbeatInterval", "TxCtrlr.EVConnectionTimeOut"]
    desk.say("variables", {"reference": "5", "set": {"LightIntensity": "40"}, "get": names})
    desk.say("variables", {"reference": "5"})
    desk.say("variables", {"reference": "6", "get": ["."]})
    assert [topic for topic, _ in desk.told] == ["stack/problem"] * 2, "a reference that is in use, and no name"
    desk.told.clear()
    light, heartbeat = (
        VariableRef("ConfigurationKey", "LightIntensity"),
        VariableRef("OCPPCommCtrlr", "HeartbeatInterval"),
    )
    timeout = VariableRef("TxCtrlr", "EVConnectionTimeOut")
    wanted = VariablesWanted(reference="5", settings=(VariableSetting(light, "40"),), refs=(heartbeat, timeout))
    assert desk.news() == [wanted]
    results = (VariableSetResult(light, SetVariableStatus.ACCEPTED),)
    readings = (VariableReading(heartbeat, value="300"), VariableReading(timeout, GetVariableStatus.UNKNOWN_VARIABLE))
    desk.hardware.carry_out(VariablesTold("5", results, readings), at(0))
    desk.hardware.carry_out(VariablesTold("5", results, readings), at(0))
    answer = {
        "reference": "5",
        "set": {"LightIntensity": "Accepted"},
        "get": dict(zip(names, ["300", None], strict=True)),
    }
    assert desk.told == [("stack/variables-answer", answer)]


def test_an_evse_goes_out_of_use_from_either_side() -> None:
    desk = Desk(2)
    desk.come()
    desk.say("evse/1/enabled", {"enabled": False}, retained=True)
    assert desk.news() == [EvseEnabled(1, False)]
    assert EvseEnabled(1, False) in desk.hardware.report(at(1))
    desk.hardware.carry_out(SetOperative(2, False), at(1))
    assert desk.told == [("stack/evse/2/operative", {"operative": False})]
    first = {said.topic: json.loads(said.payload) for said in desk.hardware.first_words()}
    assert first["stack/evse/1/operative"] == {"operative": True}
    assert first["stack/evse/2/operative"] == {"operative": False}


def test_what_was_out_of_use_is_so_no_more_when_a_core_starts_that_says_nothing_of_it() -> None:
    desk = Desk(3)
    desk.come()
    desk.hardware.carry_out(SetOperative(2, False), at(1))
    desk.told.clear()
    desk.hardware.report(at(2))
    assert desk.told == [("stack/evse/2/operative", {"operative": True})], "the others were in use before"
    first = {said.topic: json.loads(said.payload) for said in desk.hardware.first_words()}
    assert all(first[f"stack/evse/{number}/operative"] == {"operative": True} for number in (1, 2, 3))
    desk.hardware.carry_out(SetOperative(2, False), at(2))
    assert desk.told[-1] == ("stack/evse/2/operative", {"operative": False}), "a core that wants it so says it again"
