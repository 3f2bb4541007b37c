"""The station's journal: what must survive a power cut, in one SQLite file, or in memory for fleets.

Guarantees
* `commit` is one transaction: all of its changes or none, on the disk when it returns (WAL, synchronous FULL).
* A file that is not a journal, or is damaged, is put aside next to itself (`.damaged`) and a new journal begun, so that
  the station charges on; `damaged` says so.
* A disk that takes no more is an OSError, and nothing of the commit was kept.
* Sections and keys are text, values are bytes that only the station can read; a later version of it may add sections
  without a migration.
"""

import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Final, assert_never

from forecourt.domain.journal import Change, Clear, Delete, JournalState, Put

_FORMAT: Final = 1
"""`PRAGMA user_version`: raised when the layout changes."""

_LAYOUT: Final = """
CREATE TABLE IF NOT EXISTS entry (
    section TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (section, key)
) WITHOUT ROWID
"""

_PUT: Final = "INSERT INTO entry VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value"
_DELETE: Final = "DELETE FROM entry WHERE section = ? AND key = ?"
_CLEAR: Final = "DELETE FROM entry WHERE section = ?"


class MemoryJournal:
    """A journal that is gone with its process: for fleets and tests."""

    __slots__ = ("_sections",)

    def __init__(self, state: JournalState | None = None) -> None:
        self._sections: dict[str, dict[str, bytes]] = {name: dict(kept) for name, kept in (state or {}).items()}

    def load(self) -> JournalState:
        """Everything it holds."""
        return {name: dict(sorted(kept.items())) for name, kept in sorted(self._sections.items()) if kept}

    def commit(self, changes: Iterable[Change]) -> None:
        """Carry out `changes`."""
        for change in changes:
            match change:
                case Put(section, key, value):
                    self._sections.setdefault(section, {})[key] = value
                case Delete(section, key):
                    self._sections.get(section, {}).pop(key, None)
                case Clear(section):
                    self._sections.pop(section, None)
                case _ as never:
                    assert_never(never)

    def close(self) -> None:
        """Nothing is open."""


class SqliteJournal:
    """A journal in the file at `path`, readable by its owner alone. Used from one thread."""

    __slots__ = ("_connection", "damaged", "path")

    def __init__(self, path: Path) -> None:
        """Open or begin it.

        Raises:
            OSError: the place can't be written.
        """
        self.path = path
        self.damaged: Path | None = None
        """Where a file that could not be read was put."""
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._connection = _open(path)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise OSError(f"{path}: {error}") from error
            self.damaged = _put_aside(path)
            self._connection = _open(path)

    def load(self) -> JournalState:
        """Everything it holds."""
        state: dict[str, dict[str, bytes]] = {}
        for section, key, value in self._connection.execute("SELECT section, key, value FROM entry ORDER BY 1, 2"):
            state.setdefault(section, {})[key] = value
        return state

    def commit(self, changes: Iterable[Change]) -> None:
        """Carry out `changes`, all or none.

        Raises:
            OSError: they can't be kept; none of them was.
        """
        run = self._connection.execute
        try:
            run("BEGIN IMMEDIATE")
            try:
                for change in changes:
                    match change:
                        case Put(section, key, value):
                            run(_PUT, (section, key, value))
                        case Delete(section, key):
                            run(_DELETE, (section, key))
                        case Clear(section):
                            run(_CLEAR, (section,))
                        case _ as never:
                            assert_never(never)
                run("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    run("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise OSError(f"{self.path}: {error}") from error

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()


def _open(path: Path) -> sqlite3.Connection:
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    os.close(descriptor)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
        connection.execute("PRAGMA synchronous = FULL")
        _check(connection)
        connection.execute(_LAYOUT)
        connection.execute(f"PRAGMA user_version = {_FORMAT}")
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection) -> None:
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found not in {0, _FORMAT}:
        raise sqlite3.DatabaseError(f"a journal of format {found}, and this is {_FORMAT}")
    (sound,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if sound != "ok":
        raise sqlite3.DatabaseError(sound)


def _put_aside(path: Path) -> Path:
    """Move a journal that can't be read, with its write-ahead log, out of the way."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        log = path.with_name(path.name + suffix)
        if log.exists():
            log.rename(aside.with_name(aside.name + suffix))
    return aside
