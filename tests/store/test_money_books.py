"""The books of money: what the database itself keeps once, an old database that is brought up to date, order."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from forecourt.csms.money_records import Payment, PaymentState, Session, StateReport, TariffScope
from forecourt.csms.ports import Books, StoreUnavailable
from forecourt.csms.tariff_terms import PriceComponent, TariffDimension, TariffElement, TariffTerms
from forecourt.domain.transaction import ChargingState
from forecourt.store.engines import make_engine
from forecourt.store.migrate import upgrade
from forecourt.store.sql import SqlStore, open_store
from tests import databases

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
COMPONENT = PriceComponent(type=TariffDimension.ENERGY, price=Decimal("0.100"), vat=Decimal("7.0"))
TERMS = TariffTerms(currency="EUR", elements=(TariffElement(price_components=(COMPONENT,)),))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    made = await open_store(databases.url(tmp_path / "books.db"), publish=lambda _events: None)
    yield made
    await made.close()


def payment(payment_id: str, token: str, **more: Any) -> Payment:
    return Payment(
        id=payment_id,
        organisation_id=1,
        provider="p",
        method="m",
        currency="EUR",
        amount=Decimal("10.00"),
        station_id="CS1",
        id_token=token,
        expires_at=NOW,
        created_at=NOW,
        updated_at=NOW,
        **more,
    )


async def test_an_old_database_is_brought_up_to_date_with_all_it_holds(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path}/books.db")
    upgrade(engine, "0001")
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO locations (organisation_id, name, created_at) VALUES (1, 'Yard', 0)"))
    engine.dispose()
    store = await open_store(f"sqlite:///{tmp_path}/books.db", publish=lambda _events: None)
    try:
        assert [
            place.name for place in await store.read(lambda books: books.stations.locations(1, before=None, limit=9))
        ]
        made = await store.write(lambda books: books.money.tariffs.add_version(1, None, 1, TERMS, NOW))
        assert (made.id, made.version) == (1, 1)
    finally:
        await store.close()


async def test_amounts_come_back_as_they_were(store: SqlStore) -> None:
    made = await store.write(lambda books: books.money.tariffs.add_version(1, None, 1, TERMS, NOW))
    found = await store.read(lambda books: books.money.tariffs.by_number(made.number))
    assert found == made
    assert str(found.terms.elements[0].price_components[0].price) == "0.100"
    await store.write(lambda books: books.money.payments.add(payment("a", "T"), None))
    kept = await store.read(lambda books: books.money.payments.get(1, "a"))
    assert kept is not None
    assert str(kept.amount) == "10.00"


async def test_the_version_in_force_is_the_last_before(store: SqlStore) -> None:
    def enter(books: Books) -> None:
        for version in (1, 2, 3):
            books.money.tariffs.add_version(
                1, 1 if version > 1 else None, version, TERMS, NOW + timedelta(hours=version)
            )

    await store.write(enter)

    def version(hours: float) -> Any:
        return lambda books: books.money.tariffs.in_force(1, 1, NOW + timedelta(hours=hours)).version

    assert [await store.read(version(hours)) for hours in (0, 1, 1.5, 2, 2.9, 3, 9)] == [1, 1, 1, 2, 2, 3, 3]
    assert await store.read(lambda books: books.money.tariffs.in_force(2, 1, NOW)) is None


async def test_one_tariff_counts_at_a_place(store: SqlStore) -> None:
    def assign(tariff_id: int, target: str, *, ad_hoc: bool = False) -> Any:
        return lambda books: books.money.tariffs.assign(1, tariff_id, TariffScope.TOKEN, target, ad_hoc=ad_hoc, now=NOW)

    for tariff_id, target in ((1, "card"), (2, "CARD")):
        await store.write(assign(tariff_id, target))
    await store.write(assign(3, "Card", ad_hoc=True))
    found = await store.read(lambda books: books.money.tariffs.assigned_to(1, [(TariffScope.TOKEN, "cArD")]))
    assert [(entry.tariff_id, entry.ad_hoc) for entry in found] == [(2, False), (3, True)]


async def test_the_database_keeps_one_of_each(store: SqlStore) -> None:
    await store.write(lambda books: books.money.payments.add(payment("a", "T"), "key"))
    for again, key in ((payment("a", "U"), None), (payment("b", "T"), None), (payment("c", "V"), "key")):
        with pytest.raises(StoreUnavailable):
            await store.write(lambda books, again=again, key=key: books.money.payments.add(again, key))  # type: ignore[misc]
    session = Session(number=1, organisation_id=1, station_number=1, station_id="CS1", created_at=NOW, updated_at=NOW)
    await store.write(lambda books: books.money.billing.add_session(session))
    with pytest.raises(StoreUnavailable):
        await store.write(lambda books: books.money.billing.add_session(session))


async def test_states_come_in_order_with_the_last_one_before(store: SqlStore) -> None:
    told = [
        (0, -1, ChargingState.IDLE),
        (10, -1, ChargingState.EV_CONNECTED),
        (30, 2, ChargingState.SUSPENDED_EV),
        (30, 1, ChargingState.CHARGING),
        (99, -1, ChargingState.IDLE),
    ]

    def enter(books: Books) -> None:
        for seconds, seq_no, state in told:
            books.money.billing.add_state(
                StateReport(
                    station_number=1,
                    evse_id=1,
                    at=NOW + timedelta(seconds=seconds),
                    seq_no=seq_no,
                    charging_state=state,
                )
            )

    await store.write(enter)
    found = await store.read(
        lambda books: books.money.billing.states(
            1, 1, since=NOW + timedelta(seconds=20), until=NOW + timedelta(seconds=60)
        )
    )
    assert [report.charging_state for report in found] == [
        ChargingState.EV_CONNECTED,
        ChargingState.CHARGING,
        ChargingState.SUSPENDED_EV,
    ]
    assert await store.write(lambda books: books.money.billing.forget_states(NOW + timedelta(seconds=30))) == 2


async def test_payments_to_do_are_those_whose_time_has_come(store: SqlStore) -> None:
    later = NOW + timedelta(minutes=1)

    entries: list[dict[str, Any]] = [
        {"state": PaymentState.REQUESTED},
        {"state": PaymentState.CAPTURING, "next_attempt_at": later},
        {"state": PaymentState.RELEASING, "next_attempt_at": NOW},
        {"state": PaymentState.AUTHORISED},
        {"state": PaymentState.AUTHORISED, "session_number": 3},
        {"state": PaymentState.CAPTURED},
        {"state": PaymentState.FAILED},
    ]

    def enter(books: Books) -> None:
        for number, more in enumerate(entries):
            books.money.payments.add(payment(str(number), f"T{number}", **more), None)

    await store.write(enter)
    found = await store.read(lambda books: books.money.payments.to_do(NOW, 10))
    assert [entry.id for entry in found] == ["0", "2", "3"]
    assert [entry.id for entry in await store.read(lambda books: books.money.payments.to_do(later, 10))] == [*"0123"]
