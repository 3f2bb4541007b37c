"""Readings in SQL: for `store.transactions`.

Guarantees
* Readings are gathered and written in one statement per batch, before anything looks for them and before the commit.
* A reading that comes again is kept once, and found once.
* On SQLite they go to the end of `recent_readings`; once those are many, some stations' are put among the others with
  each batch (docs/adr/0008-readings-come-in-twice.md).
"""

from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Table, bindparam, delete, func, select, update

from forecourt.csms.records import Reading
from forecourt.store.bulk import NewRows
from forecourt.store.engines import is_postgresql
from forecourt.store.partitions import Partitions, drop_before
from forecourt.store.rows import Shape, within
from forecourt.store.tables import readings, recent_readings

MOST_RECENT: Final = 32_768
"""Readings: of so many, most stations have several, which fit one page together."""
_AT_ONCE: Final = 2_048

_SHAPE: Final = Shape(Reading, readings)
_COLUMNS: Final = (*_SHAPE.stored, "digest")
_NEW: Final = NewRows(readings, _COLUMNS, only_new=True, ready=("samples",))
_NEW_RECENT: Final = NewRows(recent_readings, _COLUMNS, ready=("samples",))
_SAMPLES: Final = _SHAPE.stored.index("samples")
_ENCODE: Final = msgspec.json.Encoder().encode
_RECENT: Final = select(func.count()).select_from(recent_readings)
_UP_TO: Final = (
    select(recent_readings.c.station_number)
    .where(recent_readings.c.station_number > bindparam("after"))
    .order_by(recent_readings.c.station_number)
    .offset(_AT_ONCE - 1)
    .limit(1)
)
_SOME: Final = (
    recent_readings.c.station_number > bindparam("after"),
    recent_readings.c.station_number <= bindparam("up_to"),
)
_MOVE: Final = (
    readings.insert()
    .prefix_with("OR IGNORE")
    .from_select(
        list(readings.c.keys()),
        select(*recent_readings.c)
        .where(*_SOME)
        .order_by(recent_readings.c.station_number, recent_readings.c.at, recent_readings.c.digest),
    )
)
_FORGET_MOVED: Final = delete(recent_readings).where(*_SOME)
_LARGEST: Final = (1 << 63) - 1


class SqlReadings:
    """See the module. Used on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.pending: list[Reading] = []
        self.flushes = 0
        self._partitions = Partitions()
        self._tables = (readings,) if is_postgresql(connection) else (readings, recent_readings)
        self._recent: int | None = None
        """How many there are; None: nobody has looked."""
        self._moved_up_to = 0
        """The number of the last station whose readings were put among the others."""

    def flush(self) -> None:
        """Write what was left for the end of the batch."""
        if not self.pending:
            return
        rows = [_row(reading) for reading in self.pending]
        if len(self._tables) == 1:
            self._partitions.make_room(self._connection, max(reading.received_at for reading in self.pending))
            _NEW.run(self._connection, rows)
        else:
            if self._recent is None:
                self._recent = int(self._connection.execute(_RECENT).scalar_one())
            _NEW_RECENT.run(self._connection, rows)
            self._recent += len(rows)
            if self._recent > MOST_RECENT:
                self._recent -= self._move_some()
        self.pending = []
        self.flushes += 1

    def _move_some(self) -> int:
        """Put the recent ones of the next stations among the others; gives how many that were."""
        after = self._moved_up_to
        up_to = self._connection.execute(_UP_TO, {"after": after}).scalar()
        stations = {"after": after, "up_to": _LARGEST if up_to is None else up_to}
        self._moved_up_to = 0 if up_to is None else up_to
        self._connection.execute(_MOVE, stations)
        return self._connection.execute(_FORGET_MOVED, stations).rowcount

    def find(
        self,
        *,
        station_number: int,
        transaction_number: int | None,
        evse_id: int | None,
        since: datetime | None,
        until: datetime | None,
        limit: int,
    ) -> list[Reading]:
        """Ascending by time."""
        self.flush()
        found: dict[tuple[datetime, int], Reading] = {}
        for table in self._tables:
            query = select(*[table.c[name] for name in _COLUMNS]).where(table.c.station_number == station_number)
            if transaction_number is not None:
                query = query.where(table.c.transaction_number == transaction_number)
            if evse_id is not None:
                query = query.where(table.c.evse_id == evse_id)
            query = within(query, table.c.at, since, until).order_by(table.c.at, table.c.digest).limit(limit)
            if table is recent_readings:
                query = query.group_by(table.c.at, table.c.digest)  # each of those that came again once
            for row in self._connection.execute(query):
                found.setdefault((row.at, row.digest), _SHAPE.record(row[:-1]))
        if len(self._tables) == 1:
            return list(found.values())
        return [found[key] for key in sorted(found)[:limit]]

    def last_register(self, station_number: int, transaction_number: int) -> tuple[datetime, float] | None:
        """Instant and watt-hours of a transaction's last good reading."""
        found = [
            (row.at, row.energy_wh)
            for table in self._tables
            if (row := self._connection.execute(_last(table, station_number, transaction_number)).first()) is not None
        ]
        return max(found, default=None)

    def mark(self, marks: Sequence[tuple[Reading, str | None]]) -> None:
        """Set what is suspect about them."""
        self.flush()
        rows = [
            {
                "station": reading.station_number,
                "instant": reading.at,
                "sum": _digest(reading, _ENCODE(reading.samples)),
                "mark": mark,
            }
            for reading, mark in marks
        ]
        for table in self._tables:
            found = (
                table.c.station_number == bindparam("station"),
                table.c.at == bindparam("instant"),
                table.c.digest == bindparam("sum"),
            )
            self._connection.execute(update(table).where(*found).values(suspect=bindparam("mark")), rows)

    def place(self, station_number: int, transaction_number: int, evse_id: int) -> None:
        """Say at which EVSE those of a transaction were that came before it was known."""
        self.flush()
        for table in self._tables:
            found = (
                table.c.station_number == station_number,
                table.c.transaction_number == transaction_number,
                table.c.evse_id == 0,
            )
            self._connection.execute(update(table).where(*found).values(evse_id=evse_id))

    def forget(self, before: datetime) -> int:
        """Gives how many there were."""
        self.flush()
        count = drop_before(self._connection, before)
        for table in self._tables:
            count += self._connection.execute(delete(table).where(table.c.at < before)).rowcount
        self._recent = None
        return count


def _last(table: Table, station_number: int, transaction_number: int) -> Any:
    query = select(table.c.at, table.c.energy_wh).where(
        table.c.station_number == station_number,
        table.c.transaction_number == transaction_number,
        table.c.energy_wh.is_not(None),
        table.c.suspect.is_(None),
    )
    return query.order_by(table.c.at.desc(), table.c.energy_wh.desc()).limit(1)


def _digest(reading: Reading, samples: bytes) -> int:
    """Tells readings of one station and instant apart: by the transaction where there is one (its EVSE may be known
    later only), else by the EVSE, and by what was sampled (`samples`, as it is kept)."""
    place = reading.transaction_number or reading.reported_transaction_id or -reading.evse_id
    said = b"%d %b" % (place, samples) if type(place) is int else b"%b %b" % (str(place).encode(), samples)
    return int.from_bytes(blake2b(said, digest_size=8).digest(), signed=True)


def _row(reading: Reading) -> tuple[Any, ...]:
    samples = _ENCODE(reading.samples)
    row = list(_SHAPE.row(reading))
    row[_SAMPLES] = samples.decode()
    row.append(_digest(reading, samples))
    return tuple(row)
