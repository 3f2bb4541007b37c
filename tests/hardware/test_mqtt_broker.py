"""Firmware behind a real broker (Mosquitto): last wills on both ends, users, TLS, and a broker that comes back."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from tests.hardware.brokers import PATIENCE_S, TestBroker, board, broker

from forecourt.domain.token import IdToken
from forecourt.hardware.mqtt import MqttHardware
from forecourt.hardware.mqtt_link import Broker, MqttLink
from forecourt.hardware.mqtt_seen import GONE
from forecourt.net.clock import RealClock
from forecourt.station.effects import ClosePowerPath, LockConnector, SetLimit
from forecourt.station.inputs import (
    FaultCleared,
    FaultRaised,
    HardwareInput,
    LockChanged,
    LockOutcome,
    Pilot,
    PilotChanged,
    TokenPresented,
)

PREFIX = "yard/CP 1"


class Stack:
    """The stack's end, without a core: what the hardware has told so far."""

    def __init__(self, port: int, **options: Any) -> None:
        self.hardware = MqttHardware(1, patience_s=60.0)
        self.link = MqttLink(Broker(**{"host": "127.0.0.1", "port": port, "prefix": PREFIX, **options}), self.hardware)
        self.heard: list[HardwareInput] = []
        self._clock = RealClock()
        self._news = asyncio.Event()
        self.hardware.wake = self._wake

    def _wake(self) -> None:
        self.heard += self.hardware.advance(self._clock.now())
        self._news.set()

    def do(self, effect: Any) -> None:
        self.heard += self.hardware.carry_out(effect, self._clock.now())

    async def until(self, met: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not met():
                self._news.clear()
                await self._news.wait()

    async def hears(self, *wanted: HardwareInput) -> None:
        await self.until(lambda: all(one in self.heard for one in wanted))


@asynccontextmanager
async def stack(one: TestBroker, **options: Any) -> AsyncIterator[Stack]:
    running = Stack(one.port, **options)
    task = asyncio.create_task(running.link.run())
    try:
        yield running
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def retained(port: int, topic: str) -> Any:
    async with aiomqtt.Client("127.0.0.1", port) as client:
        await client.subscribe(topic, 1)
        async with asyncio.timeout(PATIENCE_S):
            async for message in client.messages:
                assert isinstance(message.payload, bytes)
                return json.loads(message.payload)
    raise AssertionError("the broker hung up")


async def test_both_ends_say_and_obey(tmp_path: Path) -> None:
    async with broker(tmp_path) as one, board(one.port, PREFIX) as firmware, stack(one) as ours:
        await firmware.say("evse/1/pilot", {"pilot": "B"})
        await firmware.say("status", {"online": True})
        await firmware.until(lambda: firmware.last.get("status") == {"online": True, "safe_limit_a": 0.0})
        await ours.hears(PilotChanged(1, Pilot.B))
        first = [topic for topic, _ in firmware.heard]
        assert first.index("evse/1/control") < first.index("status"), "what is wanted is said first"
        await firmware.once("evse/1/token", {"id_token": "A"})
        await ours.hears(TokenPresented(IdToken("A"), 1))
        ours.do(SetLimit(1, 10.0, 3))
        ours.do(ClosePowerPath(1))
        wanted = {"power_path": True, "limit_a": 10.0, "number_phases": 3}
        await firmware.until(lambda: firmware.last["evse/1/control"] == wanted)
        ours.do(LockConnector(1))
        await firmware.until(lambda: firmware.last.get("evse/1/lock") == {"lock": True})
        await firmware.say("evse/1/lock", {"outcome": "Locked"}, retain=False)
        await ours.hears(LockChanged(1, LockOutcome.LOCKED))
        await firmware.say("evse/1/pilot", b"what?")
        await firmware.until(lambda: firmware.last.get("problem", {}).get("topic") == "firmware/evse/1/pilot")


async def test_firmware_that_dies_faults_its_evses_until_it_is_back(tmp_path: Path) -> None:
    async with broker(tmp_path) as one, stack(one) as ours:
        async with board(one.port, PREFIX, dies=True) as firmware:
            await firmware.say("evse/1/pilot", {"pilot": "A"})
            await firmware.say("status", {"online": True})
            await ours.hears(PilotChanged(1, Pilot.A))
        await ours.hears(FaultRaised(1, GONE))
        assert not ours.hardware.online
        async with board(one.port, PREFIX) as firmware:
            await firmware.say("status", {"online": True})
            await ours.hears(FaultCleared(1, GONE.fault_id))
    assert ours.heard.count(FaultRaised(1, GONE)) == 1


async def test_a_stack_that_ends_takes_its_word_back(tmp_path: Path) -> None:
    async with broker(tmp_path) as one:
        async with board(one.port, PREFIX) as firmware:
            async with stack(one):
                await firmware.until(lambda: firmware.last.get("status", {}).get("online") is True)
            await firmware.until(lambda: firmware.last["status"] == {"online": False, "safe_limit_a": 0.0})
        assert (await retained(one.port, f"{PREFIX}/stack/status"))["online"] is False


async def test_a_stack_that_is_killed_is_missed_and_the_next_one_closes_nothing(tmp_path: Path) -> None:
    async with broker(tmp_path) as one, board(one.port, PREFIX) as firmware:
        await firmware.say("status", {"online": True})
        killed = Stack(one.port)
        client = killed.link._client()
        async with client:  # as the link does it, up to where it is killed
            running = asyncio.create_task(killed.link._live(client))
            await firmware.until(lambda: firmware.last.get("status", {}).get("online") is True)
            killed.do(ClosePowerPath(1))
            await firmware.until(lambda: firmware.last["evse/1/control"]["power_path"])
            sock = client._client.socket()
            assert sock is not None
            sock.shutdown(2)  # type: ignore[attr-defined, unused-ignore]
            await firmware.until(lambda: not firmware.last["status"]["online"])
            await asyncio.gather(running, return_exceptions=True)
        firmware.heard.clear()
        async with stack(one):
            await firmware.until(lambda: firmware.last["status"]["online"])
        topics = [(topic, payload) for topic, payload in firmware.heard if topic in {"status", "evse/1/control"}]
        assert topics[0] == ("evse/1/control", {"power_path": False, "limit_a": 0.0, "number_phases": 3})
        assert topics[1][1]["online"] is True


@pytest.mark.parametrize("answer", ["_on_connect", "_on_subscribe", "_on_publish"])
async def test_an_end_in_the_turn_of_an_answer_is_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    async with broker(tmp_path) as one:
        ours = Stack(one.port)
        running = asyncio.create_task(ours.link.run())
        hears = getattr(aiomqtt.Client, answer)

        def hears_and_is_ended(client: aiomqtt.Client, *said: Any) -> None:
            hears(client, *said)
            if not running.cancelling():
                running.cancel()

        monkeypatch.setattr(aiomqtt.Client, answer, hears_and_is_ended)
        await asyncio.wait((running,), timeout=PATIENCE_S)
        assert running.cancelled()


async def test_a_broker_that_comes_back_is_told_everything_again(tmp_path: Path) -> None:
    async with broker(tmp_path) as one, stack(one) as ours:
        async with board(one.port, PREFIX) as firmware:
            await firmware.say("status", {"online": True})
            await firmware.until(lambda: firmware.last.get("status", {}).get("online") is True)
            ours.do(SetLimit(1, 12.0, 3))
            await firmware.until(lambda: firmware.last["evse/1/control"]["limit_a"] == 12.0)
        await one.stop()
        await ours.until(lambda: not ours.hardware.online)
        ours.do(ClosePowerPath(1))
        await one.start()
        async with board(one.port, PREFIX) as firmware:
            await firmware.until(lambda: firmware.last.get("status", {}).get("online") is True)
            assert firmware.last["evse/1/control"] == {"power_path": True, "limit_a": 12.0, "number_phases": 3}
            await firmware.say("status", {"online": True})
            await ours.until(lambda: ours.hardware.online)


# paho leaves the socket of a handshake that failed to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_users_and_tls(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with broker(tmp_path, user="station", password="s3cret", tls=True) as one:
        trusting = ssl.create_default_context(cafile=one.authority.file)
        good = {"host": "localhost", "user": "station", "password": "s3cret", "tls": trusting}
        async with stack(one, **good) as ours:
            await _connected(ours)
        for wrong in ({"password": "wrong"}, {"tls": None}, {"host": "127.0.0.1"}):
            options = {**good, **wrong}
            caplog.clear()
            async with stack(one, **options) as refused, asyncio.timeout(PATIENCE_S):
                while "MQTT" not in caplog.text:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.02)
                assert not refused.hardware._linked
        shown = repr(Broker(host="h", port=1, user="station", password="s3cret"))
        assert "s3cret" not in shown


async def _connected(ours: Stack) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not ours.hardware._linked:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)
