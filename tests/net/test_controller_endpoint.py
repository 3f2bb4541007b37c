"""The local controller between one station and its CSMS, in virtual time: every verdict of its policy, in each version.

The frames are written out: what passes must be the very bytes that came.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from forecourt.controller.settings import ControllerSettings, LimitKey
from forecourt.dialect import DIALECTS
from forecourt.dialect.port import Dialect
from forecourt.dialect.v16 import V16
from forecourt.dialect.v201 import V201
from forecourt.domain.clock import Now
from forecourt.domain.profile import ChargingProfilePurpose
from forecourt.domain.requests import (
    CsmsRequest,
    GetVariables,
    GetVariablesAnswer,
    SetChargingProfile,
    SetVariables,
    SetVariablesAnswer,
    TriggerMessage,
)
from forecourt.domain.site import EvsePoint, GridConnection, Site
from forecourt.domain.variable import (
    GetVariableStatus,
    SetVariableStatus,
    VariableReading,
    VariableRef,
    VariableSetResult,
)
from forecourt.net.controller_endpoint import ControllerEndpoint
from forecourt.quantities import PHASES, PerPhase
from forecourt.rpc.relay_events import Side

START = datetime(2026, 3, 2, 6, tzinfo=UTC)
STATION = "S"


def frame(*parts: Any) -> bytes:
    return json.dumps(parts).encode()


class Words(NamedTuple):
    """The same story in one version's words; payloads as objects."""

    dialect: Dialect
    boot: dict[str, Any]
    occupied: dict[str, Any]
    start: Callable[[str], tuple[str, dict[str, Any]]]
    start_answer: dict[str, Any]
    transaction_id: Any
    set_profile: Callable[[dict[str, Any]], dict[str, Any]]
    clear_profile: dict[str, Any]
    start_remotely: tuple[str, dict[str, Any]]
    set_heartbeat: Callable[[str], tuple[str, dict[str, Any]]]
    set_security: tuple[str, dict[str, Any]]


def _profile_16(profile: dict[str, Any]) -> dict[str, Any]:
    return {"connectorId": 1, "csChargingProfiles": profile}


def _profile_201(profile: dict[str, Any]) -> dict[str, Any]:
    return {"evseId": 1, "chargingProfile": profile}


def _schedule(limit_a: float, **more: Any) -> dict[str, Any]:
    period = {"startPeriod": 0, "limit": limit_a}
    return {"chargingRateUnit": "A", "chargingSchedulePeriod": [period], **more}


def profile_of(dialect: Dialect, purpose: str, limit_a: float, **more: Any) -> dict[str, Any]:
    kind = {"stackLevel": 0, "chargingProfilePurpose": purpose, "chargingProfileKind": "Absolute", **more}
    if dialect is V16:
        return {"chargingProfileId": 7, "chargingSchedule": _schedule(limit_a, startSchedule=stamp(0)), **kind}
    return {"id": 7, "chargingSchedule": [_schedule(limit_a, id=1, startSchedule=stamp(0))], **kind}


def stamp(second: float) -> str:
    return (START + timedelta(seconds=second)).isoformat().replace("+00:00", "Z")


WORDS_16 = Words(
    dialect=V16,
    boot={"chargePointVendor": "Vendor", "chargePointModel": "Model"},
    occupied={"connectorId": 1, "errorCode": "NoError", "status": "Preparing"},
    start=lambda at: ("StartTransaction", {"connectorId": 1, "idTag": "CARD", "meterStart": 0, "timestamp": at}),
    start_answer={"transactionId": 77, "idTagInfo": {"status": "Accepted"}},
    transaction_id=77,
    set_profile=_profile_16,
    clear_profile={"id": 7},
    start_remotely=("RemoteStartTransaction", {"connectorId": 1, "idTag": "CARD"}),
    set_heartbeat=lambda value: ("ChangeConfiguration", {"key": "HeartbeatInterval", "value": value}),
    set_security=("ChangeConfiguration", {"key": "SecurityProfile", "value": "2"}),
)


def _variable(component: str, variable: str, value: str) -> tuple[str, dict[str, Any]]:
    setting = {"component": {"name": component}, "variable": {"name": variable}, "attributeValue": value}
    return "SetVariables", {"setVariableData": [setting]}


