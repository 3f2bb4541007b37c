"""What goes on while a car charges: a transaction while it is metered, a connector while its power is measured.

Guarantees
* What readings come to is noted in plain numbers; a record is made of them when somebody looks at it.
"""

import math
from datetime import datetime

import msgspec

from forecourt.csms.records import ENERGY_DIGITS, Connector, Transaction
from forecourt.csms.views import view_of


class RunningPower:
    """A connector while its power is measured."""

    __slots__ = ("_idle", "_threshold_w", "_under_power", "power_at", "power_w", "record", "updated_at")

    def __init__(self, record: Connector, threshold_w: float) -> None:
        self.record = record
        self._threshold_w = threshold_w
        self._under_power = view_of(msgspec.structs.replace(record, power_w=math.inf), threshold_w)
        self._idle = view_of(msgspec.structs.replace(record, power_w=-math.inf), threshold_w)
        self.power_w = record.power_w
        self.power_at = record.power_at
        self.updated_at = record.updated_at

    def newest(self) -> Connector:
        """See `store.kept.Debtor`."""
        self.record = msgspec.structs.replace(
            self.record, power_w=self.power_w, power_at=self.power_at, updated_at=self.updated_at
        )
        return self.record

    def is_usual(self, power_w: float, at: datetime) -> bool:
        """Whether it is the next one, and nobody would see another state of the connector."""
        view = self._under_power if power_w >= self._threshold_w else self._idle
        return view is self.record.view and (self.power_at is None or at >= self.power_at)


class RunningMeter:
    """A transaction while it is metered."""

    __slots__ = ("last_at", "last_wh", "power", "record", "updated_at")

    def __init__(self, record: Transaction) -> None:
        self.record = record
        self.power: RunningPower | None = None
        self.last_wh = record.meter_last_wh
        self.last_at = record.meter_last_at
        self.updated_at = record.updated_at

    def newest(self) -> Transaction:
        """See `store.kept.Debtor`."""
        start_wh, last_wh = self.record.meter_start_wh, self.last_wh
        assert start_wh is not None
        assert last_wh is not None
        self.record = msgspec.structs.replace(
            self.record,
            meter_last_wh=last_wh,
            meter_last_at=self.last_at,
            energy_wh=round(last_wh - start_wh, ENERGY_DIGITS),
            updated_at=self.updated_at,
        )
        return self.record
