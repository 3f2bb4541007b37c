"""Which limit holds, when, and whose it is: installed charging profiles read as one schedule. Pure.

Guarantees
* Within a purpose the highest stack level that has a value at an instant leads; where its schedule has none (before
  its start, after its duration, between two recurrences, outside validFrom/validTo) the next level shows through
  (OCPP 1.6 §3.13.2 and §5.16.4 with errata 3.7 and 3.43; OCPP 2.0.1 K01; OCTT TC_072, TC_K_40).
* Over purposes the lowest limit wins (OCPP 1.6 §3.13.3, K08.FR.04); no result is above any limit that applies, nor
  above the hardware. Of the transaction's own purposes just one counts: priority charging when it is switched on,
  else TxProfile, else TxDefaultProfile. An installed and valid TxProfile keeps TxDefaultProfiles out for as long as
  the transaction lasts, even after its own duration (OCPP 1.6 §3.13.1; OCTT TC_066, TC_K_41: `TxProfileReach`).
* A TxDefaultProfile of an EVSE replaces the one of EVSE 0 at the same stack level, for that EVSE (OCPP 1.6 §3.13.1).
* Every stretch names its winner and says why in words.
* A schedule that breaks the rules of `profile_rules` is read as far as it makes sense; nothing here raises.

Time is UTC throughout and a day is 86400 s long (OCPP 1.6 §7.37 with errata 3.78), so
daylight saving has no say: whoever wants local evenings sends a special profile (OCPP 1.6 §3.13.7).

Units (OCPP 1.6 §7.12, K01.FR.49, K01.FR.50): ampere are per phase, watts a total. Watts become ampere with the phases
the period names (3 if it names none), whatever the EVSE has: a limit is never recomputed for fewer phases (OCPP 1.6
errata 3.34). Ampere become watts with the phases in use: the least of the EVSE's and of all periods that apply
(K01.FR.140). Results are exact; whoever must round for the wire rounds down.

LocalGeneration only ever adds capacity and is left out: the result is then too low, never too high.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import Enum
from typing import Final, NamedTuple

import msgspec

from forecourt.domain.profile import (
    ChargingProfile,
    ChargingProfilePurpose,
    ChargingRateUnit,
    ChargingSchedulePeriod,
    CompositePeriod,
    CompositeSchedule,
    InstalledProfile,
)
from forecourt.domain.profile_time import END, Reading, earlier, expired, later, read
from forecourt.quantities import DEFAULT_NUMBER_PHASES, NOMINAL_VOLTAGE_V, current_of_power, power_of_current

MOST_PERIODS: Final = 1024
"""Where a composite schedule stops unless told otherwise, so that nobody can ask for a century of them."""

_SECOND: Final = timedelta(seconds=1)


class TxProfileReach(Enum):
    """For how long a TxProfile keeps TxDefaultProfiles out."""

    WHILE_INSTALLED = "while installed"
    """As long as the transaction lasts and the profile is valid, as OCPP 1.6 §3.13.1 and OCTT TC_066, TC_K_41 say."""
    WHILE_IT_LIMITS = "while it limits"
    """Only while its schedule has a value; never gives more than the other reading. Many stations do this."""


class ActiveTransaction(msgspec.Struct, frozen=True):
    """The transaction on an EVSE; relative schedules count from `charging_since`, or `started_at` until that is known.

    `charging_since` is when the EVSE became ready to deliver energy (OCPP 2.0.1 ChargingProfileKindEnumType Relative).
    """

    transaction_id: str
    started_at: datetime
    charging_since: datetime | None = None


class ChargingContext(msgspec.Struct, frozen=True, kw_only=True):
    """What the profiles meet on an EVSE (or, for EVSE 0, on the station)."""

    hardware_max_a: float
    """What the hardware bears, ampere per phase."""
    transaction: ActiveTransaction | None = None
    number_phases: int | None = 3
    """Phases of the supply; None: direct current, where ampere times `voltage_v` is the power."""
    voltage_v: float = NOMINAL_VOLTAGE_V
    local_limit_a: float | None = None
    """A limit of the station's own making (heat, local balancing), ampere per phase."""
    priority_charging: bool = False
    """Whether the driver's or CSMS's request for priority charging is on."""
    tx_profile_reach: TxProfileReach = TxProfileReach.WHILE_INSTALLED
    evses: dict[int, "ChargingContext"] = {}
    """For EVSE 0: the EVSEs whose limits add up to what the station may draw. Empty: only the station's own limits."""


