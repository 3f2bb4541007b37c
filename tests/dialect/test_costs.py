"""Prices and costs: JSON inside of DataTransfer in OCPP 1.6, CostUpdated in OCPP 2.0.1."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecourt.dialect import by_subprotocol
from forecourt.dialect.cost_words import VENDOR_ID
from forecourt.dialect.port import Inexpressible, Untranslatable
from forecourt.domain import cost as c
from forecourt.domain import requests as r
from forecourt.domain.requests import RequestStatus
from forecourt.domain.station import ConnectorStatus
from forecourt.domain.token import IdToken
from forecourt.domain.transaction import ChargingState

T = TypeVar("T")

V16 = by_subprotocol("ocpp1.6")
V201 = by_subprotocol("ocpp2.0.1")
AT = datetime(2024, 1, 31, 8, tzinfo=UTC)

NOTES_OWN = {
    "transactionId": 98765,
    "timestamp": "2024-01-31T08:00:00Z",
    "meterValue": 1234000,
    "cost": 1.345,
    "state": "Charging",
    "chargingPrice": {"kWhPrice": 0.123, "hourPrice": 0.0, "flatFee": 0.0},
    "idlePrice": {"graceMinutes": 30, "hourPrice": 1.0},
    "nextPeriod": {
        "atTime": "2024-01-31T20:00:00Z",
        "chargingPrice": {"kWhPrice": 0.1},
        "idlePrice": {"hourPrice": 0.5},
    },
    "triggerMeterValue": {
        "atTime": "2024-01-31T09:00:00Z",
        "atEnergykWh": 5.3,
        "atPowerkW": 8.0,
        "atCPStatus": ["Finishing", "Available"],
    },
}
MEANT = r.CostUpdated(
    transaction_id="98765",
    total_cost=1.345,
    at=AT,
    register_wh=1_234_000.0,
    state=c.CostState.CHARGING,
    charging_price=c.ChargingPrice(kwh_price=0.123, hour_price=0.0, flat_fee=0.0),
    idle_price=c.IdlePrice(grace_minutes=30, hour_price=1.0),
    next_period=c.NextPeriod(
        at=AT.replace(hour=20),
        charging_price=c.ChargingPrice(kwh_price=0.1),
        idle_price=c.IdlePrice(hour_price=0.5),
    ),
    trigger=c.MeterTrigger(
        at=AT.replace(hour=9),
        energy_wh=5300.0,
        power_w=8000.0,
        charging_states=(ChargingState.EV_CONNECTED,),
        connector_states=(ConnectorStatus.AVAILABLE,),
    ),
)


def transfer(message_id: str, content: Any, vendor_id: str = VENDOR_ID) -> bytes:
    return json.dumps({"vendorId": vendor_id, "messageId": message_id, "data": json.dumps(content)}).encode()


def test_the_notes_own_example_of_a_running_cost() -> None:
    assert V16.decode_request("DataTransfer", transfer("RunningCost", NOTES_OWN)).value == MEANT


def test_a_price_and_a_final_cost() -> None:
    content = {
        "idToken": "TAG",
        "priceText": "0.12/kWh",
        "priceTextExtra": [{"format": "UTF8", "language": "de", "content": "0,12/kWh"}],
    }
    texts = (c.PriceText(text="0.12/kWh"), c.PriceText(text="0,12/kWh", language="de"))
    assert V16.decode_request("DataTransfer", transfer("SetUserPrice", content)).value == r.ShowPrice(
        id_token=IdToken("TAG"), texts=texts
    )
    final = {"transactionId": 7, "cost": 3.31, "priceText": "GBP 2.81 @ 0.12/kWh", "qrCodeText": "https://pay.example"}
    assert V16.decode_request("DataTransfer", transfer("FinalCost", final)).value == r.ShowFinalCost(
        transaction_id="7",
        total_cost=3.31,
        texts=(c.PriceText(text="GBP 2.81 @ 0.12/kWh"),),
        qr_code_text="https://pay.example",
    )


def test_a_car_that_leaves() -> None:
    unplugged = r.ConnectorUnplugged(transaction_id="7", at=AT)
    (message,) = V16.encode_call(unplugged, lambda _: None)
    inside = json.loads(message.payload)
    assert (inside["vendorId"], inside["messageId"]) == (VENDOR_ID, "ConnectorUnplugged")
    assert json.loads(inside["data"]) == {"transactionId": 7, "timestamp": "2024-01-31T08:00:00Z"}
    assert V16.decode_call(message.action, message.payload, strict=True).value == unplugged


money = st.floats(0, 1e6)
maybe_money = st.none() | money
charging = st.builds(c.ChargingPrice, kwh_price=maybe_money, hour_price=maybe_money, flat_fee=maybe_money)
idle = st.builds(c.IdlePrice, grace_minutes=st.none() | st.integers(0, 99), hour_price=maybe_money)
instants = st.integers(946_684_800_000, 4_102_444_800_000).map(lambda ms: datetime.fromtimestamp(ms / 1000, UTC))
wh = st.integers(0, 10**9).map(float)


def several(states: Iterable[T]) -> st.SearchStrategy[tuple[T, ...]]:
    return st.lists(st.sampled_from(list(states)), max_size=3).map(tuple)


costs = st.builds(
    r.CostUpdated,
    transaction_id=st.integers(0, 2**31).map(str),
    total_cost=money,
    at=st.none() | instants,
    register_wh=st.none() | wh,
    state=st.none() | st.sampled_from(c.CostState),
    charging_price=st.none() | charging,
    idle_price=st.none() | idle,
    next_period=st.none() | st.builds(c.NextPeriod, at=instants, charging_price=charging, idle_price=st.none() | idle),
    trigger=st.none()
    | st.builds(
        c.MeterTrigger,
        at=st.none() | instants,
        energy_wh=st.none() | wh,
        power_w=st.none() | wh,
        charging_states=several(state for state in ChargingState if state is not ChargingState.IDLE),
        connector_states=several(ConnectorStatus),
    ),
)


@pytest.mark.parametrize("dialect", [V16, V201], ids=lambda dialect: dialect.subprotocol)
def test_what_is_said_of_a_cost_is_heard(dialect: Any) -> None:
    @settings(max_examples=50, deadline=None)
    @given(costs)
    def holds(request: r.CostUpdated) -> None:
        message = dialect.encode_request(request)
        assert dialect.decode_request(message.action, message.payload).value == request

    holds()


@pytest.mark.parametrize(
    ("outcome", "word", "heard"),
    [
        (RequestStatus.ACCEPTED, "Accepted", RequestStatus.ACCEPTED),
        (RequestStatus.REJECTED, "Rejected", RequestStatus.REJECTED),
        (RequestStatus.NOT_SUPPORTED, "UnknownVendorId", RequestStatus.NOT_SUPPORTED),
        (RequestStatus.FAILED, "Rejected", RequestStatus.REJECTED),
    ],
)
def test_the_status_is_the_answer(outcome: RequestStatus, word: str, heard: RequestStatus) -> None:
    reply = V16.encode_request_answer(MEANT, r.RequestAnswer(outcome=outcome))
    assert json.loads(reply) == {"status": word}
    assert V16.decode_request_answer(MEANT, reply).value == r.RequestAnswer(outcome=heard)


def test_what_is_no_message_of_the_note_stays_a_vendors_message() -> None:
    for message_id, vendor in (("Discount", VENDOR_ID), ("RunningCost", "com.example")):
        heard = V16.decode_request("DataTransfer", transfer(message_id, NOTES_OWN, vendor)).value
        assert isinstance(heard, r.DataTransfer)
    assert isinstance(V16.decode_call("DataTransfer", transfer("RunningCost", NOTES_OWN)).value, r.DataTransfer)


@pytest.mark.parametrize(
    "content",
    [{}, {"transactionId": "x", "cost": 1}, {**NOTES_OWN, "cost": "much"}, {**NOTES_OWN, "timestamp": "noon"}, [], 7],
)
def test_what_cant_be_read_is_refused_with_its_path(content: Any) -> None:
    with pytest.raises(Untranslatable, match=r"^data"):
        V16.decode_request("DataTransfer", transfer("RunningCost", content))


def test_a_cost_below_nothing_is_refused() -> None:
    with pytest.raises(Untranslatable, match="below 0"):
        V16.decode_request("DataTransfer", transfer("RunningCost", {**NOTES_OWN, "cost": -1}))


def test_the_newer_version_says_it_in_custom_data() -> None:
    message = V201.encode_request(MEANT)
    custom = json.loads(message.payload)["customData"]
    assert message.action == "CostUpdated"
    assert custom == {"vendorId": VENDOR_ID} | {
        name: part for name, part in NOTES_OWN.items() if name not in {"transactionId", "cost"}
    }
    plain = {"totalCost": 1.5, "transactionId": "t", "customData": {"vendorId": "com.example", "state": "odd"}}
    heard = V201.decode_request("CostUpdated", json.dumps(plain).encode()).value
    assert heard == r.CostUpdated(transaction_id="t", total_cost=1.5)
    wrong = {**plain, "customData": {"vendorId": VENDOR_ID, "state": "odd"}}
    with pytest.raises(Untranslatable, match="customData"):
        V201.decode_request("CostUpdated", json.dumps(wrong).encode())


@pytest.mark.parametrize(
    "request_",
    [
        r.ShowPrice(id_token=IdToken("TAG"), texts=()),
        r.ShowFinalCost(transaction_id="7", total_cost=1.0),
    ],
    ids=lambda request: type(request).__name__,
)
def test_what_the_newer_version_says_otherwise(request_: Any) -> None:
    with pytest.raises(Inexpressible):
        V201.encode_request(request_)
