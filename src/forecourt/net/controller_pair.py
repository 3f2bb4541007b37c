"""Both connections of one station at the local controller, and what becomes of one when the other is lost.

Guarantees (`controller.md` §1, offline)
* `autonomy`: a station stays when its CSMS is lost, and the controller dials again until it is there; the upstream
  connection of a station that is lost stays open for a grace time, for the station to come back to.
* `strict`: when either leg is lost the other is closed; a station that can still be spoken to is told to fall back
  before.
* A connection that was replaced has nothing to say any more.
"""

import asyncio
import logging
from typing import Protocol

from forecourt.net.connection import CloseCode, Connection
from forecourt.rpc.relay_events import Side

log = logging.getLogger(__name__)


class Owner(Protocol):
    """What a pair needs of the server it belongs to."""

    @property
    def autonomous(self) -> bool:
        """Whether stations stay without their CSMS."""

    @property
    def grace_s(self) -> float:
        """How long an upstream connection stays without its station."""

    def station_up(self, pair: "Pair") -> None:
        """The station's leg is there."""

    def csms_up(self, pair: "Pair") -> None:
        """The upstream leg is there, and so is the station's."""

    def leg_lost(self, pair: "Pair", side: Side) -> None:
        """A leg is gone, the other stays."""

    def ended(self, pair: "Pair") -> None:
        """Both legs are closing."""

    @property
    def patience_s(self) -> float:
        """How long a station may take to fall back."""

    def fallen_back(self, pair: "Pair") -> bool:
        """Ask a station to fall back; whether it has."""

    def received(self, pair: "Pair", side: Side, data: bytes) -> None:
        """A frame came."""

    async def dial_again(self, pair: "Pair", *, at_once: bool) -> None:
        """Connect upstream, until it is there or the pair is over."""


class _Leg:
    """The receiver of one connection of one station."""

    __slots__ = ("_connection", "_pair", "_side")

    def __init__(self, pair: "Pair", side: Side, connection: Connection) -> None:
        self._pair = pair
        self._side = side
        self._connection = connection

    def message(self, data: bytes, /) -> None:
        """One frame."""
        self._pair.message(self._side, self._connection, data)

    def writable(self) -> None:
        """The peer reads again: so may the other."""
        self._pair.writable(self._side)

    def closed(self, code: int, reason: str, /) -> None:
        """This leg is gone."""
        self._pair.closed(self._side, self._connection, code, reason)


