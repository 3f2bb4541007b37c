"""What an EVSE of a load group may draw, by what the books know of it.

Guarantees
* The exposure is seen from the worst side: the largest of what the profiles that the EVSE has accepted come to, with
  and without each that was sent and may have been heard; by the very reading that our stations obey
  (`domain.composite`), on a clock that may be slow; never less than its fallback, and its maximum where nothing limits.
"""

from datetime import datetime, timedelta

import msgspec

from forecourt.csms.group_records import GroupMember
from forecourt.csms.group_settings import GroupSettings
from forecourt.csms.profile_forms import Form
from forecourt.domain.composite import ActiveTransaction, ChargingContext, limit_at
from forecourt.domain.profile import ChargingRateUnit, InstalledProfile
from forecourt.domain.profile_stack import install
from forecourt.domain.site import EvseKey


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two ways to limit an EVSE: for whoever plugs in, or for the transaction that is on."""

    profile_id: int
    forms: tuple[Form, ...]
    form: int = 0
    """The form to use now: the last that was taken, or the next after one that was refused."""
    limit_a: float | None = None
    """What the last one that was accepted says now; None: there is none."""
    lease_until: datetime | None = None
    """When that ends; None: never."""
    installed_at: datetime | None = None
    retry_at: datetime | None = None
    """Nothing is to be said before."""
    refused: bool = False
    """Every form was refused."""


class EvseFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the books know of a member."""

    key: EvseKey
    group_number: int
    member: GroupMember
    connected: bool
    booted_at: datetime | None = None
    transaction: ActiveTransaction | None = None
    """None: nothing runs, or what runs has no id on the wire."""
    transaction_number: int | None = None
    takes_nothing: bool = False
    """Its car doesn't want to charge now."""
    measured_a: float | None = None
    measured_at: datetime | None = None
    departs_at: datetime | None = None
    remaining_wh: float | None = None
    installed: tuple[InstalledProfile, ...] = ()
    uncertain: tuple[InstalledProfile, ...] = ()
    """Sent, and not or never answered; in the order they were sent."""
    open: bool = False
    """A request is on its way."""
    base: Way
    bound: Way


def exposure_a(facts: EvseFacts, at: datetime, settings: GroupSettings, voltage_v: float) -> float:
    """The most that an EVSE may draw from `at` on until it can be lowered again, ampere per phase."""
    member = facts.member
    worst = 0.0
    for transaction in _contexts(facts):
        meets = ChargingContext(
            hardware_max_a=member.maximum_a,
            transaction=transaction,
            number_phases=member.phases,
            voltage_v=voltage_v,
        )
        for profiles in _possible(facts, at):
            for moment in (
                at - timedelta(seconds=settings.clock_slack_s),
                at,
                at + timedelta(seconds=settings.lead_s),
            ):
                worst = max(worst, limit_at(profiles, facts.key.evse_id, moment, ChargingRateUnit.A, meets).rate_limit)
    return max(worst, min(member.fallback_a, member.maximum_a))


def _contexts(facts: EvseFacts) -> tuple[ActiveTransaction | None, ...]:
    """While a transaction runs and its station is heard, nobody else can begin; else somebody may have."""
    if facts.transaction is None:
        return (None,)
    return (facts.transaction,) if facts.connected else (facts.transaction, None)


def _possible(facts: EvseFacts, at: datetime) -> list[tuple[InstalledProfile, ...]]:
    """What the station may have: each that was sent may have been heard, or not, in their order."""
    found = [facts.installed]
    for entry in facts.uncertain:
        found += [install(profiles, entry, now=at) for profiles in found[-8:]]
    return found
