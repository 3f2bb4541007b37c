"""When the capabilities of one station want to be called next, and whether a turn has anything to do for them.

Theory of operation. What a capability is to do by itself it says as a deadline; whatever else it does follows from what
happens to the station. So after a turn in which nothing has happened to it, such as a heartbeat, every deadline but
that of the heartbeat is what it was, and there is nothing to bring up to date: a station that idles costs no more than
its heartbeats.

Guarantees
* `next_deadlines` is reckoned once after each turn, of a heartbeat only for the heartbeat.
* A turn is idle only while no deadline has come and the calendar has not been set since everything that goes by time
  looked at it: limits and meter values follow it in the very next turn.
"""

from forecourt.domain.clock import Deadlines, Now
from forecourt.station.parts import Parts
from forecourt.station.turn import Turn


class Agenda:
    """The deadlines of one station, but for the boot's and the heartbeat's, as they were after the last full turn."""

    __slots__ = ("_calendar", "_known", "_parts", "_protocol_s", "_world_s")

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._known = False
        self._protocol_s: float | None = None
        self._world_s: float | None = None
        self._calendar = 0

    def turned(self) -> None:
        """A full turn is over: deadlines have to be reckoned anew."""
        self._known = False

    def expired(self, turn: Turn) -> None:
        """In this turn everything that goes by time looks at it."""
        self._calendar = _calendar(turn)

    def idle(self, turn: Turn) -> bool:
        """Whether nothing is to be done in this turn but what concerns heartbeats."""
        self._reckon()
        now = turn.now
        return not (
            (self._world_s is not None and self._world_s <= now.elapsed_s)
            or (self._protocol_s is not None and self._protocol_s <= now.protocol_s)
            or self._parts.resets.under_way
            or self._calendar != _calendar(turn)
        )

    def next_deadlines(self) -> Deadlines:
        """When the station wants to be called at the latest, on either clock."""
        self._reckon()
        boot_s, protocol_s = self._parts.boot.next_deadline_s(), self._protocol_s
        if boot_s is None or (protocol_s is not None and protocol_s < boot_s):
            boot_s = protocol_s
        return Deadlines(boot_s, self._world_s)

    def due(self, now: Now) -> bool:
        """Whether one of them has come."""
        return self.next_deadlines().due(now)

    def _reckon(self) -> None:
        if self._known:
            return
        parts = self._parts
        self._known = True
        self._protocol_s = _first(
            parts.outbox.next_deadline_s(),
            parts.reports.next_deadline_s(),
            parts.sessions.next_deadline_s(),
            parts.authorizer.next_deadline_s(),
            parts.unlocks.next_deadline_s(),
            parts.vendor_messages.next_deadline_s(),
            parts.resets.next_deadline_s(),
            parts.stays.next_deadline_s(),
        )
        self._world_s = _first(
            parts.sessions.next_world_deadline_s(),
            parts.status.next_deadline_s(),
            parts.metering.next_deadline_s(),
            parts.reservations.next_deadline_s(),
            parts.charging.next_deadline_s(),
            parts.transactions.next_deadline_s(),
            parts.firmware.next_deadline_s(),
            parts.log_uploads.next_deadline_s(),
            parts.certificates.next_deadline_s(),
            parts.v2g.next_deadline_s(),
            parts.costs.next_deadline_s(),
        )


def _first(*deadlines_s: float | None) -> float | None:
    return min((at_s for at_s in deadlines_s if at_s is not None), default=None)


def _calendar(turn: Turn) -> int:
    """How far the calendar is ahead of the world's clock, to the second: limits depend on no less."""
    return round(turn.at.timestamp() - turn.now.elapsed_s)
