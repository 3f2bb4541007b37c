"""Being registered with the CSMS, and staying in touch: boots, heartbeats, the time.

Guarantees
* Registration is one of four states. Until it is Accepted nothing but a BootNotification leaves by the station's own
  wish; Pending serves requests; Rejected answers nothing (OCPP 1.6 §4.2; OCPP 2.0.1 B01 to B03).
* A boot is repeated after the CSMS's interval and not earlier, unless it asks (TriggerMessage); after an interval of 0,
  an error or silence the station's own wait, which doubles, decides (OCPP 1.6 §4.2; OCTT TC_001_CS).
* A reconnect sends no boot.
* When the calendar of the computer is set, a heartbeat asks the CSMS for the time at once.
* Where the time is unknown after a start, the first that the CSMS tells dates what happened before (`dating`).
* A heartbeat goes out after HeartbeatInterval without any answer of the CSMS (OCPP 1.6 §4.6, §9.1.10), and at least
  once a day, so that the clock stays right.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import msgspec

from forecourt.domain.events import BootAnswer, HeartbeatAnswer, HeartbeatSent, Notice, StationBooted
from forecourt.domain.station import BootReason, RegistrationStatus
from forecourt.station.calls import Calls, ForBoot, ForHeartbeat, StationClock
from forecourt.station.config import StationConfig
from forecourt.station.effects import SetClock, Urgency
from forecourt.station.inputs import CallFailure
from forecourt.station.security_log import SecurityEvent, SecurityLog
from forecourt.station.turn import Turn
from forecourt.station.variable_table import HEARTBEAT_INTERVAL, TIME_SOURCE
from forecourt.station.variables import Variables

SECTION: Final = "station"
REASON_KEY: Final = "boot_reason"
OFFSET_KEY: Final = "clock_offset_s"

_DAY_S: Final = 86_400.0
decode_offset = msgspec.json.Decoder(float).decode
decode_reason = msgspec.json.Decoder(BootReason).decode


class Registration(StrEnum):
    """What the CSMS thinks of the station, since it booted."""

    UNKNOWN = "Unknown"
    """It has not answered yet."""
    PENDING = "Pending"
    REJECTED = "Rejected"
    ACCEPTED = "Accepted"


_REGISTRATION: Final = {
    RegistrationStatus.ACCEPTED: Registration.ACCEPTED,
    RegistrationStatus.PENDING: Registration.PENDING,
    RegistrationStatus.REJECTED: Registration.REJECTED,
}


class Boot:
    """Registration, heartbeat and clock of one station."""

    __slots__ = (
        "_ahead_s",
        "_backoff_s",
        "_boot_at_s",
        "_calls",
        "_clock",
        "_config",
        "_date",
        "_doubts_time",
        "_heartbeat_s",
        "_reason",
        "_security_log",
        "_variables",
        "registration",
    )

    def __init__(
        self,
        config: StationConfig,
        variables: Variables,
        calls: Calls,
        clock: StationClock,
        security_log: SecurityLog,
        date: Callable[[timedelta, Turn], None],
    ) -> None:
        """`date` is told when the time has become known, and how far what was taken for it was behind."""
        self._date = date
        self._ahead_s: float | None = None
        """How far the calendar is ahead of the clock that is never set."""
        self._doubts_time = False
        self._config = config
        self._variables = variables
        self._calls = calls
        self._clock = clock
        self._security_log = security_log
        self._reason = config.boot_reason
        self._backoff_s = config.boot_retry_s
        self._boot_at_s: float | None = None
        self._heartbeat_s = 0.0
        self.registration = Registration.UNKNOWN

    def restore(self, kept: Mapping[str, bytes]) -> None:
        """Take from the journal why there is a boot, if a reset left it there, and what was known of the time."""
        if REASON_KEY in kept:
            self._reason = decode_reason(kept[REASON_KEY])
        if OFFSET_KEY in kept:
            self._clock.offset_s = decode_offset(kept[OFFSET_KEY])

    def link_up(self, turn: Turn) -> None:
        """There is a connection: boot, unless that was done or has its time."""
        waits = self._boot_at_s is not None and turn.now.protocol_s < self._boot_at_s
        if self.registration is not Registration.ACCEPTED and not waits:
            self.send(turn)

    def send(self, turn: Turn) -> None:
        """Say that the station has booted."""
        self._boot_at_s = None
        if self._calls.is_open(ForBoot()):
            return
        reason = BootReason.TRIGGERED if self._calls.triggered else self._reason
        notice = Notice((StationBooted(identity=self._config.identity, reason=reason),))
        self._calls.send_anyway(notice, ForBoot(), turn, Urgency.BOOT)

    def answered(self, answer: BootAnswer, turn: Turn) -> bool:
        """Take in the CSMS's answer. True: the station is accepted now, and was not before."""
        was = self.registration
        self.registration = _REGISTRATION[answer.registration]
        self._calls.accepted = self.registration is Registration.ACCEPTED
        self._learn_time(answer.now, turn)
        if self.registration is not Registration.ACCEPTED:
            self._wait(float(answer.interval_s) if answer.interval_s > 0 else None, turn)
            return False
        self._boot_at_s = None
        self._backoff_s = self._config.boot_retry_s
        self._heartbeat_s = turn.now.protocol_s
        turn.delete(SECTION, REASON_KEY)
        if answer.interval_s > 0:
            self._variables.assign(HEARTBEAT_INTERVAL, str(answer.interval_s), turn)
        return was is not Registration.ACCEPTED

    def failed(self, failure: CallFailure, turn: Turn) -> None:
        """The boot got no answer. One that was lost with its connection is repeated on the next."""
        if failure is not CallFailure.LOST:
            self._wait(None, turn)

    def heartbeat(self, turn: Turn) -> None:
        """Say that the station is alive."""
        if self._calls.send(Notice((HeartbeatSent(),)), ForHeartbeat(), turn):
            self._heartbeat_s = turn.now.protocol_s

    def watch_calendar(self, turn: Turn) -> None:
        """Ask the CSMS for the time as soon as that can be, when our calendar has been set meanwhile."""
        ahead_s = turn.now.at.timestamp() - turn.now.elapsed_s
        if self._ahead_s is not None and abs(ahead_s - self._ahead_s) > self._config.clock_tolerance_s:
            self._doubts_time = "Heartbeat" in self._variables.members(TIME_SOURCE)
        self._ahead_s = ahead_s
        if self._doubts_time and self._calls.online and not self._calls.is_open(ForHeartbeat()):
            self._doubts_time = False
            self.heartbeat(turn)

    def heard(self, answer: HeartbeatAnswer, turn: Turn) -> None:
        """The CSMS has told the time."""
        self._learn_time(answer.now, turn)

    def next_deadline_s(self) -> float | None:
        """When to call `expire`, on the protocol's clock."""
        if not self._calls.connected:
            return None
        if self.registration is not Registration.ACCEPTED:
            return self._boot_at_s
        if self._calls.is_open(ForHeartbeat()):
            return None
        return self._heartbeat_due_s()

    def expire(self, turn: Turn) -> None:
        """Time has passed."""
        due_s = self.next_deadline_s()
        if due_s is None or turn.now.protocol_s < due_s:
            return
        if self.registration is Registration.ACCEPTED:
            self.heartbeat(turn)
        else:
            self.send(turn)

    def _heartbeat_due_s(self) -> float:
        interval_s = self._variables.integer(HEARTBEAT_INTERVAL)
        silent_since_s = max(self._calls.last_answer_s, self._heartbeat_s)
        return min(silent_since_s + interval_s, self._heartbeat_s + max(_DAY_S, interval_s))

    def _wait(self, interval_s: float | None, turn: Turn) -> None:
        if interval_s is None:
            interval_s = self._backoff_s
            self._backoff_s = min(2 * self._backoff_s, self._config.boot_retry_longest_s)
        self._boot_at_s = turn.now.protocol_s + interval_s

    def _learn_time(self, csms_now: datetime, turn: Turn) -> None:
        if "Heartbeat" not in self._variables.members(TIME_SOURCE):
            return
        known, before_s = self._clock.known, self._clock.offset_s
        if self._clock.learn(csms_now, turn.now.at):
            turn.at = turn.now.at + timedelta(seconds=self._clock.offset_s)
            turn.put(SECTION, OFFSET_KEY, self._clock.offset_s)
            if not known:
                self._date(timedelta(seconds=self._clock.offset_s - before_s), turn)
            turn.emit(SetClock(self._clock.offset_s))
            self._security_log.note(SecurityEvent.SETTING_SYSTEM_TIME, turn, f"by {self._clock.offset_s:+.0f} s")
