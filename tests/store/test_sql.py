"""The store: one writer, group commit, units that fail alone, and a schema that the migrations really make."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Dialect, event, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from forecourt.csms.ports import Books, StoreUnavailable
from forecourt.csms.records import Direction, Event, MessageFilter, Reading, Token
from forecourt.domain.meter import SampledValue
from forecourt.domain.station import RegistrationStatus
from forecourt.store.engines import make_engine
from forecourt.store.migrate import upgrade
from forecourt.store.sql import SqlStore, open_store
from forecourt.store.tables import SQLITE_ONLY, metadata
from forecourt.store.types import Instant
from tests import databases

NOW = datetime(2025, 6, 1, 12, 30, 15, 123456, tzinfo=UTC)


class Said(msgspec.Struct):
    """A body."""

    number: int


class Open:
    """A store and what it published."""

    def __init__(self, path: Path, kind: str) -> None:
        self.path = path
        self.url = databases.url(path, kind)
        self.told: list[Event] = []
        self.store: SqlStore

    async def start(self) -> None:
        self.store = await open_store(self.url, publish=self.publish, unlogged=("quiet",))

    def publish(self, events: Sequence[Event]) -> None:
        self.told += events


@pytest.fixture(params=["sqlite", "postgresql"])
async def opened(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Open]:
    made = Open(tmp_path / "books.db", request.param)
    await made.start()
    yield made
    await made.store.close()


only_sqlite = pytest.mark.parametrize("opened", ["sqlite"], indirect=True)
"""For what looks into the file, or is a matter of SQLite alone."""


def token(value: str) -> Callable[[Books], Token]:
    def unit(books: Books) -> Token:
        return books.tokens.upsert(1, value, {"note": value, **TOKEN}, NOW)

    return unit


TOKEN = {"type": "ISO14443", "standing": "Accepted", "expires_at": None, "group": None, "charging_priority": 0}


async def values(store: SqlStore) -> set[str]:
    found = await store.read(lambda books: books.tokens.page(1, group=None, before=None, limit=1000))
    return {entry.value for entry in found}


@only_sqlite
async def test_what_is_answered_is_committed(opened: Open) -> None:
    await opened.store.write(token("A"))
    with sqlite3.connect(opened.path) as connection:
        assert connection.execute("SELECT value FROM tokens").fetchall() == [("A",)]
    connection.close()


async def test_units_that_wait_share_a_commit(opened: Open) -> None:
    commits = 0

    def count(_: object) -> None:
        nonlocal commits
        commits += 1

    event.listen(opened.store._engine, "commit", count)
    await asyncio.gather(*(opened.store.write(token(f"T{number}")) for number in range(200)))
    assert len(await values(opened.store)) == 200
    assert commits < 100


async def test_a_unit_that_raises_leaves_nothing_and_harms_nobody(opened: Open) -> None:
    def failing(books: Books) -> None:
        token("bad")(books)
        books.events.append(1, "loud", NOW, None, Said(13))
        books.log.add_message(1, 1, NOW, Direction.IN, None, None, b"bad")
        raise ZeroDivisionError

    def speaking(books: Books) -> None:
        books.events.append(1, "loud", NOW, None, Said(7))

    jobs: list[asyncio.Future[Any]] = [
        opened.store.write(token("A")),
        opened.store.write(failing),
        opened.store.write(speaking),
        opened.store.write(token("B")),
    ]
    results = await asyncio.gather(*jobs, return_exceptions=True)
    assert isinstance(results[1], ZeroDivisionError)
    assert await values(opened.store) == {"A", "B"}
    assert [bytes(entry.body) for entry in opened.told] == [b'{"number":7}']
    messages = await opened.store.read(lambda books: books.log.messages(1, MessageFilter(), limit=9))
    assert messages == []


async def test_a_unit_that_raises_after_it_has_looked_takes_nobodys_readings_with_it(opened: Open) -> None:
    """Looking at readings writes those of the whole batch: they stay even when who looked fails."""

    def reading(wh: float) -> Reading:
        return Reading(
            organisation_id=1,
            station_number=1,
            evse_id=1,
            at=NOW,
            energy_wh=wh,
            samples=(SampledValue(wh),),
            received_at=NOW,
        )

    def look(books: Books) -> list[Reading]:
        return books.transactions.readings(
            station_number=1, transaction_number=None, evse_id=None, since=None, until=None, limit=100
        )

    def adding(*registers_wh: float) -> Callable[[Books], None]:
        def add(books: Books) -> None:
            for wh in registers_wh:
                books.transactions.add_reading(reading(wh))

        return add

    def failing(books: Books) -> None:
        books.transactions.add_reading(reading(13.0))
        look(books)
        raise ZeroDivisionError

    store = opened.store
    jobs = [
        store.write(adding(1.0)),
        store.write(failing),
        store.write(adding(2.0, 1.0)),
    ]
    results = await asyncio.gather(*jobs, return_exceptions=True)
    assert isinstance(results[1], ZeroDivisionError)
    assert sorted(entry.energy_wh or 0.0 for entry in await store.read(look)) == [1.0, 2.0]


async def test_what_one_commit_tells_is_one_row_of_the_log_and_comes_apart_again(opened: Open) -> None:
    store = opened.store

    def speak(*numbers: int) -> Callable[[Books], None]:
        def unit(books: Books) -> None:
            for number in numbers:
                books.events.append(number % 2, "loud", NOW + timedelta(seconds=-number), "CS1", Said(number))

        return unit

    def log(after: int, limit: int, books: Books) -> list[Event]:
        return books.events.after(after, limit)

    await store.write(speak(1))
    await store.write(speak(*range(2, 52)))
    await store.write(speak(52, 53))
    told = await store.read(lambda books: books.events.after(0, 100))
    assert [event.id for event in told] == list(range(told[0].id, told[0].id + 53))
    assert [(event.organisation_id, event.at, event.station_id, bytes(event.body)) for event in told] == [
        (number % 2, NOW - timedelta(seconds=number), "CS1", b'{"number":%d}' % number) for number in range(1, 54)
    ]
    for after, limit in ((told[0].id, 5), (told[9].id, 3), (told[50].id, 9), (told[52].id, 9)):
        some = await store.read(partial(log, after, limit))
        assert some == [event for event in told if event.id > after][:limit]
    assert await store.read(lambda books: books.events.newest()) == told[-1].id
    assert await store.write(lambda books: books.events.forget(NOW)) == 3, "a row each"


async def test_event_ids_ascend_and_are_not_given_again_after_a_restart(opened: Open) -> None:
    def speak(kind: str, number: int) -> Callable[[Books], None]:
        return lambda books: books.events.append(1, kind, NOW, "CS1", Said(number))

    for number in range(3):
        await opened.store.write(speak("loud", number))
    await opened.store.write(speak("quiet", 9))
    assert [entry.id for entry in opened.told] == [1, 2, 3, 0]
    await opened.store.write(lambda books: books.events.forget(datetime(2030, 1, 1, tzinfo=UTC)))
    await opened.store.close()
    await opened.start()
    await opened.store.write(speak("loud", 4))
    assert opened.told[-1].id == 4
    logged = await opened.store.read(lambda books: books.events.after(0, 10))
    assert [(entry.id, bytes(entry.body)) for entry in logged] == [(4, b'{"number":4}')]


@only_sqlite
async def test_a_database_that_is_full_fails_what_it_cannot_keep_and_recovers(opened: Open) -> None:
    store = opened.store
    await store.write(token("A"))

    def limit(pages: int) -> Callable[[Books], None]:
        def unit(books: Books) -> None:
            connection = books.tokens._connection  # type: ignore[attr-defined]
            connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

        return unit

    await store.write(limit(1))

    def big(books: Books) -> None:
        books.log.add_message(1, 1, NOW, Direction.IN, None, None, bytes(1_000_000))

    results = await asyncio.gather(store.write(big), store.write(big), return_exceptions=True)
    assert all(isinstance(result, StoreUnavailable) for result in results)
    await store.write(limit(1_000_000))
    await store.write(token("B"))
    assert await values(store) == {"A", "B"}


async def test_a_reader_sees_a_snapshot_and_waits_for_nobody(opened: Open) -> None:
    await opened.store.write(token("A"))
    entered, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(books: Books) -> None:
        token("B")(books)
        loop.call_soon_threadsafe(entered.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(10)

    writing = opened.store.write(slow)
    await entered.wait()
    assert await values(opened.store) == {"A"}
    go_on.set()
    await writing
    assert await values(opened.store) == {"A", "B"}


async def test_reading_cannot_write(opened: Open) -> None:
    await opened.store.read(token("A"))
    assert await values(opened.store) == set()


async def test_what_was_submitted_before_closing_is_committed(opened: Open) -> None:
    jobs = [opened.store.write(token(f"T{number}")) for number in range(50)]
    await opened.store.close()
    await asyncio.gather(*jobs)
    with pytest.raises(StoreUnavailable):
        await opened.store.write(token("late"))
    await opened.start()
    assert len(await values(opened.store)) == 50


async def test_times_come_back_to_the_microsecond_and_without_a_zone_are_refused(opened: Open) -> None:
    station = await opened.store.write(lambda books: books.stations.add(1, "CS1", RegistrationStatus.ACCEPTED, NOW))
    assert await opened.store.read(lambda books: books.stations.get(1, "CS1")) == station
    with pytest.raises(Exception, match="without a time zone"):
        await opened.store.write(
            lambda books: books.stations.add(1, "CS2", RegistrationStatus.ACCEPTED, datetime(2025, 6, 1))  # noqa: DTZ001
        )


async def test_a_file_that_is_no_database_is_said_to_be_unavailable(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"not a database, but long enough to look like something" * 100)
    with pytest.raises(StoreUnavailable):
        await open_store(f"sqlite:///{tmp_path}/x.db", publish=lambda _: None)


def test_the_migrations_make_exactly_the_tables(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path}/x.db")
    upgrade(engine)
    upgrade(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, metadata) == []
        found = {row[0]: row[1] for row in connection.execute(text("SELECT name, sql FROM sqlite_master"))}
    fresh = make_engine(f"sqlite:///{tmp_path}/y.db")
    with fresh.begin() as connection:
        metadata.create_all(connection)
        made = {row[0]: row[1] for row in connection.execute(text("SELECT name, sql FROM sqlite_master"))}
    del found["alembic_version"]
    found = {name: sql for name, sql in found.items() if "alembic" not in name}
    assert found.keys() == made.keys()
    assert "WITHOUT ROWID" in found["readings"]
    engine.dispose()
    fresh.dispose()


def test_the_migrations_make_exactly_the_tables_on_postgresql(tmp_path: Path) -> None:
    engine = make_engine(databases.url(tmp_path / "x.db", "postgresql"))
    upgrade(engine)
    upgrade(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": False, "include_name": _ours, "include_object": _wanted}
        )
        assert compare_metadata(context, metadata) == []
        native = connection.execute(text("SELECT count(*) FROM pg_sequences WHERE sequencename LIKE 'sequence%'"))
        assert native.scalar_one() == connection.execute(text("SELECT count(*) FROM sequences")).scalar_one()
    engine.dispose()


def _ours(name: str | None, kind: str, _parents: Any) -> bool:
    return kind != "table" or name is None or not name.startswith("readings_")


def _wanted(found: Any, *_: Any) -> bool:
    table = getattr(found, "table", found)
    return not table.info.get(SQLITE_ONLY)


def test_every_record_belongs_to_an_organisation_or_hangs_on_a_station() -> None:
    for table in metadata.sorted_tables:
        if table.name not in {"organisations", "sequences", "processes"}:
            assert {"organisation_id", "station_number"} & set(table.c.keys()), table.name


def test_the_types_speak_postgresql_too() -> None:
    dialect: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    ddl = "".join(str(CreateTable(table).compile(dialect=dialect)) for table in metadata.sorted_tables)
    assert "TIMESTAMP WITH TIME ZONE" in ddl
    assert Instant().process_bind_param(NOW, dialect) == NOW
    assert Instant().process_result_value(NOW, dialect) == NOW


async def test_when_the_writer_ends_nobody_waits_for_it(opened: Open) -> None:
    def end(_books: Books) -> None:
        raise SystemExit

    for future in (opened.store.write(end), opened.store.write(token("A"))):
        with pytest.raises(StoreUnavailable):
            await asyncio.wait_for(future, 10)
    with pytest.raises(StoreUnavailable):
        await asyncio.wait_for(opened.store.write(token("B")), 10)
    assert await values(opened.store) == set()
