"""Values over time, and the power of a simulation as rows and picture."""

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest

from forecourt.domain.site import EvseKey
from forecourt.sim.ideal import Course, Interval
from forecourt.sim.power import mean_power_w, power_over_time, power_picture
from forecourt.sim.series import Series, SeriesFileError, read_series

START = datetime(2024, 5, 6, tzinfo=UTC)


def test_a_value_holds_until_the_next(tmp_path: Path) -> None:
    path = tmp_path / "moer.csv.gz"
    path.write_bytes(gzip.compress(b"time,moer\n2024-05-06 00:00:00+00:00,0.25\n2024-05-06 02:05:00+02:00,0.5\n"))
    series = read_series(path)
    at = START.timestamp()
    assert [series.at(at + s) for s in (-1e9, 0.0, 299.0, 300.0, 1e9)] == [0.25, 0.25, 0.25, 0.5, 0.5]
    assert series.changes
    assert not Series.constant(3.0).changes
    assert Series.constant(3.0).at(0.0) == 3.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "line 1: expected the columns time and a value"),
        ("when,moer\n", "line 1: expected the columns time and a value"),
        ("time,moer\n", "expected at least one value"),
        ("time,moer\nnoon,1\n", "line 2: expected a time such as"),
        ("time,moer\n2024-05-06 00:00:00,1\n", "line 2: expected a time with its offset"),
        ("time,moer\n2024-05-06T00:00:00Z,nan\n", "line 2: expected a number, got 'nan'"),
        ("time,moer\n2024-05-06T00:00:00Z,1,2\n", "line 2: expected 2 fields, found 3"),
        ("time,moer\n2024-05-06T01:00:00Z,1\n\n2024-05-06T01:00:00Z,2\n", "line 4: isn't after the time before"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "prices.csv"
    path.write_text(text)
    with pytest.raises(SeriesFileError) as caught:
        read_series(path)
    assert str(caught.value).startswith(str(path))
    assert expected in str(caught.value)
    with pytest.raises(SeriesFileError, match="No such file"):
        read_series(tmp_path / "none.csv")


def course() -> Course:
    def interval(from_s: float, to_s: float, power_w: float) -> Interval:
        return Interval(from_s, to_s, {EvseKey("a", 1): 1.0}, {}, {}, power_w)

    return Course((), (), (interval(100.0, 450.0, 600.0), interval(900.0, 1200.0, 900.0)), 2)


def test_mean_power_keeps_the_energy() -> None:
    assert mean_power_w(course()) == pytest.approx([400.0, 300.0, 0.0, 900.0])
    assert sum(mean_power_w(course())) * 300.0 == pytest.approx(600.0 * 350.0 + 900.0 * 300.0)


def test_rows_and_picture() -> None:
    rows = list(power_over_time({"x": course(), "y": Course((), (), (), 0)}, START))
    assert rows[:2] == [["time", "x W", "y W"], ["2024-05-06 00:00:00+00:00", "400.0", "0.0"]]
    assert rows[-1] == [str(START + timedelta(seconds=900)), "900.0", "0.0"]
    picture = ElementTree.fromstring(power_picture({"x<": course()}, START))
    (line,) = [one for one in picture if one.tag.endswith("polyline") and one.attrib["stroke"] != "#dddddd"]
    assert len(line.attrib["points"].split()) == 4
    assert "x<" in [one.text for one in picture]
