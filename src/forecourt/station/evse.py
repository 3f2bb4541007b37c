"""One EVSE: what its control pilot, cable, lock and faults say, and the connector state that follows from it.

Guarantees
* Nothing is stored that can be derived: the state shown to others is a function of facts (`Evse.shown`), in an order of
  precedence: Faulted, then a transaction, then Unavailable, then what car, token and reservation make of it.
* Faulted only for an error that makes the connector inoperative; other errors are warnings (OCPP 1.6 §4.9).
* Suspended by both sides counts as suspended by the EVSE (OCPP 1.6 §4.9).
"""

from datetime import datetime
from enum import Enum
from typing import Final

import msgspec

from forecourt.domain.profile import ChargingProfile
from forecourt.domain.station import ConnectorError, ConnectorStatus
from forecourt.domain.token import IdToken
from forecourt.domain.transaction import ChargingState
from forecourt.station.calls import ShownState
from forecourt.station.config import EvseConfig
from forecourt.station.inputs import Fault, Pilot

EV_SIDE_DISCONNECTED: Final = ConnectorError(code="NoError", info="EV side disconnected")
"""Told with the state while a transaction outlives its plug (OCPP 1.6 §4.9; OCTT TC_005_3_CS)."""

_INFO_LENGTH: Final = 50
_VENDOR_ID_LENGTH: Final = 255


class Authorization(msgspec.Struct, frozen=True, kw_only=True):
    """A token that may charge, on its way to a transaction."""

    id_token: IdToken
    group_id_token: IdToken | None = None
    remote_start_id: int | None = None
    profile: ChargingProfile | None = None
    """The TxProfile that came with a remote start: for the transaction that follows (OCPP 1.6 §5.16.2)."""
    movable: bool = False
    """Nobody chose the EVSE: a plug that goes in elsewhere takes it along."""


