"""From charging profiles to what a car is offered (OCPP 1.6 §3.13, §5.16)."""

from datetime import timedelta

import pytest

from forecourt.domain import requests as r
from forecourt.domain.profile import (
    ChargingProfile,
    ChargingProfileKind,
    ChargingProfilePurpose,
    ChargingRateUnit,
    ChargingSchedule,
    ChargingSchedulePeriod,
    ProfileCriteria,
)
from forecourt.station import effects as e
from forecourt.station import inputs as i
from forecourt.station.config import EvseConfig
from forecourt.station.variable_table import CONNECTION_TIMEOUT
from tests.station.bench import ALICE, BOB, START, TWO, Bench

Purpose = ChargingProfilePurpose


def limit(
    *steps: float,
    purpose: Purpose = Purpose.TX_DEFAULT,
    every_s: int = 60,
    unit: ChargingRateUnit = ChargingRateUnit.A,
    profile_id: int = 1,
    level: int = 0,
    phases: int | None = None,
    transaction_id: str | None = None,
) -> ChargingProfile:
    """A profile whose limit steps every minute from the bench's start."""
    periods = tuple(ChargingSchedulePeriod(n * every_s, step, phases) for n, step in enumerate(steps))
    return ChargingProfile(
        id=profile_id,
        stack_level=level,
        purpose=purpose,
        kind=ChargingProfileKind.ABSOLUTE,
        schedules=(ChargingSchedule(rate_unit=unit, periods=periods, start_schedule=START),),
        transaction_id=transaction_id,
    )


def offered(bench: Bench, evse_id: int = 1) -> list[float]:
    return [effect.limit_a for effect in bench.took(e.SetLimit) if effect.evse_id == evse_id]


def test_without_profiles_a_car_is_offered_what_the_hardware_bears() -> None:
    bench = Bench()
    bench.charging()
    assert offered(bench) == [0.0, 32.0]
    bench.tap(ALICE, 1)
    assert offered(bench) == [0.0, 32.0, 0.0]
    assert len(bench.took(e.ClosePowerPath)) == len(bench.took(e.OpenPowerPath)) == 1


def test_tc_056_and_082_a_default_profile_limits_and_its_periods_take_turns() -> None:
    bench = Bench()
    bench.charging()
    answer = bench.ask(r.SetChargingProfile(evse_id=1, profile=limit(10.0, 16.0, 0.0, 8.0)))
    assert answer.outcome == "Accepted"
    bench.run(200)
    assert offered(bench) == [0.0, 32.0, 10.0, 16.0, 0.0, 8.0]
    assert bench.states()[-3:] == ["Charging", "SuspendedEVSE", "Charging"]
    schedule = bench.ask(r.GetCompositeSchedule(evse_id=1, duration_s=300, rate_unit=ChargingRateUnit.A)).schedule
    assert [period.rate_limit for period in schedule.periods] == [8.0]


def test_less_than_a_car_can_be_offered_is_nothing() -> None:
    bench = Bench()
    bench.charging()
    bench.ask(r.SetChargingProfile(evse_id=1, profile=limit(5.9)))
    assert offered(bench)[-1] == 0.0


def test_tc_057_and_058_a_transaction_profile_needs_its_transaction() -> None:
    bench = Bench()
    bench.connect()
    profile = limit(9.0, purpose=Purpose.TX)
    assert bench.ask(r.SetChargingProfile(evse_id=1, profile=profile)).outcome == "Rejected"
    bench.charging()
    wrong = limit(9.0, purpose=Purpose.TX, transaction_id="4711")
    assert bench.ask(r.SetChargingProfile(evse_id=1, profile=wrong)).outcome == "Rejected"
    right = limit(9.0, purpose=Purpose.TX, transaction_id="101")
    assert bench.ask(r.SetChargingProfile(evse_id=1, profile=right)).outcome == "Accepted"
    assert offered(bench)[-1] == 9.0
    bench.tap(ALICE, 1)
    assert not bench.station.parts.charging.profiles, "it ends with its transaction (§3.13.1)"
    assert "profile" not in bench.journal.load()


def test_a_profile_with_a_remote_start_is_the_transactions() -> None:
    bench = Bench()
    bench.connect()
    request = r.RequestStartTransaction(id_token=BOB, evse_id=1, charging_profile=limit(11.0, purpose=Purpose.TX))
    assert bench.ask(request).outcome == "Accepted"
    bench.plug(1)
    assert offered(bench)[-1] == 11.0
    other = r.RequestStartTransaction(id_token=BOB, evse_id=2, charging_profile=limit(11.0))
    assert bench.ask(other).outcome == "Rejected", "only a TxProfile may come along (§5.16.2)"


def test_the_stations_limit_is_shared_and_reductions_come_first() -> None:
    bench = Bench()
    bench.connect()
    bench.ask(r.SetChargingProfile(evse_id=0, profile=limit(20.0, purpose=Purpose.STATION_MAX)))
    bench.charging(1)
    assert offered(bench, 1)[-1] == 20.0
    bench.effects.clear()
    bench.charging(2, BOB)
    limits = [(effect.evse_id, effect.limit_a) for effect in bench.took(e.SetLimit)]
    assert limits == [(1, 10.0), (2, 10.0)]
    bench.tell(i.LocalLimit(2, 6.0))
    assert (offered(bench, 1)[-1], offered(bench, 2)[-1]) == (14.0, 6.0)
    bench.tell(i.LocalLimit(0, 11.0))
    assert (offered(bench, 1)[-1], offered(bench, 2)[-1]) == (11.0, 0.0), "two times the minimum do not fit"
    bench.tell(i.LocalLimit(0, None))
    bench.tap(BOB, 2)
    assert offered(bench, 1)[-1] == 20.0


