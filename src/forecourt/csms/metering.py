"""Meter values: kept once each, checked, and put to their transaction (OCPP 1.6 §4.7, OCPP 2.0.1 chapter J).

Guarantees
* A reading is kept as it came. One that can't be right is kept and marked, and no energy is reckoned from it.
* The verdict on a reading depends on the transaction's start alone, not on the order in which things arrive: when the
  start comes late, all readings that came before it are judged again.
* Power is Power.Active.Import, else current times voltage phase by phase; never guessed where a voltage is missing.
"""

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

import msgspec

from forecourt.csms import connectors, published
from forecourt.csms.ports import Books, Context
from forecourt.csms.records import ENERGY_DIGITS, ConnectedStation, Reading, Transaction, TransactionState
from forecourt.csms.settings import CsmsSettings
from forecourt.csms.stations import find_station
from forecourt.csms.work import Work
from forecourt.domain.meter import LINE_OF, Measurand, MeasuredPhase, MeterValue, ReadingContext, SampledValue

_LINES: Final = {phase: line + 1 for phase, line in LINE_OF.items()}
"""0 is what is told of no phase."""
_BETWEEN_LINES: Final = frozenset({MeasuredPhase.L1_L2, MeasuredPhase.L2_L3, MeasuredPhase.L3_L1})
_AT_ONCE: Final = 100_000


def power_w(samples: Iterable[SampledValue]) -> float | None:
    """Watts that flow into the car by these samples of one instant; None where they don't say."""
    power: dict[int, float] = {}
    current: dict[int, float] = {}
    voltage: dict[int, float] = {}
    between_lines_v: float | None = None
    for sample in samples:
        value = sample.value
        if value is None or not math.isfinite(value):
            continue
        line = 0 if sample.phase is None else _LINES.get(sample.phase)
        if sample.measurand is Measurand.POWER_ACTIVE_IMPORT and line is not None:
            power[line] = value
        elif sample.measurand is Measurand.CURRENT_IMPORT and line is not None:
            current[line] = value
        elif sample.measurand is Measurand.VOLTAGE:
            if line is not None:
                voltage[line] = value
            elif sample.phase in _BETWEEN_LINES:
                between_lines_v = value
    if power:
        return power[0] if 0 in power else sum(power.values())
    if not voltage and between_lines_v is not None:
        voltage[0] = between_lines_v / math.sqrt(3)
    lines = [line for line in current if line != 0] or list(current)
    if not lines or not voltage:
        return None
    typical_v = voltage.get(0, sum(voltage.values()) / len(voltage))
    return sum(current[line] * voltage.get(line, typical_v) for line in lines)


def measured_current_a(samples: Iterable[SampledValue]) -> float | None:
    """Amperes into the car by these samples, summed over the phases; None where they don't say."""
    current: dict[int, float] = {}
    for sample in samples:
        if sample.measurand is Measurand.CURRENT_IMPORT and sample.value is not None and math.isfinite(sample.value):
            line = 0 if sample.phase is None else _LINES.get(sample.phase)
            if line is not None:
                current[line] = sample.value
    lines = [line for line in current if line != 0] or list(current)
    return sum(current[line] for line in lines) if lines else None


def register_wh(samples: Iterable[SampledValue], context: ReadingContext | None = None) -> float | None:
    """The active-import register over all phases in these samples, of `context` only where it is given."""
    found = None
    for sample in samples:
        if (
            sample.measurand is Measurand.ENERGY_ACTIVE_IMPORT_REGISTER
            and sample.phase is None
            and sample.value is not None
            and (context is None or sample.context is context)
        ):
            found = sample.value
    return found


def measured(samples: Sequence[SampledValue]) -> tuple[float | None, float | None]:
    """`register_wh` and `power_w`, in one pass over samples such as most are."""
    energy_wh = power = None
    plain = True
    for sample in samples:
        measurand, value = sample.measurand, sample.value
        if measurand is Measurand.ENERGY_ACTIVE_IMPORT_REGISTER:
            if sample.phase is None and value is not None:
                energy_wh = value
        elif measurand is Measurand.POWER_ACTIVE_IMPORT and sample.phase is None:
            if value is not None and math.isfinite(value):
                power = value
        else:
            plain = False
    return energy_wh, power if plain or power is not None else power_w(samples)


def suspicion(transaction: Transaction, energy_wh: float, at: datetime, settings: CsmsSettings) -> str | None:
    """Why a register reading can't be right; None when it can."""
    if not math.isfinite(energy_wh) or energy_wh < 0:
        return "the register is no number from 0 up"
    start_wh = transaction.meter_start_wh
    if start_wh is None:
        return None
    used_wh = energy_wh - start_wh
    if used_wh < 0:
        return "the register is below its value at the start"
    if transaction.started_at is not None:
        hours = max(0.0, (at - transaction.started_at).total_seconds()) / 3600
        if used_wh > settings.maximum_power_w * hours + settings.energy_tolerance_wh:
            return "more energy than could have flowed since the start"
    return None


