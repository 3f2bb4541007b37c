"""Recorded sessions: both layouts, what is wrong with a file, overlaps."""

import gzip
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from forecourt.sim.sessions import (
    RecordedSession,
    SessionFileError,
    by_station,
    free_of_overlaps,
    parse_sessions,
    read_sessions,
)

TIMES = (
    "arrival,departure,requested_energy (kWh),delivered_energy (kWh),station_id,session_id,estimated_departure,claimed"
)
ROW = "2019-05-01 06:33:14-07:00,2019-05-01 11:50:55-07:00,21.84,17.666,CA-314,s1,2019-05-01 11:27:14-07:00,True"
PERIODS = "arrival_period,departure_period,estimated_departure_period,station_id,requested_kwh,max_kw,session_id"


def test_times_with_offset() -> None:
    (session,) = parse_sessions(f"{TIMES}\n{ROW}\n", source="x.csv")
    assert session == RecordedSession(
        session_id="s1",
        station_id="CA-314",
        arrival=datetime(2019, 5, 1, 13, 33, 14, tzinfo=UTC),
        departure=datetime(2019, 5, 1, 18, 50, 55, tzinfo=UTC),
        requested_wh=21_840.0,
        delivered_wh=17_666.0,
        estimated_departure=datetime(2019, 5, 1, 18, 27, 14, tzinfo=UTC),
        claimed=True,
    )
    assert session.arrival.tzinfo is UTC


def test_periods_of_five_minutes() -> None:
    (session,) = parse_sessions(f"{PERIODS}\r\n76,92,93,CA-315,4.216,6.6,s1\r\n", source="x.csv")
    assert session == RecordedSession(
        session_id="s1",
        station_id="CA-315",
        arrival=datetime(2019, 3, 1, 14, 20, tzinfo=UTC),
        departure=datetime(2019, 3, 1, 15, 40, tzinfo=UTC),
        requested_wh=4_216.0,
        estimated_departure=datetime(2019, 3, 1, 15, 45, tzinfo=UTC),
        maximum_w=6_600.0,
    )
    start = datetime(2024, 1, 1, tzinfo=UTC)
    (moved,) = parse_sessions(f"{PERIODS}\n1,2,2,A,1,1,s", source="x", periods_start=start)
    assert moved.arrival == start + timedelta(minutes=5)


def test_optional_cells_may_be_empty_and_further_columns_are_left_alone() -> None:
    row = "2019-05-01 06:33:14-07:00,2019-05-01T11:50:55-07:00,21.84,17.666,CA-314,s1,,,more"
    (session,) = parse_sessions(f"{TIMES},notes\n{row}\n\n", source="x.csv")
    assert session.estimated_departure is None
    assert session.claimed is None


def test_sessions_come_in_the_order_of_arrival() -> None:
    later = ROW.replace("s1", "s0").replace("06:33", "07:33")
    sessions = parse_sessions(f"{TIMES}\n{later}\n{ROW}\n", source="x.csv")
    assert [session.session_id for session in sessions] == ["s1", "s0"]


