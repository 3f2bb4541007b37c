"""Drivers at a simulated station: those who come early, and those whom the reader refuses at first."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.console.sites import locked_csms

from forecourt.csms import authorization, stations, transactions
from forecourt.csms.authorization import TokenFields
from forecourt.dialect import DIALECTS
from forecourt.net.backoff import BackoffPolicy
from forecourt.net.clock import ScaledClock
from forecourt.sim.cars import token_of
from forecourt.sim.demo_site import demo_site
from forecourt.sim.driven_station import DrivenStation
from forecourt.sim.sessions import RecordedSession
from forecourt.store.journal import MemoryJournal

START = datetime(2026, 5, 4, 8, tzinfo=UTC)
PATIENCE_S = 60.0


async def until(happened: Callable[[], bool]) -> None:
    while not happened():  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0.05)


async def test_whoever_comes_early_or_is_refused_charges_all_the_same(tmp_path: Path) -> None:
    clock = ScaledClock(START, 60.0)
    async with locked_csms(tmp_path) as csms:
        session = RecordedSession(
            session_id="early",
            station_id="S1",
            arrival=START - timedelta(minutes=5),
            departure=START + timedelta(hours=20),
            requested_wh=20_000.0,
        )
        station = DrivenStation(
            demo_site(["S1"]).evses[0],
            [session],
            endpoint=f"ws://127.0.0.1:{csms.stations.port}/ocpp",
            dialect=DIALECTS[-1],
            journal=MemoryJournal(),
            clock=clock,
            backoff=BackoffPolicy(wait_minimum_s=0.1, random_range_s=0.1, repeat_times=1),
        )
        running = asyncio.create_task(station.run())
        try:
            async with asyncio.timeout(PATIENCE_S):
                await until(lambda: station.arrived > 0)
                assert (await stations.get_station(csms.context, "S1")).registration == "Accepted"
                await until(lambda: station.refused > 0)
                # Now somebody enters it.
                await authorization.put_token(csms.context, token_of(session).value, TokenFields())
                while not (await transactions.list_transactions(csms.context, limit=5, cursor=None)).items:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        finally:
            await station.session.stop()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        found = await transactions.list_transactions(csms.context, limit=5, cursor=None)
        assert [one.id_token for one in found.items] == [token_of(session).value]
