"""What a version has no words for is refused, never watered down; what comes in and can't be known is noted."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from tests.dialect.stories import TX_16

from forecourt.dialect import DIALECTS, by_subprotocol
from forecourt.dialect.port import Dialect, Inexpressible, Untranslatable
from forecourt.dialect.tables import TableDialect
from forecourt.domain import events as e
from forecourt.domain import requests as r
from forecourt.domain.certificate import CertificateHash, CertificateUse, HashAlgorithm, InstalledCertificate
from forecourt.domain.firmware import LogType
from forecourt.domain.meter import MeterValue, SampledValue
from forecourt.domain.profile import (
    ChargingProfile,
    ChargingProfileKind,
    ChargingProfilePurpose,
    ChargingRateUnit,
    ChargingSchedule,
    ChargingSchedulePeriod,
    ProfileCriteria,
)
from forecourt.domain.reservation import ConnectorType
from forecourt.domain.station import ConnectorStatus, OperationalStatus, RegistrationStatus, ResetType
from forecourt.domain.token import IdToken, IdTokenType
from forecourt.domain.transaction import ChargingState, TriggerReason
from forecourt.domain.variable import VariableReading, VariableRef, VariableSetting
from forecourt.rpc.errors import Cause

V16 = by_subprotocol("ocpp1.6")
V201 = by_subprotocol("ocpp2.0.1")
AT = datetime(2024, 1, 31, 8, tzinfo=UTC)
TAG = IdToken("TAG")
REF = VariableRef("OCPPCommCtrlr", "HeartbeatInterval")
VALUES = (MeterValue(AT, (SampledValue(1.0),)),)
SEQUENCE = e.Sequence(seq_no=0, trigger_reason=TriggerReason.AUTHORIZED)

SCHEDULE = ChargingSchedule(rate_unit=ChargingRateUnit.A, periods=(ChargingSchedulePeriod(0, 6.0),))
PROFILE = ChargingProfile(
    id=1,
    stack_level=0,
    purpose=ChargingProfilePurpose.TX,
    kind=ChargingProfileKind.ABSOLUTE,
    schedules=(SCHEDULE,),
)


def profile(**changes: Any) -> r.SetChargingProfile:
    return r.SetChargingProfile(evse_id=1, profile=msgspec.structs.replace(PROFILE, **changes))


PHASE_TO_USE = msgspec.structs.replace(SCHEDULE, periods=(ChargingSchedulePeriod(0, 6.0, 1, 2),))
ENDLESS = msgspec.structs.replace(SCHEDULE, periods=(ChargingSchedulePeriod(0, float("inf")),))
LATER_TRIGGER = r.TriggeredMessage.SIGN_COMBINED_CERTIFICATE

OFF_THE_LIST = r.LocalListEntry(TAG)
LIST = r.SendLocalList(version=0, update=r.ListUpdate.DIFFERENTIAL, entries=(OFF_THE_LIST,))

UNASKABLE: list[tuple[Dialect, r.CsmsRequest]] = [
    (V16, r.Reset(reset_type=ResetType.ON_IDLE)),
    (V16, r.Reset(evse_id=1)),
    (V16, r.SetVariables(settings=())),
    (V16, r.SetVariables(settings=(VariableSetting(REF, "1"), VariableSetting(REF, "2")))),
    (V16, r.SetVariables(settings=(VariableSetting(REF, "x" * 501),))),
    (V16, r.SetVariables(settings=(VariableSetting(VariableRef("EVSE", "Power", evse_id=1), "1"),))),
    (V16, r.GetVariables(refs=())),
    (V16, r.GetVariables(refs=(VariableRef("ConfigurationKey", "k" * 51),))),
    (V16, r.UnlockConnector(evse_id=1, connector_id=2)),
    (V16, r.ChangeAvailability(evse_id=1, connector_id=2, operational_status=OperationalStatus.OPERATIVE)),
    (V16, r.RequestStartTransaction(id_token=IdToken("t" * 21))),
    (V16, r.RequestStopTransaction(transaction_id="a-uuid")),
    (V16, r.RequestStopTransaction(transaction_id="007")),
    (V16, r.TriggerMessage(requested_message=LATER_TRIGGER)),
    (V16, r.TriggerMessage(requested_message=r.TriggeredMessage.TRANSACTION_EVENT)),
    (V16, profile(schedules=(SCHEDULE, SCHEDULE))),
    (V16, profile(schedules=(PHASE_TO_USE,))),
    (V16, profile(purpose=ChargingProfilePurpose.EXTERNAL_CONSTRAINTS)),
    (V16, profile(kind=ChargingProfileKind.DYNAMIC)),
    (V16, profile(transaction_id="a-uuid")),
    (V16, profile(valid_from=datetime(2024, 1, 1))),  # noqa: DTZ001 -- a mistake of ours is refused, too
    (V16, profile(schedules=(ENDLESS,))),
    (V16, r.ClearChargingProfile(criteria=ProfileCriteria(purpose=ChargingProfilePurpose.LOCAL_GENERATION))),
    (V16, r.DataTransfer(vendor_id="v" * 256)),
    (V16, LIST),
    (V16, msgspec.structs.replace(LIST, version=1, update=r.ListUpdate.FULL)),
    (V16, msgspec.structs.replace(LIST, version=1, entries=(OFF_THE_LIST, r.LocalListEntry(IdToken("tag"))))),
    (V16, r.ReserveNow(reservation_id=1, expires_at=AT, id_token=TAG, connector_type=ConnectorType.C_TYPE2)),
    (V16, r.UpdateFirmware(location="ftp://x", retrieve_at=AT, signature="s", request_id=1)),
    (V16, r.UpdateFirmware(location="ftp://x", retrieve_at=AT, signature="s", signing_certificate="c")),
    (V16, r.UpdateFirmware(location="ftp://x", retrieve_at=AT, install_at=AT)),
    (V16, r.GetLog(log_type=LogType.SECURITY, location="ftp://x")),
    (V16, r.GetInstalledCertificateIds()),
    (V16, r.GetInstalledCertificateIds(uses=(CertificateUse.CSMS_ROOT, CertificateUse.V2G_ROOT))),
    (V16, r.InstallCertificate(use=CertificateUse.V2G_CHAIN, certificate="c")),
    (V16, r.InstallCertificate(use=CertificateUse.CSMS_ROOT, certificate="c" * 5501)),
    (V201, LIST),
    (V201, r.UpdateFirmware(location="ftp://x", retrieve_at=AT)),
    (V201, r.GetLog(location="ftp://x")),
    (V201, r.InstallCertificate(use=CertificateUse.V2G_CHAIN, certificate="c")),
    (V201, r.SetVariables(settings=())),
    (V201, r.GetVariables(refs=())),
    (V201, r.GetVariables(refs=(VariableRef("Connector", "Available", connector_id=1),))),
    (V201, r.RequestStartTransaction(id_token=IdToken("V", IdTokenType.VIN))),
    (V201, r.RequestStopTransaction(transaction_id="t" * 37)),
    (V201, r.TriggerMessage(requested_message=r.TriggeredMessage.STATUS_NOTIFICATION)),
    (V201, r.TriggerMessage(requested_message=r.TriggeredMessage.DIAGNOSTICS_STATUS_NOTIFICATION)),
    (V201, profile(schedules=())),
    (V201, profile(schedules=(SCHEDULE,) * 4)),
    (V201, profile(schedules=(ENDLESS,))),
    (V201, profile(purpose=ChargingProfilePurpose.PRIORITY_CHARGING)),
    (V201, profile(kind=ChargingProfileKind.DYNAMIC)),
    (V201, r.ClearChargingProfile()),
]


@pytest.mark.parametrize(("dialect", "request_"), UNASKABLE, ids=lambda value: str(value)[:60])
def test_what_has_no_words_is_not_asked(dialect: Dialect, request_: r.CsmsRequest) -> None:
    with pytest.raises(Inexpressible):
        dialect.encode_request(request_)


def notice(*events: e.StationEvent, sequence: e.Sequence | None = None) -> e.Notice:
    return e.Notice(events, sequence)


def started(**more: Any) -> e.TransactionStarted:
    given: dict[str, Any] = {"transaction_id": "7", "evse_id": 1, "at": AT, "id_token": TAG} | more
    return e.TransactionStarted(**given)


ENDED = e.TransactionEnded(transaction_id="7", at=AT)

UNTELLABLE: list[tuple[Dialect, e.Notice]] = [
    (V16, notice(started(id_token=None))),
    (V16, notice(started(connector_id=2))),
    (V16, notice(e.MeterSampled(evse_id=None, transaction_id="7", meter_values=VALUES))),
    (V16, notice(e.ChargingStateReported(evse_id=None, charging_state=ChargingState.CHARGING, transaction_id="7"))),
    (V201, notice(started())),
    (V201, notice(started(transaction_id=None), sequence=SEQUENCE)),
    (V201, notice(started(), ENDED, sequence=SEQUENCE)),
    (V201, notice(ENDED, ENDED, sequence=SEQUENCE)),
    (
        V201,
        notice(ENDED, e.MeterSampled(evse_id=1, transaction_id="8", meter_values=VALUES), sequence=SEQUENCE),
    ),
    (
        V201,
        notice(
            e.ChargingStateReported(evse_id=1, charging_state=ChargingState.CHARGING, transaction_id="7"),
            sequence=SEQUENCE,
        ),
    ),
    (V201, notice(sequence=SEQUENCE)),
    (V201, notice(e.MeterSampled(evse_id=None, meter_values=VALUES))),
    (
        V201,
        notice(e.ConnectorStatusReported(evse_id=1, connector_id=1, connector_status=ConnectorStatus.AVAILABLE)),
    ),
]


@pytest.mark.parametrize(("dialect", "told"), UNTELLABLE, ids=lambda value: str(value)[:60])
def test_what_has_no_words_is_not_told(dialect: Dialect, told: e.Notice) -> None:
    with pytest.raises(Inexpressible):
        dialect.encode_call(told, lambda transaction_id: transaction_id)


@pytest.mark.parametrize(
    "told", [notice(ENDED), notice(e.MeterSampled(evse_id=1, transaction_id="own", meter_values=VALUES))]
)
def test_a_transaction_without_an_id_of_the_csms_is_told_later(told: e.Notice) -> None:
    """OCPP 1.6 §4.8: what follows StartTransaction bears the id that its answer brings."""
    with pytest.raises(Inexpressible, match="no id of the Central System yet"):
        V16.encode_call(told, lambda _: None)
    (message,) = V16.encode_call(told, lambda _: "41")
    assert json.loads(message.payload)["transactionId"] == 41


ANSWERED_WRONGLY: list[tuple[Dialect, Any, Any]] = [
    (V16, notice(e.HeartbeatSent()), e.Acknowledged()),
    (V16, notice(started()), e.TransactionAnswer()),  # without the id that it has to bring
    (V16, notice(started()), e.TransactionAnswer(transaction_id="a-uuid")),
    (V16, notice(started()), e.Acknowledged()),
    (V16, r.Authorize(id_token=TAG), r.RequestAnswer(outcome=r.RequestStatus.ACCEPTED)),
    (V201, notice(e.HeartbeatSent()), e.Acknowledged()),
    (
        V201,
        notice(e.MeterSampled(evse_id=1, meter_values=VALUES)),
        e.BootAnswer(registration=RegistrationStatus.ACCEPTED, now=AT, interval_s=1),
    ),
]


@pytest.mark.parametrize(("dialect", "call", "answer"), ANSWERED_WRONGLY, ids=lambda value: str(value)[:50])
def test_an_answer_of_the_wrong_kind_is_refused(dialect: Dialect, call: Any, answer: Any) -> None:
    with pytest.raises(Inexpressible):
        dialect.encode_call_answer(call, answer)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.subprotocol)
@pytest.mark.parametrize("request_", [r.Reset(), r.GetVariables(refs=(REF,)), r.ClearCache()], ids=str)
def test_an_answer_to_another_request_is_refused(dialect: Dialect, request_: r.CsmsRequest) -> None:
    with pytest.raises(Inexpressible):
        dialect.encode_request_answer(request_, r.UnlockAnswer(outcome=r.UnlockStatus.UNLOCKED))


def test_readings_are_answered_or_reported() -> None:
    everything = r.GetVariables(request_id=5)
    reading = VariableReading(REF, value="60")
    with pytest.raises(Inexpressible, match="reported"):
        V201.encode_request_answer(everything, r.GetVariablesAnswer(readings=(reading,)))
    with pytest.raises(Inexpressible):
        V16.encode_request_answer(everything, r.GetVariablesAnswer(readings=(), report_follows=True))
    with pytest.raises(Inexpressible):
        V201.encode_request_answer(r.GetVariables(refs=(REF,)), r.GetVariablesAnswer(readings=(), report_follows=True))


def test_all_variables_are_those_that_are_keys() -> None:
    """A station may have variables that 1.6 has no key for; they must not spoil the answer (OCPP 1.6 §5.8)."""
    other = VariableReading(VariableRef("TxCtrlr", "TxBeforeAcceptedEnabled"), value="true")
    long = VariableReading(VariableRef("ConfigurationKey", "DefaultPrice"), value="x" * 501)
    interval = VariableReading(REF, value="60")
    answer = r.GetVariablesAnswer(readings=(other, interval, long))
    everything = r.GetVariables()
    heard = V16.decode_request_answer(everything, V16.encode_request_answer(everything, answer), strict=True).value
    assert heard == r.GetVariablesAnswer(readings=(interval, msgspec.structs.replace(long, value=None)))
    with pytest.raises(Inexpressible):
        V16.encode_request_answer(r.GetVariables(refs=(REF, other.ref)), answer)


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (r.UpdateFirmware(location="ftp://x", retrieve_at=AT), r.RequestAnswer(outcome=r.RequestStatus.REJECTED)),
        (r.GetLog(location="ftp://x"), r.GetLogAnswer(outcome=r.RequestStatus.REJECTED)),
        (
            r.GetInstalledCertificateIds(uses=(CertificateUse.CSMS_ROOT,)),
            r.GetInstalledCertificateIdsAnswer(
                outcome=r.RequestStatus.ACCEPTED,
                certificates=(
                    InstalledCertificate(
                        CertificateUse.MANUFACTURER_ROOT, CertificateHash(HashAlgorithm.SHA256, "a", "b", "1")
                    ),
                ),
            ),
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_refusal_without_a_word_is_not_said_as_anything_else(
    request_: r.CsmsRequest, answer: r.CsmsRequestAnswer
) -> None:
    with pytest.raises(Inexpressible):
        V16.encode_request_answer(request_, answer)


# Coming in


def test_a_version_below_minus_one_is_noted() -> None:
    """OCPP 1.6 §5.10: -1 says that there is no list."""
    request = r.GetLocalListVersion()
    assert V16.decode_request_answer(request, b'{"listVersion":-1}', strict=True).value == r.LocalListVersionAnswer(
        version=None
    )
    heard = V16.decode_request_answer(request, b'{"listVersion":-2}')
    assert heard.value == r.LocalListVersionAnswer(version=None)
    assert [violation.split(":")[0] for violation in heard.violations] == ["listVersion"]


def test_a_list_with_a_fault_is_the_stations_to_answer() -> None:
    """Failed, not an error: the message has a status for it (OCPP 1.6 §5.15)."""
    payload = b'{"listVersion":0,"updateType":"Full","localAuthorizationList":[{"idTag":"A"},{"idTag":"a"}]}'
    heard = V16.decode_request("SendLocalList", payload).value
    assert isinstance(heard, r.SendLocalList)
    assert heard.fault is not None


def test_every_action_has_a_row() -> None:
    """All of 1.6 and its security extension is understood, in the direction that it goes."""
    assert isinstance(V16, TableDialect)
    assert V16.calls.keys() | V16.requests.keys() == V16.known_actions.keys()
    assert V16.calls.keys() & V16.requests.keys() == {"DataTransfer"}


def test_a_schedule_without_its_start_is_noted() -> None:
    request = r.GetCompositeSchedule(evse_id=1, duration_s=60)
    schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6}]}
    payload = json.dumps({"status": "Accepted", "chargingSchedule": schedule}).encode()
    heard = V16.decode_request_answer(request, payload)
    assert heard.value == r.CompositeScheduleAnswer(outcome=r.RequestStatus.ACCEPTED)
    assert [violation.split(":")[0] for violation in heard.violations] == ["scheduleStart"]
    with pytest.raises(Untranslatable) as refusal:
        V16.decode_request_answer(request, payload, strict=True)
    assert refusal.value.cause is Cause.MISSING_FIELD


def test_what_a_schedule_leaves_out_is_what_was_asked_for() -> None:
    request = r.GetCompositeSchedule(evse_id=2, duration_s=60)
    schedule = {
        "chargingRateUnit": "A",
        "startSchedule": "2024-01-31T08:00:00Z",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6}],
    }
    payload = json.dumps({"status": "Accepted", "chargingSchedule": schedule}).encode()
    answer = V16.decode_request_answer(request, payload, strict=True).value
    assert isinstance(answer, r.CompositeScheduleAnswer)
    assert answer.schedule is not None
    assert (answer.schedule.evse_id, answer.schedule.duration_s, answer.schedule.start) == (2, 60, AT)


def test_clearing_without_a_criterion_is_no_request_of_2_0_1() -> None:
    """K10.FR.02; in 1.6 (errata 3.25) it clears all."""
    assert V16.decode_request("ClearChargingProfile", b"{}").value == r.ClearChargingProfile()
    with pytest.raises(Untranslatable) as refusal:
        V201.decode_request("ClearChargingProfile", b"{}")
    assert refusal.value.cause is Cause.MISSING_FIELD


def test_an_empty_list_of_keys_asks_for_all() -> None:
    """OCPP 1.6 §5.8."""
    assert V16.decode_request("GetConfiguration", b'{"key":[]}').value == r.GetVariables()


def test_a_remote_start_needs_a_connector_above_0() -> None:
    payload = b'{"idTag":"TAG","connectorId":0}'
    with pytest.raises(Untranslatable):
        V16.decode_request("RemoteStartTransaction", payload)
    heard = V16.decode_request("RemoteStartTransaction", payload, strict=False)
    assert heard.value == r.RequestStartTransaction(id_token=TAG)
    assert len(heard.violations) == 1


def test_a_limit_never_grows_on_its_way() -> None:
    """A fraction beyond a tenth is cut, in what is sent and in what is received (OCPP 1.6 §7.14)."""
    sent = profile(
        schedules=(ChargingSchedule(rate_unit=ChargingRateUnit.A, periods=(ChargingSchedulePeriod(0, 16.19),)),)
    )
    for dialect in DIALECTS:
        message = dialect.encode_request(sent)
        heard = dialect.decode_request(message.action, message.payload).value
        assert isinstance(heard, r.SetChargingProfile)
        assert heard.profile.schedule.periods[0].rate_limit == 16.1


def test_the_extended_trigger_is_a_trigger() -> None:
    heard = V16.decode_request("ExtendedTriggerMessage", b'{"requestedMessage":"SignChargePointCertificate"}').value
    assert heard == r.TriggerMessage(requested_message=r.TriggeredMessage.SIGN_CHARGING_STATION_CERTIFICATE)
    assert (
        V16.encode_request(r.TriggerMessage(requested_message=r.TriggeredMessage.HEARTBEAT)).action == "TriggerMessage"
    )


def test_a_commands_schedule_is_read_strictly() -> None:
    """A schedule with a piece left out is another schedule."""
    wrong = json.loads(json.dumps(TX_16))
    wrong["chargingSchedule"]["chargingSchedulePeriod"].append({"startPeriod": 60})
    payload = json.dumps({"connectorId": 1, "csChargingProfiles": wrong}).encode()
    with pytest.raises(Untranslatable) as refusal:
        V16.decode_request("SetChargingProfile", payload)
    assert refusal.value.cause is Cause.MISSING_FIELD


def test_a_bare_update_keeps_its_number() -> None:
    """A message without news still counts: a gap in the numbers means that one was lost (OCPP 2.0.1 E)."""
    payload = {
        "eventType": "Updated",
        "timestamp": "2024-01-31T08:00:00Z",
        "triggerReason": "Trigger",
        "seqNo": 9,
        "transactionInfo": {"transactionId": "7"},
    }
    heard = V201.decode_call("TransactionEvent", json.dumps(payload).encode()).value
    assert heard == e.Notice((), e.Sequence(seq_no=9, trigger_reason=TriggerReason.TRIGGER, transaction_id="7", at=AT))


def test_a_running_cost_is_heard_with_an_update() -> None:
    told = notice(e.MeterSampled(evse_id=1, transaction_id="7", meter_values=VALUES), sequence=SEQUENCE)
    assert V201.decode_call_answer(told, b"{}").value == e.Acknowledged()
    cost = e.TransactionAnswer(total_cost=1.5)
    assert V201.decode_call_answer(told, V201.encode_call_answer(told, cost)).value == cost
    assert V201.encode_call_answer(told, e.Acknowledged()) == b"{}"