WORDS_201 = Words(
    dialect=V201,
    boot={"reason": "PowerUp", "chargingStation": {"vendorName": "Vendor", "model": "Model"}},
    occupied={"timestamp": stamp(0), "connectorStatus": "Occupied", "evseId": 1, "connectorId": 1},
    start=lambda at: (
        "TransactionEvent",
        {
            "eventType": "Started",
            "timestamp": at,
            "triggerReason": "Authorized",
            "seqNo": 0,
            "transactionInfo": {"transactionId": "T1", "chargingState": "Charging"},
            "evse": {"id": 1, "connectorId": 1},
            "idToken": {"idToken": "CARD", "type": "ISO14443"},
        },
    ),
    start_answer={"idTokenInfo": {"status": "Accepted"}},
    transaction_id="T1",
    set_profile=_profile_201,
    clear_profile={"chargingProfileId": 7},
    start_remotely=(
        "RequestStartTransaction",
        {"evseId": 1, "remoteStartId": 5, "idToken": {"idToken": "CARD", "type": "ISO14443"}},
    ),
    set_heartbeat=lambda value: _variable("OCPPCommCtrlr", "HeartbeatInterval", value),
    set_security=_variable("SecurityCtrlr", "SecurityProfile", "2"),
)

VERSIONS = [pytest.param(words, id=words.dialect.subprotocol) for words in (WORDS_16, WORDS_201)]
both = pytest.mark.parametrize("words", VERSIONS)


class Way:
    """One station's way through a controller: what came out at either end, the controller's own calls apart.

    The station carries out what the controller itself asks (`accepts`), unless it is `deaf`.
    """

    def __init__(self, words: Words, *, fuse_a: float = 63.0, settings: ControllerSettings | None = None) -> None:
        self.words = words
        self.dialect = words.dialect
        self.second = 0.0
        self.own: list[CsmsRequest] = []
        self.own_ids: list[str] = []
        self.accepts = True
        self.takes_key = ""
        """The outcome of setting a variable, where it is not that of everything else."""
        self.holds: dict[VariableRef, str] = {}
        """Variables that the station tells when it is asked, and can be set."""
        self.refuses: Callable[[CsmsRequest], bool] = lambda request: False
        self.deaf = False
        self._out: dict[Side, list[bytes]] = {side: [] for side in Side}
        numbers = count(1)
        site = Site(
            grid=GridConnection(name="grid", rating_a=PerPhase.of(fuse_a)),
            evses=(EvsePoint(station_id=STATION, rotation=PHASES),),
        ).checked()
        self.endpoint = ControllerEndpoint(
            site,
            settings or ControllerSettings(),
            {dialect.subprotocol: dialect for dialect in DIALECTS},
            lambda: f"own-{next(numbers)}",
        )
        self.endpoint.opened(STATION, self.dialect.subprotocol, self.now)

    @property
    def now(self) -> Now:
        return Now(self.second, self.second, START + timedelta(seconds=self.second))

    def station(self, data: bytes) -> None:
        self.endpoint.receive(STATION, Side.STATION, data, self.now)
        self._collect()

    def csms(self, data: bytes) -> None:
        self.endpoint.receive(STATION, Side.CSMS, data, self.now)
        self._collect()

    def wait(self, seconds: int) -> None:
        for _ in range(seconds):
            self.second += 1
            if self.endpoint.next_deadlines(self.now).due(self.now):
                self.endpoint.expire(self.now)
                self._collect()

    def to_station(self) -> list[bytes]:
        taken, self._out[Side.STATION] = self._out[Side.STATION], []
        return taken

    def to_csms(self) -> list[bytes]:
        taken, self._out[Side.CSMS] = self._out[Side.CSMS], []
        return taken

    def _collect(self) -> None:
        self._out[Side.CSMS] += self.endpoint.take(STATION, Side.CSMS)
        for data in self.endpoint.take(STATION, Side.STATION):
            message = json.loads(data)
            if message[0] == 2 and message[1].startswith("own-"):
                self._obey(message)
            else:
                self._out[Side.STATION].append(data)

    def _obey(self, message: list[Any]) -> None:
        _, message_id, action, payload = message
        request = self.dialect.decode_request(action, json.dumps(payload).encode()).value
        self.own.append(request)
        self.own_ids.append(message_id)
        if self.deaf:
            return
        if self.refuses(request):
            self.station(frame(3, message_id, {"status": "Rejected"}))
            return
        if isinstance(request, GetVariables) and request.refs is not None:
            told = GetVariablesAnswer(readings=tuple(self._held(ref) for ref in request.refs))
            answer = self.dialect.encode_request_answer(request, told)
            self.station(frame(3, message_id, json.loads(answer)))
            return
        if isinstance(request, SetVariables) and (self.takes_key or request.settings[0].ref in self.holds):
            self.holds |= {one.ref: one.value for one in request.settings if one.ref in self.holds}
            outcome = SetVariableStatus(self.takes_key or "Accepted")
            results = tuple(VariableSetResult(one.ref, outcome) for one in request.settings)
            answer = self.dialect.encode_request_answer(request, SetVariablesAnswer(results=results))
            self.station(frame(3, message_id, json.loads(answer)))
            return
        self.station(frame(3, message_id, {"status": "Accepted" if self.accepts else "Rejected"}))

    def _held(self, ref: VariableRef) -> VariableReading:
        if ref in self.holds:
            return VariableReading(ref, value=self.holds[ref])
        return VariableReading(ref, GetVariableStatus.UNKNOWN_VARIABLE)

    @property
    def limit_a(self) -> float:
        """What the controller last told the station."""
        limits = [request for request in self.own if isinstance(request, SetChargingProfile)]
        return limits[-1].profile.schedule.periods[0].rate_limit

    # the story up to a point

    def booted(self) -> "Way":
        self.station(frame(2, "b", "BootNotification", self.words.boot))
        self.csms(frame(3, "b", {"status": "Accepted", "currentTime": stamp(0), "interval": 300}))
        self.wait(2)
        self.to_station(), self.to_csms()
        return self

    def charging(self) -> "Way":
        self.booted()
        self.station(frame(2, "o", "StatusNotification", self.words.occupied))
        self.csms(frame(3, "o", {}))
        self.start()
        return self

    def start(self) -> None:
        action, payload = self.words.start(stamp(self.second))
        self.station(frame(2, "t", action, payload))
        self.csms(frame(3, "t", self.words.start_answer))
        self.wait(30)
        self.to_station(), self.to_csms()


