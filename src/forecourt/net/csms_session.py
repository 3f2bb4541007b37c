"""The CSMS on real sockets: WebSocket listeners whose every connection is a `CsmsSession`, and the upkeep beside them.

Guarantees
* Before the first station is let in, the books are in order, whatever ended the last process.
* Who may connect is decided before the upgrade; a refusal is an HTTP status. Each listener has its own TLS and its own
  security profiles (security white paper A00.FR.006). Refusals are security events (A00.FR.323, A00.FR.408).
* Frames go into the message history behind the answers, in batches; nothing waits for it.
* Nothing that fails beside the messages fails in silence, and a server that stops leaves nothing unwritten.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, Final

import msgspec

from forecourt.csms import message_log, provisioning, published, security, upkeep
from forecourt.csms.logins import Logins
from forecourt.csms.membership import Membership
from forecourt.csms.message_log import Frame
from forecourt.csms.ports import Books, Context, Done, StoreUnavailable
from forecourt.csms.provisioning import ALL_PROFILES, Admitted, NotAdmitted, Shown, ShownCertificate
from forecourt.csms.records import ConnectedStation
from forecourt.csms.register import Register
from forecourt.dialect.port import Dialect
from forecourt.net.certificates import subject_of
from forecourt.net.connection import Limits, TlsInfo
from forecourt.net.csms_connection import CsmsSession
from forecourt.net.handshake import Admission, Refusal, UpgradeRequest
from forecourt.net.server import Server, ServerLimits, serve
from forecourt.net.tls import FileContext

log = logging.getLogger(__name__)
security_log = logging.getLogger("forecourt.security")

RETRY_AFTER_S: Final = 10
"""When a station may try again while the books can't be read."""

RETRY_LOGIN_AFTER_S: Final = 60
"""When a station may try again in whose name there were too many failed logins."""

_FRAMES_AT_ONCE: Final = 256
_FRAMES_WAIT_S: Final = 0.1
_FORGET_EVERY_S: Final = 60.0
_DRAIN_PAUSE_S: Final = 0.01
"""Between two stations at a stop: no more than a hundred a second come to the others."""


class Listener(msgspec.Struct, frozen=True, kw_only=True):
    """Where stations connect, and how."""

    host: str | None = "127.0.0.1"
    """None: all interfaces."""
    port: int = 9000
    """0: any that is free."""
    tls: ssl.SSLContext | None = None
    profiles: frozenset[int] = ALL_PROFILES
    """The security profiles that are let in here."""


