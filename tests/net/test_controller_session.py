"""The local controller on real sockets, between stations and central systems that are not ours and those that are."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import ocpp.v16
import ocpp.v16.call
import ocpp.v16.call_result
import ocpp.v201
import ocpp.v201.call
import ocpp.v201.call_result
import pytest
import websockets
from tests import databases
from tests.net.central_v16 import office
from tests.net.central_v201 import Csms201
from tests.net.peers import until, within

from forecourt.api.settings import ApiSettings
from forecourt.app.csms import CsmsFile, RunningCsms, running_csms
from forecourt.app.listeners import OcppListener
from forecourt.controller.settings import ControllerSettings, OfflineSettings
from forecourt.csms import charging, commands, transactions
from forecourt.csms.command_records import CommandState
from forecourt.csms.records import TransactionState
from forecourt.csms.settings import CsmsSettings, UnknownStationPolicy, UnknownTokenPolicy
from forecourt.dialect import DIALECTS
from forecourt.domain.profile import (
    ChargingProfile,
    ChargingProfileKind,
    ChargingProfilePurpose,
    ChargingRateUnit,
    ChargingSchedule,
    ChargingSchedulePeriod,
)
from forecourt.domain.requests import RequestStartTransaction
from forecourt.domain.site import EvseKey, EvsePoint, GridConnection, Site
from forecourt.domain.token import IdToken
from forecourt.net.backoff import BackoffPolicy
from forecourt.net.clock import RealClock
from forecourt.net.controller_session import ControllerServer
from forecourt.quantities import PHASES, PerPhase

STATIONS = ("CP1", "CP2", "garage 7/b")
SETTINGS = ControllerSettings(decide_interval_s=0.05, settle_s=0.5, offline=OfflineSettings(grace_s=0.2))
STRICT = msgspec.structs.replace(SETTINGS, offline=OfflineSettings(mode="strict"))
QUICK = BackoffPolicy(wait_minimum_s=0.05, random_range_s=0.05, repeat_times=1)


def site() -> Site:
    """Room for all: who has never been heard of counts with its maximum."""
    points = tuple(EvsePoint(station_id=name, rotation=PHASES) for name in STATIONS)
    return Site(grid=GridConnection(name="grid", rating_a=PerPhase.of(100.0)), evses=points).checked()


@asynccontextmanager
async def controller(
    upstream_port: int, settings: ControllerSettings = SETTINGS, **options: Any
) -> AsyncIterator[ControllerServer]:
    numbers = count(1)
    server = ControllerServer(
        site(),
        settings,
        upstream_url=f"ws://127.0.0.1:{upstream_port}/ocpp",
        dialects={dialect.subprotocol: dialect for dialect in DIALECTS},
        clock=RealClock(),
        new_id=lambda: f"own-{next(numbers)}",
        **({"backoff": QUICK} | options),
    )
    await server.start(port=0)
    try:
        yield server
    finally:
        await server.stop(0.5)


@asynccontextmanager
async def csms(folder: Path, **settings: Any) -> AsyncIterator[RunningCsms]:
    known = {"unknown_stations": UnknownStationPolicy.ACCEPT, "unknown_tokens": UnknownTokenPolicy.ACCEPT}
    file = CsmsFile(
        database=databases.url(folder / "csms.sqlite"),
        ocpp=OcppListener(port=0),
        api=ApiSettings(port=0),
        csms=CsmsSettings(**(known | settings)),
    )
    async with running_csms(file) as running:
        yield running


def dial(port: int, station_id: str = "CP1", *protocols: str, **options: Any) -> Any:
    offered = [websockets.Subprotocol(name) for name in protocols or ("ocpp1.6",)]
    return websockets.connect(f"ws://127.0.0.1:{port}/{station_id}", subprotocols=offered, **options)


async def refused(port: int, station_id: str = "CP1", **options: Any) -> Any:
    """The response to a connection that is not let in."""
    with pytest.raises(websockets.InvalidStatus) as caught:
        async with dial(port, station_id, **options):
            pass
    return caught.value.response


def stamp(minute: int) -> str:
    return f"2026-03-02T12:{minute:02}:00Z"


# Stations that are not ours


class Station16(ocpp.v16.ChargePoint):  # type: ignore[misc]
    """Takes whatever limit it is given."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.limits: list[tuple[int, str, float]] = []
        self.remote: list[dict[str, Any]] = []

    @ocpp.routing.on("SetChargingProfile")  # type: ignore[untyped-decorator]
    def set_profile(self, connector_id: int, cs_charging_profiles: dict[str, Any]) -> Any:
        period = cs_charging_profiles["charging_schedule"]["charging_schedule_period"][0]
        self.limits.append((connector_id, cs_charging_profiles["charging_profile_purpose"], period["limit"]))
        return ocpp.v16.call_result.SetChargingProfile("Accepted")

    @ocpp.routing.on("RemoteStartTransaction")  # type: ignore[untyped-decorator]
    def start_remotely(self, **asked: Any) -> Any:
        self.remote.append(asked)
        return ocpp.v16.call_result.RemoteStartTransaction("Accepted")


