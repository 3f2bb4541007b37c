"""UnlockConnector: the plug is let go, and the CSMS is told how that went.

Guarantees
* No energy flows while the lock moves; the reply says what the lock said, or UnlockFailed when it says nothing
  (OCPP 1.6 §5.18, §7.48; OCTT TC_017, TC_018, TC_030).
* A transaction on the connector ends with UnlockCommand, right after the reply.
"""

from forecourt.domain.requests import UnlockAnswer, UnlockStatus
from forecourt.domain.transaction import StoppedReason, TriggerReason
from forecourt.station.charging import Charging
from forecourt.station.config import StationConfig
from forecourt.station.effects import ReleaseConnector, Reply
from forecourt.station.evse import Evse, Lock
from forecourt.station.inputs import LockOutcome
from forecourt.station.transactions import Transactions
from forecourt.station.turn import Turn


class Unlocks:
    """The requests that wait for a lock."""

    __slots__ = ("_charging", "_config", "_transactions", "_waiting")

    def __init__(self, config: StationConfig, charging: Charging, transactions: Transactions) -> None:
        self._config = config
        self._charging = charging
        self._transactions = transactions
        self._waiting: dict[int, tuple[Evse, list[str], float]] = {}

    def begin(self, request_id: str, evse: Evse, turn: Turn) -> None:
        """Try to let go of the plug on behalf of a request."""
        waiting = self._waiting.get(evse.evse_id)
        if waiting is not None:
            waiting[1].append(request_id)
            return
        until_s = turn.now.protocol_s + self._config.hardware_patience_s
        self._waiting[evse.evse_id] = (evse, [request_id], until_s)
        evse.unlocking = True
        self._charging.update(turn)
        turn.emit(ReleaseConnector(evse.evse_id))

    def resolve(self, evse: Evse, outcome: LockOutcome, turn: Turn) -> bool:
        """The lock has answered. False: nobody has asked."""
        waiting = self._waiting.pop(evse.evse_id, None)
        if waiting is None:
            return False
        unlocked = outcome is LockOutcome.UNLOCKED
        answer = UnlockAnswer(outcome=UnlockStatus.UNLOCKED if unlocked else UnlockStatus.UNLOCK_FAILED)
        for request_id in waiting[1]:
            turn.emit(Reply(request_id, answer))
        evse.unlocking = False
        if unlocked:
            evse.lock = Lock.FREE
            evse.held_for = None
        reason = StoppedReason.UNLOCK_COMMAND
        self._transactions.stop(evse, reason, TriggerReason.UNLOCK_COMMAND, turn, release=False)
        return True

    def next_deadline_s(self) -> float | None:
        """When to call `expire`, on the protocol's clock."""
        return min((until_s for _, _, until_s in self._waiting.values()), default=None)

    def expire(self, turn: Turn) -> None:
        """Time has passed."""
        for evse, _, until_s in list(self._waiting.values()):
            if turn.now.protocol_s >= until_s:
                self.resolve(evse, LockOutcome.FAILED, turn)
