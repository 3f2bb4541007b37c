"""kill -9 of the CSMS, and of a station, in the middle of charging: no transaction lost, none twice, energies equal."""

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest

from forecourt.api.settings import ApiSettings
from forecourt.app.csms import CsmsFile, RunningCsms, running_csms
from forecourt.app.listeners import OcppListener
from forecourt.controller.settings import ControllerSettings, OfflineSettings
from forecourt.csms import commands, transactions
from forecourt.csms.command_records import CommandState
from forecourt.csms.records import Transaction, TransactionState
from forecourt.csms.settings import CsmsSettings, UnknownStationPolicy, UnknownTokenPolicy
from forecourt.dialect import DIALECTS
from forecourt.domain.requests import RequestStopTransaction
from forecourt.domain.transaction import StoppedReason
from forecourt.net.backoff import BackoffPolicy
from forecourt.net.clock import ScaledClock
from forecourt.net.controller_session import ControllerServer
from forecourt.sim.demo_site import demo_site
from forecourt.sim.driven_station import DrivenStation
from forecourt.sim.sessions import RecordedSession
from forecourt.station.variable_table import OFFLINE_TX_FOR_UNKNOWN_ID
from forecourt.store.journal import SqliteJournal
from tests import databases
from tests.end_to_end.processes import PATIENCE_S, Role, eventually, free_port, role

OPEN = CsmsSettings(unknown_stations=UnknownStationPolicy.ACCEPT, unknown_tokens=UnknownTokenPolicy.ACCEPT)
CSMS_TOML = '[csms]\nunknown_stations = "accept"\nunknown_tokens = "accept"\n[api]\nport = 0\nopen_access = true\n'


@asynccontextmanager
async def books(path: Path, port: int = 0) -> AsyncIterator[RunningCsms]:
    """A CSMS in this process, on the books at `path`."""
    file = CsmsFile(database=databases.url(path), ocpp=OcppListener(port=port), api=ApiSettings(port=0), csms=OPEN)
    async with running_csms(file) as csms:
        yield csms


async def booked(csms: RunningCsms, station_id: str) -> list[Transaction]:
    """A station's transactions, by what the meter showed; one that took nothing begins where the next does."""
    page = await transactions.list_transactions(csms.context, limit=500)
    found = [transaction for transaction in page.items if transaction.station_id == station_id]
    return sorted(found, key=lambda transaction: (transaction.meter_start_wh or 0.0, transaction.energy_wh or 0.0))


async def no_reading_is_there_twice(csms: RunningCsms, transaction: Transaction) -> None:
    readings = await transactions.list_meter_values(csms.context, transaction.number)
    told = [(reading.at, reading.samples) for reading in readings]
    assert len(told) == len(set(told))


# The CSMS


def visits(station_id: str, start: datetime, number: int, first_s: float) -> list[RecordedSession]:
    """Cars that stay nine minutes each, with a minute in between."""
    arrivals = [start + timedelta(seconds=first_s + 600 * k) for k in range(number)]
    return [
        RecordedSession(
            session_id=f"{station_id}-{k}",
            station_id=station_id,
            arrival=arrival,
            departure=arrival + timedelta(seconds=540),
            requested_wh=30_000.0,
        )
        for k, arrival in enumerate(arrivals)
    ]


@asynccontextmanager
async def site(
    folder: Path, csms_port: int, *, stations: int, cars: int, speed: float
) -> AsyncIterator[tuple[ControllerServer, list[DrivenStation]]]:
    """Stations with their journals behind a controller; cars come at once."""
    start = datetime.now(UTC).replace(microsecond=0)
    clock = ScaledClock(start, speed)
    numbers = count(1)
    layout = demo_site([f"S{number}" for number in range(stations)])
    async with AsyncExitStack() as stack:
        controller = ControllerServer(
            layout,
            ControllerSettings(decide_interval_s=0.05, offline=OfflineSettings(unknown_tokens="accept")),
            upstream_url=f"ws://127.0.0.1:{csms_port}/ocpp",
            dialects={dialect.subprotocol: dialect for dialect in DIALECTS},
            clock=clock,
            new_id=lambda: f"own-{next(numbers)}",
        )
        await controller.start(port=0)
        stack.push_async_callback(controller.stop, 0.5)
        driven = []
        for number, point in enumerate(layout.evses):
            journal = SqliteJournal(folder / f"{point.station_id}.sqlite")
            stack.callback(journal.close)
            driven.append(
                DrivenStation(
                    point,
                    visits(point.station_id, start, cars, first_s=30 + 17 * number),
                    endpoint=f"ws://127.0.0.1:{controller.port}",
                    dialect=DIALECTS[number % 2],
                    journal=journal,
                    clock=clock,
                    sample_interval_s=20,
                    backoff=BackoffPolicy(wait_minimum_s=0.1, random_range_s=0.2, repeat_times=1),
                    variables={OFFLINE_TX_FOR_UNKNOWN_ID: "true"},
                )
            )
        running = [asyncio.create_task(station.run()) for station in driven]
        try:
            yield controller, driven
        finally:
            for station in driven:
                await station.session.stop()
            await asyncio.gather(*running)


