"""What a CSMS asks of a controller over the site link, carried out.

Guarantees
* An order either is carried out whole and written down with who asked (`ByHand.changed`), or raises `Refusal` with a
  sentence and changes nothing.
* Nothing here widens a limit of the site: limits only lower, modes and wishes only ask.
"""

from forecourt.allocation.demand import NodeLimit
from forecourt.controller.by_hand import Step
from forecourt.controller.controller import Controller
from forecourt.controller.limits import TimedLimit, told
from forecourt.controller.outlook import Curve
from forecourt.controller.surplus import ChargeMode
from forecourt.controller.wishes import Wish
from forecourt.domain import site_link
from forecourt.domain.clock import Now
from forecourt.domain.site import EvseKey
from forecourt.domain.site_link import Order


class Refusal(Exception):  # noqa: N818 -- named as what it is
    """It can't be done; `str()` says why."""


def carry_out(controller: Controller, order: Order, now: Now) -> str:
    """Do it; gives what was done, in words. Raises Refusal."""
    surroundings = controller.surroundings
    match order.asked:
        case site_link.LimitNode() as asked:
            what = _limit_node(controller, asked)
        case site_link.LimitEvse(current_a=current_a, ends=ends) as asked:
            key = _evse(controller, asked.station_id, asked.evse_id)
            surroundings.by_hand.limit_evse(key, current_a, ends)
            what = f"{key}: " + ("limited no longer" if current_a is None else f"limited to {current_a:g} A")
        case site_link.WishEvse(departs_at=departs_at, energy_wh=energy_wh) as asked:
            key = _evse(controller, asked.station_id, asked.evse_id)
            taken_back = departs_at is None and energy_wh is None
            wish = Wish(departs_at=departs_at, energy_wh=energy_wh)
            if not (surroundings.wishes.unset(key) if taken_back else surroundings.wishes.set(key, wish)):
                raise Refusal(f"nobody is charging at {key}")
            what = f"{key}: " + ("nothing special is wanted" if taken_back else "departure or energy set")
        case site_link.ModeEvse(mode=mode) as asked:
            key = _evse(controller, asked.station_id, asked.evse_id)
            surroundings.surplus.set_mode(key, ChargeMode(mode))
            what = f"{key}: mode {mode}"
        case site_link.PriorityEvse(priority=priority) as asked:
            key = _evse(controller, asked.station_id, asked.evse_id)
            surroundings.by_hand.prioritise(key, priority)
            what = f"{key}: priority {'as in the file' if priority is None else priority}"
        case site_link.DimSite(dimmed=dimmed):
            if not surroundings.dim(dimmed):
                raise Refusal("the site's file says nothing of dimming: [dimming] is missing")
            what = "dimmed" if dimmed else "dimmed no longer"
        case site_link.SetTariff() as asked:
            what = _tariff(controller, asked)
    surroundings.by_hand.changed(order.who, what, now)
    return what


def _limit_node(controller: Controller, asked: site_link.LimitNode) -> str:
    surroundings = controller.surroundings
    if asked.node not in controller.site.node_index:
        raise Refusal(f"there is no node named {asked.node!r}")
    limit = NodeLimit(power_w=asked.power_w, controlled_w=asked.controlled_w, current_a=asked.current_a)
    if limit == NodeLimit():
        surroundings.by_hand.limit_node(asked.node, None)
    else:
        surroundings.by_hand.limit_node(asked.node, TimedLimit(ends=asked.ends, limit=limit))
    surroundings.obey()
    return f"{asked.node}: {told(limit)}"


def _tariff(controller: Controller, asked: site_link.SetTariff) -> str:
    surroundings = controller.surroundings
    try:
        carbon = [(step.start, step.value) for step in asked.carbon or ()]
        curve = Curve([start for start, _ in carbon], [value for _, value in carbon]) if carbon else None
        surroundings.by_hand.set_tariff(Step(step.start, step.value) for step in asked.prices)
    except ValueError as error:
        raise Refusal(str(error)) from error
    if asked.carbon is not None:
        surroundings.outlook.carbon_kg_per_kwh = curve
    surroundings.obey()
    return f"tariff of {len(asked.prices)} steps" if asked.prices else "tariff as in the file"


def _evse(controller: Controller, station_id: str, evse_id: int) -> EvseKey:
    key = EvseKey(station_id, evse_id)
    if key not in controller.lines:
        raise Refusal(f"there is no EVSE {key} at this site")
    return key