def reckoned(transaction: Transaction, settings: CsmsSettings) -> Transaction:
    """`transaction` with its energy, and what is suspect about it, as its registers have it."""
    energy_wh, suspect = None, None
    stop_wh, at = transaction.meter_last_wh, transaction.meter_last_at
    if transaction.state is TransactionState.ENDED and transaction.meter_stop_wh is not None:
        stop_wh, at = transaction.meter_stop_wh, transaction.ended_at
    start_wh = transaction.meter_start_wh
    if stop_wh is not None and at is not None:
        suspect = suspicion(transaction, stop_wh, at, settings)
        if suspect is None and start_wh is not None:
            energy_wh = round(stop_wh - start_wh, ENERGY_DIGITS)
    if start_wh is not None and (not math.isfinite(start_wh) or start_wh < 0):
        energy_wh, suspect = None, "the register at the start is no number from 0 up"
    if transaction.state is TransactionState.CLOSED and transaction.stopped_reason is None:
        suspect = transaction.suspect or suspect  # closed by rule: until its end comes, or somebody has looked
    if energy_wh == transaction.energy_wh and suspect == transaction.suspect:
        return transaction
    return msgspec.structs.replace(transaction, energy_wh=energy_wh, suspect=suspect)


def take_readings(
    work: Work,
    transaction: Transaction | None,
    evse_id: int | None,
    meter_values: Sequence[MeterValue],
    reported_transaction_id: str | None = None,
) -> Transaction | None:
    """Keep `meter_values`; gives the transaction with what follows for it, not saved yet."""
    if evse_id is None:
        evse_id = 0 if transaction is None else transaction.evse_id or 0
    for meter_value in meter_values:
        energy_wh, power = measured(meter_value.samples)
        suspect = None
        if energy_wh is not None and transaction is not None:
            if transaction.meter_start_wh is None:
                begin_wh = register_wh(meter_value.samples, ReadingContext.TRANSACTION_BEGIN)
                if begin_wh is not None:
                    transaction = rejudged(work, msgspec.structs.replace(transaction, meter_start_wh=begin_wh))
            suspect = suspicion(transaction, energy_wh, meter_value.at, work.settings)
            if suspect is None:
                transaction = _with_last(transaction, energy_wh, meter_value.at)
        number = None if transaction is None else transaction.number
        keep_reading(
            work.books,
            work.station,
            work.at,
            number,
            evse_id,
            meter_value,
            energy_wh,
            power,
            suspect,
            reported_transaction_id,
        )
        if power is not None and (transaction is None or transaction.state is TransactionState.ACTIVE):
            connector_id = None if transaction is None else transaction.connector_id
            connectors.power_measured(work, evse_id, connector_id, power, meter_value.at)
    return transaction


def keep_reading(
    books: Books,
    station: ConnectedStation,
    now: datetime,
    transaction_number: int | None,
    evse_id: int,
    meter_value: MeterValue,
    energy_wh: float | None,
    power_w: float | None,
    suspect: str | None = None,
    reported_transaction_id: str | None = None,
) -> None:
    """Put a reading that came `now` into the books; those who listen are told of it."""
    body = published.MeterSampleBody(
        evse_id=evse_id,
        at=meter_value.at,
        transaction_number=transaction_number,
        energy_wh=energy_wh,
        power_w=power_w,
        suspect=suspect,
    )
    books.events.append(station.organisation_id, published.METER_SAMPLE, now, station.id, body)
    books.transactions.add_reading(
        Reading(
            organisation_id=station.organisation_id,
            station_number=station.number,
            evse_id=evse_id,
            transaction_number=transaction_number,
            reported_transaction_id=reported_transaction_id,
            at=meter_value.at,
            energy_wh=energy_wh,
            power_w=power_w,
            samples=meter_value.samples,
            suspect=suspect,
            received_at=now,
        )
    )


def rejudged(work: Work, transaction: Transaction) -> Transaction:
    """`transaction`, whose start has just become known, with all readings that came before it judged by it."""
    transaction = msgspec.structs.replace(transaction, meter_last_wh=None, meter_last_at=None)
    marks = []
    known = work.books.transactions.readings(
        station_number=work.station.number,
        transaction_number=transaction.number,
        evse_id=None,
        since=None,
        until=None,
        limit=_AT_ONCE,
    )
    for reading in known:
        if reading.energy_wh is not None:
            suspect = suspicion(transaction, reading.energy_wh, reading.at, work.settings)
            if suspect is None:
                transaction = _with_last(transaction, reading.energy_wh, reading.at)
            if suspect != reading.suspect:
                marks.append((reading, suspect))
    if marks:
        work.books.transactions.mark_readings(marks)
    return transaction


def _with_last(transaction: Transaction, energy_wh: float, at: datetime) -> Transaction:
    last_at, last_wh = transaction.meter_last_at, transaction.meter_last_wh
    if last_at is not None and last_wh is not None and (last_at, last_wh) >= (at, energy_wh):
        return transaction
    return msgspec.structs.replace(transaction, meter_last_wh=energy_wh, meter_last_at=at)


# For the API


async def list_readings(
    context: Context,
    station_id: str,
    *,
    evse_id: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 1000,
) -> tuple[Reading, ...]:
    """A station's readings, the earliest first; the next page begins after the last one's `at`. Raises NotFound."""

    def query(books: Books) -> tuple[Reading, ...]:
        number = find_station(books, context.organisation_id, station_id).number
        found = books.transactions.readings(
            station_number=number,
            transaction_number=None,
            evse_id=evse_id,
            since=since,
            until=until,
            limit=limit,
        )
        return tuple(found)

    return await context.store.read(query)
