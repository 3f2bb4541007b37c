"""How things stand at a site, for whoever shows it: outputs, pages, the administration API.

Guarantees
* Everything is taken at one instant; nothing is changed by looking.
* The state of an EVSE is one word that a person would use.
"""

import math
from enum import StrEnum

import msgspec

from forecourt.controller.controller import Controller
from forecourt.controller.limits import told
from forecourt.controller.line import Line
from forecourt.controller.node_meters import on_lines
from forecourt.controller.ports import MeterRole
from forecourt.controller.surplus import ChargeMode
from forecourt.domain.clock import Now
from forecourt.domain.sentence import Sentence, say
from forecourt.domain.site import EvseKey
from forecourt.domain.transaction import ChargingState
from forecourt.quantities import PerPhase

_FLOWS_A = 1.0


class EvseState(StrEnum):
    """What a person would say of an EVSE."""

    OFFLINE = "offline"
    UNPLUGGED = "unplugged"
    PLUGGED_IN = "plugged in"
    CHARGING = "charging"
    WAITING = "waiting"
    """It may not charge now."""
    PAUSED = "paused"
    """The car takes nothing though it may."""


class EvseStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One EVSE."""

    key: EvseKey
    state: EvseState
    power_w: float | None
    current_a: float | None
    lines_a: PerPhase | None
    """On the site's lines; the largest on each where nobody knows on which line a phase is."""
    limit_a: float
    target_a: float
    sentence: Sentence
    """Why it has what it has."""
    mode: ChargeMode
    by_hand_a: float | None
    maximum_a: float
    departs_s: float | None
    """From now."""
    remaining_wh: float | None

    @property
    def why(self) -> str:
        """The same in English."""
        return str(self.sentence)


class NodeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One node."""

    name: str
    load_a: PerPhase
    """As its meter reads; without one, what is declared and what the EVSEs below it report."""
    limit_a: PerPhase
    """What it may carry, after margins and limits for the time being."""
    background_a: PerPhase
    metered: bool
    limited: tuple[Sentence, ...]
    """By what it is limited for the time being."""

    @property
    def limited_by(self) -> str | None:
        """The same in English; None: by nothing."""
        return "; ".join(map(str, self.limited)) or None


class SiteStatus(msgspec.Struct, frozen=True, kw_only=True):
    """All of it."""

    evses: tuple[EvseStatus, ...]
    nodes: tuple[NodeStatus, ...]
    surplus_w: float
    pv_w: float | None
    battery_w: float | None


def site_status(controller: Controller, now: Now) -> SiteStatus:
    """How things stand."""
    meters = controller.surroundings.meters
    pv = [one.total_w for one in meters.readings(MeterRole.PV, now) if one.total_w is not None]
    batteries = [one.total_w for one in meters.readings(MeterRole.BATTERY, now) if one.total_w is not None]
    return SiteStatus(
        evses=tuple(_evse(controller, line, now) for line in controller.lines.values()),
        nodes=tuple(_nodes(controller, now)),
        surplus_w=controller.surroundings.surplus_w,
        pv_w=-sum(pv) if pv else None,
        battery_w=sum(batteries) if batteries else None,
    )


def _evse(controller: Controller, line: Line, now: Now) -> EvseStatus:
    surroundings, account, key = controller.surroundings, line.account, line.point.key
    current_a = account.measured_a if account.occupied is not False else 0.0
    departs_s = surroundings.wishes.departs_s(key, now)
    return EvseStatus(
        key=key,
        state=_state(line, now),
        power_w=surroundings.drawn_w(line) if account.occupied is not False else 0.0,
        current_a=current_a,
        lines_a=_lines_a(line),
        limit_a=account.holds_a(now),
        target_a=line.target_a,
        sentence=_why(controller, line, now),
        mode=surroundings.mode(key),
        by_hand_a=surroundings.evse_limit_a(key),
        maximum_a=line.point.maximum_a,
        departs_s=None if departs_s is None else departs_s - now.elapsed_s,
        remaining_wh=surroundings.wishes.remaining_wh(key),
    )


def _lines_a(line: Line) -> PerPhase | None:
    account = line.account
    if account.occupied is False:
        return PerPhase()
    return None if account.currents is None else on_lines(line.point, account.currents.phases_a)


def _why(controller: Controller, line: Line, now: Now) -> Sentence:
    if not line.ready and not line.conduct.pauses(now):
        return say("can't be reached; {reserved:.1f} A stay reserved", reserved=line.account.exposure_a(now))
    if line.conduct.quarantined:
        why = say("drew more than its limit again and again; until it is unplugged")
    elif line.conduct.pauses(now):
        left_min = max(1, round((line.conduct.paused_until_s - now.elapsed_s) / 60.0))
        why = say("drew more than its limit; for another {n:.0f} min", n=left_min)
    elif controller.shared is not None:
        return controller.shared.sentence(line)
    else:
        why = say("nothing was decided yet")
    return say("{limit:.1f} A: {why}", limit=line.point.fallback_a, why=why)


def _state(line: Line, now: Now) -> EvseState:
    account = line.account
    if not line.ready:
        return EvseState.OFFLINE
    if not account.occupied:
        return EvseState.UNPLUGGED
    if not account.in_transaction:
        return EvseState.PLUGGED_IN
    if (account.measured_a or 0.0) >= _FLOWS_A:
        return EvseState.CHARGING
    if account.holds_a(now) < line.point.minimum_a:
        return EvseState.WAITING
    if account.charging_state is ChargingState.SUSPENDED_EV:
        return EvseState.PAUSED
    return EvseState.CHARGING if account.charging_state is ChargingState.CHARGING else EvseState.PLUGGED_IN


def _nodes(controller: Controller, now: Now) -> list[NodeStatus]:
    site, surroundings = controller.site, controller.surroundings
    meters = surroundings.meters
    believed = meters.backgrounds(now)
    sources = surroundings.limits.sources(now.at)
    found: list[NodeStatus] = []
    for index, node in enumerate(site.nodes):
        background_a, drawn_a = PerPhase(), PerPhase()
        for other, one in enumerate(site.nodes):
            if index in site.way_up(other):
                background_a += one.background_a
        for line in controller.lines.values():
            if index in site.way_up(site.node_of(line.point)) and line.account.currents is not None:
                drawn_a += on_lines(line.point, line.account.currents.phases_a)
        reading = meters.node_current(node.name, now)
        if node.name in believed:
            background_a = believed[node.name].highest_a
        temporary = surroundings.effective.get(node.name)
        caps_a = [math.inf]
        if temporary is not None and temporary.current_a is not None:
            caps_a.append(temporary.current_a)
        if temporary is not None and temporary.power_w is not None:
            caps_a.append(temporary.power_w / 3.0 / site.voltages_v[index])
        limit_a = PerPhase(*(min(usable_a, *caps_a) for usable_a in node.usable_a))
        named = [
            say("{source}: {limit}", source=source, limit=told(limit))
            for (source, of), limit in sources.items()
            if of == node.name
        ]
        found.append(
            NodeStatus(
                name=node.name,
                load_a=background_a + drawn_a if reading is None else reading,
                limit_a=limit_a,
                background_a=background_a,
                metered=reading is not None,
                limited=tuple(named),
            )
        )
    return found
