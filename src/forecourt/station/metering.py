"""Meter values: sampled, clock-aligned, and kept for the end of a transaction.

Guarantees
* Samples of a transaction are taken every TxUpdatedInterval from its start; clock-aligned values every
  AlignedDataCtrlr.Interval from midnight UTC, stamped with exactly that instant (OCPP 1.6 §3.16; OCTT TC_070, TC_071).
* All that the hardware measures of a wanted measurand is told: every phase, every measuring point (§3.16.3). What it
  does not measure is left out. An empty list of measurands to send means the energy register (OCTT TC_070, TC_071).
* Values for the end are kept in the journal row by row, those of begin and end always (errata §3.14); when they grow
  too many, every other one between goes (errata §3.89). Empty lists keep nothing (§3.16.5).
* Signed values pass through untouched.
* A clock that jumps moves the aligned instants with it and never repeats one.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from forecourt.domain.meter import Measurand, MeterValue, ReadingContext, SampledValue
from forecourt.station.config import StationConfig
from forecourt.station.dating import dated
from forecourt.station.evse import Evse
from forecourt.station.turn import Turn
from forecourt.station.variable_table import (
    ALIGNED_ENDED_INTERVAL,
    ALIGNED_ENDED_MEASURANDS,
    ALIGNED_INTERVAL,
    ALIGNED_MEASURANDS,
    ENDED_INTERVAL,
    ENDED_MEASURANDS,
    ENDED_MOST_VALUES,
    SAMPLED_INTERVAL,
    SAMPLED_MEASURANDS,
    STARTED_MEASURANDS,
)
from forecourt.station.variables import Selection, Variables

ENERGY: Final = Measurand.ENERGY_ACTIVE_IMPORT_REGISTER
_ENERGY_ONLY: Final[Selection] = ((ENERGY, None),)
decode_value = msgspec.json.Decoder(MeterValue).decode


def rows_section(transaction_id: str) -> str:
    """Where the journal keeps the values for the end of a transaction."""
    return f"values/{transaction_id}"


class Reading(msgspec.Struct, frozen=True):
    """What a meter said last."""

    at: datetime
    samples: tuple[SampledValue, ...]

    def energy_wh(self) -> float | None:
        """The energy register over all phases; where the meter knows it only by phase, their sum."""
        by_phase = 0.0
        found = False
        for sample in self.samples:
            if sample.measurand is ENERGY and sample.value is not None:
                if sample.phase is None:
                    return sample.value
                by_phase, found = by_phase + sample.value, True
        return by_phase if found else None


class Due(msgspec.Struct, frozen=True):
    """It is time to read the meters: for whom, and the instant to stamp the values with."""

    evse_id: int
    at: datetime
    to_send: bool
    to_keep: bool
    aligned: bool


class _Sampling(msgspec.Struct):
    """When the values of one transaction were last taken, on the world's clock."""

    sent_s: float
    kept_s: float
    next_row: int = 0
    rows: dict[int, MeterValue] = {}


