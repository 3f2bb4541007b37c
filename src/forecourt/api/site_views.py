"""What the CSMS knows of a site, as `/sites` shows it.

Guarantees
* The site's tree, which the controller tells first, says what there is; the readings fill in how it is.
"""

from typing import Any

import msgspec

from forecourt.api.site_bodies import (
    DimmingResource,
    Lines,
    NodeResource,
    NodeSampleResource,
    PlanResource,
    PlanSlotResource,
    SampleResource,
    SiteEntryResource,
    SiteEvseResource,
    SiteOrderResource,
    SiteSummary,
)
from forecourt.csms.site_records import LinkedSite, SiteEntry, SiteOrder, SiteSample
from forecourt.domain.site import Circuit, GridConnection, Site
from forecourt.domain.site_link import EvseReading, NodeReading
from forecourt.quantities import PerPhase


def summary(site: LinkedSite) -> SiteSummary:
    """A site in a list."""
    return SiteSummary(**_common(site))


def _common(site: LinkedSite) -> dict[str, Any]:
    power_w = None if site.readings is None else sum(evse.power_w or 0.0 for evse in site.readings.evses)
    return {
        "id": site.number,
        "name": site.name,
        "location_id": site.location_id,
        "connected": site.connection_id is not None,
        "heard_at": site.heard_at,
        "version": site.version,
        "power_w": power_w,
        "created_at": site.created_at,
    }


def whole(site: LinkedSite) -> dict[str, Any]:
    """All of a site, by the names of `SiteResource`."""
    readings, plan = site.readings, site.plan
    nodes = {node.name: node for node in readings.nodes} if readings else {}
    evses = {(evse.station_id, evse.evse_id): evse for evse in readings.evses} if readings else {}
    dimming = None if readings is None or readings.dimming is None else readings.dimming
    return {
        **_common(site),
        "connected_at": site.connected_at,
        "lost_records": site.lost,
        "dimmable": site.dimmable,
        "at": None if readings is None else readings.at,
        "nodes": () if site.tree is None else tuple(_node(site.tree, one, nodes) for one in site.tree.nodes),
        "evses": () if site.tree is None else tuple(_evses(site.tree, evses)),
        "surplus_w": None if readings is None else readings.surplus_w,
        "pv_w": None if readings is None else readings.pv_w,
        "battery_w": None if readings is None else readings.battery_w,
        "dimming": None if dimming is None else msgspec.convert(dimming, DimmingResource, from_attributes=True),
        "plan": None
        if plan is None
        else PlanResource(
            made_at=plan.made_at,
            evses=plan.evses,
            shares=plan.shares,
            sentences=plan.sentences,
            slots=tuple(msgspec.convert(slot, PlanSlotResource, from_attributes=True) for slot in plan.slots),
        ),
    }


def _node(tree: Site, node: GridConnection, readings: dict[str, NodeReading]) -> NodeResource:
    told = readings.get(node.name)
    return NodeResource(
        name=node.name,
        parent=(node.parent or tree.grid.name) if isinstance(node, Circuit) else None,
        rating_a=tuple(node.rating_a),
        power_limit_w=node.power_limit_w,
        asymmetry_limit_a=node.asymmetry_limit_a,
        transformer=isinstance(node, Circuit) and node.transformer is not None,
        voltage_v=tree.voltages_v[tree.node_index[node.name]],
        load_a=_lines(None if told is None else told.load_a),
        limit_a=_lines(None if told is None else told.limit_a),
        background_a=_lines(None if told is None else told.background_a),
        metered=told is not None and told.metered,
        limited=None if told is None else told.limited,
        sentences=() if told is None else told.sentences,
    )


def _evses(tree: Site, readings: dict[tuple[str, int], EvseReading]) -> list[SiteEvseResource]:
    found = []
    for point in tree.evses:
        told = readings.get((point.station_id, point.evse_id))
        lines = point.between or point.rotation or ()
        found.append(
            SiteEvseResource(
                evse=str(point.key),
                station_id=point.station_id,
                evse_id=point.evse_id,
                node=point.circuit or tree.grid.name,
                phases=point.phases,
                lines=tuple(str(line) for line in lines),
                minimum_a=point.minimum_a,
                maximum_a=point.maximum_a,
                priority=point.priority if told is None or told.priority is None else told.priority,
                state=None if told is None else told.state,
                power_w=None if told is None else told.power_w,
                current_a=None if told is None else told.current_a,
                limit_a=None if told is None else told.limit_a,
                target_a=None if told is None else told.target_a,
                why=None if told is None else told.why,
                sentence=None if told is None else told.sentence,
                mode=None if told is None else told.mode,
                by_hand_a=None if told is None else told.by_hand_a,
                departs_at=None if told is None else told.departs_at,
                remaining_wh=None if told is None else told.remaining_wh,
            )
        )
    return found


def _lines(currents_a: PerPhase | None) -> Lines | None:
    return None if currents_a is None else tuple(currents_a)


def show_entry(entry: SiteEntry) -> SiteEntryResource:
    """Something that happened."""
    return SiteEntryResource(
        id=entry.number, kind=entry.kind, at=entry.created_at, code=entry.code, text=entry.text,
        sentence=entry.sentence, evse=entry.evse, target_a=entry.target_a,
    )  # fmt: skip


def show_sample(sample: SiteSample) -> SampleResource:
    """A stretch of the history."""
    return SampleResource(
        at=sample.created_at, duration_s=sample.duration_s, power_w=sample.power_w, surplus_w=sample.surplus_w,
        pv_w=sample.pv_w, charging=sample.charging, dimmed=sample.dimmed,
        nodes=tuple(
            NodeSampleResource(
                name=node.name, mean_a=tuple(node.mean_a), highest_a=tuple(node.highest_a), limit_a=tuple(node.limit_a)
            )
            for node in sample.nodes
        ),
    )  # fmt: skip


def show_order(order: SiteOrder) -> SiteOrderResource:
    """Something that was asked."""
    return SiteOrderResource(
        id=order.order_id, who=order.who, asked=msgspec.to_builtins(order.asked), state=order.state,
        detail=order.detail, created_at=order.created_at, updated_at=order.updated_at,
    )  # fmt: skip
