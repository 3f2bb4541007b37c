"""What `site.toml` says of the site's surroundings: meters, signals, limits over time, prices, surplus, outputs.

Guarantees
* What is wrong is told with the path of the field, and what was expected; nothing is started by then. So is a dimming
  signal whose guaranteed power the fallbacks would break: a fallback is what can't be taken away.
* Paths are relative to the file.
"""

import re
from datetime import time
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from forecourt.allocation.connection import watts_per_ampere
from forecourt.allocation.demand import NodeLimit
from forecourt.controller.dimming import guaranteed_w
from forecourt.controller.limits import DAYS, Day, WeeklyLimit
from forecourt.controller.node_meters import MeterUse, above_transformer
from forecourt.controller.outlook import PlannerSettings
from forecourt.controller.ports import MeterRole
from forecourt.controller.surplus import SurplusSettings
from forecourt.controller.surroundings import DimmedTo, SurroundingsSettings
from forecourt.controller.wishes import TokenWish
from forecourt.domain.site import Site
from forecourt.meters.modbus import map_of
from forecourt.meters.quantities import QUANTITIES
from forecourt.meters.settings import AnyMeter, ModbusMeter, MqttBroker, MqttMeter, OcppMeter
from forecourt.meters.signals import ApiSignal, ModbusSignal, MqttSignal
from forecourt.net.feeds import Feed
from forecourt.net.home_assistant import HomeAssistant
from forecourt.net.openadr import OpenAdr


