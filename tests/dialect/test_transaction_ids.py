"""Transaction ids are replaced in place: only the id changes, wherever it stands and however the frame is written."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt.dialect.transaction_ids import in_answer, in_call, in_payload, marked_offline
from forecourt.dialect.v16 import V16
from forecourt.dialect.v201 import V201


def other(transaction_id: str) -> str:
    return {"7": "2000000001", "-1": "8"}.get(transaction_id, transaction_id)


@pytest.mark.parametrize(
    ("action", "before", "after"),
    [
        ("StopTransaction", b'[2 , "a","StopTransaction",{"x":7, "transactionId" :\t7 ,"y":[{"transactionId":7}]} ]',
         b'[2 , "a","StopTransaction",{"x":7, "transactionId" :\t2000000001 ,"y":[{"transactionId":7}]} ]'),
        ("MeterValues", b'[2,"transactionId","MeterValues",{"t":"{\\"transactionId\\":7","transactionId":"7"}]',
         b'[2,"transactionId","MeterValues",{"t":"{\\"transactionId\\":7","transactionId":"2000000001"}]'),
        ("MeterValues", b'[2,"a","MeterValues",{"trans\\u0061ctionId":7.0,"transactionId":-1}]',
         b'[2,"a","MeterValues",{"trans\\u0061ctionId":2000000001,"transactionId":8}]'),
        ("SetChargingProfile", b'[2,"a","SetChargingProfile",{"csChargingProfiles":{"z":{},"transactionId":7}}]',
         b'[2,"a","SetChargingProfile",{"csChargingProfiles":{"z":{},"transactionId":2000000001}}]'),
        ("RemoteStopTransaction", b'[2,"a","RemoteStopTransaction",{"transactionId":7}]',
         b'[2,"a","RemoteStopTransaction",{"transactionId":2000000001}]'),
    ],
)  # fmt: skip
def test_only_the_id_changes(action: str, before: bytes, after: bytes) -> None:
    assert in_call(V16, action, before, other) == after


def test_an_issued_id_in_an_answer() -> None:
    before = b'[3,"a", {"idTagInfo":{"status":"Accepted"}, "transactionId": 7}]'
    assert in_answer(V16, "StartTransaction", before, other) == before.replace(b": 7", b": 2000000001")


@pytest.mark.parametrize(
    "token", [b"null", b"true", b'"seven"', b"7.5", b"1e999", b"{}", b"[7]", b'{"transactionId":7}']
)
def test_what_is_no_id_stays(token: bytes) -> None:
    frame = b'[2,"a","StopTransaction",{"transactionId":%b}]' % token
    assert in_call(V16, "StopTransaction", frame, other) is frame


def test_other_ids_other_actions_and_other_versions_are_the_same_object() -> None:
    frame = b'[2,"a","StopTransaction",{"transactionId":9}]'
    assert in_call(V16, "StopTransaction", frame, other) is frame
    assert in_call(V16, "DataTransfer", frame.replace(b"9", b"7"), other) == frame.replace(b"9", b"7")
    assert in_call(V201, "StopTransaction", frame.replace(b"9", b"7"), other) == frame.replace(b"9", b"7")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'{"eventType":"Started"}', b'{"offline":true,"eventType":"Started"}'),
        (b"{ }", b'{"offline":true }'),
        (b'{"a":{"offline":1},"offline": false ,"b":2}', b'{"a":{"offline":1},"offline": true ,"b":2}'),
        (b'{"offline":true}', b'{"offline":true}'),
    ],
)
def test_an_event_that_was_kept_back_says_so(before: bytes, after: bytes) -> None:
    assert marked_offline(V201, "TransactionEvent", before) == after
    assert marked_offline(V201, "NotifyEvent", before) is before
    assert marked_offline(V16, "TransactionEvent", before) is before


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(members=st.dictionaries(st.text(max_size=6), values, max_size=4), where=st.integers(0, 4),
       indent=st.none() | st.integers(0, 3))  # fmt: skip
def test_whatever_stands_around_it(members: dict[str, Any], where: int, indent: int | None) -> None:
    items = [(key, value) for key, value in members.items() if key != "transactionId"]
    items.insert(where, ("transactionId", 7))
    payload = json.dumps(dict(items), indent=indent, ensure_ascii=False).encode("utf-8", "surrogatepass")
    changed = json.loads(in_payload(V16, "StopTransaction", payload, other))
    assert changed == {**dict(items), "transactionId": 2000000001}
    back = in_payload(V16, "StopTransaction", in_payload(V16, "StopTransaction", payload, other),
                      lambda number: "7" if number == "2000000001" else number)  # fmt: skip
    assert back == payload