@both
def test_a_start_that_lacks_its_time_is_a_start_all_the_same(words: Words) -> None:
    way = Way(words).booted()
    way.station(frame(2, "o", "StatusNotification", words.occupied))
    way.csms(frame(3, "o", {}))
    action, payload = words.start(stamp(way.second))
    del payload["timestamp"]
    way.station(frame(2, "t", action, payload))
    way.csms(frame(3, "t", words.start_answer))
    way.wait(30)
    assert way.limit_a > 0


# What is only relayed

FROM_STATION = [
    b'[2,"m-1","TransactionEvent",{"eventType":"Updated","timestamp":"2025-01-01T00:00:00Z",'  # noqa: ISC004
    b'"triggerReason":"Trigger","seqNo":1,"transactionInfo":{"transactionId":"T"}}]',
    b'[2 ,"m-1" , "StatusNotification",\t{"connectorId": 1, "errorCode":"NoError",  "status" : "Faulted" , "x":{}}]',
    b'[2,"m-1","DataTransfer",{"vendorId":"com.example","data":"\\u00e9\xc3\xa9 1.50 1e3"}]',
    b'[2,"m-1","MadeUpAction",{"a":[1,2,{"b":null}],"n":1.000}]',
    b'[2,"m-1","MeterValues",{"connectorId":1}]',
    b'[2,"m-1","MeterValues",{"connectorId":"one","meterValue":7}]',
    b'[2,"m-1","StartTransaction",{"nothing":"of the kind"}]',
    b'[2,"m-1","TransactionEvent",{"eventType":"Finished"}]',
    b'[2,"m-1","SignCertificate",{"csr":"abc"}]',
    b'[2,"m-1","Heartbeat",{"not":"empty","customData":{"vendorId":"x"}}]',
]
FROM_CSMS = [
    b'[2,"c-1", "GetConfiguration" ,{ }]',
    b'[2,"c-1","GetVariables",{"getVariableData":[]}]',
    b'[2,"c-1","MadeUpAction",{"deep":{"deeper":[[[]]]}}]',
    b'[2,"c-1","Reset",{"type":"Lukewarm"}]',
    b'[2,"c-1","ChangeConfiguration",{"key":"MeterValueSampleInterval","value":"10", "x":1}]',
    b'[2,"c-1","ChangeConfiguration",{"value":"no key"}]',
    b'[2,"c-1","SetVariables",{"setVariableData":"nonsense"}]',
    b'[2,"c-1","RemoteStartTransaction",{"idTag":"CARD" ,"connectorId":1}]',
    b'[2,"c-1","RemoteStartTransaction",{}]',
    b'[2,"c-1","RequestStartTransaction",{}]',
    b'[2,"c-1","TriggerMessage",{"requestedMessage":"Heartbeat"}]',
]
ANSWERS = [
    b'[3,"%b",{ "status" : "Accepted","extra":[1.0] }]',
    b'[4,"%b","GenericError","because \xc3\xa9",{"why" :1}]',
]


