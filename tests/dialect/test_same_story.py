"""The same story, told in 1.6 and in 2.0.1, is the same to the domain: equal events, requests and answers."""

import json
from typing import Any

import msgspec
import pytest
from tests.dialect.stories import STORY as DAY
from tests.dialect.stories import TRANSACTION, Step
from tests.dialect.stories_of_upkeep import UPKEEP
from tests.dialect.values import ONLY_APART
from tests.messages.official import all_messages

from forecourt.dialect import DIALECTS, by_subprotocol
from forecourt.dialect.port import Decoded, Dialect
from forecourt.domain.events import (
    ChargingStateReported,
    Notice,
    StationEvent,
    TransactionAnswer,
    TransactionEnded,
    TransactionStarted,
    decode_notice,
    encode_notice,
)
from forecourt.domain.requests import ANSWERS
from forecourt.domain.transaction import ChargingState

STORY = DAY + UPKEEP
VERSIONS = {"ocpp1.6": "v16", "ocpp2.0.1": "v201"}

every_step = pytest.mark.parametrize("step", STORY, ids=lambda step: step.name)


def as_the_csms_completes_it(event: StationEvent) -> StationEvent:
    """What only one version says, and the CSMS knows in the other.

    1.6 leaves the issuing of the transaction's id to the CSMS, reports charging by connector only, and names no EVSE
    when a transaction ends.
    """
    if isinstance(event, TransactionStarted):
        return msgspec.structs.replace(event, transaction_id=TRANSACTION)
    if isinstance(event, ChargingStateReported) and event.charging_state is not ChargingState.EV_CONNECTED:
        return msgspec.structs.replace(event, transaction_id=TRANSACTION)
    if isinstance(event, TransactionEnded):
        return msgspec.structs.replace(event, evse_id=1)
    return event


def call_of(dialect: Dialect, step: Step) -> list[Decoded[Any]]:
    calls = step.told(dialect.subprotocol).calls
    decode = dialect.decode_call if step.by_station else dialect.decode_request
    return [decode(action, json.dumps(payload).encode(), strict=True) for action, payload in calls]


def domain_of(dialect: Dialect, step: Step) -> Any:
    values = [decoded.value for decoded in call_of(dialect, step)]
    if isinstance(values[0], Notice):
        return tuple(as_the_csms_completes_it(event) for notice in values for event in notice.events)
    return values[0]


def answer_of(dialect: Dialect, step: Step) -> Any:
    told = step.told(dialect.subprotocol)
    call = call_of(dialect, step)[0].value
    payload = json.dumps(told.answer).encode()
    decode = dialect.decode_call_answer if step.by_station else dialect.decode_request_answer
    answer = decode(call, payload, strict=True).value
    if isinstance(answer, TransactionAnswer) and isinstance(call, Notice):
        if dialect.capabilities.csms_issues_transaction_ids and isinstance(call.events[0], TransactionStarted):
            assert answer.transaction_id == TRANSACTION
        return msgspec.structs.replace(answer, transaction_id=None)
    return answer


@every_step
def test_both_versions_tell_the_same(step: Step) -> None:
    told = [domain_of(dialect, step) for dialect in DIALECTS]
    assert told[0] == told[1]
    assert told[0]


@pytest.mark.parametrize("step", [step for step in STORY if step.v16.answer is not None], ids=lambda step: step.name)
def test_both_versions_answer_the_same(step: Step) -> None:
    told = [answer_of(dialect, step) for dialect in DIALECTS]
    assert told[0] == told[1]


@every_step
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.subprotocol)
def test_the_story_is_told_in_official_messages(step: Step, dialect: Dialect) -> None:
    schemas = {
        (official.table, official.action): official
        for official in all_messages()
        if official.version == VERSIONS[dialect.subprotocol]
    }
    told = step.told(dialect.subprotocol)
    for action, payload in told.calls:
        assert schemas["REQUESTS", action].errors(json.dumps(payload)) == []
    if told.answer is not None:
        assert schemas["RESPONSES", told.calls[0][0]].errors(json.dumps(told.answer)) == []


@every_step
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.subprotocol)
def test_what_was_heard_can_be_said_again(step: Step, dialect: Dialect) -> None:
    for decoded in call_of(dialect, step):
        call = decoded.value
        if step.by_station:
            messages = dialect.encode_call(call, lambda transaction_id: transaction_id)
            again: list[Any] = [dialect.decode_call(told.action, told.payload, strict=True).value for told in messages]
        else:
            message = dialect.encode_request(call)
            again = [dialect.decode_request(message.action, message.payload).value]
        assert again == [call]
        if isinstance(call, Notice):
            assert encode_notice(call) == encode_notice(again[0])
            assert decode_notice(encode_notice(call)) == call


def test_the_story_covers_the_vocabulary() -> None:
    heard = {type(decoded.value) for dialect in DIALECTS for step in STORY for decoded in call_of(dialect, step)}
    assert heard - {Notice} == set(ANSWERS) - ONLY_APART


def test_dialects_are_found_by_subprotocol_in_order_of_preference() -> None:
    assert [dialect.subprotocol for dialect in DIALECTS] == ["ocpp2.0.1", "ocpp1.6"]
    assert all(by_subprotocol(dialect.subprotocol) is dialect for dialect in DIALECTS)
    with pytest.raises(KeyError):
        by_subprotocol("ocpp1.5")
