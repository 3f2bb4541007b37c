"""Statements that go straight to the database's driver: what every commit runs.

Guarantees
* Errors of the driver come as SQLAlchemy's.
* PostgreSQL is waited for once at the end of `together`, where what its statements break is raised at the latest, and
  wherever something is fetched within. SQLite gets them one by one.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from forecourt.store.engines import is_postgresql


def run(connection: Connection, statement: str, values: Sequence[Any] = ()) -> "Found":
    """Run it, in the driver's own words; its rows may come later."""
    cursor = connection.connection.cursor()
    errors = connection.dialect.loaded_dbapi.Error
    try:
        cursor.execute(statement, values)
    except errors as error:
        raise DBAPIError(statement, None, error) from error
    return Found(cursor, statement, errors)


def numbers(values: Iterable[int]) -> str:
    """An array of PostgreSQL."""
    return f"{{{','.join(map(str, values))}}}"


class Found:
    """What a statement finds."""

    __slots__ = ("_cursor", "_errors", "_statement")

    def __init__(self, cursor: Any, statement: str, errors: type[Exception]) -> None:
        self._cursor = cursor
        self._statement = statement
        self._errors = errors

    def rows(self) -> list[tuple[Any, ...]]:
        """All of them; to be asked for once."""
        try:
            rows: list[tuple[Any, ...]] = self._cursor.fetchall()
        except self._errors as error:
            raise DBAPIError(self._statement, None, error) from error
        return rows

    def value(self) -> Any:
        """The only value of the only row."""
        ((value,),) = self.rows()
        return value


@contextmanager
def together(connection: Connection) -> Iterator[None]:
    """Of what is run within, only what is fetched within is waited for."""
    if not is_postgresql(connection):
        yield
        return
    driver: Any = connection.connection.driver_connection
    try:
        with driver.pipeline():
            yield
    except connection.dialect.loaded_dbapi.Error as error:
        raise DBAPIError("statements sent together", None, error) from error