class Station201(ocpp.v201.ChargePoint):  # type: ignore[misc]
    """The same of the next generation."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.limits: list[tuple[int, str, float]] = []
        self.remote: list[dict[str, Any]] = []

    @ocpp.routing.on("SetChargingProfile")  # type: ignore[untyped-decorator]
    def set_profile(self, evse_id: int, charging_profile: dict[str, Any]) -> Any:
        period = charging_profile["charging_schedule"][0]["charging_schedule_period"][0]
        self.limits.append((evse_id, charging_profile["charging_profile_purpose"], period["limit"]))
        return ocpp.v201.call_result.SetChargingProfile("Accepted")

    @ocpp.routing.on("RequestStartTransaction")  # type: ignore[untyped-decorator]
    def start_remotely(self, **asked: Any) -> Any:
        self.remote.append(asked)
        return ocpp.v201.call_result.RequestStartTransaction("Accepted")


@asynccontextmanager
async def station(port: int, kind: Any = Station16, protocol: str = "ocpp1.6") -> AsyncIterator[Any]:
    async with dial(port, "CP1", protocol) as socket:
        made = kind("CP1", socket)
        task = asyncio.create_task(made.start())
        yield made
        task.cancel()
        with suppress(asyncio.CancelledError, websockets.ConnectionClosed):
            await task


async def charge_16(foreign: Any, server: ControllerServer) -> int:
    """A whole session of a 1.6 station; the id of its transaction."""
    call = ocpp.v16.call
    booted = await foreign.call(call.BootNotification("Model", "Vendor"))
    assert (booted.status, booted.interval) == ("Accepted", 300)
    await until(lambda: bool(foreign.limits))
    assert foreign.limits[0] == (1, "TxDefaultProfile", 0.0)
    await foreign.call(call.StatusNotification(1, "NoError", "Preparing", timestamp=stamp(0)))
    assert (await foreign.call(call.Authorize("CARD"))).id_tag_info["status"] == "Accepted"
    started = await foreign.call(call.StartTransaction(1, "CARD", 1000, stamp(0)))
    await foreign.call(call.StatusNotification(1, "NoError", "Charging", timestamp=stamp(0)))
    await until(lambda: foreign.limits[-1] == (1, "TxProfile", 32.0))
    sampled = {"value": "2500", "measurand": "Energy.Active.Import.Register", "unit": "Wh"}
    values = [{"timestamp": stamp(10), "sampledValue": [sampled]}]
    await foreign.call(call.MeterValues(1, values, started.transaction_id))
    await foreign.call(call.StopTransaction(4000, stamp(20), started.transaction_id, reason="Local"))
    assert server.endpoint.controller.account(EvseKey("CP1", 1)).in_transaction is False
    heard = await foreign.call(call.Heartbeat())
    assert abs((datetime.fromisoformat(heard.current_time) - datetime.now(UTC)).total_seconds()) < 60
    return int(started.transaction_id)


def event_201(kind: str, seq_no: int, minute: int, wh: float, **more: Any) -> Any:
    context = {"Started": "Transaction.Begin", "Updated": "Sample.Periodic", "Ended": "Transaction.End"}[kind]
    info = {"transaction_id": "tx-1", **more.pop("info", {})}
    meter = [{"timestamp": stamp(minute), "sampledValue": [{"value": wh, "context": context}]}]
    trigger = more.pop("trigger", "MeterValuePeriodic")
    return ocpp.v201.call.TransactionEvent(kind, stamp(minute), trigger, seq_no, info, meter_value=meter, **more)


async def charge_201(foreign: Any, server: ControllerServer) -> None:
    """The same session of a 2.0.1 station."""
    call = ocpp.v201.call
    booted = await foreign.call(call.BootNotification({"model": "M", "vendor_name": "V"}, "PowerUp"))
    assert (booted.status, booted.interval) == ("Accepted", 300)
    await until(lambda: bool(foreign.limits))
    assert foreign.limits[0] == (1, "TxDefaultProfile", 0.0)
    await foreign.call(call.StatusNotification(stamp(0), "Occupied", 1, 1))
    token = {"id_token": "CARD", "type": "ISO14443"}
    assert (await foreign.call(call.Authorize(token))).id_token_info["status"] == "Accepted"
    started = event_201("Started", 0, 0, 1000.0, trigger="Authorized", id_token=token,
                        evse={"id": 1, "connector_id": 1}, info={"charging_state": "Charging"})  # fmt: skip
    assert (await foreign.call(started)).id_token_info["status"] == "Accepted"
    await until(lambda: foreign.limits[-1] == (1, "TxProfile", 32.0))
    await foreign.call(event_201("Updated", 1, 10, 2500.0))
    await foreign.call(event_201("Ended", 2, 20, 4000.0, trigger="EVDeparted", info={"stopped_reason": "Local"}))
    assert server.endpoint.controller.account(EvseKey("CP1", 1)).in_transaction is False
    assert (await foreign.call(call.Heartbeat())).current_time


async def test_a_foreign_1_6_station_charges_at_our_csms_through_the_controller(tmp_path: Path) -> None:
    async with csms(tmp_path) as central, controller(central.stations.port) as server:
        async with station(server.port) as foreign:
            number = await charge_16(foreign, server)
            (over,) = (await transactions.list_transactions(central.context)).items
            assert (over.number, over.station_id, over.state) == (number, "CP1", TransactionState.ENDED)
            assert over.energy_wh == 3000.0
            await _commands_pass(central, foreign)
        await until(lambda: server.connected == ())
        await until(lambda: central.stations.connected == 0)


async def test_a_foreign_2_0_1_station_charges_at_our_csms_through_the_controller(tmp_path: Path) -> None:
    async with (
        csms(tmp_path) as central,
        controller(central.stations.port) as server,
        station(server.port, Station201, "ocpp2.0.1") as foreign,
    ):
        await charge_201(foreign, server)
        (over,) = (await transactions.list_transactions(central.context)).items
        assert (over.station_id, over.state, over.energy_wh) == ("CP1", TransactionState.ENDED, 3000.0)
        await _commands_pass(central, foreign)


async def _commands_pass(central: RunningCsms, foreign: Any) -> None:
    """A remote start reaches the station, a charging profile ends at the controller."""
    asked = await commands.issue(
        central.context, "CP1", RequestStartTransaction(id_token=IdToken("CARD"), evse_id=1), timeout_s=10
    )
    assert (await commands.wait(central.context, asked.id, 10)).state is CommandState.ACCEPTED
    assert len(foreign.remote) == 1
    told = len(foreign.limits)
    profile = ChargingProfile(
        id=0,
        stack_level=0,
        purpose=ChargingProfilePurpose.TX_DEFAULT,
        kind=ChargingProfileKind.ABSOLUTE,
        schedules=(ChargingSchedule(id=1, rate_unit=ChargingRateUnit.A, start_schedule=datetime.now(UTC),
                                    periods=(ChargingSchedulePeriod(0, 9.0),)),),
    )  # fmt: skip
    command, _ = await charging.set_profile(central.context, "CP1", 1, profile)
    assert (await commands.wait(central.context, command.id, 10)).state is CommandState.ACCEPTED
    assert all(limit == 0.0 for _, _, limit in foreign.limits[told:]), "no car, no limit but the fallback"


async def test_a_foreign_1_6_station_at_a_foreign_central_system() -> None:
    async with office() as central, controller(central.port) as server, station(server.port) as foreign:
        assert await charge_16(foreign, server) == 701
        await central.until(lambda: bool(central.told("Heartbeat")))
        assert central.told("StopTransaction")[0]["meter_stop"] == 4000
        answer = await central.newest.call(ocpp.v16.call.GetCompositeSchedule(1, 600))
        assert answer.status == "Accepted"
        started = await central.newest.call(ocpp.v16.call.RemoteStartTransaction("CARD", connector_id=1))
        assert started.status == "Accepted"


async def test_a_foreign_2_0_1_station_at_a_foreign_csms() -> None:
    async with (
        office(Csms201, "ocpp2.0.1") as central,
        controller(central.port) as server,
        station(server.port, Station201, "ocpp2.0.1") as foreign,
    ):
        await charge_201(foreign, server)
        await central.until(lambda: bool(central.told("Heartbeat")))
        assert [told["event_type"] for told in central.told("TransactionEvent")] == ["Started", "Updated", "Ended"]
        answer = await central.newest.call(ocpp.v201.call.GetCompositeSchedule(600, 1))
        assert answer.status == "Accepted"


# Bare frames


class Upstream:
    """A central system of bytes: what came, connection by connection."""

    def __init__(self) -> None:
        self.connections: asyncio.Queue[Any] = asyncio.Queue()
        self.requests: list[Any] = []
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.port = 0
        self._over = asyncio.Event()

    async def serve(self, connection: Any) -> None:
        self.connections.put_nowait(connection)
        await self._over.wait()

    def answer(self, connection: Any, request: Any) -> Any:
        self.requests.append(request)
        if self.status is None:
            return None
        response = connection.respond(HTTPStatus(self.status), "no\n")
        for name, value in self.headers.items():
            response.headers[name] = value
        return response

    async def newest(self) -> Any:
        return await within(self.connections.get())


@asynccontextmanager
async def upstream(
    port: int = 0, protocols: tuple[str, ...] = ("ocpp1.6",), kind: type[Upstream] = Upstream
) -> AsyncIterator[Upstream]:
    made = kind()
    offered = [websockets.Subprotocol(name) for name in protocols]
    async with websockets.serve(
        made.serve, "127.0.0.1", port, subprotocols=offered, process_request=made.answer
    ) as server:
        made.port = server.sockets[0].getsockname()[1]
        try:
            yield made
        finally:
            made._over.set()


BOOT = '[2,"b","BootNotification",{"chargePointModel":"M","chargePointVendor":"V"}]'


async def test_relayed_frames_are_the_same_bytes_on_both_sockets() -> None:
    from_station = [
        '[2, "s1" ,"DataTransfer", {"vendorId" : "com.example", "data":"\\u00e9 é 1.50"} ]',
        '[2,"s2","MadeUpAction",{"z":1,"a":[1.0,2e3,null]}]',
        '[2,"s3","MeterValues",{"connectorId":1}]',
        '[2,"s4","SecurityEventNotification",{"type":"X","timestamp":"never"}]',
    ]
    from_csms = [
        '[2, "c1" , "GetConfiguration", { "key" : ["A"] } ]',
        '[2,"c2","MadeUpToo",{"deep":[[[]]]}]',
        '[2,"c3","Reset",{"type":"Lukewarm"}]',
    ]
    async with upstream() as central, controller(central.port) as server, dial(server.port) as below:
        above = await central.newest()
        for said in from_station:
            await below.send(said)
            while (heard := await within(above.recv())) != said:
                assert "own-" not in heard
            answer = f'[3,"{json.loads(said)[1]}", {{"status":"Accepted" , "n":1.0}} ]'
            await above.send(answer)
            while (heard := await within(below.recv())) != answer:
                await _accept_own(below, heard)
        for said in from_csms:
            await above.send(said)
            while (heard := await within(below.recv())) != said:
                await _accept_own(below, heard)
            answer = f'[4,"{json.loads(said)[1]}","GenericError","é", {{"n":1.0}} ]'
            await below.send(answer)
            assert await within(above.recv()) == answer


async def _accept_own(below: Any, heard: str | bytes) -> None:
    """What the station hears besides is what the controller itself asks."""
    message = json.loads(heard)
    assert message[0] == 2
    assert message[1].startswith("own-")
    await below.send(json.dumps([3, message[1], {"status": "Accepted"}]))


async def test_a_heartbeat_needs_no_csms_to_be_answered() -> None:
    async with upstream() as central, controller(central.port) as server, dial(server.port) as below:
        above = await central.newest()
        await below.send('[2,"h","Heartbeat",{}]')
        while json.loads(heard := await within(below.recv()))[0] != 3:
            await _accept_own(below, heard)
        assert json.loads(heard)[1] == "h"
        assert await within(above.recv()) == '[2,"h","Heartbeat",{}]'


async def test_identity_subprotocol_and_credentials_reach_the_csms() -> None:
    async with (
        upstream(protocols=("ocpp2.0.1", "ocpp1.6")) as central,
        controller(central.port) as server,
        dial(
            server.port,
            "garage%207%2Fb",
            "ocpp1.6",
            "ocpp2.0.1",
            additional_headers={"Authorization": "Basic " + base64.b64encode(b"garage 7/b:secret").decode()},
        ) as below,
    ):
        above = await central.newest()
        assert above.request.path == "/ocpp/garage%207%2Fb"
        assert above.subprotocol == below.subprotocol == "ocpp2.0.1"
        assert base64.b64decode(above.request.headers["Authorization"].split()[1]) == b"garage 7/b:secret"
        assert server.connected == ("garage 7/b",)


async def test_a_password_of_the_site_takes_the_place_of_the_station_s() -> None:
    async with upstream() as central, controller(central.port, passwords={"CP1": "of the site"}) as server:
        own = "Basic " + base64.b64encode(b"CP1:of the station").decode()
        async with dial(server.port, additional_headers={"Authorization": own}):
            above = await central.newest()
            assert base64.b64decode(above.request.headers["Authorization"].split()[1]) == b"CP1:of the site"


async def goodbye(socket: Any) -> int:
    """The close code, whatever is said before."""
    with suppress(websockets.ConnectionClosed):
        while True:
            await within(socket.recv())
    return int(socket.close_code)


# Who isn't let in


async def test_a_station_that_is_not_of_the_site_is_not_found_and_the_csms_not_bothered() -> None:
    async with upstream() as central, controller(central.port) as server:
        assert (await refused(server.port, "CP9")).status_code == 404
        assert central.requests == []
        async with dial(server.port):
            pass


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (401, {"WWW-Authenticate": 'Basic realm="x"'}),
        (403, {}),
        (404, {}),
        (429, {"Retry-After": "77"}),
        (503, {"Retry-After": "88"}),
    ],
)
async def test_the_refusal_of_the_csms_is_repeated(status: int, headers: dict[str, str]) -> None:
    async with upstream() as central, controller(central.port, STRICT) as server:
        central.status, central.headers = status, headers | {"X-Private": "of no concern"}
        response = await refused(server.port)
        assert response.status_code == status
        assert {name: response.headers[name] for name in headers} == headers
        assert "X-Private" not in response.headers
        central.status = None
        async with dial(server.port):
            assert server.connected == ("CP1",)


@pytest.mark.parametrize("status", [301, 400, 500])
async def test_a_refusal_that_is_no_station_s_fault_is_try_again_later(status: int) -> None:
    async with upstream() as central, controller(central.port, STRICT) as server:
        central.status = status
        response = await refused(server.port)
        assert response.status_code == 503
        assert int(response.headers["Retry-After"]) > 0


async def test_our_csms_s_refusal_is_repeated(tmp_path: Path) -> None:
    async with (
        csms(tmp_path, unknown_stations=UnknownStationPolicy.REFUSE) as central,
        controller(central.stations.port) as server,
    ):
        assert (await refused(server.port)).status_code == 404


async def test_strict_without_a_csms_a_station_is_told_when_to_come_back_and_gets_in_then() -> None:
    async with upstream() as central:
        port = central.port
    async with controller(port, STRICT) as server:
        response = await refused(server.port)
        assert response.status_code == 503
        assert int(response.headers["Retry-After"]) > 0
        async with upstream(port) as central, dial(server.port) as below:
            above = await central.newest()
            await below.send(BOOT)
            assert await within(above.recv()) == BOOT


async def test_a_csms_that_speaks_none_of_the_station_s_versions_is_as_good_as_none() -> None:
    async with upstream(protocols=("ocpp9",)) as central, controller(central.port) as server:
        assert (await refused(server.port)).status_code == 503


# Who goes


async def test_strict_when_the_csms_is_lost_the_station_is_closed() -> None:
    async with upstream() as central, controller(central.port, STRICT) as server, dial(server.port) as below:
        above = await central.newest()
        await above.close()
        assert await goodbye(below) == 1013
        await until(lambda: server.connected == ())
        async with dial(server.port) as again:
            above = await central.newest()
            await again.send(BOOT)
            assert await within(above.recv()) == BOOT


async def test_when_the_station_goes_the_csms_hears_of_it() -> None:
    async with upstream() as central, controller(central.port, STRICT) as server:
        async with dial(server.port) as below:
            above = await central.newest()
            below.transport.abort()
            assert await goodbye(above) == 1001
        await until(lambda: server.connected == ())


async def test_a_newer_connection_of_a_station_replaces_the_older() -> None:
    async with upstream() as central, controller(central.port) as server, dial(server.port) as older:
        older_above = await central.newest()
        async with dial(server.port) as newer:
            newer_above = await central.newest()
            assert await goodbye(older) == 1001
            assert await goodbye(older_above) == 1001
            assert server.connected == ("CP1",)
            await newer.send(BOOT)
            assert await within(newer_above.recv()) == BOOT
            await newer_above.send('[2,"c","ClearCache",{}]')
            assert await within(newer.recv()) == '[2,"c","ClearCache",{}]'


async def test_a_stop_says_goodbye_to_both_sides() -> None:
    async with upstream() as central, controller(central.port) as server, dial(server.port) as below:
        above = await central.newest()
        await server.stop(0.5)
        assert [await goodbye(below), await goodbye(above)] == [1001, 1001]


async def test_stations_do_not_disturb_each_other() -> None:
    async with (
        upstream() as central,
        controller(central.port, STRICT) as server,
        dial(server.port, "CP1") as one,
        dial(server.port, "CP2") as two,
    ):
        above = {}
        for _ in range(2):
            connection = await central.newest()
            above[connection.request.path.rpartition("/")[2]] = connection
        await one.send("garbage")
        await one.send('[2,"g"')
        await one.close()
        await two.send(BOOT)
        assert await within(above["CP2"].recv()) == BOOT
        assert await goodbye(above["CP1"]) == 1001
        assert server.connected == ("CP2",)
