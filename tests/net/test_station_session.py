"""Our station on a real WebSocket, against a central system made of the PyPI package `ocpp`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ocpp.v16 import call
from ocpp.v201 import call as call_201
from tests.net.central_v16 import Office, office
from tests.net.central_v201 import Csms201
from tests.net.peers import until

from forecourt.dialect.v16 import V16
from forecourt.dialect.v201 import V201
from forecourt.domain.station import StationIdentity
from forecourt.domain.token import IdToken
from forecourt.hardware.simulated import SimulatedEvse
from forecourt.hardware.simulated_station import SimulatedHardware
from forecourt.hardware.vehicle import Vehicle, VehicleSpec
from forecourt.net.backoff import BackoffPolicy
from forecourt.net.connection import Limits
from forecourt.net.station_session import StationSession
from forecourt.net.uplink import Uplink
from forecourt.station.config import EvseConfig, StationConfig
from forecourt.station.inputs import TokenPresented
from forecourt.station.ports import Journal
from forecourt.store.journal import MemoryJournal, SqliteJournal

ALICE = IdToken("ALICE")


class Site:
    """A running station with its simulated hardware."""

    def __init__(self, session: StationSession, hardware: SimulatedHardware) -> None:
        self.session = session
        self.hardware = hardware

    def plug_in(self, evse_id: int = 1) -> None:
        now = self.session.clock.now()
        vehicle = Vehicle(VehicleSpec(ramp_s=0.1, reaction_s=0.0), now.elapsed_s)
        self.session.tell(self.hardware.evses[evse_id].plug_in(vehicle, now))

    def unplug(self, evse_id: int = 1) -> None:
        self.session.tell(self.hardware.evses[evse_id].unplug(self.session.clock.now()))

    def tap(self, id_token: IdToken = ALICE, evse_id: int = 1) -> None:
        self.session.tell([TokenPresented(id_token, evse_id)])


@asynccontextmanager
async def station(
    central: Office, *, dialect: Any = V16, journal: Journal | None = None, evses: int = 2, **settings: Any
) -> AsyncIterator[Site]:
    hardware = SimulatedHardware(SimulatedEvse(number) for number in range(1, evses + 1))
    config = StationConfig(
        identity=StationIdentity(vendor_name="Vendor", model="Model"),
        evses=tuple(EvseConfig() for _ in range(evses)),
        **settings,
    )
    uplink = Uplink(
        url=f"ws://127.0.0.1:{central.port}/ocpp/CP%201",
        backoff=BackoffPolicy(wait_minimum_s=0.05, random_range_s=0.0, repeat_times=0),
    )
    session = StationSession(config, dialect, journal or MemoryJournal(), hardware, uplink, reboot_s=0.05)
    running = asyncio.create_task(session.run())
    try:
        yield Site(session, hardware)
    finally:
        await session.stop()
        await running


async def test_a_session_with_an_independent_central_system(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal")
    async with office() as central, station(central, journal=journal) as site:
        await central.until(lambda: len(central.told("StatusNotification")) == 3)
        assert central.newest.id == "CP%201"
        assert central.told("BootNotification")[0]["charge_point_model"] == "Model"

        changed = await central.newest.call(call.ChangeConfiguration("MeterValueSampleInterval", "1"))
        assert changed.status == "Accepted"
        site.plug_in()
        await central.until(lambda: central.statuses(1) == ["Available", "Preparing"])
        site.tap()
        await central.until(lambda: "Charging" in central.statuses(1))
        await central.until(lambda: len(central.told("MeterValues")) >= 2)
        site.tap()
        await central.until(lambda: "Finishing" in central.statuses(1))
        site.unplug()
        await central.until(lambda: central.statuses(1)[-1] == "Available" and bool(central.told("StopTransaction")))

        start, stop = central.told("StartTransaction")[0], central.told("StopTransaction")[0]
        assert (start["connector_id"], start["id_tag"], start["meter_start"]) == (1, "ALICE", 0)
        assert all(values["transaction_id"] == 701 for values in central.told("MeterValues"))
        assert (stop["transaction_id"], stop["id_tag"], stop["reason"]) == (701, "ALICE", "Local")
        assert stop["meter_stop"] > 0
        assert "transaction_data" not in stop
    journal.close()


async def test_remote_start_profile_and_remote_stop() -> None:
    async with office() as central, station(central) as site:
        await central.until(lambda: len(central.told("StatusNotification")) == 3)
        system = central.newest
        assert (await system.call(call.RemoteStartTransaction("BOB", connector_id=0))) is None  # refused with an error
        started = await system.call(call.RemoteStartTransaction("BOB", connector_id=2))
        assert started.status == "Accepted"
        await central.until(lambda: central.statuses(2)[-1] == "Preparing")
        site.plug_in(2)
        await central.until(lambda: central.statuses(2)[-1] == "Charging")
        limit_profile = {
            "charging_profile_id": 1,
            "transaction_id": 701,
            "stack_level": 0,
            "charging_profile_purpose": "TxProfile",
            "charging_profile_kind": "Absolute",
            "charging_schedule": {
                "charging_rate_unit": "A",
                "start_schedule": datetime.now(UTC).isoformat(),
                "charging_schedule_period": [{"start_period": 0, "limit": 9.0}],
            },
        }
        profile = await system.call(call.SetChargingProfile(2, limit_profile))
        assert profile.status == "Accepted"
        assert site.hardware.evses[2].limit_a == 9.0
        schedule = await system.call(call.GetCompositeSchedule(2, 60))
        assert schedule.status == "Accepted"
        assert schedule.charging_schedule["charging_schedule_period"][0]["limit"] == 9.0
        assert (await system.call(call.RemoteStopTransaction(999))).status == "Rejected"
        assert (await system.call(call.RemoteStopTransaction(701))).status == "Accepted"
        await central.until(lambda: central.statuses(2)[-1] == "Finishing")
        await central.until(lambda: bool(central.told("StopTransaction")))
        assert central.told("StopTransaction")[0]["reason"] == "Remote"


async def test_a_soft_reset_ends_the_transaction_and_boots_again() -> None:
    async with office() as central, station(central) as site:
        await central.until(lambda: len(central.told("StatusNotification")) == 3)
        site.plug_in()
        site.tap()
        await central.until(lambda: "Charging" in central.statuses(1))
        assert (await central.newest.call(call.Reset("Soft"))).status == "Accepted"
        await central.until(lambda: len(central.told("BootNotification")) == 2)
        assert central.told("StopTransaction")[0]["reason"] == "SoftReset"
        await central.until(lambda: central.statuses(1)[-1] in {"Preparing", "Finishing"})
        assert site.session.reboots == 1


async def test_what_was_queued_offline_arrives_in_order_after_the_reconnect() -> None:
    async with office() as central, station(central) as site:
        await central.until(lambda: len(central.told("StatusNotification")) == 3)
        site.plug_in()
        site.tap()
        await central.until(lambda: "Charging" in central.statuses(1))
        site.session.disconnect()
        await asyncio.sleep(0.1)
        assert not site.session.connected
        before = datetime.now(UTC)
        site.tap()
        site.unplug()
        await asyncio.sleep(0.2)
        site.session.reconnect()
        await central.until(lambda: len(central.told("StopTransaction")) == 1)
        stop = central.told("StopTransaction")[0]
        assert datetime.fromisoformat(stop["timestamp"]) < before.replace(microsecond=999999)
        await central.until(lambda: central.statuses(1)[-1] == "Available")
        assert len(central.told("BootNotification")) == 1


async def test_configuration_and_errors() -> None:
    async with office() as central, station(central):
        await central.until(lambda: len(central.told("StatusNotification")) == 3)
        system = central.newest
        everything = await system.call(call.GetConfiguration())
        keys = {entry["key"]: entry for entry in everything.configuration_key}
        assert keys["NumberOfConnectors"] == {"key": "NumberOfConnectors", "readonly": True, "value": "2"}
        some = await system.call(call.GetConfiguration(key=["HeartbeatInterval", "Nonsense"]))
        assert [entry["key"] for entry in some.configuration_key] == ["HeartbeatInterval"]
        assert some.unknown_key == ["Nonsense"]
        assert (await system.call(call.ChangeConfiguration("Testing", "true"))).status == "NotSupported"
        assert (await system.call(call.ChangeConfiguration("MeterValueSampleInterval", "-1"))).status == "Rejected"
        assert (await system.call(call.UnlockConnector(9))).status == "NotSupported"
        assert (await system.call(call.UnlockConnector(1))).status == "Unlocked"
        assert (await system.call(call.ClearCache())).status == "Accepted"
        assert (await system.call(call.DataTransfer("com.example"))).status == "UnknownVendorId"
        assert (await system.call(call.TriggerMessage("Heartbeat"))).status == "Accepted"
        await central.until(lambda: len(central.told("Heartbeat")) == 1)


async def test_another_ping_interval_holds_at_once() -> None:
    async with office() as central, station(central) as site:
        await central.until(lambda: len(central.told("StatusNotification")) == 3)
        limits: list[Limits | None] = []
        dial = site.session._dial

        async def noting(url: str, **how: Any) -> Any:
            limits.append(how["limits"])
            return await dial(url, **how)

        site.session._dial = noting
        assert site.session._connection is not None
        assert site.session._connection.last_pong_rtt_s is None
        assert (await central.newest.call(call.ChangeConfiguration("WebSocketPingInterval", "1"))).status == "Accepted"
        await until(lambda: getattr(site.session._connection, "last_pong_rtt_s", None) is not None)
        assert len(central.connections) == 1
        site.session.disconnect()
        await until(lambda: not site.session.connected)
        site.session.reconnect()
        await central.until(lambda: len(central.connections) == 2)
        assert [one.ping_interval_s for one in limits if one] == [1.0]


async def test_the_same_station_with_an_independent_csms_of_the_next_version() -> None:
    async with office(Csms201, "ocpp2.0.1") as central, station(central, dialect=V201) as site:
        await central.until(lambda: len(central.told("StatusNotification")) >= 2)
        system = central.newest
        interval = {
            "component": {"name": "SampledDataCtrlr"},
            "variable": {"name": "TxUpdatedInterval"},
            "attribute_value": "1",
        }
        assert (await system.call(call_201.SetVariables([interval]))).set_variable_result[0][
            "attribute_status"
        ] == "Accepted"
        site.plug_in()
        site.tap()
        await central.until(lambda: len(central.told("TransactionEvent")) >= 4)
        profile = {
            "id": 1,
            "stack_level": 0,
            "charging_profile_purpose": "TxDefaultProfile",
            "charging_profile_kind": "Absolute",
            "charging_schedule": [
                {
                    "id": 1,
                    "start_schedule": datetime.now(UTC).isoformat(),
                    "charging_rate_unit": "A",
                    "charging_schedule_period": [{"start_period": 0, "limit": 8.0}],
                }
            ],
        }
        assert (await system.call(call_201.SetChargingProfile(1, profile))).status == "Accepted"
        assert site.hardware.evses[1].limit_a == 8.0
        assert (await system.call(call_201.GetBaseReport(7, "FullInventory"))).status == "Accepted"
        await central.until(lambda: any(not told.get("tbc") for told in central.told("NotifyReport")))
        own_id = central.told("TransactionEvent")[0]["transaction_info"]["transaction_id"]
        assert (await system.call(call_201.UnlockConnector(1, 1))).status == "OngoingAuthorizedTransaction"
        assert (await system.call(call_201.RequestStopTransaction(own_id))).status == "Accepted"
        await central.until(lambda: central.told("TransactionEvent")[-1]["event_type"] == "Ended")
        told = central.told("TransactionEvent")
        assert [event["seq_no"] for event in told] == list(range(len(told)))
        assert told[-1]["transaction_info"]["stopped_reason"] == "Remote"
        assert (await system.call(call_201.Reset("Immediate"))).status == "Accepted"
        await central.until(lambda: len(central.told("BootNotification")) == 2)
