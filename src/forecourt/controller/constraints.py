"""What the CSMS allows: its charging profiles, kept by the controller as constraints on its own allocation.

Guarantees (`controller.md` §1, preset `full`)
* The CSMS's profiles never reach the station; they are kept here, checked and replaced as a station would do it
  (OCPP 1.6 §5.16, §5.4), and the allocation stays below their composite.
* A composite schedule that the CSMS asks for is answered from these profiles, capped by what the controller allows now.
* A profile that came with a remote start becomes a profile of the transaction that follows, or is forgotten.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from forecourt.domain.composite import ActiveTransaction, ChargingContext, composite_schedule, limit_at, merged
from forecourt.domain.profile import ChargingProfile, ChargingProfilePurpose, ChargingRateUnit, InstalledProfile
from forecourt.domain.profile_rules import ProfileCapabilities, refusal
from forecourt.domain.profile_stack import SET_ON_SITE, clear, install, without_expired, without_transaction
from forecourt.domain.requests import (
    ClearChargingProfile,
    CompositeScheduleAnswer,
    GetCompositeSchedule,
    RequestAnswer,
    RequestStatus,
    SetChargingProfile,
)
from forecourt.domain.site import EvsePoint
from forecourt.quantities import NOMINAL_VOLTAGE_V

Transactions = Mapping[int, ActiveTransaction]
"""The transaction on each EVSE of a station that has one."""


class ConstraintMemory(msgspec.Struct, frozen=True):
    """What of them survives a restart: the profiles, and those that wait for a transaction (by EVSE, None: any)."""

    installed: tuple[InstalledProfile, ...] = ()
    awaited: tuple[tuple[int | None, ChargingProfile], ...] = ()


class Constraints:
    """The profiles that the CSMS has set on one station."""

    def __init__(self, points: Iterable[EvsePoint], voltage_v: float = NOMINAL_VOLTAGE_V) -> None:
        self._points = {point.evse_id: point for point in points}
        self._voltage_v = voltage_v
        self.installed: tuple[InstalledProfile, ...] = ()
        self._awaited: dict[int | None, ChargingProfile] = {}

    @property
    def memory(self) -> ConstraintMemory:
        """What has to survive a restart."""
        return ConstraintMemory(self.installed, tuple(self._awaited.items()))

    def restore(self, memory: ConstraintMemory) -> None:
        """Take over what survived."""
        self.installed = memory.installed
        self._awaited = dict(memory.awaited)

    def set(self, request: SetChargingProfile, transactions: Transactions, now: datetime) -> RequestAnswer:
        """Take in a profile, or say what is wrong with it."""
        new = InstalledProfile(request.evse_id, request.profile)
        self.installed = without_expired(self.installed, now)
        capabilities = ProfileCapabilities(evse_ids=frozenset(self._points), max_stack_level=99, max_profiles=64)
        ids = {evse_id: transaction.transaction_id for evse_id, transaction in transactions.items()}
        wrong = refusal(new, self.installed, capabilities=capabilities, transactions=ids)
        if wrong is not None:
            return RequestAnswer(outcome=RequestStatus.REJECTED, reason_code=wrong.reason_code.value, info=wrong.info)
        self.installed = install(self.installed, new, now=now)
        return RequestAnswer(outcome=RequestStatus.ACCEPTED)

    def clear(self, request: ClearChargingProfile) -> RequestAnswer:
        """Forget the profiles that match; Unknown when none does."""
        self.installed, gone = clear(self.installed, request.criteria)
        return RequestAnswer(outcome=RequestStatus.ACCEPTED if gone else RequestStatus.UNKNOWN)

    def composite(
        self, request: GetCompositeSchedule, transactions: Transactions, now: datetime, allowed_a: Mapping[int, float]
    ) -> CompositeScheduleAnswer:
        """What profiles and controller come to; `allowed_a` is what the controller allows each EVSE now."""
        if request.evse_id != 0 and request.evse_id not in self._points:
            return CompositeScheduleAnswer(outcome=RequestStatus.REJECTED)
        contexts = {
            point.evse_id: self._context(point, transactions.get(point.evse_id), allowed_a.get(point.evse_id))
            for point in self._points.values()
        }
        if request.evse_id == 0:
            total_a = sum(point.maximum_a for point in self._points.values())
            phases = max((point.phases for point in self._points.values()), default=3)
            context = ChargingContext(
                hardware_max_a=total_a, number_phases=phases, voltage_v=self._voltage_v, evses=contexts
            )
        else:
            context = contexts[request.evse_id]
        unit = request.rate_unit or ChargingRateUnit.A
        schedule = composite_schedule(self.installed, request.evse_id, now, request.duration_s, unit, context)
        return CompositeScheduleAnswer(outcome=RequestStatus.ACCEPTED, schedule=merged(schedule))

    def limit_a(self, point: EvsePoint, transactions: Transactions, now: datetime) -> float | None:
        """What the profiles leave `point` at this instant, ampere per phase; None when they say nothing."""
        if not self.installed:
            return None
        context = self._context(point, transactions.get(point.evse_id), None)
        limit = limit_at(self.installed, point.evse_id, now, ChargingRateUnit.A, context)
        if limit.winner is None:
            return None
        if limit.winner.profile.purpose is ChargingProfilePurpose.STATION_MAX:
            # A limit of the whole station: in even parts, so that the sum holds whoever draws what.
            return limit.rate_limit / max(1, len(transactions))
        return limit.rate_limit

    def next_change(self, point: EvsePoint, transactions: Transactions, now: datetime) -> datetime | None:
        """When `limit_a` may be another."""
        if not self.installed:
            return None
        context = self._context(point, transactions.get(point.evse_id), None)
        return limit_at(self.installed, point.evse_id, now, ChargingRateUnit.A, context).until

    def started_remotely(self, evse_id: int | None, profile: ChargingProfile) -> None:
        """The CSMS asked to start a transaction with this profile, on `evse_id` or wherever the station chooses."""
        self._awaited[evse_id] = profile

    def transaction_began(self, evse_id: int, transaction_id: str, now: datetime) -> None:
        """A transaction has its id: a profile that waited for it is installed."""
        profile = self._awaited.pop(evse_id, None) or self._awaited.pop(None, None)
        if profile is not None:
            profile = msgspec.structs.replace(profile, transaction_id=transaction_id)
            self.installed = install(self.installed, InstalledProfile(evse_id, profile), now=now)

    def transaction_ended(self, evse_id: int) -> None:
        """Its profiles go with it."""
        self.installed = without_transaction(self.installed, evse_id)

    def _context(
        self, point: EvsePoint, transaction: ActiveTransaction | None, allowed_a: float | None
    ) -> ChargingContext:
        return ChargingContext(
            hardware_max_a=point.maximum_a,
            transaction=transaction,
            number_phases=point.phases,
            voltage_v=self._voltage_v,
            local_limit_a=allowed_a,
        )


def acceptable_with_start(profile: ChargingProfile) -> bool:
    """Whether a profile may come with a remote start (OCPP 1.6 §5.11: a TxProfile without a transaction id)."""
    return (
        profile.purpose is ChargingProfilePurpose.TX
        and profile.transaction_id is None
        and profile.purpose not in SET_ON_SITE
    )