class Metering:
    """The last readings, and when to take the next."""

    __slots__ = ("_aligned_at", "_config", "_evses", "_readings", "_register_apart", "_sampling", "_variables", "_zero")

    def __init__(
        self, config: StationConfig, variables: Variables, evses: Mapping[int, Evse], *, register_apart: bool
    ) -> None:
        self._config = config
        self._variables = variables
        self._evses = evses
        self._register_apart = register_apart
        """Whether the register at the end is told apart from the meter values (`Capabilities`)."""
        self._readings: dict[int, Reading] = {}
        self._sampling: dict[str, _Sampling] = {}
        self._aligned_at: dict[int, datetime] = {}
        """The next instant, by interval in seconds."""
        self._zero: tuple[datetime, float] | None = None
        """One instant on the calendar and on the world's clock, to go from one to the other."""

    # Readings

    def take(self, evse_id: int, samples: tuple[SampledValue, ...], turn: Turn) -> None:
        """The meter has spoken."""
        self._readings[evse_id] = Reading(turn.at, samples)

    def energy_wh(self, evse_id: int) -> float | None:
        """The register of an EVSE as last read."""
        reading = self._readings.get(evse_id)
        return None if reading is None else reading.energy_wh()

    def value(self, evse_id: int, wanted: Selection, context: ReadingContext, at: datetime) -> MeterValue | None:
        """The wanted part of the last reading; None when there is nothing of it."""
        reading = self._readings.get(evse_id)
        offered = self._offered(evse_id)
        samples: list[SampledValue] = []
        for measurand, phase in wanted:
            found = [
                msgspec.structs.replace(sample, context=context)
                for sample in (*(reading.samples if reading else ()), *offered)
                if sample.measurand is measurand and (phase is None or sample.phase is phase)
            ]
            samples.extend(sample for sample in found if sample not in samples)
        return MeterValue(at, tuple(samples)) if samples else None

    def at_start(self, evse: Evse, turn: Turn) -> tuple[MeterValue, ...]:
        """What is told with the start of a transaction: the energy register, and what else is configured."""
        wanted = _with_energy(self._variables.measurands(STARTED_MEASURANDS))
        return _some(self.value(evse.evse_id, wanted, ReadingContext.TRANSACTION_BEGIN, turn.at))

    def triggered(self, evse_id: int, turn: Turn) -> MeterValue | None:
        """The most recent measurements of what is sampled (OCPP 1.6 §5.17)."""
        wanted = self._variables.measurands(SAMPLED_MEASURANDS) or _ENERGY_ONLY
        return self.value(evse_id, wanted, ReadingContext.TRIGGER, turn.at)

    # Transactions

    def begin(self, transaction_id: str, evse_id: int, turn: Turn) -> None:
        """A transaction has begun."""
        self._sampling[transaction_id] = _Sampling(turn.now.elapsed_s, turn.now.elapsed_s)
        self._keep(transaction_id, evse_id, self._ended(), ReadingContext.TRANSACTION_BEGIN, turn.at, turn)

    def resume(self, transaction_id: str, rows: Mapping[str, bytes], age_s: float, turn: Turn) -> None:
        """A transaction begun `age_s` seconds ago goes on after a restart; the samples keep their rhythm."""
        sent_s = turn.now.elapsed_s - _phase_of(age_s, self._variables.integer(SAMPLED_INTERVAL))
        kept_s = turn.now.elapsed_s - _phase_of(age_s, self._variables.integer(ENDED_INTERVAL))
        values = {int(key): decode_value(raw) for key, raw in sorted(rows.items())}
        self._sampling[transaction_id] = _Sampling(sent_s, kept_s, max(values, default=-1) + 1, values)

    def end(self, evse: Evse, register: SampledValue, at: datetime, turn: Turn) -> tuple[MeterValue, ...]:
        """What is told with the end: all that was kept, and the final readings, the energy register at least.

        `register` is the final register; at a power loss the journal's, for which there is no other reading.
        """
        transaction = evse.transaction
        if transaction is None:
            return ()
        sampling = self._sampling.pop(transaction.transaction_id, None)
        turn.clear(rows_section(transaction.transaction_id))
        wanted = self._ended()
        final = self.value(evse.evse_id, wanted, ReadingContext.TRANSACTION_END, at) if wanted else None
        samples = () if final is None else tuple(sample for sample in final.samples if not _is_register(sample))
        register_wanted = any(measurand is ENERGY for measurand, _ in wanted)
        last = [MeterValue(at, (register, *samples))] if register_wanted or not self._register_apart else []
        if self._register_apart:
            last = [*(last or ([MeterValue(at, samples)] if samples else [])), MeterValue(at, (register,))]
        return (*(sampling.rows.values() if sampling else ()), *last)

    def forget(self, transaction_id: str) -> None:
        """No more values for this one."""
        self._sampling.pop(transaction_id, None)

    def keep(self, due: Due, transaction_id: str, turn: Turn) -> None:
        """Put away what is due for the end of a transaction."""
        wanted = self._variables.measurands(ALIGNED_ENDED_MEASURANDS if due.aligned else ENDED_MEASURANDS)
        context = ReadingContext.SAMPLE_CLOCK if due.aligned else ReadingContext.SAMPLE_PERIODIC
        self._keep(transaction_id, due.evse_id, wanted, context, due.at, turn)

    def to_send(self, due: Due) -> MeterValue | None:
        """What is due to be sent."""
        variable = ALIGNED_MEASURANDS if due.aligned else SAMPLED_MEASURANDS
        context = ReadingContext.SAMPLE_CLOCK if due.aligned else ReadingContext.SAMPLE_PERIODIC
        return self.value(due.evse_id, self._variables.measurands(variable) or _ENERGY_ONLY, context, due.at)

    # Time

    def next_deadline_s(self) -> float | None:
        """When to call `due`, on the world's clock."""
        deadlines: list[float] = []
        sent_every_s = self._variables.integer(SAMPLED_INTERVAL)
        kept_every_s = self._variables.integer(ENDED_INTERVAL) if self._variables.measurands(ENDED_MEASURANDS) else 0
        for sampling in self._sampling.values():
            if sent_every_s:
                deadlines.append(sampling.sent_s + sent_every_s)
            if kept_every_s:
                deadlines.append(sampling.kept_s + kept_every_s)
        if self._zero is not None:
            zero_at, zero_s = self._zero
            deadlines.extend(zero_s + (at - zero_at).total_seconds() for at in self._aligned_at.values())
        return min(deadlines, default=None)

    def align(self, turn: Turn) -> None:
        """See to it that the next aligned instants fit the settings and the clock."""
        self._zero = (turn.at, turn.now.elapsed_s)
        intervals = {self._variables.integer(ALIGNED_INTERVAL)}
        if self._variables.measurands(ALIGNED_ENDED_MEASURANDS):
            intervals.add(self._variables.integer(ALIGNED_ENDED_INTERVAL))
        intervals.discard(0)
        if self._aligned_at.keys() != intervals:
            self._aligned_at = {interval_s: _next_aligned(turn.at, interval_s) for interval_s in intervals}
        for interval_s, at in self._aligned_at.items():
            # The clock was set back: what lies further away than one interval is not the next instant any more.
            if at - turn.at > timedelta(seconds=interval_s):
                self._aligned_at[interval_s] = _next_aligned(turn.at, interval_s)

    def due(self, turn: Turn) -> list[Due]:
        """What is to be read now, in the order of its instants."""
        self.align(turn)
        return [*self._due_aligned(turn), *self._due_sampled(turn)]

    def _due_sampled(self, turn: Turn) -> Iterable[Due]:
        sent_every_s = self._variables.integer(SAMPLED_INTERVAL)
        kept_every_s = self._variables.integer(ENDED_INTERVAL) if self._variables.measurands(ENDED_MEASURANDS) else 0
        for evse in self._evses.values():
            sampling = None if evse.transaction is None else self._sampling.get(evse.transaction.transaction_id)
            if sampling is None:
                continue
            elapsed_s = turn.now.elapsed_s
            to_send = bool(sent_every_s) and elapsed_s >= sampling.sent_s + sent_every_s
            to_keep = bool(kept_every_s) and elapsed_s >= sampling.kept_s + kept_every_s
            if to_send:  # a sample that was missed is not made up for: its reading is gone
                sampling.sent_s = _last_due(sampling.sent_s, sent_every_s, elapsed_s)
            if to_keep:
                sampling.kept_s = _last_due(sampling.kept_s, kept_every_s, elapsed_s)
            if to_send or to_keep:
                yield Due(evse.evse_id, turn.at, to_send, to_keep, aligned=False)

    def _due_aligned(self, turn: Turn) -> Iterable[Due]:
        sent_every_s = self._variables.integer(ALIGNED_INTERVAL)
        kept_every_s = self._variables.integer(ALIGNED_ENDED_INTERVAL)
        passed = {interval_s: at for interval_s, at in self._aligned_at.items() if turn.at >= at}
        for interval_s in passed:
            self._aligned_at[interval_s] = _next_aligned(turn.at, interval_s)
            instant = _next_aligned(turn.at, interval_s, before=True)
            for evse_id in (0, *self._evses):
                to_send = interval_s == sent_every_s
                to_keep = interval_s == kept_every_s and bool(self._variables.measurands(ALIGNED_ENDED_MEASURANDS))
                if evse_id in self._readings and (to_send or to_keep):
                    yield Due(evse_id, instant, to_send, to_keep, aligned=True)

    def date(self, ahead: timedelta, turn: Turn) -> None:
        """The time has become known: what was stamped before gets its true time (`dating`)."""
        for transaction_id, sampling in self._sampling.items():
            for row, value in sampling.rows.items():
                if (made := dated(value, ahead)) is not value:
                    sampling.rows[row] = made
                    turn.put(rows_section(transaction_id), f"{row:08d}", made)

    # Inside

    def _ended(self) -> Selection:
        """Everything configured for the end, each once (errata §3.14)."""
        both = (*self._variables.measurands(ENDED_MEASURANDS), *self._variables.measurands(ALIGNED_ENDED_MEASURANDS))
        return tuple(dict.fromkeys(both))

    def _keep(
        self, transaction_id: str, evse_id: int, wanted: Selection, context: ReadingContext, at: datetime, turn: Turn
    ) -> None:
        sampling = self._sampling.get(transaction_id)
        value = self.value(evse_id, wanted, context, at) if wanted else None
        if sampling is None or value is None:
            return
        row, sampling.next_row = sampling.next_row, sampling.next_row + 1
        sampling.rows[row] = value
        section = rows_section(transaction_id)
        turn.put(section, f"{row:08d}", value)
        if len(sampling.rows) >= max(3, self._variables.integer(ENDED_MOST_VALUES)):
            for gone in list(sampling.rows)[1:-1:2]:  # the first is the begin, the end is still to come
                del sampling.rows[gone]
                turn.delete(section, f"{gone:08d}")

    def _offered(self, evse_id: int) -> tuple[SampledValue, ...]:
        """What is offered to the car: known without a meter."""
        evse = self._evses.get(evse_id)
        if evse is None:
            return ()
        limit_a = evse.limit_a if evse.offering else 0.0
        power_w = limit_a * evse.number_phases * self._config.voltage_v
        return (
            SampledValue(limit_a, Measurand.CURRENT_OFFERED),
            SampledValue(power_w, Measurand.POWER_OFFERED),
        )