class Pair:
    """See the module. `offered` and `authorization` are what the station came with."""

    def __init__(
        self, owner: Owner, station_id: str, offered: tuple[str, ...], authorization: str | None, subprotocol: str
    ) -> None:
        self.station_id = station_id
        self.offered = offered
        self.authorization = authorization
        self.subprotocol = subprotocol
        """As agreed with the station, once it is; before, what it would get from us."""
        self.connections: dict[Side, Connection] = {}
        self.over = False
        self._owner = owner
        self._dialling: asyncio.Task[None] | None = None
        self._grace: asyncio.TimerHandle | None = None
        self._leaving = False

    def is_open(self, side: Side) -> bool:
        """Whether a leg is connected."""
        connection = self.connections.get(side)
        return connection is not None and connection.is_open

    def waits_for(self, authorization: str | None, offered: tuple[str, ...]) -> bool:
        """Whether this is the pair that a station which comes back has left."""
        return (
            not self.over
            and self.is_open(Side.CSMS)
            and not self.is_open(Side.STATION)
            and self._grace is not None
            and self.authorization == authorization
            and self.subprotocol in offered
        )

    def upstream(self, connection: Connection) -> _Leg:
        """The upstream leg is open; without its station's nothing is read from it."""
        self.connections[Side.CSMS] = connection
        if self.over:
            connection.close(CloseCode.GOING_AWAY, "the station left")
        elif self.is_open(Side.STATION):
            self._owner.csms_up(self)
        else:
            connection.pause_reading()
        return _Leg(self, Side.CSMS, connection)

    def station(self, connection: Connection) -> _Leg:
        """The station's leg is open."""
        self.connections[Side.STATION] = connection
        self.subprotocol = connection.subprotocol or self.subprotocol
        if self._grace is not None:
            self._grace.cancel()
            self._grace = None
        if self.over or not (self._owner.autonomous or self.is_open(Side.CSMS)):
            connection.close(CloseCode.TRY_AGAIN_LATER, "the CSMS can't be reached")
            return _Leg(self, Side.STATION, connection)
        self._owner.station_up(self)
        if self.is_open(Side.CSMS):
            self.connections[Side.CSMS].resume_reading()
        else:
            self.dial()
        return _Leg(self, Side.STATION, connection)

    def dial(self, *, at_once: bool = False) -> None:
        """Connect upstream again."""
        if not self.over and (self._dialling is None or self._dialling.done()):
            self._dialling = asyncio.create_task(self._owner.dial_again(self, at_once=at_once))

    def relink(self) -> None:
        """Leave the CSMS and connect to it again: there are other credentials."""
        connection = self.connections.get(Side.CSMS)
        if not self._owner.autonomous:
            self.end(CloseCode.SERVICE_RESTART, "the credentials have changed")
        elif connection is not None:
            del self.connections[Side.CSMS]
            connection.close(CloseCode.NORMAL, "the credentials have changed")
            self._owner.leg_lost(self, Side.CSMS)
            self.dial(at_once=True)

    def message(self, side: Side, connection: Connection, data: bytes) -> None:
        """One frame from a leg."""
        if not self.over and self.connections.get(side) is connection:
            self._owner.received(self, side, data)
            if self._leaving:
                self._leave()

    def writable(self, side: Side) -> None:
        """A leg takes messages again, so the other may be read again."""
        other = self.connections.get(side.other)
        if other is not None:
            other.resume_reading()

    def closed(self, side: Side, connection: Connection, code: int, reason: str) -> None:
        """A leg is gone: so is the pair, unless it can do without for a while."""
        if self.over or self.connections.get(side) is not connection:
            return
        log.info("%s: %s leg closed (%d %s)", self.station_id, side.value, code, reason)
        if self._owner.autonomous and self.is_open(side.other):
            del self.connections[side]
            self._owner.leg_lost(self, side)
            if side is Side.CSMS:
                self.dial()
            else:
                self._grace = asyncio.get_running_loop().call_later(self._owner.grace_s, self._grace_is_over)
        elif side is Side.CSMS and self.is_open(Side.STATION) and not self._leaving:
            del self.connections[side]
            self._owner.leg_lost(self, side)
            self._leaving = True
            self._grace = asyncio.get_running_loop().call_later(self._owner.patience_s, self._leave_now)
            self._leave()
        else:
            self.end(
                CloseCode.GOING_AWAY if side is Side.STATION else CloseCode.TRY_AGAIN_LATER, "the other leg is gone"
            )

    def _leave(self) -> None:
        if self._owner.fallen_back(self):
            self._leave_now()

    def _leave_now(self) -> None:
        self.end(CloseCode.TRY_AGAIN_LATER, "the CSMS can't be reached")

    def _grace_is_over(self) -> None:
        self.end(CloseCode.GOING_AWAY, "the station has not come back")

    def end(self, code: int, reason: str) -> None:
        """Close both legs."""
        if self.over:
            return
        self.over = True
        if self._grace is not None:
            self._grace.cancel()
        if self._dialling is not None:
            self._dialling.cancel()
        for connection in self.connections.values():
            connection.close(code, reason)
        self._owner.ended(self)

    def send(self, side: Side, frames: list[bytes]) -> None:
        """Send on a leg; when it is slow, the other is slowed down."""
        connection = self.connections.get(side)
        if connection is None:
            return
        for frame in frames:
            connection.send(frame)
        if connection.paused and (other := self.connections.get(side.other)) is not None:
            other.pause_reading()
