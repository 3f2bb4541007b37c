"""Frames: OCPP-J §4.1.2 (encoding), §4.1.5 (payload), §4.2 (structure), in every version the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt.rpc.errors import Cause
from forecourt.rpc.frame import (
    Call,
    CallError,
    CallResult,
    CallResultError,
    Malformed,
    Send,
    encode_call,
    encode_call_error,
    encode_call_result,
    encode_call_result_error,
    encode_send,
    parse,
    peek,
)

PAYLOAD = b'{ "signed" : "\xc3\xa4" , "n":1.50 ,"x":[ ] }'


def json_values() -> st.SearchStrategy[Any]:
    scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
    return st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    )


def malformed(frame_bytes: bytes) -> Malformed:
    result = parse(frame_bytes)
    assert isinstance(result, Malformed), result
    return result


@pytest.mark.parametrize(
    ("frame_bytes", "kind"),
    [
        (encode_call("id-1", "Heartbeat", PAYLOAD), Call),
        (encode_call_result("id-1", PAYLOAD), CallResult),
        (encode_call_error("id-1", "GenericError", "why", PAYLOAD), CallError),
        (encode_call_result_error("id-1", "GenericError", "why", PAYLOAD), CallResultError),
        (encode_send("id-1", "NotifyPeriodicEventStream", PAYLOAD), Send),
    ],
)
def test_what_is_encoded_is_parsed_with_the_payload_byte_for_byte(frame_bytes: bytes, kind: type) -> None:
    frame = parse(frame_bytes)
    assert type(frame) is kind
    assert not isinstance(frame, Malformed)
    assert frame.message_id == "id-1"
    assert bytes(frame.payload) == PAYLOAD
    json.loads(frame_bytes)


def test_encoders_write_the_compact_form() -> None:
    assert encode_call("1", "Heartbeat", b"{}") == b'[2,"1","Heartbeat",{}]'
    assert encode_call_result("1", b"{}") == b'[3,"1",{}]'
    assert encode_call_error("1", "GenericError") == b'[4,"1","GenericError","",{}]'
    assert encode_call_result_error("1", "GenericError") == b'[5,"1","GenericError","",{}]'
    assert encode_send("1", "Stream", b"{}") == b'[6,"1","Stream",{}]'


@given(st.text(max_size=36), st.text(max_size=40), st.text(max_size=40))
def test_ids_and_descriptions_of_any_text_survive(message_id: str, code: str, description: str) -> None:
    frame = parse(encode_call_error(message_id, code, description))
    assert isinstance(frame, CallError)
    assert (frame.message_id, frame.code, frame.description) == (message_id, code, description)


def test_a_description_that_no_unicode_can_express_is_still_sent() -> None:
    assert b"a?b" in encode_call_error("1", "GenericError", "a\ud800b")


@given(json_values())
def test_any_json_as_payload_is_an_object_or_malformed(value: Any) -> None:
    payload = json.dumps(value).encode()
    frame = parse(b'[2,"1","Act",%b]' % payload)
    if isinstance(value, dict):
        assert isinstance(frame, Call)
        assert bytes(frame.payload) == payload
    elif value is None:
        assert isinstance(frame, Call)
        assert bytes(frame.payload) == b"{}"
    else:
        assert isinstance(frame, Malformed)
        assert (frame.cause, frame.message_id) == (Cause.WRONG_STRUCTURE, "1")


def test_whitespace_anywhere_is_allowed() -> None:
    frame = parse(b' \n[ 2 , "1" , "Act" , { "a" : 1 } ] \t')
    assert isinstance(frame, Call)
    assert bytes(frame.payload) == b'{ "a" : 1 }'


@pytest.mark.parametrize("payload", [b"[{}]", b'"{}"', b"1", b"true", b"[]"])
def test_a_payload_that_is_no_object_is_malformed_under_its_id(payload: bytes) -> None:
    for message_type, text in (
        (2, b'[2,"7","Act",%b]' % payload),
        (3, b'[3,"7",%b]' % payload),
        (6, b'[6,"7","A",%b]' % payload),
    ):
        found = malformed(text)
        assert (found.cause, found.message_type, found.message_id) == (Cause.WRONG_STRUCTURE, message_type, "7")


@pytest.mark.parametrize(
    ("text", "cause", "message_type", "message_id"),
    [
        (b"", Cause.MALFORMED_FRAME, None, None),
        (b"hello", Cause.MALFORMED_FRAME, None, None),
        (b"{}", Cause.MALFORMED_FRAME, None, None),
        (b"null", Cause.MALFORMED_FRAME, None, None),
        (b"[]", Cause.MALFORMED_FRAME, None, None),
        (b"[2]", Cause.MALFORMED_FRAME, 2, None),
        (b'[2,"1"]', Cause.MALFORMED_FRAME, 2, "1"),
        (b'[2,"1","Act"]', Cause.MALFORMED_FRAME, 2, "1"),
        (b'[2,"1","Act",{},{}]', Cause.MALFORMED_FRAME, 2, "1"),
        (b'[2,"1",5,{}]', Cause.MALFORMED_FRAME, 2, "1"),
        (b'[2,1,"Act",{}]', Cause.MALFORMED_FRAME, 2, None),
        (b'[2,null,"Act",{}]', Cause.MALFORMED_FRAME, 2, None),
        (b'[2.0,"1","Act",{}]', Cause.MALFORMED_FRAME, None, "1"),
        (b'["2","1","Act",{}]', Cause.MALFORMED_FRAME, None, "1"),
        (b'[true,"1","Act",{}]', Cause.MALFORMED_FRAME, None, "1"),
        (b'[9,"1","Act",{}]', Cause.UNKNOWN_MESSAGE_TYPE, 9, "1"),
        (b"[9,{}]", Cause.UNKNOWN_MESSAGE_TYPE, 9, None),
        (b'[3,"1",{},{}]', Cause.MALFORMED_FRAME, 3, "1"),
        (b'[2,"1","Act",{"a":}]', Cause.MALFORMED_PAYLOAD, 2, "1"),
        (b'[2,"1","Act",{"a":1', Cause.MALFORMED_PAYLOAD, 2, "1"),
        (b'[2,"1","Act",{"a":NaN}]', Cause.MALFORMED_PAYLOAD, 2, "1"),
        (b'[2,"1","Act",{}] ]', Cause.MALFORMED_PAYLOAD, 2, "1"),
        (b'[2,"1",Act,{}]', Cause.MALFORMED_FRAME, 2, "1"),
        (b'[3,"1",{"a":}]', Cause.MALFORMED_PAYLOAD, 3, "1"),
        (b'[2,"1","Act",{"a":"\xff"}]', Cause.MALFORMED_PAYLOAD, 2, "1"),
        (b'[2,"\xff","Act",{}]', Cause.MALFORMED_FRAME, 2, None),
        (b'[2,"\\ud800","Act",{}]', Cause.MALFORMED_FRAME, 2, None),
        (b'[2,"1","Act",{"a":"\\ud800"}]', Cause.MALFORMED_PAYLOAD, 2, "1"),
        (b'\xef\xbb\xbf[2,"1","Act",{}]', Cause.MALFORMED_FRAME, None, None),
        (b'[2,"1","Act",' + b"[" * 100_000, Cause.MALFORMED_PAYLOAD, 2, "1"),
        (b'[2,"1","Act",' + b"[" * 100_000 + b"]" * 100_001, Cause.MALFORMED_PAYLOAD, 2, "1"),
        (b"[" * 100_000, Cause.MALFORMED_FRAME, None, None),
        (b'[2,"1","Act",' + b'{"a":' * 100_000, Cause.MALFORMED_PAYLOAD, 2, "1"),
        (b"[" + b"9" * 5_000 + b',"1","Act",{}]', Cause.UNKNOWN_MESSAGE_TYPE, None, "1"),
        (b'[2,"' + b"i" * 5_000 + b'",5,{}]', Cause.MALFORMED_FRAME, 2, None),
    ],
)
def test_what_is_wrong_is_said_with_whatever_id_can_be_made_out(
    text: bytes, cause: Cause, message_type: int | None, message_id: str | None
) -> None:
    found = malformed(text)
    if message_type is None and cause is Cause.UNKNOWN_MESSAGE_TYPE:
        # A number of thousands of digits is either no integer to the decoder or an unknown type: both are fine.
        assert found.cause in {Cause.UNKNOWN_MESSAGE_TYPE, Cause.MALFORMED_FRAME}
        return
    assert (found.cause, found.message_type, found.message_id) == (cause, message_type, message_id)
    assert found.description


@pytest.mark.parametrize(
    ("text", "code", "description"),
    [
        (b'[4,"1","GenericError","why",{}]', "GenericError", "why"),
        (b'[4,"1","GenericError","why"]', "GenericError", "why"),
        (b'[4,"1","GenericError"]', "GenericError", ""),
        (b'[4,"1"]', "", ""),
        (b'[4,"1","GenericError",null,null]', "GenericError", ""),
        (b'[4,"1",7,"why","details"]', "", "why"),
        (b'[4,"1","GenericError","why",{},"more"]', "GenericError", "why"),
    ],
)
def test_a_call_error_is_read_leniently(text: bytes, code: str, description: str) -> None:
    frame = parse(text)
    assert isinstance(frame, CallError)
    assert (frame.message_id, frame.code, frame.description) == ("1", code, description)
    assert bytes(frame.payload) == b"{}"


def test_a_frame_keeps_no_reference_into_a_buffer_that_will_change() -> None:
    buffer = bytearray(encode_call("1", "Act", b'{"a":1}'))
    frame = parse(memoryview(buffer))
    buffer[:] = b"x" * len(buffer)
    assert isinstance(frame, Call)
    assert bytes(frame.payload) == b'{"a":1}'


def test_the_head_of_a_frame_too_large_to_read_still_tells_whose_it_is() -> None:
    assert peek(b'[2,"id","Act",{"a":"' + b"x" * 100_000) == (2, "id")
    assert peek(b"x" * 100_000) == (None, None)


@given(st.binary(max_size=300))
def test_any_bytes_are_parsed_or_malformed(text: bytes) -> None:
    assert isinstance(parse(text), (Call, CallResult, CallError, CallResultError, Send, Malformed))
    peek(text)


@given(st.lists(json_values(), max_size=7))
def test_any_json_array_is_parsed_or_malformed(elements: list[Any]) -> None:
    parse(json.dumps(elements, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    for message_type in range(2, 7):
        parse(json.dumps([message_type, *elements], ensure_ascii=False).encode("utf-8", "surrogatepass"))


@given(st.data())
def test_any_damage_to_a_good_frame_is_parsed_or_malformed(data: st.DataObject) -> None:
    text = bytearray(encode_call("8a0c1c9e", "MeterValues", PAYLOAD))
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(text) - 1))
        text[position : position + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
        if not text:
            break
    parse(bytes(text))
