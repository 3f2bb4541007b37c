"""`forecourt check`: a good station passes everything, a poor one what it deserves, with the frames that show it."""

import asyncio
import json
import re
import sys
import xml.etree.ElementTree as ET
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import websockets
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call, call_result
from ocpp.v16.enums import Action, ChargePointErrorCode, ChargePointStatus, RegistrationStatus
from tests.app.stations import station_process

from forecourt.app.check import examine
from forecourt.app.check_bench import bench
from forecourt.app.check_findings import Outcome
from forecourt.app.check_list import CheckList, load_list, shipped
from forecourt.app.check_report import Report, to_json, to_junit
from forecourt.app.config import ConfigError
from forecourt.net.csms_session import Listener

PATIENCE_S = 300.0


class Poor(ChargePoint):  # type: ignore[misc] # the package has no types
    """Speaks OCPP, and little more: its clock is wrong, it measures energy alone, and limits don't interest it."""

    charging: asyncio.Task[None] | None = None
    register_wh = 0

    @on(Action.change_configuration)  # type: ignore[untyped-decorator]
    def changed(self, key: str, **_: Any) -> Any:
        return call_result.ChangeConfiguration(status="Rejected" if key == "MeterValuesSampledData" else "Accepted")

    @on(Action.get_configuration)  # type: ignore[untyped-decorator]
    def told(self, **_: Any) -> Any:
        return call_result.GetConfiguration(configuration_key=[], unknown_key=["MeterValueSampleInterval"])

    @on(Action.trigger_message)  # type: ignore[untyped-decorator]
    def triggered(self, **_: Any) -> Any:
        return call_result.TriggerMessage(status="NotImplemented")

    @on(Action.set_charging_profile)  # type: ignore[untyped-decorator]
    def limited(self, **_: Any) -> Any:
        return call_result.SetChargingProfile(status="NotSupported")

    @on(Action.remote_start_transaction)  # type: ignore[untyped-decorator]
    def begins(self, **_: Any) -> Any:
        self.charging = asyncio.get_running_loop().create_task(self.charge())
        return call_result.RemoteStartTransaction(status="Accepted")

    @on(Action.remote_stop_transaction)  # type: ignore[untyped-decorator]
    def ends(self, **_: Any) -> Any:
        return call_result.RemoteStopTransaction(status="Rejected")

    def at(self) -> str:
        return (datetime.now(UTC) - timedelta(hours=1)).isoformat()

    async def report(self, status: ChargePointStatus) -> None:
        said = call.StatusNotification(connector_id=1, error_code=ChargePointErrorCode.no_error, status=status)
        await self.call(said)

    async def charge(self) -> None:
        start = call.StartTransaction(connector_id=1, id_tag="CHECK", meter_start=0, timestamp=self.at())
        answer = await self.call(start)
        await self.report(ChargePointStatus.charging)
        while True:
            self.register_wh += 10
            sampled = {"value": str(self.register_wh), "context": "Sample.Periodic"}
            values = [{"timestamp": self.at(), "sampled_value": [sampled]}]
            await self.call(call.MeterValues(connector_id=1, transaction_id=answer.transaction_id, meter_value=values))
            await asyncio.sleep(0.2)


def outcomes(report: Report) -> dict[str, Outcome]:
    return {one.id: one.outcome for one in report.results}


async def test_a_poor_station_fails_what_it_does_not_do(tmp_path: Path) -> None:
    wanted, checks = load_list("ev.energy")
    said: list[str] = []
    quick = tuple(
        msgspec.structs.replace(check, within_s=min(check.within_s, 2.0)) if hasattr(check, "within_s") else check
        for check in checks
    )
    async with bench(
        (Listener(host="127.0.0.1", port=0),), tmp_path, said.append, token="CHECK", password=None, hurry_s=1.0
    ) as (made, server):
        made.suites = wanted.tls_suites
        url = f"ws://127.0.0.1:{server.port}/ocpp/POOR"
        async with websockets.connect(url, subprotocols=[websockets.Subprotocol("ocpp1.6")]) as socket:
            poor = Poor("POOR", socket)
            running = asyncio.create_task(poor.start())
            boot = call.BootNotification(charge_point_vendor="Poor", charge_point_model="One")
            assert (await poor.call(boot)).status == RegistrationStatus.accepted
            await poor.report(ChargePointStatus.available)
            report = await examine(
                wanted, quick, made, PATIENCE_S, frozenset({"firmware-by-manufacturer"}), said.append
            )
        for task in (running, poor.charging):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError, websockets.ConnectionClosed):
                    await task
    assert outcomes(report) == {
        "protocol": Outcome.PASSED,
        "wss": Outcome.FAILED,
        "tls-version": Outcome.FAILED,
        "tls-cipher": Outcome.FAILED,
        "authentication": Outcome.FAILED,
        "boot": Outcome.PASSED,
        "boot-details": Outcome.FAILED,
        "measurands": Outcome.FAILED,
        "interval": Outcome.PASSED,
        "trigger-boot": Outcome.FAILED,
        "trigger-status": Outcome.FAILED,
        "status-available": Outcome.PASSED,
        "remote-start": Outcome.PASSED,
        "status-charging": Outcome.PASSED,
        "meter-start": Outcome.PASSED,
        "meter-energy": Outcome.PASSED,
        "meter-power": Outcome.FAILED,
        "meter-interval": Outcome.PASSED,
        "clock": Outcome.FAILED,
        "smart-charging": Outcome.FAILED,
        "status-suspended": Outcome.NOT_SEEN,
        "remote-stop": Outcome.FAILED,
        "meter-stop": Outcome.NOT_SEEN,
        "firmware": Outcome.NOT_APPLICABLE,
        "status-faulted": Outcome.NOT_SEEN,
        "remote-access": Outcome.NOT_APPLICABLE,
    }
    assert not report.passed
    evidence = {one.id: one.evidence for one in report.results}
    assert any('"status":"NotSupported"' in line.replace(" ", "") for line in evidence["smart-charging"])
    assert "without TLS" in evidence["wss"][0]
    assert "Plug in a car that is not full." in said
    assert msgspec.json.decode(to_json(report), type=Report) == report
    suite = ET.fromstring(to_junit(report))
    assert int(suite.get("failures", "")) == len(suite.findall("testcase/failure")) > 8
    assert suite.find("testcase[@name='boot: BootNotification with vendor and model']/failure") is None