def _with_energy(selection: Selection) -> Selection:
    return selection if (ENERGY, None) in selection else (*_ENERGY_ONLY, *selection)


def _some(value: MeterValue | None) -> tuple[MeterValue, ...]:
    return () if value is None else (value,)


def _is_register(sample: SampledValue) -> bool:
    return sample.measurand is ENERGY and sample.phase is None


def _phase_of(age_s: float, interval_s: int) -> float:
    """How far into its interval something of this age is."""
    return age_s % interval_s if interval_s else 0.0


def _last_due(since_s: float, interval_s: int, elapsed_s: float) -> float:
    """The last instant, whole intervals after `since_s`, that has come; one that is due has come, whatever a division
    of floats says: it is always later than `since_s`.
    """
    last_s = since_s + max(1, int((elapsed_s - since_s) // interval_s)) * interval_s
    return last_s + interval_s if last_s + interval_s <= elapsed_s else last_s


def _next_aligned(at: datetime, interval_s: int, *, before: bool = False) -> datetime:
    """The first aligned instant after `at`, or the last not after it. Intervals begin anew every midnight UTC."""
    midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    count = int((at - midnight).total_seconds() // interval_s)
    if before:
        return midnight + timedelta(seconds=count * interval_s)
    return min(midnight + timedelta(seconds=(count + 1) * interval_s), midnight + timedelta(days=1))
