"""Numbers that are never given twice, crash or not.

Guarantees
* SQLite: the last one given is a row of the books, and moves with the commit.
* PostgreSQL: a sequence of the database. Of a sequence that is given in the order of commits (`in_order`) nobody else
  gets a number until the commit, so that who has seen one can't have missed a smaller one.
"""

from typing import Final

from sqlalchemy import Connection, bindparam, text, update

from forecourt.store.engines import is_postgresql
from forecourt.store.tables import sequences

_TAKE: Final = (
    update(sequences)
    .where(sequences.c.name == bindparam("key"))
    .values(value=sequences.c.value + bindparam("count"))
    .returning(sequences.c.value)
)
_TAKE_NATIVE: Final = text(
    "SELECT max(nextval(CAST(:sequence AS regclass))) FROM generate_series(1, CAST(:count AS integer))"
)
_ONE_AT_A_TIME: Final = text("SELECT pg_advisory_xact_lock(:key)")
_ORDER: Final = 0x0F0C02
"""The number of the lock."""


def next_number(connection: Connection, name: str, count: int = 1, *, in_order: bool = False) -> int:
    """The last of `count` new numbers of the sequence `name`; the others are those before it."""
    number: int
    if is_postgresql(connection):
        if in_order or count > 1:
            connection.execute(_ONE_AT_A_TIME, {"key": _ORDER})
        number = connection.execute(_TAKE_NATIVE, {"sequence": f"sequence_{name}", "count": count}).scalar_one()
    else:
        number = connection.execute(_TAKE, {"key": name, "count": count}).scalar_one()
    return number


def make_native(connection: Connection) -> None:
    """Make a sequence of PostgreSQL of every row of `sequences` that has none: the last step of a migration."""
    for name, value in connection.execute(sequences.select()).all():
        connection.exec_driver_sql(f"CREATE SEQUENCE IF NOT EXISTS sequence_{name} START WITH {int(value) + 1}")
