"""A fleet on real sockets against an independent central system: what it sends, what it counts, how models differ."""

import asyncio
import io
import json
from typing import Any

import pytest
from ocpp.v16 import call
from tests.net.central_v16 import office

from forecourt.dialect.v16 import V16
from forecourt.sim.fleet.edge import _rewritten
from forecourt.sim.fleet.fleet import Fleet, Model
from forecourt.sim.fleet.report import FleetReport, for_a_person
from forecourt.sim.fleet.scenario import Connect, Drivers, Dropout, Scenario, Spike
from forecourt.sim.fleet.template import Quirks, StationTemplate
from forecourt.station.config import EvseConfig

QUICK = Connect(over_s=0.2, backoff_s=0.1)
DRIVERS = Drivers(stay_s=(2.0, 2.5), energy_wh=(50_000.0, 50_000.0), taps_after_s=(0.1, 0.2))


def template(**changed: Any) -> StationTemplate:
    told: dict[str, Any] = {
        "evses": (EvseConfig(has_lock=False),),
        "reading_every_s": 0.2,
        "variables": {"MeterValueSampleInterval": 1, "MeterValuesSampledData": "Energy.Active.Import.Register,Voltage"},
        **changed,
    }
    return StationTemplate(**told)


def fleet(port: int, scenario: Scenario, *models: StationTemplate, number: int = 5, **how: Any) -> Fleet:
    spoken = [Model(model, V16) for model in models or (template(),)]
    return Fleet(spoken, number, f"ws://127.0.0.1:{port}/ocpp", scenario, **how)


async def run(made: Fleet) -> FleetReport:
    async with asyncio.timeout(60):
        return await made.run()


async def test_what_is_reported_is_what_the_central_system_heard() -> None:
    record = io.BytesIO()
    scenario = Scenario(duration_s=5.0, connect=QUICK, drivers=DRIVERS, spikes=(Spike(at_s=0.5, over_s=0.5),))
    async with office() as central:
        report = await run(fleet(central.port, scenario, record=record))
        heard = {action: len(central.told(action)) for action, _ in central.heard}
    assert {action: calls.sent for action, calls in report.calls.items()} == heard
    assert all(calls.answered == calls.sent and not calls.errors for calls in report.calls.values())
    assert (report.accepted, report.connected_most, report.connections) == (5, 5, 5)
    assert report.transactions_started == report.transactions_ended == len(central.told("StartTransaction")) == 5
    assert report.calls["StartTransaction"].latency.count == 5
    stops = sorted(told["meter_stop"] for told in central.told("StopTransaction"))
    assert stops == sorted(round(booking.last_wh) for booking in report.transactions)
    assert {told["id_tag"] for told in central.told("StartTransaction")} == {
        booking.id_token for booking in report.transactions
    }
    assert report.energy_wh > 0.0
    lines = [json.loads(line) for line in record.getvalue().splitlines()]
    assert sum(line["direction"] == "sent" for line in lines) == report.frames_sent
    assert sum(len(line["frame"]) for line in lines if line["direction"] == "received") == report.bytes_received
    text = for_a_person(report)
    assert "5 transactions started, 5 ended" in text
    assert "StopTransaction" in text


async def test_dropouts_lose_no_transaction() -> None:
    scenario = Scenario(
        duration_s=6.0,
        connect=QUICK,
        drivers=DRIVERS,
        spikes=(Spike(at_s=0.5, over_s=0.1),),
        dropouts=(Dropout(at_s=2.0, for_s=2.0),),
    )
    async with office() as central:
        report = await run(fleet(central.port, scenario))
        assert len(central.told("StopTransaction")) == len(central.told("StartTransaction")) == 5
    assert (report.connections, report.waiting, report.transactions_ended) == (10, 0, 5)
    assert len(central.told("BootNotification")) == 5, "a reconnect is no boot"


async def test_without_a_csms_the_report_says_so() -> None:
    report = await run(fleet(1, Scenario(duration_s=0.6, drain_s=0.1, connect=QUICK)))
    assert (report.connected_most, report.accepted, report.frames_sent, report.calls) == (0, 0, 0, {})


