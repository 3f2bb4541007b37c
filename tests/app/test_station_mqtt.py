"""`forecourt station` in front of the firmware of `examples/`, over a real broker, towards an independent CSMS."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from litestar.testing import TestClient
from tests.hardware.brokers import Board, board, broker
from tests.net.central_v16 import Office, office
from typer.testing import CliRunner

from forecourt.api.control.application import make_control
from forecourt.api.control.frames import FrameHistory
from forecourt.api.control.station import ControlledStation
from forecourt.api.settings import ApiSettings
from forecourt.app.config import ConfigError, load
from forecourt.app.main import app
from forecourt.app.station import station_session
from forecourt.app.station_file import StationFile
from forecourt.app.station_hardware import mqtt_hardware
from forecourt.app.station_upkeep import StationUpkeep
from forecourt.station.config import EvseConfig
from forecourt.station.effects import PriceSubject, ShowPrices
from forecourt.store.journal import MemoryJournal

FIRMWARE = Path(__file__).parents[2] / "examples" / "firmware.py"
CONFIG = """
id = "CP/1"
csms = "ws://127.0.0.1:{port}/ocpp"
[backoff]
wait_minimum_s = 0.1
random_range_s = 0.0
[variables]
MeterValueSampleInterval = 1
[[evses]]
has_lock = false
[hardware]
kind = "mqtt"
port = {broker}
"""
PREFIX = "forecourt/CP%2F1"
PATIENCE_S = 60.0
"""For other processes on a busy machine."""


def written(folder: Path, central: int, port: int, more: str = "") -> Path:
    path = folder / "station.toml"
    path.write_text(CONFIG.format(port=central, broker=port) + more, encoding="utf-8")
    return path


@asynccontextmanager
async def running(*arguments: object) -> AsyncIterator[asyncio.subprocess.Process]:
    null = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        sys.executable, *(str(one) for one in arguments), stdout=null, stderr=null
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(PATIENCE_S):
            await process.wait()


def energy_wh(central: Office) -> float:
    told = [
        float(sample["value"])
        for values in central.told("MeterValues")
        for value in values["meter_value"]
        for sample in value["sampled_value"]
        if sample.get("measurand", "Energy.Active.Import.Register") == "Energy.Active.Import.Register"
    ]
    return max(told, default=0.0)


@asynccontextmanager
async def charging(folder: Path) -> AsyncIterator[tuple[Board, Office, asyncio.subprocess.Process, tuple[object, ...]]]:
    """The station and the example, in the middle of a transaction; how the station is started."""
    async with broker(folder) as one, office() as central, board(one.port, PREFIX) as desk:
        config = written(folder, central.port, one.port)
        station = ("-m", "forecourt.app.main", "station", "--config", config, "--state-dir", folder / "state")
        async with running(*station) as process:
            await desk.until(lambda: desk.last.get("status", {}).get("online") is True)
            await central.until(lambda: bool(central.told("StatusNotification")), PATIENCE_S)
            async with running(FIRMWARE, PREFIX, "127.0.0.1", one.port):
                await central.until(lambda: central.statuses(1)[-1:] == ["Charging"], PATIENCE_S)
                await central.until(lambda: energy_wh(central) > 2.0, PATIENCE_S)
                yield desk, central, process, station


async def test_the_example_charges(tmp_path: Path) -> None:
    async with charging(tmp_path) as (desk, central, _, _):
        (start,) = central.told("StartTransaction")
        assert start["id_tag"] == "04A2B3C4"
        assert desk.last["evse/1/control"]["power_path"]
        assert desk.last["token-answer"]["accepted"]


@pytest.mark.slow
async def test_the_example_survives_a_power_cut_of_the_stack(tmp_path: Path) -> None:
    async with charging(tmp_path) as (desk, central, process, station):
        process.kill()
        await desk.until(lambda: not desk.last["status"]["online"])
        before_wh, told = energy_wh(central), len(central.told("StatusNotification"))
        async with running(*station):
            await central.until(lambda: len(central.told("BootNotification")) == 2, PATIENCE_S)
            await central.until(lambda: energy_wh(central) > before_wh + 1.0, PATIENCE_S)
            assert "Charging" in [one["status"] for one in central.told("StatusNotification")[told:]]
            await desk.until(lambda: desk.last["evse/1/control"]["power_path"])
            assert (len(central.told("StartTransaction")), central.told("StopTransaction")) == (1, [])


async def test_firmware_that_is_gone_is_a_fault_that_the_csms_sees(tmp_path: Path) -> None:
    async with broker(tmp_path) as one, office() as central:
        config = written(tmp_path, central.port, one.port)
        async with running("-m", "forecourt.app.main", "station", "--config", config):
            async with board(one.port, PREFIX, dies=True) as firmware:
                await firmware.until(lambda: firmware.last.get("status", {}).get("online") is True)
                await firmware.say("evse/1/meter", {"energy_wh": 100.0})
                await firmware.say("evse/1/pilot", {"pilot": "A"})
                await firmware.say("status", {"online": True})
                await central.until(lambda: central.statuses(1)[-1:] == ["Available"], PATIENCE_S)
            await central.until(lambda: central.statuses(1)[-1:] == ["Faulted"], PATIENCE_S)
            fault = [told for told in central.told("StatusNotification") if told["status"] == "Faulted"][-1]
            assert (fault["error_code"], fault["vendor_error_code"]) == ("InternalError", "Firmware/Gone")
            async with board(one.port, PREFIX) as firmware:
                await firmware.say("status", {"online": True})
                await central.until(lambda: central.statuses(1)[-1:] == ["Available"], PATIENCE_S)


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ('prefix = "a/#"', "prefix: expected a topic without"),
        ('kind = "mqqt"', "hardware.kind: expected one of simulated, mqtt"),
        ('password = "x"', "password: is of no use without a user"),
        ('hots = "x"', 'hardware.hots: no such field; did you mean "host"?'),
        ('tls = {ca = "none.pem"}', "hardware.tls: "),
        ('kind = "simulated"', 'kind: expected "mqtt" where a broker is described'),
        ('transfers = ["GOPHER"]', "hardware.transfers"),
    ],
)
def test_what_can_not_be_is_named(tmp_path: Path, more: str, complaint: str) -> None:
    config = written(tmp_path, 1, 1)
    text = config.read_text(encoding="utf-8")
    if more.startswith("kind"):
        text = text.replace('kind = "mqtt"', more)
        more = ""
    config.write_text(f"{text}{more}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=re.escape(complaint)):
        mqtt_hardware(load(config, StationFile).hardware, "CP", (EvseConfig(),))


def test_there_is_no_hand_at_real_hardware(tmp_path: Path) -> None:
    asked = ["station", "--config", str(written(tmp_path, 1, 1)), "--charge", "ALICE"]
    ended = CliRunner().invoke(app, asked)
    assert ended.exit_code == 2
    assert "hardware.kind" in ended.output


def test_the_control_api_shows_real_hardware_and_has_no_hand_at_it(tmp_path: Path) -> None:
    settings = load(written(tmp_path, 1, 1), StationFile)
    frames = FrameHistory()
    upkeep = StationUpkeep(settings, tmp_path / "state", frames)
    hardware, _ = mqtt_hardware(settings.hardware, settings.id, settings.evse_configs)
    session = station_session(settings, MemoryJournal(), hardware, frames, upkeep, hardware.system)
    hardware.received("firmware/evse/1/meter", b'{"energy_wh": 12.5}', retained=True)
    hardware.received("firmware/evse/1/pilot", b'{"pilot": "B"}', retained=True)
    hardware.received("firmware/status", b'{"online": true}', retained=True)
    session.endpoint.start(session.clock.now())
    price = ShowPrices(evse_id=1, about=PriceSubject.RUNNING_COST, text="so far", cost="3.31")
    hardware.carry_out(price, session.clock.now())
    settings_here = ApiSettings(host="127.0.0.1", port=0)
    control = make_control(ControlledStation(settings.id, session, hardware, frames), settings_here)
    with TestClient(control, base_url="http://127.0.0.1") as client:
        state = client.get("/state").json()
        (evse,) = state["evses"]
        assert (evse["pilot"], evse["plug_present"], evse["register_wh"], evse["car"]) == ("B", True, 12.5, None)
        assert evse["display"]["cost"] == "3.31"
        assert client.get("/composite-schedule", params={"evse_id": 1}).json()["periods"]
        assert client.get("/ocpp-messages").json()["items"] == []
        assert client.post("/link/disconnect").json()["link_wanted"] is False
        assert client.post("/link/connect").json()["link_wanted"] is True
        told = {
            verb: client.post(f"/evses/1/{verb}", json=body)
            for verb, body in (
                ("plug-in", {}),
                ("unplug", None),
                ("present-token", {"id_token": "ALICE"}),
                ("suspend", None),
                ("stop", None),
                ("faults", {"code": "GroundFailure"}),
                ("lock-failure", None),
            )
        }
        assert {verb: answer.status_code for verb, answer in told.items()} == dict.fromkeys(told, 409)
        assert all("not simulated" in answer.json()["detail"] for answer in told.values())
        assert client.delete("/evses/1/faults/GroundFailure").status_code == 409
        assert client.post("/evses/7/plug-in").status_code == 404
