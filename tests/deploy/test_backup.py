"""Backup and restore as docs/operations.md says, while the CSMS writes: what was committed before is in the copy."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from forecourt.csms.ports import Books
from forecourt.domain.station import RegistrationStatus
from forecourt.store.sql import SqlStore, open_store
from tests import databases
from tests.csms.worlds import START


def ignore(_: Any) -> None:
    """Nobody listens."""


async def enter(store: SqlStore, first: int, last: int) -> None:
    for number in range(first, last):
        name = f"CS{number}"

        def unit(books: Books, name: str = name) -> None:
            books.stations.add(1, name, RegistrationStatus.ACCEPTED, START)

        await store.write(unit)


async def entered(store: SqlStore) -> int:
    return await store.read(lambda books: sum(books.stations.counts()[0].values()))


async def test_a_copy_of_sqlite_is_whole(tmp_path: Path) -> None:
    books, copy = tmp_path / "csms.sqlite", tmp_path / "copy.sqlite"
    store = await open_store(f"sqlite:///{books}", publish=ignore)
    await enter(store, 0, 20)
    writing = asyncio.create_task(enter(store, 20, 60))

    def back_up() -> None:
        with closing(sqlite3.connect(books)) as connection:
            connection.execute("VACUUM INTO ?", (str(copy),))

    await asyncio.to_thread(back_up)
    await writing
    await store.close()
    restored = await open_store(f"sqlite:///{copy}", publish=ignore)
    assert 20 <= await entered(restored) <= 60
    await enter(restored, 100, 101)
    await restored.close()


async def test_a_dump_of_postgresql_is_whole_and_goes_on(tmp_path: Path) -> None:
    if shutil.which("pg_dump") is None or shutil.which("pg_restore") is None:
        if os.environ.get("CI"):
            pytest.fail("no pg_dump")
        pytest.skip("no pg_dump")
    url = databases.url(tmp_path / "books", "postgresql")
    store = await open_store(url, publish=ignore)
    await enter(store, 0, 20)
    writing = asyncio.create_task(enter(store, 20, 40))
    dump = tmp_path / "csms.dump"
    await asyncio.to_thread(_run, "pg_dump", "--format=custom", f"--file={dump}", url)
    await writing
    await store.close()
    name = f"forecourt_test_restored_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(databases.SERVER, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        try:
            target = databases.psycopg_url(name)
            await asyncio.to_thread(
                _run, "pg_restore", "--exit-on-error", "--no-owner", f"--dbname={target}", str(dump)
            )
            restored = await open_store(target, publish=ignore)
            assert 20 <= await entered(restored) <= 40
            await enter(restored, 100, 101)
            await restored.close()
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
