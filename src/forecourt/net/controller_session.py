"""The local controller on real sockets: one server for the stations, one upstream WebSocket for each of them.

Guarantees (`controller.md` §1)
* A station is let in only when the CSMS lets it in: the upstream connection, under the station's own identity, path
  and subprotocol, comes first, and a refusal there is repeated here with its status.
* A station that isn't part of the site is refused with 404: where it draws from is unknown, so nothing it does is safe.
* A station that shows a client certificate shows one in its own name (A00.FR.405); that none comes without is up to the
  listener's TLS.
* Passwords that the site has for its stations are sent as the station's protocol has it, and never logged.
* `autonomy`: when the CSMS can't be reached a station is received all the same, under the credentials that the CSMS let
  in last; the upstream connection follows as soon as it can be had. A refusal of the CSMS itself stands.
* `strict`: when either leg is lost the other is closed, a station after it was told to fall back; until the upstream
  is there again the station is told 503 with Retry-After. The limits it holds expire by their dead-man schedule.
* A station that connects again replaces its older connection.
* A journal that can't be written ends it (`failed`): every connection is closed, and nothing is said any more.
"""

import asyncio
import logging
import random
import ssl
from collections.abc import Callable, Mapping, Sequence
from typing import Final
from urllib.parse import quote

from forecourt.controller.controller import Controller
from forecourt.controller.settings import ControllerSettings
from forecourt.dialect.passwords import password_octets
from forecourt.dialect.port import Dialect
from forecourt.domain.clock import Clock, Now
from forecourt.domain.journal import Journal
from forecourt.domain.site import Site
from forecourt.net.backoff import Backoff, BackoffPolicy
from forecourt.net.client import connect
from forecourt.net.connection import (
    CloseCode,
    ConnectFailed,
    Connection,
    HandshakeRefused,
    Limits,
    SubprotocolRefused,
)
from forecourt.net.controller_admission import digest, matches, shows_its_own_certificate, told_on
from forecourt.net.controller_endpoint import ControllerEndpoint
from forecourt.net.controller_listeners import Listener, ListeningUpstream
from forecourt.net.controller_pair import Pair
from forecourt.net.handshake import Admission, Refusal, UpgradeRequest
from forecourt.net.server import Server, ServerLimits, serve
from forecourt.rpc.relay_events import Side

log = logging.getLogger(__name__)
security_log = logging.getLogger("forecourt.security")

RETRY_AFTER_S: Final = 10
"""When a station may try again whose CSMS could not be reached."""

_LATER: Final = frozenset({408, 429})
"""What a CSMS says of itself, as 5xx; any other refusal is of the station."""

_REPEATED: Final = frozenset({401, 403, 404, 429, 503})
"""Statuses that a station should see as if it had asked the CSMS itself."""


