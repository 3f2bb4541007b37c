"""What changes with time and is known beforehand: prices, carbon intensity, sunshine; read from CSV.

Guarantees
* Two columns with a header, `time` and a number; times carry their offset from UTC, and rise. May be gzipped.
* A value holds until the next one; the first also before its time, the last also after it.
* What is wrong with a file is a `SeriesFileError` that names file and line, and says what was expected.
"""

import bisect
import csv
import gzip
import io
import math
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path


class SeriesFileError(ValueError):
    """A file of values over time that can't be read."""


class Series:
    """A step function of time."""

    def __init__(self, times: Sequence[datetime], values: Sequence[float]) -> None:
        if not values or len(times) != len(values):
            raise ValueError("expected a value for each time, and at least one")
        self._at = [time.timestamp() for time in times]
        self._values = list(values)

    @classmethod
    def constant(cls, value: float) -> "Series":
        """Always the same."""
        return cls([datetime(1970, 1, 1, tzinfo=UTC)], [value])

    @property
    def changes(self) -> bool:
        """Whether it isn't always the same."""
        return min(self._values) != max(self._values)

    def at(self, timestamp: float) -> float:
        """The value at a Unix time."""
        return self._values[max(0, bisect.bisect_right(self._at, timestamp) - 1)]


def read_series(path: Path) -> Series:
    """The values in a file.

    Raises:
        SeriesFileError: it can't be read, or something in it is wrong.
    """
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise SeriesFileError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    rows = csv.reader(io.StringIO(text, newline=""))
    header = next(rows, [])
    if len(header) != 2 or header[0].strip() != "time":
        raise SeriesFileError(f"{path}, line 1: expected the columns time and a value, got {','.join(header)!r}")
    times: list[datetime] = []
    values: list[float] = []
    for cells in rows:
        if not cells:
            continue
        where = f"{path}, line {rows.line_num}"
        if len(cells) != 2:
            raise SeriesFileError(f"{where}: expected 2 fields, found {len(cells)}")
        try:
            time = datetime.fromisoformat(cells[0].strip())
        except ValueError:
            raise SeriesFileError(f"{where}: expected a time such as 2021-04-30 00:05:00+00:00") from None
        if time.tzinfo is None:
            raise SeriesFileError(f"{where}: expected a time with its offset from UTC")
        if times and time <= times[-1]:
            raise SeriesFileError(f"{where}: isn't after the time before")
        try:
            value = float(cells[1])
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise SeriesFileError(f"{where}: expected a number, got {cells[1]!r}")
        times.append(time)
        values.append(value)
    if not times:
        raise SeriesFileError(f"{path}: expected at least one value")
    return Series(times, values)