@both
@pytest.mark.parametrize("answer", ANSWERS, ids=["result", "error"])
@pytest.mark.parametrize("said", [data for data in FROM_STATION if b"Heartbeat" not in data])
def test_what_a_station_says_and_hears_passes_byte_for_byte(words: Words, said: bytes, answer: bytes) -> None:
    way = Way(words).booted()
    way.station(said)
    assert way.to_csms() == [said]
    assert way.to_station() == []
    way.csms(answer % b"m-1")
    assert way.to_station() == [answer % b"m-1"]
    assert way.to_csms() == []


@both
@pytest.mark.parametrize("answer", ANSWERS, ids=["result", "error"])
@pytest.mark.parametrize("said", FROM_CSMS)
def test_what_the_csms_says_and_hears_passes_byte_for_byte(words: Words, said: bytes, answer: bytes) -> None:
    way = Way(words).booted()
    way.csms(said)
    assert way.to_station() == [said]
    assert way.to_csms() == []
    way.station(answer % b"c-1")
    assert way.to_csms() == [answer % b"c-1"]
    assert way.to_station() == []


@both
def test_a_call_that_nobody_answers_gets_no_answer_from_us_either(words: Words) -> None:
    way = Way(words).booted()
    way.station(FROM_STATION[0])
    assert way.to_csms() == [FROM_STATION[0]]
    way.wait(60)
    assert way.to_station() == []
    way.csms(ANSWERS[0] % b"m-1")
    assert way.to_station() == [], "the station has long given up"
    later = FROM_STATION[0].replace(b"m-1", b"m-2")
    way.station(later)
    assert way.to_csms() == [later]


# Heartbeats


@both
def test_a_heartbeat_is_answered_at_once_and_forwarded_and_the_answer_dropped(words: Words) -> None:
    way = Way(words).booted()
    way.second = 5.0
    said = b'[2, "h-1","Heartbeat",{}]'
    way.station(said)
    (answer,) = way.to_station()
    kind, message_id, payload = json.loads(answer)
    assert (kind, message_id, list(payload)) == (3, "h-1", ["currentTime"])
    assert datetime.fromisoformat(payload["currentTime"]) == START + timedelta(seconds=5)
    assert way.to_csms() == [said]
    way.csms(frame(3, "h-1", {"currentTime": stamp(900)}))
    assert way.to_station() == []


@both
def test_heartbeats_are_answered_while_the_csms_says_nothing(words: Words) -> None:
    way = Way(words).booted()
    for number in range(20):
        way.station(frame(2, f"h-{number}", "Heartbeat", {}))
        assert [json.loads(data)[:2] for data in way.to_station()] == [[3, f"h-{number}"]]
        way.wait(10)


# Boots


@both
@pytest.mark.parametrize(("given_s", "told_s"), [(86_400, 300), (301, 300), (300, 300), (60, 60), (0, 300)])
def test_an_accepted_boot_is_told_the_smaller_interval(words: Words, given_s: int, told_s: int) -> None:
    way = Way(words)
    said = frame(2, "b", "BootNotification", words.boot)
    way.station(said)
    assert way.to_csms() == [said]
    assert way.to_station() == []
    answer = frame(3, "b", {"status": "Accepted", "currentTime": stamp(3), "interval": given_s, "vendorX": [1]})
    way.csms(answer)
    (heard,) = way.to_station()
    if given_s == told_s:
        assert heard == answer
    else:
        kind, message_id, payload = json.loads(heard)
        assert (kind, message_id) == (3, "b")
        assert (payload["status"], payload["interval"]) == ("Accepted", told_s)
        assert datetime.fromisoformat(payload["currentTime"]) == START + timedelta(seconds=3)


