"""Transactions in SQL; their readings are in `store.readings`. See `csms.book_ports.TransactionBooks`.

Guarantees
* Changed transactions are gathered and written in one statement per batch, before anything looks for them
  and before the commit.
"""

from collections.abc import Collection
from datetime import datetime
from functools import cache
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Select, bindparam, case, func, insert, or_, select

from forecourt.csms.records import Reading, Transaction, TransactionState
from forecourt.csms.running import RunningMeter
from forecourt.domain.token import IdToken
from forecourt.store.bulk import Updates
from forecourt.store.driver import Found, numbers, run
from forecourt.store.kept import MOST_KEPT, Kept
from forecourt.store.readings import SqlReadings
from forecourt.store.rows import Shape, inserted, within
from forecourt.store.tables import transactions

_TRANSACTION: Final = Shape(Transaction, transactions)

_STATION: Final = transactions.c.station_number == bindparam("station")
_BY_NUMBER: Final = _TRANSACTION.select().where(transactions.c.number == bindparam("key"))
_BY_WIRE_ID: Final = _TRANSACTION.select().where(_STATION, transactions.c.transaction_id == bindparam("key"))
_BY_START_KEY: Final = _TRANSACTION.select().where(_STATION, transactions.c.start_key == bindparam("key"))
_VERSIONS: Final = "SELECT number, xmin::text::bigint FROM transactions WHERE number = ANY(%s::bigint[])"
_ACTIVE: Final = transactions.c.state == TransactionState.ACTIVE
_PLACES: Final = {name: index for index, name in enumerate(_TRANSACTION.stored)}
_ALL_BUT_NUMBER: Final = tuple(place for name, place in _PLACES.items() if name != "number")


@cache
def _saving(places: tuple[int, ...]) -> Updates:
    """Sets these columns of a transaction."""
    names = [_TRANSACTION.stored[place] for place in places]
    if "id_token" in names:
        names.append("id_token_key")
    return Updates(transactions, [*names, "number"])


