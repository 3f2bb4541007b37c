"""The next good reading of a transaction that runs, as most messages of most stations are: taken in by the short way.

Guarantees
* What comes of it is what `metering.take_readings` and `kept_transactions.keep` make of the same message (a test holds
  the two to each other). Whatever is not as usual is left to them, untouched.
* The books are told of each reading at once, and asked for nothing; transaction and connector are reckoned when
  somebody looks at them.
"""

import math
from datetime import datetime
from typing import Final

from forecourt.csms import metering
from forecourt.csms.ports import Books
from forecourt.csms.records import ConnectedStation, Transaction, TransactionState
from forecourt.csms.running import RunningMeter, RunningPower
from forecourt.csms.settings import CsmsSettings
from forecourt.domain.events import Acknowledged, MeterSampled
from forecourt.domain.station import ConnectorStatus

_ACKNOWLEDGED: Final = Acknowledged()


def take(
    books: Books, settings: CsmsSettings, station: ConnectedStation, event: MeterSampled, now: datetime
) -> Acknowledged | None:
    """Take in a message that came `now` and says nothing but `event`; None: nothing was done, it is not as usual."""
    transaction_id = event.transaction_id
    if transaction_id is None or len(event.meter_values) != 1:
        return None
    meter = books.transactions.meter(station.number, transaction_id) or _begun(books, station.number, transaction_id)
    if meter is None:
        return None
    value = event.meter_values[0]
    told_at, transaction = value.at, meter.record
    evse_id = transaction.evse_id
    energy_wh, power_w = metering.measured(value.samples)
    if (
        energy_wh is None
        or not evse_id
        or (event.evse_id is not None and event.evse_id != evse_id)
        or (meter.last_at is not None and meter.last_at >= told_at)
        or metering.suspicion(transaction, energy_wh, told_at, settings) is not None
    ):
        return None
    if power_w is not None:
        power = meter.power
        if power is None or not books.stations.stands(power.record):
            power = meter.power = _power(books, transaction, evse_id, settings)
        power_at = min(told_at, now)
        if power is None or not power.is_usual(power_w, power_at):
            return None
        power.power_w, power.power_at, power.updated_at = power_w, power_at, now
        books.stations.owe(power)
    meter.last_wh, meter.last_at, meter.updated_at = energy_wh, told_at, now
    books.transactions.owe(meter)
    metering.keep_reading(books, station, now, transaction.number, evse_id, value, energy_wh, power_w)
    books.stations.touch(station.number, now, (told_at - now).total_seconds())
    return _ACKNOWLEDGED


# Inside


def _begun(books: Books, station_number: int, transaction_id: str) -> RunningMeter | None:
    """Of a transaction that the books have in mind; None: it runs in another way, or they have to look."""
    transaction = books.transactions.known(station_number, transaction_id)
    if (
        transaction is None
        or transaction.state is not TransactionState.ACTIVE
        or transaction.suspect is not None
        or transaction.reservation_id is not None
        or (start_wh := transaction.meter_start_wh) is None
        or not 0 <= start_wh < math.inf
    ):
        return None
    meter = RunningMeter(transaction)
    books.transactions.run(meter)
    return meter


def _power(books: Books, transaction: Transaction, evse_id: int, settings: CsmsSettings) -> RunningPower | None:
    connector = books.stations.known(transaction.station_number, evse_id, transaction.connector_id or 1)
    if connector is None or connector.connector_status is ConnectorStatus.AVAILABLE:
        return None
    return RunningPower(connector, settings.charging_threshold_w)