class ProfileLimit(NamedTuple):
    """What one profile says at an instant; `rate_limit` in the unit that was asked for."""

    installed: InstalledProfile
    period: ChargingSchedulePeriod
    since: datetime
    rate_limit: float


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """The limit that holds at an instant; it can't change before `until` (None: never, as things are).

    `winner` is None when the station's own limits are the lowest.
    """

    rate_limit: float
    rate_unit: ChargingRateUnit
    number_phases: int | None
    phase_to_use: int | None
    until: datetime | None
    winner: InstalledProfile | None
    min_charging_rate: float | None
    applied: tuple[ProfileLimit, ...]
    """The leading profile of every purpose that had something to say."""
    own_name: str
    own_limit: float
    """The station's own lowest limit, and what it is."""

    @property
    def reason(self) -> str:
        """Who won and what the others would have allowed, in words."""
        unit = self.rate_unit.value
        won = next((entry for entry in self.applied if entry.installed is self.winner), None)
        if won is None:
            words = [f"{self.own_name}: {self.own_limit:g} {unit}"]
        else:
            profile = won.installed.profile
            place = f"stack level {profile.stack_level}, period from {_moment(won.since)}"
            words = [f"{_name(profile)}, {place}: {won.rate_limit:g} {unit}"]
        words += [
            f"{_name(entry.installed.profile)} would allow {entry.rate_limit:g} {unit}"
            for entry in self.applied
            if entry is not won
        ]
        return "; ".join(words)


