"""The site on MQTT, so that Home Assistant finds it by itself: states out, and modes and limits back in if allowed.

Guarantees
* One device for the site, one for each EVSE and node, by Home Assistant's MQTT discovery; unique ids don't change.
* What a topic says is retained and only said when it has changed, numbers rounded to what a person reads.
* `<base>/alive` says `online`, and by the broker's last will `offline`.
* Commands are listened to only where the configuration says so; one that makes no sense is logged and does nothing.
"""

import logging
import math
import re
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Final

import msgspec

from forecourt.allocation.demand import NodeLimit
from forecourt.controller.controller import Controller
from forecourt.controller.effects import Alarm
from forecourt.controller.limits import TimedLimit
from forecourt.controller.status import EvseStatus, NodeStatus, SiteStatus
from forecourt.controller.surplus import ChargeMode
from forecourt.domain.site import Site
from forecourt.quantities import PHASES

log = logging.getLogger(__name__)

Publish = Callable[[str, bytes], None]
"""Topic and payload; retained."""


class HomeAssistant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read from `[home_assistant]`; the broker is that of `[mqtt]`."""

    base: Annotated[str, msgspec.Meta(min_length=1, pattern="^[^+#]+$")] = "forecourt"
    """Under which all topics are."""
    discovery: str | None = "homeassistant"
    """Home Assistant's prefix. None: topics without discovery."""
    commands: bool = False
    """Whether modes and limits may be set over the broker."""
    interval_s: Annotated[float, msgspec.Meta(gt=0)] = 5.0


class Outputs:
    """What has been said, so that only what is new is said."""

    def __init__(self, settings: HomeAssistant, site: Site, publish: Publish) -> None:
        self._settings = settings
        self._site = site
        self._publish = publish
        self._said: dict[str, bytes] = {}
        self._evses = {slug(str(point.key)): point.key for point in site.evses}
        self._nodes = {slug(node.name): node.name for node in site.nodes}

    @property
    def alive(self) -> str:
        """The topic of the last will."""
        return f"{self._settings.base}/alive"

    @property
    def command_topics(self) -> tuple[str, ...]:
        """To be listened to."""
        base = self._settings.base
        if not self._settings.commands:
            return ()
        return (f"{base}/evse/+/mode/set", f"{base}/evse/+/limit/set", f"{base}/node/+/limit/set")

    def introduce(self) -> None:
        """Tell Home Assistant what there is."""
        self._say(self.alive, b"online")
        for name, node in self._nodes.items():
            self._say(f"{self._settings.base}/node/{name}/limit", _text(round(_most_kw(self._site, node), 1)))
        prefix = self._settings.discovery
        if prefix is None:
            return
        for component, name, config in self._entities():
            self._say(f"{prefix}/{component}/{name}/config", msgspec.json.encode(config))

    def tell(self, status: SiteStatus, alarms: Iterable[Alarm]) -> None:
        """How things stand."""
        base = self._settings.base
        for evse in status.evses:
            for name, value in _evse_values(evse).items():
                self._say(f"{base}/evse/{slug(str(evse.key))}/{name}", _text(value))
        for node in status.nodes:
            for name, value in _node_values(node).items():
                self._say(f"{base}/node/{slug(node.name)}/{name}", _text(value))
        self._say(f"{base}/surplus", _text(round(status.surplus_w)))
        self._say(f"{base}/pv", _text(None if status.pv_w is None else round(status.pv_w)))
        self._say(f"{base}/battery", _text(None if status.battery_w is None else round(status.battery_w)))
        texts = [alarm.text for alarm in alarms]
        self._say(f"{base}/alarm", (texts[-1] if texts else "none").encode()[:250])

    def command(self, topic: str, payload: bytes, controller: Controller) -> bool:
        """Somebody wants something. False: it makes no sense."""
        parts = topic.removeprefix(f"{self._settings.base}/").split("/")
        done = (
            self._settings.commands
            and len(parts) == 4
            and parts[3] == "set"
            and self._obey(parts[0], parts[1], parts[2], payload.strip(), controller)
        )
        if done:
            log.info("MQTT: %s %s", topic, payload[:40].decode(errors="replace"))
        else:
            log.warning("MQTT: %s %r makes no sense", topic, payload[:40])
        return done

    def _obey(self, kind: str, name: str, what: str, payload: bytes, controller: Controller) -> bool:
        surroundings = controller.surroundings
        if kind == "evse" and name in self._evses and what == "mode":
            try:
                surroundings.surplus.set_mode(self._evses[name], ChargeMode(payload.decode()))
            except ValueError:
                return False
            return True
        value = _number(payload)
        if value is None or what != "limit":
            return False
        if kind == "evse" and name in self._evses:
            maximum_a = next(p.maximum_a for p in self._site.evses if p.key == self._evses[name])
            surroundings.limit_evse(self._evses[name], None if value >= maximum_a else value)
            return True
        if kind == "node" and name in self._nodes:
            node = self._nodes[name]
            most_kw = _most_kw(self._site, node)
            limit = None if value >= most_kw else TimedLimit(limit=NodeLimit(power_w=value * 1000.0))
            surroundings.by_hand.limit_node(node, limit)
            surroundings.obey()
            self._say(f"{self._settings.base}/node/{name}/limit", _text(round(min(value, most_kw), 1)))
            return True
        return False

    def _say(self, topic: str, payload: bytes) -> None:
        if self._said.get(topic) != payload:
            self._said[topic] = payload
            self._publish(topic, payload)

    # discovery

    def _entities(self) -> Iterable[tuple[str, str, dict[str, Any]]]:
        base, commands = self._settings.base, self._settings.commands
        site_id = slug(base)
        site_device = {"identifiers": [f"forecourt-{site_id}"], "name": f"Charging, {self._site.grid.name}",
                       "manufacturer": "Forecourt", "model": "Local controller"}  # fmt: skip

        def entity(name: str, topic: str, title: str, device: dict[str, Any], **more: Any) -> dict[str, Any]:
            return {
                "unique_id": f"forecourt-{site_id}-{name}", "object_id": f"forecourt_{slug(name)}", "name": title,
                "state_topic": topic, "availability_topic": self.alive, "device": device, **more,
            }  # fmt: skip

        for name, title in (("surplus", "Surplus"), ("pv", "Generation"), ("battery", "Battery")):
            yield "sensor", f"{site_id}_{name}", entity(name, f"{base}/{name}", title, site_device, **_WATTS)
        alarm = entity("alarm", f"{base}/alarm", "Alarm", site_device, icon="mdi:alert")
        yield "sensor", f"{site_id}_alarm", alarm
        for name, key in self._evses.items():
            device = {"identifiers": [f"forecourt-{site_id}-{name}"], "name": str(key), "manufacturer": "Forecourt",
                      "model": "EVSE", "via_device": f"forecourt-{site_id}"}  # fmt: skip
            topic = f"{base}/evse/{name}"
            for quantity, title, more in _EVSE_SENSORS:
                config = entity(f"{name}-{quantity}", f"{topic}/{quantity}", title, device, **more)
                yield "sensor", f"{site_id}_{name}_{quantity}", config
            if commands:
                options = [mode.value for mode in ChargeMode]
                mode = entity(f"{name}-mode", f"{topic}/mode", "Mode", device, options=options,
                              command_topic=f"{topic}/mode/set")  # fmt: skip
                yield "select", f"{site_id}_{name}_mode", mode
                maximum_a = next(p.maximum_a for p in self._site.evses if p.key == key)
                limit = entity(f"{name}-set", f"{topic}/limit", "Limit", device, min=0, max=maximum_a, step=0.5,
                               command_topic=f"{topic}/limit/set", unit_of_measurement="A")  # fmt: skip
                yield "number", f"{site_id}_{name}_set", limit
        for name, node in self._nodes.items():
            device = {"identifiers": [f"forecourt-{site_id}-node-{name}"], "name": node, "manufacturer": "Forecourt",
                      "model": "Circuit", "via_device": f"forecourt-{site_id}"}  # fmt: skip
            topic = f"{base}/node/{name}"
            for phase in PHASES:
                for kind, title in (("load", "Load"), ("bears", "Bears")):
                    quantity = f"{kind}_{phase.lower()}"
                    config = entity(
                        f"node-{name}-{quantity}", f"{topic}/{quantity}", f"{title} {phase}", device, **_AMPERE
                    )
                    yield "sensor", f"{site_id}_node_{name}_{quantity}", config
            limited = entity(f"node-{name}-limited", f"{topic}/limited", "Limited by", device)
            yield "sensor", f"{site_id}_node_{name}_limited", limited
            if commands:
                number = entity(f"node-{name}-set", f"{topic}/limit", "Limit", device, min=0, step=0.1,
                                max=round(_most_kw(self._site, node), 1), unit_of_measurement="kW",
                                command_topic=f"{topic}/limit/set")  # fmt: skip
                yield "number", f"{site_id}_node_{name}_set", number


