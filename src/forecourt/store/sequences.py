"""Numbers that are never given twice, crash or not.

Guarantees
* SQLite: the last one given is a row of the books, and moves with the commit.
* PostgreSQL: a sequence of the database. Of a sequence that is given in the order of commits (`in_order`) nobody else
  gets a number until the commit, so that who has seen one can't have missed a smaller one.
"""

from typing import Final

from sqlalchemy import Connection, bindparam, update

from forecourt.store import driver
from forecourt.store.engines import is_postgresql
from forecourt.store.tables import sequences

_TAKE: Final = (
    update(sequences)
    .where(sequences.c.name == bindparam("key"))
    .values(value=sequences.c.value + bindparam("count"))
    .returning(sequences.c.value)
)
_TAKE_NATIVE: Final = "SELECT max(nextval(%s::regclass)) FROM generate_series(1, %s::integer)"
_ORDER: Final = 0x0F0C02
"""The number of the lock."""
_TAKE_IN_ORDER: Final = (
    "WITH alone AS MATERIALIZED (SELECT pg_advisory_xact_lock(%s::bigint))"
    " SELECT max(nextval(%s::regclass)) FROM alone, generate_series(1, %s::integer)"
)


def next_number(connection: Connection, name: str, count: int = 1, *, in_order: bool = False) -> int:
    """The last of `count` new numbers of the sequence `name`; the others are those before it."""
    number: int
    if is_postgresql(connection):
        wanted = (f"sequence_{name}", count)
        alone = in_order or count > 1
        take, values = (_TAKE_IN_ORDER, (_ORDER, *wanted)) if alone else (_TAKE_NATIVE, wanted)
        number = driver.run(connection, take, values).value()
    else:
        number = connection.execute(_TAKE, {"key": name, "count": count}).scalar_one()
    return number


def make_native(connection: Connection) -> None:
    """Make a sequence of PostgreSQL of every row of `sequences` that has none: the last step of a migration."""
    for name, value in connection.execute(sequences.select()).all():
        connection.exec_driver_sql(f"CREATE SEQUENCE IF NOT EXISTS sequence_{name} START WITH {int(value) + 1}")
