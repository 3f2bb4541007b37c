"""Many rows at once, in the fastest way that the database has: for what every message writes.

Guarantees
* Rows are tuples in the order of the names that were given. Their values become the database's a column at a time, and
  go straight to its driver. Errors of the driver come as SQLAlchemy's.
* SQLite gets some hundred rows with one statement, and so one step: with each step its driver lets the other threads of
  Python go on, and has to wait for them.
* PostgreSQL gets each column as an array, all of them with one statement (docs/adr/0007-readings-as-arrays.md).
* `only_new`: a row whose primary key is there already is left out; nothing is said about it.
"""

from collections.abc import Callable, Collection, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple, Protocol

import msgspec
from sqlalchemy import Connection, Float, LargeBinary, Table

from forecourt.store import driver
from forecourt.store.engines import is_postgresql
from forecourt.store.types import bind_column

_MOST_ROWS: Final = 256
"""In one statement of SQLite: it takes 32,766 values at most, and gains nothing from more."""
_ENCODE: Final = msgspec.json.Encoder().encode

Rows = Sequence[tuple[Any, ...]]
Columns = Sequence[Sequence[Any]]
Bind = Callable[[Sequence[Any]], Sequence[Any]]


class _Statement(Protocol):
    """In the words of one database."""

    def run(self, connection: Connection, columns: Columns) -> None:
        """Run it for rows that are given by column, as the driver wants them."""
        ...


class _Prepared(NamedTuple):
    statement: _Statement
    binders: tuple[tuple[int, Bind], ...]


class _Rows:
    """What its subclasses have in common: columns of a table, and a statement that is made of them when needed.

    `ready`: columns whose values need no conversion.
    """

    def __init__(self, table: Table, names: Sequence[str], ready: Collection[str] = ()) -> None:
        self._table = table
        self._names = tuple(names)
        self._ready = frozenset(ready)
        self._prepared: dict[str, _Prepared] = {}

    def run(self, connection: Connection, rows: Rows) -> None:
        """Run it for each of `rows`."""
        statement, binders = self._prepared.get(connection.dialect.name) or self._prepare(connection)
        statement.run(connection, _converted(rows, binders))

    def _prepare(self, connection: Connection) -> _Prepared:
        before, after = self._words(connection)
        types = [self._table.c[name].type for name in self._names]
        statement: _Statement
        if is_postgresql(connection):
            spelt = [kind.compile(dialect=connection.dialect) for kind in types]
            numbers = [isinstance(kind, Float) for kind in types]
            raw = [isinstance(kind, LargeBinary) for kind in types]
            statement = _Arrays(before, after, spelt, numbers, raw)
        else:
            statement = _Together(before, after, len(self._names))
        wanted = [None if name in self._ready else kind for name, kind in zip(self._names, types, strict=True)]
        prepared = self._prepared[connection.dialect.name] = _Prepared(statement, _binders(connection, wanted))
        return prepared

    def _words(self, connection: Connection) -> tuple[str, str]:
        """The statement before and after its rows, which are a table to it."""
        raise NotImplementedError

    @property
    def _columns(self) -> str:
        return ", ".join(f'"{name}"' for name in self._names)


class Updates(_Rows):
    """Sets columns of rows that are found by the last `keys` of `names`. `kept`: those that None leaves as they are."""

    def __init__(self, table: Table, names: Sequence[str], *, keys: int = 1, kept: Collection[str] = ()) -> None:
        super().__init__(table, names)
        self._keys = keys
        self._kept = frozenset(kept)

    def _words(self, connection: Connection) -> tuple[str, str]:
        del connection
        said = ", ".join(f'"{name}" = {self._value(name)}' for name in self._names[: -self._keys])
        found = " AND ".join(f't."{key}" = v."{key}"' for key in self._names[-self._keys :])
        before = f"WITH v({self._columns}) AS ("
        return before, f') UPDATE "{self._table.name}" AS t SET {said} FROM v WHERE {found}'  # noqa: S608

    def _value(self, name: str) -> str:
        return f'coalesce(v."{name}", t."{name}")' if name in self._kept else f'v."{name}"'


