"""`forecourt controller check`: the proof of the start, in numbers."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from forecourt.app.main import app

HOUSE = """
[site.grid]
name = "house"
rating_a = 35
margin_a = 3
background_a = [20, 14, 14]
[[site.circuits]]
name = "garage"
rating_a = 20
power_limit_w = 11_000
[[site.evses]]
station_id = "left"
circuit = "garage"
rotation = "L1 L2 L3"
fallback_a = {left_a}
maximum_a = 16
[[site.evses]]
station_id = "right"
circuit = "garage"
rotation = "L1"
phases = 1
fallback_a = 6
maximum_a = 32
"""


def check(folder: Path, left_a: object, *options: str) -> tuple[int, str]:
    path = folder / "site.toml"
    path.write_text(HOUSE.format(left_a=left_a))
    result = CliRunner().invoke(app, ["controller", "check", str(path), *options], env={"COLUMNS": "200"})
    return result.exit_code, result.output


def test_a_proof_that_holds_shows_its_numbers(tmp_path: Path) -> None:
    code, said = check(tmp_path, 6)
    assert code == 0
    l1 = next(line for line in said.splitlines() if re.match(r"house +fuse L1", line))
    assert re.findall(r"[\d.]+(?= (?:A|kW))", l1) == ["12.0", "20.0", "32.0", "35.0", "3.0", "0.0", "68.0"]
    assert "It holds: 2 EVSEs" in said


def test_what_fails_is_named_with_its_numbers(tmp_path: Path) -> None:
    code, said = check(tmp_path, 12)
    assert code == 1
    assert "It does not hold: house, fuse L1: 38.0 A may flow where 32.0 A are allowed, 6.0 A too much" in said
    assert "garage, fuse" not in said.split("It does not hold", 1)[1], "that one holds"


def test_as_json(tmp_path: Path) -> None:
    code, said = check(tmp_path, 12, "--json")
    found = json.loads(said)
    assert (code, found["holds"], found["evses"]) == (1, False, 2)
    failing = [(one["node"], one["kind"], one["phase"]) for one in found["limits"] if not one["holds"]]
    assert failing == [("house", "fuse", "L1")]
    (power,) = [one for one in found["limits"] if one["kind"] == "power"]
    assert (power["node"], power["rating"], power["fallbacks"]) == ("garage", 11_000, 3 * 12 * 230 + 6 * 230)


@pytest.mark.parametrize(("left_a", "field"), [('"much"', "site.evses[0].fallback_a"), (3, "site.evses[0].fallback_a")])
def test_a_wrong_file_is_told_by_its_field(tmp_path: Path, left_a: object, field: str) -> None:
    code, said = check(tmp_path, left_a)
    assert code == 2
    assert field in said