async def kill_the_csms(folder: Path, *, kills: int, stations: int, cars: int, speed: float = 60.0) -> None:
    chance = random.Random(9)
    port = free_port()
    (folder / "csms.toml").write_text(CSMS_TOML)
    database = folder / "csms.sqlite"
    arguments = ("--config", folder / "csms.toml", "--database", databases.url(database), "--ocpp-port", str(port))
    async with AsyncExitStack() as stack:
        driven: list[DrivenStation] = []
        for _ in range(kills):
            async with role("csms", *arguments) as csms:
                await csms.says("CSMS: stations connect to")
                if not driven:
                    made = site(folder, port, stations=stations, cars=cars, speed=speed)
                    controller, driven = await stack.enter_async_context(made)
                await some_charge(driven, cars)
                await asyncio.sleep(chance.uniform(0.2, 1.5))
                await csms.kill()
                await asyncio.sleep(chance.uniform(0.0, 0.5))
        async with role("csms", *arguments) as csms:
            await csms.says("CSMS: stations connect to")

            async def all_is_said() -> bool:
                outboxes = [station.session.endpoint.station.parts.outbox for station in driven]
                over = all(station.arrived == cars and station.present is None for station in driven)
                kept = sum(controller.endpoint.backlog(station.point.station_id) for station in driven)
                return over and kept == 0 and all(outbox.depth == 0 for outbox in outboxes)

            await eventually(all_is_said, patience_s=PATIENCE_S + cars * 600.0 / speed)
            assert await csms.stop() == 0
    await compare(database, driven)


async def some_charge(driven: list[DrivenStation], cars: int) -> None:
    """Or all cars have been: on a busy machine they may have come and gone before the CSMS was back."""

    async def charging() -> bool:
        some = any(station.session.connected and station.evse.power_w > 0 for station in driven)
        return some or all(station.arrived == cars and station.present is None for station in driven)

    await eventually(charging)


async def compare(database: Path, driven: list[DrivenStation]) -> None:
    async with books(database) as csms:
        for station in driven:
            theirs = await booked(csms, station.point.station_id)
            ours = sorted(station.books.values(), key=lambda entry: (entry.start_wh, entry.energy_wh))
            assert len(ours) > 0
            assert len(theirs) == len(ours), "none is lost, none is there twice"
            for entry, transaction in zip(ours, theirs, strict=True):
                assert not transaction.orphan
                assert entry.ended
                assert transaction.state is TransactionState.ENDED
                assert transaction.meter_start_wh == pytest.approx(entry.start_wh, abs=0.051)
                assert transaction.energy_wh == pytest.approx(entry.energy_wh, abs=0.051)
                await no_reading_is_there_twice(csms, transaction)
            total_wh = sum(transaction.energy_wh or 0.0 for transaction in theirs)
            assert total_wh == pytest.approx(station.energy_wh, abs=len(theirs) + 1), "what the meter counted is billed"
        unfinished = (await commands.list_commands(csms.context, limit=500)).items
        assert all(command.state.final for command in unfinished)


async def test_the_csms_is_killed_and_comes_back(tmp_path: Path) -> None:
    await kill_the_csms(tmp_path, kills=2, stations=6, cars=2, speed=90.0)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_the_csms_is_killed_again_and_again(tmp_path: Path) -> None:
    await kill_the_csms(tmp_path, kills=10, stations=12, cars=20)


# A station

VERSIONS = pytest.mark.parametrize("protocol", [dialect.subprotocol for dialect in DIALECTS])


