"""The codec's promises one by one: the decoder's traps, the exceptions to the schema, lenience, encoding."""

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from forecourt.messages import v16, v21, v201
from forecourt.messages.base import CustomData, Message, to_tenths
from forecourt.messages.codec import (
    DecodeFailure,
    EncodeFailure,
    FailureKind,
    decode,
    decode_as,
    decode_as_lenient,
    decode_lenient,
    encode,
)

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
METER_VALUES: dict[str, Any] = {
    "connectorId": 1,
    "transactionId": 7,
    "meterValue": [
        {
            "timestamp": "2024-05-01T10:00:00Z",
            "sampledValue": [{"value": "1234", "measurand": "Energy.Active.Import.Register", "unit": "Wh"}],
        }
    ],
}


def with_sample(**sample: Any) -> bytes:
    """METER_VALUES with one more sampled value."""
    payload = json.loads(json.dumps(METER_VALUES))
    payload["meterValue"][0]["sampledValue"].append(sample)
    return json.dumps(payload).encode()


def instant_of(text: str) -> datetime:
    return decode_as(v16.HeartbeatResponse, json.dumps({"currentTime": text}).encode()).current_time


# ---------------------------------------------------------------------------------------------------------- strict


@pytest.mark.parametrize("convert", [bytes, bytearray, memoryview, msgspec.Raw])
def test_reads_any_buffer(convert: Callable[[bytes], Any]) -> None:
    message = decode(v16.REQUESTS, "Authorize", convert(b'{"idTag":"ABC"}'))
    assert message == v16.AuthorizeRequest(id_tag="ABC")


@pytest.mark.parametrize("wire", [b"1.0", b"1e0", b"100e-2"])
@pytest.mark.parametrize("message_type", [v16.CancelReservationRequest, v201.CancelReservationRequest])
def test_a_whole_number_is_an_integer_however_it_is_written(
    wire: bytes, message_type: type[v16.CancelReservationRequest]
) -> None:
    message = decode_as(message_type, b'{"reservationId":' + wire + b"}")
    assert message.reservation_id == 1
    assert isinstance(message.reservation_id, int)


