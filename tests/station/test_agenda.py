"""A station that idles does no more than beat, and misses nothing by it."""

import random
from collections.abc import Callable
from datetime import timedelta

import pytest

from forecourt.domain import requests as r
from forecourt.domain.clock import Now
from forecourt.domain.events import HeartbeatSent
from forecourt.station import effects as e
from forecourt.station.agenda import Agenda
from forecourt.station.charging import Charging
from forecourt.station.turn import Turn
from forecourt.station.variable_table import ALIGNED_INTERVAL, SAMPLED_INTERVAL
from tests.station.bench import ALICE, BOB, ONE, START, Bench
from tests.station.test_charging import limit, offered


class Quiet(Bench):
    """Its meters say nothing while nothing flows."""

    def _read_meters(self) -> None:
        if any(self.power_w.values()):
            super()._read_meters()


def test_a_heartbeat_touches_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Quiet()
    bench.csms.interval_s = 10
    bench.connect()
    bench.run(100)
    heartbeats, touched = len(bench.csms.told(HeartbeatSent)), []
    update = Charging.update

    def noting(charging: Charging, turn: Turn) -> None:
        touched.append(turn)
        update(charging, turn)

    monkeypatch.setattr(Charging, "update", noting)
    bench.run(3600)
    assert len(bench.csms.told(HeartbeatSent)) - heartbeats == 360
    assert not touched


def test_a_calendar_that_was_set_is_noticed_with_the_next_heartbeat() -> None:
    bench = Bench()
    bench.csms.interval_s = 10
    bench.charging()
    bench.set(SAMPLED_INTERVAL, "0")
    bench.ask(r.SetChargingProfile(evse_id=1, profile=limit(16.0, 8.0, every_s=3600)))
    bench.run(60)
    assert offered(bench)[-1] == 16.0
    bench.now = Now(bench.now.protocol_s, bench.now.elapsed_s, bench.now.at + timedelta(hours=1))
    bench.run(11)
    assert offered(bench)[-1] == 8.0


@pytest.mark.parametrize("seed", range(6))
def test_it_tells_the_same_story_as_one_that_never_idles(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    for idles in (True, False):
        with monkeypatch.context() as patch:
            if not idles:
                patch.setattr(Agenda, "idle", lambda *_: False)
            told.append(story(random.Random(seed)))
    assert told[0] == told[1]


def story(chance: random.Random) -> list[tuple[float, e.Effect]]:
    """Half a day in which anything may happen at any time."""
    bench = Quiet(ONE, variables={ALIGNED_INTERVAL: "900"}, publish_schedule_interval_s=0)
    bench.csms.interval_s = 20
    bench.connect()

    def installs() -> None:
        steps = [float(chance.randint(6, 32)) for _ in range(4)]
        bench.ask(r.SetChargingProfile(evse_id=1, profile=limit(*steps, every_s=600)))

    def reserves() -> None:
        ends = START + timedelta(seconds=bench.now.elapsed_s + chance.randint(10, 2000))
        bench.ask(r.ReserveNow(reservation_id=chance.randint(1, 3), evse_id=2, id_token=BOB, expires_at=ends))

    def triggers() -> None:
        bench.ask(r.TriggerMessage(requested_message=r.TriggeredMessage.HEARTBEAT))

    def changes_link() -> None:
        bench.disconnect() if bench.link else bench.connect()

    def sets_clock() -> None:
        bench.csms.clock_ahead_s = chance.choice((0.0, 100.0, 4000.0))
        triggers()

    by_hand: tuple[Callable[[], object], ...] = (
        lambda: bench.plug(chance.choice((1, 2))),
        lambda: bench.unplug(chance.choice((1, 2))),
        lambda: bench.tap(chance.choice((ALICE, BOB)), chance.choice((None, 1, 2))),
        lambda: bench.ready(chance.choice((1, 2))),
        changes_link,
    )
    from_afar = (installs, reserves, triggers, sets_clock)
    for _ in range(60):
        bench.run(chance.choice((0.5, 7.0, 61.0, 400.0, 1800.0)))
        chance.choice((*by_hand, *from_afar) if bench.link else by_hand)()
    return bench.dated