@both
@pytest.mark.parametrize("status", ["Pending", "Rejected"])
def test_a_boot_that_the_csms_does_not_accept_is_not_accepted(words: Words, status: str) -> None:
    way = Way(words)
    way.station(frame(2, "b", "BootNotification", words.boot))
    answer = frame(3, "b", {"status": status, "currentTime": stamp(0), "interval": 3600})
    way.csms(answer)
    assert way.to_station() == [answer], "when to try again is the CSMS's to say"
    way.wait(120)
    assert way.own == [], "a station that isn't registered is not spoken to"


@both
@pytest.mark.parametrize("answer", [b'[4,"b","InternalError","",{}]', b'[3,"b",{"status":"Perhaps"}]'])
def test_an_answer_to_a_boot_that_is_none_passes(words: Words, answer: bytes) -> None:
    way = Way(words)
    way.station(frame(2, "b", "BootNotification", words.boot))
    way.csms(answer)
    assert way.to_station() == [answer]
    way.wait(120)
    assert way.own == []


@both
def test_a_station_is_spoken_to_once_its_boot_is_accepted(words: Words) -> None:
    way = Way(words)
    way.station(frame(2, "b", "BootNotification", words.boot))
    way.wait(5)
    assert way.own == []
    way.csms(frame(3, "b", {"status": "Accepted", "currentTime": stamp(0), "interval": 300}))
    assert isinstance(way.own[0], SetChargingProfile)
    assert way.limit_a == 0.0
    assert way.to_csms() == [frame(2, "b", "BootNotification", words.boot)]


@both
def test_a_station_that_comes_back_without_a_boot_is_registered(words: Words) -> None:
    way = Way(words)
    way.wait(5)
    assert way.own == []
    way.station(frame(2, "o", "StatusNotification", words.occupied))
    assert isinstance(way.own[0], SetChargingProfile)


# Charging profiles of the CSMS


@both
@pytest.mark.parametrize("purpose", ["TxDefaultProfile", "TxProfile"])
def test_a_charging_profile_is_kept_here_and_obeyed(words: Words, purpose: str) -> None:
    way = Way(words).charging()
    assert way.limit_a == 32.0
    bound = {"transactionId": words.transaction_id} if purpose == "TxProfile" else {}
    profile = profile_of(words.dialect, purpose, 10.0, **bound)
    way.csms(frame(2, "p", "SetChargingProfile", words.set_profile(profile)))
    way.wait(5)
    assert [json.loads(data) for data in way.to_csms()] == [[3, "p", {"status": "Accepted"}]]
    assert way.to_station() == []
    assert way.limit_a == 10.0
    assert isinstance(way.own[-1], SetChargingProfile)
    assert way.own[-1].profile.id != 7, "what the station gets is the controller's own profile"

    way.csms(frame(2, "g", "GetCompositeSchedule", composite(words)))
    (answer,) = [json.loads(data) for data in way.to_csms()]
    assert answer[:2] == [3, "g"]
    assert limits_in(answer[2]) == [10.0]

    way.csms(frame(2, "x", "ClearChargingProfile", words.clear_profile))
    assert [json.loads(data)[2]["status"] for data in way.to_csms()] == ["Accepted"]
    way.csms(frame(2, "y", "ClearChargingProfile", words.clear_profile))
    assert [json.loads(data)[2]["status"] for data in way.to_csms()] == ["Unknown"]
    way.wait(60)
    assert way.limit_a == 32.0
    assert way.to_station() == []


def composite(words: Words) -> dict[str, Any]:
    place = "connectorId" if words.dialect is V16 else "evseId"
    return {place: 1, "duration": 600, "chargingRateUnit": "A"}


def limits_in(answer: dict[str, Any]) -> list[float]:
    assert answer["status"] == "Accepted"
    schedule = answer["chargingSchedule"] if "chargingSchedule" in answer else answer["schedule"]
    return [period["limit"] for period in schedule["chargingSchedulePeriod"]]


@both
def test_a_composite_schedule_without_profiles_is_what_the_controller_allows(words: Words) -> None:
    way = Way(words, fuse_a=20.0).charging()
    way.csms(frame(2, "g", "GetCompositeSchedule", composite(words)))
    (answer,) = [json.loads(data) for data in way.to_csms()]
    assert limits_in(answer[2]) == [20.0]
    assert way.to_station() == []


