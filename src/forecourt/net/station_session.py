"""A station on a real socket: runs a `StationEndpoint` over a WebSocket that stays connected.

Guarantees
* The endpoint hears of every link event, frame and deadline on the event loop's thread, and its frames leave in order.
* A restart that the core asks for closes the connection, ends the endpoint, and begins another on the same journal and
  hardware after `reboot_s`: what a power cycle does to a real station.
* A connection whose peer does not read is dropped by its write limit, not waited for; the journal has all that matters.
* With several addresses of the CSMS it connects to the first that can be had (`route`), and from time to time tries to
  come back to the first. With other credentials (`ConnectWith`) it connects anew.
* Why it can't connect is a security event where there is one for it, told to the core once until it is connected
  (security white paper A00.FR.309, FR.315, FR.322).
* What goes wrong in here (a journal that can't be written) ends `run` with that error.
"""

import asyncio
import logging
import random
import uuid
from collections.abc import Callable, Iterable
from typing import Final

from forecourt.dialect.port import Dialect
from forecourt.domain.clock import Clock, Now
from forecourt.net.backoff import Backoff
from forecourt.net.certificates import CertificateError
from forecourt.net.client import KeptConnection, connect, security_event_of
from forecourt.net.clock import RealClock
from forecourt.net.connection import CloseCode, ConnectFailed, Connection, Limits
from forecourt.net.route import Route
from forecourt.net.station_endpoint import StationEndpoint
from forecourt.net.uplink import Dial, Reach, Uplink
from forecourt.station.config import StationConfig
from forecourt.station.effects import CertificateChanged, Configure, ConnectWith, Effect, OpenPowerPath
from forecourt.station.inputs import Input, SecurityEventNoticed
from forecourt.station.ports import Hardware, Journal, Security, System
from forecourt.station.variable_table import CONNECTION_ATTEMPTS, WEBSOCKET_PING_INTERVAL

log = logging.getLogger(__name__)
security_log = logging.getLogger("forecourt.security")

_LONGEST_SLEEP_S: Final = 3600.0
_BUSY_S: Final = 30.0
"""When to look again whether a connection can be given up for a better one."""


