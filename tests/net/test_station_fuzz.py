"""Whatever a CSMS sends to a station in the middle of two transactions: it goes on, they stay whole, and each bad call
gets the error of what is wrong with it."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.messages.official import Official, all_messages, changes, payloads
from tools.fuzz_station import ACTIONS, Broken, Ledger, Victim, one_input, seeds

from forecourt.messages.failure import FailureKind

FEW = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # to shrink a whole life takes minutes
)
MANY = settings(FEW, max_examples=600)

CODES = {
    FailureKind.MISSING_FIELD: "ProtocolError",
    FailureKind.OCCURRENCE: "OccurenceConstraintViolation",
    FailureKind.TYPE: "TypeConstraintViolation",
    FailureKind.VALUE: "PropertyConstraintViolation",
}
"""As OCPP-J 1.6 §4.2.3 spells them."""

ASKED = [one for one in all_messages() if (one.version, one.table) == ("v16", "REQUESTS") and one.action in ACTIONS]
TRIGGERS = {"TriggerMessage", "ExtendedTriggerMessage"}
OWN = sorted({one.action for one in all_messages() if one.version == "v16"} - set(ACTIONS))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
)
WAITS = st.sampled_from([0.0, 0.0, 1.0, 20.0, 130.0])


@contextmanager
def victim() -> Iterator[Victim]:
    with tempfile.TemporaryDirectory() as folder:
        yield Victim(Path(folder))


@st.composite
def likely(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """What makes a difference to a station that is charging."""
    connector = draw(st.integers(-1, 3))
    number = draw(st.integers(500, 504))
    period = {"startPeriod": 0, "limit": draw(st.sampled_from([0.0, 5.9, 6.0, 16.0, 1e6]))}
    profile = {
        "chargingProfileId": draw(st.integers(0, 3)),
        "stackLevel": draw(st.integers(-1, 9)),
        "chargingProfilePurpose": draw(st.sampled_from(["ChargePointMaxProfile", "TxDefaultProfile", "TxProfile"])),
        "chargingProfileKind": draw(st.sampled_from(["Absolute", "Recurring", "Relative"])),
        "chargingSchedule": {
            "chargingRateUnit": draw(st.sampled_from("AW")),
            "chargingSchedulePeriod": [period],
            **draw(st.sampled_from([{}, {"duration": 0}, {"duration": 60}, {"startSchedule": "2026-05-01T12:00:00Z"}])),
        },
        **draw(st.sampled_from([{}, {"transactionId": number}, {"recurrencyKind": "Daily"}])),
    }
    key = draw(
        st.sampled_from(
            ["StopTransactionOnEVSideDisconnect", "MeterValueSampleInterval", "ClockAlignedDataInterval",
             "MeterValuesSampledData", "StopTxnSampledData", "TransactionMessageAttempts", "ConnectionTimeOut",
             "TransactionMessageRetryInterval", "HeartbeatInterval", "WebSocketPingInterval", "LocalAuthListEnabled",
             "AuthorizationCacheEnabled", "SecurityProfile", "AuthorizationKey", "MinimumStatusDuration"]
        )
    )  # fmt: skip
    value = draw(st.sampled_from(["0", "1", "3", "60", "true", "false", "", "x", "-1", "2147483647", "a" * 20]))
    availability = draw(st.sampled_from(["Operative", "Inoperative"]))
    calls: list[tuple[str, dict[str, Any]]] = [
        ("ChangeConfiguration", {"key": key, "value": value}),
        ("SetChargingProfile", {"connectorId": connector, "csChargingProfiles": profile}),
        ("ClearChargingProfile", {"id": profile["chargingProfileId"]}),
        ("RemoteStopTransaction", {"transactionId": number}),
        ("RemoteStartTransaction", {"idTag": "T1", "connectorId": connector}),
        ("RemoteStartTransaction", {"idTag": "T3", "chargingProfile": profile}),
        ("UnlockConnector", {"connectorId": connector}),
        ("ChangeAvailability", {"connectorId": connector, "type": availability}),
        ("Reset", {"type": draw(st.sampled_from(["Hard", "Soft"]))}),
        ("TriggerMessage", {"requestedMessage": "MeterValues", "connectorId": connector}),
        ("GetCompositeSchedule", {"connectorId": connector, "duration": 86400}),
        ("SendLocalList", {"listVersion": 1, "updateType": "Full", "localAuthorizationList": []}),
        ("UpdateFirmware", {"location": "http://x/fw", "retrieveDate": "2026-05-01T12:00:00Z"}),
        ("GetDiagnostics", {"location": "http://x/"}),
    ]
    chosen: tuple[str, dict[str, Any]] = draw(st.sampled_from(calls))
    return chosen


valid = st.sampled_from(ASKED).flatmap(lambda official: payloads(official).map(lambda payload: (official, payload)))


@st.composite
def spoilt(draw: st.DrawFn) -> tuple[Official, dict[str, Any], str]:
    """A payload with one thing wrong, and the code of the error that says so."""
    while True:
        official, payload = draw(valid)
        ways = changes(official, payload)
        if ways:
            way = draw(st.sampled_from(ways))
            return official, way.applied_to(payload), CODES[way.kind]


garbage = st.one_of(
    st.binary(max_size=80),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.lists(JSON, max_size=5).map(lambda values: json.dumps([2, *values]).encode()),
    st.tuples(st.sampled_from([2, 3, 4, 5, 2.0, True, "2"]), st.text(max_size=40), st.sampled_from(ACTIONS), JSON).map(
        lambda parts: json.dumps(parts).encode()
    ),
    st.tuples(st.sampled_from([3, 4]), st.sampled_from(["x", "station-1-q7"]), JSON, JSON, JSON).map(
        lambda parts: json.dumps(parts).encode()
    ),
)

said = st.one_of(likely(), likely(), valid.map(lambda one: (one[0].action, one[1])), garbage)


def whatever_is_said(heard: list[tuple[Any, float]]) -> None:
    with victim() as station:
        for one, wait_s in heard:
            if isinstance(one, bytes):
                station.say(one)
            else:
                station.ask(*one)
            station.run(wait_s)
        station.check()


@FEW
@given(st.lists(st.tuples(said, WAITS), min_size=3, max_size=12))
def test_whatever_is_said_the_station_goes_on_and_its_transactions_stay_whole(heard: list[tuple[Any, float]]) -> None:
    whatever_is_said(heard)


@pytest.mark.slow
@MANY
@given(st.lists(st.tuples(said, WAITS), min_size=5, max_size=30))
def test_the_same_for_a_long_time(heard: list[tuple[Any, float]]) -> None:
    whatever_is_said(heard)


@FEW
@given(st.lists(spoilt(), min_size=10, max_size=30))
def test_a_bad_call_gets_the_error_of_what_is_wrong_with_it(calls: list[tuple[Official, dict[str, Any], str]]) -> None:
    with victim() as station:
        for official, payload, code in calls:
            (answer,) = station.ask(official.action, payload)
            if official.action in TRIGGERS and code == CODES[FailureKind.VALUE]:
                said_so = [3, {"status": "NotImplemented"}]  # a message that is unknown (OCPP 1.6 §5.17)
                assert [answer[0], answer[2]] == said_so, (official.action, payload, answer)
            else:
                assert (answer[0], answer[2]) == (4, code), (official.action, payload, answer)
        station.check()


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b'[2,"q","Nonsense",{}]', "NotImplemented"),
        *((json.dumps([2, "q", action, {}]).encode(), "NotSupported") for action in OWN),
        (b'[2,"q","Reset",[]]', "FormationViolation"),
        (b'[2,"q","Reset",null]', "ProtocolError"),  # null is an empty payload (OCPP-J 1.6 §4.2.1)
        (b'[2,"q","Reset",{"type":"Soft"},1]', "FormationViolation"),
        (b'[2,"q","Reset"]', "FormationViolation"),
    ],
)
def test_what_is_no_call_of_a_csms(frame: bytes, code: str) -> None:
    with victim() as station:
        (answer,) = station.say(frame)
        assert answer[:3] == [4, "q", code]


@pytest.mark.parametrize("frame", [b"", b"[]", b"[2]", b"[2,7]", b"null", b'[9,"q",{}]', b"\xff", b"[" * 5000])
def test_what_has_no_id_gets_no_answer(frame: bytes) -> None:
    with victim() as station:
        assert station.say(frame) == []
        assert station.ask("GetConfiguration", {})[0][0] == 3


@pytest.mark.parametrize("seed", [pytest.param(seed, id=str(number)) for number, seed in enumerate(seeds()[::6])])
def test_the_seeds_of_the_fuzzer_break_nothing(seed: bytes) -> None:
    one_input(seed)


def test_the_ledger_finds_what_is_wrong() -> None:
    ledger = Ledger()
    number = ledger.start({"connectorId": 1, "meterStart": 100})["transactionId"]
    with pytest.raises(Broken, match="second"):
        ledger.start({"connectorId": 1, "meterStart": 100})
    with pytest.raises(Broken, match="not open there"):
        ledger.values({"connectorId": 2, "transactionId": number})
    with pytest.raises(Broken, match="unknown"):
        ledger.stop({"transactionId": number + 1, "meterStop": 100})
    ledger.stop({"transactionId": number, "meterStop": 100})
    with pytest.raises(Broken, match="over"):
        ledger.stop({"transactionId": number, "meterStop": 100})


def test_without_atheris_it_says_what_to_do() -> None:
    program = (
        "import sys; sys.modules['atheris'] = None; sys.argv = ['x']; "
        "from tools.fuzz_station import main; sys.exit(main([]))"
    )
    asked = [sys.executable, "-c", program]
    root = Path(__file__).parents[2]
    ended = subprocess.run(asked, cwd=root, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, "pip install atheris" in ended.stderr) == (2, True)
