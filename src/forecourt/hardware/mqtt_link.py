"""The wire between a station and the broker that its firmware is at.

Guarantees
* It stays connected: it connects anew for as long as it runs, a little later each time, and never ends because of what
  a broker does.
* On a new connection it hears what is so of the EVSEs first and the firmware's status last, then says what is wanted,
  and that the stack is there last of all. The last will takes that back; so does an orderly end.
* Publications leave in order. Without a connection the latest of each retained topic is kept and what happens once is
  dropped: a command that is minutes old is none. However slow the broker, at most `MOST_WAITING` of them wait.
* Cancelled at any instant, it ends.
* The password is neither logged nor shown.
"""

import asyncio
import logging
import math
import random
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import aiomqtt
import msgspec

from forecourt.hardware.mqtt import MqttHardware
from forecourt.hardware.mqtt_words import AT_LEAST_ONCE, EXACTLY_ONCE, Publication

log = logging.getLogger(__name__)

MOST_WAITING: Final = 1_000
_MOST_HEARD: Final = 10_000
_FIRST_WAIT_S: Final = 0.5
_LONGEST_WAIT_S: Final = 30.0
_FAREWELL_S: Final = 2.0


class Broker(msgspec.Struct, frozen=True, kw_only=True):
    """Where the broker is, and how to reach it."""

    host: str
    port: int
    user: str | None = None
    password: str | None = None
    tls: ssl.SSLContext | None = None
    keepalive_s: int = 10
    """How soon a connection that has died silently is noticed, on both ends."""
    prefix: str = "forecourt"
    """Of all topics."""
    client_id: str | None = None

    def __repr__(self) -> str:
        # Never the password.
        return f"Broker(host={self.host!r}, port={self.port}, prefix={self.prefix!r})"


class MqttLink:
    """One connection that is kept, between `hardware` and a broker. `run` it as a task; cancel it to end."""

    def __init__(
        self, broker: Broker, hardware: MqttHardware, *, random_number: Callable[[], float] = random.random
    ) -> None:
        self._broker = broker
        self._hardware = hardware
        self._random_number = random_number
        self._waiting: dict[str, Publication] = {}
        """To be published, in this order; of a retained topic the latest."""
        self._retained: dict[str, Publication] = {}
        """What every new connection is told again."""
        self._count = 0
        self._more = asyncio.Event()
        self._connected = False
        hardware.publish = self.publish
        if hardware.system is not None:
            hardware.system.publish = self.publish

    def publish(self, publication: Publication) -> None:
        """Publish it as soon as it can be."""
        if publication.retain:
            self._retained[publication.topic] = publication
        if not self._connected:
            return
        key = publication.topic
        if not publication.retain:
            self._count += 1
            key = f"#{self._count}"  # no topic has that name
        self._waiting.pop(key, None)
        self._waiting[key] = publication
        if len(self._waiting) > MOST_WAITING:
            oldest = next(iter(self._waiting))
            log.warning("the broker is too slow: a publication on %s was dropped", self._waiting.pop(oldest).topic)
        self._more.set()

    async def run(self) -> None:
        """Stay connected until cancelled."""
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                await self._hold(self._client())
            except (aiomqtt.MqttError, OSError, ValueError) as error:
                log.warning("MQTT %s:%d: %s", self._broker.host, self._broker.port, _short(error))
            finally:
                was_connected, self._connected = self._connected, False
                self._waiting.clear()
                if was_connected:
                    self._hardware.link_down()
            wait_s = _FIRST_WAIT_S if was_connected else min(wait_s * 2, _LONGEST_WAIT_S)
            await asyncio.sleep(wait_s * (0.5 + self._random_number()))

    def _client(self) -> aiomqtt.Client:
        broker, will = self._broker, self._hardware.last_will()
        return aiomqtt.Client(
            broker.host,
            broker.port,
            username=broker.user,
            password=broker.password,
            identifier=broker.client_id,
            tls_context=broker.tls,
            keepalive=broker.keepalive_s,
            clean_session=True,
            max_queued_incoming_messages=_MOST_HEARD,
            # Its own limits are asyncio.wait_for, which before Python 3.12 swallows a cancellation that comes in the
            # turn of the answer (python/cpython#86296): whoever waits for this task to end would wait for ever.
            timeout=math.inf,
            will=aiomqtt.Will(self._topic(will.topic), will.payload, will.qos, will.retain),
        )

    def _in_time(self) -> asyncio.Timeout:
        """How long the broker has for one answer."""
        return asyncio.timeout(float(self._broker.keepalive_s))

    async def _hold(self, client: aiomqtt.Client) -> None:
        """One connection, from its beginning."""
        async with self._in_time():
            await client.__aenter__()
        try:
            await self._live(client)
        finally:
            with suppress(aiomqtt.MqttError, TimeoutError):  # what has ended it is what counts
                async with self._in_time():
                    await client.__aexit__(None, None, None)

    async def _live(self, client: aiomqtt.Client) -> None:
        """One connection that is open, until it ends."""
        for topics, qos in (
            (("firmware/evse/+/pilot", "firmware/evse/+/cable", "firmware/evse/+/meter"), AT_LEAST_ONCE),
            (("firmware/evse/+/faults", "firmware/evse/+/local-limit", "firmware/evse/+/lock"), AT_LEAST_ONCE),
            (("firmware/+", "firmware/evse/+/token", "firmware/evse/+/stop", "firmware/system/+"), EXACTLY_ONCE),
        ):
            async with self._in_time():
                await client.subscribe([(self._topic(topic), qos) for topic in topics])
        first = {**self._retained, **{said.topic: said for said in self._hardware.first_words()}}
        status = first.pop(self._hardware.last_will().topic)
        for publication in first.values():
            await self._send(client, publication)
        self._connected = True
        self.publish(status)
        log.info("MQTT %s:%d: connected", self._broker.host, self._broker.port)
        self._hardware.link_up()
        speaking = asyncio.create_task(self._speak(client))
        hearing = asyncio.create_task(self._hear(client))
        try:
            await asyncio.wait((speaking, hearing), return_when=asyncio.FIRST_COMPLETED)
        finally:
            speaking.cancel()
            hearing.cancel()
            ended = await asyncio.gather(speaking, hearing, return_exceptions=True)
            with suppress(aiomqtt.MqttError, TimeoutError):  # if this fails, the last will says it
                async with asyncio.timeout(_FAREWELL_S):
                    await self._send(client, self._hardware.last_will())
        for error in ended:
            if isinstance(error, Exception):
                raise error

    async def _speak(self, client: aiomqtt.Client) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            while self._waiting:
                await self._send(client, self._waiting.pop(next(iter(self._waiting))))

    async def _hear(self, client: aiomqtt.Client) -> None:
        below = len(self._broker.prefix) + 1
        async for message in client.messages:
            payload = message.payload
            if isinstance(payload, bytes | bytearray):
                self._hardware.received(message.topic.value[below:], bytes(payload), retained=message.retain)

    async def _send(self, client: aiomqtt.Client, said: Publication) -> None:
        async with self._in_time():
            await client.publish(self._topic(said.topic), said.payload, said.qos, said.retain)

    def _topic(self, below: str) -> str:
        return f"{self._broker.prefix}/{below}"


def _short(error: BaseException) -> str:
    return str(error)[:200] or type(error).__name__
