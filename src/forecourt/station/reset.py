"""Restarting: how a reset ends what runs, and what is waited for.

Guarantees
* Transactions are ended, and their last messages are in the journal, before the restart. A graceful reset waits a while
  for them to be delivered; after one that is not nothing more leaves until the station is back, so that nothing is sent
  whose answer can't be heard (OCPP 1.6 §5.14; OCTT TC_015, TC_016).
* A reset on idle waits for the transactions to end by themselves; nothing new starts meanwhile (OCPP 2.0.1 B12).
* Where the hardware says that it can't be restarted now, a reset is Rejected (the seed's is_reset_allowed).
* A restart that the system could not do is tried again, ResetRetries times (§9.1.22).
* The next boot says why there was one.
"""

from collections.abc import Mapping
from enum import Enum

from forecourt.domain.station import BootReason, ResetType
from forecourt.domain.transaction import StoppedReason, TriggerReason
from forecourt.station.boot import REASON_KEY, SECTION
from forecourt.station.calls import Calls
from forecourt.station.config import StationConfig
from forecourt.station.effects import Reboot
from forecourt.station.evse import Evse
from forecourt.station.outbox import Outbox
from forecourt.station.reports import Reports
from forecourt.station.security_log import SecurityEvent, SecurityLog
from forecourt.station.transactions import Transactions
from forecourt.station.turn import Turn
from forecourt.station.variable_table import RESET_RETRIES
from forecourt.station.variables import Variables


class _Stage(Enum):
    NONE = "none"
    WAITS_FOR_IDLE = "waits for idle"
    WAITS_FOR_DELIVERY = "waits for delivery"
    RESTARTING = "restarting"


class Resets:
    """The reset of one station, if one is under way."""

    __slots__ = (
        "_calls",
        "_config",
        "_evses",
        "_graceful",
        "_outbox",
        "_reports",
        "_retries",
        "_security_log",
        "_stage",
        "_transactions",
        "_until_s",
        "_variables",
        "allowed",
    )

    def __init__(
        self,
        config: StationConfig,
        variables: Variables,
        calls: Calls,
        outbox: Outbox,
        transactions: Transactions,
        evses: Mapping[int, Evse],
        reports: Reports,
        security_log: SecurityLog,
    ) -> None:
        self._config = config
        self._reports = reports
        self._security_log = security_log
        self._variables = variables
        self._calls = calls
        self._outbox = outbox
        self._transactions = transactions
        self._evses = evses
        self.allowed = True
        """Whether the hardware can be restarted now; a reset that the CSMS wants is refused otherwise."""
        self._stage = _Stage.NONE
        self._graceful = True
        self._retries = 0
        self._until_s: float | None = None

    @property
    def under_way(self) -> bool:
        """Whether the station is about to restart: nothing new begins."""
        return self._stage is not _Stage.NONE

    @property
    def waits_for_idle(self) -> bool:
        """Whether it only waits for the transactions to end."""
        return self._stage is _Stage.WAITS_FOR_IDLE

    def begin(self, reset_type: ResetType, turn: Turn, *, graceful: bool) -> None:
        """Carry out a reset that was accepted."""
        self._graceful = graceful
        self._retries = self._variables.integer(RESET_RETRIES)
        turn.put(SECTION, REASON_KEY, BootReason.REMOTE_RESET)
        if reset_type is ResetType.ON_IDLE:
            self._stage = _Stage.WAITS_FOR_IDLE
            return
        # A hard reset is the last resort for a station that misbehaves: it waits for nothing (errata §3.81), so the
        # ends of transactions leave after the restart (§5.14).
        self._calls.closing = not graceful
        reason = StoppedReason.GRACEFUL_RESET if graceful else StoppedReason.IMMEDIATE_RESET
        self._transactions.stop_all(reason, TriggerReason.RESET_COMMAND, turn)
        self._wait_for_delivery(turn, graceful=graceful)

    def begin_locally(self, turn: Turn) -> None:
        """Restart because somebody at the station wants it (OCPP 1.6 §7.36, Reboot); one under way stays as it is."""
        if self.under_way and not self.waits_for_idle:
            return
        self._graceful = True
        self._retries = self._variables.integer(RESET_RETRIES)
        turn.put(SECTION, REASON_KEY, BootReason.LOCAL_RESET)
        self._transactions.stop_all(StoppedReason.REBOOT, TriggerReason.RESET_COMMAND, turn)
        self._wait_for_delivery(turn, graceful=True)

    def begin_for_firmware(self, turn: Turn) -> None:
        """Restart into new firmware; no transaction is open."""
        self._graceful = True
        self._retries = self._variables.integer(RESET_RETRIES)
        turn.put(SECTION, REASON_KEY, BootReason.FIRMWARE_UPDATE)
        self._wait_for_delivery(turn, graceful=True)

    def _wait_for_delivery(self, turn: Turn, *, graceful: bool) -> None:
        self._stage = _Stage.WAITS_FOR_DELIVERY
        self._security_log.note(SecurityEvent.RESET_OR_REBOOT, turn)
        self._until_s = turn.now.protocol_s + (self._config.reset_patience_s if graceful else 0.0)

    def update(self, turn: Turn) -> None:
        """Restart as soon as nothing is waited for any more."""
        if self._stage is _Stage.WAITS_FOR_IDLE:
            if all(evse.transaction is None for evse in self._evses.values()):
                self._wait_for_delivery(turn, graceful=True)
            else:
                return
        if self._stage is not _Stage.WAITS_FOR_DELIVERY:
            return
        timed_out = self._until_s is not None and turn.now.protocol_s >= self._until_s
        delivered = not self._outbox.depth and not len(self._reports) and not self._calls.any_open
        if timed_out or delivered or not self._calls.online:
            self._restart(turn)

    def failed(self, turn: Turn) -> None:
        """The system could not restart."""
        if self._stage is not _Stage.RESTARTING:
            return
        if self._retries > 0:
            self._retries -= 1
            self._restart(turn)
        else:
            self._stage = _Stage.NONE
            turn.delete(SECTION, REASON_KEY)
            self._calls.closing = False
            self._outbox.pump(turn)
            self._reports.pump(turn)

    def next_deadline_s(self) -> float | None:
        """When to call `update`, on the protocol's clock."""
        return self._until_s if self._stage is _Stage.WAITS_FOR_DELIVERY else None

    def _restart(self, turn: Turn) -> None:
        self._stage = _Stage.RESTARTING
        self._until_s = None
        turn.emit(Reboot(hard=not self._graceful))
