"""What is said is heard as it was meant, for everything a version has words for; and it is valid by its schema.

What a version says differently, on purpose, is listed in `SAID_DIFFERENTLY` with the reason.
"""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.dialect.values import ONLY_APART, WORDS, answers, requests
from tests.messages.official import Official, all_messages

from forecourt.dialect import by_subprotocol
from forecourt.dialect.port import Dialect, Message
from forecourt.domain import events as e
from forecourt.domain import requests as r
from forecourt.domain.certificate import (
    CertificateHash,
    CertificateSigningUse,
    CertificateUse,
    ContractAction,
    HashAlgorithm,
    OcspQuery,
)
from forecourt.domain.firmware import FirmwareStatus, LogUploadStatus
from forecourt.domain.meter import Measurand, MeterValue, ReadingContext, SampledValue, SignedMeterValue
from forecourt.domain.profile import (
    ChargingProfile,
    ChargingProfileKind,
    ChargingProfilePurpose,
    ChargingRateUnit,
    ChargingSchedule,
    ChargingSchedulePeriod,
)
from forecourt.domain.reservation import ReservationEnd
from forecourt.domain.station import ConnectorError, ConnectorStatus, OperationalStatus, StationIdentity
from forecourt.domain.token import AuthorizationStatus, IdToken, IdTokenInfo, IdTokenType
from forecourt.domain.transaction import ChargingState, StoppedReason, TriggerReason
from forecourt.domain.variable import (
    GetVariableStatus,
    Mutability,
    SetVariableStatus,
    VariableReading,
    VariableRef,
    VariableSetResult,
    VariableSetting,
)

SOME = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))

VERSIONS = {"ocpp1.6": "v16", "ocpp2.0.1": "v201"}
SCHEMAS: dict[tuple[str, str, str], Official] = {
    (official.version, official.table, official.action): official for official in all_messages()
}

BY_STATION = (
    r.Authorize,
    r.SignCertificate,
    r.GetCertificateStatus,
    r.Get15118EVCertificate,
    r.ConnectorUnplugged,
)

every_version = pytest.mark.parametrize("subprotocol", list(VERSIONS))


def errors(dialect: Dialect, table: str, action: str, payload: bytes) -> list[str]:
    return SCHEMAS[VERSIONS[dialect.subprotocol], table, action].errors(payload)


def said(dialect: Dialect, call: Any) -> tuple[Message, ...]:
    messages = dialect.encode_call(call, lambda transaction_id: transaction_id)
    for message in messages:
        assert errors(dialect, "REQUESTS", message.action, message.payload) == []
    return messages


@every_version
def test_what_a_station_reports_is_heard(subprotocol: str) -> None:
    dialect, words = by_subprotocol(subprotocol), WORDS[subprotocol]

    @SOME
    @given(st.data())
    def holds(data: st.DataObject) -> None:
        notice = data.draw(words.notices)
        (message,) = said(dialect, notice)
        heard = dialect.decode_call(message.action, message.payload, strict=True)
        assert heard.value == notice
        assert heard.violations == ()
        answer = data.draw(words.notice_answers(notice))
        reply = dialect.encode_call_answer(notice, answer)
        assert errors(dialect, "RESPONSES", message.action, reply) == []
        assert dialect.decode_call_answer(notice, reply, strict=True).value == answer

    holds()


@every_version
@pytest.mark.parametrize("kind", list(r.ANSWERS), ids=lambda kind: kind.__name__)
def test_what_is_asked_and_answered_is_heard(subprotocol: str, kind: type[r.Request]) -> None:
    dialect, words = by_subprotocol(subprotocol), WORDS[subprotocol]
    if words.newer and kind in ONLY_APART:
        return  # see test_costs

    @SOME
    @given(st.data())
    def holds(data: st.DataObject) -> None:
        request = data.draw(requests(words)[kind])
        answer = data.draw(answers(words, request))
        if isinstance(request, BY_STATION):
            (message,) = said(dialect, request)
            heard: Any = dialect.decode_call(message.action, message.payload, strict=True).value
            reply = dialect.encode_call_answer(request, answer)
            replied: Any = dialect.decode_call_answer(request, reply, strict=True).value
        else:
            message = dialect.encode_request(request)
            assert errors(dialect, "REQUESTS", message.action, message.payload) == []
            heard = dialect.decode_request(message.action, message.payload).value
            reply = dialect.encode_request_answer(request, answer)
            replied = dialect.decode_request_answer(request, reply, strict=True).value
        assert heard == request
        assert errors(dialect, "RESPONSES", message.action, reply) == []
        if subprotocol == "ocpp1.6" and isinstance(answer, r.GetVariablesAnswer):
            # what was found comes before what was not, and the requested order is restored
            assert sorted(map(str, replied.readings)) == sorted(map(str, answer.readings))
        else:
            assert replied == answer

    holds()


