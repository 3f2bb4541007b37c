"""Upstreams that only listen: a second CSMS that hears what a station says and decides nothing.

Guarantees
* It gets a copy of every call of the station, byte for byte, and first of all the station's last boot; its answers go
  nowhere.
* Whatever it asks is refused with a call error: the station has one CSMS.
* Being slow or away it loses copies; it never delays, changes or stops anything on the way to the CSMS.
* It gets credentials of its own, or none: never those that the station shows its CSMS.
"""

import asyncio
import logging
import random
import ssl
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

import msgspec

from forecourt.dialect.passwords import password_octets
from forecourt.dialect.port import Dialect
from forecourt.domain.clock import Clock
from forecourt.net.backoff import Backoff, BackoffPolicy
from forecourt.net.client import connect
from forecourt.net.connection import CloseCode, ConnectFailed, Connection, Limits
from forecourt.rpc.errors import Cause
from forecourt.rpc.events import CallReceived, PeerEvent
from forecourt.rpc.frame import Call, parse
from forecourt.rpc.peer import Peer

log = logging.getLogger(__name__)

_WAITING: Final = 256
"""Copies that may wait for a listener that is slow to answer."""


class ListeningUpstream(msgspec.Struct, frozen=True, kw_only=True):
    """Where it is, and how it is reached."""

    url: str
    passwords: dict[str, str] = {}
    tls: ssl.SSLContext | None = None

    def __repr__(self) -> str:
        # Never the passwords.
        return f"ListeningUpstream(url={self.url!r})"


class Listener:
    """One station's connection to one of them."""

    def __init__(
        self,
        station_id: str,
        dialect: Dialect,
        upstream: ListeningUpstream,
        *,
        clock: Clock,
        new_id: Callable[[], str],
        limits: Limits,
        backoff: BackoffPolicy,
    ) -> None:
        self._station_id = station_id
        self._dialect = dialect
        self._upstream = upstream
        self._clock = clock
        self._new_id = new_id
        self._limits = limits
        self._backoff = backoff
        self._boot: bytes | None = None
        self._connection: Connection | None = None
        self._peer: Peer | None = None
        self._task = asyncio.create_task(self._keep_connected())
        self._lost = asyncio.Event()

    def copy(self, data: bytes) -> None:
        """The station has said this."""
        frame = parse(data)
        if not isinstance(frame, Call):
            return
        if frame.action == "BootNotification":
            self._boot = data
        self._tell(frame, data)

    def close(self) -> None:
        """The station is gone."""
        self._task.cancel()
        if self._connection is not None:
            self._connection.close(CloseCode.GOING_AWAY, "the station left")

    # receiver

    def message(self, data: bytes, /) -> None:
        """A frame of its: answers end here, calls are refused."""
        if self._peer is not None:
            self._heard(self._peer.receive(data, self._clock.now().protocol_s))

    def writable(self) -> None:
        """Nothing waits for that."""

    def closed(self, code: int, reason: str, /) -> None:
        """It is gone; what it misses it has missed."""
        log.info("%s: a listening upstream is gone (%d %s)", self._station_id, code, reason)
        self._connection = self._peer = None
        self._lost.set()

    # inside

    def _opened(self, connection: Connection) -> "Listener":
        self._connection = connection
        self._peer = Peer(self._dialect.rules, self._new_id, max_queue=_WAITING)
        self._lost.clear()
        if self._boot is not None and isinstance(frame := parse(self._boot), Call):
            self._tell(frame, self._boot)
        return self

    def _tell(self, call: Call, data: bytes) -> None:
        if self._peer is None or self._connection is None or self._connection.paused:
            return
        now_s = self._clock.now().protocol_s
        self._heard(self._peer.expire(now_s))
        self._peer.forward(call.message_id, call.action, data, now_s, token=None)
        self._flush()

    def _heard(self, events: list[PeerEvent]) -> None:
        for event in events:
            if isinstance(event, CallReceived) and self._peer is not None:
                self._peer.reply_error(event.message_id, Cause.UNSUPPORTED_ACTION, "this connection only listens")
        self._flush()

    def _flush(self) -> None:
        if self._peer is not None and self._connection is not None:
            for frame in self._peer.take():
                self._connection.send(frame)

    async def _keep_connected(self) -> None:
        backoff = Backoff(self._backoff, random.random)
        password = self._upstream.passwords.get(self._station_id)
        login = None if password is None else (self._station_id, password_octets(self._dialect, password))
        while True:
            try:
                await connect(
                    f"{self._upstream.url.rstrip('/')}/{quote(self._station_id, safe='')}",
                    subprotocols=(self._dialect.subprotocol,),
                    receiver=self._opened,
                    basic_auth=login,
                    tls=self._upstream.tls,
                    limits=self._limits,
                )
                backoff.reset()
                await self._lost.wait()
            except ConnectFailed as failed:
                log.info("%s: a listening upstream can't be reached: %s", self._station_id, failed)
            await asyncio.sleep(backoff.next_s())
