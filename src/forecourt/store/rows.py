"""Between rows and records: a record's fields are the columns of the same names."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec
from sqlalchemy import Column, Connection, Insert, Row, Select, Table, select

R = TypeVar("R", bound=msgspec.Struct)


class Shape(Generic[R]):
    """How a table's rows become records of one kind. `leave_out`: fields that are filled in otherwise."""

    def __init__(self, record: type[R], table: Table, *computed: Any, leave_out: Sequence[str] = ()) -> None:
        extra = {column.name: column for column in computed}
        names = [name for name in record.__struct_fields__ if name not in leave_out]
        self.columns: list[Column[Any]] = [extra[name] if name in extra else table.c[name] for name in names]
        self.table = table
        self._record = record
        self._names = tuple(names)
        self._stored = tuple(name for name in names if name not in extra)
        self._whole = self._stored == record.__struct_fields__

    def select(self) -> Select[Any]:
        """All columns of the record."""
        return select(*self.columns)

    def record(self, row: Row[Any] | tuple[Any, ...]) -> R:
        """The record that a row is."""
        return self._record(**dict(zip(self._names, row, strict=True)))

    def made(self, **fields: Any) -> R:
        """A record of these fields."""
        return self._record(**fields)

    def one(self, connection: Connection, statement: Select[Any], values: Mapping[str, Any]) -> R | None:
        """The record that `statement` finds, if any."""
        row = connection.execute(statement, values).first()
        return None if row is None else self.record(row)

    def all(self, connection: Connection, statement: Select[Any], values: Mapping[str, Any] | None = None) -> list[R]:
        """All that `statement` finds."""
        return [self.record(row) for row in connection.execute(statement, values or {})]

    @property
    def stored(self) -> tuple[str, ...]:
        """The columns that an insert or an update gives values to."""
        return self._stored

    def row(self, record: R) -> tuple[Any, ...]:
        """Their values, in their order."""
        if self._whole:
            return msgspec.structs.astuple(record)
        return tuple([getattr(record, name) for name in self._stored])

    def values(self, record: R) -> dict[str, Any]:
        """The columns' values, for an insert or an update."""
        return {name: getattr(record, name) for name in self._stored}


def within(query: Select[Any], column: Column[Any], since: datetime | None, until: datetime | None) -> Select[Any]:
    """Where the time in the column is not before `since`, and before `until`."""
    if since is not None:
        query = query.where(column >= since)
    if until is not None:
        query = query.where(column < until)
    return query


def inserted(connection: Connection, statement: Insert, values: Mapping[str, Any]) -> int:
    """Insert a row; the number it was given."""
    key = connection.execute(statement, values).inserted_primary_key
    assert key is not None
    number: int = key[0]
    return number