def composite_schedule(
    installed: Iterable[InstalledProfile],
    evse_id: int,
    start: datetime,
    duration_s: int,
    rate_unit: ChargingRateUnit,
    context: ChargingContext,
    *,
    max_periods: int = MOST_PERIODS,
) -> CompositeSchedule:
    """What `installed` comes to on `evse_id` from `start` on; every period with its winner and reason (K08, §5.7).

    Agrees with `limit_at` at every whole second from `start`. Periods of equal limit stay apart if another profile
    or period won; `merged` joins them. Stops when it has looked at `max_periods` stretches:
    `duration_s` of the result says how far it reaches.
    """
    # Without a transaction, relative schedules are read as if charging began at `start`: one origin for the whole.
    reader = _reader(tuple(installed), evse_id, context, rate_unit)
    periods: list[CompositePeriod] = []
    min_charging_rate: float | None = None
    at_s = 0
    for _ in range(max(1, max_periods)):
        limit = reader.read(later(start, at_s) or END, start)
        period = _period(limit, at_s)
        if not periods or _differs(periods[-1], period, explained=True):
            periods.append(period)
        if limit.min_charging_rate is not None:
            min_charging_rate = max(limit.min_charging_rate, min_charging_rate or 0.0)
        # Rounded up to whole seconds; a limit that lasts reaches the end.
        at_s = duration_s if limit.until is None else max(at_s + 1, -((start - limit.until) // _SECOND))
        if at_s >= duration_s:
            break
    return CompositeSchedule(
        evse_id=evse_id,
        start=start,
        duration_s=min(at_s, duration_s),
        rate_unit=rate_unit,
        periods=tuple(periods),
        min_charging_rate=min_charging_rate,
    )


def merged(schedule: CompositeSchedule) -> CompositeSchedule:
    """The same function of time with as few periods as can be, for the wire; each keeps its first winner."""
    periods: list[CompositePeriod] = []
    for period in schedule.periods:
        if not periods or _differs(periods[-1], period, explained=False):
            periods.append(period)
    return msgspec.structs.replace(schedule, periods=tuple(periods))


def limit_at(
    installed: Iterable[InstalledProfile],
    evse_id: int,
    at: datetime,
    rate_unit: ChargingRateUnit,
    context: ChargingContext,
) -> Limit:
    """The limit on `evse_id` at `at`, and until when it can't change.

    While no transaction is on, relative schedules are read as if charging began at `at`.
    """
    return _reader(tuple(installed), evse_id, context, rate_unit).read(at, at)


def next_change(
    installed: Iterable[InstalledProfile], evse_id: int, at: datetime, context: ChargingContext
) -> datetime | None:
    """The first instant after `at` at which the limit may change: when to look again. None: never, as things are."""
    return limit_at(installed, evse_id, at, ChargingRateUnit.A, context).until


_CAPS: Final = (ChargingProfilePurpose.STATION_MAX, ChargingProfilePurpose.EXTERNAL_CONSTRAINTS)


class _Reader:
    """The profiles that matter to one EVSE, sorted: one stack per purpose and place, highest level first."""

    __slots__ = ("caps", "context", "defaults", "rate_unit", "tx")

    def __init__(
        self,
        installed: tuple[InstalledProfile, ...],
        evse_id: int,
        context: ChargingContext,
        rate_unit: ChargingRateUnit,
    ) -> None:
        self.context = context
        self.rate_unit = rate_unit
        transaction = context.transaction
        caps: dict[tuple[ChargingProfilePurpose, int], list[InstalledProfile]] = {}
        self.tx: list[InstalledProfile] = []
        self.defaults: list[InstalledProfile] = []
        priority: list[InstalledProfile] = []
        for entry in installed:
            profile = entry.profile
            purpose = profile.purpose
            if entry.evse_id not in {0, evse_id}:
                continue
            if purpose in _CAPS:
                caps.setdefault((purpose, entry.evse_id), []).append(entry)
            elif evse_id == 0:
                continue  # what limits each EVSE is not a limit of their sum
            elif purpose is ChargingProfilePurpose.TX_DEFAULT:
                self.defaults.append(entry)
            elif purpose is ChargingProfilePurpose.PRIORITY_CHARGING:
                if context.priority_charging:
                    priority.append(entry)
            elif (
                purpose is ChargingProfilePurpose.TX
                and entry.evse_id == evse_id
                and transaction is not None
                and profile.transaction_id in {None, transaction.transaction_id}
            ):
                self.tx.append(entry)
        if priority:
            self.tx, self.defaults = [], priority  # it stands in for both
        # In an order of their own: of equal limits the same one wins, whatever else was installed before it.
        self.caps = [caps[key] for key in sorted(caps, key=lambda key: (_CAPS.index(key[0]), key[1]))]
        for stack in (*self.caps, self.tx, self.defaults):
            stack.sort(key=_precedence)

    def read(self, at: datetime, supposed_start: datetime) -> Limit:
        transaction = self.context.transaction
        charging_since = supposed_start if transaction is None else transaction.charging_since or transaction.started_at
        leads: list[tuple[InstalledProfile, Reading]] = []
        until = self._lead(self.tx, at, charging_since, leads)
        if not leads and not self._tx_profile_rules(at):
            until = earlier(until, self._lead(self.defaults, at, charging_since, leads))
        tx_rate = self._min_charging_rate(leads)
        for stack in self.caps:
            until = earlier(until, self._lead(stack, at, charging_since, leads))
        return self._lowest(leads, until, tx_rate)

    def _tx_profile_rules(self, at: datetime) -> bool:
        """Whether a TxProfile keeps TxDefaultProfiles out although it has no value at `at`."""
        return self.context.tx_profile_reach is TxProfileReach.WHILE_INSTALLED and any(
            (entry.profile.valid_from is None or at >= entry.profile.valid_from)
            and (entry.profile.valid_to is None or at < entry.profile.valid_to)
            for entry in self.tx
        )

    @staticmethod
    def _lead(
        stack: list[InstalledProfile],
        at: datetime,
        charging_since: datetime,
        leads: list[tuple[InstalledProfile, Reading]],
    ) -> datetime | None:
        """Append the highest profile of `stack` that has a value, if any; return until when that stays so."""
        until: datetime | None = None
        replaced_level: int | None = None
        for entry in stack:
            profile = entry.profile
            if profile.stack_level == replaced_level and entry.evse_id == 0:
                continue
            reading = read(profile, at, charging_since)
            if reading.until is not None and (until is None or reading.until < until):
                until = reading.until
            if reading.period is not None:
                leads.append((entry, reading))
                break
            if entry.evse_id != 0 and not expired(profile, at):
                replaced_level = profile.stack_level
        return until

    def _min_charging_rate(self, leads: list[tuple[InstalledProfile, Reading]]) -> float | None:
        for entry, reading in leads:
            schedule = entry.profile.schedule
            if schedule.min_charging_rate is not None and reading.period is not None:
                phases = self._phases_of(reading.period)
                return self._converted(schedule.min_charging_rate, schedule.rate_unit, phases, phases)
        return None

    def _phases_of(self, period: ChargingSchedulePeriod) -> int:
        if self.context.number_phases is None:
            return 1
        return max(1, period.number_phases or DEFAULT_NUMBER_PHASES)

    def _converted(self, value: float, unit: ChargingRateUnit, own_phases: int, phases: int) -> float:
        if unit is self.rate_unit:
            return value
        if unit is ChargingRateUnit.W:
            return current_of_power(value, own_phases, self.context.voltage_v)
        return power_of_current(value, phases, self.context.voltage_v)

    def _lowest(
        self, leads: list[tuple[InstalledProfile, Reading]], until: datetime | None, min_charging_rate: float | None
    ) -> Limit:
        context = self.context
        phases = context.number_phases or 1
        phase_to_use = None
        for _, reading in leads:
            if reading.period is not None and context.number_phases is not None:
                phases = min(phases, self._phases_of(reading.period))
                phase_to_use = phase_to_use or reading.period.phase_to_use
        own_name, own_a = "hardware maximum", context.hardware_max_a
        if context.local_limit_a is not None and context.local_limit_a < own_a:
            own_name, own_a = "local limit", context.local_limit_a
        own_limit = self._converted(own_a, ChargingRateUnit.A, phases, phases)
        winner, lowest = None, own_limit
        applied = []
        for entry, reading in leads:
            period, since = reading.period, reading.since
            if period is None or since is None:
                continue
            rate_limit = self._converted(
                period.rate_limit, entry.profile.schedule.rate_unit, self._phases_of(period), phases
            )
            applied.append(ProfileLimit(entry, period, since, rate_limit))
            # At a draw the transaction's own profile is named, then the station's, then the hardware.
            if rate_limit < lowest or (winner is None and rate_limit == lowest):
                winner, lowest = entry, rate_limit
        return Limit(
            rate_limit=lowest,
            rate_unit=self.rate_unit,
            number_phases=None if context.number_phases is None else phases,
            phase_to_use=phase_to_use if phases == 1 else None,
            until=until,
            winner=winner,
            min_charging_rate=min_charging_rate,
            applied=tuple(applied),
            own_name=own_name,
            own_limit=own_limit,
        )


class _StationReader:
    """EVSE 0: what the station expects to draw at most, the lower of its own limits and its EVSEs' (OCPP 1.6 §5.7)."""

    __slots__ = ("evses", "station")

    def __init__(
        self, installed: tuple[InstalledProfile, ...], context: ChargingContext, rate_unit: ChargingRateUnit
    ) -> None:
        self.station = _Reader(installed, 0, context, rate_unit)
        self.evses = [
            (evse_id, _Reader(installed, evse_id, evse, rate_unit)) for evse_id, evse in context.evses.items()
        ]

    def read(self, at: datetime, supposed_start: datetime) -> Limit:
        limit = self.station.read(at, supposed_start)
        limits = [reader.read(at, supposed_start) for _, reader in self.evses]
        total = sum(evse.rate_limit for evse in limits)
        until = limit.until
        for evse in limits:
            until = earlier(until, evse.until)
        if not limits or total >= limit.rate_limit:
            return msgspec.structs.replace(limit, until=until)
        shares = " + ".join(
            f"EVSE {evse_id} {evse.rate_limit:g} {evse.rate_unit.value}"
            for (evse_id, _), evse in zip(self.evses, limits, strict=True)
        )
        return msgspec.structs.replace(
            limit, rate_limit=total, until=until, winner=None, own_name=f"sum of {shares}", own_limit=total
        )


def _reader(
    installed: tuple[InstalledProfile, ...], evse_id: int, context: ChargingContext, rate_unit: ChargingRateUnit
) -> "_Reader | _StationReader":
    if evse_id == 0 and context.evses:
        return _StationReader(installed, context, rate_unit)
    return _Reader(installed, evse_id, context, rate_unit)


def _precedence(entry: InstalledProfile) -> tuple[int, bool]:
    return (-entry.profile.stack_level, entry.evse_id == 0)


def _period(limit: Limit, start_period_s: int) -> CompositePeriod:
    return CompositePeriod(
        start_period_s=start_period_s,
        rate_limit=limit.rate_limit,
        number_phases=limit.number_phases,
        phase_to_use=limit.phase_to_use,
        winner=limit.winner,
        reason=limit.reason,
    )


def _differs(before: CompositePeriod, after: CompositePeriod, *, explained: bool) -> bool:
    return (
        before.rate_limit != after.rate_limit
        or before.number_phases != after.number_phases
        or before.phase_to_use != after.phase_to_use
        or (explained and (before.winner is not after.winner or before.reason != after.reason))
    )


def _name(profile: ChargingProfile) -> str:
    return f"{profile.purpose.value} {profile.id}"


def _moment(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%d %H:%M:%S" if instant.second else "%Y-%m-%d %H:%M")
