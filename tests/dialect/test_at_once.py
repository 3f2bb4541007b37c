"""What is read in one pass is what the long way reads, and is read only where that finds nothing to object to."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.messages.official import all_messages, payloads

from forecourt.dialect import DIALECTS, by_subprotocol
from forecourt.dialect.port import Dialect
from forecourt.domain.events import Acknowledged
from forecourt.messages import v16 as m
from forecourt.rpc.frame import Call, parse

MANY = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
V16 = by_subprotocol("ocpp1.6")
METER_VALUES = next(
    each for each in all_messages() if (each.version, each.table, each.action) == ("v16", "REQUESTS", "MeterValues")
)


def one_of(words: Any) -> st.SearchStrategy[Any]:
    """A word of the schema, or hardly ever something else."""
    odd = st.sampled_from(["", "kwh", "Ampere", None, 5, "Hertz", "SignedData", "Energy.Active.Net", "ÿ"])
    return st.sampled_from([word.value for word in words]) | odd


SAMPLES = st.fixed_dictionaries(
    {
        "value": st.integers(-(10**6), 10**7).map(str)
        | st.sampled_from(["1_0", "nan", "1e20", "", " 7 ", "0x1", 1, "٣"])
    },
    optional={
        "measurand": one_of(m.Measurand),
        "phase": one_of(m.Phase),
        "context": one_of(m.ReadingContext),
        "location": one_of(m.Location),
        "unit": one_of(m.UnitOfMeasure),
        "format": one_of(m.ValueFormat),
        "vendor": st.none() | st.text(max_size=3),
    },
)
INSTANTS = st.datetimes().map(lambda at: at.isoformat() + "Z") | st.sampled_from(
    ["2026-01-01T00:00:00.123456Z", "2026-01-01T00:00:00+02:00", "2026-01-01T00:00:00", "2026-01-01 00:00:00Z",
     "0001-01-01T00:00:00+05:00", "2026-06-30T23:59:60Z", "yesterday", None]
)  # fmt: skip
INTEGERS = st.integers(0, 9) | st.sampled_from([-1, 2**63 - 1, 2**63, -(2**63), 10**30, 1.0, "1", None, True])
PAYLOADS = st.fixed_dictionaries(
    {
        "connectorId": INTEGERS,
        "meterValue": st.lists(
            st.fixed_dictionaries({"timestamp": INSTANTS, "sampledValue": st.lists(SAMPLES, max_size=3)}), max_size=2
        ),
    },
    optional={"transactionId": INTEGERS, "more": st.none() | st.text(max_size=3)},
)
IDS = st.text(max_size=40) | st.sampled_from(["1", '"MeterValues"', "[2,"])


def agrees(dialect: Dialect, frame: bytes) -> bool:
    """Whether it was read at once; the long way has to have read the same then."""
    heard = dialect.hear_at_once(frame)
    if heard is None:
        return False
    call = parse(frame)
    assert isinstance(call, Call)
    assert (call.message_id, call.action) == (heard.message_id, heard.action)
    decoded = dialect.decode_call(call.action, bytes(call.payload), strict=True)
    assert decoded.value == heard.call
    assert repr(decoded.value) == repr(heard.call)
    assert dialect.decode_call(call.action, bytes(call.payload)) == decoded
    assert dialect.encode_call_answer(heard.call, Acknowledged()) == heard.reply
    return True


@MANY
@given(message_id=IDS, payload=PAYLOADS, ascii_only=st.booleans(), spaced=st.booleans())
def test_meter_values_that_are_read_at_once_mean_the_same(
    message_id: str, payload: Any, ascii_only: bool, spaced: bool
) -> None:
    separators = (", ", ": ") if spaced else (",", ":")
    text = json.dumps([2, message_id, "MeterValues", payload], ensure_ascii=ascii_only, separators=separators)
    agrees(V16, text.encode("utf-8", "surrogatepass"))


@MANY
@given(payload=payloads(METER_VALUES))
def test_what_the_schema_allows(payload: Any) -> None:
    agrees(V16, json.dumps([2, "1", "MeterValues", payload]).encode())


@MANY
@given(data=st.data())
def test_a_frame_that_was_damaged_is_not_read_otherwise(data: st.DataObject) -> None:
    sample = {"value": "1", "unit": "Wh", "measurand": "Energy.Active.Import.Register", "phase": "L1"}
    value = {"timestamp": "2026-01-01T00:00:00Z", "sampledValue": [sample]}
    frame = bytearray(json.dumps([2, "7", "MeterValues", {"connectorId": 1, "meterValue": [value]}]).encode())
    assert agrees(V16, bytes(frame))
    place = data.draw(st.integers(0, len(frame) - 1))
    frame[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    agrees(V16, bytes(frame))


@pytest.mark.parametrize(
    "sample",
    [
        {"value": "1520"},
        {"value": "230.1", "unit": "V", "measurand": "Voltage", "phase": "L1-N", "context": "Sample.Clock"},
        {"value": "1", "format": "Raw", "location": "Inlet"},
        {"value": "17", "unit": "Percent", "measurand": "SoC", "location": "EV"},
    ],
)
def test_good_readings_are_read_at_once(sample: dict[str, str]) -> None:
    values = [{"timestamp": "2026-01-01T00:00:00.123456Z", "sampledValue": [sample]}]
    payload = {"connectorId": 1, "transactionId": 7, "meterValue": values}
    assert agrees(V16, json.dumps([2, "1", "MeterValues", payload]).encode())


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.subprotocol)
@pytest.mark.parametrize("frame", [b"", b"[]", b'[2,"1","Heartbeat",{}]', b'[3,"1",{}]', b'[2,"1","MeterValues",[]]'])
def test_everything_else_is_for_the_long_way(dialect: Dialect, frame: bytes) -> None:
    assert dialect.hear_at_once(frame) is None
