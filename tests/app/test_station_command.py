"""`forecourt station` as a process: what a hand does through its control API, and what a killed process leaves."""

import asyncio
import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ocpp.v16 import call
from tests.app.stations import PATIENCE_S, StationProcess, station_process
from tests.net.central_v16 import CentralSystem, Office, office

CONFIG = """
id = "CP 1"
csms = "ws://127.0.0.1:{port}/ocpp"
vendor_name = "Acme"
model = "Twin"
serial_number = "S-1"
reading_every_s = 0.2

[[evses]]
[[evses]]
has_lock = false
maximum_a = 16.0

[backoff]
wait_minimum_s = 0.1
random_range_s = 0.0
repeat_times = 0

[variables]
HeartbeatInterval = 77
LocalPreAuthorize = true
"SampledDataCtrlr.TxUpdatedInterval" = 1
{more}
"""

CAR = {"phases": 3, "maximum_a": 16.0, "battery_wh": 50_000, "initial_soc_percent": 40}


def written(folder: Path, central: Office | None = None, more: str = "") -> Path:
    path = folder / "station.toml"
    path.write_text(CONFIG.format(port=1 if central is None else central.port, more=more), encoding="utf-8")
    return path


def accepted(state: Any) -> bool:
    return bool(state["registration"] == "Accepted")


async def greeted(station: StationProcess) -> None:
    """The answer to the last call after a boot, which tells of the start (StartupOfTheDevice), is there."""
    answers = "/ocpp-messages?action=SecurityEventNotification&direction=received"
    async with asyncio.timeout(PATIENCE_S):
        while not (await station.get(answers))["items"]:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)


def energy_wh(state: Any) -> float:
    transaction = state["evses"][0]["transaction"]
    return 0.0 if transaction is None else float(transaction["energy_wh"])


async def charging(station: StationProcess) -> Any:
    """A car at EVSE 1 that has taken some energy; the state then."""
    await station.do("/evses/1/plug-in", CAR)
    await station.do("/evses/1/present-token", {"id_token": "ALICE"})
    return await station.until(lambda state: energy_wh(state) > 1.0)


async def test_a_whole_session_by_hand(tmp_path: Path) -> None:
    async with office() as central, station_process(written(tmp_path, central)) as station:
        await station.until(accepted)
        boot = central.told("BootNotification")[0]
        assert (boot["charge_point_vendor"], boot["charge_point_model"]) == ("Acme", "Twin")
        assert boot["charge_point_serial_number"] == "S-1"
        asked = call.GetConfiguration(key=["HeartbeatInterval", "LocalPreAuthorize", "MeterValueSampleInterval"])
        told = await central.newest.call(asked)
        values = {entry["key"]: entry["value"] for entry in told.configuration_key}
        assert values["LocalPreAuthorize"] == "true"
        assert values["MeterValueSampleInterval"] == "1"

        plugged = await station.do("/evses/1/plug-in", CAR)
        assert (plugged["pilot"], plugged["car"]["soc_percent"]) == ("B", 40.0)
        await central.until(lambda: central.statuses(1)[-1:] == ["Preparing"])
        await station.do("/evses/1/present-token", {"id_token": "ALICE", "type": "ISO14443"})
        state = await station.until(lambda state: energy_wh(state) > 1.0)
        evse = state["evses"][0]
        assert evse["transaction"]["csms_transaction_id"] == "701"
        assert evse["transaction"]["id_token"] == {"value": "ALICE", "type": "ISO14443"}
        assert evse["limit"]["offered_a"] == 32.0
        assert "hardware" in evse["limit"]["reason"]

        await station.do("/evses/1/suspend")
        await central.until(lambda: central.statuses(1)[-1:] == ["SuspendedEV"])
        await station.do("/evses/1/resume")
        await central.until(lambda: central.statuses(1)[-1:] == ["Charging"])
        await station.do("/evses/1/present-token", {"id_token": "ALICE"})
        await central.until(lambda: bool(central.told("StopTransaction")))
        await station.do("/evses/1/unplug")
        await central.until(lambda: central.statuses(1)[-1:] == ["Available"])
        stop = central.told("StopTransaction")[0]
        assert (stop["transaction_id"], stop["reason"]) == (701, "Local")
        assert stop["meter_stop"] == pytest.approx((await station.evse())["register_wh"], abs=1.0)