class Upserts(_Rows):
    """Inserts rows, or replaces those of the same primary key."""

    def _words(self, connection: Connection) -> tuple[str, str]:
        del connection
        keys = [column.name for column in self._table.primary_key]
        key = ", ".join(f'"{name}"' for name in keys)
        said = ", ".join(f'"{name}" = excluded."{name}"' for name in self._names if name not in keys)
        # "WHERE true" lets SQLite tell the ON of a conflict from that of a join.
        return (
            f'INSERT INTO "{self._table.name}" ({self._columns}) SELECT * FROM (',  # noqa: S608
            f") AS v WHERE true ON CONFLICT ({key}) DO UPDATE SET {said}",
        )


class NewRows(_Rows):
    """Rows to be inserted into a table. See the module."""

    def __init__(
        self, table: Table, names: Sequence[str], *, only_new: bool = False, ready: Collection[str] = ()
    ) -> None:
        super().__init__(table, names, ready)
        self._only_new = only_new

    def _words(self, connection: Connection) -> tuple[str, str]:
        del connection
        after = " WHERE true ON CONFLICT DO NOTHING" if self._only_new else ""
        return f'INSERT INTO "{self._table.name}" ({self._columns}) SELECT * FROM (', f") AS v{after}"  # noqa: S608


class _Together:
    """A statement of SQLite for many rows."""

    def __init__(self, before: str, after: str, width: int) -> None:
        self._before, self._after = before, after
        self._row = f"({', '.join('?' * width)})"
        self._texts: dict[int, str] = {}

    def run(self, connection: Connection, columns: Columns) -> None:
        """Some hundred rows at a time."""
        rows = list(zip(*columns, strict=True))
        begin = 0
        while begin < len(rows):
            # Powers of two: few texts, so that the driver finds each of them prepared.
            count = 1 << (min(len(rows) - begin, _MOST_ROWS).bit_length() - 1)
            values = tuple(chain.from_iterable(rows[begin : begin + count]))
            driver.run(connection, self._texts.get(count) or self._text(count), values)
            begin += count

    def _text(self, count: int) -> str:
        text = self._texts[count] = f"{self._before}VALUES {', '.join([self._row] * count)}{self._after}"
        return text


class _Arrays:
    """A statement of PostgreSQL for many rows, each column an array."""

    def __init__(self, before: str, after: str, types: Sequence[str], numbers: Sequence[bool], raw: Sequence[bool]):
        arrays = ", ".join(f"%s::{kind}[]" for kind in types)
        self._text = f"{before}SELECT * FROM unnest({arrays}){after}"  # noqa: S608
        self._numbers = numbers
        self._raw = raw

    def run(self, connection: Connection, columns: Columns) -> None:
        """All rows at once."""
        values: list[Any] = [
            list(column) if raw else _array(column, number=number)
            for column, number, raw in zip(columns, self._numbers, self._raw, strict=True)
        ]
        driver.run(connection, self._text, values)


def _array(values: Sequence[Any], *, number: bool) -> Any:
    """An array as PostgreSQL reads it (its manual, §8.15.2): JSON's, but for the brackets and most of the escapes."""
    text = _ENCODE(values)
    if number and b"null" in text:
        return list(values)  # JSON has neither infinity nor what is no number
    if b"\\" in text and b"\\" in text.replace(b"\\\\", b"").replace(b'\\"', b""):
        return list(values)
    return f"{{{text[1:-1].decode()}}}"


def _binders(connection: Connection, types: Sequence[Any]) -> tuple[tuple[int, Bind], ...]:
    found = []
    for index, kind in enumerate(types):
        bind = None if kind is None else bind_column(kind, connection.dialect)
        if bind is not None:
            found.append((index, bind))
    return tuple(found)


def _converted(rows: Rows, binders: tuple[tuple[int, Bind], ...]) -> list[Any]:
    columns: list[Any] = list(zip(*rows, strict=True))
    for index, bind in binders:
        columns[index] = bind(columns[index])
    return columns