async def test_quirks_stay_at_the_edge() -> None:
    rough = template(
        quirks=Quirks(
            values_as_numbers=True,
            energy_in_kwh=True,
            no_values_by_phase=True,
            late_status_s=1.0,
            boots_on_reconnect=True,
            refused_actions=("GetConfiguration",),
            refused_purposes=("TxProfile",),
            slow_answers_s=0.3,
        )
    )
    record = io.BytesIO()
    scenario = Scenario(
        duration_s=6.0,
        drain_s=3.0,
        connect=QUICK,
        drivers=DRIVERS,
        spikes=(Spike(at_s=0.5, over_s=0.0),),
        dropouts=(Dropout(at_s=4.0, for_s=0.2),),
    )
    async with office() as central:
        made = fleet(central.port, scenario, rough, number=1, record=record)
        running = asyncio.create_task(run(made))
        await central.until(lambda: bool(central.told("StartTransaction")))
        assert not central.told("StatusNotification"), "they come later"
        began_s = asyncio.get_running_loop().time()
        unlocked = await central.newest.call(call.UnlockConnector(1))
        assert asyncio.get_running_loop().time() - began_s >= 0.3
        assert unlocked is not None
        assert await central.newest.call(call.GetConfiguration()) is None, "an error"
        profile = {
            "charging_profile_id": 1,
            "stack_level": 0,
            "charging_profile_kind": "Relative",
            "charging_profile_purpose": "TxProfile",
            "charging_schedule": {
                "charging_rate_unit": "A",
                "charging_schedule_period": [{"start_period": 0, "limit": 6.0}],
            },
        }
        answer = await central.newest.call(call.SetChargingProfile(1, profile))
        assert answer.status == "Rejected"
        profile["charging_profile_purpose"] = "TxDefaultProfile"
        answer = await central.newest.call(call.SetChargingProfile(1, profile))
        assert answer.status == "Accepted"
        report = await running
    assert len(central.told("BootNotification")) == 2
    assert central.told("StatusNotification")
    sent = [json.loads(json.loads(line)["frame"]) for line in record.getvalue().splitlines()]
    values = [
        sample
        for frame in sent
        if frame[0] == 2 and frame[2] == "MeterValues"
        for value in frame[3]["meterValue"]
        for sample in value["sampledValue"]
    ]
    assert values
    assert all(sample["unit"] == "kWh" and isinstance(sample["value"], float) for sample in values)
    assert not any("phase" in sample for sample in values)
    assert report.requests_received["SetChargingProfile"] == 2
    assert report.errors_sent == 1


async def test_models_take_turns() -> None:
    async with office() as central:
        scenario = Scenario(duration_s=2.0, connect=QUICK)
        await run(fleet(central.port, scenario, template(model="One"), template(model="Two"), number=4))
        models = sorted(told["charge_point_model"] for told in central.told("BootNotification"))
        serials = {told["charge_point_serial_number"] for told in central.told("BootNotification")}
    assert models == ["One", "One", "Two", "Two"]
    assert serials == {f"FLEET-{number:05d}" for number in range(1, 5)}


def test_a_template_with_a_variable_that_no_station_has_is_refused() -> None:
    with pytest.raises(ValueError, match="no such variable"):
        fleet(1, Scenario(), template(variables={"Colour": "red"}))


@pytest.mark.parametrize(
    ("sample", "becomes"),
    [
        ({"value": "1234.5"}, {"value": "1.2345", "unit": "kWh"}),
        ({"value": "10", "measurand": "Energy.Active.Import.Register", "unit": "Wh"}, {"value": "0.01", "unit": "kWh"}),
        ({"value": 10.0, "measurand": "Energy.Active.Net", "unitOfMeasure": {"unit": "Wh"}}, {"value": 0.01}),
        ({"value": "OCMF|x", "format": "SignedData"}, {"value": "OCMF|x"}),
        ({"value": "230", "measurand": "Voltage", "unit": "V"}, {"value": "230", "unit": "V"}),
        ({"value": "5", "measurand": "Energy.Reactive.Net", "unit": "varh"}, {"value": "5", "unit": "varh"}),
    ],
)
def test_energy_in_kwh(sample: dict[str, Any], becomes: dict[str, Any]) -> None:
    frame = json.dumps([2, "1", "MeterValues", {"meterValue": [{"sampledValue": [sample]}]}]).encode()
    (found,) = json.loads(_rewritten(frame, Quirks(energy_in_kwh=True)))[3]["meterValue"][0]["sampledValue"]
    assert {name: found.get(name) for name in becomes} == becomes


def test_a_meter_value_of_phases_only_keeps_them() -> None:
    sample = {"value": "1", "phase": "L1", "measurand": "Current.Import"}
    frame = json.dumps([2, "1", "MeterValues", {"meterValue": [{"sampledValue": [sample]}]}]).encode()
    rewritten = json.loads(_rewritten(frame, Quirks(no_values_by_phase=True)))
    assert rewritten[3]["meterValue"][0]["sampledValue"] == [sample], "an empty list is no message"
