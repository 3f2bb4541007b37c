"""The demonstration: short and in this process, and (slowly) as the command that the README names."""

import asyncio
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from forecourt.app.demo import DemoSummary, running_demo
from forecourt.sim.demo_site import recorded_day
from tests.end_to_end.processes import role

BUSY_AT_S = 2 * 3600.0
"""So long after its first car the recorded day is busy."""


async def test_a_site_charges_and_the_books_agree(tmp_path: Path) -> None:
    sessions = recorded_day()
    start = min(session.arrival for session in sessions) + timedelta(seconds=BUSY_AT_S)
    async with running_demo(
        sessions,
        start=start,
        speed=120.0,
        database=f"sqlite:///{tmp_path}/csms.sqlite",
        csms_port=0,
        controller_port=0,
        api_port=0,
        seed=1,
    ) as demo:
        charging = 0
        for second in range(60):  # a busy machine takes longer to get going
            await asyncio.sleep(1.0)
            charging = max(charging, sum(station.evse.power_w > 0 for station in demo.stations))
            delivered_wh = sum(station.energy_wh for station in demo.stations)
            if second >= 12 and charging > 3 and delivered_wh > 1500:
                break
        summary = await demo.finish()
    assert summary.books_agree, summary.differences
    assert summary.overload_ampere_seconds == 0.0
    assert summary.call_errors == 0
    assert charging > 3
    assert summary.cars >= summary.transactions > 3
    assert summary.energy_kwh > 1.0
    assert 0.0 < max(max(lines.values()) for lines in summary.max_load_ratio.values()) <= 1.0
    assert summary.calls > 10 * summary.transactions


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_five_minutes_at_sixty_times_the_speed(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    ports = ("--ocpp-port", "0", "--csms-port", "0", "--api-port", "0")
    async with role("demo", "--speed", "60", "--duration", "300", "--summary", path, *ports) as demo:
        async with asyncio.timeout(500):
            assert await demo.process.wait() == 0
        assert "books agree" in await demo.says("transactions")
    summary = msgspec.json.decode(path.read_bytes(), type=DemoSummary)
    assert summary.books_agree, summary.differences
    assert summary.overload_ampere_seconds == 0.0
    assert summary.call_errors == 0
    assert summary.transactions == summary.cars > 30
    assert summary.energy_kwh > 0.3 * summary.requested_kwh
