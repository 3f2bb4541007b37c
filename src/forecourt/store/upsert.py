"""Insert or replace, insert or leave, in the words of the database at hand."""

from functools import cache
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def upsert(connection: Connection, table: Table) -> Any:
    """Insert a row, or replace the one of the same primary key."""
    return _statement(connection.dialect.name, table, replace=True)


def insert_new(connection: Connection, table: Table) -> Any:
    """Insert a row, unless there is one of the same primary key."""
    return _statement(connection.dialect.name, table, replace=False)


@cache
def _statement(dialect: str, table: Table, *, replace: bool) -> Any:
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement: Any = insert(table)
    if not replace:
        return statement.on_conflict_do_nothing()
    keys = [column.name for column in table.primary_key]
    changed = {column.name: statement.excluded[column.name] for column in table.c if column.name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=changed)
