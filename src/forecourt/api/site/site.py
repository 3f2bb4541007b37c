"""A running controller as whoever administers it sees and changes it.

Guarantees
* A change is in the journal, with who made it and when, before its operation answers; so it survives a restart.
* A limit that a person sets only lowers: the site's file and the fuses hold besides.
* What can't be is refused with the reason, and nothing is changed.
"""

from collections import deque
from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import Final

from forecourt.allocation.demand import NodeLimit
from forecourt.allocation.explanation import Bound, Reason
from forecourt.api.problems import Refused
from forecourt.api.site.bodies import CommissionBody, LimitBody, TariffBody, UpstreamBody, WishBody
from forecourt.api.site.views import (
    AlarmList,
    ChangeList,
    CommissioningView,
    DecisionList,
    DecisionView,
    MeterList,
    PlanAnswer,
    ShareView,
    StateView,
    UpstreamView,
    alarm_view,
    commissioning_of,
    meters_of,
    plan_of,
    state_of,
    upstream_of,
)
from forecourt.controller.controller import Controller
from forecourt.controller.effects import Decided
from forecourt.controller.limits import TimedLimit, told
from forecourt.controller.line import Line
from forecourt.controller.probing import CantProbe
from forecourt.controller.surplus import ChargeMode
from forecourt.controller.wishes import Wish
from forecourt.csms.errors import Conflict, Invalid, NotFound
from forecourt.domain.clock import Clock, Now
from forecourt.domain.site import EvseKey
from forecourt.net.controller_session import ControllerServer

DECISIONS_KEPT: Final = 500
_RECENT_S: Final = 0.9

_Known = tuple[float, Reason, Bound | None]