async def test_nobody_comes(tmp_path: Path) -> None:
    wanted, checks = load_list("ev.energy")
    listeners = (Listener(host="127.0.0.1", port=0),)
    async with bench(listeners, tmp_path, print, token="T", password=None, hurry_s=None) as (made, _):
        report = await examine(wanted, checks, made, 0.3, frozenset(), print)
    assert set(outcomes(report).values()) == {Outcome.NOT_SEEN}
    assert (report.station_id, report.passed) == (None, False)


@pytest.mark.parametrize("name", shipped())
def test_each_list_that_is_shipped_can_be_read(name: str) -> None:
    wanted, checks = load_list(name)
    assert isinstance(wanted, CheckList)
    assert len({one.id for one in wanted.requirement}) == len(checks)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('check = "nothing"', "requirement[0].check"),
        ('check = "status"', "requirement[0].options"),
        ('check = "status"\noptions = { any_of = ["A"], more = 1 }', "requirement[0].options"),
    ],
)
def test_a_list_that_cant_be_is_refused_with_its_field(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(f'title = "T"\n[[requirement]]\nid = "a"\ntitle = "A"\n{text}\n')
    with pytest.raises(ConfigError, match=re.escape(words)):
        load_list(str(path))


GOOD = """
id = "CP1"
csms = ["wss://localhost:{port}/ocpp"]
security_profile = 2
password = "0123456789abcdef0123"
ca_directory = "{ca}"
serial_number = "S1"
firmware_version = "1.0"
reading_every_s = 0.5
[backoff]
wait_minimum_s = 0.5
random_range_s = 0.0
"""


@pytest.mark.slow
async def test_our_own_station_passes_every_requirement(tmp_path: Path) -> None:
    (tmp_path / "ca").mkdir()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "forecourt.app.main", "check", "ev.energy", "--host", "127.0.0.1",
        "--name", "localhost", "--port", "0", "--plain-port", "0", "--root", str(tmp_path / "ca" / "root.pem"),
        "--password", "0123456789abcdef0123", "--interval", "2", "--timeout", str(PATIENCE_S),
        "--json", str(tmp_path / "report.json"), "--junit", str(tmp_path / "report.xml"),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    lines: list[str] = []

    async def line() -> str:
        assert process.stdout is not None
        read = (await process.stdout.readline()).decode()
        lines.append(read)
        return read

    try:
        async with asyncio.timeout(PATIENCE_S):
            found = re.search(r"wss://localhost:(\d+)/", await line())
            assert found is not None, lines
            config = tmp_path / "station.toml"
            config.write_text(GOOD.format(port=found[1], ca=tmp_path / "ca"))
            async with station_process(config) as station:
                while read := await line():
                    if "Plug in a car" in read:
                        await station.do("/evses/1/plug-in", {"initial_soc_percent": 20.0, "maximum_a": 16.0})
                    elif "passed: The end of a transaction" in read:
                        await station.do("/evses/1/faults", {"code": "GroundFailure"})
            code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
    results = {one["id"]: one for one in json.loads((tmp_path / "report.json").read_text())["results"]}
    wrong = {name: one for name, one in results.items() if one["outcome"] in {"failed", "not_seen"}}
    wrong.pop("status-faulted", None)
    assert not wrong, json.dumps(wrong, indent=1)
    assert code == 0
    assert "TLSv1.2" in results["tls-version"]["evidence"][0]
    assert int(ET.parse(tmp_path / "report.xml").getroot().get("failures", "")) == 0
