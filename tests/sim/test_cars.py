"""Made-up cars and tokens: always the same, always able."""

from datetime import UTC, datetime, timedelta

import hypothesis.strategies as st
from hypothesis import given

from forecourt.hardware.vehicle import Vehicle
from forecourt.sim.cars import token_of, vehicle_of
from forecourt.sim.sessions import RecordedSession

SESSIONS = st.builds(
    RecordedSession,
    session_id=st.text(min_size=1, max_size=60),
    station_id=st.just("A"),
    arrival=st.just(datetime(2024, 1, 1, tzinfo=UTC)),
    departure=st.just(datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=8)),
    requested_wh=st.floats(0.0, 150_000.0),
    maximum_w=st.one_of(st.none(), st.floats(0.0, 25_000.0)),
)


@given(SESSIONS, st.integers(0, 5))
def test_the_same_session_brings_the_same_car(session: RecordedSession, seed: int) -> None:
    assert vehicle_of(session, seed=seed) == vehicle_of(session, seed=seed)
    assert token_of(session) == token_of(session)
    assert 0 < len(token_of(session).value) <= 20
    assert token_of(session).value.isascii()


@given(SESSIONS)
def test_a_car_that_stays_long_enough_gets_what_its_driver_asked_for(session: RecordedSession) -> None:
    spec = vehicle_of(session)
    assert spec.initial_wh + spec.requested_wh <= spec.full_wh
    vehicle = Vehicle(spec)
    vehicle.offer(32.0, 3, 230.0, 0.0)
    vehicle.advance(1e7)
    assert vehicle.satisfied
    assert abs(vehicle.delivered_wh - session.requested_wh) < 1e-6


@given(SESSIONS)
def test_a_car_can_draw_what_it_was_recorded_to_draw_if_any_can(session: RecordedSession) -> None:
    spec = vehicle_of(session)
    assert spec.number_phases in {1, 3}
    assert spec.maximum_a in {16.0, 32.0}
    if session.maximum_w is not None and session.requested_wh < 80_000.0 and session.maximum_w < 22_000.0:
        assert spec.number_phases * spec.maximum_a * 230.0 >= session.maximum_w


def test_sessions_differ_and_so_do_seeds() -> None:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    sessions = [
        RecordedSession(
            session_id=f"s{number}",
            station_id="A",
            arrival=start,
            departure=start + timedelta(hours=1),
            requested_wh=8_000.0,
        )
        for number in range(200)
    ]
    assert len({token_of(session).value for session in sessions}) == 200
    kinds = {(spec.number_phases, spec.maximum_a) for spec in map(vehicle_of, sessions)}
    assert kinds == {(1, 16.0), (1, 32.0), (3, 16.0), (3, 32.0)}
    assert [vehicle_of(session, seed=1) for session in sessions] != [
        vehicle_of(session, seed=2) for session in sessions
    ]