class AdministeredSite:
    """One controller. `dim` passes a grid operator's signal on; None: it doesn't come by this API."""

    def __init__(self, server: ControllerServer, clock: Clock, dim: Callable[[bool], None] | None = None) -> None:
        self._server = server
        self._clock = clock
        self._dim = dim
        self._decisions: deque[DecisionView] = deque(maxlen=DECISIONS_KEPT)
        self._known: dict[EvseKey, _Known] = {}
        self._recent: tuple[float, StateView] | None = None
        server.endpoint.on_decided.append(self._decided)

    def close(self) -> None:
        """Hear of no more decisions."""
        self._server.endpoint.on_decided.remove(self._decided)

    # to look at

    def state(self) -> StateView:
        """How things stand."""
        return state_of(self._server, self._clock.now())

    def recent_state(self) -> StateView:
        """The same, not older than a second: however many look, it is worked out once."""
        now_s = self._clock.now().protocol_s
        if self._recent is None or now_s >= self._recent[0] + _RECENT_S:
            self._recent = (now_s, self.state())
        return self._recent[1]

    def alarms(self, limit: int) -> AlarmList:
        """The latest, newest first."""
        return AlarmList(items=tuple(alarm_view(one) for one in self._server.endpoint.alarms[::-1][:limit]))

    def decisions(self, limit: int, evse: str | None, cursor: str | None) -> DecisionList:
        """The latest, newest first."""
        if cursor is not None and not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 19):
            raise Invalid("cursor", "is none of ours")
        before = None if cursor is None else int(cursor)
        found = [
            one
            for one in reversed(self._decisions)
            if (before is None or one.id < before) and (evse is None or any(share.evse == evse for share in one.shares))
        ]
        more = str(found[limit - 1].id) if len(found) > limit else None
        return DecisionList(items=tuple(found[:limit]), next_cursor=more)

    def changes(self, limit: int) -> ChangeList:
        """Who changed what, newest first."""
        return ChangeList(items=tuple(reversed(self._controller.surroundings.by_hand.changes))[:limit])

    def plan(self) -> PlanAnswer:
        """What is planned."""
        return plan_of(self._controller, self._clock.now())

    def meters(self) -> MeterList:
        """What the meters say."""
        return meters_of(self._controller, self._clock.now())

    def upstream(self, station_id: str) -> UpstreamView:
        """A station's link to its CSMS."""
        self._station(station_id)
        return upstream_of(self._server, station_id)

    def commissioning(self, station_id: str) -> CommissioningView:
        """The latest probe of a station, and what is known of its model."""
        self._station(station_id)
        return commissioning_of(self._controller, station_id)

    # to change

    def commission(self, who: str, station_id: str, body: CommissionBody) -> CommissioningView:
        """Begin to find out what a station does with limits."""
        self._station(station_id)
        try:
            self._server.commission(station_id, body.evse_id, reboot=body.reboot)
        except CantProbe as error:
            raise Conflict(str(error)) from error
        self._changed(who, f"{station_id} is commissioned", lambda _: None)
        return self.commissioning(station_id)

    def limit_node(self, who: str, node: str, body: LimitBody | None) -> StateView:
        """Limit everything through a node; None takes it back."""
        if node not in self._controller.site.node_index:
            raise NotFound("node", node)
        self._future("until", None if body is None else body.until)
        timed = None
        text = f"the limit of {node} by hand is taken back"
        if body is not None:
            timed = TimedLimit(ends=body.until, limit=NodeLimit(power_w=body.power_w, current_a=body.current_a))
            text = f"{node} to {told(timed.limit)}{_until(body.until)}"

        def change(controller: Controller) -> None:
            controller.surroundings.by_hand.limit_node(node, timed)
            controller.surroundings.obey()

        return self._changed(who, text, change)

    def limit_evse(self, who: str, evse: str, body: LimitBody | None) -> StateView:
        """Limit an EVSE; None takes it back."""
        line = self._line(evse)
        until = None if body is None else body.until
        self._future("until", until)
        current_a, text = None, f"the limit of {line.point.key} by hand is taken back"
        if body is not None:
            watts_per_a = self._controller.surroundings.watts_per_a(line)
            current_a = body.current_a if body.current_a is not None else (body.power_w or 0.0) / watts_per_a
            text = f"{line.point.key} to {current_a:.1f} A{_until(until)}"
        return self._changed(
            who, text, lambda controller: controller.surroundings.by_hand.limit_evse(line.point.key, current_a, until)
        )

    def prioritise(self, who: str, evse: str, priority: int | None) -> StateView:
        """None: as the site's file says."""
        key = self._line(evse).point.key
        text = f"{key} has the priority of the file" if priority is None else f"{key} has priority {priority}"
        return self._changed(who, text, lambda controller: controller.surroundings.by_hand.prioritise(key, priority))

    def set_mode(self, who: str, evse: str, mode: ChargeMode) -> StateView:
        """How an EVSE is charged."""
        key = self._line(evse).point.key
        return self._changed(
            who,
            f"{key} charges in mode {mode.value}",
            lambda controller: controller.surroundings.surplus.set_mode(key, mode),
        )

    def wish(self, who: str, evse: str, body: WishBody | None) -> StateView:
        """What the car that is there needs; None takes it back."""
        line = self._line(evse)
        key = line.point.key
        if not line.account.in_transaction:
            raise Conflict(f"nobody charges at {key}")
        self._future("departs_at", None if body is None else body.departs_at)
        if body is None:
            return self._changed(
                who, f"the wish at {key} is taken back", lambda controller: controller.surroundings.wishes.unset(key)
            )
        energy = "" if body.energy_wh is None else f" {body.energy_wh / 1000:.1f} kWh"
        departs = "" if body.departs_at is None else f" until {body.departs_at:%Y-%m-%d %H:%M} UTC"
        wanted = Wish(departs_at=body.departs_at, energy_wh=body.energy_wh)
        return self._changed(
            who, f"{key} needs{energy}{departs}", lambda controller: controller.surroundings.wishes.set(key, wanted)
        )

    def dim(self, who: str, dimmed: bool) -> StateView:
        """A grid operator's signal."""
        if self._controller.surroundings.settings.dimming is None:
            raise Conflict("the site's file says nothing of a grid operator that dims: [dimming]")
        dim = self._dim
        if dim is None:
            raise Conflict('the signal comes by another way than this API: [dimming] signal = { kind = "api" }')
        dim(dimmed)
        return self._changed(who, f"the grid operator {'dims' if dimmed else 'dims no longer'}", lambda _: None)

    def set_tariff(self, who: str, body: TariffBody | None) -> StateView:
        """Prices over time, in place of the file's; None: the file's again."""
        steps = () if body is None else body.steps
        text = "the uploaded tariff is taken back"
        if steps:
            first, last = (f"{steps[at].start:%Y-%m-%d %H:%M}" for at in (0, -1))
            text = f"a tariff of {len(steps)} prices from {first} to {last} UTC"

        def change(controller: Controller) -> None:
            controller.surroundings.by_hand.set_tariff(steps)
            controller.surroundings.obey()

        return self._changed(who, text, change)

    def set_upstream(self, who: str, station_id: str, body: UpstreamBody) -> UpstreamView:
        """Relay a station elsewhere, or with another password."""
        self._station(station_id)
        self._server.set_upstream(station_id, body.url, body.password)
        where = "where the file says" if body.url is None else body.url
        secret = "" if body.password is None else ", with another password"
        self._changed(who, f"{station_id} is relayed to {where}{secret}", lambda _: None)
        return upstream_of(self._server, station_id)

    # inside

    @property
    def _controller(self) -> Controller:
        return self._server.endpoint.controller

    def _changed(self, who: str, text: str, change: Callable[[Controller], object]) -> StateView:
        def learn(controller: Controller, now: Now) -> None:
            change(controller)
            controller.surroundings.by_hand.changed(who, text, now)

        self._server.tell(learn)
        if self._server.failed.is_set():
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "the journal can't be written, so nothing can be changed")
        return self.state()

    def _line(self, evse: str) -> Line:
        """By its full name, or its station's where that has one EVSE."""
        lines = self._controller.lines
        found = [line for key, line in lines.items() if str(key) == evse]
        found = found or [line for key, line in lines.items() if key.station_id == evse]
        if len(found) != 1:
            raise NotFound("EVSE", evse)
        return found[0]

    def _station(self, station_id: str) -> None:
        if not self._controller.knows(station_id):
            raise NotFound("station", station_id)

    def _future(self, field: str, instant: datetime | None) -> None:
        if instant is not None and instant <= self._clock.now().at:
            raise Invalid(field, "must lie in the future")

    def _decided(self, decided: Decided, now: Now) -> None:
        changed = []
        known: dict[EvseKey, _Known] = {}
        for one in decided.decisions:
            known[one.evse] = (one.target_a, one.explanation.reason, one.explanation.bound)
            if self._known.get(one.evse) != known[one.evse]:
                why = one.explanation.text(one.target_a, decided.at_s)
                changed.append(ShareView(evse=str(one.evse), target_a=one.target_a, why=why))
        changed += [
            ShareView(evse=str(key), target_a=0.0, why="0.0 A: no demand") for key in self._known if key not in known
        ]
        self._known = known
        if changed:
            number = self._decisions[-1].id + 1 if self._decisions else 1
            self._decisions.append(DecisionView(id=number, at=now.at, shares=tuple(changed)))


def _until(instant: datetime | None) -> str:
    return "" if instant is None else f" until {instant:%Y-%m-%d %H:%M} UTC"