@both
def test_a_profile_that_a_station_would_refuse_is_refused(words: Words) -> None:
    way = Way(words).booted()
    profile = profile_of(words.dialect, "TxProfile", 10.0, transactionId=words.transaction_id)
    way.csms(frame(2, "p", "SetChargingProfile", words.set_profile(profile)))
    (answer,) = [json.loads(data) for data in way.to_csms()]
    assert answer[2]["status"] == "Rejected", "there is no such transaction"
    way.csms(frame(2, "q", "SetChargingProfile", {"nonsense": 1}))
    (answer,) = [json.loads(data) for data in way.to_csms()]
    assert answer[:2] == [4, "q"]
    assert way.to_station() == []


@both
def test_under_the_other_preset_charging_profiles_are_rejected(words: Words) -> None:
    way = Way(words, settings=ControllerSettings(preset="chargepilot")).charging()
    profile = profile_of(words.dialect, "TxDefaultProfile", 10.0)
    way.csms(frame(2, "p", "SetChargingProfile", words.set_profile(profile)))
    way.wait(30)
    (answer,) = [json.loads(data) for data in way.to_csms()]
    assert answer[:2] == [3, "p"]
    assert answer[2]["status"] == "Rejected"
    assert way.to_station() == []
    assert way.limit_a == 32.0


def test_under_the_other_preset_what_has_no_word_for_no_is_a_call_error() -> None:
    way = Way(WORDS_16, settings=ControllerSettings(preset="chargepilot")).booted()
    way.csms(frame(2, "d", "GetDiagnostics", {"location": "ftp://example"}))
    way.csms(frame(2, "u", "UpdateFirmware", {"location": "ftp://example", "retrieveDate": stamp(0)}))
    assert [json.loads(data)[:3] for data in way.to_csms()] == [[4, "d", "NotSupported"], [4, "u", "NotSupported"]]
    assert way.to_station() == []


def test_under_the_other_preset_nothing_is_reserved() -> None:
    way = Way(WORDS_16, settings=ControllerSettings(preset="chargepilot")).booted()
    way.csms(frame(2, "r", "ReserveNow", {"connectorId": 1, "expiryDate": stamp(0), "idTag": "A", "reservationId": 1}))
    way.csms(frame(2, "c", "CancelReservation", {"reservationId": 1}))
    rejected = {"status": "Rejected"}
    assert [json.loads(data) for data in way.to_csms()] == [[3, "r", rejected], [3, "c", rejected]]
    assert way.to_station() == []


def test_under_the_other_preset_progress_of_firmware_is_answered_here() -> None:
    way = Way(WORDS_16, settings=ControllerSettings(preset="chargepilot")).booted()
    way.station(frame(2, "f", "FirmwareStatusNotification", {"status": "Downloading"}))
    assert [json.loads(data) for data in way.to_station()] == [[3, "f", {}]]
    assert way.to_csms() == []


# Variables


@both
@pytest.mark.parametrize(("given", "passed"), [("86400", "300"), ("301", "300"), ("300", "300"), ("60", "60")])
def test_the_heartbeat_interval_is_capped(words: Words, given: str, passed: str) -> None:
    way = Way(words).booted()
    action, payload = words.set_heartbeat(given)
    way.csms(frame(2, "k", action, payload))
    (data,) = way.to_station()
    assert json.loads(data)[:3] == [2, "k", action]
    wanted = words.dialect.decode_request(action, json.dumps(words.set_heartbeat(passed)[1]).encode())
    assert words.dialect.decode_request(action, json.dumps(json.loads(data)[3]).encode()) == wanted
    if given == passed:
        assert data == frame(2, "k", action, payload)
    way.station(ANSWERS[0] % b"k")
    assert way.to_csms() == [ANSWERS[0] % b"k"]


@both
def test_the_security_profile_is_the_site_s_own_business(words: Words) -> None:
    way = Way(words).booted()
    action, payload = words.set_security
    way.csms(frame(2, "k", action, payload))
    assert way.to_station() == []
    (answer,) = [json.loads(data) for data in way.to_csms()]
    assert answer[:2] == [3, "k"]
    told = answer[2] if words.dialect is V16 else answer[2]["setVariableResult"][0]
    assert told["status" if words.dialect is V16 else "attributeStatus"] == "Rejected"


def test_where_one_of_many_variables_is_refused_none_is_set() -> None:
    way = Way(WORDS_201).booted()
    settings = [
        _variable("OCPPCommCtrlr", "HeartbeatInterval", "60")[1]["setVariableData"][0],
        WORDS_201.set_security[1]["setVariableData"][0],
    ]
    way.csms(frame(2, "k", "SetVariables", {"setVariableData": settings}))
    assert way.to_station() == []
    (answer,) = [json.loads(data) for data in way.to_csms()]
    assert [result["attributeStatus"] for result in answer[2]["setVariableResult"]] == ["Rejected", "Rejected"]


