"""Scenarios: what comes of rates, spikes and dropouts, and templates: that each of them is a station."""

import itertools

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from forecourt.app.config import ConfigError, parse
from forecourt.dialect.v16 import V16
from forecourt.dialect.v201 import V201
from forecourt.domain.clock import Now
from forecourt.sim.clock import VirtualClock
from forecourt.sim.fleet.report import Histogram
from forecourt.sim.fleet.scenario import Connect, Drivers, Dropout, Rate, Scenario, Spike, cuts_of, visits_to
from forecourt.sim.fleet.template import StationTemplate, known_templates
from forecourt.station.station import Station


def busy(**changed: object) -> Scenario:
    told: dict[str, object] = {"duration_s": 3600.0, "arrivals": (Rate(per_evse_per_hour=6.0),), **changed}
    return Scenario(**told)  # type: ignore[arg-type]


def test_the_same_seed_gives_the_same_visits_whatever_stands_beside() -> None:
    assert visits_to(busy(), 7, 2) == visits_to(busy(), 7, 2)
    assert visits_to(busy(), 7, 1) == tuple(visit for visit in visits_to(busy(), 7, 2) if visit.evse_id == 1)
    assert visits_to(busy(), 7, 1) != visits_to(busy(), 8, 1)
    assert visits_to(busy(), 7, 1) != visits_to(busy(seed=1), 7, 1)
    scenario = busy(dropouts=(Dropout(at_s=10, share=0.5),))
    assert {cut.station for cut in cuts_of(scenario, 50)} == {
        cut.station for cut in cuts_of(scenario, 100) if cut.station < 50
    }


def test_as_many_come_as_the_rate_says() -> None:
    arrivals = [len(visits_to(busy(), station, 1)) for station in range(400)]
    assert sum(arrivals) / len(arrivals) == pytest.approx(6.0, rel=0.1)


def test_a_ramp_rises() -> None:
    ramp = busy(arrivals=(Rate(at_s=0, per_evse_per_hour=0), Rate(at_s=3600, per_evse_per_hour=12)))
    times = [visit.arrives_s for station in range(400) for visit in visits_to(ramp, station, 1)]
    early, late = sum(at < 1800 for at in times), sum(at >= 1800 for at in times)
    assert late == pytest.approx(3 * early, rel=0.2)
    assert visits_to(busy(arrivals=(Rate(at_s=3000, per_evse_per_hour=9),)), 1, 1)[0].arrives_s >= 3000


def test_a_spike_and_a_dropout_hit_their_share() -> None:
    scenario = Scenario(
        spikes=(Spike(at_s=100, over_s=10, share=0.3),), dropouts=(Dropout(at_s=20, for_s=5, share=0.3),)
    )
    visits = [visit for station in range(1000) for visit in visits_to(scenario, station, 1)]
    assert len(visits) == pytest.approx(300, rel=0.2)
    assert all(100 <= visit.arrives_s <= 110 for visit in visits)
    cuts = cuts_of(scenario, 1000)
    assert len(cuts) == pytest.approx(300, rel=0.2)
    assert {(cut.from_s, cut.to_s) for cut in cuts} == {(20.0, 25.0)}


@given(seed=st.integers(0, 10_000))
def test_every_visit_can_be(seed: int) -> None:
    drivers = Drivers(stay_s=(60, 120), energy_wh=(100, 90_000))
    for visit in visits_to(busy(seed=seed, drivers=drivers), 0, 1):
        assert 60 <= visit.departs_s - visit.arrives_s <= 120
        assert len(visit.id_token.value) <= 20, "OCPP 1.6 CiString20Type"
        assert visit.vehicle.initial_wh + visit.vehicle.requested_wh <= visit.vehicle.battery_wh


def test_what_cannot_be_names_the_field() -> None:
    with pytest.raises(ConfigError, match="stay_s: 9 is more than 1"):
        parse("[drivers]\nstay_s = [9, 1]", Scenario, source="x")
    with pytest.raises(ConfigError, match="arrivals: expected ascending"):
        parse("[[arrivals]]\nat_s = 5\n[[arrivals]]\nat_s = 1", Scenario, source="x")
    with pytest.raises(ConfigError, match="no such field"):
        parse("[connect]\nover = 5", Scenario, source="x")
    assert parse("[connect]\nover_s = 5", Scenario, source="x").connect == Connect(over_s=5)


@pytest.mark.parametrize("name", sorted(known_templates()))
@pytest.mark.parametrize("dialect", [V16, V201], ids=["first", "second"])
def test_every_shipped_template_is_a_station(name: str, dialect: object) -> None:
    template = parse(known_templates()[name], StationTemplate, source=name)
    station = Station(template.config("S-1"), dialect.capabilities, lambda: "id")  # type: ignore[attr-defined]
    now: Now = VirtualClock().now()
    assert station.restore({}, now)
    assert len(template.hardware()) == len(template.evses)


def test_a_histogram_is_right_to_a_quarter() -> None:
    histogram = Histogram()
    for millisecond in range(1, 1001):
        histogram.add(millisecond / 1000.0)
    view = histogram.view()
    assert (view.count, view.max_s) == (1000, 1.0)
    assert view.mean_s == pytest.approx(0.5005)
    for share, found in ((0.5, view.p50_s), (0.9, view.p90_s), (0.99, view.p99_s)):
        assert share <= found <= share * 1.26
    bounds = [float(bound) for bound in view.buckets]
    assert all(later > earlier for earlier, later in itertools.pairwise(bounds))
    assert msgspec.json.decode(msgspec.json.encode(view))["count"] == 1000
