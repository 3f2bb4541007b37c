"""Tokens in SQL. See `csms.book_ports.TokenBooks`."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, insert, update

from forecourt.csms.records import Token
from forecourt.domain.token import AuthorizationStatus, IdTokenType
from forecourt.store.rows import Shape, inserted, within
from forecourt.store.tables import tokens

_TOKEN: Final = Shape(Token, tokens)
_BY_VALUE: Final = _TOKEN.select().where(
    tokens.c.organisation_id == bindparam("organisation"), tokens.c.value_key == bindparam("key")
)


class SqlTokenBooks:
    """See `csms.book_ports.TokenBooks`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, organisation_id: int, value: str) -> Token | None:
        """By its value, without regard to case."""
        return _TOKEN.one(self._connection, _BY_VALUE, {"organisation": organisation_id, "key": value.casefold()})

    def upsert(self, organisation_id: int, value: str, columns: dict[str, Any], now: datetime) -> Token:
        """Insert or replace."""
        columns = {"value": value, "updated_at": now, **columns}
        known = self.get(organisation_id, value)
        if known is None:
            columns |= {"organisation_id": organisation_id, "created_at": now}
            row = {"value_key": value.casefold(), **columns}
            key = inserted(self._connection, insert(tokens), row)
            return Token(id=key, **columns)
        self._connection.execute(update(tokens).where(tokens.c.id == known.id), columns)
        created_at = known.created_at
        return Token(id=known.id, organisation_id=organisation_id, created_at=created_at, **columns)

    def remove(self, organisation_id: int, value: str) -> bool:
        """Whether there was one."""
        query = delete(tokens).where(
            tokens.c.organisation_id == organisation_id, tokens.c.value_key == value.casefold()
        )
        return self._connection.execute(query).rowcount > 0

    def page(
        self,
        organisation_id: int,
        *,
        group: str | None,
        kind: IdTokenType | None = None,
        standing: AuthorizationStatus | None = None,
        created_from: datetime | None = None,
        created_to: datetime | None = None,
        before: int | None,
        limit: int,
    ) -> list[Token]:
        """Newest first."""
        query = _TOKEN.select().where(tokens.c.organisation_id == organisation_id)
        if group is not None:
            query = query.where(tokens.c.group == group)
        if kind is not None:
            query = query.where(tokens.c.type == kind)
        if standing is not None:
            query = query.where(tokens.c.standing == standing)
        query = within(query, tokens.c.created_at, created_from, created_to)
        if before is not None:
            query = query.where(tokens.c.id < before)
        return _TOKEN.all(self._connection, query.order_by(tokens.c.id.desc()).limit(limit))