@pytest.mark.parametrize(
    ("wire", "kind", "path"),
    [
        (b"", FailureKind.MALFORMED_PAYLOAD, ""),
        (b"{", FailureKind.MALFORMED_PAYLOAD, ""),
        (b'{"connectorId":1} x', FailureKind.MALFORMED_PAYLOAD, ""),
        (b'{"connectorId":NaN}', FailureKind.MALFORMED_PAYLOAD, ""),
        (b'{"connectorId":"\xff"}', FailureKind.MALFORMED_PAYLOAD, ""),
        (b'{"connectorId":"\\ud800"}', FailureKind.MALFORMED_PAYLOAD, ""),
        (b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", FailureKind.MALFORMED_PAYLOAD, ""),
        (b'{"connectorId":' + b"1" * 5000 + b"}", FailureKind.MALFORMED_PAYLOAD, ""),
        (b"[]", FailureKind.WRONG_STRUCTURE, ""),
        (b"null", FailureKind.WRONG_STRUCTURE, ""),
        (b"{}", FailureKind.MISSING_FIELD, "connectorId"),
        (b'{"connectorId":"1","meterValue":[]}', FailureKind.TYPE, "connectorId"),
        (b'{"connectorId":true,"meterValue":[]}', FailureKind.TYPE, "connectorId"),
        (b'{"connectorId":1.5,"meterValue":[]}', FailureKind.TYPE, "connectorId"),
        (b'{"connectorId":1,"meterValue":[]}', FailureKind.OCCURRENCE, "meterValue"),
        (with_sample(value=230.0), FailureKind.TYPE, "meterValue[0].sampledValue[1].value"),
        (with_sample(value="1", unit="furlong"), FailureKind.VALUE, "meterValue[0].sampledValue[1].unit"),
        (with_sample(value="1", phase=None), FailureKind.TYPE, "meterValue[0].sampledValue[1].phase"),
        (with_sample(unit="Wh"), FailureKind.MISSING_FIELD, "meterValue[0].sampledValue[1].value"),
    ],
)
def test_a_refusal_says_what_and_where(wire: bytes, kind: FailureKind, path: str) -> None:
    with pytest.raises(DecodeFailure) as caught:
        decode(v16.REQUESTS, "MeterValues", wire)
    assert (caught.value.kind, caught.value.path) == (kind, path)


def test_an_unknown_action_is_a_failure_like_any_other() -> None:
    for read in (decode, decode_lenient):
        with pytest.raises(DecodeFailure) as caught:
            read(v16.REQUESTS, "MakeCoffee", b"{}")
        assert caught.value.kind is FailureKind.UNKNOWN_ACTION


def test_null_stands_for_an_empty_payload_and_within_text_for_nothing() -> None:
    assert decode(v16.REQUESTS, "Heartbeat", b"null") == v16.HeartbeatRequest()
    assert decode(v16.REQUESTS, "Authorize", b'{"idTag":"null"}') == v16.AuthorizeRequest(id_tag="null")


def test_what_has_no_type_in_the_schema_may_be_null() -> None:
    wire = b'{"vendorId":"v","data":null}'
    assert decode_lenient(v201.REQUESTS, "DataTransfer", wire) == (v201.DataTransferRequest(vendor_id="v"), ())
    wire = b'{"vendorId":"v","data":{"a":[null]}}'
    assert decode_as(v201.DataTransferRequest, wire).data == {"a": [None]}


def test_the_vendors_corner_is_kept_whole() -> None:
    wire = b'{"customData":{"shift":"night","vendorId":"com.example"}}'
    message = decode_as(v201.HeartbeatRequest, wire)
    assert message.custom_data == CustomData("com.example", {"shift": "night"})
    assert json.loads(encode(message)) == json.loads(wire)


def test_what_2_1_only_sends_has_no_answer() -> None:
    assert list(v21.SENDS) == ["NotifyPeriodicEventStream"]
    assert v16.SENDS == v201.SENDS == {}
    assert not v21.SENDS.keys() & (v21.REQUESTS.keys() | v21.RESPONSES.keys())


# --------------------------------------------------------------------------------------------- instants and limits


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-02-29T23:59:58Z", datetime(2024, 2, 29, 23, 59, 58, tzinfo=UTC)),
        ("2024-02-29t23:59:58z", datetime(2024, 2, 29, 23, 59, 58, tzinfo=UTC)),
        ("2024-02-29 23:59:58Z", datetime(2024, 2, 29, 23, 59, 58, tzinfo=UTC)),
        ("2024-03-01T05:29:58+05:30", datetime(2024, 2, 29, 23, 59, 58, tzinfo=UTC)),
        ("2024-03-01T05:29:58+0530", datetime(2024, 2, 29, 23, 59, 58, tzinfo=UTC)),
        ("2024-02-29T23:59:58.123456789Z", datetime(2024, 2, 29, 23, 59, 58, 123_000, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59.9999999Z", datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)),
    ],
)
def test_reads_every_way_to_write_an_instant(text: str, expected: datetime) -> None:
    instant = instant_of(text)
    assert instant == expected
    assert instant.tzinfo is UTC


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2024-02-30T00:00:00Z", "2024-01-01T24:00:00Z", "2024-01-01T00:00:00", "2024-01-01",
             "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "9999-12-31T23:59:60Z"]
)  # fmt: skip
def test_what_is_no_instant_is_a_wrong_value(text: str) -> None:
    with pytest.raises(DecodeFailure) as caught:
        instant_of(text)
    assert (caught.value.kind, caught.value.path) == (FailureKind.VALUE, "currentTime")


