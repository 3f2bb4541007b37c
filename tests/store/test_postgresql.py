"""The books on PostgreSQL: two writers that lose nothing of each other, connections that are cut, weeks of readings."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from sqlalchemy import event as sqlalchemy_event

from forecourt.csms.ports import Books, StoreUnavailable
from forecourt.csms.records import Connector, Direction, Event, MessageFilter, Reading, Token, Transaction
from forecourt.domain.meter import SampledValue
from forecourt.store.engines import make_engine
from forecourt.store.migrate import UPGRADE, upgrade
from forecourt.store.partitions import week_of
from forecourt.store.sql import SqlStore, open_store
from forecourt.store.writer import Job, Writer
from tests import databases
from tests.store.test_sql import NOW, Said, token, values

WEEK = timedelta(weeks=1)
WAITING = (
    "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database"
    " WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()"
)
"""How many wait for a lock of ours."""


class Two:
    """Two processes' stores on one database, and what each published."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.told: tuple[list[Event], list[Event]] = ([], [])
        self.stores: list[SqlStore] = []

    async def start(self) -> None:
        for told in self.told:
            self.stores.append(await open_store(self.url, publish=told.extend, patience_s=10.0))


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Two]:
    made = Two(databases.url(tmp_path / "books.db", "postgresql"))
    await made.start()
    yield made
    for store in made.stores:
        await store.close()


def submitted(store: SqlStore, unit: Callable[[Books], Any]) -> "asyncio.Future[Any]":
    """As what a station says is; what came of it."""
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def done(result: Any, error: BaseException | None) -> None:
        assert error is None
        future.set_result(result)

    store.submit(unit, done, station_number=1)
    return future


def server(url: str) -> psycopg.Connection[Any]:
    return psycopg.connect(url, autocommit=True)


def cut_all(url: str) -> None:
    """End every connection to the database but our own."""
    with server(url) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def reading(at: datetime, energy_wh: float, received_at: datetime = NOW) -> Reading:
    return Reading(
        organisation_id=1,
        station_number=1,
        evse_id=1,
        at=at,
        energy_wh=energy_wh,
        samples=(SampledValue(energy_wh),),
        received_at=received_at,
    )


def keep(*readings: Reading) -> Callable[[Books], None]:
    def add(books: Books) -> None:
        for each in readings:
            books.transactions.add_reading(each)

    return add


def look(books: Books) -> list[Reading]:
    return books.transactions.readings(
        station_number=1, transaction_number=None, evse_id=None, since=None, until=None, limit=10_000
    )


async def test_two_writers_lose_none_of_each_others_changes(two: Two) -> None:
    """Each adds one to what it read, fifty times: a hundred, whoever was first."""

    def count_up(books: Books) -> None:
        found = books.tokens.get(1, "N")
        number = int(found.note or "0") if found else 0
        books.tokens.upsert(1, "N", {**FIELDS, "note": str(number + 1)}, NOW)

    await asyncio.gather(*(store.write(count_up) for _ in range(50) for store in two.stores))
    found = await two.stores[0].read(lambda books: books.tokens.get(1, "N"))
    assert found is not None
    assert found.note == "100"


FIELDS = {"type": "ISO14443", "standing": "Accepted", "expires_at": None, "group": None, "charging_priority": 0}