def test_the_installations_limit_holds_without_any_profile() -> None:
    bench = Bench(maximum_a=40.0)
    bench.charging(1)
    bench.charging(2, BOB)
    assert (offered(bench, 1)[-1], offered(bench, 2)[-1]) == (20.0, 20.0)


def test_watts_and_phases() -> None:
    bench = Bench(evses=(EvseConfig(number_phases=3),))
    bench.charging()
    profile = limit(2300.0, unit=ChargingRateUnit.W, phases=1)
    bench.ask(r.SetChargingProfile(evse_id=1, profile=profile))
    assert bench.took(e.SetLimit)[-1] == e.SetLimit(1, 10.0, 1)


def test_tc_067_clearing() -> None:
    bench = Bench()
    bench.charging()
    bench.ask(r.SetChargingProfile(evse_id=1, profile=limit(9.0)))
    nothing = r.ClearChargingProfile(criteria=ProfileCriteria(profile_id=99))
    assert bench.ask(nothing).outcome == "Unknown"
    assert bench.ask(r.ClearChargingProfile()).outcome == "Accepted"
    assert offered(bench)[-1] == 32.0


def test_the_same_level_is_replaced_here_and_refused_there() -> None:
    for bench, outcome in ((Bench(), "Accepted"), (Bench(TWO), "Rejected")):
        bench.connect()
        bench.ask(r.SetChargingProfile(evse_id=1, profile=limit(9.0)))
        again = bench.ask(r.SetChargingProfile(evse_id=1, profile=limit(8.0, profile_id=2)))
        assert again.outcome == outcome


def test_limits_hold_offline() -> None:
    bench = Bench()
    bench.charging()
    bench.ask(r.SetChargingProfile(evse_id=1, profile=limit(9.0, 12.0)))
    bench.disconnect()
    bench.run(61)
    assert offered(bench)[-1] == 12.0


def test_a_clock_that_is_set_moves_the_schedule() -> None:
    bench = Bench()
    bench.charging()
    bench.ask(r.SetChargingProfile(evse_id=1, profile=limit(9.0, 12.0, every_s=3600)))
    bench.csms.clock_ahead_s = timedelta(hours=1).total_seconds()
    bench.ask(r.TriggerMessage(requested_message=r.TriggeredMessage.HEARTBEAT))
    assert offered(bench)[-1] == 12.0


def test_schedules_of_nothing_and_of_the_future_are_refused() -> None:
    bench = Bench()
    bench.connect()
    assert bench.ask(r.GetCompositeSchedule(evse_id=9, duration_s=60)).outcome == "Rejected"
    assert bench.ask(r.GetCompositeSchedule(evse_id=1, duration_s=10**12)).outcome == "Rejected"
    station = bench.ask(r.GetCompositeSchedule(evse_id=0, duration_s=60)).schedule
    assert station.periods[0].rate_limit == 64.0


def published(bench: Bench) -> list[list[tuple[int, list[tuple[int, float]]]]]:
    """What was published, publication by publication: EVSE, and its periods."""
    rounds: list[list[tuple[int, list[tuple[int, float]]]]] = []
    for effect in bench.took(e.PublishSchedule):
        if effect.evse_id == 0:
            rounds.append([])
        periods = [(period.start_period_s, period.rate_limit) for period in effect.schedule.periods]
        rounds[-1].append((effect.evse_id, periods))
    return rounds


def test_limits_to_come_are_published_when_they_change() -> None:
    bench = Bench()
    bench.connect()
    assert published(bench) == [], "there is nothing that the hardware does not know of itself"
    bench.ask(r.SetChargingProfile(evse_id=1, profile=limit(7.0)))
    assert published(bench)[-1] == [(0, [(0, 39.0)]), (1, [(0, 7.0)]), (2, [(0, 32.0)])]
    before = len(published(bench))
    bench.run(3600)
    assert len(published(bench)) == before
    bench.tell(i.LocalLimit(2, 10.0))
    assert published(bench)[-1] == [(0, [(0, 17.0)]), (1, [(0, 7.0)]), (2, [(0, 10.0)])]
    bench.ask(r.ClearChargingProfile())
    assert published(bench)[-1][1] == (1, [(0, 32.0)]), "that there is no limit any more is news, too"


def test_limits_to_come_are_published_periodically_each_time_beyond_the_next() -> None:
    bench = Bench(publish_schedule_interval_s=30.0, publish_schedule_duration_s=60)
    assert len(published(bench)) == 1
    bench.run(29)
    assert len(published(bench)) == 1
    bench.run(1)
    assert len(published(bench)) == 2
    bench.run(300)
    assert len(published(bench)) == 12
    assert {effect.schedule.duration_s for effect in bench.took(e.PublishSchedule)} == {60}


@pytest.mark.parametrize(("interval_s", "duration_s"), [(60.0, 60), (600.0, 60), (-1.0, 60), (0.0, 0)])
def test_a_duration_not_above_the_interval_is_a_configuration_error(interval_s: float, duration_s: int) -> None:
    with pytest.raises(ValueError, match="publish_schedule"):
        Bench(publish_schedule_interval_s=interval_s, publish_schedule_duration_s=duration_s)


def test_the_hardware_is_told_how_long_a_connector_waits() -> None:
    bench = Bench(variables={CONNECTION_TIMEOUT: "45"})
    bench.connect()
    bench.set(CONNECTION_TIMEOUT, "20")
    told = [effect.value for effect in bench.took(e.Configure) if effect.ref == CONNECTION_TIMEOUT]
    assert told == ["45", "20"]