PROFILE = ChargingProfile(
    id=1,
    stack_level=0,
    purpose=ChargingProfilePurpose.TX_DEFAULT,
    kind=ChargingProfileKind.ABSOLUTE,
    schedules=(ChargingSchedule(rate_unit=ChargingRateUnit.A, periods=(ChargingSchedulePeriod(0, 6.0),)),),
)

AT = datetime(2024, 1, 31, 8, tzinfo=UTC)
TAG = IdToken("TAG")
CERTIFICATE = CertificateHash(HashAlgorithm.SHA256, "ab", "cd", "FFF")
SEQUENCE = e.Sequence(seq_no=1, trigger_reason=TriggerReason.TRIGGER)


def register(energy_wh: float, context: ReadingContext, at: datetime = AT) -> MeterValue:
    return MeterValue(at, (SampledValue(energy_wh, context=context),))


def notice(*events: e.StationEvent) -> e.Notice:
    return e.Notice(events)


def started(*values: MeterValue, **more: Any) -> e.TransactionStarted:
    given: dict[str, Any] = {"transaction_id": None, "evse_id": 1, "at": AT, "id_token": TAG} | more
    return e.TransactionStarted(meter_values=values, **given)


def ended(*values: MeterValue, **more: Any) -> e.TransactionEnded:
    given: dict[str, Any] = {"transaction_id": "7", "at": AT} | more
    return e.TransactionEnded(meter_values=values, **given)


def firmware(status: FirmwareStatus, **more: Any) -> e.FirmwareStatusReported:
    return e.FirmwareStatusReported(firmware_status=status, **more)


def status(**more: Any) -> e.ConnectorStatusReported:
    given: dict[str, Any] = {"evse_id": 1, "connector_id": 1, "at": AT} | more
    return e.ConnectorStatusReported(**({"connector_status": ConnectorStatus.AVAILABLE} | given))


BEGIN, END = ReadingContext.TRANSACTION_BEGIN, ReadingContext.TRANSACTION_END
BOTH = SampledValue(5.0, signed=SignedMeterValue("OCMF|…"))
LONG = StationIdentity(vendor_name="v" * 60, model="m" * 30, serial_number="s" * 30, meter_type="Landis")