class StationSession:
    """One station, running. `run` it as a task; `stop` ends it in order."""

    def __init__(
        self,
        config: StationConfig,
        dialect: Dialect,
        journal: Journal,
        hardware: Hardware,
        uplink: Uplink,
        *,
        clock: Clock | None = None,
        reboot_s: float = 1.0,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
        random_number: Callable[[], float] = random.random,
        on_frame: Callable[[str, bytes, Now], None] | None = None,
        on_effect: Callable[[Effect, Now], None] | None = None,
        dial: Dial = connect,
        system: System | None = None,
        security: Security | None = None,
        reach: Reach | None = None,
        attempted: Callable[[ConnectFailed | None], None] = lambda _: None,
        return_after_s: float = 0.0,
    ) -> None:
        """`reach` is for stations whose credentials may change, or that have several addresses; what it says takes the
        place of `uplink`, and `attempted` hears how each attempt ended (None: with a connection). `return_after_s`: how
        long a connection to another address than the first may last before the first is tried again; 0: as long as it
        does.

        `on_frame` sees each frame (`sent` or `received`), `on_effect` each effect of the core. `dial` connects once,
        as `net.client.connect` does: whoever wants to stand between station and wire gives another one.
        `system` and `security`: what `StationEndpoint` takes. The first wakes the session by itself. After a change of
        the station's certificate the session connects anew; where there is no `reach`, a TLS context with the new one
        has to be in `uplink` by then: `on_effect` sees `CertificateChanged` first.
        """
        self.config = config
        self.dialect = dialect
        self.journal = journal
        self.hardware = hardware
        self.uplink = uplink
        """Looked at for each attempt to connect: another one counts from the next attempt on."""
        self.clock: Clock = clock or RealClock()
        self.reboots = 0
        self._reboot_s = reboot_s
        self._new_id = new_id
        self._on_frame = on_frame
        self._on_effect = on_effect
        self._dial = dial
        self._system = system
        self._security = security
        self._reach = reach
        self._attempted = attempted
        self._return_after_s = return_after_s
        self._credentials: ConnectWith | None = None
        self._route = Route()
        self._addresses = 1
        self._returning: asyncio.TimerHandle | None = None
        self._at_once = False
        self._event_told: str | None = None
        if system is not None:
            system.wake = lambda: self.tell(())
        self._connection: Connection | None = None
        self._link_wanted = True
        self._ping_interval_s: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._rebooting: asyncio.TimerHandle | None = None
        self._ended: asyncio.Future[None] | None = None
        self._kept = KeptConnection(
            self._attempt, backoff=Backoff(uplink.backoff, random_number), down=self._connection_down
        )
        self.endpoint = self._new_endpoint()

    # Running

    async def run(self) -> None:
        """Run until `stop`.

        Raises:
            OSError: the journal can't be kept.
        """
        self._ended = asyncio.get_running_loop().create_future()
        keeping = asyncio.create_task(self._kept.run())
        try:
            self._turn(self.endpoint.start)
            for record in self.endpoint.station.parts.unreadable:
                log.error("the journal's record %s can't be read; it was put aside", record.place)
            await asyncio.wait((keeping, self._ended), return_when=asyncio.FIRST_COMPLETED)
            if self._ended.done():
                self._ended.result()
            else:
                keeping.result()
        finally:
            for timer in (self._timer, self._rebooting, self._returning):
                if timer is not None:
                    timer.cancel()
            await self._kept.stop()
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            self._ended.cancel()

    async def stop(self) -> None:
        """End `run`: the connection is closed; what was not delivered is in the journal."""
        await self._kept.stop(CloseCode.GOING_AWAY)
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    def tell(self, inputs: Iterable[Input]) -> None:
        """Something has happened at the station: what hardware and applications have to say. On the loop's thread."""
        told = tuple(inputs)
        self._turn(lambda now: self.endpoint.tell(told, now))

    def disconnect(self) -> None:
        """Take the link down, and keep it down until `reconnect`."""
        self._link_wanted = False
        if self._connection is not None:
            self._connection.close(CloseCode.GOING_AWAY)

    def reconnect(self) -> None:
        """Bring the link up again, without waiting for the back-off."""
        self._link_wanted = True
        self._kept.backoff.reset()
        self._kept.retry_now()

    def power_cycle(self) -> None:
        """Cut the power and bring it back after `reboot_s`: nobody is told, and what the journal has goes on."""
        if self._rebooting is None and self._ended is not None and not self._ended.done():
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            now = self.clock.now()
            for evse_id in range(1, len(self.config.evses) + 1):
                self.hardware.carry_out(OpenPowerPath(evse_id), now)
            self._go_down()

    @property
    def connected(self) -> bool:
        """Whether there is a connection."""
        return self._connection is not None

    @property
    def link_wanted(self) -> bool:
        """Whether the link is not switched off by `disconnect`."""
        return self._link_wanted

    @property
    def restarting(self) -> bool:
        """Whether the station is down, before its start or between a restart and its coming up: it hears nothing."""
        return self._rebooting is not None or self._ended is None

    # Turns

    def _turn(self, act: Callable[[Now], None], now: Now | None = None) -> None:
        """One event for the endpoint, and what follows from it outside."""
        if self._ended is None or self._ended.done() or self._rebooting is not None:
            return
        now = now or self.clock.now()
        try:
            act(now)
            self._flush(now)
        except OSError as error:
            self._ended.set_exception(error)
            return
        if self.endpoint.reboot is not None and self._rebooting is None:
            self._go_down()
        self._arm()

    def _flush(self, now: Now) -> None:
        for frame in self.endpoint.take():
            if self._on_frame is not None:
                self._on_frame("sent", frame, now)
            if self._connection is not None:
                self._connection.send(frame)
        for effect in self.endpoint.take_outside():
            if isinstance(effect, Configure) and effect.ref == WEBSOCKET_PING_INTERVAL:
                self._set_ping_interval(float(effect.value))
            elif isinstance(effect, Configure) and effect.ref == CONNECTION_ATTEMPTS:
                self._route.attempts = int(effect.value)
            elif isinstance(effect, ConnectWith):
                self._use(effect)
            elif isinstance(effect, CertificateChanged):
                self._connect_anew()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._rebooting is not None:
            return
        wait_s = self.clock.seconds_until(self.endpoint.next_deadlines())
        if wait_s is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(min(wait_s, _LONGEST_SLEEP_S), self._expire)

    def _expire(self) -> None:
        self._timer = None
        self._turn(self.endpoint.expire)

    # The link

    async def _attempt(self) -> Connection:
        if not self._link_wanted or self._rebooting is not None:
            raise ConnectFailed("the link is switched off")
        limits = Limits() if self._ping_interval_s is None else Limits().with_pings(self._ping_interval_s)
        self._choose_uplink()
        return await self._dial(
            self.uplink.url,
            subprotocols=(self.dialect.subprotocol,),
            receiver=lambda connection: _Receiver(self, connection),
            basic_auth=self.uplink.basic_auth,
            tls=self.uplink.tls,
            limits=limits,
            timeout_s=self.uplink.connect_timeout_s,
        )

    def _connection_down(self, failure: ConnectFailed | None, wait_s: float) -> None:
        if self._at_once:
            self._at_once = False
            asyncio.get_running_loop().call_soon(self._kept.retry_now)
        if failure is None or not self._link_wanted or self._rebooting is not None:
            return
        self._attempted(failure)
        log.debug("%s; next attempt in %.1f s", failure, wait_s)
        if (event := security_event_of(failure)) is not None and event != self._event_told:
            security_log.warning("%s: %s", event, failure)
            self._event_told = event
            self.tell((SecurityEventNoticed(event, str(failure)),))
        at_once, all_failed = self._route.failed(self._addresses)
        if at_once:
            asyncio.get_running_loop().call_soon(self._kept.retry_now)
        if all_failed:
            self._turn(self.endpoint.connections_failed)

    def _choose_uplink(self) -> None:
        """Where the next attempt goes."""
        if self._reach is None or self._credentials is None:
            return
        try:
            uplinks = self._reach(self._credentials.profile, self._credentials.password)
        except CertificateError as error:
            raise ConnectFailed(str(error)) from error
        if not uplinks:
            raise ConnectFailed(f"there is no address for security profile {self._credentials.profile}")
        self._addresses = len(uplinks)
        self.uplink = uplinks[self._route.index(len(uplinks))]

    def _use(self, credentials: ConnectWith) -> None:
        """Connect with these from now on."""
        same = self._credentials in {None, credentials}
        self._credentials = credentials
        if same or self._reach is None:
            return
        self._route.begin()
        if self._connection is not None:
            self._kept.backoff.reset()
            self._connect_anew()

    def _go_back(self) -> None:
        """Leave this connection for one that is preferred, as soon as nothing is under way on it."""
        loop = asyncio.get_running_loop()
        parts = self.endpoint.station.parts
        if self._connection is None:
            return
        if parts.calls.any_open or parts.outbox.depth:
            self._returning = loop.call_later(min(_BUSY_S, self._return_after_s), self._go_back)
        elif self._route.go_back():
            log.info("trying to come back to the preferred address of the CSMS")
            self._kept.backoff.reset()
            self._connect_anew()

    def opened(self, connection: Connection) -> None:
        """There is a connection: told by its receiver."""
        self._connection = connection
        self._event_told = None
        self._route.worked()
        self._attempted(None)
        if self._returning is not None:
            self._returning.cancel()
        if self._return_after_s and self._route.index(self._addresses):
            self._returning = asyncio.get_running_loop().call_later(self._return_after_s, self._go_back)
        if not self._link_wanted or self._rebooting is not None:
            connection.close(CloseCode.GOING_AWAY)
            return
        self._turn(self.endpoint.link_up)

    def received(self, data: bytes) -> None:
        """A message has come: told by its receiver."""
        now = self.clock.now()
        if self._on_frame is not None:
            self._on_frame("received", data, now)
        self._turn(lambda now: self.endpoint.receive(data, now), now)

    def lost(self, connection: Connection) -> None:
        """A connection is gone: told by its receiver."""
        if connection is self._connection:
            self._connection = None
            self._turn(self.endpoint.link_down)

    def _set_ping_interval(self, interval_s: float) -> None:
        if interval_s == self._ping_interval_s:
            return
        self._ping_interval_s = interval_s
        if self._connection is not None:
            self._connection.ping_every(interval_s)

    def _connect_anew(self) -> None:
        """Open another connection in place of this one, right after the reply has left."""
        if self._connection is not None:
            self._at_once = True
            self._connection.close(CloseCode.SERVICE_RESTART)

    # Restarting

    def _new_endpoint(self) -> StationEndpoint:
        return StationEndpoint(
            self.config,
            self.dialect,
            self.journal,
            self.hardware,
            new_id=self._new_id,
            observe=self._on_effect,
            system=self._system,
            security=self._security,
        )

    def _go_down(self) -> None:
        self.reboots += 1
        self._rebooting = asyncio.get_running_loop().call_later(self._reboot_s, self._come_up)
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close(CloseCode.GOING_AWAY)

    def _come_up(self) -> None:
        self._rebooting = None
        self.endpoint = self._new_endpoint()
        self._turn(self.endpoint.start)
        self._kept.backoff.reset()  # whoever has just started has not failed yet
        self._kept.retry_now()


class _Receiver:
    """Brings what one connection hears to the session."""

    def __init__(self, session: StationSession, connection: Connection) -> None:
        self._session = session
        self._connection = connection
        session.opened(connection)

    def message(self, data: bytes, /) -> None:
        self._session.received(data)

    def writable(self) -> None:
        """The write buffer has drained: nothing was held back."""

    def closed(self, code: int, reason: str, /) -> None:
        log.debug("closed: %d %s", code, reason)
        self._session.lost(self._connection)
