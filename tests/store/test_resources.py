"""Shelves of records, on both databases: what is entered comes back, in order, filtered, and forgotten in time."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from forecourt.csms.ports import Books
from forecourt.csms.resource_records import (
    CertificateState,
    FirmwareJob,
    JobState,
    JobStep,
    Reservation,
    ReservationState,
    SecurityOrigin,
)
from forecourt.domain.certificate import CertificateHash, CertificateUse, HashAlgorithm
from forecourt.domain.requests import LocalListEntry
from forecourt.domain.token import AuthorizationStatus, IdToken, IdTokenInfo, IdTokenType
from forecourt.store.sql import SqlStore, open_store
from tests import databases

NOW = datetime(2025, 6, 1, 12, 30, 15, 123456, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    made = await open_store(databases.url(tmp_path / "books.db", request.param), publish=lambda _: None, unlogged=())
    yield made
    await made.close()


def reservation(books: Books, at: datetime = NOW, **columns: Any) -> Reservation:
    values = {
        "organisation_id": 1,
        "station_number": 1,
        "station_id": "CS1",
        "reservation_id": books.resources.next_reservation_id(),
        "id_token": "AbC",
        "id_token_type": IdTokenType.ISO14443,
        "expires_at": NOW + timedelta(hours=1),
        **columns,
    }
    return books.resources.reservations.add(at, **values)


async def test_reservations(store: SqlStore) -> None:
    def fill(books: Books) -> list[Reservation]:
        return [reservation(books, NOW + timedelta(minutes=minute)) for minute in range(5)]

    made = await store.write(fill)
    assert len({one.reservation_id for one in made}) == 5

    def change(books: Books) -> None:
        books.resources.reservations.change(made[0].number, NOW, state=ReservationState.ACCEPTED)
        reservation(books, NOW, organisation_id=2, expires_at=NOW)

    await store.write(change)

    def look(books: Books) -> None:
        shelf = books.resources.reservations
        newest = shelf.find({"organisation_id": 1}, limit=2)
        assert newest == made[:-3:-1]
        assert shelf.find({"organisation_id": 1}, before=newest[-1].number, limit=1) == [made[2]]
        assert shelf.find({"state": (ReservationState.ACCEPTED, ReservationState.EXPIRED)})[0].number == made[0].number
        assert shelf.find({"id_token_key": "abc", "evse_id": None, "organisation_id": 1}) != []
        assert shelf.find({"id_token_key": "ab"}) == []
        since, until = made[1].created_at, made[3].created_at
        assert [one.number for one in shelf.find({"organisation_id": 1}, since=since, until=until)] == [
            made[2].number,
            made[1].number,
        ]
        assert [one.organisation_id for one in shelf.find({}, due={"expires_at": NOW})] == [2]
        assert shelf.get(2, made[0].number) is None

    await store.read(look)


async def test_everything_that_is_not_a_plain_column_comes_back(store: SqlStore) -> None:
    named = CertificateHash(HashAlgorithm.SHA256, "aa", "bb", "1f")
    info = IdTokenInfo(status=AuthorizationStatus.BLOCKED, expires_at=NOW, group_id_token=IdToken("G"))
    entries = (LocalListEntry(IdToken("A"), info), LocalListEntry(IdToken("B")))
    station = {"organisation_id": 1, "station_number": 1, "station_id": "CS1"}

    def fill(books: Books) -> tuple[Any, ...]:
        shelves = books.resources
        job: FirmwareJob = shelves.firmware_jobs.add(
            NOW,
            **station,
            location="http://a",
            retrieve_at=NOW,
            deadline_at=NOW,
            history=(JobStep(NOW, "asked"),),
            state=JobState.RUNNING,
        )
        return (
            job,
            shelves.log_jobs.add(NOW, **station, deadline_at=NOW),
            shelves.lists.add(NOW, **station, follows_tokens=True),
            shelves.list_versions.add(NOW, organisation_id=1, station_number=1, revision=1, entries=entries),
            shelves.installed.add(NOW, **station, use=CertificateUse.CSMS_ROOT, named=named, children=(named,)),
            shelves.certificates.add(NOW, organisation_id=1, serial_number="1f", state=CertificateState.REVOKED),
            shelves.security_events.add(
                NOW, organisation_id=1, origin=SecurityOrigin.CSMS, type="X", critical=True, at=NOW
            ),
        )

    made = await store.write(fill)

    def read(books: Books) -> tuple[Any, ...]:
        shelves = books.resources
        each = (
            shelves.firmware_jobs,
            shelves.log_jobs,
            shelves.lists,
            shelves.list_versions,
            shelves.installed,
            shelves.certificates,
            shelves.security_events,
        )
        return tuple(shelf.get(1, 1) for shelf in each)

    assert await store.read(read) == made
    assert await store.write(lambda books: books.resources.security_events.forget(NOW)) == 0
    assert await store.write(lambda books: books.resources.security_events.forget(NOW + timedelta(seconds=1))) == 1
