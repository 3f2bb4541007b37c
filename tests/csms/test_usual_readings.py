"""Readings under load: the short way comes to the same as the long one, and what is put off is made up for."""

import asyncio
import random
import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from forecourt.csms import router, usual_readings
from forecourt.csms.ports import Books
from forecourt.csms.records import ConnectedStation, Connector, Reading, Transaction
from forecourt.domain.events import (
    Acknowledged,
    ChargingStateReported,
    ConnectorStatusReported,
    MeterSampled,
    Notice,
    StationEvent,
    TransactionAnswer,
    TransactionEnded,
    TransactionStarted,
)
from forecourt.domain.meter import Measurand, MeasuredPhase, MeterValue, ReadingContext, SampledValue
from forecourt.domain.station import ConnectorStatus
from forecourt.domain.token import IdToken
from forecourt.domain.transaction import ChargingState
from tests.csms.worlds import START, World, world

POWER = Measurand.POWER_ACTIVE_IMPORT
TAKE = usual_readings.take


def register(wh: float, context: ReadingContext = ReadingContext.SAMPLE_PERIODIC) -> SampledValue:
    return SampledValue(wh, context=context)


def story(chance: random.Random, transaction_id: str) -> Iterator[StationEvent]:
    """Mostly good readings of a transaction, each later than the last; now and then something else."""
    at, wh = START, 1000.0
    for _ in range(25):
        step_s = chance.choice([60] * 9 + [0, -30, 0.001])
        at += timedelta(seconds=step_s)
        wh += chance.choice([50] * 9 + [0, 0.25, -5000, 1e9])
        samples = [register(wh)]
        if chance.random() < 0.8:
            samples.append(SampledValue(chance.choice([7360.0, 0.0, 11000.0]), POWER))
        if chance.random() < 0.2:
            samples.append(SampledValue(16.0, Measurand.CURRENT_IMPORT, MeasuredPhase.L1))
            samples.append(SampledValue(230.0, Measurand.VOLTAGE, MeasuredPhase.L1))
        chance.shuffle(samples)
        if chance.random() < 0.1:
            samples = samples[1:]
        values = [MeterValue(at, tuple(samples))] * chance.choice([1, 1, 1, 1, 2])
        evse_id = chance.choice([1, 1, 1, 0, None])
        yield MeterSampled(evse_id=evse_id, transaction_id=transaction_id, meter_values=tuple(values))
        if wh > 1e8 or wh < 0:
            wh = 1000.0
        if chance.random() < 0.15:
            status = chance.choice([ConnectorStatus.OCCUPIED, ConnectorStatus.OCCUPIED, ConnectorStatus.AVAILABLE])
            yield ConnectorStatusReported(evse_id=1, connector_id=1, at=at, connector_status=status)
        if chance.random() < 0.15:
            doing = chance.choice([ChargingState.CHARGING, ChargingState.CHARGING, ChargingState.SUSPENDED_EV])
            yield ChargingStateReported(
                transaction_id=transaction_id, evse_id=1, connector_id=1, at=at, charging_state=doing
            )
    if chance.random() < 0.5:
        final = MeterValue(at + timedelta(seconds=60), (register(wh + 10, ReadingContext.TRANSACTION_END),))
        yield TransactionEnded(transaction_id=transaction_id, at=final.at, meter_values=(final,))
        late = MeterValue(at + timedelta(seconds=5), (register(wh),))
        yield MeterSampled(evse_id=1, transaction_id=transaction_id, meter_values=(late,))


async def begun(world: World, name: str) -> tuple[ConnectedStation, str]:
    """A station with a car that charges since `START`."""
    station = await world.station(name)
    occupied = ConnectorStatusReported(evse_id=1, connector_id=1, at=START, connector_status=ConnectorStatus.OCCUPIED)
    await world.tell(station, occupied)
    first = MeterValue(START, (register(1000.0, ReadingContext.TRANSACTION_BEGIN),))
    started = TransactionStarted(
        transaction_id=None, evse_id=1, at=START, id_token=IdToken("CARD"), meter_values=(first,)
    )
    answer = await world.tell(station, started)
    assert isinstance(answer, TransactionAnswer)
    assert answer.transaction_id is not None
    return station, answer.transaction_id


async def submitted(world: World, station: ConnectedStation, event: StationEvent) -> None:
    """As its session hands it in: so that the books know whose it is."""
    over: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    unit = router.Taking(world.context, station, Notice((event,)), world.context.clock.now().at)
    world.store.submit(unit, lambda result, error: over.set_result((result, error)), station.number)
    _, error = await over
    assert error is None