async def test_what_one_remembers_is_believed_only_while_nobody_else_changes_it(two: Two) -> None:
    """Each adds to a transaction and a connector what it read there, on its own and both at once: nothing is lost."""
    first, second = two.stores

    def begin(books: Books) -> int:
        blank = Transaction(
            number=0, transaction_id="T", organisation_id=1, station_number=1, station_id="CS1", evse_id=1,
            orphan=False, meter_start_wh=0.0, created_at=NOW, updated_at=NOW,
        )  # fmt: skip
        books.stations.save_connector(
            Connector(
                organisation_id=1,
                station_number=1,
                station_id="CS1",
                evse_id=1,
                connector_id=1,
                power_w=0.0,
                updated_at=NOW,
            )
        )
        return books.transactions.add(blank).number

    def add(books: Books) -> float:
        known, connector = books.transactions.by_wire_id(1, "T"), books.stations.connector(1, 1, 1)
        assert known is not None
        assert connector is not None
        energy_wh, power_w = (known.energy_wh or 0.0) + 1, (connector.power_w or 0.0) + 1
        books.transactions.save(msgspec.structs.replace(known, energy_wh=energy_wh), metered=True)
        books.stations.save_connector(msgspec.structs.replace(connector, power_w=power_w), metered=True)
        assert energy_wh == power_w
        return energy_wh

    def told(store: SqlStore) -> "asyncio.Future[float]":
        return submitted(store, add)

    statements: list[str] = []
    engine = first._engine  # to see what it asks the server
    sqlalchemy_event.listen(engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    await first.write(begin)
    in_turn = [await told(store) for store in (first, first, second, first, second, second, first, first)]
    assert in_turn == [1, 2, 3, 4, 5, 6, 7, 8]
    statements.clear()
    assert await told(first) == 9
    assert not any(text.startswith("SELECT transactions.") for text in statements), "it was remembered"
    together = await asyncio.gather(*(told(store) for _ in range(20) for store in two.stores))
    assert sorted(together) == list(range(10, 50))


async def test_what_one_has_only_read_is_remembered_while_nobody_changes_it(two: Two) -> None:
    first, second = two.stores
    connector = Connector(
        organisation_id=1, station_number=1, station_id="CS1", evse_id=1, connector_id=1, power_w=0.0, updated_at=NOW
    )

    def look(books: Books) -> float | None:
        found = books.stations.connector(1, 1, 1)
        assert found is not None
        return found.power_w

    statements: list[str] = []
    sqlalchemy_event.listen(first._engine, "before_cursor_execute", lambda *given: statements.append(given[2]))

    def looked_up() -> int:
        found = sum(text.startswith("SELECT connectors.") for text in statements)
        statements.clear()
        return found

    await second.write(lambda books: books.stations.save_connector(connector))
    assert await submitted(first, look) == 0.0
    assert looked_up() == 1
    assert [await submitted(first, look) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert looked_up() == 0
    changed = msgspec.structs.replace(connector, power_w=7.0)
    await second.write(lambda books: books.stations.save_connector(changed))
    assert await submitted(first, look) == 7.0
    assert looked_up() == 1


async def test_events_become_visible_in_the_order_of_their_ids(two: Two) -> None:
    """Whoever reads after the last id it has seen never misses a smaller one that was committed later."""
    seen: list[int] = []
    done = asyncio.Event()

    async def follow() -> None:
        while True:
            ending = done.is_set()
            batch = await two.stores[0].read(lambda books: books.events.after(seen[-1] if seen else 0, 1000))
            if batch:
                seen.extend(event.id for event in batch)
            elif ending:
                return

    def speak(number: int) -> Callable[[Books], None]:
        return lambda books: books.events.append(1, "loud", NOW, "CS1", Said(number))

    following = asyncio.create_task(follow())
    for _ in range(20):
        await asyncio.gather(*(store.write(speak(number)) for number in range(10) for store in two.stores))
    done.set()
    await following
    assert seen == list(range(1, 401))
    assert sorted(event.id for told in two.told for event in told) == seen


async def test_connections_that_are_cut_are_made_again_and_nothing_is_lost(two: Two) -> None:
    store = two.stores[0]
    await store.write(token("A"))
    cut_all(two.url)
    await asyncio.gather(*(store.write(token(f"B{number}")) for number in range(20)))
    cut_all(two.url)
    assert await values(store) == {"A", *(f"B{number}" for number in range(20))}


async def test_what_stations_say_outlasts_a_connection_that_is_cut(two: Two) -> None:
    store = two.stores[0]
    for turn in range(4):
        units = [token(f"{turn} {number}") for number in range(10)]
        await asyncio.gather(*(submitted(store, unit) for unit in units))
        cut_all(two.url)
    assert len(await values(store)) == 40


async def test_a_server_that_stays_away_fails_what_waits_and_a_return_heals(two: Two) -> None:
    store = await open_store(two.url, publish=lambda _: None, patience_s=0.3)
    name = two.url.rpartition("/")[2]
    with server(databases.SERVER) as connection:
        connection.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS false')
        try:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
            with pytest.raises(StoreUnavailable):
                await store.write(token("A"))
        finally:
            connection.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS true')
    await store.write(token("B"))
    assert await values(store) == {"B"}
    await store.close()


@pytest.mark.parametrize("before", [True, False])
async def test_a_commit_whose_answer_is_lost_is_not_done_twice(two: Two, before: bool) -> None:
    """The connection breaks just before the commit reaches the server, or just before its answer reaches us."""
    engine = make_engine(two.url)
    writer = Writer(engine, (), patience_s=10.0)
    raw: Any = writer.connection().connection.dbapi_connection
    commit = raw.commit
    broken: list[bool] = []

    def break_off() -> None:
        if broken:
            commit()
            return
        broken.append(True)
        if not before:
            commit()
        cut_all(two.url)
        raise psycopg.errors.AdminShutdown("terminating connection")

    raw.commit = break_off

    def count_up(books: Books) -> None:
        found = books.tokens.get(1, "N")
        number = int(found.note or "0") if found else 0
        books.tokens.upsert(1, "N", {**FIELDS, "note": str(number + 1)}, NOW)

    def nobody_waits(_result: object, _error: BaseException | None) -> None:
        raise AssertionError("who is told is the store's business")

    job = Job(count_up, nobody_waits)
    await asyncio.to_thread(writer.write, [job])
    assert job.error is None
    assert broken
    found = await two.stores[0].read(lambda books: books.tokens.get(1, "N"))
    assert found is not None
    assert found.note == "1"
    writer.close()
    engine.dispose()


async def test_many_readings_at_once_are_kept_once_each(two: Two) -> None:
    store = two.stores[0]
    many = [reading(NOW + timedelta(seconds=number), number) for number in range(100)]
    await store.write(keep(*many[:60], *many[:10]))
    await store.write(keep(*many[40:]))
    assert [found.energy_wh for found in await store.read(look)] == [float(number) for number in range(100)]


async def test_readings_lie_in_weeks_and_old_weeks_are_dropped(two: Two) -> None:
    store = two.stores[0]
    await store.write(keep(reading(NOW, 1.0)))
    later = NOW + 3 * WEEK
    await store.write(keep(reading(later, 2.0, later), reading(datetime(1999, 1, 1, tzinfo=UTC), 3.0, later)))

    def partitions() -> dict[str, int]:
        with server(two.url) as connection:
            rows = connection.execute("SELECT tableoid::regclass::text, count(*) FROM readings GROUP BY 1").fetchall()
        return dict(rows)

    assert partitions() == {
        f"readings_{week_of(NOW):%Y%m%d}": 1,
        f"readings_{week_of(later):%Y%m%d}": 1,
        "readings_other": 1,
    }
    assert await store.write(lambda books: books.transactions.forget_readings(later)) == 2
    assert partitions() == {f"readings_{week_of(later):%Y%m%d}": 1}


async def test_frames_by_the_hundred_come_back_as_they_were(two: Two) -> None:
    frames = [bytes([0, 9, 10, 92, number]) for number in range(100)]

    def keep_all(books: Books) -> None:
        for frame in frames:
            books.log.add_message(1, 1, NOW, Direction.IN, "Heartbeat", None, frame)

    await two.stores[0].write(keep_all)
    found: Sequence[Any] = await two.stores[0].read(lambda books: books.log.messages(1, MessageFilter(), limit=200))
    assert [bytes(message.frame) for message in found] == frames[::-1]


def messages_with(text: str, books: Books) -> Sequence[Any]:
    return books.log.messages(1, MessageFilter(text=text), limit=9)


async def test_text_is_found_in_frames_even_in_those_that_are_no_text(two: Two) -> None:
    frames = [b'[2,"1","A",{"idTag":"AbC%1"}]', b"\xff\xfe abc\\ \xc3\xa4", b"[]", b"[1]"]

    def keep_all(books: Books) -> None:
        for frame in frames:
            books.log.add_message(1, 1, NOW, Direction.IN, None, None, frame)

    store = two.stores[0]
    await store.write(keep_all)
    for text, those in (("aBc", frames[:2]), ("c%1", frames[:1]), ("c\\ ä", frames[1:2]), ("none", [])):
        found = await store.read(partial(messages_with, text))
        assert [bytes(message.frame) for message in found] == those[::-1], text
    assert await store.read(lambda books: books.log.newest_messages_end(1, MessageFilter(), before=None, most=3)) == 2
    assert await store.read(lambda books: books.log.newest_messages_end(1, MessageFilter(), before=2, most=3)) is None


async def test_a_unit_that_fails_in_the_database_takes_nobody_with_it(two: Two) -> None:
    def bad(books: Books) -> Token:
        books.tokens._connection.exec_driver_sql("SELECT 1/0")  # type: ignore[attr-defined]
        raise AssertionError

    store = two.stores[0]
    results = await asyncio.gather(
        store.write(token("A")), store.write(bad), store.write(token("B")), return_exceptions=True
    )
    assert isinstance(results[1], StoreUnavailable)
    assert await values(store) == {"A", "B"}


def test_a_url_of_something_else_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="mysql"):
        make_engine("mysql://root@localhost/x")


def test_processes_that_start_together_make_the_tables_once(tmp_path: Path) -> None:
    """All of them wait at the door with an empty database in view; each but the first finds it made."""
    url = databases.empty(tmp_path / "x.db")
    engines = [make_engine(url) for _ in range(3)]
    with server(url) as other, ThreadPoolExecutor() as threads:
        other.execute("SELECT pg_advisory_lock(%s)", (UPGRADE,))
        upgrades = [threads.submit(upgrade, engine) for engine in engines]
        until_s = time.monotonic() + 10
        while other.execute(WAITING).fetchone() != (3,):
            assert time.monotonic() < until_s
            time.sleep(0.02)
        other.execute("SELECT pg_advisory_unlock(%s)", (UPGRADE,))
        assert len({one.result(60) for one in upgrades}) == 1
    for engine in engines:
        engine.dispose()