class Driver:
    """Starts and kills one station, whose CSMS is here."""

    def __init__(self, folder: Path, csms: RunningCsms, protocol: str) -> None:
        self.folder = folder
        self.csms = csms
        self.protocol = protocol
        self.state_dir = folder / "state"

    @asynccontextmanager
    async def station(self, *, resumption_s: int = 300) -> AsyncIterator[Role]:
        config = self.folder / "station.toml"
        config.write_text(
            f'protocol = "{self.protocol}"\n[variables]\n'
            '"SampledDataCtrlr.TxUpdatedInterval" = "1"\n'
            f'"TxCtrlr.ResumptionTimeout" = "{resumption_s}"\n'
        )
        url = f"ws://127.0.0.1:{self.csms.stations.port}/ocpp"
        arguments = ("--config", config, "--csms", url, "--id", "S1", "--state-dir", self.state_dir, "--charge", "CARD")
        async with role("station", *arguments) as running:
            yield running

    async def transaction(self) -> Transaction:
        """The only one there is."""
        (found,) = await booked(self.csms, "S1")
        return found

    async def until(self, holds: Callable[[Transaction], bool]) -> Transaction:
        async def there() -> bool:
            found = await booked(self.csms, "S1")
            assert len(found) <= 1
            return bool(found) and holds(found[0])

        await eventually(there)
        return await self.transaction()

    async def energy_of_the_dead(self) -> float:
        """What is booked when all that the killed station had said has been taken in."""

        async def gone() -> bool:
            return self.csms.stations.connected == 0

        await eventually(gone)
        return (await self.transaction()).energy_wh or 0.0

    async def until_energy_above(self, energy_wh: float) -> float:
        found = await self.until(lambda transaction: (transaction.energy_wh or 0.0) > energy_wh)
        return found.energy_wh or 0.0

    def register_wh(self) -> float:
        """What the meter of the dead station shows."""
        with closing(sqlite3.connect(self.state_dir / "hardware.sqlite")) as journal:
            (raw,) = journal.execute("SELECT value FROM entry WHERE section = 'hardware' AND key = '1'").fetchone()
        kept: dict[str, Any] = msgspec.json.decode(raw)
        return float(kept["remains"]["register_wh"])


@VERSIONS
async def test_a_killed_station_goes_on_with_its_transaction_or_ends_it_once(tmp_path: Path, protocol: str) -> None:
    async with books(tmp_path / "csms.sqlite") as csms:
        driver = Driver(tmp_path, csms, protocol)
        energy_wh = 0.0
        for _ in range(2):
            async with driver.station() as station:
                await driver.until_energy_above(energy_wh)
                await station.kill()
            energy_wh = await driver.energy_of_the_dead()
            assert (await driver.transaction()).state is TransactionState.ACTIVE
        async with driver.station(resumption_s=0) as station:
            over = await driver.until(lambda transaction: transaction.state is TransactionState.ENDED)
            assert over.stopped_reason is StoppedReason.POWER_LOSS
            assert await station.stop() == 0
        over = await driver.transaction()
        # The first generation tells whole watt-hours.
        assert energy_wh - 0.51 <= (over.energy_wh or 0.0) <= driver.register_wh() + 0.51
        await no_reading_is_there_twice(csms, over)


@pytest.mark.slow
@pytest.mark.timeout(900)
@VERSIONS
async def test_a_station_killed_again_and_again_bills_what_its_meter_shows(tmp_path: Path, protocol: str) -> None:
    chance = random.Random(5)
    async with books(tmp_path / "csms.sqlite") as csms:
        driver = Driver(tmp_path, csms, protocol)
        energy_wh = 0.0
        for _ in range(20):
            async with driver.station() as station:
                await driver.until_energy_above(energy_wh)
                await asyncio.sleep(chance.uniform(0.0, 1.2))
                await station.kill()
            energy_wh = await driver.energy_of_the_dead()
        async with driver.station() as station:
            await driver.until_energy_above(energy_wh)
            open_one = await driver.transaction()
            assert open_one.state is TransactionState.ACTIVE
            stop = RequestStopTransaction(transaction_id=str(open_one.transaction_id))
            command = await commands.issue(csms.context, "S1", stop)
            assert (await commands.wait(csms.context, command.id, 20)).state is CommandState.ACCEPTED
            over = await driver.until(lambda transaction: transaction.state is TransactionState.ENDED)
            assert over.stopped_reason is StoppedReason.REMOTE
            await station.kill()
        async with driver.station() as station:
            await station.says("Station S1")
            await asyncio.sleep(2.0)
            assert await station.stop() == 0
        over = await driver.transaction()
        assert over.meter_start_wh == 0.0
        assert over.energy_wh == pytest.approx(driver.register_wh(), abs=1.0)
        await no_reading_is_there_twice(csms, over)
