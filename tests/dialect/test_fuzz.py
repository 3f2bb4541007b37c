"""Whatever the bytes, decoding raises `Untranslatable` and nothing else; and what it gives fits into a journal."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.dialect.values import WORDS, requests
from tests.messages.official import Official, all_messages, payloads

from forecourt.dialect import DIALECTS, by_subprotocol
from forecourt.dialect.port import Decoded, Dialect, Untranslatable
from forecourt.dialect.tables import INTEGER_LIMIT, TableDialect
from forecourt.dialect.v16_contracts import CSMS_MESSAGES, STATION_MESSAGES, USES, VENDOR_ID
from forecourt.domain import requests as r
from forecourt.domain.events import Notice, decode_notice, encode_notice
from forecourt.rpc.errors import Cause

SOME = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
FEW = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))

VERSIONS = {"v16": "ocpp1.6", "v201": "ocpp2.0.1"}

OFFICIAL = [official for official in all_messages() if official.version in VERSIONS]
ACTIONS = sorted({official.action for official in OFFICIAL} | {"", "Nonsense", "bootNotification", "\x00"})

SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from(["2024-01-31T08:15:30Z", "9999-12-31T23:59:59-12:00", "Accepted", "1e999", "nan", "-0", "1_0"])
)  # fmt: skip
NAMES = st.sampled_from(
    ["connectorId", "evseId", "meterValue", "sampledValue", "value", "timestamp", "status", "idTag", "data", "evse",
     "listVersion", "localAuthorizationList", "idTagInfo", "firmware", "location", "requestId", "certificateHashData",
     "vendorId", "messageId",
     "transactionInfo", "transactionId", "eventType", "seqNo", "key", "unit", "multiplier", "chargingSchedule"]
)  # fmt: skip
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=3), inner, max_size=4)
)


def dialect_of(official: Official) -> TableDialect:
    dialect = by_subprotocol(VERSIONS[official.version])
    assert isinstance(dialect, TableDialect)
    return dialect


every_dialect = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.subprotocol)


def decoded_or_refused(decode: Any, *arguments: Any, strict: bool) -> Decoded[Any] | None:
    try:
        decoded: Decoded[Any] = decode(*arguments, strict=strict)
    except Untranslatable:
        return None
    if strict:
        assert decoded.violations == ()
    if isinstance(decoded.value, Notice):
        assert decode_notice(encode_notice(decoded.value)) == decoded.value
    assert integers_fit(msgspec.to_builtins(decoded.value))
    return decoded


def integers_fit(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(integers_fit, value.values()))
    if isinstance(value, list | tuple):
        return all(map(integers_fit, value))
    return not isinstance(value, int) or -INTEGER_LIMIT <= value < INTEGER_LIMIT


def decode_everywhere(dialect: Dialect, action: str, payload: bytes) -> None:
    for strict in (False, True):
        decoded_or_refused(dialect.decode_call, action, payload, strict=strict)
        decoded_or_refused(dialect.decode_request, action, payload, strict=strict)


@every_dialect
def test_any_bytes(dialect: Dialect) -> None:
    @SOME
    @given(st.sampled_from(ACTIONS), st.binary(max_size=40))
    @example("MeterValues", b"[" * 100_000)
    @example("DataTransfer", b'{"vendorId":"x","data":' + b"[" * 900 + b"]" * 900 + b"}")
    @example("DataTransfer", b'{"vendorId":"x","data":"\\ud800"}')
    @example("DataTransfer", b'{"vendorId":"x","data":' + b"9" * 5000 + b"}")
    @example("DataTransfer", b'{"vendorId":"x","data":' + b"9" * 4000 + b"}")
    @example("Heartbeat", b"null")
    def holds(action: str, payload: bytes) -> None:
        decode_everywhere(dialect, action, payload)

    holds()


@every_dialect
def test_any_json(dialect: Dialect) -> None:
    @settings(SOME, max_examples=150)
    @given(st.sampled_from(ACTIONS), JSON)
    def holds(action: str, content: Any) -> None:
        decode_everywhere(dialect, action, json.dumps(content).encode())

    holds()


@SOME
@given(st.sampled_from(sorted(STATION_MESSAGES | CSMS_MESSAGES)), JSON.map(json.dumps) | st.text(max_size=20))
@example("CertificateSigned", "[" * 100_000)
@example("Authorize", '{"idToken":{"idToken":"\\ud800"}}')
def test_any_text_inside_of_a_transfer(message_id: str, data: str) -> None:
    payload = json.dumps({"vendorId": VENDOR_ID, "messageId": message_id, "data": data}).encode()
    decode_everywhere(by_subprotocol("ocpp1.6"), "DataTransfer", payload)
    for strict in (False, True):
        request = r.GetInstalledCertificateIds(uses=USES)
        answer = json.dumps({"status": "Accepted", "data": data}).encode()
        decoded_or_refused(by_subprotocol("ocpp1.6").decode_request_answer, request, answer, strict=strict)


TRANSLATED = [
    official
    for official in OFFICIAL
    if official.action in {**dialect_of(official).calls, **dialect_of(official).requests}
]


@pytest.mark.parametrize("official", TRANSLATED, ids=str)
def test_whatever_the_schema_accepts(official: Official) -> None:
    """Also with instants at the end of time, integers of 70 bits and texts at their longest."""
    dialect = dialect_of(official)
    words = WORDS[dialect.subprotocol]

    @FEW
    @given(st.data())
    def holds(data: st.DataObject) -> None:
        payload = json.dumps(data.draw(payloads(official))).encode()
        if official.table == "REQUESTS":
            decode_everywhere(dialect, official.action, payload)
            return
        for strict in (False, True):
            request = data.draw(requests(words)[data.draw(st.sampled_from(list(requests(words))))])
            decoded_or_refused(dialect.decode_request_answer, request, payload, strict=strict)
            notice = data.draw(words.notices)
            decoded_or_refused(dialect.decode_call_answer, notice, payload, strict=strict)

    holds()


@pytest.mark.parametrize(
    ("subprotocol", "action", "cause"),
    [
        ("ocpp1.6", "Nonsense", Cause.UNKNOWN_ACTION),
        ("ocpp1.6", "TransactionEvent", Cause.UNKNOWN_ACTION),
        ("ocpp1.6", "RemoteStartTransaction", Cause.UNSUPPORTED_ACTION),  # not for a station to say
        ("ocpp2.0.1", "StartTransaction", Cause.UNKNOWN_ACTION),
        ("ocpp2.0.1", "NotifyEvent", Cause.UNSUPPORTED_ACTION),
        ("ocpp2.0.1", "SetVariables", Cause.UNSUPPORTED_ACTION),
    ],
)
def test_an_action_is_unknown_or_not_supported(subprotocol: str, action: str, cause: Cause) -> None:
    with pytest.raises(Untranslatable) as refusal:
        by_subprotocol(subprotocol).decode_call(action, b"{}")
    assert refusal.value.cause is cause


@every_dialect
@pytest.mark.parametrize(
    ("payload", "cause"),
    [
        (b"{", Cause.MALFORMED_PAYLOAD),
        (b"[]", Cause.WRONG_STRUCTURE),
        (b"{}", Cause.MISSING_FIELD),
        (b'{"status":7,"currentTime":"2024-01-31T08:15:30Z","interval":1}', Cause.TYPE),
        (b'{"status":"Perhaps","currentTime":"2024-01-31T08:15:30Z","interval":1}', Cause.VALUE),
    ],
)
def test_an_unreadable_answer_has_its_cause(dialect: Dialect, payload: bytes, cause: Cause) -> None:
    boot = WORDS[dialect.subprotocol].boot()

    @FEW
    @given(boot)
    def holds(notice: Notice) -> None:
        with pytest.raises(Untranslatable) as refusal:
            dialect.decode_call_answer(notice, payload)
        assert refusal.value.cause is cause

    holds()


def test_what_is_refused_strictly_is_forgiven_leniently() -> None:
    dialect = by_subprotocol("ocpp1.6")
    payload = (
        b'{"connectorId":"1","meterValue":[{"timestamp":"2024-01-31 08:15:30","sampledValue":'
        b'[{"value":230.1,"measurand":"Voltage","unit":"V"},{"value":"?","unit":"Wh"}]}]}'
    )
    heard = dialect.decode_call("MeterValues", payload)
    assert [violation.split(":")[0] for violation in heard.violations] == [
        "connectorId",
        "meterValue[0].timestamp",
        "meterValue[0].sampledValue[0].value",
        "meterValue[0].sampledValue[1].value",
    ]
    with pytest.raises(Untranslatable):
        dialect.decode_call("MeterValues", payload, strict=True)
