"""What the administration API shows of a site.

Guarantees
* Looking changes nothing. Everything of one answer is taken at one instant.
* Passwords are never shown, only whether there is one.
"""

from datetime import datetime, timedelta

import msgspec

from forecourt.allocation.check import standings
from forecourt.allocation.explanation import LimitKind
from forecourt.api.lists import Listing
from forecourt.controller.by_hand import ChangeMade, EvseOrder
from forecourt.controller.capability import Capability
from forecourt.controller.controller import Controller
from forecourt.controller.effects import Alarm
from forecourt.controller.ports import MeterReading, MeterRole
from forecourt.controller.status import EvseState, EvseStatus, NodeStatus, site_status
from forecourt.controller.surplus import ChargeMode
from forecourt.domain.clock import Now
from forecourt.domain.site import Circuit
from forecourt.net.controller_session import ControllerServer
from forecourt.quantities import PHASES, Phase


class LimitView(msgspec.Struct, frozen=True, kw_only=True):
    """A limit that a person has set."""

    current_a: float | None
    power_w: float | None
    until: datetime | None


class PhaseView(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a node."""

    phase: Phase
    load_a: float
    """As its meter reads; without one, what is declared and what EVSEs report."""
    background_a: float
    """Of that, what EVSEs don't draw: as metered, else as declared."""
    exposure_a: float
    """What may flow at worst, whatever stations and cars do."""
    limit_a: float
    """What it may carry now: rating less margins, and limits for the time being."""
    rating_a: float


class NodeView(msgspec.Struct, frozen=True, kw_only=True):
    """One node of the tree."""

    name: str
    parent: str | None
    """null: it is the grid connection."""
    phases: tuple[PhaseView, ...]
    metered: bool
    limited: str | None
    """By what it is limited for the time being, in words."""
    by_hand: LimitView | None


class WishView(msgspec.Struct, frozen=True, kw_only=True):
    """What the car needs."""

    departs_at: datetime | None
    remaining_wh: float | None
    by_hand: bool
    """Whether a person has said so."""


class LineView(msgspec.Struct, frozen=True, kw_only=True):
    """One of the site's lines, as an EVSE draws from it."""

    phase: Phase
    current_a: float


class EvseView(msgspec.Struct, frozen=True, kw_only=True):
    """One EVSE."""

    id: str
    station_id: str
    evse_id: int
    node: str
    state: EvseState
    power_w: float | None
    current_a: float | None
    """The largest on any line. null: no reading."""
    lines: tuple[LineView, ...] | None
    """What it draws from each of the site's lines; the largest on each where nobody knows on which line a phase is.
    null: no reading."""
    limit_a: float
    """What it may draw on each line, as it has confirmed."""
    target_a: float
    """What was decided last; it may still be on its way."""
    exposure_a: float
    """What it might draw at worst."""
    why: str
    minimum_a: float
    maximum_a: float
    fallback_a: float
    mode: ChargeMode
    priority: int
    by_hand: LimitView | None
    transaction_id: str | None
    wish: WishView | None
    """null: nothing is known."""
    plan: str | None


class UpstreamView(msgspec.Struct, frozen=True, kw_only=True):
    """A station's link to its CSMS."""

    url: str
    is_own: bool
    """Whether it differs from the site's."""
    has_password: bool
    """Whether the controller has one; without, the station's own credentials are passed on."""
    connected: bool
    waiting: int
    """Messages that the CSMS has not heard yet."""


class CommissioningView(msgspec.Struct, frozen=True, kw_only=True):
    """The latest probe of a station, and what is known of its model."""

    station_id: str
    running: bool
    step: str | None
    """What the probe does, or did last; null: there was none."""
    failed: str | None
    """Why it ended without a result."""
    capability: Capability | None
    """null: nothing is known."""


class StationView(msgspec.Struct, frozen=True, kw_only=True):
    """One station."""

    id: str
    connected: bool
    model: str | None
    upstream: UpstreamView


class StateView(msgspec.Struct, frozen=True, kw_only=True):
    """A site."""

    at: datetime
    name: str
    nodes: tuple[NodeView, ...]
    """The grid connection, then the circuits."""
    evses: tuple[EvseView, ...]
    stations: tuple[StationView, ...]
    surplus_w: float
    pv_w: float | None
    battery_w: float | None
    dimmed: bool | None
    """By a grid operator; null: there is no signal."""
    tariff_until: datetime | None
    """When the last step of an uploaded tariff begins; null: there is none."""


class AlarmView(msgspec.Struct, frozen=True, kw_only=True):
    """Something a person should know."""

    at: datetime | None
    kind: str
    text: str
    evse: str | None


class AlarmList(Listing, frozen=True, kw_only=True):
    """Alarms, newest first."""

    items: tuple[AlarmView, ...]


class ShareView(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided for one EVSE."""

    evse: str
    target_a: float
    why: str


class DecisionView(msgspec.Struct, frozen=True, kw_only=True):
    """A decision that changed something."""

    id: int
    at: datetime
    shares: tuple[ShareView, ...]
    """Those that changed."""


class DecisionList(Listing, frozen=True, kw_only=True):
    """Decisions, newest first."""

    items: tuple[DecisionView, ...]


class ChangeList(Listing, frozen=True, kw_only=True):
    """Changes, newest first."""

    items: tuple[ChangeMade, ...]


class MeterView(msgspec.Struct, frozen=True, kw_only=True):
    """One meter."""

    name: str
    role: MeterRole
    node: str
    silent: bool
    """It isn't believed: the worst case holds."""
    reading: MeterReading | None


class MeterList(msgspec.Struct, frozen=True, kw_only=True):
    """All meters of the site."""

    items: tuple[MeterView, ...]


class PlannedEvse(msgspec.Struct, frozen=True, kw_only=True):
    """What is planned for one EVSE."""

    evse: str
    currents_a: tuple[float, ...]
    """In each slot."""
    planned_wh: float
    unmet_wh: float
    text: str


class PlanView(msgspec.Struct, frozen=True, kw_only=True):
    """The plan that is followed."""

    made_at: datetime
    slots_until: tuple[datetime, ...]
    evses: tuple[PlannedEvse, ...]


class PlanAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The plan; null: there is none, and the real-time rule decides alone."""

    plan: PlanView | None


def state_of(server: ControllerServer, now: Now) -> StateView:
    """How things stand."""
    controller = server.endpoint.controller
    site, surroundings = controller.site, controller.surroundings
    status = site_status(controller, now)
    tariff = surroundings.by_hand.tariff
    return StateView(
        at=now.at,
        name=site.grid.name,
        nodes=_nodes(controller, status.nodes, now),
        evses=tuple(_evse(controller, one, now) for one in status.evses),
        stations=tuple(_station(server, one) for one in dict.fromkeys(point.station_id for point in site.evses)),
        surplus_w=status.surplus_w,
        pv_w=status.pv_w,
        battery_w=status.battery_w,
        dimmed=None if surroundings.settings.dimming is None else surroundings.by_hand.dimmed,
        tariff_until=tariff[-1].start if tariff else None,
    )


def upstream_of(server: ControllerServer, station_id: str) -> UpstreamView:
    """A station's link to its CSMS."""
    endpoint = server.endpoint
    return UpstreamView(
        url=server.upstream_url(station_id),
        is_own=endpoint.memory.registry.upstream_url(station_id) is not None,
        has_password=bool(endpoint.upstream_passwords(station_id)),
        connected=server.csms_connected(station_id),
        waiting=endpoint.backlog(station_id),
    )


def commissioning_of(controller: Controller, station_id: str) -> CommissioningView:
    """The latest probe of a station."""
    probe = controller.probing.probes.get(station_id)
    return CommissioningView(
        station_id=station_id,
        running=probe is not None and not probe.over,
        step=None if probe is None else probe.step,
        failed=None if probe is None else probe.failed,
        capability=controller.probing.capability(station_id),
    )


def alarm_view(alarm: Alarm) -> AlarmView:
    """An alarm."""
    evse = None if alarm.evse is None else str(alarm.evse)
    return AlarmView(at=alarm.at, kind=alarm.kind, text=alarm.text, evse=evse)


def plan_of(controller: Controller, now: Now) -> PlanAnswer:
    """The plan."""
    plan = controller.surroundings.plan
    if plan is None:
        return PlanAnswer(plan=None)

    def instant(elapsed_s: float) -> datetime:
        return now.at + timedelta(seconds=elapsed_s - now.elapsed_s)

    return PlanAnswer(
        plan=PlanView(
            made_at=instant(plan.made_s),
            slots_until=tuple(instant(until_s) for until_s in plan.slots_until_s),
            evses=tuple(
                PlannedEvse(
                    evse=str(key),
                    currents_a=plan.currents_a.get(key, ()),
                    planned_wh=share.planned_wh,
                    unmet_wh=share.unmet_wh,
                    text=share.text(now.elapsed_s),
                )
                for key, share in plan.shares.items()
            ),
        )
    )


def meters_of(controller: Controller, now: Now) -> MeterList:
    """All meters."""
    meters = controller.surroundings.meters
    found = []
    for name in meters.names:
        use, reading = meters.use(name), meters.reading(name, now)
        found.append(MeterView(name=name, role=use.role, node=use.node, silent=reading is None, reading=reading))
    return MeterList(items=tuple(found))


def _nodes(controller: Controller, known: tuple[NodeStatus, ...], now: Now) -> tuple[NodeView, ...]:
    site, surroundings = controller.site, controller.surroundings
    worst_a = {
        (one.bound.node, one.bound.phase): one.worst
        for one in standings(site, controller.exposures(now), surroundings.meters.backgrounds(now))
        if one.bound.kind is LimitKind.FUSE
    }
    found = []
    for node, one in zip(site.nodes, known, strict=True):
        by_hand = surroundings.by_hand.nodes.get(node.name)
        limit = None if by_hand is None else by_hand.limit
        found.append(
            NodeView(
                name=node.name,
                parent=(node.parent or site.grid.name) if isinstance(node, Circuit) else None,
                phases=tuple(
                    PhaseView(
                        phase=phase,
                        load_a=one.load_a[phase],
                        background_a=one.background_a[phase],
                        exposure_a=worst_a[node.name, phase],
                        limit_a=one.limit_a[phase],
                        rating_a=node.rating_a[phase],
                    )
                    for phase in PHASES
                ),
                metered=one.metered,
                limited=one.limited_by,
                by_hand=None
                if by_hand is None or limit is None
                else LimitView(current_a=limit.current_a, power_w=limit.power_w, until=by_hand.ends),
            )
        )
    return tuple(found)


def _evse(controller: Controller, one: EvseStatus, now: Now) -> EvseView:
    site, surroundings, line = controller.site, controller.surroundings, controller.lines[one.key]
    order = surroundings.by_hand.evses.get(one.key, EvseOrder())
    plan = None if surroundings.plan is None else surroundings.plan.shares.get(one.key)
    departs_at = None if one.departs_s is None else now.at + timedelta(seconds=one.departs_s)
    wish = None
    if departs_at is not None or one.remaining_wh is not None:
        said = surroundings.wishes.said(one.key) is not None
        wish = WishView(departs_at=departs_at, remaining_wh=one.remaining_wh, by_hand=said)
    limit = None
    if order.current_a is not None:
        limit = LimitView(current_a=order.current_a, power_w=None, until=order.ends)
    return EvseView(
        id=str(one.key),
        station_id=one.key.station_id,
        evse_id=one.key.evse_id,
        node=site.nodes[site.node_of(line.point)].name,
        state=one.state,
        power_w=one.power_w,
        current_a=one.current_a,
        lines=None
        if one.lines_a is None
        else tuple(LineView(phase=phase, current_a=one.lines_a[phase]) for phase in PHASES),
        limit_a=one.limit_a,
        target_a=one.target_a,
        exposure_a=line.account.exposure_a(now),
        why=one.why,
        minimum_a=line.point.minimum_a,
        maximum_a=one.maximum_a,
        fallback_a=line.point.fallback_a,
        mode=one.mode,
        priority=surroundings.priority(line),
        by_hand=limit,
        transaction_id=None if line.transaction is None else line.transaction.transaction_id,
        wish=wish,
        plan=None if plan is None else plan.text(now.elapsed_s),
    )


def _station(server: ControllerServer, station_id: str) -> StationView:
    known = server.endpoint.memory.registry.of(station_id).identity
    return StationView(
        id=station_id,
        connected=server.station_connected(station_id),
        model=None if known is None else f"{known.vendor_name} {known.model}",
        upstream=upstream_of(server, station_id),
    )
