"""The endpoint without sockets, in virtual time: frames in, frames out."""

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecourt.dialect.v16 import V16
from forecourt.domain.clock import Now
from forecourt.domain.meter import SampledValue
from forecourt.domain.requests import DataTransfer, ReserveNow
from forecourt.domain.station import StationIdentity
from forecourt.domain.token import IdToken
from forecourt.hardware.simulated import SimulatedEvse
from forecourt.hardware.simulated_station import SimulatedHardware
from forecourt.hardware.vehicle import Vehicle, VehicleSpec
from forecourt.messages.v16 import REQUESTS
from forecourt.net.station_endpoint import StationEndpoint
from forecourt.station import effects as e
from forecourt.station import inputs as i
from forecourt.station import remote
from forecourt.station.boot import Registration
from forecourt.station.config import StationConfig
from forecourt.station.ports import Journal
from forecourt.store.journal import MemoryJournal

START = datetime(2025, 6, 2, 12, 0, tzinfo=UTC)
ALICE = IdToken("ALICE")


class Wire:
    """A station's endpoint and the other end of its wire, by hand."""

    def __init__(self, journal: Journal | None = None, *, connected: bool = True, prefix: str = "s") -> None:
        self.now = Now(0.0, 0.0, START)
        self.hardware = SimulatedHardware([SimulatedEvse(1)])
        self.journal = journal or MemoryJournal()
        ids = itertools.count(1)
        config = StationConfig(identity=StationIdentity(vendor_name="V", model="M"))
        self.endpoint = StationEndpoint(config, V16, self.journal, self.hardware, new_id=lambda: f"{prefix}{next(ids)}")
        self.boot_status = "Accepted"
        self.silent_to: set[str] = set()
        self.refuses: set[str] = set()
        self.calls: list[tuple[str, Any]] = []
        self.answers: list[Any] = []
        self.endpoint.start(self.now)
        if connected:
            self.endpoint.link_up(self.now)
            self.serve()

    def serve(self) -> None:
        """Answer what the station says until it has nothing more to say."""
        while frames := self.endpoint.take():
            for raw in frames:
                frame = json.loads(raw)
                if frame[0] != 2:
                    self.answers.append(frame)
                    continue
                _, message_id, action, payload = frame
                self.calls.append((action, payload))
                if action in self.refuses:
                    self.receive([4, message_id, "InternalError", "", {}])
                elif action not in self.silent_to:
                    self.receive([3, message_id, self.answer(action)])

    def answer(self, action: str) -> Any:
        accepted = {"status": "Accepted"}
        now = self.now.at.isoformat()
        return {
            "BootNotification": {"currentTime": now, "interval": 300, "status": self.boot_status},
            "Heartbeat": {"currentTime": now},
            "Authorize": {"idTagInfo": accepted},
            "StartTransaction": {"idTagInfo": accepted, "transactionId": 7},
            "DataTransfer": accepted,
        }.get(action, {})

    def receive(self, frame: Any) -> None:
        self.endpoint.receive(json.dumps(frame).encode(), self.now)

    def ask(self, action: str, payload: Any, message_id: str = "q") -> Any:
        """The whole answer, or None for silence."""
        self.answers.clear()
        self.receive([2, message_id, action, payload])
        self.serve()
        return self.answers[0] if self.answers else None

    def run(self, seconds: float) -> None:
        until = self.now.elapsed_s + seconds
        while self.now.elapsed_s < until:
            deadlines = self.endpoint.next_deadlines()
            nexts = [at for at in (deadlines.protocol_s, deadlines.elapsed_s) if at is not None]
            at = max(self.now.elapsed_s + 0.000_001, min([until, *nexts]))
            self.now = Now(at, at, START + timedelta(seconds=at))
            self.endpoint.expire(self.now)
            self.serve()

    def told(self, action: str) -> list[Any]:
        return [payload for told, payload in self.calls if told == action]

    def plug_in(self) -> None:
        vehicle = Vehicle(VehicleSpec(), self.now.elapsed_s)
        self.endpoint.tell(self.hardware.evses[1].plug_in(vehicle, self.now), self.now)
        self.serve()

    def tap(self) -> None:
        self.endpoint.tell([i.TokenPresented(ALICE)], self.now)
        self.serve()


def test_a_session_on_simulated_hardware() -> None:
    wire = Wire()
    wire.plug_in()
    wire.tap()
    wire.run(600)
    wire.tap()
    assert [values["transactionId"] for values in wire.told("MeterValues")] == [7] * 10
    stop = wire.told("StopTransaction")[0]
    assert stop["meterStop"] == pytest.approx(wire.hardware.evses[1].register_wh, abs=1)
    assert stop["meterStop"] > 1500


