"""The probe of commissioning: what one station does with limits, tried on it (`controller.md` §3).

Guarantees
* Nothing that it says raises what the EVSE may draw: limits are those that were confirmed, or lower ones. A profile of
  another purpose than the station's own limit allows the hardware's maximum, and is cleared.
* What can't be seen, because no car draws or a message is refused, is not known; nothing is guessed.
"""

import math
from collections.abc import Callable, Generator
from datetime import timedelta
from typing import Final

import msgspec

from forecourt.controller.currents import tolerated
from forecourt.controller.ledger import Limit
from forecourt.controller.line import Line
from forecourt.controller.probe import Ask, Ended, Run, Script, Told, Wait
from forecourt.controller.settings import ControllerSettings
from forecourt.controller.wording import Form, forms, worded, worded_profile
from forecourt.domain.clock import Now
from forecourt.domain.profile import ChargingProfilePurpose, ChargingRateUnit, ProfileCriteria
from forecourt.domain.requests import (
    ClearChargingProfile,
    CompositeScheduleAnswer,
    GetCompositeSchedule,
    RequestStatus,
    Reset,
    SetChargingProfile,
    TriggeredMessage,
    TriggerMessage,
)
from forecourt.quantities import power_of_current

LEASE_S: Final = 30.0
"""How long the lease is whose end is awaited."""
OBEYS_WITHIN_S: Final = 90.0
"""Whoever takes longer doesn't obey."""
BOOTS_WITHIN_S: Final = 300.0
_ASKS_EVERY_S: Final = 2.0
_LOOKS_AGAIN: Final = 4
_WORTH_A: Final = 2.0
"""A smaller step down is no proof."""
_TEST_PROFILE: Final = 900
"""Added to the profile id for a profile that is cleared again."""
_LOOKS_AHEAD_S: Final = 120
_LATER_S: Final = 3.0
_SAME_A: Final = 0.15
"""One decimal, and what rounding to watts and back leaves."""