class ControllerServer:
    """A running local controller. `start`, then `stop`."""

    def __init__(
        self,
        site: Site,
        settings: ControllerSettings,
        *,
        upstream_url: str,
        dialects: Mapping[str, Dialect],
        clock: Clock,
        new_id: Callable[[], str],
        passwords: Mapping[str, str] | None = None,
        upstream_tls: ssl.SSLContext | None = None,
        limits: Limits | None = None,
        server_limits: ServerLimits | None = None,
        connect_timeout_s: float = 10.0,
        journal: Journal | None = None,
        backoff: BackoffPolicy | None = None,
        listeners: Sequence[ListeningUpstream] = (),
    ) -> None:
        """`upstream_url` is the CSMS's endpoint without the station's identity. `passwords` by station id are used for
        the upstream's Basic Auth; a station without one has its own credentials passed on. `upstream_tls` None: what
        the system trusts. Without a `journal` nothing survives the process."""
        self.endpoint = ControllerEndpoint(
            site, settings, dialects, new_id, journal=journal, now=clock.now(), passwords=passwords
        )
        self.autonomous = settings.offline.mode == "autonomy"
        self.grace_s = settings.offline.grace_s
        self.patience_s = settings.answer_timeout_s
        self.failed = asyncio.Event()
        """The journal can't be written: nothing more can be done here."""
        self._upstream_url = upstream_url.rstrip("/")
        self._dialects = dialects
        self._clock = clock
        self._upstream_tls = upstream_tls
        self._limits = limits or Limits()
        self._server_limits = server_limits
        self._connect_timeout_s = connect_timeout_s
        self._backoff = backoff or BackoffPolicy(wait_minimum_s=5.0, random_range_s=5.0, repeat_times=3)
        self._away_until_s = 0.0
        """Until then the CSMS need not be asked whether it is there: it was not, a moment ago (loop time)."""
        self._pairs: dict[str, Pair] = {}
        self._new_id = new_id
        self._listening = tuple(listeners)
        self._listeners: dict[str, list[Listener]] = {}
        self._server: Server | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._flush_soon = False
        self._stopped = False
        self._loop: asyncio.AbstractEventLoop

    @property
    def port(self) -> int:
        """Where stations connect. Only while it runs."""
        assert self._server is not None
        return self._server.port

    @property
    def connected(self) -> tuple[str, ...]:
        """Stations with a connection; under `strict` both of their legs are open."""
        return tuple(self._pairs)

    async def start(self, host: str | None = "127.0.0.1", port: int = 9100, tls: ssl.SSLContext | None = None) -> None:
        """Listen for stations. OSError when the address can't be had."""
        self._loop = asyncio.get_running_loop()
        self._server = await serve(
            host,
            port,
            admit=self._admit,
            subprotocols=tuple(self._dialects),
            limits=self._limits,
            server_limits=self._server_limits,
            tls=tls,
        )
        self._arm()

    async def stop(self, grace_s: float = 5.0) -> None:
        """Close every connection, with 1001."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        for pair in list(self._pairs.values()):
            pair.end(CloseCode.GOING_AWAY, "the local controller is shutting down")
        if self._server is not None:
            await self._server.close(grace_s)

    async def _admit(self, request: UpgradeRequest) -> Admission | Refusal:
        station_id = request.identity
        if not self.endpoint.controller.knows(station_id):
            log.warning("%s: not part of the site, refused", station_id)
            return Refusal.unknown()
        if not shows_its_own_certificate(request, self._clock.now().at):
            security_log.warning("%s: refused at %s: the certificate is another's", station_id, request.peer)
            return Refusal(403, "the client certificate is not this station's")
        authorization = request.headers.get("authorization")
        pair = self._pairs.get(station_id)
        if pair is not None and pair.waits_for(authorization, request.offered):
            return Admission(pair.station, subprotocol=pair.subprotocol)
        pair = Pair(self, station_id, request.offered, authorization, request.subprotocol)
        if self.autonomous and self._loop.time() < self._away_until_s:
            return self._without_csms(pair)
        try:
            upstream = await self._dial(pair)
        except SubprotocolRefused:
            log.warning("%s: the CSMS speaks none of its versions", station_id)
            return Refusal.later(RETRY_AFTER_S)
        except HandshakeRefused as refused:
            log.warning("%s: the CSMS refused with HTTP status %d", station_id, refused.status)
            if self.autonomous and (refused.status >= 500 or refused.status in _LATER):
                return self._without_csms(pair)
            if refused.status in _REPEATED:
                return Refusal(refused.status, "refused by the CSMS", told_on(refused.headers))
            return Refusal.later(RETRY_AFTER_S)
        except ConnectFailed as failed:
            log.warning("%s: the CSMS can't be reached: %s", station_id, failed)
            self._away_until_s = self._loop.time() + RETRY_AFTER_S
            return self._without_csms(pair) if self.autonomous else Refusal.later(RETRY_AFTER_S)
        return Admission(
            pair.station,
            subprotocol=upstream.subprotocol,
            abandoned=lambda: pair.end(CloseCode.GOING_AWAY, "the station left"),
        )

    def _without_csms(self, pair: Pair) -> Admission | Refusal:
        """Receive a station that its CSMS can't be asked about."""
        known = self.endpoint.memory.registry.of(pair.station_id)
        if known.credential is not None and not matches(known.credential, pair.authorization):
            security_log.warning("%s: refused while the CSMS is away: not the credentials it let in", pair.station_id)
            return Refusal.unauthorized()
        spoken = known.subprotocol if known.subprotocol in pair.offered else pair.subprotocol
        return Admission(pair.station, subprotocol=spoken)

    async def _dial(self, pair: Pair, offered: tuple[str, ...] | None = None) -> Connection:
        """Connect upstream for a station: with the site's passwords, newest first, or with its own credentials."""
        station_id = pair.station_id
        passwords: tuple[str | None, ...] = self.endpoint.upstream_passwords(station_id) or (None,)
        dialect = self._dialects[pair.subprotocol]
        own = (("Authorization", pair.authorization),) if passwords == (None,) and pair.authorization else ()
        upstream_url = self.upstream_url(station_id)
        for number, password in enumerate(passwords, start=1):
            try:
                connection = await connect(
                    f"{upstream_url}/{quote(station_id, safe='')}",
                    subprotocols=offered or pair.offered,
                    receiver=pair.upstream,
                    basic_auth=None if password is None else (station_id, password_octets(dialect, password)),
                    headers=own,
                    tls=self._upstream_tls if upstream_url == self._upstream_url else None,
                    limits=self._limits,
                    timeout_s=self._connect_timeout_s,
                )
            except HandshakeRefused as refused:
                if refused.status == 401 and number < len(passwords):
                    security_log.warning("%s: the CSMS refuses the newer password", station_id)
                    continue
                raise
            credential = None
            if own and pair.authorization is not None:
                kept = self.endpoint.memory.registry.of(station_id).credential
                credential = kept if kept and matches(kept, pair.authorization) else digest(pair.authorization)
            self._away_until_s = 0.0
            self.endpoint.let_in(station_id, connection.subprotocol or pair.subprotocol, credential, password)
            return connection
        raise AssertionError("the last refusal is raised")

    def tell(self, learn: Callable[[Controller, Now], None]) -> None:
        """Something is learned that doesn't come over the links: a meter's reading, a limit, a wish.
        What of it has to survive is in the journal when this returns."""
        now = self._clock.now()
        learn(self.endpoint.controller, now)
        self.endpoint.controller.learned()
        self.endpoint.remember(now)
        self.endpoint.expire(now)
        self._flush()

    def commission(self, station_id: str, evse_id: int | None, *, reboot: bool) -> None:
        """Begin to probe a station. Raises CantProbe."""
        self.endpoint.commission(station_id, evse_id, self._clock.now(), reboot=reboot)
        self._flush()

    def upstream_url(self, station_id: str) -> str:
        """Where a station is relayed to."""
        return self.endpoint.memory.registry.upstream_url(station_id) or self._upstream_url

    def set_upstream(self, station_id: str, url: str | None, password: str | None) -> None:
        """Relay a station elsewhere (None: where all are), or with another password; its connection stays open."""
        self.endpoint.set_upstream(station_id, None if url is None else url.rstrip("/"), password)
        self._flush()

    def station_connected(self, station_id: str) -> bool:
        """Whether a station's own link is open."""
        pair = self._pairs.get(station_id)
        return pair is not None and pair.is_open(Side.STATION)

    def csms_connected(self, station_id: str) -> bool:
        """Whether a station's upstream link is open."""
        pair = self._pairs.get(station_id)
        return pair is not None and pair.is_open(Side.CSMS)

    # what the pairs report

    def station_up(self, pair: Pair) -> None:
        """The station's leg is there; perhaps the other too."""
        older = self._pairs.get(pair.station_id)
        if older is not None and older is not pair:
            older.end(CloseCode.GOING_AWAY, "replaced by a newer connection")
        self._pairs[pair.station_id] = pair
        if pair.station_id not in self._listeners:
            self._listeners[pair.station_id] = self._listeners_of(pair)
        now = self._clock.now()
        self.endpoint.station_up(pair.station_id, pair.subprotocol, now)
        if older is not pair and pair.is_open(Side.CSMS):
            self.endpoint.csms_up(pair.station_id, now)
        self._flush()

    def csms_up(self, pair: Pair) -> None:
        """The upstream leg is there again."""
        if self._pairs.get(pair.station_id) is pair:
            log.info("%s: the CSMS is there again, %d messages wait", pair.station_id, self._waiting(pair))
            self.endpoint.csms_up(pair.station_id, self._clock.now())
            self._flush()

    def leg_lost(self, pair: Pair, side: Side) -> None:
        """A leg is gone, the other stays."""
        if self._pairs.get(pair.station_id) is pair:
            lost = self.endpoint.station_lost if side is Side.STATION else self.endpoint.csms_lost
            lost(pair.station_id, self._clock.now())
            self._flush()

    def fallen_back(self, pair: Pair) -> bool:
        """Ask a station to fall back; whether it has."""
        if self._pairs.get(pair.station_id) is not pair:
            return True
        fallen = self.endpoint.fall_back(pair.station_id, self._clock.now())
        self._flush()
        return fallen

    def ended(self, pair: Pair) -> None:
        """Both legs are closing."""
        if self._pairs.get(pair.station_id) is pair:
            del self._pairs[pair.station_id]
            for listener in self._listeners.pop(pair.station_id, ()):
                listener.close()
            self.endpoint.closed(pair.station_id, self._clock.now())
            self._flush()

    def received(self, pair: Pair, side: Side, data: bytes) -> None:
        """A frame came."""
        if self._pairs.get(pair.station_id) is pair:
            self.endpoint.receive(pair.station_id, side, data, self._clock.now())
            self._flush()
            for listener in self._listeners.get(pair.station_id, ()) if side is Side.STATION else ():
                listener.copy(data)

    async def dial_again(self, pair: Pair, *, at_once: bool) -> None:
        """Connect upstream, until it is there or the pair is over."""
        backoff = Backoff(self._backoff, random.random)
        if not at_once:
            await asyncio.sleep(backoff.next_s())
        while not pair.over:
            try:
                await self._dial(pair, (pair.subprotocol,))
            except HandshakeRefused as refused:
                log.warning("%s: the CSMS refuses with HTTP status %d", pair.station_id, refused.status)
            except ConnectFailed as failed:
                log.info("%s: the CSMS can't be reached: %s", pair.station_id, failed)
            else:
                return
            await asyncio.sleep(backoff.next_s())

    def _listeners_of(self, pair: Pair) -> list[Listener]:
        return [
            Listener(
                pair.station_id,
                self._dialects[pair.subprotocol],
                upstream,
                clock=self._clock,
                new_id=self._new_id,
                limits=self._limits,
                backoff=self._backoff,
            )
            for upstream in self._listening
        ]

    def _waiting(self, pair: Pair) -> int:
        return self.endpoint.backlog(pair.station_id)

    # driving the endpoint

    def _flush(self) -> None:
        touched, self.endpoint.touched = self.endpoint.touched, set()
        for station_id in touched:
            pair = self._pairs.get(station_id)
            if pair is None:
                continue
            for side in Side:
                pair.send(side, self.endpoint.take(station_id, side))
        relink, self.endpoint.relink = self.endpoint.relink, set()
        for station_id in relink:
            if (pair := self._pairs.get(station_id)) is not None:
                self._loop.call_soon(pair.relink)
        if self.endpoint.failed and not self.failed.is_set():
            self.failed.set()
            for pair in list(self._pairs.values()):
                pair.end(CloseCode.INTERNAL_ERROR, "the local controller can't go on")
        if not self._flush_soon:  # however many frames one turn of the loop brings, look at the deadlines once
            self._flush_soon = True
            self._loop.call_soon(self._arm)

    def _arm(self) -> None:
        self._flush_soon = False
        if self._stopped:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wait_s = self._clock.seconds_until(self.endpoint.next_deadlines(self._clock.now()))
        if wait_s is not None:
            self._timer = self._loop.call_later(wait_s, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.endpoint.expire(self._clock.now())
        self._flush()
