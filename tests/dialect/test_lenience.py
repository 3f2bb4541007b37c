"""What somebody who keeps books makes of messages that break their schemas: as much as their words can mean."""

from datetime import UTC, datetime

import pytest

from forecourt.dialect import by_subprotocol
from forecourt.dialect.port import Untranslatable
from forecourt.domain import events as e
from forecourt.domain.station import ConnectorStatus
from forecourt.rpc.errors import Cause

AT = datetime(2024, 1, 31, 8, tzinfo=UTC)

EXPENDABLE = [
    ("ocpp1.6", "StatusNotification", '{"connectorId":1,"errorCode":"NoError","status":"Sleeping"}'),
    ("ocpp1.6", "MeterValues", '{"connectorId":1,"meterValue":[]}'),
    ("ocpp1.6", "FirmwareStatusNotification", '{"status":"Thinking"}'),
    ("ocpp1.6", "SecurityEventNotification", "{}"),
    ("ocpp2.0.1", "StatusNotification", '{"evseId":1,"connectorId":1,"connectorStatus":"Sleeping"}'),
    ("ocpp2.0.1", "MeterValues", '{"evseId":1,"meterValue":[]}'),
    ("ocpp2.0.1", "NotifyReport", '{"seqNo":0}'),
]


@pytest.mark.parametrize(("subprotocol", "action", "payload"), EXPENDABLE)
def test_a_report_that_says_nothing_readable_is_a_notice_of_nothing(
    subprotocol: str, action: str, payload: str
) -> None:
    dialect = by_subprotocol(subprotocol)
    decoded = dialect.decode_call(action, payload.encode(), received_at=AT)
    assert isinstance(decoded.value, e.Notice)
    assert decoded.value.events == ()
    assert decoded.violations
    assert dialect.encode_call_answer(decoded.value, e.Acknowledged()) == b"{}"
    for strict, received_at in ((True, AT), (False, None)):
        with pytest.raises(Untranslatable):
            dialect.decode_call(action, payload.encode(), strict=strict, received_at=received_at)


@pytest.mark.parametrize(
    ("action", "payload"),
    [
        ("MeterValues", b"[]"),
        ("MeterValues", b'{"connectorId":'),
        ("Authorize", b"{}"),
        ("StartTransaction", b'{"connectorId":1}'),
    ],
)
def test_what_is_no_payload_or_wants_an_answer_is_refused(action: str, payload: bytes) -> None:
    with pytest.raises(Untranslatable):
        by_subprotocol("ocpp1.6").decode_call(action, payload, received_at=AT)


def test_a_start_and_a_stop_without_a_register_have_none() -> None:
    dialect = by_subprotocol("ocpp1.6")
    start = dialect.decode_call("StartTransaction", b'{"connectorId":1,"idTag":"T","meterStart":null}', received_at=AT)
    stop = dialect.decode_call("StopTransaction", b'{"transactionId":1}', received_at=AT)
    assert isinstance(start.value, e.Notice)
    assert isinstance(stop.value, e.Notice)
    for event in (*start.value.events, *stop.value.events):
        assert isinstance(event, e.TransactionStarted | e.TransactionEnded)
        assert (event.at, event.meter_values) == (AT, ())


def test_a_state_without_an_error_code_is_the_state() -> None:
    decoded = by_subprotocol("ocpp1.6").decode_call(
        "StatusNotification", b'{"connectorId":1,"status":"Available"}', received_at=AT
    )
    assert isinstance(decoded.value, e.Notice)
    (event,) = decoded.value.events
    assert isinstance(event, e.ConnectorStatusReported)
    assert (event.connector_status, event.error) == (ConnectorStatus.AVAILABLE, None)


def test_there_is_no_connector_below_the_station() -> None:
    payload = b'{"connectorId":-1,"errorCode":"NoError","status":"Available"}'
    dialect = by_subprotocol("ocpp1.6")
    decoded = dialect.decode_call("StatusNotification", payload)
    assert decoded.value == e.Notice(())
    assert decoded.violations
    with pytest.raises(Untranslatable) as refused:
        dialect.decode_call("StatusNotification", payload, strict=True)
    assert refused.value.cause is Cause.VALUE


def test_a_boot_without_reason_or_name_is_a_boot() -> None:
    for subprotocol in ("ocpp1.6", "ocpp2.0.1"):
        decoded = by_subprotocol(subprotocol).decode_call("BootNotification", b"{}", received_at=AT)
        assert isinstance(decoded.value, e.Notice)
        assert isinstance(decoded.value.events[0], e.StationBooted)