SAID_DIFFERENTLY: list[tuple[str, str, e.Notice, tuple[e.Notice, ...]]] = [
    (
        "ocpp1.6",
        "meterStart is all of the readings that StartTransaction has room for, in whole Wh",
        notice(started(register(10.4, BEGIN), MeterValue(AT, (SampledValue(230.0, Measurand.VOLTAGE),)))),
        (notice(started(register(10.0, BEGIN))),),
    ),
    (
        "ocpp1.6",
        "a station without a meter says 0 at the start and at the end",
        notice(started()),
        (notice(started(register(0.0, BEGIN))),),
    ),
    (
        "ocpp1.6",
        "a register at the end is always said: the last one there is",
        notice(ended(register(99.6, ReadingContext.SAMPLE_PERIODIC))),
        (notice(ended(register(99.6, ReadingContext.SAMPLE_PERIODIC), register(100.0, END))),),
    ),
    (
        "ocpp1.6",
        "meterStop has no fraction (§6.49: integer, in Wh)",
        notice(ended(register(99.6, END))),
        (notice(ended(register(100.0, END))),),
    ),
    (
        "ocpp1.6",
        "the EVSE of an ended transaction, its remote start and the token's type are not said",
        notice(ended(register(5.0, END), evse_id=1, id_token=IdToken("X", IdTokenType.CENTRAL))),
        (notice(ended(register(5.0, END), id_token=IdToken("X"))),),
    ),
    (
        "ocpp1.6",
        "the station's own id of a transaction and its remote start are not said with its start",
        notice(started(register(5.0, BEGIN), transaction_id="own", remote_start_id=4)),
        (notice(started(register(5.0, BEGIN))),),
    ),
    (
        "ocpp1.6",
        "a reason that 1.6 does not have is Other",
        notice(ended(register(5.0, END), reason=StoppedReason.GROUND_FAULT)),
        (notice(ended(register(5.0, END), reason=StoppedReason.OTHER)),),
    ),
    (
        "ocpp1.6",
        "a number and its signature are two sampled values (§7.49)",
        notice(e.MeterSampled(evse_id=1, meter_values=(MeterValue(AT, (BOTH,)),))),
        (
            notice(
                e.MeterSampled(
                    evse_id=1,
                    meter_values=(MeterValue(AT, (SampledValue(5.0), SampledValue(None, signed=BOTH.signed))),),
                )
            ),
        ),
    ),
    (
        "ocpp1.6",
        "a measurand that 1.6 does not have is left out",
        notice(
            e.MeterSampled(
                evse_id=1,
                meter_values=(MeterValue(AT, (SampledValue(1.0, Measurand.ENERGY_ACTIVE_NET), SampledValue(2.0))),),
            )
        ),
        (notice(e.MeterSampled(evse_id=1, meter_values=(MeterValue(AT, (SampledValue(2.0),)),))),),
    ),
    (
        "ocpp1.6",
        "two events are two messages, the one whose answer counts first",
        notice(
            e.ChargingStateReported(evse_id=1, at=AT, charging_state=ChargingState.EV_CONNECTED),
            ended(register(5.0, END)),
        ),
        (
            notice(ended(register(5.0, END))),
            notice(e.ChargingStateReported(evse_id=1, at=AT, charging_state=ChargingState.EV_CONNECTED)),
        ),
    ),
    (
        "ocpp1.6",
        "what charging does is said of the connector, without the transaction; unplugged is SuspendedEV (§9.1.23)",
        notice(e.ChargingStateReported(evse_id=1, at=AT, charging_state=ChargingState.IDLE, transaction_id="7")),
        (notice(e.ChargingStateReported(evse_id=1, at=AT, charging_state=ChargingState.SUSPENDED_EV)),),
    ),
    (
        "ocpp1.6",
        "an error that 1.6 does not know is OtherError with that as the vendor's code, descriptions cut to fit",
        notice(status(error=ConnectorError(code="FanStuck", info="i" * 60))),
        (notice(status(error=ConnectorError(code="OtherError", info="i" * 50, vendor_error_code="FanStuck"))),),
    ),
    (
        "ocpp1.6",
        "a station's description is cut to what fits",
        notice(e.StationBooted(identity=LONG)),
        (
            notice(
                e.StationBooted(
                    identity=StationIdentity(
                        vendor_name="v" * 20, model="m" * 20, serial_number="s" * 25, meter_type="Landis"
                    )
                )
            ),
        ),
    ),
    (
        "ocpp1.6",
        "there is no message for a later authorization",
        notice(e.TransactionAuthorized(transaction_id="7", at=AT, id_token=TAG)),
        (),
    ),
    (
        "ocpp1.6",
        "there is no message for a report of variables",
        notice(e.VariablesReported(request_id=1, at=AT)),
        (),
    ),
    (
        "ocpp1.6",
        "there is no message for the end of a reservation",
        notice(e.ReservationEnded(reservation_id=3, end=ReservationEnd.EXPIRED)),
        (),
    ),
    (
        "ocpp1.6",
        "an unsigned update whose verification failed has failed; that it waits is not said",
        notice(firmware(FirmwareStatus.INSTALL_VERIFICATION_FAILED), firmware(FirmwareStatus.INSTALL_SCHEDULED)),
        (notice(firmware(FirmwareStatus.INSTALLATION_FAILED)),),
    ),
    (
        "ocpp1.6",
        "with a request id it need not be said that an update is a signed one",
        notice(firmware(FirmwareStatus.IDLE, request_id=1, extended=True)),
        (notice(firmware(FirmwareStatus.IDLE, request_id=1)),),
    ),
    (
        "ocpp1.6",
        "why diagnostics did not arrive is not said, and an upload given up for another has failed",
        notice(
            e.LogStatusReported(upload_status=LogUploadStatus.PERMISSION_DENIED),
            e.LogStatusReported(upload_status=LogUploadStatus.ACCEPTED_CANCELED, request_id=1),
        ),
        (
            notice(e.LogStatusReported(upload_status=LogUploadStatus.UPLOAD_FAILURE)),
            notice(e.LogStatusReported(upload_status=LogUploadStatus.UPLOAD_FAILURE, request_id=1)),
        ),
    ),
    (
        "ocpp1.6",
        "technical information is cut to what fits",
        notice(e.SecurityEventReported(event_type="MemoryExhaustion", at=AT, tech_info="x" * 300)),
        (notice(e.SecurityEventReported(event_type="MemoryExhaustion", at=AT, tech_info="x" * 255)),),
    ),
    (
        "ocpp2.0.1",
        "all updates and logs are told alike",
        notice(
            firmware(FirmwareStatus.IDLE, extended=True),
            e.LogStatusReported(upload_status=LogUploadStatus.IDLE, extended=True),
        ),
        (
            notice(firmware(FirmwareStatus.IDLE)),
            notice(e.LogStatusReported(upload_status=LogUploadStatus.IDLE)),
        ),
    ),
    (
        "ocpp1.6",
        "there is no message without a single value that can be said",
        notice(e.MeterSampled(evse_id=1, meter_values=(MeterValue(AT, (SampledValue(None),)),))),
        (),
    ),
    (
        "ocpp2.0.1",
        "what charging does is said of a transaction only",
        notice(e.ChargingStateReported(evse_id=1, at=AT, charging_state=ChargingState.EV_CONNECTED)),
        (),
    ),
    (
        "ocpp2.0.1",
        "the state of the station as a whole has no message (G01 is about connectors), nor has a fault's code here",
        notice(status(evse_id=0, connector_id=0), status(error=ConnectorError(code="GroundFailure"))),
        (notice(status()),),
    ),
    (
        "ocpp2.0.1",
        "an ended transaction's car is there or not: other states say no more",
        e.Notice(
            (
                ended(evse_id=1),
                e.ChargingStateReported(evse_id=1, at=AT, charging_state=ChargingState.SUSPENDED_EV),
            ),
            SEQUENCE,
        ),
        (
            e.Notice(
                (
                    ended(evse_id=1),
                    e.ChargingStateReported(evse_id=1, at=AT, charging_state=ChargingState.EV_CONNECTED),
                ),
                SEQUENCE,
            ),
        ),
    ),
    (
        "ocpp2.0.1",
        "a reset that ended a transaction in order is an immediate one all the same (B12)",
        e.Notice((ended(evse_id=1, reason=StoppedReason.GRACEFUL_RESET),), SEQUENCE),
        (e.Notice((ended(evse_id=1, reason=StoppedReason.IMMEDIATE_RESET),), SEQUENCE),),
    ),
    (
        "ocpp2.0.1",
        "an unlocking that ended a transaction is its trigger, not its reason",
        e.Notice((ended(reason=StoppedReason.UNLOCK_COMMAND),), SEQUENCE),
        (e.Notice((ended(reason=StoppedReason.OTHER),), SEQUENCE),),
    ),
    (
        "ocpp2.0.1",
        "readings at a start belong to it; measurands that 2.0.1 does not have are left out",
        e.Notice(
            (
                started(register(1.0, BEGIN), transaction_id="7"),
                e.MeterSampled(
                    evse_id=1,
                    transaction_id="7",
                    meter_values=(MeterValue(AT, (SampledValue(20.0, Measurand.TEMPERATURE), SampledValue(2.0))),),
                ),
            ),
            SEQUENCE,
        ),
        (
            e.Notice(
                (started(register(1.0, BEGIN), MeterValue(AT, (SampledValue(2.0),)), transaction_id="7"),), SEQUENCE
            ),
        ),
    ),
    (
        "ocpp2.0.1",
        "a boot says no second serial number and no meter, and is cut to what fits",
        notice(e.StationBooted(identity=LONG)),
        (
            notice(
                e.StationBooted(identity=StationIdentity(vendor_name="v" * 50, model="m" * 20, serial_number="s" * 25))
            ),
        ),
    ),
]