class Dimming(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A grid operator's signal in the manner of § 14a EnWG. Read from `[dimming]`."""

    signal: ModbusSignal | MqttSignal | ApiSignal
    node: str | None = None
    """Left out: the grid connection."""
    devices: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Controllable devices that are steered together, heat pumps included. Left out: the EVSEs below the node."""
    large_w: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Rated power of heat pumps and air conditioning, each group above 11 kW."""
    power_w: Annotated[float, msgspec.Meta(ge=0)] | None = None
    """What the EVSEs may draw together, where the grid operator has said something else."""
    unknown: Literal["dimmed", "as before", "free"] = "as before"
    """What holds when the signal can't be read. After `unknown_after_s`."""
    unknown_after_s: Annotated[float, msgspec.Meta(gt=0)] = 60.0

    def limit(self, site: Site) -> NodeLimit:
        """What holds while the signal is on."""
        if self.power_w is not None:
            return NodeLimit(controlled_w=self.power_w)
        at = site.node_index[self.node or site.grid.name]
        count = sum(at in site.way_up(site.node_of(point)) for point in site.evses)
        return NodeLimit(controlled_w=guaranteed_w(self.devices or max(1, count), self.large_w))


class Schedule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A limit at certain times of the week. Read from `[[schedules]]`."""

    name: Annotated[str, msgspec.Meta(min_length=1)]
    node: str | None = None
    days: tuple[Day, ...] = DAYS
    begins: time
    ends: time
    time_zone: str = "UTC"
    power_w: Annotated[float, msgspec.Meta(ge=0)] | None = None
    """Of everything through the node."""
    controlled_w: Annotated[float, msgspec.Meta(ge=0)] | None = None
    """Of the EVSEs below it alone."""
    current_a: Annotated[float, msgspec.Meta(ge=0)] | None = None
    """Of everything, on each line."""

    def __post_init__(self) -> None:
        if self.power_w is None and self.controlled_w is None and self.current_a is None:
            raise ValueError("schedules: expected one of power_w, controlled_w and current_a")


class Metering(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How meters are believed. Read from `[metering]`."""

    silent_s: Annotated[float, msgspec.Meta(gt=0)] = 10.0
    """A meter that has said nothing for so long isn't believed: the declared worst case holds."""
    draws_within_s: Annotated[float, msgspec.Meta(gt=0)] = 45.0
    """How old what a station reports of its own draw may be; more than the interval of its meter values."""


class SiteInputs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of it. Nothing has to be there."""

    meters: tuple[AnyMeter, ...] = ()
    metering: Metering = Metering()
    mqtt: MqttBroker | None = None
    dimming: Dimming | None = None
    openadr: OpenAdr | None = None
    schedules: tuple[Schedule, ...] = ()
    prices: Feed | None = None
    """Per kWh from the grid."""
    carbon: Feed | None = None
    """Kilograms per kWh from the grid."""
    pv_forecast: Feed | None = None
    """Watts."""
    base_load: Feed | None = None
    """What everything but EVSEs is expected to draw, in watts."""
    surplus: SurplusSettings = SurplusSettings()
    tokens: dict[str, TokenWish] = {}
    planner: PlannerSettings | None = None
    home_assistant: HomeAssistant | None = None

    def surroundings(self, site: Site) -> SurroundingsSettings:
        """What the brain needs to know of it."""
        grid = site.grid.name
        return SurroundingsSettings(
            meters=tuple(
                MeterUse(
                    name=meter.name,
                    role=meter.role,
                    node=meter.node or grid,
                    delay_s=meter.delay_s,
                    station_id=meter.station_id if isinstance(meter, OcppMeter) else None,
                )
                for meter in self.meters
            ),
            silent_s=self.metering.silent_s,
            draws_within_s=self.metering.draws_within_s,
            weekly=tuple(
                WeeklyLimit(
                    name=rule.name,
                    node=rule.node or grid,
                    days=rule.days,
                    begins=rule.begins,
                    ends=rule.ends,
                    time_zone=rule.time_zone,
                    limit=NodeLimit(power_w=rule.power_w, controlled_w=rule.controlled_w, current_a=rule.current_a),
                )
                for rule in self.schedules
            ),
            dimming=None
            if self.dimming is None
            else DimmedTo(node=self.dimming.node or grid, limit=self.dimming.limit(site)),
            surplus=self.surplus,
            tokens=self.tokens,
            planner=self.planner,
        )


def input_problems(inputs: SiteInputs, site: Site, folder: Path) -> list[str]:
    """What is wrong beyond the shape of the fields, each with its path."""
    found: list[str] = []
    nodes = set(site.node_index)

    def node(path: str, name: str | None) -> None:
        if name is not None and name not in nodes:
            found.append(f'{path}.node: no node named "{name}"')

    names: dict[str, int] = {}
    measured: dict[str, int] = {}
    stations = {point.station_id for point in site.evses}
    for index, meter in enumerate(inputs.meters):
        path = f"meters[{index}]"
        node(path, meter.node)
        if meter.name in names:
            found.append(f'{path}.name: "{meter.name}" is taken by meters[{names[meter.name]}]')
        names.setdefault(meter.name, index)
        found += [f"{path}.{problem}" for problem in _meter_problems(meter, inputs, folder)]
        if isinstance(meter, OcppMeter) and meter.station_id not in stations:
            found.append(f'{path}.station_id: no EVSE of a station "{meter.station_id}" in the site')
        of = meter.node or site.grid.name
        if meter.role is MeterRole.NODE and of in nodes:
            if of in measured:
                found.append(f'{path}.node: "{of}" is measured by meters[{measured[of]}] already')
            measured.setdefault(of, index)
            if above_transformer(site, of):
                found.append(f"{path}.node: EVSEs hang on it through a transformer; put the meter behind that")
    for index, rule in enumerate(inputs.schedules):
        node(f"schedules[{index}]", rule.node)
        found += _zone_problems(f"schedules[{index}].time_zone", rule.time_zone)
    for token, wanted in inputs.tokens.items():
        found += _zone_problems(f"tokens.{token}.time_zone", wanted.time_zone)
    evses = {str(point.key) for point in site.evses}
    found += [f'surplus.evses: no EVSE "{key}" in the site' for key in inputs.surplus.evses if key not in evses]
    if inputs.openadr is not None:
        node("openadr", inputs.openadr.node)
    if inputs.home_assistant is not None and inputs.mqtt is None:
        found.append("home_assistant: needs a broker, in [mqtt]")
    if inputs.dimming is not None:
        node("dimming", inputs.dimming.node)
        if isinstance(inputs.dimming.signal, MqttSignal) and inputs.mqtt is None:
            found.append("dimming.signal: needs a broker, in [mqtt]")
        if not any(problem.startswith("dimming.node") for problem in found):
            found += _dimming_problems(inputs.dimming, site)
    return found


def _meter_problems(meter: AnyMeter, inputs: SiteInputs, folder: Path) -> list[str]:
    if isinstance(meter, ModbusMeter):
        try:
            map_of(meter.model, folder)
        except ValueError as error:
            return [str(error)]
    if isinstance(meter, MqttMeter):
        if inputs.mqtt is None:
            return ["kind: needs a broker, in [mqtt]"]
        currents = {name for name in meter.quantities if name.startswith(("current_", "power_l"))}
        if meter.role is MeterRole.NODE and not currents and "power_w" not in meter.quantities:
            return [f"quantities: expected currents or power, of {', '.join(QUANTITIES)}"]
    return []


def _zone_problems(path: str, name: str) -> list[str]:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return [f'{path}: expected a name such as Europe/Berlin, got "{name}"']
    return []


def _dimming_problems(dimming: Dimming, site: Site) -> list[str]:
    """Whether the fallbacks fit under what is left while dimmed."""
    allowed_w = dimming.limit(site).controlled_w or 0.0
    at = site.node_index[dimming.node or site.grid.name]
    fallbacks_w = sum(
        point.fallback_a * watts_per_ampere(point, None, site.voltages_v[site.node_of(point)])
        for point in site.evses
        if at in site.way_up(site.node_of(point))
    )
    if fallbacks_w <= allowed_w + 1.0:
        return []
    left = f"dimming: {allowed_w / 1000:.2f} kW are left while dimmed"
    return [f"{left}, but the fallbacks of the EVSEs take {fallbacks_w / 1000:.2f} kW; lower fallback_a"]


FEEDS: Final = ("prices", "carbon", "pv_forecast", "base_load")
"""Sections that are values over time."""

_CLOCK: Final = re.compile(r"^\d{1,2}:\d{2}$")


def spell_out_times(tree: dict[str, Any]) -> None:
    """Times of day may be written as text without seconds: "07:30"."""
    tokens = tree.get("tokens")
    places = list(tree.get("schedules", [])) if isinstance(tree.get("schedules"), list) else []
    places += list(tokens.values()) if isinstance(tokens, dict) else []
    for place in places:
        if isinstance(place, dict):
            for field in ("begins", "ends", "departs"):
                value = place.get(field)
                if isinstance(value, str) and _CLOCK.match(value):
                    place[field] = f"{value.zfill(5)}:00"
