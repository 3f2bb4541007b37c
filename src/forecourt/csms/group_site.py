"""Load groups as a site that the allocator knows: the first is the grid connection, those within it are circuits.

Guarantees
* Nothing limits but the groups' own limits, and those are given for the time being (`NodeLimit`), as they change.
"""

from typing import Final

from forecourt.allocation.compiled import CompiledSite
from forecourt.allocation.demand import NodeLimit
from forecourt.allocation.explanation import LimitKind
from forecourt.allocation.filling import Tally
from forecourt.csms.group_exposure import EvseFacts
from forecourt.csms.group_records import LoadGroup
from forecourt.domain.profile import ChargingRateUnit
from forecourt.domain.site import Circuit, EvsePoint, GridConnection, Site
from forecourt.quantities import PerPhase

_ENDLESS_A: Final = 1e6
_ENDLESS_W: Final = 1e12


def below_of(groups: tuple[LoadGroup, ...], number: int) -> set[int]:
    """The group, and all that are part of it."""
    found = {number}
    while more := {group.number for group in groups if group.parent_number in found} - found:
        found |= more
    return found


def through(site: CompiledSite, tally: Tally, group: LoadGroup) -> float:
    """What flows through a group, in the unit of its limit."""
    kind = LimitKind.FUSE if group.terms.rate_unit is ChargingRateUnit.A else LimitKind.POWER
    rows = [k for k, row in enumerate(site.rows) if row.bound.node == group.name and row.bound.kind is kind]
    return max(tally.taken(row) for row in rows)


def node_limit_of(group: LoadGroup, rate_limit: float) -> NodeLimit:
    """Its limit for the time being."""
    if group.terms.rate_unit is ChargingRateUnit.A:
        return NodeLimit(current_a=rate_limit)
    return NodeLimit(power_w=rate_limit)


def site_of(groups: tuple[LoadGroup, ...], facts: tuple[EvseFacts, ...]) -> Site:
    """All groups with their members; the first of `groups` holds all others."""
    root = groups[0]
    names = {group.number: group.name for group in groups}
    endless = PerPhase.of(_ENDLESS_A)

    def power(group: LoadGroup) -> float | None:
        return None if group.terms.rate_unit is ChargingRateUnit.A else _ENDLESS_W

    return Site(
        grid=GridConnection(name=root.name, rating_a=endless, power_limit_w=power(root)),
        circuits=tuple(
            Circuit(
                name=group.name,
                rating_a=endless,
                power_limit_w=power(group),
                parent=names[group.parent_number or root.number],
            )
            for group in groups[1:]
        ),
        evses=tuple(
            EvsePoint(
                station_id=one.key.station_id,
                evse_id=one.key.evse_id,
                circuit=names[one.group_number],
                phases=one.member.phases,
                rotation=one.member.rotation,
                minimum_a=one.member.minimum_a,
                maximum_a=one.member.maximum_a,
                priority=one.member.priority,
                fallback_a=one.member.fallback_a,
            )
            for one in facts
        ),
        voltage_v=root.terms.voltage_v,
    )