def test_writes_instants_in_utc_to_the_millisecond() -> None:
    east = timezone(timedelta(hours=2))
    for instant, written in [
        (datetime(2024, 5, 1, 12, 0, tzinfo=east), b'{"currentTime":"2024-05-01T10:00:00Z"}'),
        (datetime(2024, 5, 1, 10, 0, 0, 250_999, tzinfo=UTC), b'{"currentTime":"2024-05-01T10:00:00.250Z"}'),
        (datetime(2024, 5, 1, 10, 0, 0, 999, tzinfo=UTC), b'{"currentTime":"2024-05-01T10:00:00Z"}'),
    ]:
        message = v16.HeartbeatResponse(current_time=instant)
        assert encode(message) == written
        assert decode_as(v16.HeartbeatResponse, written) == message
        # Arithmetic on what was read may carry finer fractions, or none, back into a message.
        later = v16.HeartbeatResponse(current_time=message.current_time + timedelta(microseconds=750_400))
        assert encode(later) == written.replace(b"00:00.250Z", b"00:01Z").replace(b"00:00Z", b"00:00.750Z")


def test_a_text_that_looks_like_an_instant_stays_as_it_is() -> None:
    wire = b'{"vendorId":"v","data":"2024-05-01T10:00:00.250000Z"}'
    assert encode(decode_as(v16.DataTransferRequest, wire)) == wire


def test_an_instant_without_zone_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="time zone"):
        v16.HeartbeatResponse(current_time=datetime(2024, 5, 1))  # noqa: DTZ001 - that is the point


@pytest.mark.parametrize(
    ("number", "expected"),
    [(0.1 + 0.2, 0.3), (16.1 - 0.2, 15.9), (16.0, 16.0), (15.99, 15.9), (0.05, 0.0), (-0.1, -0.1), (1e300, 1e300)],
)
@pytest.mark.parametrize("module", [v16, v201])
def test_a_limit_has_one_decimal_and_is_never_rounded_up(module: Any, number: float, expected: float) -> None:
    period = module.ChargingSchedulePeriod(start_period=0, limit=number)
    assert period.limit == pytest.approx(expected, rel=1e-15)
    assert to_tenths(period.limit) == period.limit


def test_more_decimals_than_allowed_are_read() -> None:
    wire = b'{"status":"Accepted","chargingSchedule":{"chargingRateUnit":"A","minChargingRate":6.55,"chargingSchedulePeriod":[{"startPeriod":0,"limit":16.07}]}}'  # noqa: E501
    schedule = decode_as(v16.GetCompositeScheduleResponse, wire).charging_schedule
    assert schedule is not None
    assert (schedule.min_charging_rate, schedule.charging_schedule_period[0].limit) == (6.5, 16.0)


# --------------------------------------------------------------------------------------------------------- lenient