class SqlTransactionBooks:
    """See `csms.book_ports.TransactionBooks`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.metered = SqlReadings(connection)
        self.readings = self.metered.find
        self.mark_readings = self.metered.mark
        self.forget_readings = self.metered.forget
        self.kept: Kept[int, Transaction] = Kept()
        self.numbers: Kept[tuple[int, str], int] = Kept()
        self._by_id: dict[tuple[int, str], int] = {}
        self._meters: dict[tuple[int, str], RunningMeter] = {}
        self._running: dict[int, set[int]] = {}
        """By station: numbers of its transactions that run, and were written here."""
        self._looked_up: list[Transaction] = []
        """Those that don't run, and were asked for in this batch."""
        self.flushes = 0

    def add(self, transaction: Transaction, start_key: str | None = None) -> Transaction:
        """Enter a new one."""
        row = self._row(transaction)
        del row["number"]
        number = inserted(self._connection, insert(transactions), {"start_key": start_key, **row})
        added = msgspec.structs.replace(transaction, number=number)
        if transaction.transaction_id is None and transaction.reported_id is None:
            added = msgspec.structs.replace(added, transaction_id=str(number))
        self.kept.learn(number, msgspec.structs.replace(transaction, number=number))
        self.kept.change(number, added)
        if added.transaction_id is not None:
            self.numbers.learn((added.station_number, added.transaction_id), number)
        return added

    def save(self, transaction: Transaction, *, metered: bool = False) -> None:
        """Replace what is there."""
        self.kept.change(transaction.number, transaction, soon=metered)

    def get(self, organisation_id: int, number: int) -> Transaction | None:
        """By its number, in this organisation."""
        found = self._by_number(number)
        return found if found is not None and found.organisation_id == organisation_id else None

    def by_wire_id(self, station_number: int, transaction_id: str) -> Transaction | None:
        """By the id on the wire."""
        key = (station_number, transaction_id)
        if key in self.numbers:
            number = self.numbers[key]
            return None if number is None else self._by_number(number)
        remembered = self._by_id.get(key)
        if remembered is not None and remembered in self.kept:
            return self.kept[remembered]
        return self._learnt(_BY_WIRE_ID, {"station": station_number, "key": transaction_id})

    def known(self, station_number: int, transaction_id: str) -> Transaction | None:
        """One that is in mind."""
        key = (station_number, transaction_id)
        number = self.numbers.get(key) or self._by_id.get(key)
        return None if number is None else self.kept.get(number)

    def run(self, meter: RunningMeter) -> None:
        """Have it at hand."""
        transaction = meter.record
        if transaction.transaction_id is not None:
            if len(self._meters) > MOST_KEPT:
                self._meters.clear()
            self._meters[transaction.station_number, transaction.transaction_id] = meter

    def meter(self, station_number: int, transaction_id: str) -> RunningMeter | None:
        """What is at hand, if its record stands."""
        meter = self._meters.get((station_number, transaction_id))
        return None if meter is None or self.kept.peek(meter.record.number) is not meter.record else meter

    def owe(self, meter: RunningMeter) -> None:
        """From now on `meter` knows what its transaction is."""
        self.kept.owe(meter.record.number, meter)

    def by_start_key(self, station_number: int, start_key: str) -> Transaction | None:
        """By what its start said."""
        return self._learnt(_BY_START_KEY, {"station": station_number, "key": start_key})

    def active_on(self, station_number: int, evse_id: int) -> list[Transaction]:
        """Newest first."""
        self.write_changed()
        query = _TRANSACTION.select().where(
            transactions.c.station_number == station_number, transactions.c.evse_id == evse_id, _ACTIVE
        )
        return _TRANSACTION.all(self._connection, query.order_by(transactions.c.number.desc()))

    def active_of_token(self, organisation_id: int, id_token: IdToken) -> list[Transaction]:
        """Newest first."""
        self.write_changed()
        query = _TRANSACTION.select().where(
            transactions.c.organisation_id == organisation_id, transactions.c.id_token_key == id_token.key, _ACTIVE
        )
        return _TRANSACTION.all(self._connection, query.order_by(transactions.c.number.desc()))

    def page(
        self,
        organisation_id: int,
        *,
        station_number: int | None,
        id_token: str | None,
        transaction_id: str | None = None,
        state: TransactionState | None,
        orphan: bool | None,
        started_from: datetime | None,
        started_to: datetime | None,
        before: int | None,
        limit: int,
    ) -> list[Transaction]:
        """Newest first."""
        self.write_changed()
        column = transactions.c
        query = _TRANSACTION.select().where(column.organisation_id == organisation_id)
        if station_number is not None:
            query = query.where(column.station_number == station_number)
        if id_token is not None:
            query = query.where(column.id_token_key == id_token.casefold())
        if transaction_id is not None:
            query = query.where(or_(column.transaction_id == transaction_id, column.reported_id == transaction_id))
        if state is not None:
            query = query.where(column.state == state)
        if orphan is not None:
            query = query.where(column.orphan == orphan)
        query = within(query, column.started_at, started_from, started_to)
        if before is not None:
            query = query.where(column.number < before)
        return _TRANSACTION.all(self._connection, query.order_by(column.number.desc()).limit(limit))

    def _by_number(self, number: int) -> Transaction | None:
        if number in self.kept:
            return self.kept[number]
        return self._learnt(_BY_NUMBER, {"key": number})

    def _learnt(self, statement: Select[Any], values: dict[str, Any]) -> Transaction | None:
        """What the database has, unless we know better."""
        found = _TRANSACTION.one(self._connection, statement, values)
        if found is None:
            return None
        if found.number in self.kept:
            return self.kept[found.number]
        self.kept.learn(found.number, found)
        if found.transaction_id is not None:
            self.numbers.learn((found.station_number, found.transaction_id), found.number)
        if found.state is not TransactionState.ACTIVE:
            self._looked_up.append(found)
        return found

    def write_changed(self, *, whole: bool = True) -> None:
        """Write the transactions that have changed: before anything looks for their like."""
        changed = self.kept.take_changed(whole=whole)
        if changed:
            alike: dict[tuple[int, ...], list[tuple[Any, ...]]] = {}
            for number, before, after in changed:
                row = _TRANSACTION.row(after)
                if before is None:
                    places = _ALL_BUT_NUMBER
                else:
                    known = _TRANSACTION.row(before)
                    places = tuple([place for place, value in enumerate(row) if value != known[place]])
                if places:
                    values = [row[place] for place in places]
                    if _PLACES["id_token"] in places:
                        values.append(None if after.id_token is None else after.id_token.casefold())
                    alike.setdefault(places, []).append((*values, number))
            for places, rows in alike.items():
                _saving(places).run(self._connection, rows)
            self.flushes += 1

    def committed(self, *, keep: bool, version: int | None = None) -> None:
        """The batch is in the database; see `Kept.committed`. What has ended is not kept in mind."""
        over: list[int] = []
        ids: list[tuple[int, str]] = []
        for transaction in (*self.kept.taken.values(), *self._looked_up):
            if transaction.state is not TransactionState.ACTIVE:
                over.append(transaction.number)
                if transaction.transaction_id is not None:
                    ids.append((transaction.station_number, transaction.transaction_id))
                    self._meters.pop(ids[-1], None)
        self._looked_up = []
        if version is not None:
            if len(self._by_id) > MOST_KEPT:
                self._by_id.clear()
                self._running.clear()
            for number, transaction in self.kept.taken.items():
                self._remember(number, transaction)
        self.kept.committed(keep=keep, version=version, over=over)
        self.numbers.committed(keep=keep, over=ids)

    def _remember(self, number: int, transaction: Transaction) -> None:
        running = self._running.setdefault(transaction.station_number, set())
        active = transaction.state is TransactionState.ACTIVE
        if active and transaction.transaction_id is not None:
            running.add(number)
            self._by_id[transaction.station_number, transaction.transaction_id] = number
        else:
            running.discard(number)
            if transaction.transaction_id is not None:
                self._by_id.pop((transaction.station_number, transaction.transaction_id), None)

    def versions(self, stations: Collection[int]) -> Found | None:
        """By which transactions the rows of these stations' transactions were written: for `prove`. None: none run."""
        running = [number for station in stations for number in self._running.get(station, ())]
        return run(self._connection, _VERSIONS, (numbers(running),)) if running else None

    def prove(self, found: list[tuple[int, int]]) -> None:
        """What is remembered of them is believed where nobody has changed it since."""
        self.kept.prove(found)

    # Readings

    def totals(self, organisation_id: int, started_from: datetime) -> tuple[int, float]:
        """How many started since then, and the watt-hours of those that aren't suspect."""
        self.write_changed()
        right = case((transactions.c.suspect.is_(None), transactions.c.energy_wh), else_=0.0)
        query = select(func.count(), func.coalesce(func.sum(right), 0.0)).where(
            transactions.c.organisation_id == organisation_id, transactions.c.started_at >= started_from
        )
        count, energy_wh = self._connection.execute(query).one()
        return int(count), float(energy_wh)

    def count_active(self, organisation_id: int) -> int:
        """How many run."""
        self.write_changed()
        query = select(func.count()).where(transactions.c.organisation_id == organisation_id, _ACTIVE)
        return int(self._connection.execute(query).scalar_one())

    def add_reading(self, reading: Reading) -> None:
        """Keep it, with the rest of the batch."""
        self.metered.pending.append(reading)

    def flush(self, *, whole: bool = True) -> None:
        """Write what was left for the end of the batch; not `whole`: but for what may be written later."""
        self.write_changed(whole=whole)
        self.metered.flush()

    def place_readings(self, transaction: Transaction, evse_id: int) -> None:
        """Say at which EVSE those were that came before it was known."""
        self.metered.place(transaction.station_number, transaction.number, evse_id)

    @staticmethod
    def _row(transaction: Transaction) -> dict[str, Any]:
        row = _TRANSACTION.values(transaction)
        row["id_token_key"] = None if transaction.id_token is None else transaction.id_token.casefold()
        return row
