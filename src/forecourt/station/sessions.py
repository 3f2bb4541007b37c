"""What people do at the station: plugs, tokens, and how a plug and a token become a transaction.

Guarantees
* A transaction starts when a car is connected and a token authorized, in either order, on an EVSE that is operative and
  not faulted, and only after the plug is locked where there is a lock (OCPP 1.6 §3.6; OCTT TC_003, TC_004_1, TC_024).
* The token that started a transaction stops it, without asking anybody (§3.4, §4.1). One of its group stops it after
  the CSMS was asked; any other token is refused without asking (OCTT TC_068, TC_069).
* A token waits ConnectionTimeOut for its plug, then the connector is Available again; a plug waits as long for its
  token, then it is Finishing (errata §3.20, §9.1.6; OCTT TC_004_2, TC_011_2).
* A token presented again before the plug went in takes the first presentation back (§4.9, B1).
"""

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from forecourt.domain.token import IdToken
from forecourt.domain.transaction import StoppedReason, TriggerReason
from forecourt.station.authorization import Authorizer, Contract, Verdict
from forecourt.station.config import StationConfig
from forecourt.station.effects import LockConnector, ReleaseConnector, TokenAnswered
from forecourt.station.evse import Authorization, Evse, Lock
from forecourt.station.inputs import Fault, LockOutcome, Pilot
from forecourt.station.places import Places, Wish, of_group
from forecourt.station.reservations import Reservations
from forecourt.station.status import Ground
from forecourt.station.transactions import Transactions
from forecourt.station.turn import Turn
from forecourt.station.variable_table import (
    CONNECTION_TIMEOUT,
    STOP_ON_EV_SIDE_DISCONNECT,
    UNLOCK_ON_EV_SIDE_DISCONNECT,
)
from forecourt.station.variables import Variables

LOCK_FAULT: Final = Fault(fault_id="connector-lock", code="ConnectorLockFailure", inoperative=True)