# Remote starts


@both
def test_the_profile_of_a_remote_start_becomes_the_transaction_s(words: Words) -> None:
    way = Way(words).booted()
    way.station(frame(2, "o", "StatusNotification", words.occupied))
    way.csms(frame(3, "o", {}))
    way.to_station(), way.to_csms()
    action, payload = words.start_remotely
    asked = payload | {"chargingProfile": profile_of(words.dialect, "TxProfile", 9.0)}
    way.csms(frame(2, "r", action, asked))
    (passed,) = way.to_station()
    assert json.loads(passed) == [2, "r", action, payload]
    way.station(frame(3, "r", {"status": "Accepted"}))
    assert way.to_csms() == [frame(3, "r", {"status": "Accepted"})]
    way.start()
    assert way.limit_a == 9.0
    way.csms(frame(2, "g", "GetCompositeSchedule", composite(words)))
    assert limits_in(json.loads(way.to_csms()[0])[2]) == [9.0]


@both
@pytest.mark.parametrize("answer", [frame(3, "r", {"status": "Rejected"}), frame(4, "r", "InternalError", "", {})])
def test_a_remote_start_that_is_refused_leaves_nothing_behind(words: Words, answer: bytes) -> None:
    way = Way(words).booted()
    action, payload = words.start_remotely
    way.csms(frame(2, "r", action, payload | {"chargingProfile": profile_of(words.dialect, "TxProfile", 9.0)}))
    way.station(answer)
    assert way.to_csms() == [answer]
    way.station(frame(2, "o", "StatusNotification", words.occupied))
    way.csms(frame(3, "o", {}))
    way.start()
    assert way.limit_a == 32.0


@both
def test_a_remote_start_with_a_profile_of_another_purpose_is_rejected(words: Words) -> None:
    way = Way(words).booted()
    action, payload = words.start_remotely
    wrong = payload | {"chargingProfile": profile_of(words.dialect, "TxDefaultProfile", 9.0)}
    way.csms(frame(2, "r", action, wrong))
    assert way.to_station() == []
    assert [json.loads(data)[2]["status"] for data in way.to_csms()] == ["Rejected"]


# The controller's own calls


@both
def test_the_controller_s_own_calls_never_leak_upstream(words: Words) -> None:
    way = Way(words, fuse_a=20.0).charging()
    way.wait(3600)
    assert len(way.own) > 8, "limits were renewed"
    assert any(isinstance(request, SetChargingProfile) for request in way.own)
    assert way.to_csms() == []
    for message_id in way.own_ids:  # answers that come again
        way.station(frame(3, message_id, {"status": "Accepted"}))
        way.station(frame(4, message_id, "GenericError", "", {}))
    assert way.to_csms() == []
    assert way.to_station() == []


@both
def test_a_csms_that_uses_one_of_the_controller_s_ids_is_refused(words: Words) -> None:
    way = Way(words).booted()
    way.csms(frame(2, way.own_ids[-1], "ClearCache", {}))
    assert way.to_station() == []
    (answer,) = [json.loads(data) for data in way.to_csms()]
    assert answer[:2] == [4, way.own_ids[-1]]


@both
def test_a_call_of_the_csms_waits_for_the_controller_s_and_the_other_way_round(words: Words) -> None:
    way = Way(words)
    way.deaf = True
    way.booted()
    assert len(way.own_ids) == 1
    asked = frame(2, "c", "ClearCache", {})
    way.csms(asked)
    assert way.to_station() == [], "one open call to the station"
    way.station(frame(3, way.own_ids[0], {"status": "Accepted"}))
    assert way.to_station() == [asked]
    way.station(frame(2, "o", "StatusNotification", words.occupied))
    way.csms(frame(3, "o", {}))
    action, payload = words.start(stamp(0))
    way.station(frame(2, "t", action, payload))
    way.csms(frame(3, "t", words.start_answer))
    way.wait(5)
    assert len(way.own_ids) == 1
    way.station(frame(3, "c", {"status": "Accepted"}))
    assert len(way.own_ids) == 2