@pytest.mark.parametrize("action", ["TriggerMessage", "ExtendedTriggerMessage"])
def test_5_17_a_message_that_is_unknown_is_not_implemented(action: str) -> None:
    wire = Wire()
    assert wire.ask(action, {"requestedMessage": "Nonsense"}) == [3, "q", {"status": "NotImplemented"}]
    assert wire.ask(action, {"requestedMessage": 5})[2] == "TypeConstraintViolation"
    assert wire.ask(action, {})[2] == "ProtocolError"


def test_5_8_a_key_that_may_only_be_written_is_known_and_has_no_value() -> None:
    wire = Wire()
    told = wire.ask("GetConfiguration", {"key": ["AuthorizationKey", "Nonsense"]})[2]
    assert told == {"configurationKey": [{"key": "AuthorizationKey", "readonly": False}], "unknownKey": ["Nonsense"]}
    everything = wire.ask("GetConfiguration", {})[2]["configurationKey"]
    assert [pair for pair in everything if pair["key"] == "AuthorizationKey"] == told["configurationKey"]


def test_4_3_vendors_whose_messages_are_known() -> None:
    wire = Wire()

    def status(vendor_id: str) -> str:
        return str(wire.ask("DataTransfer", {"vendorId": vendor_id, "messageId": "Nonsense"})[2]["status"])

    assert status("com.example") == "UnknownVendorId"
    assert status("org.openchargealliance.iso15118pnc") == "UnknownMessageId"
    assert status("org.openchargealliance.costmsg") == "UnknownMessageId"


def test_7_13_a_composite_schedule_says_the_least_that_its_profiles_say() -> None:
    wire = Wire()
    schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10}]}
    profile = {
        "chargingProfileId": 1, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Relative", "chargingSchedule": {**schedule, "minChargingRate": 6.5},
    }  # fmt: skip
    assert wire.ask("SetChargingProfile", {"connectorId": 1, "csChargingProfiles": profile})[2]["status"] == "Accepted"
    told = wire.ask("GetCompositeSchedule", {"connectorId": 1, "duration": 60})[2]["chargingSchedule"]
    assert told["minChargingRate"] == 6.5


@pytest.mark.parametrize(
    ("action", "payload", "code"),
    [
        ("Nonsense", {}, "NotImplemented"),
        ("StartTransaction", {}, "NotSupported"),
        ("Reset", {}, "ProtocolError"),
        ("Reset", {"type": "Sideways"}, "PropertyConstraintViolation"),
        ("Reset", {"type": 5}, "TypeConstraintViolation"),
        ("SetChargingProfile", [], "FormationViolation"),
    ],
)
def test_what_can_not_be_translated_gets_the_error_of_its_cause(action: str, payload: Any, code: str) -> None:
    wire = Wire()
    answer = wire.ask(action, payload)
    assert answer[:3] == [4, "q", code]
    assert wire.ask("GetConfiguration", {"key": ["HeartbeatInterval"]})[0] == 3, "it goes on"


def test_what_a_station_has_no_profile_for_is_not_supported(monkeypatch: pytest.MonkeyPatch) -> None:
    """OCPP-J 1.6 §4.2.3: recognized, but not supported by the receiver."""
    monkeypatch.delitem(remote.REQUESTS, ReserveNow, raising=False)
    wire = Wire()
    asked = {"connectorId": 1, "expiryDate": "2024-01-31T08:00:00Z", "idTag": "A", "reservationId": 1}
    assert wire.ask("ReserveNow", asked)[:3] == [4, "q", "NotSupported"]
    assert wire.ask("GetConfiguration", {"key": ["HeartbeatInterval"]})[0] == 3, "it goes on"


def test_rejected_is_silence_and_pending_is_not() -> None:
    wire = Wire(connected=False)
    wire.boot_status = "Rejected"
    wire.endpoint.link_up(wire.now)
    wire.serve()
    assert wire.ask("GetConfiguration", {}) is None
    wire.boot_status = "Pending"
    wire.run(301)
    assert wire.ask("GetConfiguration", {})[0] == 3
    wire.boot_status = "Accepted"
    wire.run(301)
    assert wire.endpoint.station.registration is Registration.ACCEPTED


def test_a_silent_csms_is_asked_again() -> None:
    wire = Wire(connected=False)
    wire.silent_to = {"BootNotification"}
    wire.endpoint.link_up(wire.now)
    wire.serve()
    wire.run(59)
    assert len(wire.told("BootNotification")) == 1
    wire.run(2)  # 30 s for the answer, 30 s of its own wait
    assert len(wire.told("BootNotification")) == 2


def test_an_answer_that_can_not_be_read_is_no_answer() -> None:
    wire = Wire(connected=False)
    wire.boot_status = "Sideways"
    wire.endpoint.link_up(wire.now)
    wire.serve()
    assert wire.endpoint.station.registration is Registration.UNKNOWN


