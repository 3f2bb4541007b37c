"""Many rows at once, in the fastest way that the database has: for what every message writes.

Guarantees
* Rows are tuples in the order of the names that were given. Their values become the database's a column at a time, and
  go straight to its driver. Errors of the driver come as SQLAlchemy's.
* PostgreSQL gets new rows by COPY when there are enough of them.
* `only_new`: a row whose primary key is there already is left out; nothing is said about it.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Executable, Table, insert
from sqlalchemy.exc import DBAPIError

from forecourt.store.engines import is_postgresql
from forecourt.store.upsert import insert_new

_ENOUGH: Final = 8
"""Rows from which COPY is the faster one."""

Rows = Sequence[tuple[Any, ...]]
Bind = Callable[[Any], Any]


class _Compiled(NamedTuple):
    """A statement in the words of one database."""

    text: str
    order: tuple[int, ...] | None
    """Which value goes to which place; None: by name."""
    binders: tuple[tuple[int, Bind], ...]


class Many:
    """A statement with a parameter for each of `names`, run for many rows. `ready`: those that need no conversion."""

    def __init__(self, statement: Executable, names: Sequence[str], ready: Collection[str] = ()) -> None:
        self._statement: Any = statement
        self._names = tuple(names)
        self._ready = frozenset(ready)
        self._compiled: dict[str, _Compiled] = {}

    def run(self, connection: Connection, rows: Rows) -> None:
        """Run it for each of `rows`."""
        compiled = self._compiled.get(connection.dialect.name) or self._compile(connection)
        columns = _converted(rows, compiled.binders)
        parameters: list[Any]
        if compiled.order is not None:
            parameters = list(zip(*(columns[index] for index in compiled.order), strict=True))
        else:
            parameters = [dict(zip(self._names, row, strict=True)) for row in zip(*columns, strict=True)]
        cursor = connection.connection.cursor()
        try:
            cursor.executemany(compiled.text, parameters)
        except connection.dialect.loaded_dbapi.Error as error:
            raise DBAPIError(compiled.text, None, error) from error
        finally:
            cursor.close()

    def _compile(self, connection: Connection) -> _Compiled:
        found = self._statement.compile(dialect=connection.dialect, column_keys=list(self._names))
        order = None
        if found.positional:
            order = tuple(self._names.index(name) for name in found.positiontup)
        types = {name: found.binds[name].type for name in self._names if name not in self._ready}
        compiled = self._compiled[connection.dialect.name] = _Compiled(
            found.string, order, _binders(connection, [types.get(name) for name in self._names])
        )
        return compiled


class NewRows:
    """Rows to be inserted into a table. See the module."""

    def __init__(
        self, table: Table, names: Sequence[str], *, only_new: bool = False, ready: Collection[str] = ()
    ) -> None:
        self._table = table
        self._names = tuple(names)
        self._only_new = only_new
        self._ready = frozenset(ready)
        self._many: dict[str, Many] = {}
        self._copying: tuple[tuple[int, Bind], ...] | None = None

    def insert(self, connection: Connection, rows: Rows) -> None:
        """Insert them."""
        if is_postgresql(connection) and len(rows) >= _ENOUGH:
            self._copy(connection, rows)
            return
        many = self._many.get(connection.dialect.name)
        if many is None:
            statement = insert_new(connection, self._table) if self._only_new else insert(self._table)
            many = self._many[connection.dialect.name] = Many(statement, self._names, self._ready)
        many.run(connection, rows)

    def _copy(self, connection: Connection, rows: Rows) -> None:
        name = self._table.name
        columns = ", ".join(f'"{column}"' for column in self._names)
        target = f"incoming_{name}" if self._only_new else name
        if self._only_new:
            # A copy can't leave rows out by itself: they wait in a table that lasts as long as the connection.
            connection.exec_driver_sql(
                f'CREATE TEMPORARY TABLE IF NOT EXISTS "{target}" (LIKE "{name}") ON COMMIT DELETE ROWS'
            )
        if self._copying is None:
            types = [None if column in self._ready else self._table.c[column].type for column in self._names]
            self._copying = _binders(connection, types)
        cursor: Any = connection.connection.cursor()
        try:
            with cursor, cursor.copy(f'COPY "{target}" ({columns}) FROM STDIN') as copy:
                for row in zip(*_converted(rows, self._copying), strict=True):
                    copy.write_row(row)
        except connection.dialect.loaded_dbapi.Error as error:
            raise DBAPIError(f"COPY {target}", None, error) from error
        if self._only_new:
            connection.exec_driver_sql(
                f'INSERT INTO "{name}" ({columns}) SELECT {columns} FROM "{target}" ON CONFLICT DO NOTHING'  # noqa: S608
            )
            connection.exec_driver_sql(f'TRUNCATE "{target}"')


def _binders(connection: Connection, types: Sequence[Any]) -> tuple[tuple[int, Bind], ...]:
    found = []
    for index, kind in enumerate(types):
        bind = None if kind is None else kind.dialect_impl(connection.dialect).bind_processor(connection.dialect)
        if bind is not None:
            found.append((index, bind))
    return tuple(found)


def _converted(rows: Rows, binders: tuple[tuple[int, Bind], ...]) -> list[Any]:
    columns: list[Any] = list(zip(*rows, strict=True))
    for index, bind in binders:
        columns[index] = [bind(value) for value in columns[index]]
    return columns