@pytest.mark.parametrize(
    ("subprotocol", "meant", "heard"),
    [(subprotocol, meant, heard) for subprotocol, _reason, meant, heard in SAID_DIFFERENTLY],
    ids=[f"{subprotocol}: {reason}" for subprotocol, reason, _meant, _heard in SAID_DIFFERENTLY],
)
def test_said_differently(subprotocol: str, meant: e.Notice, heard: tuple[e.Notice, ...]) -> None:
    dialect = by_subprotocol(subprotocol)
    messages = said(dialect, meant)
    assert (
        tuple(dialect.decode_call(message.action, message.payload, strict=True).value for message in messages) == heard
    )


REF = VariableRef("SampledDataCtrlr", "TxUpdatedInterval")
SECRET = VariableRef("SecurityCtrlr", "BasicAuthPassword")

ANSWERED_DIFFERENTLY: list[tuple[str, str, r.Request, e.Answer, e.Answer]] = [
    (
        "ocpp1.6",
        "a start is answered with a verdict, and what 1.6 can't say of it is left out",
        r.Authorize(id_token=TAG),
        r.AuthorizeAnswer(
            id_token_info=IdTokenInfo(status=AuthorizationStatus.NO_CREDIT, evse_ids=(1,), charging_priority=3)
        ),
        r.AuthorizeAnswer(id_token_info=IdTokenInfo(status=AuthorizationStatus.BLOCKED)),
    ),
    (
        "ocpp1.6",
        "an unknown identifier is Invalid (§7.2)",
        r.Authorize(id_token=TAG),
        r.AuthorizeAnswer(id_token_info=IdTokenInfo(status=AuthorizationStatus.UNKNOWN)),
        r.AuthorizeAnswer(id_token_info=IdTokenInfo(status=AuthorizationStatus.INVALID)),
    ),
    (
        "ocpp1.6",
        "an unknown connector is NotSupported (errata 3.85)",
        r.UnlockConnector(evse_id=9),
        r.UnlockAnswer(outcome=r.UnlockStatus.UNKNOWN_CONNECTOR),
        r.UnlockAnswer(outcome=r.UnlockStatus.NOT_SUPPORTED),
    ),
    (
        "ocpp1.6",
        "a refusal because of a transaction is UnlockFailed",
        r.UnlockConnector(evse_id=1),
        r.UnlockAnswer(outcome=r.UnlockStatus.ONGOING_AUTHORIZED_TRANSACTION),
        r.UnlockAnswer(outcome=r.UnlockStatus.UNLOCK_FAILED),
    ),
    (
        "ocpp1.6",
        "a reset that will be done is Accepted; reasons have no room",
        r.Reset(),
        r.RequestAnswer(outcome=r.RequestStatus.SCHEDULED, reason_code="TxInProgress", info="soon"),
        r.RequestAnswer(outcome=r.RequestStatus.ACCEPTED),
    ),
    (
        "ocpp1.6",
        "whatever is not known to a station is NotSupported",
        r.SetVariables(settings=(VariableSetting(REF, "1"),)),
        r.SetVariablesAnswer(results=(VariableSetResult(REF, SetVariableStatus.UNKNOWN_COMPONENT, "no"),)),
        r.SetVariablesAnswer(results=(VariableSetResult(REF, SetVariableStatus.UNKNOWN_VARIABLE),)),
    ),
    (
        "ocpp1.6",
        "a password is never told (OCPP-J 1.6 §6.2.2), and what can't be read is an unknown key",
        r.GetVariables(refs=(REF, SECRET)),
        r.GetVariablesAnswer(
            readings=(
                VariableReading(REF, GetVariableStatus.REJECTED),
                VariableReading(SECRET, value="hunter2", mutability=Mutability.WRITE_ONLY),
            )
        ),
        r.GetVariablesAnswer(
            readings=(
                VariableReading(REF, GetVariableStatus.UNKNOWN_VARIABLE),
                VariableReading(SECRET, value=None, mutability=Mutability.WRITE_ONLY),
            )
        ),
    ),
    (
        "ocpp2.0.1",
        "a password is never told; a value has no mutability but in a report",
        r.GetVariables(refs=(REF, SECRET)),
        r.GetVariablesAnswer(
            readings=(
                VariableReading(REF, value="60", mutability=Mutability.READ_ONLY),
                VariableReading(SECRET, value="hunter2", mutability=Mutability.WRITE_ONLY),
            )
        ),
        r.GetVariablesAnswer(
            readings=(
                VariableReading(REF, value="60"),
                VariableReading(SECRET, GetVariableStatus.REJECTED, None, Mutability.WRITE_ONLY),
            )
        ),
    ),
    (
        "ocpp1.6",
        "a local list that is not kept is NotSupported, and any other failure Failed",
        r.SendLocalList(version=1, update=r.ListUpdate.FULL),
        r.RequestAnswer(outcome=r.RequestStatus.NOT_IMPLEMENTED),
        r.RequestAnswer(outcome=r.RequestStatus.NOT_SUPPORTED),
    ),
    (
        "ocpp1.6",
        "an update without a signature is accepted, whatever was given up for it",
        r.UpdateFirmware(location="ftp://x/y", retrieve_at=AT),
        r.RequestAnswer(outcome=r.RequestStatus.ACCEPTED_CANCELED),
        r.RequestAnswer(outcome=r.RequestStatus.ACCEPTED),
    ),
    (
        "ocpp2.0.1",
        "a station without a local list has version 0",
        r.GetLocalListVersion(),
        r.LocalListVersionAnswer(version=None),
        r.LocalListVersionAnswer(version=0),
    ),
    (
        "ocpp2.0.1",
        "a profile that is not supported is Rejected",
        r.ClearCache(),
        r.RequestAnswer(outcome=r.RequestStatus.NOT_SUPPORTED, info="never"),
        r.RequestAnswer(outcome=r.RequestStatus.REJECTED, info="never"),
    ),
]