async def books_of(world: World, station: ConnectedStation) -> tuple[Transaction, list[Reading], list[Connector]]:
    """What the books have of it."""

    def query(books: Books) -> tuple[Transaction, list[Reading], list[Connector]]:
        found = books.transactions.page(
            1, station_number=station.number, id_token=None, transaction_id=None, state=None, orphan=None,
            started_from=None, started_to=None, before=None, limit=1,
        )  # fmt: skip
        kept = books.transactions.readings(
            station_number=station.number, transaction_number=None, evse_id=None, since=None, until=None, limit=1000
        )
        return found[0], kept, books.stations.connectors(station.number)

    return await world.store.read(query)


def anonymous(records: Any) -> Any:
    """The same without who it is about."""
    text = msgspec.json.encode(records).decode()
    plain = msgspec.json.decode(text)
    names = {"station_number", "station_id", "number", "transaction_id", "transaction_number"}

    def stripped(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: stripped(inner) for key, inner in value.items() if key not in names}
        return [stripped(inner) for inner in value] if isinstance(value, list) else value

    return stripped(plain)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize("seed", range(6))
async def test_the_short_way_comes_to_the_same(
    seed: int, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes, short = [], 0
    for is_short in (True, False):
        folder = tmp_path / str(is_short)
        folder.mkdir()
        async with world(folder, kind=kind) as here:
            station, transaction_id = await begun(here, "CS1")
            taken: list[bool] = []

            def usual(*arguments: Any, is_short: bool = is_short, taken: list[bool] = taken) -> Acknowledged | None:
                answer = TAKE(*arguments) if is_short else None
                taken.append(answer is not None)
                return answer

            monkeypatch.setattr(usual_readings, "take", usual)
            for event in story(random.Random(seed), transaction_id):
                here.clock.seconds += 10
                await submitted(here, station, event)
            found = await books_of(here, station)
            told = [(event.type, event.at, bytes(event.body)) for event in here.told]
            outcomes.append((*(anonymous(part) for part in found), told))
            short += sum(taken)
    assert outcomes[0] == outcomes[1]
    assert short > 2


async def test_what_follows_from_readings_is_in_the_books_soon_after_a_rush(tmp_path: Path) -> None:
    async with world(tmp_path, kind="sqlite") as here:
        begins = [await begun(here, f"CS{number}") for number in range(80)]
        for turn in range(1, 6):
            here.clock.seconds += 60
            at = START + timedelta(seconds=60 * turn)
            values = (MeterValue(at, (register(1000.0 + 50 * turn), SampledValue(3000.0, POWER))),)
            await asyncio.gather(
                *(
                    here.tell(station, MeterSampled(evse_id=1, transaction_id=wire_id, meter_values=values))
                    for station, wire_id in begins
                )
            )
        for station, _ in begins:
            while True:
                transaction, kept, connectors = await books_of(here, station)
                assert [reading.energy_wh for reading in kept] == [1000, 1050, 1100, 1150, 1200, 1250]
                if transaction.energy_wh == 250 and connectors[0].power_w == 3000:
                    break
                await asyncio.sleep(0.01)


async def test_what_was_put_off_when_the_process_ended_is_made_up_for(tmp_path: Path) -> None:
    async with world(tmp_path, kind="sqlite") as here:
        station, wire_id = await begun(here, "CS1")
        for minute in (1, 2):
            values = (MeterValue(START + timedelta(minutes=minute), (register(1000.0 + 50 * minute),)),)
            await here.tell(station, MeterSampled(evse_id=1, transaction_id=wire_id, meter_values=values))
        before, _, _ = await books_of(here, station)
    with sqlite3.connect(
        tmp_path / "csms.db"
    ) as file:  # as if the last reading had been committed, and what follows from it not
        first = int((START - datetime.fromisoformat("1970-01-01T00:00:00+00:00")).total_seconds() * 1e6)
        file.execute("UPDATE transactions SET meter_last_wh = 1000, meter_last_at = ?, energy_wh = 0", (first,))
        file.execute("INSERT OR REPLACE INTO sequences (name, value) VALUES ('behind', 1)")
    file.close()
    async with world(tmp_path, kind="sqlite") as here:
        await here.store.write(lambda _books: None)
        after, _, _ = await books_of(here, station)
        assert after == before
        assert after.energy_wh == 100
