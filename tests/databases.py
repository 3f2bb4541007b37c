"""The databases that the tests' books are kept in: SQLite files, or databases of a PostgreSQL server.

`FORECOURT_TEST_DATABASE=postgresql` runs everything that asks here on PostgreSQL. The server is the one at
`FORECOURT_TEST_POSTGRESQL` (postgresql://postgres@127.0.0.1:5432/postgres). Where there is none, tests that need it
are skipped; with CI set they fail.
"""

import atexit
import hashlib
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from forecourt.store.engines import make_engine
from forecourt.store.migrate import upgrade

SERVER = os.environ.get("FORECOURT_TEST_POSTGRESQL", "postgresql://postgres@127.0.0.1:5432/postgres")
KIND = os.environ.get("FORECOURT_TEST_DATABASE", "sqlite")

_made: list[str] = []


def url(file: Path, kind: str = KIND) -> str:
    """Of the database that stands for `file`: the same one for the same path."""
    if kind == "sqlite":
        if not file.exists():
            shutil.copyfile(_template_file(), file)
        return f"sqlite:///{file}"
    need_postgresql()
    name = "forecourt_test_" + hashlib.sha256(str(file).encode()).hexdigest()[:20]
    if name not in _made:
        _execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        _execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(_template())))
        _made.append(name)
    return psycopg_url(name)


def empty(file: Path) -> str:
    """Of a database of PostgreSQL's without any tables."""
    need_postgresql()
    name = "forecourt_test_empty_" + hashlib.sha256(str(file).encode()).hexdigest()[:20]
    _execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
    _execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    _made.append(name)
    return psycopg_url(name)


def psycopg_url(name: str) -> str:
    """Of a database on the server."""
    return SERVER.rpartition("/")[0] + f"/{name}"


def drop_all() -> None:
    """Drop what `url` has made."""
    while _made:
        _execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(_made.pop())))


@cache
def _template_file() -> Path:
    """A file that has the tables already: copying it takes a hundredth of making them."""
    folder = tempfile.mkdtemp(prefix="forecourt-test-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder) / "template.sqlite"
    engine = make_engine(f"sqlite:///{path}")
    upgrade(engine)
    engine.dispose()
    return path


@cache
def _template() -> str:
    """A database that has the tables already: copying it is faster than making them."""
    name = f"forecourt_test_template_{os.getpid()}"
    _execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
    _execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    _made.insert(0, name)
    engine = make_engine(psycopg_url(name))
    upgrade(engine)
    engine.dispose()
    return name


@cache
def _reachable() -> str | None:
    try:
        psycopg.connect(SERVER, connect_timeout=3).close()
    except psycopg.OperationalError as error:
        return str(error)
    return None


def need_postgresql() -> None:
    """Skip without a server; fail in CI."""
    problem = _reachable()
    if problem is not None:
        if os.environ.get("CI"):
            pytest.fail(f"no PostgreSQL: {problem}")
        pytest.skip(f"no PostgreSQL: {problem}")


def _execute(statement: sql.Composed) -> None:
    with psycopg.connect(SERVER, autocommit=True) as connection:
        connection.execute(statement)
