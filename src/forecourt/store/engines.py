"""The databases that keep the books, SQLite and PostgreSQL: how to reach each, and what their errors mean.

Guarantees
* SQLite: write-ahead log and `synchronous=FULL`, so that what was committed survives a crash of the machine.
* PostgreSQL: every transaction sees one snapshot (`REPEATABLE READ`) and fails when somebody else has changed what it
  changes, so that several processes on one database never lose each other's changes; who fails is run again.
* Times are in UTC on every connection.
"""

from enum import StrEnum
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

_POSTGRESQL: Final = ("postgresql", "postgres")
_CONFLICTS: Final = ("40001", "40P01", "23505")
"""serialization_failure, deadlock_detected; unique_violation: entered by somebody else since we looked."""
_GONE: Final = ("08", "57P", "53100", "53300", "58")
"""Connection exceptions; shut down, crashed, starting; a full disk; too many connections; system errors such as a lost
disk."""

_WRITABLE: Final = text("SELECT pg_logical_emit_message(true, 'forecourt', 'writable')")


class Passing(StrEnum):
    """An error that says nothing about what was to be done, only about when."""

    CONFLICT = "conflict"
    """Somebody else has changed the same at the same time."""
    GONE = "gone"
    """There is no connection to the database, or no room on its disk (PostgreSQL; SQLite says so and goes on)."""


def make_engine(url: str) -> Engine:
    """An engine whose connections behave as the module says. One connection per thread; nothing is pooled.

    Raises:
        ValueError: the URL can't be read, or is of a database that can't keep the books.
    """
    try:
        parsed = make_url(url)
        backend = parsed.drivername.partition("+")[0]
        if backend in _POSTGRESQL:
            return _postgresql(parsed)
        if backend == "sqlite":
            return _sqlite(parsed)
    except (ArgumentError, NoSuchModuleError) as error:
        raise ValueError(f"database: {error}") from error
    raise ValueError(f"database: sqlite:///FILE or postgresql://USER@HOST/NAME expected, not {backend}://")


def _sqlite(url: URL) -> Engine:
    engine = create_engine(url, poolclass=NullPool, connect_args={"check_same_thread": False, "timeout": 30})
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # BEGIN is ours, see below
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes its lock at once: one taken in the middle could be refused, with half a batch done.
    reader = connection.get_execution_options().get("reader", False)
    connection.exec_driver_sql("BEGIN" if reader else "BEGIN IMMEDIATE")


def _postgresql(url: URL) -> Engine:
    settings: dict[str, Any] = {
        "connect_timeout": 5,
        "application_name": "forecourt",
        "options": "-c timezone=UTC",
        # A network that swallows packets must not hold up the books for the hours that TCP would wait.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 20_000,
    }
    given = {name: value for name, value in settings.items() if name not in url.query}
    return create_engine(
        url.set(drivername="postgresql+psycopg"),
        poolclass=NullPool,
        isolation_level="REPEATABLE READ",
        connect_args=given,
    )


def is_postgresql(connection: Connection | Engine) -> bool:
    """Whether this is PostgreSQL."""
    return connection.dialect.name == "postgresql"


def passing(error: BaseException) -> Passing | None:
    """What kind of passing trouble `error` is; None if it would come again."""
    raised = error.orig if isinstance(error, DBAPIError) else error
    if not type(raised).__module__.startswith("psycopg"):
        return None
    state: str | None = getattr(raised, "sqlstate", None)
    if state is not None and state in _CONFLICTS:
        return Passing.CONFLICT
    # psycopg gives no state where there was no server to give one.
    gone = type(raised).__name__ == "OperationalError" if state is None else state.startswith(_GONE)
    return Passing.GONE if gone or getattr(error, "connection_invalidated", False) else None


def why(error: SQLAlchemyError) -> str:
    """The database's own words, without what a library adds to them."""
    return str(error.orig) if isinstance(error, DBAPIError) else str(error)


def prove_writable(connection: Connection) -> None:
    """Write something that changes nothing, so that the commit needs room on the disk and a server that may write."""
    if is_postgresql(connection):
        connection.execute(_WRITABLE)
    else:
        connection.exec_driver_sql("UPDATE sequences SET value = value WHERE name = 'event'")