@both
def test_a_station_that_never_answers_the_controller_is_asked_again_and_hears_the_csms(words: Words) -> None:
    way = Way(words)
    way.deaf = True
    way.booted()
    asked = frame(2, "c", "ClearCache", {})
    way.csms(asked)
    way.wait(40)
    assert way.to_station() == [asked]
    way.station(frame(3, "c", {"status": "Accepted"}))
    way.wait(120)
    assert len(way.own_ids) > 1
    assert way.to_csms() == [frame(3, "c", {"status": "Accepted"})]


@both
def test_a_station_that_refuses_limits_raises_an_alarm_and_is_relayed_all_the_same(words: Words) -> None:
    way = Way(words)
    way.accepts = False
    way.booted()
    way.wait(15)  # a form a second
    assert [alarm.kind for alarm in way.endpoint.alarms] == ["limit-refused"]
    way.station(FROM_STATION[0])
    assert way.to_csms() == [FROM_STATION[0]]


@both
@pytest.mark.parametrize("outcome", ["Accepted", "RebootRequired"])
def test_a_station_that_takes_no_profile_is_limited_by_its_vendors_key(words: Words, outcome: str) -> None:
    """What takes hold only after a restart doesn't limit anything."""
    key = "MaxCurrent" if words is WORDS_16 else "Vendor.MaxCurrent"
    way = Way(words, settings=ControllerSettings(limit_keys={STATION: LimitKey(key=key)}))
    way.accepts, way.takes_key = False, outcome
    way.booted()
    way.wait(20)
    taken = outcome == "Accepted"
    assert [alarm.kind for alarm in way.endpoint.alarms] == ([] if taken else ["limit-refused"])
    (line,) = way.endpoint.controller.lines.values()
    assert line.account.holds_a(way.now) == (0.0 if taken else 32.0)
    asked = [request for request in way.own if isinstance(request, SetVariables)]
    assert [(one.settings[0].ref.variable, one.settings[0].value) for one in asked] == [("MaxCurrent", "0")]


@both
def test_a_limit_is_bound_to_the_transaction_by_the_csms_s_id(words: Words) -> None:
    way = Way(words).charging()
    bound = [request for request in way.own if isinstance(request, SetChargingProfile)][-1]
    assert bound.profile.purpose is ChargingProfilePurpose.TX
    assert bound.profile.transaction_id == str(words.transaction_id)


@both
def test_where_evidence_is_missing_a_reading_is_asked_for(words: Words) -> None:
    way = Way(words).charging()
    profile = profile_of(words.dialect, "TxDefaultProfile", 10.0)
    way.csms(frame(2, "p", "SetChargingProfile", words.set_profile(profile)))
    way.wait(120)
    assert any(isinstance(request, TriggerMessage) for request in way.own)


# Whatever else comes


@both
def test_a_station_that_is_gone_is_not_spoken_to(words: Words) -> None:
    way = Way(words).charging()
    way.endpoint.closed(STATION, way.now)
    said = len(way.own)
    way.wait(3600)
    way.station(FROM_STATION[0])
    assert len(way.own) == said
    assert way.to_csms() == way.to_station() == []


@both
@hypothesis_settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_nothing_that_either_side_sends_raises_or_stops_the_others(words: Words, data: st.DataObject) -> None:
    way = Way(words).charging()
    ids = st.sampled_from(["a", "own-1", "own-2", "-1", "", "t", "b"])
    actions = st.sampled_from(
        ["BootNotification", "Heartbeat", "MeterValues", "TransactionEvent", "StartTransaction", "SetChargingProfile",
         "GetCompositeSchedule", "SetVariables", "ChangeConfiguration", "RemoteStartTransaction", "X"]
    )  # fmt: skip
    payloads = st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=4),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
        max_leaves=5,
    )
    frames = st.one_of(
        st.binary(max_size=20),
        st.builds(lambda i, a, p: frame(2, i, a, p), ids, actions, payloads),
        st.builds(lambda i, p: frame(3, i, p), ids, payloads),
        st.builds(lambda i, p: frame(4, i, "GenericError", "", p), ids, payloads),
        payloads.map(lambda payload: json.dumps(payload).encode()),
    )
    sender = st.sampled_from([way.station, way.csms])
    for send, garbage in data.draw(st.lists(st.tuples(sender, frames), max_size=8)):
        send(garbage)
        way.wait(1)
    way.to_csms(), way.to_station()
    way.station(b'[2,"fresh","Heartbeat",{}]')
    assert any(json.loads(answer)[:2] == [3, "fresh"] for answer in way.to_station())