async def test_the_control_port_answers_without_a_csms_and_never_waits_for_one(tmp_path: Path) -> None:
    async with station_process(written(tmp_path)) as station:
        state = await station.get("/state")
        assert (state["connected"], state["registration"], state["outbox"]["depth"]) == (False, "Unknown", 0)
        assert [evse["register_wh"] for evse in state["evses"]] == [0.0, 0.0], "a fresh meter"
        assert (await station.do("/evses/1/plug-in"))["connector_status"] == "Occupied"
        await station.do("/evses/1/present-token", {"id_token": "ALICE"})
        await station.do("/reboot")
        state = await station.until(lambda state: state["reboots"] == 1 and not state["restarting"])
        assert state["evses"][0]["plug_present"], "restarting moves no plug"
        assert (await station.get("/ocpp-messages"))["items"] == []


async def test_a_vendors_message_is_said_by_hand(tmp_path: Path) -> None:
    message = {"vendor_id": "com.example", "message_id": "Hello", "data": "{}"}
    async with office() as central, station_process(written(tmp_path, central)) as station:
        await station.until(accepted)
        await station.do("/data-transfer", message)
        await central.until(lambda: central.told("DataTransfer") == [message])
        await station.do("/link/disconnect")
        await station.until(lambda state: not state["connected"])
        refused = await station.do("/data-transfer", message, expect=409)
        assert refused["detail"] == "the CSMS can't be asked now"


async def test_variables_are_read_and_set_by_hand(tmp_path: Path) -> None:
    async with station_process(written(tmp_path)) as station:
        asked = {"ConnectionTimeOut": "17", "TxCtrlr.StopTxOnInvalidId": "maybe", "NumberOfConnectors": "9"}
        told = await station.do("/variables", {"variables": asked})
        outcomes = {
            "ConnectionTimeOut": "Accepted",
            "TxCtrlr.StopTxOnInvalidId": "Rejected",
            "NumberOfConnectors": "Rejected",
        }
        assert told["variables"] == outcomes
        assert (await station.get("/variables"))["variables"]["TxCtrlr.EVConnectionTimeOut"] == "17"
        assert "BasicAuthPassword" not in str(await station.get("/variables"))
        refused = await station.do("/variables", {"variables": {".": "1"}}, expect=422)
        assert refused["errors"][0]["field"] == "variables"


class Refusing(CentralSystem):
    """Can't take the end of a transaction until somebody has mended it."""

    mended = False

    def _note(self, action: str, payload: dict[str, Any]) -> None:
        super()._note(action, payload)
        if action == "StopTransaction" and not Refusing.mended:
            raise RuntimeError("the books are shut")


async def test_what_the_csms_refused_too_often_is_seen_and_sent_again_by_hand(tmp_path: Path) -> None:
    more = "TransactionMessageAttempts = 2\nTransactionMessageRetryInterval = 0"
    Refusing.mended = False
    async with office(Refusing) as central, station_process(written(tmp_path, central, more)) as station:
        await station.until(accepted)
        await charging(station)
        await station.do("/evses/1/stop")
        await station.until(lambda state: state["outbox"] == {"depth": 0, "set_aside": 1, "unreadable": 0})
        (aside,) = (await station.get("/outbox"))["items"]
        assert (aside["part"], aside["refusals"], aside["set_aside"]) == ("end", 2, True)
        refused = await station.do("/outbox/resend", {"seq": aside["seq"] + 1}, expect=409)
        assert "not set aside" in refused["detail"]
        Refusing.mended = True
        await station.do("/outbox/resend", {"seq": aside["seq"]})
        await station.until(lambda state: state["outbox"] == {"depth": 0, "set_aside": 0, "unreadable": 0})
        first, *others = central.told("StopTransaction")
        assert others == [first, first], "unchanged, its time included"


async def test_a_silent_csms_holds_nothing_up(tmp_path: Path) -> None:
    async with office() as central, station_process(written(tmp_path, central)) as station:
        await station.until(accepted)
        await greeted(station)

        async def unanswered(*_: Any) -> None:
            pass

        central.newest.route_message = unanswered
        for _ in range(3):
            await station.do("/evses/1/plug-in", CAR)
            await station.do("/evses/1/present-token", {"id_token": "BOB"})
            await station.do("/evses/1/unplug")
        sent = (await station.get("/ocpp-messages?direction=sent"))["items"]
        assert sent[0]["action"] in {"StatusNotification", "Authorize"}


