"""The one connection to an MQTT broker, shared by meters, signals and outputs (aiomqtt).

Guarantees
* It is made anew whenever it is lost; subscriptions and what has to be said at the beginning are said again.
* Publishing never waits: what can't be sent now is dropped, except for the newest message of each retained topic,
  which is sent when the broker is back.
* With a last will the broker itself says that the controller is gone; at an orderly end the controller does.
* Cancelled at any instant, `run` ends.
"""

import asyncio
import contextlib
import logging
import math
import ssl
from collections.abc import Callable
from typing import Final

import aiomqtt

from forecourt.meters.settings import MqttBroker

log = logging.getLogger(__name__)

Listener = Callable[[str, bytes, bool], None]
"""Topic, payload, and whether the broker had retained it."""

_QUEUE: Final = 1000
_LAST_WORD_S: Final = 1.0
_ANSWER_S: Final = 10.0
"""What the broker has for each answer."""


class BrokerLink:
    """Subscribe and publish; `run` keeps the connection until it is cancelled."""

    def __init__(self, broker: MqttBroker, *, will: tuple[str, bytes] | None = None) -> None:
        self._broker = broker
        self._will = will
        self._listeners: list[tuple[tuple[str, ...], Listener]] = []
        self._retained: dict[str, bytes] = {}
        self._queue: asyncio.Queue[tuple[str, bytes, bool]] = asyncio.Queue(_QUEUE)
        self.connected = asyncio.Event()

    def listen(self, topics: tuple[str, ...], listener: Listener) -> None:
        """Have the messages of these topics. To be called before `run`."""
        self._listeners.append((topics, listener))

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Say something, now or, if retained, when the broker is back."""
        if retain:
            self._retained[topic] = payload
        if self.connected.is_set() and not self._queue.full():
            self._queue.put_nowait((topic, payload, retain))

    async def run(self) -> None:
        """Keep the connection."""
        failing = False
        while True:
            try:
                client = self._client()
                async with asyncio.timeout(_ANSWER_S):
                    await client.__aenter__()
                if failing:
                    log.info("MQTT broker %s:%d: connected again", self._broker.host, self._broker.port)
                failing = False
                await self._hold(client)
            except* (aiomqtt.MqttError, OSError) as errors:
                if not failing:
                    error = errors.exceptions[0]
                    log.warning("MQTT broker %s:%d: %s", self._broker.host, self._broker.port, error)
                failing = True
            finally:
                self.connected.clear()
            await asyncio.sleep(self._broker.reconnect_s)

    async def _hold(self, client: aiomqtt.Client) -> None:
        try:
            await self._serve(client)
        finally:
            with contextlib.suppress(aiomqtt.MqttError, TimeoutError):  # what has ended it is what counts
                async with asyncio.timeout(_ANSWER_S):
                    await client.__aexit__(None, None, None)

    async def _serve(self, client: aiomqtt.Client) -> None:
        await self._begin(client)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._send(client))
                group.create_task(self._hear(client))
        except asyncio.CancelledError:
            if self._will is not None:  # an orderly end: the broker won't say it
                with contextlib.suppress(aiomqtt.MqttError, TimeoutError):
                    async with asyncio.timeout(_LAST_WORD_S):
                        await client.publish(*self._will, qos=1, retain=True)
            raise

    def _client(self) -> aiomqtt.Client:
        broker = self._broker
        tls = ssl.create_default_context(cafile=broker.ca) if broker.tls else None
        will = None if self._will is None else aiomqtt.Will(self._will[0], self._will[1], retain=True)
        return aiomqtt.Client(
            broker.host,
            broker.port,
            username=broker.username,
            password=broker.password,
            identifier=broker.client_id,
            tls_context=tls,
            will=will,
            # Its own limits are asyncio.wait_for, which before Python 3.12 swallows a cancellation that comes in the
            # turn of the answer (python/cpython#86296).
            timeout=math.inf,
        )

    async def _begin(self, client: aiomqtt.Client) -> None:
        for topic in dict.fromkeys(topic for topics, _ in self._listeners for topic in topics):
            async with asyncio.timeout(_ANSWER_S):
                await client.subscribe(topic, qos=1)
        while not self._queue.empty():
            self._queue.get_nowait()
        for topic, payload in self._retained.items():
            await self._publish(client, topic, payload, retain=True)
        self.connected.set()

    async def _send(self, client: aiomqtt.Client) -> None:
        while True:
            topic, payload, retain = await self._queue.get()
            await self._publish(client, topic, payload, retain=retain)

    async def _publish(self, client: aiomqtt.Client, topic: str, payload: bytes, *, retain: bool) -> None:
        async with asyncio.timeout(_ANSWER_S):
            await client.publish(topic, payload, qos=1 if retain else 0, retain=retain)

    async def _hear(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            payload = bytes(message.payload)
            for topics, listener in self._listeners:
                if any(message.topic.matches(topic) for topic in topics):
                    listener(message.topic.value, payload, bool(message.retain))
