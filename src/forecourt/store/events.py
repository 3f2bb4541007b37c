"""The event log in SQL. See `csms.book_ports.EventBooks`.

Guarantees
* What one commit tells is one row, of whatever many events: under load an event costs the database next to nothing.
* Event ids ascend in the order of commits, so that nobody who has seen an id can have missed a smaller one.
"""

from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import Connection, bindparam, delete, func, select

from forecourt.csms.records import Event
from forecourt.store.bulk import NewRows
from forecourt.store.sequences import next_number
from forecourt.store.tables import events

BATCH: Final = "batch"
"""The type of a row whose body is a JSON array of events. It is of organisation 0, which nobody is."""

_ENCODE: Final = msgspec.json.Encoder().encode
_DECODE: Final = msgspec.json.Decoder(tuple[Event, ...]).decode
_NEW: Final = NewRows(events, ("id", "organisation_id", "type", "at", "station_id", "body"))
_NEWEST: Final = select(func.max(events.c.id))
_AFTER: Final = events.select().where(events.c.id > bindparam("after")).order_by(events.c.id).limit(bindparam("most"))
_ROWS: Final = 16
"""Read at once: how many events that is nobody knows before."""


class SqlEventBooks:
    """See `csms.book_ports.EventBooks`."""

    def __init__(self, connection: Connection, unlogged: frozenset[str]) -> None:
        self._connection = connection
        self._unlogged = unlogged
        self.pending: list[tuple[int, str, datetime, str | None, bytes]] = []

    def append(
        self, organisation_id: int, event_type: str, at: datetime, station_id: str | None, body: msgspec.Struct
    ) -> None:
        """Tell it, once this is committed."""
        self.pending.append((organisation_id, event_type, at, station_id, _ENCODE(body)))

    def take(self) -> list[Event]:
        """Give the events their ids and write them; those to publish after the commit."""
        pending, self.pending = self.pending, []
        unlogged = self._unlogged
        logged = sum([row[1] not in unlogged for row in pending])
        last_id = 0
        if logged:
            last_id = next_number(self._connection, "event", logged, in_order=True) - logged
        told = []
        for organisation_id, event_type, at, station_id, body in pending:
            own_id = 0
            if event_type not in unlogged:
                own_id = last_id = last_id + 1
            told.append(
                Event(
                    id=own_id,
                    organisation_id=organisation_id,
                    type=event_type,
                    at=at,
                    station_id=station_id,
                    body=msgspec.Raw(body),
                )
            )
        if logged:
            self._log(told if logged == len(told) else [event for event in told if event.id])
        return told

    def _log(self, told: list[Event]) -> None:
        last = told[-1]
        if len(told) == 1:
            row = (last.id, last.organisation_id, last.type, last.at, last.station_id, bytes(last.body))
        else:
            row = (last.id, 0, BATCH, max([event.at for event in told]), None, _ENCODE(told))
        _NEW.run(self._connection, [row])

    def after(self, event_id: int, limit: int) -> list[Event]:
        """Ascending by id."""
        found: list[Event] = []
        last_id = event_id
        while len(found) < limit:
            rows = self._connection.execute(_AFTER, {"after": last_id, "most": _ROWS}).all()
            for row in rows:
                last_id = row.id
                if row.type == BATCH:
                    found += [event for event in _DECODE(row.body) if event.id > event_id]
                else:
                    found.append(Event(**{**row._asdict(), "body": msgspec.Raw(row.body)}))
            if len(rows) < _ROWS:
                break
        return found[:limit]

    def newest(self) -> int:
        """The highest id; 0: none."""
        return self._connection.execute(_NEWEST).scalar_one() or 0

    def forget(self, before: datetime) -> int:
        """Gives how many rows there were."""
        return self._connection.execute(delete(events).where(events.c.at < before)).rowcount