async def test_what_cannot_be_is_said_with_its_reason(tmp_path: Path) -> None:
    async with station_process(written(tmp_path)) as station:
        await station.do("/evses/1/dance", expect=404)
        await station.do("/dance", expect=404)
        assert "no EVSE 3" in (await station.do("/evses/3/unplug", expect=404))["detail"]
        assert "no car" in (await station.do("/evses/1/unplug", expect=409))["detail"]
        assert "no car" in (await station.do("/evses/1/suspend", expect=409))["detail"]
        contract = {"emaid": "DE8AACA2B3C4D5", "certificate_chain": "PEM"}
        assert "no car" in (await station.do("/evses/1/present-contract", contract, expect=409))["detail"]
        wanted = {"exi_request": "ZXhp"}
        assert "no car" in (await station.do("/evses/1/want-ev-certificate", wanted, expect=409))["detail"]
        assert "no lock" in (await station.do("/evses/2/lock-failure", expect=409))["detail"]
        await station.do("/evses/1/plug-in", CAR)
        assert "already" in (await station.do("/evses/1/plug-in", CAR, expect=409))["detail"]
        response = await station.client.delete("/evses/1/faults/GroundFailure")
        assert response.status_code == 404

        async def field(path: str, body: Any) -> str:
            (error,) = (await station.do(path, body, expect=422))["errors"]
            return str(error["field"])

        assert await field("/evses/2/plug-in", {"phases": 4}) == "phases"
        assert await field("/evses/2/plug-in", {"maximum_a": "16"}) == "maximum_a"
        assert await field("/evses/2/plug-in", {"colour": "red"}) == "colour"
        assert await field("/evses/1/present-token", {"type": "ISO14443"}) == "id_token"
        assert await field("/evses/1/present-token", {"id_token": "A", "type": "paper"}) == "type"
        assert await field("/evses/1/faults", {"code": "NoError"}) == "code"
        assert (await station.client.get("/composite-schedule?evse_id=9")).status_code == 404
        assert (await station.client.get("/composite-schedule?evseid=1")).status_code == 422
        assert (await station.client.get("/ocpp-messages?cursor=x")).status_code == 422
        broken = await station.client.post(
            "/evses/2/plug-in", content=b"{", headers={"content-type": "application/json"}
        )
        assert broken.status_code == 400
        foreign = await station.client.get("/state", headers={"origin": "https://elsewhere.example"})
        assert foreign.status_code == 403
        described = await station.get("/openapi.json")
        assert "/evses/{evse_id}/plug-in" in described["paths"]
        assert described["paths"]["/reboot"]["post"]["operationId"] == "reboot"


async def test_faults_locks_and_the_link(tmp_path: Path) -> None:
    async with office() as central, station_process(written(tmp_path, central)) as station:
        await station.until(accepted)
        body = {"code": "GroundFailure", "origin": "board", "error_type": "gfi/tripped", "message": "wet"}
        await station.do("/evses/1/faults", body)
        await central.until(lambda: central.statuses(1)[-1:] == ["Faulted"])
        told = central.told("StatusNotification")[-1]
        assert (told["error_code"], told["info"], told["vendor_error_code"]) == (
            "GroundFailure",
            "board",
            "gfi/tripped",
        )
        assert (await station.client.delete("/evses/1/faults/GroundFailure")).status_code == 200
        await central.until(lambda: central.statuses(1)[-1:] == ["Available"])
        await station.do("/evses/0/faults", {"code": "WeakSignal"})
        await central.until(lambda: central.told("StatusNotification")[-1]["error_code"] == "WeakSignal")
        assert central.statuses(0)[-1] == "Available", "a warning"

        await station.do("/evses/1/lock-failure")
        await station.do("/evses/1/plug-in", CAR)
        await station.do("/evses/1/present-token", {"id_token": "ALICE"})
        await central.until(lambda: central.statuses(1)[-1:] == ["Faulted"])
        assert central.told("StatusNotification")[-1]["error_code"] == "ConnectorLockFailure"
        assert (await station.client.delete("/evses/1/lock-failure")).status_code == 200

        await station.do("/link/disconnect")
        await station.until(lambda state: not state["connected"] and not state["link_wanted"])
        connections = len(central.connections)
        await station.do("/link/connect")
        await station.until(lambda state: state["connected"])
        await central.until(lambda: len(central.connections) == connections + 1)


async def test_frames_are_shown_as_they_went_but_for_passwords(tmp_path: Path) -> None:
    async with office() as central, station_process(written(tmp_path, central)) as station:
        await station.until(accepted)
        await central.until(lambda: len(central.told("StatusNotification")) == 3)
        changed = await central.newest.call(call.ChangeConfiguration("AuthorizationKey", "0123456789abcdef"))
        assert changed is not None
        page = await station.get("/ocpp-messages?limit=3")
        rest = await station.get(f"/ocpp-messages?cursor={page['next_cursor']}")
        frames = [*page["items"], *rest["items"]]
        assert [frame["id"] for frame in frames] == list(range(len(frames), 0, -1))
        assert rest["next_cursor"] is None
        first = frames[-1]
        assert (first["direction"], first["action"]) == ("sent", "BootNotification")
        assert json.loads(first["frame"])[3]["chargePointModel"] == "Twin"
        assert frames[-2]["action"] == "BootNotification", "an answer has the action of its call"
        assert not any("0123456789abcdef" in frame["frame"] for frame in frames)


