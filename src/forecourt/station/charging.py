"""Charging limits: from installed profiles to what each car is offered.

Guarantees
* What an EVSE is offered is at no time more than any limit that applies to it: its profiles' composite
  (`domain.composite`), local limits, its hardware (OCPP 1.6 §3.13.3).
* The limit of the station, its own and that of ChargingStationMaxProfiles, is shared by the EVSEs that have a
  transaction, evenly, and what one can't use goes to the others (§3.13.3: "for all connectors combined"). The sum
  supposes that all of them load the same phase, so it is never exceeded on any.
* Where a transaction can't change from three phases to one (ConnectorSwitch3to1PhaseSupported, Phases3to1), what is
  meant for fewer phases is spread over all that it has.
* Less than a car can be offered is nothing: who would get less than the minimum waits.
* Reductions leave before raises, so that the sum is kept in between as well.
* Profiles survive a reboot (errata §3.37); a TxProfile ends with its transaction (§3.13.1).
* Installed profiles hold while offline (§3.13.6).
* The limits to come are published for the station and each EVSE when profiles, or what they apply to, have changed, and
  every `publish_schedule_interval_s`, each time further ahead than to the next time (the seed's
  PublishChargingScheduleIntervalS and PublishChargingScheduleDurationS).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec

from forecourt.domain.composite import (
    ActiveTransaction,
    ChargingContext,
    Limit,
    composite_schedule,
    limit_at,
    merged,
)
from forecourt.domain.profile import (
    ChargingProfile,
    ChargingProfilePurpose,
    ChargingRateUnit,
    CompositeSchedule,
    InstalledProfile,
    ProfileCriteria,
)
from forecourt.domain.profile_rules import ProfileCapabilities, Refusal, refusal
from forecourt.domain.profile_stack import SameLevel, clear, install, without_expired, without_transaction
from forecourt.station.config import StationConfig
from forecourt.station.effects import ClosePowerPath, OpenPowerPath, PublishSchedule, SetLimit
from forecourt.station.evse import Evse
from forecourt.station.outbox import Outbox
from forecourt.station.status import Ground
from forecourt.station.turn import Turn
from forecourt.station.variable_table import (
    MOST_PROFILES,
    PERIODS_PER_SCHEDULE,
    PHASES_3_TO_1,
    PROFILE_STACK_LEVEL,
    RATE_UNIT,
)
from forecourt.station.variables import Variables

SECTION: Final = "profile"

decode_record = msgspec.json.Decoder(InstalledProfile).decode


class _Offer(msgspec.Struct, frozen=True):
    """What one EVSE may draw by its own limits."""

    evse: Evse
    limit_a: float
    number_phases: int


class Charging:
    """The installed profiles of one station, and what follows from them."""

    __slots__ = (
        "_basis",
        "_config",
        "_evses",
        "_ground",
        "_outbox",
        "_phases",
        "_profiles",
        "_publish_at_s",
        "_published",
        "_review_at",
        "_same_level",
        "_variables",
        "_zero",
    )

    def __init__(
        self,
        config: StationConfig,
        variables: Variables,
        outbox: Outbox,
        ground: Ground,
        evses: Mapping[int, Evse],
        same_level: SameLevel,
    ) -> None:
        self._config = config
        self._variables = variables
        self._outbox = outbox
        self._ground = ground
        self._evses = evses
        self._same_level = same_level
        self._profiles: tuple[InstalledProfile, ...] = ()
        self._phases: dict[int, tuple[str, int]] = {}
        """The most phases that the transaction of an EVSE was offered, where it can't change to fewer."""
        self._basis: tuple[object, ...] = ()
        self._review_at: datetime | None = None
        self._published: tuple[object, ...] = ()
        """The `_basis` of what was published last."""
        self._publish_at_s: float | None = None
        self._zero: tuple[datetime, float] | None = None

    def restore(self, stored: Mapping[str, bytes]) -> None:
        """Take the journal's profiles."""
        self._profiles = tuple(decode_record(raw) for _, raw in sorted(stored.items()))

    @property
    def profiles(self) -> tuple[InstalledProfile, ...]:
        """What is installed."""
        return self._profiles

    @property
    def rate_units(self) -> tuple[ChargingRateUnit, ...]:
        """What schedules may be in."""
        return tuple(ChargingRateUnit(unit) for unit in self._variables.members(RATE_UNIT)) or (ChargingRateUnit.A,)

    # Profiles

    def refusal(self, evse_id: int, profile: ChargingProfile, turn: Turn, *, starting: bool = False) -> Refusal | None:
        """Why a profile can't be installed; None when it can. Its transaction id is the CSMS's."""
        transactions = {}
        for evse in self._evses.values():
            if evse.transaction is not None:
                own_id = evse.transaction.transaction_id
                transactions[evse.evse_id] = self._outbox.csms_id_of(own_id) or own_id
        return refusal(
            InstalledProfile(evse_id, profile),
            without_expired(self._profiles, turn.at),
            capabilities=ProfileCapabilities(
                evse_ids=frozenset(self._evses),
                max_stack_level=self._variables.integer(PROFILE_STACK_LEVEL),
                max_periods=self._variables.integer(PERIODS_PER_SCHEDULE),
                max_profiles=self._variables.integer(MOST_PROFILES),
                rate_units=frozenset(self.rate_units),
                same_level=self._same_level,
            ),
            transactions=transactions,
            starting=starting,
        )

    def install(self, evse_id: int, profile: ChargingProfile, turn: Turn) -> None:
        """Install a profile that was not refused. A TxProfile is tied to the transaction that runs on its EVSE."""
        evse = self._evses.get(evse_id)
        if profile.purpose is ChargingProfilePurpose.TX and evse is not None and evse.transaction is not None:
            profile = msgspec.structs.replace(profile, transaction_id=evse.transaction.transaction_id)
        new = InstalledProfile(evse_id, profile)
        present = without_expired(self._profiles, turn.at)
        self._become(install(present, new, now=turn.at, same_level=self._same_level), turn)

    def clear(self, criteria: ProfileCriteria, turn: Turn) -> bool:
        """Remove what matches. False: nothing did."""
        stay, go = clear(self._profiles, criteria)
        if go:
            self._become(stay, turn)
        return bool(go)

    def end_transaction(self, evse_id: int, turn: Turn) -> None:
        """A transaction is over, and its profiles with it."""
        stay = without_transaction(self._profiles, evse_id)
        if len(stay) != len(self._profiles):
            self._become(stay, turn)

    def composite(
        self, evse_id: int, duration_s: int, rate_unit: ChargingRateUnit | None, turn: Turn
    ) -> CompositeSchedule:
        """What the installed profiles come to, from now on."""
        unit = rate_unit or self.rate_units[0]
        return merged(composite_schedule(self._profiles, evse_id, turn.at, duration_s, unit, self._context(evse_id)))

    def explain(self, evse_id: int, turn: Turn) -> Limit:
        """The limit that holds on an EVSE now, its winner and why."""
        return limit_at(self._profiles, evse_id, turn.at, ChargingRateUnit.A, self._context(evse_id))

    # Limits

    def update(self, turn: Turn) -> None:
        """Offer each car what it may have now; reductions first. Cheap when nothing it depends on has changed."""
        basis = self._basis_of(turn)
        if basis == self._basis and (self._review_at is None or turn.at < self._review_at):
            return
        self._basis = basis
        self._zero = (turn.at, turn.now.elapsed_s)
        self._review_at = None
        offers = [self._offer(evse, turn) for evse in self._evses.values()]
        shares = self._share(offers, turn)
        changes = [(offer, share_a) for offer, share_a in zip(offers, shares, strict=True)]
        for offer, share_a in sorted(changes, key=lambda change: change[1] > change[0].evse.limit_a):
            self._apply(offer, share_a, turn)

    def publish(self, turn: Turn) -> None:
        """Tell those who plan ahead what is to come, if that has changed or is due. After `update`."""
        had_profiles = bool(self._published) and bool(self._published[0])
        differs = self._basis is not self._published and self._basis != self._published
        changed = differs and (bool(self._profiles) or had_profiles)
        interval_s = self._config.publish_schedule_interval_s
        due = interval_s > 0 and (self._publish_at_s is None or turn.now.elapsed_s >= self._publish_at_s)
        self._published = self._basis
        if not changed and not due:
            return
        if due:
            self._publish_at_s = turn.now.elapsed_s + interval_s
        for evse_id in (0, *self._evses):
            schedule = self.composite(evse_id, self._config.publish_schedule_duration_s, None, turn)
            turn.emit(PublishSchedule(evse_id, schedule))

    def next_deadline_s(self) -> float | None:
        """When a limit may change by itself or is to be published, on the world's clock."""
        if self._review_at is None or self._zero is None:
            return self._publish_at_s
        zero_at, zero_s = self._zero
        review_s = zero_s + max(0.0, (self._review_at - zero_at).total_seconds())
        return review_s if self._publish_at_s is None else min(review_s, self._publish_at_s)

    def _basis_of(self, turn: Turn) -> tuple[object, ...]:
        """All that limits depend on, but for the time that passes: a clock that was set counts too."""
        return (
            self._profiles,
            round(turn.at.timestamp() - turn.now.elapsed_s),
            self._ground.local_limit_a,
            self._ground.faulted,
            *(evse.local_limit_a for evse in self._evses.values()),
            *(
                (
                    evse.faulted,
                    evse.interrupted,
                    evse.unlocking,
                    evse.transaction.transaction_id,
                    evse.transaction.withheld,
                    evse.transaction.charging_since,
                )
                if evse.transaction
                else None
                for evse in self._evses.values()
            ),
        )

    def _apply(self, offer: _Offer, limit_a: float, turn: Turn) -> None:
        evse = offer.evse
        may_flow = limit_a > 0
        if evse.offering and not may_flow:
            evse.offering = False
            turn.emit(OpenPowerPath(evse.evse_id))
        if (evse.limit_a, evse.number_phases) != (limit_a, offer.number_phases):
            evse.limit_a, evse.number_phases = limit_a, offer.number_phases
            turn.emit(SetLimit(evse.evse_id, limit_a, offer.number_phases))
        if may_flow and not evse.offering:
            evse.offering = True
            turn.emit(ClosePowerPath(evse.evse_id))

    def _offer(self, evse: Evse, turn: Turn) -> _Offer:
        transaction = evse.transaction
        if transaction is None or transaction.withheld or evse.interrupted or evse.unlocking:
            return _Offer(evse, 0.0, evse.config.number_phases)
        if evse.faulted or self._ground.faulted:
            return _Offer(evse, 0.0, evse.config.number_phases)
        limit = limit_at(self._profiles, evse.evse_id, turn.at, ChargingRateUnit.A, self._context(evse.evse_id))
        self._review(limit.until)
        phases = min(evse.config.number_phases, limit.number_phases or evse.config.number_phases)
        fixed = self._fixed_phases(evse, transaction.transaction_id, limit.rate_limit, phases)
        if fixed > phases:
            return _Offer(evse, limit.rate_limit * phases / fixed, fixed)
        return _Offer(evse, limit.rate_limit, phases)

    def _fixed_phases(self, evse: Evse, transaction_id: str, limit_a: float, phases: int) -> int:
        """The phases that a transaction may not leave any more; 0: it may still have any."""
        if self._variables.boolean(PHASES_3_TO_1):
            return 0
        known_id, fixed = self._phases.get(evse.evse_id, ("", 0))
        fixed = fixed if known_id == transaction_id else 0
        if limit_a >= self._config.minimum_a:
            self._phases[evse.evse_id] = (transaction_id, max(fixed, phases))
        return fixed

    def _share(self, offers: list[_Offer], turn: Turn) -> list[float]:
        """Max-min fair shares of the station's limit; EVSEs that would get less than the minimum wait, last first."""
        minimum_a = self._config.minimum_a
        wanted = [offer.limit_a if offer.limit_a >= minimum_a else 0.0 for offer in offers]
        if not any(wanted):
            return wanted
        station = limit_at(self._profiles, 0, turn.at, ChargingRateUnit.A, self._context(0, alone=True))
        self._review(station.until)
        takers = [place for place, limit_a in enumerate(wanted) if limit_a > 0]
        while takers and len(takers) * minimum_a > station.rate_limit:
            takers.pop()
        shares = [0.0] * len(wanted)
        left_a = station.rate_limit
        for served, place in enumerate(sorted(takers, key=lambda place: wanted[place])):
            shares[place] = min(wanted[place], left_a / (len(takers) - served))
            left_a -= shares[place]
        return shares

    def _context(self, evse_id: int, *, alone: bool = False) -> ChargingContext:
        """What the profiles meet on an EVSE. `alone`: of EVSE 0 only the station's own limits."""
        if evse_id == 0:
            sum_a = sum(evse.config.maximum_a for evse in self._evses.values())
            return ChargingContext(
                hardware_max_a=sum_a if self._config.maximum_a is None else self._config.maximum_a,
                number_phases=max(evse.config.number_phases for evse in self._evses.values()),
                voltage_v=self._config.voltage_v,
                local_limit_a=self._ground.local_limit_a,
                evses={} if alone else {number: self._context(number) for number in self._evses},
            )
        evse = self._evses[evse_id]
        transaction = evse.transaction
        return ChargingContext(
            hardware_max_a=evse.config.maximum_a,
            transaction=None
            if transaction is None
            else ActiveTransaction(transaction.transaction_id, transaction.started_at, transaction.charging_since),
            number_phases=evse.config.number_phases,
            voltage_v=self._config.voltage_v,
            local_limit_a=evse.local_limit_a,
        )

    def _review(self, until: datetime | None) -> None:
        if until is not None and (self._review_at is None or until < self._review_at):
            self._review_at = until

    def _become(self, profiles: tuple[InstalledProfile, ...], turn: Turn) -> None:
        """Replace what is installed, and keep it so; each profile has the place of its id in the journal."""
        before = {_place(entry): entry for entry in self._profiles}
        after = {_place(entry): entry for entry in profiles}
        for place in before.keys() - after.keys():
            turn.delete(SECTION, place)
        for place, entry in after.items():
            if before.get(place) != entry:
                turn.put(SECTION, place, entry)
        self._profiles = profiles


def _place(entry: InstalledProfile) -> str:
    return f"{entry.profile.id}"