@pytest.mark.parametrize(
    ("text", "line", "field", "words"),
    [
        ("", 1, None, "the file is empty"),
        ("a,b\n1,2\n", 1, None, "expected the columns arrival, departure, "),
        (TIMES.replace(",claimed", ""), 1, "claimed", "no such column"),
        (PERIODS.replace(",max_kw", ""), 1, "max_kw", "no such column"),
        (f"{TIMES}\n{ROW},1\n", 2, None, "expected 8 fields, found 9"),
        (f"{TIMES}\n{ROW}\n{ROW[:40]}\n", 3, None, "expected 8 fields, found 2"),
        (f"{TIMES}\n{ROW.replace('21.84', 'much')}", 2, "requested_energy (kWh)", "expected a number, got 'much'"),
        (f"{TIMES}\n{ROW.replace('21.84', '-1')}", 2, "requested_energy (kWh)", "at least 0"),
        (f"{TIMES}\n{ROW.replace('17.666', 'nan')}", 2, "delivered_energy (kWh)", "at least 0"),
        (f"{TIMES}\n{ROW.replace('17.666', 'inf')}", 2, "delivered_energy (kWh)", "at least 0"),
        (f"{TIMES}\n{ROW.replace('2019-05-01 06', '2019-05-32 06')}", 2, "arrival", "expected a time such as"),
        (f"{TIMES}\n{ROW.replace('14-07:00', '14')}", 2, "arrival", "offset"),
        (f"{TIMES}\n{ROW.replace(' 11:50', ' 06:10')}", 2, "departure", "not after the arrival"),
        (f"{TIMES}\n{ROW.replace('CA-314', ' ')}", 2, "station_id", "expected text"),
        (f"{TIMES}\n{ROW.replace('True', 'yes')}", 2, "claimed", "True or False"),
        (f"{TIMES}\n{ROW}\n{ROW}", 3, "session_id", "'s1' is in line 2 already"),
        (f'{TIMES}\n"{ROW}', 2, None, "not a CSV file"),
        (f"{PERIODS}\n7.5,92,93,A,4,6,s", 2, "arrival_period", "whole number of periods, got '7.5'"),
        (f"{PERIODS}\n-7,92,93,A,4,6,s", 2, "arrival_period", "whole number"),
        (f"{PERIODS}\n1,999999999,3,A,4,6,s", 2, "departure_period", "before the year 10000"),
        (f"{TIMES}\n{ROW.replace('2019-05-01 06:33:14-07', '9999-12-31 23:33:14-07')}", 2, "arrival", "9999, got"),
        (f"{PERIODS}\n{10**30},92,93,A,4,6,s", 2, "arrival_period", "whole number"),
    ],
)
def test_what_is_wrong_is_named_by_file_line_and_field(text: str, line: int, field: str | None, words: str) -> None:
    with pytest.raises(SessionFileError) as caught:
        parse_sessions(text, source="day.csv")
    assert str(caught.value).startswith(f"day.csv, line {line}{'' if field is None else f', {field}'}: ")
    assert words in str(caught.value)
    assert (caught.value.line, caught.value.field) == (line, field)


@given(st.text(max_size=200), st.booleans())
def test_whatever_a_file_holds_it_is_read_or_refused(text: str, headed: bool) -> None:
    try:
        sessions = parse_sessions(f"{TIMES}\n{text}" if headed else text, source="x")
    except SessionFileError:
        return
    assert all(session.departure > session.arrival for session in sessions)


def test_files_gzipped_or_not(tmp_path: Path) -> None:
    plain, packed = tmp_path / "a.csv", tmp_path / "a.csv.gz"
    plain.write_text(f"\ufeff{TIMES}\n{ROW}\n", encoding="utf-8")
    packed.write_bytes(gzip.compress(f"{TIMES}\n{ROW}\n".encode()))
    assert read_sessions(plain) == read_sessions(packed) != ()


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"\x1f\x8b\x08\x00 truncated"])
def test_files_that_cannot_be_read_are_named(tmp_path: Path, content: bytes) -> None:
    for name in ("bad.csv", "bad.csv.gz", "missing.csv"):
        path = tmp_path / name
        if name != "missing.csv":
            path.write_bytes(content)
        with pytest.raises(SessionFileError, match=name):
            read_sessions(path)
    packed = tmp_path / "cut.csv.gz"
    packed.write_bytes(gzip.compress(TIMES.encode() * 50)[:40])
    with pytest.raises(SessionFileError, match="cut"):
        read_sessions(packed)


MINUTES = st.integers(0, 600)


@given(st.lists(st.tuples(st.sampled_from("ABC"), MINUTES, st.integers(1, 200)), max_size=25))
def test_nobody_arrives_where_somebody_still_is(found: list[tuple[str, int, int]]) -> None:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    sessions = [
        RecordedSession(
            session_id=f"s{number}",
            station_id=station_id,
            arrival=start + timedelta(minutes=arrival),
            departure=start + timedelta(minutes=arrival + stay),
            requested_wh=1.0,
        )
        for number, (station_id, arrival, stay) in enumerate(found)
    ]
    kept, dropped = free_of_overlaps(sessions)
    assert {one.session_id for one in kept} | {one.session_id for one in dropped} == {
        one.session_id for one in sessions
    }
    assert len(kept) + len(dropped) == len(sessions)
    original = {one.session_id: one for one in sessions}
    for station in by_station(kept).values():
        for before, after in pairwise(station):
            assert before.departure < after.arrival
    for one in kept:
        was = original[one.session_id]
        assert was.arrival <= one.arrival < one.departure == was.departure
        assert msgspec.structs.replace(one, arrival=was.arrival) == was
    for gone in dropped:
        assert any(
            one.station_id == gone.station_id and one.departure >= gone.departure - timedelta(minutes=1) for one in kept
        )