_WATTS: Final = {"unit_of_measurement": "W", "device_class": "power", "state_class": "measurement"}
_AMPERE: Final = {"unit_of_measurement": "A", "device_class": "current", "state_class": "measurement"}
_EVSE_SENSORS: Final[tuple[tuple[str, str, dict[str, Any]], ...]] = (
    ("power", "Power", _WATTS),
    ("current", "Current", _AMPERE),
    ("allowed", "Allowed", _AMPERE),
    ("state", "State", {"icon": "mdi:ev-station"}),
    ("why", "Why", {"icon": "mdi:head-question"}),
)


def _evse_values(evse: EvseStatus) -> dict[str, str | float | None]:
    limit_a = evse.maximum_a if evse.by_hand_a is None else evse.by_hand_a
    return {
        "power": None if evse.power_w is None else round(evse.power_w),
        "current": None if evse.current_a is None else round(evse.current_a, 1),
        "allowed": round(evse.limit_a, 1),
        "state": evse.state.value,
        "why": evse.why,
        "mode": evse.mode.value,
        "limit": round(limit_a, 1),
    }


def _node_values(node: NodeStatus) -> dict[str, str | float | None]:
    values: dict[str, str | float | None] = {"limited": node.limited_by or "nothing"}
    for phase in PHASES:
        values[f"load_{phase.lower()}"] = round(node.load_a[phase], 1)
        values[f"bears_{phase.lower()}"] = round(node.limit_a[phase], 1)
    return values


def _most_kw(site: Site, node: str) -> float:
    at = site.node_index[node]
    return site.nodes[at].rating_a.total * site.voltages_v[at] / 1000.0


def _text(value: str | float | None) -> bytes:
    """As Home Assistant reads it; `None` is its word for unknown."""
    if value is None:
        return b"None"
    return value.encode() if isinstance(value, str) else f"{value:g}".encode()


def _number(payload: bytes) -> float | None:
    try:
        value = float(payload)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0.0 else None


def slug(name: str) -> str:
    """Fit for a topic and an id; never two of one site alike that differ otherwise than by their signs."""
    return re.sub(r"[^a-z0-9_-]+", "_", name.lower())