class Probe(Run):
    """See the module."""

    def __init__(
        self,
        line: Line,
        settings: ControllerSettings,
        tokens: Callable[[], int],
        now: Now,
        *,
        voltage_v: float,
        forms_of: Callable[[Line], tuple[Form, ...]],
        single_evse: bool,
        reboot: bool,
    ) -> None:
        """`forms_of` says in which forms the issuer puts limits, `reboot` whether the station may be restarted."""
        super().__init__(line, tokens, now)
        self._settings = settings
        self._voltage_v = voltage_v
        self._forms = forms_of
        self._single_evse = single_evse
        self._reboot = reboot

    def _script(self) -> Script:
        yield from self._measures()
        yield from self._takes_forms()
        if self._charges():
            yield from self._obeys()
            yield from self._honours_leases()
        elif self._reboot:
            yield from self._survives()

    def _measures(self) -> Script:
        self.step = "asks for a reading"
        yield from self._reading(10.0)
        currents = self.line.account.currents
        if self._readings and currents is not None:
            self._learn(by_phase=currents.by_phase)

    def _takes_forms(self) -> Script:
        """The base limit that holds, in other words."""
        account, line = self.line.account, self.line
        base = account.base
        if base is None:
            raise Ended("the station has not confirmed a limit yet")
        held_a = base.current_a if self._now.elapsed_s < base.lease_until_s else line.point.fallback_a
        taken: list[Form] = []
        for form in forms(self._settings, line.point, single_evse=self._single_evse):
            # A key would stay as it is where another form is used, and other forms only where these don't do.
            if form.key is not None or (taken and not form.usual):
                continue
            self.step = f"tries {form.text()}"
            request = self._base(form, held_a)
            station_wide = form.purpose is ChargingProfilePurpose.STATION_MAX
            foreign = station_wide and self._forms(line)[line.form].purpose is not form.purpose
            if foreign:
                request = self._no_limit(form)
            if (yield Ask(request, None if foreign else self._same(held_a, form))).accepted:
                taken.append(form)
                if foreign:
                    criteria = ProfileCriteria(profile_id=request.profile.id)
                    yield Ask(ClearChargingProfile(criteria=criteria))
        self._learn(forms=tuple(taken))
        if not taken:
            raise Ended("the station takes no form of limit")
        if held_a == 0.0:
            self._learn(takes_zero=True)
        if line.point.phases > 1:
            self.step = "tries a limit for one phase"
            told = yield Ask(_for_one_phase(self._base(taken[0], held_a)), self._same(held_a, taken[0]))
            self._learn(takes_fewer_phases=bool(told.accepted))
        # The form that the issuer uses comes last, so that it is the one which stays.
        line.form, line.takes = 0, tuple(taken)
        yield Ask(self._base(taken[0], held_a), self._same(held_a, taken[0]))
        if not self._charges():
            self.step = "asks for the composite schedule"
            yield from self._composite({0.0: held_a})

    def _charges(self) -> bool:
        account = self.line.account
        return account.in_transaction and (account.measured_a or 0.0) >= self.line.point.minimum_a - 0.5

    def _obeys(self) -> Script:
        """Down to the minimum: how soon, and how exactly."""
        line, account = self.line, self.line.account
        low_a = line.point.minimum_a
        drew_a = account.measured_a or 0.0
        if drew_a < low_a + _WORTH_A or account.holds_a(self._now) < low_a + _WORTH_A:
            return
        self.step = f"lowers the limit to {low_a:g} A"
        told = yield self._limit(low_a, low_a)
        if line.bound_to is not None:
            self._learn(transaction_profiles=bool(told.accepted))
        if not told.accepted:
            return
        began_s = self._now.elapsed_s
        seen = yield from self._falls_to(low_a, began_s + OBEYS_WITHIN_S)
        self._learn(obeys=seen)
        if not seen:
            return
        self._learn(reaction_s=round(self._now.elapsed_s - began_s, 1))
        over_a = 0.0
        for _ in range(_LOOKS_AGAIN):
            yield Wait(self._now.elapsed_s + _ASKS_EVERY_S, _never)
            yield from self._reading(_ASKS_EVERY_S)
            over_a = max(over_a, (account.measured_a or 0.0) - low_a)
        self._learn(over_a=round(over_a, 2))
        if (account.measured_a or 0.0) > low_a - 1.0:
            self._learn(smallest_a=low_a)

    def _honours_leases(self) -> Script:
        """What it holds, for half a minute; then the fallback, and nothing is said."""
        line, account = self.line, self.line.account
        held_a, fallback_a = account.holds_a(self._now), line.point.fallback_a
        ends = line.bound_to is not None or self._forms(line)[line.form].ends
        if not self._charges() or held_a < fallback_a + _WORTH_A or not ends:
            return
        self.step = f"gives a limit for {LEASE_S:g} s"
        told = yield self._limit(held_a, held_a, lease_s=LEASE_S)
        if line.bound_to is not None and self._known.transaction_profiles is None:
            self._learn(transaction_profiles=bool(told.accepted))
        if not told.accepted:
            return
        ends_s = self._now.elapsed_s + LEASE_S
        yield from self._composite({0.0: held_a, LEASE_S: fallback_a})
        self.step = "waits for the end of the lease"
        seen = yield from self._falls_to(fallback_a, ends_s + OBEYS_WITHIN_S)
        self._learn(dead_man=seen)
        if seen:
            self._learn(lease_late_s=round(max(0.0, self._now.elapsed_s - ends_s), 1))
        self.step = "gives the fallback"
        yield self._limit(fallback_a, held_a)

    def _survives(self) -> Script:
        """Whether the base limit outlives a restart; told by the composite schedule, if that tells the truth."""
        line, account = self.line, self.line.account
        if account.in_transaction or account.base is None or not self._known.composite_true:
            return
        held_a = account.holds_a(self._now)
        self.step = "restarts the station"
        self._rebooting, self._booted = True, False
        if (yield Ask(Reset(graceful=True))).accepted is False:
            self._rebooting = False
            return
        told = yield Wait(self._now.elapsed_s + BOOTS_WITHIN_S, lambda: self._booted and line.ready)
        if not told.accepted:
            raise Ended("the station did not come back after its restart")
        self._rebooting = False
        self.step = "asks for the composite schedule"
        before, self._known = self._known, msgspec.structs.replace(self._known, composite_true=None)
        yield from self._composite({0.0: held_a})
        survives, self._known = self._known.composite_true, before
        self._learn(survives_reboot=survives)

    # parts of it

    def _reading(self, within_s: float) -> Script:
        """A reading, asked for."""
        before = self._readings
        message = TriggeredMessage.METER_VALUES
        point = self.line.point
        told = yield Ask(TriggerMessage(requested_message=message, evse_id=point.evse_id, connector_id=1))
        if told.accepted is not False:
            yield Wait(self._now.elapsed_s + within_s, lambda: self._readings > before)

    def _falls_to(self, limit_a: float, until_s: float) -> Generator[Ask | Wait, Told, bool]:
        """Ask for readings until one shows it."""
        while True:
            yield from self._reading(_ASKS_EVERY_S)
            measured_a = self.line.account.measured_a
            if measured_a is not None and measured_a <= tolerated(limit_a):
                return True
            if self._now.elapsed_s >= until_s:
                return False
            yield Wait(self._now.elapsed_s + _ASKS_EVERY_S, _never)

    def _composite(self, expected: dict[float, float]) -> Script:
        """Whether it tells the limits (seconds from now: A) that were installed; nothing is learned of a refusal."""
        point = self.line.point
        unit = ChargingRateUnit.A
        told = yield Ask(GetCompositeSchedule(evse_id=point.evse_id, duration_s=_LOOKS_AHEAD_S, rate_unit=unit))
        answer = told.answer
        if not isinstance(answer, CompositeScheduleAnswer) or answer.outcome is not RequestStatus.ACCEPTED:
            return
        schedule = answer.schedule
        if schedule is None:
            return
        in_amperes = schedule.rate_unit is ChargingRateUnit.A
        per_a = 1.0 if in_amperes else power_of_current(1.0, point.phases, self._voltage_v)
        true = True
        for from_s, limit_a in expected.items():
            # A moment later: what begins now may be rounded to the next second.
            at = [one.rate_limit for one in schedule.periods if one.start_period_s <= from_s + _LATER_S]
            true = true and bool(at) and abs(at[-1] / per_a - limit_a) <= _SAME_A
        self._learn(composite_true=true and self._known.composite_true is not False)

    def _limit(self, current_a: float, booked_a: float, *, lease_s: float | None = None) -> Ask:
        """A limit of the kind that the issuer would give. The books count with `booked_a`, and with no lease's end."""
        line, settings = self.line, self._settings
        form = self._forms(line)[line.form]
        if lease_s is not None:
            settings = msgspec.structs.replace(settings, lease_s=lease_s)
        falls_back = current_a <= line.point.fallback_a
        transaction_id = line.bound_to
        endless = falls_back or lease_s is not None or not (form.ends or transaction_id is not None)
        until_s = math.inf if endless else self._now.elapsed_s + settings.lease_s
        limit = Limit(current_a if falls_back else booked_a, until_s, transaction_id is not None, line.account.shift_s)
        request = worded(
            line.point,
            current_a,
            form,
            self._now.at + timedelta(seconds=limit.ahead_s),
            settings,
            voltage_v=self._voltage_v,
            transaction_id=transaction_id,
        )
        return Ask(request, limit)

    def _same(self, held_a: float, form: Form) -> Limit:
        """The base limit as it holds, with a lease that begins anew."""
        endless = held_a <= self.line.point.fallback_a or not form.ends
        lease_s = math.inf if endless else self._settings.lease_s
        return Limit(held_a, self._now.elapsed_s + lease_s, bound=False, ahead_s=self.line.account.shift_s)

    def _base(self, form: Form, current_a: float) -> SetChargingProfile:
        at = self._now.at + timedelta(seconds=self.line.account.shift_s)
        point, voltage_v = self.line.point, self._voltage_v
        return worded_profile(point, current_a, form, at, self._settings, voltage_v=voltage_v, transaction_id=None)

    def _no_limit(self, form: Form) -> SetChargingProfile:
        """The hardware's maximum, under an id of its own."""
        request = self._base(form, self.line.point.maximum_a)
        schedule = request.profile.schedule
        schedule = msgspec.structs.replace(schedule, periods=schedule.periods[:1])
        number = request.profile.id + _TEST_PROFILE
        profile = msgspec.structs.replace(request.profile, id=number, schedules=(schedule,))
        return msgspec.structs.replace(request, profile=profile)

    def _learn(self, **known: object) -> None:
        self._known = msgspec.structs.replace(self._known, **known)


def _for_one_phase(request: SetChargingProfile) -> SetChargingProfile:
    schedule = request.profile.schedule
    periods = tuple(msgspec.structs.replace(period, number_phases=1) for period in schedule.periods)
    profile = msgspec.structs.replace(request.profile, schedules=(msgspec.structs.replace(schedule, periods=periods),))
    return msgspec.structs.replace(request, profile=profile)


def _never() -> bool:
    return False
