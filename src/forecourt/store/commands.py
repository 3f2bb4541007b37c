"""Commands in SQL. See `csms.book_ports.CommandBooks`."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, bindparam, insert, select, update

from forecourt.csms.command_records import Command, CommandState
from forecourt.store.rows import Shape
from forecourt.store.sequences import next_number
from forecourt.store.tables import commands

_COMMAND: Final = Shape(Command, commands, commands.c.id_token_key.label("id_token"))
_BY_ID: Final = _COMMAND.select().where(commands.c.id == bindparam("key"))
_OPEN: Final = (CommandState.QUEUED, CommandState.SENT)
_STARTS: Final = "RequestStartTransaction"
_CANDIDATES: Final = 20


class SqlCommandBooks:
    """See `csms.book_ports.CommandBooks`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, command: Command) -> None:
        """Enter one."""
        values = _COMMAND.values(command)
        key = None if command.id_token is None else command.id_token.casefold()
        self._connection.execute(insert(commands), {**values, "id_token_key": key})

    def get(self, organisation_id: int, command_id: str) -> Command | None:
        """By its id, in this organisation."""
        found = _COMMAND.one(self._connection, _BY_ID, {"key": command_id})
        return found if found is not None and found.organisation_id == organisation_id else None

    def by_idempotency_key(self, organisation_id: int, key: str) -> Command | None:
        """The one that the key names."""
        query = _COMMAND.select().where(
            commands.c.organisation_id == organisation_id, commands.c.idempotency_key == key
        )
        return _COMMAND.one(self._connection, query, {})

    def change(self, command_id: str, **columns: Any) -> None:
        """Set columns."""
        self._connection.execute(update(commands).where(commands.c.id == command_id), columns)

    def unfinished(self) -> list[Command]:
        """Without a final state, the oldest first."""
        query = _COMMAND.select().where(commands.c.state.in_(_OPEN)).order_by(commands.c.position)
        return _COMMAND.all(self._connection, query)

    def recent_starts(self, station_number: int, since: datetime) -> list[Command]:
        """Newest first."""
        query = (
            _COMMAND.select()
            .where(
                commands.c.station_number == station_number,
                commands.c.name == _STARTS,
                commands.c.raw.is_(False),
                commands.c.state.in_((*_OPEN, CommandState.ACCEPTED, CommandState.TIMEOUT)),
                commands.c.transaction_number.is_(None),
                commands.c.created_at >= since,
            )
            .order_by(commands.c.position.desc())
            .limit(_CANDIDATES)
        )
        return _COMMAND.all(self._connection, query)

    def next_remote_start_id(self) -> int:
        """Never given before."""
        return next_number(self._connection, "remote_start_id")

    def next_request_id(self) -> int:
        """Never given before."""
        return next_number(self._connection, "request_id")

    def page(
        self,
        organisation_id: int,
        *,
        station_number: int | None,
        state: CommandState | None,
        id_token: str | None,
        created_from: datetime | None,
        created_to: datetime | None,
        before: str | None,
        limit: int,
    ) -> list[Command]:
        """Newest first."""
        query = _COMMAND.select().where(commands.c.organisation_id == organisation_id)
        if station_number is not None:
            query = query.where(commands.c.station_number == station_number)
        if state is not None:
            query = query.where(commands.c.state == state)
        if id_token is not None:
            query = query.where(commands.c.id_token_key == id_token.casefold())
        if created_from is not None:
            query = query.where(commands.c.created_at >= created_from)
        if created_to is not None:
            query = query.where(commands.c.created_at < created_to)
        if before is not None:
            position = select(commands.c.position).where(commands.c.id == before).scalar_subquery()
            query = query.where(commands.c.position < position)
        return _COMMAND.all(self._connection, query.order_by(commands.c.position.desc()).limit(limit))
