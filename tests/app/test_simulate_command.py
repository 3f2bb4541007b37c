"""`forecourt simulate` from the command line."""

import gzip
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from forecourt.app.main import app

EXAMPLES = Path(__file__).parents[2] / "examples"
SESSIONS = """\
arrival_period,departure_period,estimated_departure_period,station_id,requested_kwh,max_kw,session_id
96,120,120,CA-308,9.0,6.6,one
97,130,130,CA-148,12.0,6.6,two
400,420,420,CA-307,5.0,6.6,three
"""


@pytest.fixture
def sessions(tmp_path: Path) -> Path:
    path = tmp_path / "sessions.csv"
    path.write_text(SESSIONS)
    return path


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["simulate", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


def test_a_table_a_csv_and_pictures(sessions: Path, tmp_path: Path) -> None:
    table, picture, image = (tmp_path / f"power.{kind}" for kind in ("csv", "svg", "png"))
    files = ["--csv", table, "--svg", picture, "--png", image]
    code, out, _ = run(EXAMPLES / "caltech-acn.toml", sessions, *files, "--capacity-kw", 5)
    assert code == 0
    assert out.splitlines()[0] == "3 sessions, 26 kWh wanted"
    assert [line.split()[0] for line in out.splitlines()[2:]] == [
        "unmanaged",
        "first-come",
        "least-laxity",
        "even",
        "real-time",
        "planner",
        "controller",
    ]
    assert table.read_text().startswith("time,unmanaged W,first-come W")
    assert picture.read_text().startswith("<svg")
    assert image.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


@pytest.mark.parametrize("site", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_on_every_example_site_the_rule_and_the_planner_keep_every_fuse(site: Path, sessions: Path) -> None:
    code, out, _ = run(site, sessions, "--json", "--algorithms", "real-time,planner,controller")
    assert code == 0
    for result in json.loads(out):
        assert result["overload_h"] == 0.0
        assert result["delivered_kwh"] > 10.0


def test_results_as_json_of_the_first_day(sessions: Path) -> None:
    code, out, _ = run(
        EXAMPLES / "caltech-acn.toml", sessions, "--json", "--algorithms", "real-time", "--days", 1, "--price", 0.5
    )
    assert code == 0
    (result,) = json.loads(out)
    assert result["algorithm"] == "real-time"
    assert result["sessions"] == result["met"] == 2
    assert result["cost"] == pytest.approx(10.5)
    assert result["overload_h"] == 0.0


TOLD = """\
arrival,departure,requested_energy (kWh),delivered_energy (kWh),station_id,session_id,estimated_departure,claimed
2021-05-01 01:18:45-07:00,2021-05-01 05:52:36-07:00,60.0,10.5,CA-305,a,2021-05-01 02:20:45-07:00,True
2021-05-01 06:33:14-07:00,2021-05-01 11:50:55-07:00,21.84,4.5,nowhere,b,,False
"""
CARBON = """\
time,moer
2021-04-30 00:00:00+00:00,0.25
2021-05-01 12:00:00+00:00,0.5
"""


def test_sessions_as_drivers_told_them_and_carbon_over_time_are_read_as_they_are_published(tmp_path: Path) -> None:
    sessions, carbon = tmp_path / "acn.csv.gz", tmp_path / "moer.csv.gz"
    sessions.write_bytes(gzip.compress(TOLD.encode()))
    carbon.write_bytes(gzip.compress(CARBON.encode()))
    named = "even,real-time,planner"
    code, out, _ = run(EXAMPLES / "caltech-acn.toml", sessions, "--carbon", carbon, "--algorithms", named, "--json")
    assert code == 0
    for result in json.loads(out):
        assert (result["sessions"], result["met"]) == (2, 2), "what cars took then, not what drivers said"
        assert result["carbon_kg"] == pytest.approx(10.5 * 0.25 + 4.5 * 0.5)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--algorithms", "best"], "--algorithms: expected some of unmanaged, first-come"),
        (["--prices", "nowhere.csv"], "nowhere.csv: No such file"),
    ],
)
def test_what_is_wrong_is_said(sessions: Path, arguments: list[str], expected: str) -> None:
    code, _, err = run(EXAMPLES / "caltech-acn.toml", sessions, *arguments)
    assert code == 2
    assert err.startswith(f"forecourt: {expected}")


def test_files_that_cannot_be_used_are_named(sessions: Path, tmp_path: Path) -> None:
    code, _, err = run(EXAMPLES / "caltech-acn.toml", EXAMPLES / "caltech-acn.toml")
    assert (code, "caltech-acn.toml, line 1: expected the columns" in err) == (2, True)
    code, _, err = run(sessions, sessions)
    assert (code, "not TOML" in err) == (2, True)
    code, _, err = run(EXAMPLES / "caltech-acn.toml", sessions, "--algorithms", "even", "--svg", tmp_path / "no" / "x")
    assert (code, "No such file" in err) == (3, True)
