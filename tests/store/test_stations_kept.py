"""What the writer keeps in mind of stations, connectors and transactions: the same as the books, whatever fails."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forecourt.csms.ports import Books
from forecourt.csms.records import Connector, Station, Transaction, TransactionState
from forecourt.domain.station import BootReason, ConnectorStatus, RegistrationStatus, StationIdentity
from forecourt.store.sql import SqlStore, open_store
from forecourt.store.transactions import SqlTransactionBooks
from tests import databases

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
STATIONS = ("A", "B", "C")
Unit = Callable[[Books], object]


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[SqlStore]:
    opened = await open_store(databases.url(tmp_path / "books.db", request.param), publish=lambda _: None)
    yield opened
    await opened.close()


only_sqlite = pytest.mark.parametrize("store", ["sqlite"], indirect=True)


async def entered(store: SqlStore, more: str = "") -> list[Station]:
    def enter(books: Books) -> list[Station]:
        return [books.stations.add(1, name + more, RegistrationStatus.ACCEPTED, NOW) for name in STATIONS]

    return await store.write(enter)


def connector(station: Station, place: int, status: ConnectorStatus, at: datetime) -> Connector:
    return Connector(
        organisation_id=1,
        station_number=station.number,
        station_id=station.id,
        evse_id=place,
        connector_id=min(place, 1),
        connector_status=status,
        status_at=at,
        updated_at=at,
    )


async def submitted(store: SqlStore, unit: Unit, station: Station) -> BaseException | None:
    over: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
    store.submit(unit, lambda _result, error: over.set_result(error), station.number)
    return await over


async def test_a_boot_that_fails_leaves_nothing_and_those_beside_it_stay(store: SqlStore) -> None:
    stations = await entered(store)

    def boot(station: Station) -> Unit:
        def unit(books: Books) -> None:
            assert books.stations.registration(station.number) is RegistrationStatus.ACCEPTED
            books.stations.set_connection(station.number, f"connection {station.id}", connected=True)
            books.stations.booted(
                station.number, StationIdentity(vendor_name="V", model=station.id), BootReason.POWER_UP, NOW
            )
            books.stations.save_connector(connector(station, 1, ConnectorStatus.AVAILABLE, NOW))
            if station.id == "B":
                raise ZeroDivisionError

        return unit

    errors = await asyncio.gather(*(submitted(store, boot(station), station) for station in stations))
    assert [type(error) for error in errors] == [type(None), ZeroDivisionError, type(None)]
    found = await store.read(lambda books: books.stations.at_the_door(STATIONS))
    identities = [found[name][0].identity for name in STATIONS]
    assert [None if identity is None else identity.model for identity in identities] == ["A", None, "C"]
    assert [found[name][0].connected for name in STATIONS] == [True, False, True]
    for look in (store.read, store.write):
        held = await look(lambda books: [books.stations.connection_id(station.number) for station in stations])
        assert held == ["connection A", None, "connection C"]
        known = await look(lambda books: [len(books.stations.connectors(station.number)) for station in stations])
        assert known == [1, 0, 1]


async def test_the_last_word_on_a_station_counts_whichever_way_it_was_said(store: SqlStore) -> None:
    station, *_ = await entered(store)
    number = station.number

    def unit(books: Books) -> tuple[RegistrationStatus | None, str | None]:
        books.stations.set_connection(number, "one", connected=True, protocol="ocpp1.6")
        books.stations.change(number, registration=RegistrationStatus.REJECTED, name="changed")
        books.stations.set_connection(number, "two", connected=True, protocol="ocpp2.0.1")
        return books.stations.registration(number), books.stations.connection_id(number)

    assert await store.write(unit) == (RegistrationStatus.REJECTED, "two")
    found = await store.read(lambda books: books.stations.by_number(number))
    assert found is not None
    assert (found.name, found.protocol, found.connected) == ("changed", "ocpp2.0.1", True)
    gone = await store.write(lambda books: [each.id for each in books.stations.disconnect_all(NOW)])
    assert gone == ["A"]
    assert await store.write(lambda books: books.stations.connection_id(number)) is None
    await store.write(lambda books: books.stations.remove(number))
    assert await store.write(lambda books: books.stations.registration(number)) is None


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(range(len(STATIONS))),
        st.sampled_from(range(4)),
        st.sampled_from([ConnectorStatus.AVAILABLE, ConnectorStatus.OCCUPIED, ConnectorStatus.FAULTED]),
        st.sampled_from(["said", "fails", "looked", "lagging", "alone"]),
    ),
    max_size=12,
)


_ROUNDS = itertools.count()


@only_sqlite
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=_STEPS)
async def test_connectors_in_mind_are_those_of_the_books(
    store: SqlStore, steps: list[tuple[int, int, ConnectorStatus, str]]
) -> None:
    stations = await entered(store, f" of round {next(_ROUNDS)}")
    expected: dict[tuple[int, int], ConnectorStatus | None] = {}
    waiting = []
    for turn, (which, place, status, how) in enumerate(steps):
        station = stations[which]
        at = NOW + timedelta(seconds=turn)

        def unit(
            books: Books,
            station: Station = station,
            place: int = place,
            status: ConnectorStatus = status,
            how: str = how,
            at: datetime = at,
        ) -> None:
            if how == "looked":
                books.stations.connectors(station.number)
            known = books.stations.connector(station.number, place, min(place, 1))
            made = connector(station, place, status, at)
            after = made if known is None else msgspec.structs.replace(known, connector_status=status, status_at=at)
            books.stations.save_connector(after, metered=how == "lagging")
            if how == "fails":
                raise ZeroDivisionError

        if how != "fails":
            expected[station.number, place] = status
        waiting.append(submitted(store, unit, station))
        if how == "alone":
            await asyncio.gather(*waiting)
            waiting = []
    await asyncio.gather(*waiting)

    def all_of_them(books: Books) -> dict[tuple[int, int], ConnectorStatus | None]:
        return {
            (found.station_number, found.evse_id): found.connector_status
            for station in stations
            for found in books.stations.connectors(station.number)
        }

    assert await store.write(all_of_them) == expected
    await asyncio.sleep(0.3)  # what lags is written when there is nothing else to do
    assert await store.read(all_of_them) == expected


async def test_a_transaction_that_has_ended_is_not_kept_in_mind(store: SqlStore) -> None:
    station, *_ = await entered(store)
    number = station.number

    def start(books: Books) -> Transaction:
        blank = Transaction(
            number=0,
            transaction_id=None,
            organisation_id=1,
            station_number=number,
            station_id="A",
            created_at=NOW,
            updated_at=NOW,
        )
        return books.transactions.add(blank)

    def state(books: Books) -> TransactionState | None:
        assert started.transaction_id is not None
        found = books.transactions.by_wire_id(number, started.transaction_id)
        return None if found is None else found.state

    def kept(books: Books) -> tuple[bool, bool]:
        assert isinstance(books.transactions, SqlTransactionBooks)
        assert started.transaction_id is not None
        return started.number in books.transactions.kept, (number, started.transaction_id) in books.transactions.numbers

    started = await store.write(start)
    assert await store.write(state) is TransactionState.ACTIVE
    ended = msgspec.structs.replace(started, state=TransactionState.ENDED, ended_at=NOW)
    await store.write(lambda books: books.transactions.save(ended))
    assert await store.write(kept) == (False, False)
    assert await store.write(state) is TransactionState.ENDED
    assert await store.write(kept) == (False, False), "that somebody asked for it is no reason to keep it"
    assert await store.read(state) is TransactionState.ENDED
