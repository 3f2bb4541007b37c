"""The station's journal on real files."""

import os
import shutil
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecourt.domain.journal import Change, Clear, Delete, Put
from forecourt.store.journal import MemoryJournal, SqliteJournal
from tests.station.bench import ONE
from tests.station.test_power_cut import Books, Fragile, PowerCutError, aftermath, check, story

names = st.sampled_from(["outbox", "profile", "values/own-1"])
keys = st.sampled_from(["1", "2", "10", "ä"])
changes = st.one_of(
    st.builds(Put, names, keys, st.binary(max_size=8)), st.builds(Delete, names, keys), st.builds(Clear, names)
)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(changes, max_size=6), max_size=6))
def test_both_journals_hold_the_same(tmp_path_factory: pytest.TempPathFactory, commits: list[list[Change]]) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal"
    memory, file = MemoryJournal(), SqliteJournal(path)
    for commit in commits:
        memory.commit(commit)
        file.commit(commit)
    assert file.load() == memory.load()
    file.close()
    again = SqliteJournal(path)
    assert again.load() == memory.load()
    again.close()


class Mirrored(MemoryJournal):
    """Writes into a file too, and copies the file as a power cut would leave it after each commit."""

    def __init__(self, file: SqliteJournal, copies: Path) -> None:
        super().__init__()
        self.file = file
        self.copies = copies
        self.states: list[Any] = []

    def commit(self, changes: Any) -> None:
        super().commit(changes)
        self.file.commit(changes)
        place = self.copies / str(len(self.states))
        place.mkdir(parents=True)
        for suffix in ("", "-wal"):
            source = self.file.path.with_name(self.file.path.name + suffix)
            if source.exists():
                shutil.copy(source, place / source.name)
        self.states.append(self.load())


def test_power_cut_at_every_commit_of_a_story_on_a_real_file(tmp_path: Path) -> None:
    file = SqliteJournal(tmp_path / "journal")
    journal = Mirrored(file, tmp_path / "copies")
    story(Fragile(ONE, csms=Books(), journal=journal))
    assert len(journal.states) > 20
    for number, state in enumerate(journal.states):
        found = SqliteJournal(tmp_path / "copies" / str(number) / "journal")
        assert found.damaged is None
        assert found.load() == state
        found.close()
    file.close()


def test_a_station_on_a_copied_file_finishes_what_the_first_began(tmp_path: Path) -> None:
    points = 0
    for point in range(0, 60, 7):
        place = tmp_path / str(point)
        file = SqliteJournal(place / "journal")
        cut: Any = Fragile(ONE, csms=Books(), journal=file, cut_at=point)
        with pytest.raises(PowerCutError):
            story(cut)
        check(cut, aftermath(cut, ONE, 0.0, cars=True))
        file.close()
        points += 1
    assert points == 9


def test_a_commit_is_all_or_nothing(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal")
    journal.commit([Put("a", "1", b"old")])
    with pytest.raises(OSError, match="journal"):
        journal.commit([Put("a", "1", b"new"), Put("a", "2", None)])  # type: ignore[arg-type]
    assert journal.load() == {"a": {"1": b"old"}}
    journal.commit([Put("a", "2", b"more")])
    assert journal.load() == {"a": {"1": b"old", "2": b"more"}}
    journal.close()


def test_a_full_disk_is_an_os_error_and_keeps_what_was_there(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal")
    journal.commit([Put("a", "1", b"kept")])
    journal._connection.execute("PRAGMA max_page_count = 8")
    with pytest.raises(OSError, match="full"):
        journal.commit([Put("a", "2", b"x" * 1_000_000)])
    assert journal.load() == {"a": {"1": b"kept"}}
    journal.close()


@pytest.mark.parametrize(
    "damage", [b"this is no database, and long enough to be read as one" * 50, b"SQLite format 3\0"]
)
def test_a_file_that_is_no_journal_is_put_aside(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "journal"
    path.write_bytes(damage)
    journal = SqliteJournal(path)
    assert journal.damaged is not None
    assert journal.damaged.read_bytes() == damage
    assert journal.load() == {}
    journal.commit([Put("a", "1", b"x")])
    journal.close()


def test_a_journal_of_another_format_is_put_aside_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    first = SqliteJournal(path)
    assert first.damaged == tmp_path / "journal.damaged-1"
    first.close()


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "new" / "journal")
    journal.commit([Put("a", "1", b"secret")])
    for file in (tmp_path / "new").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    journal.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_place_that_can_not_be_written_is_an_os_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OSError, match="journal"):
        SqliteJournal(tmp_path / "journal")
    tmp_path.chmod(0o700)


def test_durability_is_set_as_promised(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal")
    run = journal._connection.execute
    assert run("PRAGMA journal_mode").fetchone() == ("wal",)
    assert run("PRAGMA synchronous").fetchone() == (2,), "FULL"
    journal.close()


def test_memory_journals_copy_what_they_are_given() -> None:
    given_state = {"a": {"1": b"x"}}
    journal = MemoryJournal(given_state)
    journal.commit([Clear("a")])
    assert given_state == {"a": {"1": b"x"}}
    assert journal.load() == {}
