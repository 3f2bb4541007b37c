"""Meters that publish, over a real broker; and the numbers in their messages."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiomqtt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt.controller.ports import MeterReading
from forecourt.meters.broker import BrokerLink
from forecourt.meters.mqtt import MqttReadings, value_in
from forecourt.meters.settings import MqttBroker, MqttMeter, MqttQuantity
from forecourt.quantities import PerPhase
from tests.meters.conftest import until

TASMOTA = MqttMeter(
    name="grid",
    quantities={
        "current_l1_a": MqttQuantity(topic="tele/meter/SENSOR", path="ENERGY.Current.0"),
        "current_l2_a": MqttQuantity(topic="tele/meter/SENSOR", path="ENERGY.Current.1"),
        "current_l3_a": MqttQuantity(topic="tele/meter/SENSOR", path="ENERGY.Current.2"),
    },
)
PLAIN = MqttMeter(name="pv", invert=True, quantities={"power_w": MqttQuantity(topic="pv/kw", scale=1000.0)})


@asynccontextmanager
async def running(link: BrokerLink) -> AsyncIterator[None]:
    task = asyncio.create_task(link.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_readings_come_from_json_and_from_plain_numbers(mosquitto: MqttBroker) -> None:
    heard: dict[str, MeterReading] = {}
    readings = MqttReadings([TASMOTA, PLAIN], heard.__setitem__)
    link = BrokerLink(mosquitto)
    link.listen(readings.topics, lambda topic, payload, kept: readings.message(topic, payload, retained=kept))
    async with aiomqtt.Client(mosquitto.host, mosquitto.port) as publisher:
        await publisher.publish("pv/kw", b"9.9", retain=True)  # of an unknown age
        async with running(link):
            await asyncio.wait_for(link.connected.wait(), 5)
            await publisher.publish("tele/meter/SENSOR", b'{"ENERGY": {"Current": [1.5, "2", 3]}}')
            await until(lambda: "grid" in heard)
            assert "pv" not in heard
            await publisher.publish("pv/kw", b" 4.2 ")
            await until(lambda: "pv" in heard)
        await publisher.publish("pv/kw", b"", retain=True)
    assert heard["grid"].current_a == PerPhase(1.5, 2.0, 3.0)
    assert heard["pv"].power_w == pytest.approx(-4200.0)


async def test_the_newest_retained_message_arrives_when_the_broker_is_back(mosquitto: MqttBroker) -> None:
    link = BrokerLink(mosquitto, will=("forecourt/test/alive", b"offline"))
    link.publish("forecourt/test/state", b"old", retain=True)
    link.publish("forecourt/test/state", b"new", retain=True)
    heard: list[tuple[str, bytes]] = []
    async with aiomqtt.Client(mosquitto.host, mosquitto.port) as listener:
        await listener.subscribe("forecourt/test/#")
        async with running(link):
            async for message in listener.messages:
                heard.append((message.topic.value, bytes(message.payload)))
                break
            link.publish("forecourt/test/event", b"now")
            async for message in listener.messages:
                heard.append((message.topic.value, bytes(message.payload)))
                break
    assert heard == [("forecourt/test/state", b"new"), ("forecourt/test/event", b"now")]


def test_a_quantity_that_stays_away_makes_the_meter_silent() -> None:
    now_s = [0.0]
    heard: list[MeterReading] = []
    quantities = {f"current_l{line}_a": MqttQuantity(topic=f"m/{line}") for line in (1, 2, 3)}
    readings = MqttReadings(
        [MqttMeter(name="grid", quantities=quantities)], lambda _, one: heard.append(one), lambda: now_s[0]
    )
    readings.message("m/1", b"1")
    readings.message("m/2", b"2")
    assert not heard
    readings.message("m/3", b"3")
    assert [one.current_a for one in heard] == [PerPhase(1, 2, 3)]
    now_s[0] = 60.0
    readings.message("m/1", b"5")
    readings.message("m/2", b"5")
    assert len(heard) == 1


@given(st.binary(max_size=40), st.none() | st.text(max_size=10))
def test_whatever_is_published_is_a_number_or_nothing(payload: bytes, path: str | None) -> None:
    found = value_in(payload, MqttQuantity(topic="t", path=path))
    assert found is None or isinstance(found, float)