def test_answers_that_were_lost_with_the_connection_are_asked_for_again() -> None:
    wire = Wire()
    wire.plug_in()
    wire.silent_to = {"StartTransaction"}
    wire.tap()
    wire.endpoint.link_down(wire.now)
    wire.silent_to = set()
    wire.endpoint.link_up(wire.now)
    wire.serve()
    first, second = wire.told("StartTransaction")
    assert first == second


def test_another_endpoint_goes_on_from_the_journal() -> None:
    wire = Wire()
    wire.plug_in()
    wire.tap()
    wire.run(90)
    again = Wire(wire.journal, connected=False, prefix="again")
    again.now = Now(0.0, 0.0, wire.now.at)
    again.hardware.evses[1].plug_in(Vehicle(VehicleSpec(), 0.0), again.now)
    ids = itertools.count()
    again.endpoint = StationEndpoint(
        again.endpoint.station.parts.config, V16, wire.journal, again.hardware, new_id=lambda: f"other{next(ids)}"
    )
    again.endpoint.start(again.now)
    again.endpoint.link_up(again.now)
    again.serve()
    again.endpoint.tell([i.TokenPresented(ALICE)], again.now)
    again.serve()
    assert again.told("StopTransaction")[0]["transactionId"] == 7


def test_unlock_is_answered_by_the_lock() -> None:
    wire = Wire()
    assert wire.ask("UnlockConnector", {"connectorId": 1})[2] == {"status": "Unlocked"}
    wire.hardware.evses[1].lock_works = False
    wire.hardware.evses[1].locked = True
    assert wire.ask("UnlockConnector", {"connectorId": 1})[2] == {"status": "UnlockFailed"}


def test_a_reset_is_handed_to_the_owner() -> None:
    wire = Wire()
    assert wire.ask("Reset", {"type": "Hard"})[2] == {"status": "Accepted"}
    assert wire.endpoint.reboot == e.Reboot(hard=True)


def test_what_concerns_applications_is_handed_out_once() -> None:
    wire = Wire()
    wire.endpoint.take_outside()
    wire.endpoint.tell([i.DataTransferWanted("ref", DataTransfer(vendor_id="x"))], wire.now)
    wire.serve()
    (done,) = wire.endpoint.take_outside()
    assert isinstance(done, e.DataTransferDone)
    assert not wire.endpoint.take_outside()


def test_a_journal_that_can_not_be_kept_ends_it_before_anything_is_sent() -> None:
    class Full(MemoryJournal):
        def commit(self, changes: Any) -> None:
            if any(getattr(change, "section", "") == "transaction" for change in changes):
                raise OSError("no space left on device")
            super().commit(changes)

    wire = Wire(Full())
    wire.plug_in()
    with pytest.raises(OSError, match="no space"):
        wire.tap()
    assert not wire.told("StartTransaction")


def test_five_hundred_messages_at_once_do_not_stop_the_billing() -> None:
    wire = Wire()
    wire.plug_in()
    wire.silent_to = {"Authorize", "StatusNotification"}
    for number in range(500):
        wire.endpoint.tell([i.FaultRaised(1, i.Fault(fault_id=str(number)))], wire.now)
    wire.silent_to = set()
    wire.endpoint.tell([i.TokenPresented(ALICE)], wire.now)
    wire.serve()
    wire.run(40)
    assert wire.told("StartTransaction")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.tuples(st.integers(0, 7), st.text(max_size=5), st.sampled_from(sorted(REQUESTS)), _JSON).map(
                lambda frame: json.dumps(frame).encode()
            ),
            st.tuples(st.just(3), st.sampled_from(["s1", "s2", "s3"]), _JSON).map(lambda x: json.dumps(x).encode()),
        ),
        max_size=12,
    )
)
def test_nothing_a_csms_sends_stops_the_station(frames: list[bytes]) -> None:
    wire = Wire()
    wire.plug_in()
    wire.tap()
    for frame in frames:
        wire.endpoint.receive(frame, wire.now)
        wire.serve()
    wire.run(61)
    wire.endpoint.link_down(wire.now)
    wire.endpoint.link_up(wire.now)
    wire.serve()
    wire.tap()
    wire.run(200)
    starts, stops = wire.told("StartTransaction"), wire.told("StopTransaction")
    assert len({json.dumps(start) for start in starts}) == 1
    assert len({json.dumps(stop) for stop in stops}) <= 1
    assert wire.ask("GetConfiguration", {"key": ["HeartbeatInterval"]}, "last")[0] == 3


def test_signed_values_need_no_number() -> None:
    wire = Wire()
    wire.plug_in()
    wire.tap()
    wire.endpoint.tell([i.MeterReading(1, (SampledValue(None),))], wire.now)
    wire.tap()
    assert wire.told("StopTransaction")[0]["meterStop"] == 0