@pytest.mark.parametrize(
    ("subprotocol", "request_", "meant", "heard"),
    [(subprotocol, asked, meant, heard) for subprotocol, _reason, asked, meant, heard in ANSWERED_DIFFERENTLY],
    ids=[f"{subprotocol}: {reason}" for subprotocol, reason, *_ in ANSWERED_DIFFERENTLY],
)
def test_answered_differently(subprotocol: str, request_: Any, meant: Any, heard: Any) -> None:
    dialect = by_subprotocol(subprotocol)
    if isinstance(request_, BY_STATION):
        payload = dialect.encode_call_answer(request_, meant)
        assert dialect.decode_call_answer(request_, payload, strict=True).value == heard
    else:
        payload = dialect.encode_request_answer(request_, meant)
        assert dialect.decode_request_answer(request_, payload, strict=True).value == heard


PLAIN: list[r.Request] = [
    r.RequestStartTransaction(id_token=TAG),
    r.RequestStopTransaction(transaction_id="7"),
    r.Reset(),
    r.ChangeAvailability(evse_id=1, operational_status=OperationalStatus.OPERATIVE),
    r.TriggerMessage(requested_message=r.TriggeredMessage.HEARTBEAT),
    r.SetChargingProfile(evse_id=1, profile=PROFILE),
    r.ClearChargingProfile(),
    r.GetCompositeSchedule(evse_id=1, duration_s=60),
    r.ClearCache(),
    r.SendLocalList(version=1, update=r.ListUpdate.FULL),
    r.ReserveNow(reservation_id=1, expires_at=AT, id_token=TAG),
    r.CancelReservation(reservation_id=1),
    r.UpdateFirmware(location="ftp://x/y", retrieve_at=AT, request_id=1, signature="s", signing_certificate="c"),
    r.GetLog(location="ftp://x/y", request_id=1),
    r.SignCertificate(csr="c"),
    r.SignCertificate(csr="c", use=CertificateSigningUse.V2G),
    r.CertificateSigned(certificate_chain="c"),
    r.CertificateSigned(certificate_chain="c", use=CertificateSigningUse.V2G),
    r.InstallCertificate(use=CertificateUse.CSMS_ROOT, certificate="c"),
    r.InstallCertificate(use=CertificateUse.V2G_ROOT, certificate="c"),
    r.DeleteCertificate(certificate=CERTIFICATE),
    r.GetInstalledCertificateIds(uses=(CertificateUse.CSMS_ROOT,)),
    r.GetCertificateStatus(query=OcspQuery(CERTIFICATE, "http://x")),
    r.Get15118EVCertificate(schema_version="v", action=ContractAction.INSTALL, exi_request="e"),
]


@every_version
@pytest.mark.parametrize("outcome", list(r.RequestStatus))
@pytest.mark.parametrize("request_", PLAIN, ids=lambda request: type(request).__name__)
def test_every_outcome_has_an_answer(subprotocol: str, request_: Any, outcome: r.RequestStatus) -> None:
    """What was understood is answered by status, never by an error; nothing but Scheduled may become Accepted."""
    dialect = by_subprotocol(subprotocol)
    answer: Any = r.ANSWERS[type(request_)](outcome=outcome)
    if isinstance(request_, BY_STATION):
        heard: Any = dialect.decode_call_answer(request_, dialect.encode_call_answer(request_, answer)).value
    else:
        heard = dialect.decode_request_answer(request_, dialect.encode_request_answer(request_, answer)).value
    if heard.outcome is r.RequestStatus.ACCEPTED:
        assert outcome in {r.RequestStatus.ACCEPTED, r.RequestStatus.SCHEDULED}


def test_the_exceptions_are_exceptions() -> None:
    for _subprotocol, reason, meant, heard in SAID_DIFFERENTLY:
        assert (meant,) != heard, reason
    for _subprotocol, reason, _asked, answer, understood in ANSWERED_DIFFERENTLY:
        assert answer != understood, reason