@pytest.mark.parametrize(
    ("sample", "read", "remarks"),
    [
        ({"value": 230.1}, v16.SampledValue(value="230.1"), [".value: a number for a string"]),
        ({"value": 230}, v16.SampledValue(value="230"), [".value: a number for a string"]),
        ({"value": True}, v16.SampledValue(value="true"), [".value: a boolean for a string"]),
        (
            {"value": "1", "phase": None, "unit": ""},
            v16.SampledValue(value="1"),
            [".phase: null for an absent field", ".unit: empty for an absent field"],
        ),
        (
            {"value": "1", "unit": "wh "},
            v16.SampledValue(value="1", unit=v16.UnitOfMeasure.WH),
            [".unit: 'wh ' is not one of UnitOfMeasure, read as Wh"],
        ),
        (
            {"value": "1", "context": "Sample.Whenever"},
            v16.SampledValue(value="1", context=v16.ReadingContext.OTHER),
            [".context: 'Sample.Whenever' is not one of ReadingContext, read as Other"],
        ),
        (
            {"value": "1", "unit": "MWh"},
            None,
            [".unit: 'MWh' is not one of UnitOfMeasure; meterValue[0].sampledValue[1] is left out"],
        ),
        ({"unit": "Wh"}, None, [".value: is required; meterValue[0].sampledValue[1] is left out"]),
    ],
)
def test_lenience_mends_a_sampled_value_or_leaves_all_of_it_out(
    sample: dict[str, Any], read: v16.SampledValue | None, remarks: list[str]
) -> None:
    message, violations = decode_as_lenient(v16.MeterValuesRequest, with_sample(**sample))
    assert message.meter_value[0].sampled_value[1:] == (() if read is None else (read,))
    assert [str(violation) for violation in violations] == [f"meterValue[0].sampledValue[1]{text}" for text in remarks]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"connectorId": "1"}, {"connector_id": 1}),
        ({"connectorId": " 1.0 "}, {"connector_id": 1}),
        ({"meterStop": 1234.6}, {"meter_stop": 1235}),
        ({"timestamp": "2024-05-01T10:00:00"}, {"timestamp": datetime(2024, 5, 1, 10, tzinfo=UTC)}),
        ({"timestamp": "20240501T100000Z"}, {"timestamp": datetime(2024, 5, 1, 10, tzinfo=UTC)}),
        ({"timestamp": "2024-05-01T10:00+02:00"}, {"timestamp": datetime(2024, 5, 1, 8, tzinfo=UTC)}),
        ({"idTag": "X" * 30}, {"id_tag": "X" * 30}),
        ({"idTag": None}, {"id_tag": None}),
        ({"reason": "CosmicRays"}, {"reason": v16.Reason.OTHER}),
        ({"transactionData": {"timestamp": "2024-05-01T10:00:00Z", "sampledValue": []}}, {}),
    ],
)
def test_lenience_mends_fields(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    start: dict[str, Any] = {"connectorId": 1, "idTag": "T", "meterStart": 5, "timestamp": "2024-05-01T10:00:00Z"}
    stop: dict[str, Any] = {"meterStop": 9, "timestamp": "2024-05-01T10:00:00Z", "transactionId": 3}
    message_type: Any = v16.StartTransactionRequest if "connectorId" in changes else v16.StopTransactionRequest
    payload = (start if "connectorId" in changes else stop) | changes
    message, violations = decode_as_lenient(message_type, json.dumps(payload).encode())
    assert violations
    assert {name: getattr(message, name) for name in expected} == expected


def test_lenience_reads_booleans_and_drops_what_is_optional() -> None:
    wire = b'{"configurationKey":[{"key":"a","readonly":"True"},{"key":"b","readonly":0},{"key":"c","readonly":"?"}]}'
    message, violations = decode_as_lenient(v16.GetConfigurationResponse, wire)
    assert message.configuration_key is not None
    assert [(entry.key, entry.readonly) for entry in message.configuration_key] == [("a", True), ("b", False)]
    assert len(violations) == 3

    wire = b'{"reason":"PowerUp","chargingStation":{"model":"m","vendorName":"v","modem":{"iccid":[]}}}'
    boot, violations = decode_as_lenient(v201.BootNotificationRequest, wire)
    assert boot.charging_station == v201.ChargingStation(model="m", vendor_name="v", modem=v201.Modem())
    assert [violation.path for violation in violations] == ["chargingStation.modem.iccid"]


def test_the_vendors_corner_does_not_cost_the_element_around_it() -> None:
    wire = b'{"evseId":1,"meterValue":[{"timestamp":"2024-05-01T10:00:00Z","sampledValue":[{"value":"5","customData":{"x":1}}]}]}'  # noqa: E501
    message, violations = decode_as_lenient(v201.MeterValuesRequest, wire)
    assert message.meter_value[0].sampled_value == (v201.SampledValue(value=5.0),)
    assert [violation.path for violation in violations] == [
        "meterValue[0].sampledValue[0].value",
        "meterValue[0].sampledValue[0].customData.vendorId",
    ]


@pytest.mark.parametrize(
    "wire",
    [
        b'{"connectorId":1}',
        b'{"connectorId":1,"meterValue":[]}',
        b'{"connectorId":1,"meterValue":[{"timestamp":"2024-05-01T10:00:00Z","sampledValue":[{"value":"1","unit":"?"}]}]}',
        b'{"connectorId":"one","meterValue":[{"timestamp":"2024-05-01T10:00:00Z","sampledValue":[{"value":"1"}]}]}',
        b'{"connectorId":"1e999","meterValue":[{"timestamp":"2024-05-01T10:00:00Z","sampledValue":[{"value":"1"}]}]}',
    ],
)
def test_lenience_does_not_guess(wire: bytes) -> None:
    with pytest.raises(DecodeFailure):
        decode_as_lenient(v16.MeterValuesRequest, wire)


def test_another_case_is_a_violation_and_no_strict_reading_accepts_it() -> None:
    wire = b'{"connectorId":1,"errorCode":"NoError","status":"available"}'
    message, violations = decode_as_lenient(v16.StatusNotificationRequest, wire)
    assert message.status is v16.ChargePointStatus.AVAILABLE
    assert [violation.path for violation in violations] == ["status"]
    for payload in (wire, wire.replace(b"}", b',"info":null}')):
        with pytest.raises(DecodeFailure):
            decode_as(v16.StatusNotificationRequest, payload)


@pytest.mark.parametrize("time", ['"timestamp":null,', '"timestamp":"yesterday",', ""])
def test_the_time_of_arrival_stands_in_for_a_timestamp_where_it_is_told(time: str) -> None:
    wire = f'{{{time}"connectorId":1,"idTag":"T","meterStart":5}}'.encode()
    message, violations = decode_as_lenient(v16.StartTransactionRequest, wire, received_at=NOON)
    assert message.timestamp == NOON
    assert {violation.path for violation in violations} == {"timestamp"}
    with pytest.raises(DecodeFailure):
        decode_as_lenient(v16.StartTransactionRequest, wire)


def test_stand_ins_are_for_required_fields_by_their_paths() -> None:
    wire = b'{"reason":"PowerUp","chargingStation":{"model":null}}'
    stand_ins = {"chargingStation.model": "", "chargingStation.vendorName": "?"}
    boot, violations = decode_as_lenient(v201.BootNotificationRequest, wire, stand_ins=stand_ins)
    assert boot.charging_station == v201.ChargingStation(model="", vendor_name="?")
    assert [violation.path for violation in violations] == list(stand_ins)


def test_remarks_are_bounded() -> None:
    payload = json.loads(json.dumps(METER_VALUES))
    payload["meterValue"][0]["sampledValue"] = [{"value": number} for number in range(500)]
    message, violations = decode_as_lenient(v16.MeterValuesRequest, json.dumps(payload).encode())
    assert len(message.meter_value[0].sampled_value) == 500
    assert len(violations) == 32


# ---------------------------------------------------------------------------------------------------------- encode


def test_writes_compactly_and_leaves_out_what_is_absent() -> None:
    message = v16.SetChargingProfileRequest(
        connector_id=1,
        cs_charging_profiles=v16.ChargingProfile(
            charging_profile_id=5,
            stack_level=0,
            charging_profile_purpose=v16.ChargingProfilePurposeType.TX_PROFILE,
            charging_profile_kind=v16.ChargingProfileKindType.RELATIVE,
            charging_schedule=v16.ChargingSchedule(
                charging_rate_unit=v16.ChargingRateUnitType.A,
                charging_schedule_period=(v16.ChargingSchedulePeriod(start_period=0, limit=0.1 + 0.2),),
            ),
        ),
    )
    assert encode(message) == (
        b'{"connectorId":1,"csChargingProfiles":{"chargingProfileId":5,"stackLevel":0,'
        b'"chargingProfilePurpose":"TxProfile","chargingProfileKind":"Relative","chargingSchedule":'
        b'{"chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":0.3}]}}}'
    )


@pytest.mark.parametrize(
    "message",
    [
        v16.AuthorizeRequest(id_tag="X" * 21),
        v16.AuthorizeRequest(id_tag="\ud800"),
        v16.AuthorizeRequest(id_tag=None),  # type: ignore[arg-type]
        v16.AuthorizeRequest(id_tag=object()),  # type: ignore[arg-type]
        v16.MeterValuesRequest(connector_id=1, meter_value=()),
        v201.CostUpdatedRequest(total_cost=math.nan, transaction_id="t"),
        v201.CostUpdatedRequest(total_cost=math.inf, transaction_id="t"),
        v201.HeartbeatRequest(custom_data=CustomData("v" * 256)),
    ],
)
def test_does_not_write_what_the_schema_refuses(message: Message) -> None:
    with pytest.raises(EncodeFailure, match=type(message).__name__):
        encode(message)