class CsmsServer:
    """A running CSMS, as far as stations see it. `start`, then `stop`; the store is the owner's to close afterwards."""

    def __init__(
        self,
        context: Context,
        dialects: Mapping[str, Dialect],
        *,
        limits: Limits | None = None,
        server_limits: ServerLimits | None = None,
        membership: Membership | None = None,
    ) -> None:
        """`dialects` by subprotocol, in our order of preference. `membership`: where there are other processes."""
        self.context = context
        self._membership = membership
        self._following: asyncio.Task[None] | None = None
        self._draining = False
        self._by_station: dict[str, CsmsSession] = {}
        self.dialects = dict(dialects)
        self._limits = limits or Limits()
        self._server_limits = server_limits
        self.knocked: Callable[[UpgradeRequest], None] | None = None
        """Sees every request for a WebSocket."""
        self._servers: list[Server] = []
        self._logins = Logins(context.settings)
        self._register = Register(context.store)
        self._watch = security.Watch(context)
        self._upkeep: list[asyncio.Task[None]] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._entering = 0
        self._all_entered = asyncio.Event()
        self._all_entered.set()
        self._sessions: set[CsmsSession] = set()
        self._frames: list[tuple[ConnectedStation, Frame]] = []
        self._frame_timer: asyncio.TimerHandle | None = None

    @property
    def port(self) -> int:
        """Where stations connect: of the first listener. Only while it runs."""
        return self._servers[0].port

    @property
    def ports(self) -> tuple[int, ...]:
        """Those of all listeners, in their order."""
        return tuple(server.port for server in self._servers)

    @property
    def connected(self) -> int:
        """How many stations are connected."""
        return len(self._sessions)

    async def start(self, host: str | None = "127.0.0.1", port: int = 9000, tls: ssl.SSLContext | None = None) -> None:
        """`start_listeners` with a single one, for every security profile."""
        await self.start_listeners((Listener(host=host, port=port, tls=tls),))

    async def start_listeners(self, listeners: tuple[Listener, ...]) -> None:
        """Bring the books in order, then listen. OSError when an address can't be had, StoreUnavailable."""
        if self._membership is None:
            await upkeep.start(self.context)
        else:
            await self._membership.enter()
            self._following = asyncio.create_task(self._follow_connections())
        try:
            for listener in listeners:
                self._servers.append(await self._listen(listener))
        except OSError:
            await self._close(0.0)
            raise
        work = (self._keep_up(), self._keep_accounts(), self._keep_resources())
        self._upkeep = [asyncio.create_task(each) for each in work]
        if self._membership is not None:
            self._upkeep.append(asyncio.create_task(self._live(self._membership)))

    @property
    def accepting(self) -> bool:
        """Whether stations can connect."""
        return bool(self._servers) and not self._draining

    async def drain(self) -> None:
        """Let nobody in any more, and ask those who are in to come back (1012), one after the other."""
        settings = self.context.settings
        self._draining = True
        await asyncio.sleep(settings.drain_notice_s)
        for server in self._servers:
            server.stop_accepting()
        sessions = tuple(self._sessions)
        pause_s = min(_DRAIN_PAUSE_S, settings.drain_s / max(1, len(sessions)))
        for session in sessions:
            session.restart("the CSMS is being restarted")
            await asyncio.sleep(pause_s)

    async def stop(self, grace_s: float = 5.0) -> None:
        """Close every connection with 1001, and see that all that follows from it is in the books."""
        for task in self._upkeep:
            task.cancel()
        await self._close(grace_s)
        while self._tasks or self._frames or self._entering:
            self._write_frames()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._all_entered.wait()
        if self._following is not None:
            self._following.cancel()
        if self._membership is not None:
            try:
                await self._membership.leave()
            except StoreUnavailable:
                log.warning("the others will find out by themselves that this process is no more")

    @property
    def leads(self) -> bool:
        """Whether tidying up is up to this process."""
        return self._membership is None or self._membership.leads

    async def _live(self, membership: Membership) -> None:
        while True:
            await asyncio.sleep(membership.beat_s)
            try:
                if not await membership.turn():
                    log.error("the others took this process for dead: its stations are asked to come back")
                    for session in tuple(self._sessions):
                        session.restart("the CSMS has lost touch with itself")
                    await membership.enter()
            except StoreUnavailable as error:
                log.warning("nobody knows that this process lives: %s", error)

    async def _follow_connections(self) -> None:
        """Whoever has connected later is the station: the books have the order."""
        types = frozenset({published.STATION_CONNECTED})
        async with self.context.bus.subscribe(None, types=types) as events:
            async for event in events:
                session = self._by_station.get(event.station_id or "")
                if session is not None:
                    body = msgspec.json.decode(event.body, type=published.StationConnectedBody)
                    session.entered_by(body.connection_id)

    async def _listen(self, listener: Listener) -> Server:
        if isinstance(listener.tls, FileContext) and listener.tls.handshakes is not None:
            listener.tls.handshakes.told = self._tls_failed
        return await serve(
            listener.host,
            listener.port,
            admit=partial(self._admit, listener),
            subprotocols=tuple(self.dialects),
            limits=self._limits,
            server_limits=self._server_limits,
            tls=listener.tls,
            crowded=lambda: self.context.measures.knocked("come_later"),
        )

    def _tls_failed(self, reason: str) -> None:
        """At most once a minute for each reason: nobody has a name yet."""
        self.run(self._watch.keep(security.TLS_FAILED, None, None, reason))

    async def _close(self, grace_s: float) -> None:
        await asyncio.gather(*(server.close(grace_s) for server in self._servers))

    async def _admit(self, listener: Listener, request: UpgradeRequest) -> Admission | Refusal:
        if self.knocked is not None:
            self.knocked(request)
        tls = request.tls
        shown = Shown(
            credentials=request.basic_credentials(),
            encrypted=tls is not None,
            certificate=_certificate(tls),
            address=request.peer.host,
            allowed_profiles=listener.profiles,
        )
        try:
            verdict = await provisioning.admit(self.context, request.identity, shown, self._logins, self._register)
        except StoreUnavailable:
            log.exception("%s: can't be looked up", request.identity, extra={"station": request.identity})
            self.context.measures.knocked("books_unavailable")
            return Refusal.later(RETRY_AFTER_S)
        if isinstance(verdict, Admitted):
            self.context.measures.knocked("admitted")
            profile = verdict.security_profile
            return Admission(lambda connection: CsmsSession(self, verdict.station, connection, profile))
        self.context.measures.knocked(verdict.name.lower())
        about = {"station": request.identity, "address": request.peer.host}
        security_log.warning("%s: refused at %s: %s", request.identity, request.peer, verdict, extra=about)
        self.noticed(_SECURITY_EVENTS[verdict], request.identity, request.peer.host, str(verdict))
        return _REFUSALS[verdict]()

    async def _keep_up(self) -> None:
        sweeper = upkeep.Sweeper(self.context)
        interval_s = self.context.settings.sweep_interval_s
        since_s = 0.0
        while True:
            await asyncio.sleep(interval_s)
            since_s += interval_s
            if not self.leads:
                continue
            try:
                await sweeper.turn()
                if since_s >= _FORGET_EVERY_S:
                    since_s = 0.0
                    await upkeep.forget(self.context)
            except StoreUnavailable:
                log.exception("upkeep has to wait")

    async def _keep_accounts(self) -> None:
        # A task of its own: a payment provider may let one wait.
        accounts = upkeep.Accounts(self.context)
        while True:
            await asyncio.sleep(self.context.settings.money.interval_s)
            if not self.leads:
                continue
            try:
                await accounts.turn()
            except StoreUnavailable:
                log.exception("the accounts have to wait")

    async def _keep_resources(self) -> None:
        # A task of its own: it waits for stations.
        while True:
            await asyncio.sleep(self.context.settings.sweep_interval_s)
            if not self.leads:
                continue
            try:
                await upkeep.keep_resources(self.context)
            except StoreUnavailable:
                log.exception("reservations, lists, jobs and certificates have to wait")

    # for the sessions

    def connection_id(self, own: str) -> str:
        """Of a new connection: with several processes it says whose it is."""
        return own if self._membership is None else self._membership.connection_id(own)

    def opened(self, session: "CsmsSession") -> None:
        """It has begun."""
        self._sessions.add(session)
        self._by_station[session.station_id] = session

    def ended(self, session: "CsmsSession") -> None:
        """It is over."""
        self._sessions.discard(session)
        if self._by_station.get(session.station_id) is session:
            del self._by_station[session.station_id]

    def run(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Do something beside the messages; it is waited for when the server stops, and never fails in silence."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("work beside the messages failed", exc_info=error)

    def enter(self, unit: Callable[[Books], Any], station_number: int | None = None, done: Done | None = None) -> None:
        """Write what follows from a connection or a message, in its turn among what stations say; see `run`."""
        self._entering += 1
        self._all_entered.clear()
        self.context.store.submit(unit, partial(self._entered, done), station_number)

    def _entered(self, done: Done | None, result: Any, error: BaseException | None) -> None:
        self._entering -= 1
        if self._entering == 0:
            self._all_entered.set()
        if error is not None:
            log.error("work beside the messages failed", exc_info=error)
        if done is not None:
            done(result, error)

    def noticed(self, event_type: str, station_id: str, address: str, info: str) -> None:
        """Something that matters for security: kept, unless there was one of the kind just now."""
        if self._watch.is_news(event_type, station_id, address):
            self.run(self._watch.keep(event_type, station_id, address or None, info))

    def keep_frame(self, station: ConnectedStation, frame: Frame) -> None:
        """Into the message history, soon: answers don't wait for it."""
        self._frames.append((station, frame))
        if len(self._frames) >= _FRAMES_AT_ONCE:
            self._write_frames()
        elif self._frame_timer is None:
            self._frame_timer = asyncio.get_running_loop().call_later(_FRAMES_WAIT_S, self._write_frames)

    def _write_frames(self) -> None:
        if self._frame_timer is not None:
            self._frame_timer.cancel()
            self._frame_timer = None
        frames, self._frames = self._frames, []
        if frames:
            self.enter(message_log.kept(frames))


def _certificate(tls: TlsInfo | None) -> ShownCertificate | None:
    if tls is None or tls.peer_certificate_der is None:
        return None
    subject = subject_of(tls.peer_certificate_der)
    if subject is None:
        return None
    return ShownCertificate(
        common_names=subject.common_names,
        organizations=subject.organizations,
        not_before=subject.not_before,
        not_after=subject.not_after,
        serial_number=subject.serial_number,
        strong=subject.strong,
    )


_SECURITY_EVENTS: Final[dict[NotAdmitted, str]] = {
    NotAdmitted.UNKNOWN_STATION: security.UNKNOWN_STATION,
    NotAdmitted.WRONG_CREDENTIALS: security.FAILED_LOGIN,
    NotAdmitted.WRONG_CERTIFICATE: security.INVALID_CERTIFICATE,
    NotAdmitted.INSECURE: security.INSECURE_CONNECTION,
    NotAdmitted.TOO_MANY_FAILURES: security.TOO_MANY_FAILURES,
}

_REFUSALS: Final[dict[NotAdmitted, Callable[[], Refusal]]] = {
    NotAdmitted.UNKNOWN_STATION: Refusal.unknown,
    NotAdmitted.WRONG_CREDENTIALS: Refusal.unauthorized,
    NotAdmitted.WRONG_CERTIFICATE: lambda: Refusal(403, "the client certificate is not this station's, or not valid"),
    NotAdmitted.INSECURE: lambda: Refusal(403, "this connection is not secure enough"),
    NotAdmitted.TOO_MANY_FAILURES: lambda: Refusal.later(RETRY_LOGIN_AFTER_S, 429, "too many failed logins"),
}
