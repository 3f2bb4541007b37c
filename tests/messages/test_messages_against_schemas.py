"""Our messages and the official schemas agree, for every message of every version (exceptions: `codec`'s docstring)."""

import contextlib
import json
import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import inspect
from tests.messages.official import MODULES, TABLES, Official, all_messages, changes, payloads

from forecourt.messages.base import CustomData, Message
from forecourt.messages.codec import DecodeFailure, EncodeFailure, decode, decode_lenient, encode

FEW = settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
MANY = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))

# A failing example may hold a certificate chain at its longest.
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")

every_message = pytest.mark.parametrize("official", all_messages(), ids=str)


def test_every_schema_has_its_message_and_no_message_lacks_its_schema() -> None:
    ours = {
        (version, table, action)
        for version, module in MODULES.items()
        for table in TABLES
        for action in getattr(module, table)
    }
    assert ours == {(official.version, official.table, official.action) for official in all_messages()}
    assert [len(MODULES["v16"].REQUESTS), len(MODULES["v16"].RESPONSES)] == [28 + 11, 28 + 11]


@every_message
def test_accepts_refuses_and_writes_what_the_schema_does(official: Official) -> None:
    @FEW
    @given(st.data())
    def agrees(data: st.DataObject) -> None:
        check_agreement(official, data)

    agrees()


@pytest.mark.slow
@every_message
def test_accepts_refuses_and_writes_what_the_schema_does_at_length(official: Official) -> None:
    @MANY
    @given(st.data())
    def agrees(data: st.DataObject) -> None:
        check_agreement(official, data)

    agrees()


def check_agreement(official: Official, data: st.DataObject) -> None:
    payload = data.draw(payloads(official))
    wire = json.dumps(payload).encode()
    assert official.errors(wire) == []

    # What the schema accepts we read; nothing is lost or renamed; what we write the schema accepts; and it is the same.
    message = decode(official.messages, official.action, wire)
    written = encode(message)
    assert official.errors(written) == []
    assert_same(payload, json.loads(written), official.action)
    assert decode(official.messages, official.action, written) == message
    assert decode_lenient(official.messages, official.action, wire) == (message, ())

    # A field that nobody knows changes nothing.
    assert decode(official.messages, official.action, json.dumps({"unheard": [{}], **payload}).encode()) == message

    # What the schema refuses we refuse, and say where and why.
    spoils = changes(official, payload)
    if spoils:
        for change in data.draw(st.lists(st.sampled_from(spoils), min_size=1, max_size=8)):
            spoilt = json.dumps(change.applied_to(payload)).encode()
            assert official.errors(spoilt), f"the schema accepts {change}"
            with pytest.raises(DecodeFailure) as caught:
                decode(official.messages, official.action, spoilt)
            assert (caught.value.kind, caught.value.path) == (change.kind, change.wire_path), str(caught.value)
            check_lenience(official, spoilt)

    # What we write is valid, whatever the object was made of.
    try:
        anything = data.draw(wild(inspect.type_info(official.message_type)))
        written = encode(anything) if isinstance(anything, Message) else written
    except EncodeFailure:
        return
    assert official.errors(written) == []


def check_lenience(official: Official, spoilt: bytes) -> None:
    """A spoilt payload is refused, or read with a remark; what is read is valid but for excess length."""
    try:
        message, violations = decode_lenient(official.messages, official.action, spoilt)
    except DecodeFailure:
        return
    assert violations
    if not any(violation.message.endswith(" allowed") for violation in violations):
        assert official.errors(encode(message)) == []


def assert_same(theirs: Any, ours: Any, where: str) -> None:
    """Equal as JSON; instants in UTC to the millisecond."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        assert theirs.keys() == ours.keys(), where
        for key, part in theirs.items():
            assert_same(part, ours[key], f"{where}.{key}")
    elif isinstance(theirs, list) and isinstance(ours, list):
        assert len(theirs) == len(ours), where
        for index, part in enumerate(theirs):
            assert_same(part, ours[index], f"{where}[{index}]")
    elif theirs != ours and isinstance(theirs, str) and "T" in theirs.upper():
        assert isinstance(ours, str)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z", ours), where
        leap = ":60" in theirs
        instant = datetime.fromisoformat(theirs.upper().replace(":60", ":59")) + timedelta(seconds=leap)
        # An instant with nine decimals may be rounded to microseconds before it is cut to milliseconds.
        assert timedelta(0) <= instant - datetime.fromisoformat(ours) < timedelta(milliseconds=1), where
    else:
        assert theirs == ours or math.isclose(theirs, ours, rel_tol=1e-15), where


@st.composite
def wild(draw: st.DrawFn, shape: inspect.Type) -> Any:
    """An object of one of our types that was built without regard to lengths, ranges, or, now and then, types."""
    if draw(st.integers(0, 60)) == 60:
        return draw(st.sampled_from([None, "", 1, 2**80, math.nan, math.inf, True, (), "null", "\ud800", b"x", {}]))
    match shape:
        case inspect.StructType():
            values: dict[str, Any] = {}
            for field in shape.fields:
                if field.required or draw(st.integers(0, 3)) == 3:
                    values[field.name] = draw(wild(field.type))
            try:
                return shape.cls(**values)
            except (ValueError, AttributeError, TypeError):  # not even an instant or a number: see test_codec
                raise EncodeFailure("not even an object") from None
        case inspect.UnionType():
            return draw(wild(shape.types[0]))
        case inspect.VarTupleType():
            return tuple(draw(wild(shape.item_type)) for _ in range(draw(st.integers(0, 2)) or shape.min_length or 0))
        case inspect.EnumType():
            return draw(st.sampled_from(list(shape.cls)))
        case inspect.StrType():
            return draw(st.text(max_size=5)) * draw(st.sampled_from([1, 1, 1, 100]))
        case inspect.IntType():
            return draw(st.integers(0, 3) | st.integers())
        case inspect.FloatType():
            return draw(st.floats(0, 50) | st.floats())
        case inspect.BoolType():
            return draw(st.booleans())
        case inspect.DateTimeType():
            return draw(st.datetimes(timezones=st.just(UTC)))
        case inspect.CustomType():
            return CustomData(draw(st.text(max_size=5)), draw(st.dictionaries(st.text(max_size=3), st.integers())))
    return draw(st.none() | st.integers() | st.lists(st.text(max_size=3), max_size=2))


BYTES = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=12,
    ).map(lambda value: json.dumps(value).encode()),
)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_no_bytes_raise_anything_but_a_decode_failure(data: st.DataObject) -> None:
    official = data.draw(st.sampled_from(all_messages()))
    if data.draw(st.booleans()):
        wire = bytearray(json.dumps(data.draw(payloads(official))).encode())
        for _ in range(data.draw(st.integers(1, 4))):
            at = data.draw(st.integers(0, len(wire)))
            wire[at : at + data.draw(st.integers(0, 6))] = data.draw(BYTES)
    else:
        wire = bytearray(data.draw(BYTES))
    for read in (decode, decode_lenient):
        with contextlib.suppress(DecodeFailure):
            outcome = read(official.messages, official.action, bytes(wire))
            assert isinstance(outcome[0] if isinstance(outcome, tuple) else outcome, Message)
