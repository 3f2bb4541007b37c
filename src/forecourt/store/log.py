"""Message history and violations in SQL. See `csms.book_ports.LogBooks`.

Guarantees
* Frames are gathered and written in one statement per batch, before the commit.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    LargeBinary,
    Select,
    Text,
    cast,
    delete,
    func,
    insert,
    literal,
    select,
    update,
)

from forecourt.csms.records import Direction, MessageFilter, OcppMessage, Violation
from forecourt.store.bulk import NewRows
from forecourt.store.engines import is_postgresql
from forecourt.store.rows import Shape, within
from forecourt.store.tables import messages, stations, violations

_MESSAGE: Final = Shape(OcppMessage, messages)
_VIOLATION: Final = Shape(Violation, violations)
_MESSAGES: Final = NewRows(
    messages, ("organisation_id", "station_number", "at", "direction", "action", "message_id", "frame")
)
_NEAR: Final = 100_000
"""How many frames, of all stations, may lie between a call and its answer."""
_ANSWERED_WITHIN: Final = timedelta(minutes=10)
"""Some stations begin their message ids anew after each start: what is farther away is another exchange."""


class SqlLogBooks:
    """See `csms.book_ports.LogBooks`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.pending: list[tuple[Any, ...]] = []
        self.flushes = 0

    def add_message(
        self,
        organisation_id: int,
        station_number: int,
        at: datetime,
        direction: Direction,
        action: str | None,
        message_id: str | None,
        frame: bytes,
    ) -> None:
        """Keep it, with the rest of the batch."""
        self.pending.append((organisation_id, station_number, at, direction, action, message_id, frame))

    def flush(self) -> None:
        """Write what was left for the end of the batch."""
        if self.pending:
            _MESSAGES.run(self._connection, self.pending)
            self.pending = []
            self.flushes += 1

    def messages(
        self,
        organisation_id: int,
        wanted: MessageFilter,
        *,
        before: int | None = None,
        down_to: int | None = None,
        limit: int,
    ) -> list[OcppMessage]:
        """Newest first; `down_to` bounds how far back is looked."""
        self.flush()
        query = _like(_MESSAGE.select(), organisation_id, wanted, before)
        if wanted.text is not None:
            query = query.where(_holds(wanted.text, postgresql=is_postgresql(self._connection)))
        if down_to is not None:
            query = query.where(messages.c.id >= down_to)
        return _MESSAGE.all(self._connection, query.order_by(messages.c.id.desc()).limit(limit))

    def newest_messages_end(
        self, organisation_id: int, wanted: MessageFilter, *, before: int | None, most: int
    ) -> int | None:
        """The id of the last of the newest `most` that may hold the text that is wanted; None: there are fewer."""
        self.flush()
        query = _like(select(messages.c.id), organisation_id, wanted, before)
        found: int | None = self._connection.scalar(query.order_by(messages.c.id.desc()).offset(most - 1).limit(1))
        return found

    def other_halves(self, organisation_id: int, found: Sequence[OcppMessage]) -> list[OcppMessage]:
        """The calls of answers that were found, and the answers of calls, as far as they aren't among them."""
        named = [one for one in found if one.message_id is not None]
        if not named:
            return []
        told_at = {(one.station_number, one.message_id): one.at for one in named}
        ids = {one.id for one in found}
        query = _MESSAGE.select().where(
            messages.c.organisation_id == organisation_id,
            messages.c.station_number.in_({one.station_number for one in named}),
            messages.c.id.between(min(ids) - _NEAR, max(ids) + _NEAR),
            messages.c.message_id.in_({one.message_id for one in named}),
        )
        return [
            one
            for one in _MESSAGE.all(self._connection, query.order_by(messages.c.id.desc()))
            if one.id not in ids
            and (at := told_at.get((one.station_number, one.message_id))) is not None
            and abs(one.at - at) <= _ANSWERED_WITHIN
        ]

    def forget_messages(self, before: datetime) -> int:
        """Gives how many there were."""
        return self._connection.execute(delete(messages).where(messages.c.at < before)).rowcount

    def add_violations(
        self, organisation_id: int, station_number: int, at: datetime, action: str, descriptions: Sequence[str]
    ) -> None:
        """Keep them, and count their message."""
        rows = [
            {
                "organisation_id": organisation_id,
                "station_number": station_number,
                "at": at,
                "action": action,
                "description": description,
            }
            for description in descriptions
        ]
        if rows:
            self._connection.execute(insert(violations), rows)
            self._connection.execute(
                update(stations)
                .where(stations.c.number == station_number)
                .values(violation_count=stations.c.violation_count + 1)
            )

    def violations(
        self,
        organisation_id: int,
        station_number: int,
        *,
        action: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        before: int | None,
        limit: int,
    ) -> list[Violation]:
        """Newest first."""
        query = _VIOLATION.select().where(
            violations.c.organisation_id == organisation_id, violations.c.station_number == station_number
        )
        if action is not None:
            query = query.where(violations.c.action == action)
        query = within(query, violations.c.at, since, until)
        if before is not None:
            query = query.where(violations.c.id < before)
        return _VIOLATION.all(self._connection, query.order_by(violations.c.id.desc()).limit(limit))


def _like(query: Select[Any], organisation_id: int, wanted: MessageFilter, before: int | None) -> Select[Any]:
    """All that is wanted but the text."""
    query = query.where(messages.c.organisation_id == organisation_id)
    for column, value in (
        (messages.c.station_number, wanted.station_number),
        (messages.c.action, wanted.action),
        (messages.c.message_id, wanted.message_id),
        (messages.c.direction, wanted.direction),
    ):
        if value is not None:
            query = query.where(column == value)
    query = within(query, messages.c.at, wanted.since, wanted.until)
    return query if before is None else query.where(messages.c.id < before)


def _holds(text: str, *, postgresql: bool) -> ColumnElement[bool]:
    """Whether a frame holds the text; capitals and small letters of ASCII are the same."""
    if postgresql:
        # A frame may be no UTF-8, and can't be made a text then: both are escaped alike.
        frame, sought = (
            func.encode(messages.c.frame, "escape"),
            func.encode(literal(text.encode(), LargeBinary), "escape"),
        )
        return func.strpos(func.lower(frame), func.lower(sought)) > 0
    return func.instr(func.lower(cast(messages.c.frame, Text)), func.lower(text)) > 0
