"""`forecourt fleet` as a process: files in, a report out, and errors that a person can act on."""

import asyncio
import json
import sys
from pathlib import Path

import pytest
from tests.net.central_v16 import office

SCENARIO = """
duration_s = 3.0
[connect]
over_s = 0.5
[drivers]
taps_after_s = [0.1, 0.2]
[[spikes]]
at_s = 1.0
over_s = 0.2
"""


async def fleet(*arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "forecourt.app.main",
        "fleet",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_a_fleet_of_two_models_and_its_report(tmp_path: Path) -> None:
    scenario, own = tmp_path / "scenario.toml", tmp_path / "own.toml"
    scenario.write_text(SCENARIO, encoding="utf-8")
    own.write_text('model = "Own"\n[[evses]]\nhas_lock = false\n', encoding="utf-8")
    report, record = tmp_path / "report.json", tmp_path / "frames.jsonl"
    async with office() as central:
        code, out, err = await fleet(
            "--stations", "4", "--csms", f"ws://127.0.0.1:{central.port}/ocpp", "--id-prefix", "F-",
            "--template", "split-phase-48a", "--template", str(own), "--scenario", str(scenario),
            "--report", str(report), "--record", str(record),
        )  # fmt: skip
        assert code == 0, err
        boots = central.told("BootNotification")
    assert sorted(boot["charge_point_model"] for boot in boots) == [
        "Own",
        "Own",
        "Split-phase 48 A",
        "Split-phase 48 A",
    ]
    assert {boot["charge_point_serial_number"] for boot in boots} == {f"F-{number:05d}" for number in range(1, 5)}
    told = json.loads(report.read_text(encoding="utf-8"))
    assert told["calls"]["BootNotification"]["answered"] == 4
    assert len(told["transactions"]) == len(central.told("StartTransaction")) == 4
    assert len(record.read_text(encoding="utf-8").splitlines()) == told["frames_sent"] + told["frames_received"]
    assert "BootNotification" in out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--template", "no-such-model"), "alfen-eve-double"),
        (("--protocol", "ocpp9"), "protocol: expected one of"),
        (("--csms", "http://127.0.0.1"), "http://127.0.0.1"),
        (("--scenario", "/nowhere/scenario.toml"), "No such file"),
    ],
)
async def test_what_cannot_be_is_said(arguments: tuple[str, ...], complaint: str) -> None:
    code, _, err = await fleet("--stations", "1", "--duration", "0.5", *arguments)
    assert (code, complaint in err) == (2, True), err


async def test_the_models_that_ship_are_listed() -> None:
    code, out, _ = await fleet("--list-templates")
    assert code == 0
    assert "rough-edges: Forecourt Rough edges, 1 EVSE(s)" in out.splitlines()