class Transaction(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An open transaction, as the journal keeps it."""

    transaction_id: str
    """The station's own."""
    evse_id: int
    id_token: IdToken | None
    group_id_token: IdToken | None = None
    started_at: datetime
    start_wh: float
    reading_at: datetime
    reading_wh: float
    """The last reading that the journal knows."""
    next_seq_no: int = 0
    remote_start_id: int | None = None
    charging_since: datetime | None = None
    refused_at_wh: float | None = None
    """The register when the CSMS refused the token; None: it has not."""
    withheld: bool = False
    """No energy any more, because of that."""
    told_state: ChargingState | None = None

    def register_is(self, energy_wh: float, at: datetime) -> None:
        """The register was read."""
        self.reading_wh, self.reading_at = energy_wh, at


class Lock(Enum):
    """Where the plug's lock is in its movement."""

    FREE = "free"
    LOCKING = "locking"
    LOCKED = "locked"


class Evse:
    """The facts about one EVSE."""

    __slots__ = (
        "authorization",
        "cable",
        "config",
        "disabled_here",
        "enabled",
        "evse_id",
        "faults",
        "finished",
        "held_for",
        "inoperative_at_end",
        "interrupted",
        "limit_a",
        "local_limit_a",
        "lock",
        "lock_deadline_s",
        "number_phases",
        "offering",
        "out_for_update",
        "pilot",
        "preparing_since_s",
        "reserved",
        "transaction",
        "unlocking",
    )

    def __init__(self, evse_id: int, config: EvseConfig) -> None:
        self.evse_id = evse_id
        self.config = config
        self.pilot: Pilot | None = None
        """None: the hardware has not said since the start."""
        self.cable: bool | None = None
        """None: a fixed cable, or not said."""
        self.enabled = True
        """What the CSMS wants of it."""
        self.disabled_here = False
        """Somebody on site has taken it out of use."""
        self.out_for_update = False
        """The firmware is about to be installed: nothing new may start."""
        self.inoperative_at_end = False
        self.faults: dict[str, Fault] = {}
        self.reserved = False
        """Kept for somebody who has not come yet: what `Reservations` makes of it."""
        self.authorization: Authorization | None = None
        self.transaction: Transaction | None = None
        self.finished = False
        """The car has been charged, or waited too long for a token: what follows needs somebody to act."""
        self.held_for: Authorization | None = None
        """The plug stays locked until this token, or one of its group, is presented (errata §3.5)."""
        self.interrupted = False
        """The transaction comes from the journal, and the hardware has not said yet whether its car is still there."""
        self.preparing_since_s: float | None = None
        self.lock = Lock.FREE
        self.lock_deadline_s: float | None = None
        self.unlocking = False
        """The CSMS has asked for the plug: no energy until the lock has answered."""
        self.local_limit_a: float | None = None
        self.limit_a = 0.0
        self.number_phases = config.number_phases
        self.offering = False
        """Whether the power path is closed."""

    @property
    def operative(self) -> bool:
        """Whether it is in use: for the CSMS, for the site, and for an update of the firmware."""
        return self.enabled and not self.disabled_here and not self.out_for_update

    @property
    def car_connected(self) -> bool:
        """Whether energy could reach a car."""
        return self.pilot is not None and self.pilot.car_connected and self.cable is not False

    @property
    def occupied(self) -> bool:
        """Whether a plug or a car is in the way of the next one."""
        return self.car_connected or self.cable is True

    @property
    def faulted(self) -> bool:
        """Whether a fault keeps it from delivering energy."""
        return any(fault.inoperative for fault in self.faults.values())

    @property
    def usable(self) -> bool:
        """Whether a transaction may start here, as far as the EVSE itself knows."""
        return self.operative and not self.faulted and self.transaction is None

    @property
    def idle(self) -> bool:
        """Whether nobody uses it or is about to."""
        return self.usable and not self.occupied and self.authorization is None

    @property
    def waiting_for_token(self) -> bool:
        """Whether a car has been plugged in and nobody has shown a token for it."""
        return self.usable and self.car_connected and self.authorization is None and not self.finished

    def shown(self) -> ShownState:
        """The state others are told of."""
        if self.faulted:
            worst = [fault for fault in self.faults.values() if fault.inoperative][-1]
            return ShownState(ConnectorStatus.FAULTED, None, error_of(worst))
        if self.transaction is not None:
            error = None if self.car_connected or self.interrupted else EV_SIDE_DISCONNECTED
            return ShownState(ConnectorStatus.OCCUPIED, self.charging_state(), error)
        if not self.operative:
            return ShownState(ConnectorStatus.UNAVAILABLE)
        if self.reserved and self.authorization is None:
            return ShownState(ConnectorStatus.RESERVED)  # a plug alone does not end that (OCPP 1.6 §4.9, G1 to G9)
        if self.occupied and self.finished:
            return ShownState(ConnectorStatus.OCCUPIED, ChargingState.EV_CONNECTED)
        if self.occupied or self.authorization is not None:
            return ShownState(ConnectorStatus.OCCUPIED)
        return ShownState(ConnectorStatus.AVAILABLE)

    def charging_state(self) -> ChargingState:
        """What charging does, during a transaction."""
        if self.interrupted:
            return ChargingState.SUSPENDED_EVSE
        if not self.car_connected:
            return ChargingState.IDLE  # the transaction waits for the plug to come back (OCPP 1.6 §4.9)
        if not self.offering:
            return ChargingState.SUSPENDED_EVSE
        return ChargingState.CHARGING if self.pilot is not None and self.pilot.car_ready else ChargingState.SUSPENDED_EV


def error_of(fault: Fault) -> ConnectorError:
    """How a fault is told: info is its origin, the vendor's code its type, the vendor's id its message.

    That is the seed's mapping of the hardware's errors; the lengths are those of OCPP 1.6 §6.47.
    """
    return ConnectorError(
        code=fault.code,
        info=fault.origin[:_INFO_LENGTH] or None,
        vendor_id=fault.message[:_VENDOR_ID_LENGTH] or None,
        vendor_error_code=fault.error_type[:_INFO_LENGTH] or None,
    )
