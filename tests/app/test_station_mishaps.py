"""What becomes of a running station when its disk is full or its journal damaged: defined outcomes."""

import asyncio
import itertools
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from tests.app.stations import PATIENCE_S, StationProcess, station_process
from tests.app.test_station_command import CAR, accepted, written
from tests.app.test_station_upkeep import UpkeepSystem
from tests.net.central_v16 import Office, office

OFFLINE = "AllowOfflineTxForUnknownId = true\nUnlockConnectorOnEVSideDisconnect = true"


async def visits(station: StationProcess, most: int) -> None:
    """Cars come and go, one after the other."""
    for _ in range(most):
        await station.do("/evses/2/plug-in", CAR)
        await station.do("/evses/2/present-token", {"id_token": "ALICE"})
        await station.do("/evses/2/unplug")


def told_in_order(central: Office) -> None:
    starts, stops = central.told("StartTransaction"), central.told("StopTransaction")
    assert len(starts) == len(stops)
    assert [stop["transaction_id"] for stop in stops] == [700 + number for number in range(1, len(starts) + 1)]
    times = [datetime.fromisoformat(told["timestamp"]) for pair in zip(starts, stops, strict=True) for told in pair]
    assert all(later >= earlier for earlier, later in itertools.pairwise(times))


async def test_a_full_disk_ends_the_station_and_what_it_told_of_is_kept(tmp_path: Path) -> None:
    """It must not go on without its books: exit code 3, the file named; with room again everything is delivered."""
    state_dir = tmp_path / "state"
    async with office() as central:
        config = written(tmp_path, central, OFFLINE)
        async with station_process(config, "--state-dir", str(state_dir), largest_file_kib=400) as station:
            await station.until(accepted)
            await station.do("/link/disconnect")
            with suppress(httpx.HTTPError, AssertionError):
                await visits(station, 1_000)
            async with asyncio.timeout(PATIENCE_S):
                assert station.process.stderr is not None
                said = (await station.process.stderr.read()).decode()
                assert await station.process.wait() == 3, said
            assert said.splitlines()[-1].startswith(f"forecourt: {state_dir}")
        async with station_process(config, "--state-dir", str(state_dir)) as station:
            state = await station.until(accepted)
            if state["evses"][1]["car"] is not None:  # its leaving could not be kept, so it has not left
                await station.do("/evses/2/unplug")
            await central.until(lambda: len(central.told("StopTransaction")) == len(central.told("StartTransaction")))
            await station.until(lambda state: state["outbox"]["depth"] == 0)
        assert len(central.told("StartTransaction")) > 3
        told_in_order(central)


async def test_a_damaged_journal_is_put_aside_and_told(tmp_path: Path) -> None:
    state_dir = tmp_path / "state"
    async with office(UpkeepSystem) as central:
        config = written(tmp_path, central)
        async with station_process(config, "--state-dir", str(state_dir)) as station:
            await station.until(accepted)
        journal = state_dir / "journal.sqlite"
        damage = b"no journal at all" * 1000
        journal.write_bytes(damage)
        async with station_process(config, "--state-dir", str(state_dir)) as station:
            await station.until(accepted)
            await station.do("/evses/1/plug-in", CAR)
            await station.do("/evses/1/present-token", {"id_token": "ALICE"})
            await central.until(lambda: bool(central.told("StartTransaction")))
            await central.until(lambda: "JournalDamaged" in events(central))
        assert (state_dir / "journal.sqlite.damaged-1").read_bytes() == damage


def events(central: Office) -> dict[str, Any]:
    return {told["type"]: told for told in central.told("SecurityEventNotification")}