async def test_killed_in_a_transaction_it_goes_on_from_there(tmp_path: Path) -> None:
    state_dir = tmp_path / "state"
    async with office() as central:
        config = written(tmp_path, central)
        async with station_process(config, "--state-dir", str(state_dir)) as station:
            await station.until(accepted)
            before = await charging(station)
            await station.kill()
        async with station_process(config, "--state-dir", str(state_dir)) as station:
            after = await station.until(lambda state: accepted(state) and energy_wh(state) > energy_wh(before) + 1.0)
            evse = after["evses"][0]
            assert evse["transaction"]["transaction_id"] == before["evses"][0]["transaction"]["transaction_id"]
            assert evse["car"]["soc_percent"] >= before["evses"][0]["car"]["soc_percent"]
            await station.do("/evses/1/present-token", {"id_token": "ALICE"})
            await central.until(lambda: bool(central.told("StopTransaction")))
        assert len(central.told("StartTransaction")) == 1
        stop = central.told("StopTransaction")[0]
        assert stop["transaction_id"] == 701
        registers = [
            float(sample["value"])
            for told in central.told("MeterValues")
            for value in told["meter_value"]
            for sample in value["sampled_value"]
        ]
        assert all(later >= earlier for earlier, later in itertools.pairwise([*registers, stop["meter_stop"]]))


def back_after(cuts: int) -> Callable[[Any], bool]:
    """Whether the station is up again after so many power cuts."""
    return lambda state: state["reboots"] == cuts and not state["restarting"]


async def test_offline_and_killed_again_and_again_no_billing_message_is_lost(tmp_path: Path) -> None:
    state_dir = tmp_path / "state"
    async with office() as central:
        config = written(tmp_path, central)
        async with station_process(config, "--state-dir", str(state_dir)) as station:
            await station.until(accepted)
            await station.do("/link/disconnect")
            await station.until(lambda state: not state["connected"])
            await station.do("/evses/1/plug-in", CAR)
            # A token nobody offline knows is refused; the car waits.
            await station.do("/evses/1/present-token", {"id_token": "ALICE"})
            await station.do("/link/connect")
            await station.until(lambda state: state["connected"])
            await station.do("/evses/1/present-token", {"id_token": "ALICE"})
            await station.until(lambda state: energy_wh(state) > 1.0)
            await station.do("/link/disconnect")
            await station.until(lambda state: not state["connected"])
            await station.do("/evses/1/stop")
            state = await station.until(lambda state: state["outbox"]["depth"] > 0)
            depth, register_wh = state["outbox"]["depth"], state["evses"][0]["register_wh"]
            for cuts in (1, 2):
                await station.do("/reboot", {"power_cut": True})
                state = await station.until(back_after(cuts))
                assert (state["connected"], state["outbox"]["depth"]) == (False, depth)
                assert state["evses"][0]["register_wh"] >= register_wh
                assert state["evses"][0]["plug_present"]
            await station.kill()
        async with station_process(config, "--state-dir", str(state_dir)) as station:
            await central.until(lambda: bool(central.told("StopTransaction")))
            await station.until(lambda state: state["outbox"]["depth"] == 0)
        assert len(central.told("StartTransaction")) == len(central.told("StopTransaction")) == 1


async def test_a_power_cut_by_hand_lets_the_transaction_go_on(tmp_path: Path) -> None:
    async with office() as central, station_process(written(tmp_path, central)) as station:
        await station.until(accepted)
        before = await charging(station)
        state = await station.do("/reboot", {"power_cut": True})
        assert state["restarting"]
        assert "down" in (await station.do("/evses/1/present-token", {"id_token": "BOB"}, expect=409))["detail"]
        await station.until(lambda state: accepted(state) and energy_wh(state) > energy_wh(before) + 1.0)
        assert len(central.told("BootNotification")) == 2
        assert not central.told("StopTransaction")


async def test_a_reboot_ends_the_transaction_and_says_why(tmp_path: Path) -> None:
    async with office() as central, station_process(written(tmp_path, central)) as station:
        await station.until(accepted)
        await charging(station)
        await station.do("/reboot")
        await central.until(lambda: len(central.told("BootNotification")) == 2)
        assert central.told("StopTransaction")[0]["reason"] == "Reboot"