class Sessions:
    """Plugs and tokens of one station.

    `admits`: whether transactions may start at all now (registration). `show`: tells the states as they are so far.
    """

    __slots__ = (
        "_admits",
        "_authorizer",
        "_config",
        "_evses",
        "_ground",
        "_places",
        "_reservations",
        "_show",
        "_transactions",
        "_variables",
    )

    def __init__(
        self,
        config: StationConfig,
        variables: Variables,
        ground: Ground,
        evses: dict[int, Evse],
        authorizer: Authorizer[Wish],
        reservations: Reservations,
        transactions: Transactions,
        admits: Callable[[], bool],
        show: Callable[[Turn], object],
    ) -> None:
        self._config = config
        self._variables = variables
        self._ground = ground
        self._evses = evses
        self._authorizer = authorizer
        self._reservations = reservations
        self._transactions = transactions
        self._admits = admits
        self._places = Places(ground, evses, reservations, admits)
        self._show = show

    # Plugs

    def pilot(self, evse: Evse, pilot: Pilot, turn: Turn) -> None:
        """The control pilot says something."""
        was_connected = evse.car_connected
        evse.pilot = pilot
        self._transactions.resolve(evse, turn)
        self._connection(evse, was_connected, turn)

    def cable(self, evse: Evse, present: bool, turn: Turn) -> None:
        """A plug is in the socket, or not any more."""
        was_connected = evse.car_connected
        evse.cable = present
        self._connection(evse, was_connected, turn)

    def _connection(self, evse: Evse, was_connected: bool, turn: Turn) -> None:
        if evse.car_connected and not was_connected:
            self._connected(evse, turn)
        elif was_connected and not evse.car_connected:
            self._disconnected(evse, turn)
        elif evse.transaction is not None and evse.cable is False:
            self._disconnected(evse, turn)  # pulled out of the car before, now out of the socket too
        self._clean_up(evse, turn)

    def _connected(self, evse: Evse, turn: Turn) -> None:
        if evse.transaction is not None:
            return
        evse.finished = False
        evse.preparing_since_s = turn.now.elapsed_s
        if evse.authorization is None:
            self._places.bring_along(evse)
        self.try_start(evse, TriggerReason.CABLE_PLUGGED_IN, turn)

    def _disconnected(self, evse: Evse, turn: Turn) -> None:
        if evse.transaction is not None:
            stops = self._variables.boolean(STOP_ON_EV_SIDE_DISCONNECT)
            if not (stops or evse.cable is False) or evse.interrupted:
                return  # the transaction waits for the plug (OCPP 1.6 §4.10)
            release = self._variables.boolean(UNLOCK_ON_EV_SIDE_DISCONNECT)
            reason = StoppedReason.EV_DISCONNECTED
            self._transactions.stop(evse, reason, TriggerReason.EV_DEPARTED, turn, release=release)
        elif evse.lock is not Lock.FREE and self._variables.boolean(UNLOCK_ON_EV_SIDE_DISCONNECT):
            self.release(evse, turn)

    def _clean_up(self, evse: Evse, turn: Turn) -> None:
        """An EVSE that nothing is plugged into starts afresh."""
        if evse.occupied or evse.transaction is not None:
            return
        evse.finished = False
        evse.held_for = None
        if evse.lock is not Lock.FREE and evse.cable is not True:
            self.release(evse, turn)
        evse.faults.pop(LOCK_FAULT.fault_id, None)
        if evse.authorization is None:
            evse.preparing_since_s = None

    # Tokens

    def present(self, id_token: IdToken, evse_id: int | None, turn: Turn) -> None:
        """Somebody presents a token."""
        places = self._places.at(evse_id)
        if self._stopped_by(id_token, places, turn) or self._taken_back(id_token, places, turn):
            return
        if self._authorizer.is_open(id_token):
            return
        if not self._admits():
            turn.emit(TokenAnswered(id_token, accepted=False, evse_id=evse_id, reason="not in service"))
            return
        groups = any(evse.transaction is not None and evse.transaction.group_id_token for evse in places)
        free = [evse for evse in places if self._places.takes(evse, evse_id, id_token, None)]
        if self._ground.faulted or not (groups or any(self._reservations.may_admit(evse, id_token) for evse in free)):
            reason = "reserved" if free and not self._ground.faulted else "no connector is free"
            turn.emit(TokenAnswered(id_token, accepted=False, evse_id=evse_id, reason=reason))
            return
        self._ask(id_token, Wish(evse_id=evse_id), turn)

    def present_contract(self, evse: Evse, id_token: IdToken, contract: Contract, turn: Turn) -> None:
        """A car shows a contract that may be good; it is there for this EVSE, and stops nothing."""
        if self._authorizer.is_open(id_token):
            return
        if not self._admits() or self._ground.faulted or not self._places.takes(evse, evse.evse_id, id_token, None):
            turn.emit(TokenAnswered(id_token, accepted=False, evse_id=evse.evse_id, reason="not in service"))
        elif not self._reservations.may_admit(evse, id_token):
            turn.emit(TokenAnswered(id_token, accepted=False, evse_id=evse.evse_id, reason="reserved"))
        else:
            self._ask(id_token, Wish(evse_id=evse.evse_id, contract=contract), turn)

    def verdict(self, verdict: Verdict[Wish], turn: Turn) -> None:
        """What came of asking about a token."""
        wish = verdict.purpose
        if not verdict.accepted:
            reason = verdict.info.status.value
            turn.emit(TokenAnswered(verdict.id_token, accepted=False, evse_id=wish.evse_id, reason=reason))
            return
        if wish.remote:
            group = verdict.info.group_id_token or wish.group_id_token
            self._start_remotely(verdict.id_token, wish, group, turn)
            return
        id_token, group = verdict.id_token, verdict.info.group_id_token
        places = self._places.at(wish.evse_id)
        admitted = [evse for evse in places if self._reservations.admits(evse, id_token, group)]
        admitted.sort(key=lambda evse: not self._reservations.is_kept_for(evse, id_token, group))
        waiting = [evse for evse in admitted if evse.waiting_for_token]
        free = [evse for evse in admitted if self._places.takes(evse, wish.evse_id, id_token, group)]
        if waiting:
            kept = self._reservations.is_kept_for(waiting[0], id_token, group)
            last = waiting[0] if kept else max(waiting, key=lambda evse: evse.preparing_since_s or 0.0)
            self._authorize(last, Authorization(id_token=id_token, group_id_token=group), turn)
        elif (evse := of_group(group, places)) is not None:
            self._stop_locally(evse, id_token, turn)
        elif free:
            movable = wish.evse_id is None and not free[0].car_connected
            self._authorize(free[0], Authorization(id_token=id_token, group_id_token=group, movable=movable), turn)
        else:
            reason = "reserved" if len(admitted) < len(places) else "not its group"
            turn.emit(TokenAnswered(id_token, accepted=False, evse_id=wish.evse_id, reason=reason))

    def start_remotely(self, id_token: IdToken, wish: Wish, turn: Turn, *, ask: bool) -> None:
        """Obey a remote start that was accepted; `ask`: like a token presented here, so the CSMS is asked first."""
        if ask:
            self._ask(id_token, wish, turn)
        else:
            self._start_remotely(id_token, wish, wish.group_id_token, turn)

    def pressed_stop(self, evse: Evse, turn: Turn) -> None:
        """Somebody pressed the stop button."""
        if evse.transaction is not None:
            self._transactions.stop(evse, StoppedReason.LOCAL, TriggerReason.STOP_AUTHORIZED, turn)
        elif evse.authorization is not None:
            self._withdraw(evse)

    @property
    def places(self) -> Places:
        """Where tokens may charge."""
        return self._places

    # From token and plug to transaction

    def try_start(self, evse: Evse, trigger: TriggerReason, turn: Turn) -> None:
        """Begin the transaction, if everything for it is there; else do what is next."""
        granted = evse.authorization
        if granted is None or not evse.car_connected or not evse.usable or self._ground.faulted:
            return
        if not evse.config.has_lock or evse.lock is Lock.LOCKED:
            used = self._reservations.use(evse, granted.id_token, granted.group_id_token, turn)
            self._transactions.start(evse, granted, trigger, turn, reservation_id=used)
        elif evse.lock is Lock.FREE:
            evse.lock = Lock.LOCKING
            evse.lock_deadline_s = turn.now.protocol_s + self._config.hardware_patience_s
            turn.emit(LockConnector(evse.evse_id))

    def lock(self, evse: Evse, outcome: LockOutcome, turn: Turn) -> None:
        """The plug's lock has moved, or not."""
        evse.lock_deadline_s = None
        if outcome is LockOutcome.LOCKED:
            evse.lock = Lock.LOCKED
            evse.faults.pop(LOCK_FAULT.fault_id, None)
            remote = evse.authorization is not None and evse.authorization.remote_start_id is not None
            self.try_start(evse, TriggerReason.REMOTE_START if remote else TriggerReason.AUTHORIZED, turn)
        elif outcome is LockOutcome.UNLOCKED:
            evse.lock = Lock.FREE
        elif evse.lock is Lock.LOCKING:
            evse.lock = Lock.FREE
            self._withdraw(evse)
            evse.faults[LOCK_FAULT.fault_id] = LOCK_FAULT

    def release(self, evse: Evse, turn: Turn) -> None:
        """Let go of the plug, where it is held."""
        evse.held_for = None
        evse.lock_deadline_s = None
        if evse.config.has_lock:
            evse.lock = Lock.FREE
            turn.emit(ReleaseConnector(evse.evse_id))

    # Time

    def next_world_deadline_s(self) -> float | None:
        """When a wait for a plug or a token ends, on the world's clock."""
        timeout_s = self._variables.integer(CONNECTION_TIMEOUT)
        since = [evse.preparing_since_s for evse in self._evses.values() if _waits(evse)]
        first = min((at for at in since if at is not None), default=None)
        return None if first is None or not timeout_s else first + timeout_s

    def next_deadline_s(self) -> float | None:
        """When a lock is given up, on the protocol's clock."""
        deadlines = [evse.lock_deadline_s for evse in self._evses.values() if evse.lock_deadline_s is not None]
        return min(deadlines, default=None)

    def update(self, turn: Turn) -> None:
        """A plug waits for its token from when its connector can be used, be that later than it went in."""
        for evse in self._evses.values():
            if not evse.car_connected or evse.finished or evse.transaction or evse.authorization:
                continue
            if not evse.usable:
                evse.preparing_since_s = None
            elif evse.preparing_since_s is None:
                evse.preparing_since_s = turn.now.elapsed_s

    def expire(self, turn: Turn) -> None:
        """Time has passed."""
        timeout_s = self._variables.integer(CONNECTION_TIMEOUT)
        for evse in self._evses.values():
            if evse.lock_deadline_s is not None and turn.now.protocol_s >= evse.lock_deadline_s:
                self.lock(evse, LockOutcome.FAILED, turn)
            if not (timeout_s and _waits(evse)) or evse.preparing_since_s is None:
                continue
            if turn.now.elapsed_s < evse.preparing_since_s + timeout_s:
                continue
            if evse.authorization is not None and not evse.car_connected:
                self._withdraw(evse)
            elif evse.authorization is None:
                evse.finished = True
                evse.preparing_since_s = None

    # Inside

    def _stopped_by(self, id_token: IdToken, places: Iterable[Evse], turn: Turn) -> bool:
        for evse in places:
            transaction = evse.transaction
            if transaction is not None and transaction.id_token is not None:
                if transaction.id_token.key == id_token.key:
                    self._stop_locally(evse, id_token, turn)
                    return True
            elif evse.held_for is not None and evse.held_for.id_token.key == id_token.key:
                turn.emit(TokenAnswered(id_token, accepted=True, evse_id=evse.evse_id, reason="released"))
                self.release(evse, turn)
                return True
        return False

    def _taken_back(self, id_token: IdToken, places: Iterable[Evse], turn: Turn) -> bool:
        for evse in places:
            if evse.authorization is not None and evse.authorization.id_token.key == id_token.key:
                self._withdraw(evse)
                turn.emit(TokenAnswered(id_token, accepted=True, evse_id=evse.evse_id, reason="taken back"))
                return True
        return False

    def _withdraw(self, evse: Evse) -> None:
        evse.authorization = None
        if evse.car_connected:
            evse.finished = True
        evse.preparing_since_s = None

    def _stop_locally(self, evse: Evse, id_token: IdToken, turn: Turn) -> None:
        turn.emit(TokenAnswered(id_token, accepted=True, evse_id=evse.evse_id, reason="stopped"))
        reason, trigger = StoppedReason.LOCAL, TriggerReason.STOP_AUTHORIZED
        self._transactions.stop(evse, reason, trigger, turn, id_token=id_token)

    def _ask(self, id_token: IdToken, wish: Wish, turn: Turn) -> None:
        verdict = self._authorizer.ask(id_token, wish, turn, wish.contract)
        if verdict is not None:
            self.verdict(verdict, turn)

    def _start_remotely(self, id_token: IdToken, wish: Wish, group: IdToken | None, turn: Turn) -> None:
        wish = msgspec.structs.replace(wish, group_id_token=group)
        evse = self._places.for_remote_start(id_token, wish, ask=False)
        if evse is None:
            return
        granted = Authorization(
            id_token=id_token,
            group_id_token=group,
            remote_start_id=wish.remote_start_id,
            profile=wish.profile,
            movable=wish.evse_id is None and not evse.car_connected,
        )
        self._authorize(evse, granted, turn)

    def _authorize(self, evse: Evse, granted: Authorization, turn: Turn) -> None:
        evse.authorization = granted
        evse.finished = False
        evse.preparing_since_s = turn.now.elapsed_s
        if evse.reserved:
            self._show(turn)  # from Reserved the way leads over Preparing (OCPP 1.6 §4.9, G2)
        turn.emit(TokenAnswered(granted.id_token, accepted=True, evse_id=evse.evse_id))
        remote = granted.remote_start_id is not None
        self.try_start(evse, TriggerReason.REMOTE_START if remote else TriggerReason.AUTHORIZED, turn)


def _waits(evse: Evse) -> bool:
    """Whether somebody is expected to do something here."""
    if evse.transaction is not None or evse.lock is Lock.LOCKING:
        return False
    if evse.authorization is not None:
        return not evse.car_connected
    return evse.car_connected and not evse.finished and evse.usable