async def test_a_car_that_leaves_by_itself(tmp_path: Path) -> None:
    async with station_process(written(tmp_path)) as station:
        plugged = await station.do("/evses/2/plug-in", {**CAR, "unplug_after_s": 0.5})
        assert plugged["car"]["leaves_at"] is not None
        await station.until(lambda state: state["evses"][1]["car"] is None)


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "forecourt.app.main", "station", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ("NoSuchKey = 1", "no such variable"),
        ("ConnectionTimeOut = 5\n'TxCtrlr.EVConnectionTimeOut' = 6", "by another name"),
        ("HeartbeatIntervall = 5", "no such variable"),
        ("ConnectionTimeOut = 'soon'", "expected an integer"),
        ("'TxCtrlr.' = 1", "expected names such as"),
    ],
)
def test_a_variable_that_cannot_be_is_named(tmp_path: Path, more: str, complaint: str) -> None:
    done = command("--config", str(written(tmp_path, more=more)))
    assert (done.returncode, complaint in done.stderr) == (2, True), done.stderr


def test_a_control_address_that_cannot_be(tmp_path: Path) -> None:
    done = command("--control", "nowhere")
    assert done.returncode == 2
    assert "HOST:PORT" in done.stderr


LIBOCPP = {
    "Internal": {
        "ChargePointId": "cp001",
        "CentralSystemURI": "127.0.0.1:8180/steve/websocket/CentralSystemService/",
        "ChargePointModel": "Yeti",
        "ChargePointVendor": "Pionix",
        "ICCID": "89100",
        "RetryBackoffWaitMinimum": 3,
        "UseTPM": False,
        "SupportedMeasurands": "Energy.Active.Import.Register,Voltage",
    },
    "Core": {
        "NumberOfConnectors": 2,
        "ConnectionTimeOut": 120,
        "LocalPreAuthorize": True,
        "HeartbeatInterval": 900,
        "MeterValuesSampledData": "Energy.Active.Import.Register,Voltage.L1",
        "BlinkRepeat": 3,
    },
    "SmartCharging": {"ChargingScheduleAllowedChargingRateUnit": "Current,Power"},
    "Security": {"SecurityProfile": 2, "AuthorizationKey": 'DEAD"BEEF'},
}


def test_a_libocpp_configuration_becomes_ours(tmp_path: Path) -> None:
    from forecourt.app.config import load
    from forecourt.app.station_file import StationFile, station_config, uplink_of
    from forecourt.station.config import StationConfig
    from forecourt.station.variable_table import CONNECTION_TIMEOUT, RATE_UNIT

    source, target = tmp_path / "ocpp.json", tmp_path / "station.toml"
    source.write_text(json.dumps(LIBOCPP), encoding="utf-8")
    printed = command("--import-libocpp", str(source))
    assert printed.returncode == 0, printed.stderr
    assert command("--import-libocpp", str(source), "--config", str(target)).returncode == 0
    assert target.read_text(encoding="utf-8") == printed.stdout
    assert command("--import-libocpp", str(source), "--config", str(target)).returncode == 3, "never written over"

    settings = load(target, StationFile)
    config: StationConfig = station_config(settings)
    assert uplink_of(settings).url == "wss://127.0.0.1:8180/steve/websocket/CentralSystemService/cp001"
    assert (settings.password, settings.security_profile) == ('DEAD"BEEF', 2)
    assert (settings.vendor_name, settings.model, settings.modem_iccid) == ("Pionix", "Yeti", "89100")
    assert (len(config.evses), len(config.measurands), settings.backoff.wait_minimum_s) == (2, 2, 3)
    assert config.variables[CONNECTION_TIMEOUT] == "120"
    assert config.variables[RATE_UNIT] == "A,W"
    comments = [line for line in printed.stdout.splitlines() if line.startswith("# Internal.UseTPM")]
    assert comments == ["# Internal.UseTPM = false: this station has no such variable"]


@pytest.mark.parametrize(
    ("text", "complaint"), [("[]", "Internal"), ("{", "not JSON"), ('{"Internal": {}, "Core": 3}', "one object")]
)
def test_what_is_no_libocpp_configuration(tmp_path: Path, text: str, complaint: str) -> None:
    source = tmp_path / "ocpp.json"
    source.write_text(text, encoding="utf-8")
    done = command("--import-libocpp", str(source))
    assert (done.returncode, complaint in done.stderr) == (2, True), done.stderr
