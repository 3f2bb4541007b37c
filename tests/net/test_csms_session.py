"""The CSMS over real WebSockets, with stations that are not ours: the PyPI package `ocpp`, and bare frames."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import ocpp.v16
import ocpp.v16.call
import ocpp.v16.call_result
import ocpp.v201
import ocpp.v201.call
import ocpp.v201.call_result
import pytest
import websockets
from ocpp import routing
from tests import databases

from forecourt.bus.in_process import InProcessBus
from forecourt.csms import authorization, charging, commands, message_log, stations, transactions
from forecourt.csms.command_records import Command, CommandOrigin, CommandState
from forecourt.csms.errors import NotFound
from forecourt.csms.ports import Books, Context
from forecourt.csms.records import ProfileState, TransactionState
from forecourt.csms.settings import CsmsSettings, UnknownStationPolicy, UnknownTokenPolicy
from forecourt.dialect.v16 import V16
from forecourt.dialect.v201 import V201
from forecourt.domain.profile import (
    ChargingProfile,
    ChargingProfileKind,
    ChargingProfilePurpose,
    ChargingRateUnit,
    ChargingSchedule,
    ChargingSchedulePeriod,
)
from forecourt.domain.requests import ClearCache, RequestStartTransaction, RequestStopTransaction, Reset
from forecourt.domain.station import RegistrationStatus
from forecourt.domain.token import IdToken, IdTokenType
from forecourt.domain.variable import VariableRef, VariableSetting
from forecourt.net.clock import RealClock
from forecourt.net.csms_session import CsmsServer
from forecourt.store.sql import open_store

F = TypeVar("F", bound=Callable[..., Any])


def on(action: str) -> Callable[[F], F]:
    """The foreign station's decorator, which has no types."""
    decorate: Callable[[F], F] = routing.on(action)
    return decorate


OPEN = CsmsSettings(unknown_stations=UnknownStationPolicy.ACCEPT, unknown_tokens=UnknownTokenPolicy.ACCEPT)
NOON = "2025-06-01T12:00:00Z"


class House:
    """A CSMS that runs, and connections to it."""

    def __init__(self, server: CsmsServer) -> None:
        self.server = server
        self.context = server.context

    def url(self, station_id: str) -> str:
        return f"ws://127.0.0.1:{self.server.port}/ocpp/{station_id}"

    def connect(self, station_id: str, protocol: str = "ocpp1.6", **options: Any) -> Any:
        return websockets.connect(self.url(station_id), subprotocols=[websockets.Subprotocol(protocol)], **options)

    async def eventually(self, condition: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(10):
            while not await condition():  # noqa: ASYNC110 - what is waited for is in a database
                await asyncio.sleep(0.01)

    async def is_connected(self, station_id: str) -> bool:
        with suppress(NotFound):
            return (await stations.get_station(self.context, station_id)).connected
        return False


@asynccontextmanager
async def running(folder: Path, settings: CsmsSettings = OPEN) -> AsyncIterator[House]:
    ids = count(1)
    store = await open_store(
        databases.url(folder / "csms.db"),
        publish=lambda events: bus.publish(events),  # noqa: PLW0108 - the bus comes later
        unlogged=settings.unlogged_events,
    )

    async def read_log(after: int, limit: int) -> Any:
        def query(books: Books) -> Any:
            return books.events.after(after, limit)

        return await store.read(query)

    bus = InProcessBus(read_log)
    start = datetime.now(UTC).isoformat()
    context = Context(
        store=store, bus=bus, clock=RealClock(), new_id=lambda: f"{start[11:19]}-{next(ids)}", settings=settings
    )
    server = CsmsServer(context, {"ocpp2.0.1": V201, "ocpp1.6": V16})
    await server.start(port=0)
    try:
        yield House(server)
    finally:
        await server.stop(0.5)
        await store.close()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with running(tmp_path) as made:
        yield made


class Station16(ocpp.v16.ChargePoint):  # type: ignore[misc]
    """A foreign 1.6 station."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.profiles: list[Any] = []
        self.keys = {"MeterValueSampleInterval": "900"}

    @on("RemoteStartTransaction")
    def remote_start(self, **asked: Any) -> Any:
        return ocpp.v16.call_result.RemoteStartTransaction("Accepted")

    @on("RemoteStopTransaction")
    def remote_stop(self, transaction_id: int) -> Any:
        return ocpp.v16.call_result.RemoteStopTransaction("Rejected")

    @on("SetChargingProfile")
    def set_profile(self, connector_id: int, cs_charging_profiles: Any) -> Any:
        self.profiles.append((connector_id, cs_charging_profiles))
        return ocpp.v16.call_result.SetChargingProfile("Accepted")

    @on("ClearChargingProfile")
    def clear_profile(self, **asked: Any) -> Any:
        return ocpp.v16.call_result.ClearChargingProfile("Accepted")

    @on("GetConfiguration")
    def get_configuration(self, key: Any = None) -> Any:
        known = [{"key": k, "value": v, "readonly": False} for k, v in self.keys.items() if not key or k in key]
        return ocpp.v16.call_result.GetConfiguration(known, [k for k in key or [] if k not in self.keys])

    @on("ChangeConfiguration")
    def change_configuration(self, key: str, value: str) -> Any:
        self.keys[key] = value
        return ocpp.v16.call_result.ChangeConfiguration("Accepted")


@asynccontextmanager
async def station16(house: House, station_id: str = "CP1") -> AsyncIterator[Station16]:
    async with house.connect(station_id) as socket:
        station = Station16(station_id, socket)
        task = asyncio.create_task(station.start())
        yield station
        task.cancel()
        with suppress(asyncio.CancelledError, websockets.ConnectionClosed):
            await task


async def test_a_foreign_1_6_station_through_a_whole_session(house: House) -> None:
    context = house.context
    call = ocpp.v16.call
    async with station16(house) as station:
        booted = await station.call(call.BootNotification("Model", "Vendor"))
        assert booted.status == "Accepted"
        assert booted.interval == context.settings.heartbeat_interval_s
        await station.call(call.StatusNotification(1, "NoError", "Preparing", timestamp=NOON))
        assert (await station.call(call.Authorize("CARD"))).id_tag_info["status"] == "Accepted"
        started = await station.call(call.StartTransaction(1, "CARD", 1000, NOON))
        again = await station.call(call.StartTransaction(1, "CARD", 1000, NOON))
        assert again.transaction_id == started.transaction_id > 0
        sampled = {"value": "1500", "measurand": "Energy.Active.Import.Register", "unit": "Wh"}
        power = {"value": "7.4", "measurand": "Power.Active.Import", "unit": "kW"}
        values = [{"timestamp": "2025-06-01T12:10:00Z", "sampledValue": [sampled, power]}]
        await station.call(call.MeterValues(1, values, started.transaction_id))
        (running_one,) = (await transactions.list_transactions(context)).items
        assert (running_one.state, running_one.energy_wh) == (TransactionState.ACTIVE, 500.0)
        await station.call(call.StopTransaction(3000, "2025-06-01T13:00:00Z", started.transaction_id, reason="Local"))
        (over,) = (await transactions.list_transactions(context)).items
        assert (over.state, over.energy_wh, over.id_token) == (TransactionState.ENDED, 2000.0, "CARD")
        readings = await transactions.list_meter_values(context, over.number)
        assert [reading.power_w for reading in readings] == [None, 7400.0, None]
        known = await stations.get_station(context, "CP1")
        assert known.connected
        assert known.protocol == "ocpp1.6"
        assert known.identity is not None
        assert known.identity.vendor_name == "Vendor"
    await house.eventually(lambda: gone(house, "CP1"))


async def gone(house: House, station_id: str) -> bool:
    return not await house.is_connected(station_id)


async def test_commands_reach_a_foreign_1_6_station_and_end(house: House) -> None:
    context = house.context
    async with station16(house) as station:
        await station.call(ocpp.v16.call.BootNotification("Model", "Vendor"))

        async def result(issued: Command) -> Command:
            assert not issued.state.final
            return await commands.wait(context, issued.id, 10)

        accepted = await result(
            await commands.issue(context, "CP1", RequestStartTransaction(id_token=IdToken("CARD"), evse_id=1))
        )
        assert accepted.state is CommandState.ACCEPTED
        assert accepted.answer == b'{"status":"Accepted"}'
        assert accepted.action == "RemoteStartTransaction"
        assert accepted.sent_at is not None
        rejected = await result(await commands.issue(context, "CP1", RequestStopTransaction(transaction_id="7")))
        assert rejected.state is CommandState.REJECTED
        refused = await result(await commands.issue(context, "CP1", ClearCache()))
        assert refused.state is CommandState.CALL_ERROR
        assert refused.error_code == "NotImplemented"
        raw = await result(await commands.issue_raw(context, "CP1", "GetConfiguration", b'{"key":["A","B"]}'))
        assert raw.state is CommandState.ACCEPTED
        assert json.loads(raw.answer or b"")["unknownKey"] == ["A", "B"]
        schedule = ChargingSchedule(rate_unit=ChargingRateUnit.W, periods=(ChargingSchedulePeriod(0, 9000.0),))
        profile = ChargingProfile(
            id=0,
            stack_level=0,
            purpose=ChargingProfilePurpose.STATION_MAX,
            kind=ChargingProfileKind.ABSOLUTE,
            schedules=(schedule,),
        )
        command, entry = await charging.set_profile(context, "CP1", 0, profile)
        assert entry.state is ProfileState.PENDING
        assert (await result(command)).state is CommandState.ACCEPTED
        (installed,) = (await charging.list_profiles(context, station_id="CP1")).items
        assert (installed.state, installed.profile_id) == (
            ProfileState.INSTALLED,
            station.profiles[0][1]["charging_profile_id"],
        )
        body = b'{"id":%d}' % installed.profile_id
        cleared = await result(await commands.issue_raw(context, "CP1", "ClearChargingProfile", body))
        assert cleared.state is CommandState.ACCEPTED
        (entry,) = (await charging.list_profiles(context)).items
        assert entry.state is ProfileState.CLEARED, "a raw command has its effects too"


async def test_a_foreign_2_0_1_station_through_a_whole_session(house: House) -> None:
    context = house.context
    call = ocpp.v201.call

    class Station201(ocpp.v201.ChargePoint):  # type: ignore[misc]
        @on("RequestStartTransaction")
        def remote_start(self, **asked: Any) -> Any:
            self.asked = asked
            return ocpp.v201.call_result.RequestStartTransaction("Accepted")

    def event(kind: str, seq_no: int, minute: int, wh: float | None = None, **more: Any) -> Any:
        stamp = f"2025-06-01T12:{minute:02}:00Z"
        info = {"transaction_id": "tx-1", **more.pop("info", {})}
        if wh is not None:
            context_of = {"Started": "Transaction.Begin", "Updated": "Sample.Periodic", "Ended": "Transaction.End"}
            more["meter_value"] = [{"timestamp": stamp, "sampledValue": [{"value": wh, "context": context_of[kind]}]}]
        return call.TransactionEvent(kind, stamp, more.pop("trigger", "MeterValuePeriodic"), seq_no, info, **more)

    async with house.connect("CS201", "ocpp2.0.1") as socket:
        station = Station201("CS201", socket)
        task = asyncio.create_task(station.start())
        booted = await station.call(call.BootNotification({"model": "M", "vendor_name": "V"}, "PowerUp"))
        assert booted.status == "Accepted"
        await station.call(call.StatusNotification(NOON, "Occupied", 1, 1))
        token = {"id_token": "CARD", "type": "ISO14443"}
        assert (await station.call(call.Authorize(token))).id_token_info["status"] == "Accepted"
        command = await commands.issue(
            context, "CS201", RequestStartTransaction(id_token=IdToken("CARD", IdTokenType.ISO14443), evse_id=1)
        )
        assert (await commands.wait(context, command.id, 10)).state is CommandState.ACCEPTED
        remote = station.asked["remote_start_id"]
        first = event("Started", 0, 0, 100.0, trigger="RemoteStart", id_token=token, evse={"id": 1, "connector_id": 1},
                      info={"remote_start_id": remote, "charging_state": "Charging"})  # fmt: skip
        for _ in range(2):
            answer = await station.call(first)
            assert answer.id_token_info["status"] == "Accepted"
        await station.call(
            event("Ended", 2, 30, 1100.0, trigger="EVDeparted", info={"stopped_reason": "EVDisconnected"})
        )
        (over,) = (await transactions.list_transactions(context)).items
        assert (over.state, over.energy_wh, over.command_id) == (TransactionState.ENDED, 1000.0, command.id)
        assert over.missing == ((1, 1),)
        await station.call(event("Updated", 1, 15, 600.0))
        (over,) = (await transactions.list_transactions(context)).items
        assert (over.state, over.energy_wh, over.missing) == (TransactionState.ENDED, 1000.0, ())
        assert len(await transactions.list_meter_values(context, over.number)) == 3
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def exchange(socket: Any, frame: str) -> Any:
    await socket.send(frame)
    return json.loads(await asyncio.wait_for(socket.recv(), 10))


async def boot(socket: Any) -> Any:
    boot_frame = '[2,"b","BootNotification",{"chargePointModel":"M","chargePointVendor":"V"}]'
    return (await exchange(socket, boot_frame))[2]


async def test_unknown_stations_and_wrong_passwords_are_refused(tmp_path: Path) -> None:
    async with running(tmp_path, CsmsSettings()) as house:

        async def status(station_id: str, password: str | None = None, user: str | None = None) -> int:
            headers = {}
            if password is not None:
                pair = base64.b64encode(f"{user or station_id}:{password}".encode()).decode()
                headers["Authorization"] = f"Basic {pair}"
            try:
                async with house.connect(station_id, additional_headers=headers):
                    return 101
            except websockets.InvalidStatus as refused:
                return int(refused.response.status_code)

        assert await status("CP1") == 404
        await stations.create_station(house.context, "CP1", stations.StationFields())
        assert await status("CP1") == 101
        await stations.set_password(house.context, "CP1", "0123456789abcdef")
        assert await status("CP1") == 401
        assert await status("CP1", "wrong") == 401
        assert await status("CP1", "0123456789abcdef", user="CP2") == 401
        assert await status("CP1", "0123456789abcdef") == 101
        await stations.update_station(house.context, "CP1", stations.StationChanges(security_profile=2))
        assert await status("CP1", "0123456789abcdef") == 403


async def test_a_pending_station_boots_until_it_is_accepted(tmp_path: Path) -> None:
    settings = msgspec.structs.replace(OPEN, unknown_stations=UnknownStationPolicy.PENDING)
    async with running(tmp_path, settings) as house, house.connect("CP1") as socket:
        answer = await boot(socket)
        assert (answer["status"], answer["interval"]) == ("Pending", settings.boot_retry_interval_s)
        refused = await exchange(socket, '[2,"a","Authorize",{"idTag":"CARD"}]')
        assert (refused[0], refused[2]) == (4, "SecurityError")
        changes = stations.StationChanges(registration=RegistrationStatus.ACCEPTED)
        await stations.update_station(house.context, "CP1", changes)
        assert (await boot(socket))["status"] == "Accepted"
        assert (await exchange(socket, '[2,"a","Authorize",{"idTag":"CARD"}]'))[0] == 3


async def test_the_desired_configuration_is_compared_and_pushed_at_boot(tmp_path: Path) -> None:
    ref = VariableRef("SampledDataCtrlr", "TxUpdatedInterval")
    settings = msgspec.structs.replace(OPEN, desired_variables=(VariableSetting(ref, "60"),))
    async with running(tmp_path, settings) as house, station16(house) as station:
        await station.call(ocpp.v16.call.BootNotification("Model", "Vendor"))

        async def pushed() -> bool:
            found = await stations.configuration(house.context, "CP1")
            return bool(found.reported) and not found.drift

        await house.eventually(pushed)
        assert station.keys["MeterValueSampleInterval"] == "60"
        done = (await commands.list_commands(house.context, station_id="CP1")).items
        assert {command.origin for command in done} == {CommandOrigin.CSMS}
        assert {command.state for command in done} == {CommandState.ACCEPTED}


async def test_no_call_is_made_unasked_where_the_settings_say_so(tmp_path: Path) -> None:
    ref = VariableRef("SampledDataCtrlr", "TxUpdatedInterval")
    settings = msgspec.structs.replace(OPEN, desired_variables=(VariableSetting(ref, "60"),), unsolicited_calls=False)
    async with running(tmp_path, settings) as house, house.connect("CP1") as socket:
        assert (await boot(socket))["status"] == "Accepted"
        for number in range(3):
            assert (await exchange(socket, f'[2,"h{number}","Heartbeat",{{}}]'))[:2] == [3, f"h{number}"]
        assert (await commands.list_commands(house.context)).items == ()


async def test_a_raw_command_leaves_byte_for_byte(house: House) -> None:
    async with house.connect("CP1") as socket:
        await boot(socket)
        payload = b'{"zeta":1,"alpha":[true,null],"idTag":"\xc3\xa9"}'
        command = await commands.issue_raw(house.context, "CP1", "MadeUpAction", payload)
        sent = await socket.recv()
        message_id = json.loads(sent)[1]
        assert sent.encode() == b'[2,"%b","MadeUpAction",%b]' % (message_id.encode(), payload)
        await socket.send(f'[3,"{message_id}",{{"status":"UnlockFailed","x" : 1}}]')
        ended = await commands.wait(house.context, command.id, 10)
        assert ended.state is CommandState.REJECTED
        assert ended.answer == b'{"status":"UnlockFailed","x" : 1}'
        assert ended.payload == payload


async def test_each_way_a_command_can_end_without_an_answer(house: House) -> None:
    context = house.context
    async with house.connect("CP1") as socket:
        await boot(socket)
        slow = await commands.issue(context, "CP1", Reset(), timeout_s=0.3)
        behind = await commands.issue(context, "CP1", ClearCache(), timeout_s=0.1)
        assert (await commands.wait(context, behind.id, 10)).state is CommandState.EXPIRED
        assert (await commands.wait(context, slow.id, 10)).state is CommandState.TIMEOUT
        lost = await commands.issue(context, "CP1", Reset())
        waiting = await commands.issue(context, "CP1", ClearCache())
        await socket.recv()
    assert (await commands.wait(context, lost.id, 10)).state is CommandState.TIMEOUT
    assert (await commands.wait(context, waiting.id, 10)).state is CommandState.OFFLINE
    await house.eventually(lambda: gone(house, "CP1"))
    absent = await commands.issue(context, "CP1", Reset())
    assert absent.state is CommandState.OFFLINE
    assert absent.finished_at is not None


async def test_a_newer_connection_takes_the_stations_place(house: House) -> None:
    async with house.connect("CP1") as old:
        await boot(old)
        async with house.connect("CP1") as new:
            with pytest.raises(websockets.ConnectionClosed):
                await asyncio.wait_for(old.recv(), 10)
            await boot(new)
            command = await commands.issue_raw(house.context, "CP1", "ClearCache", b"{}")
            message_id = json.loads(await new.recv())[1]
            await new.send(f'[3,"{message_id}",{{"status":"Accepted"}}]')
            assert (await commands.wait(house.context, command.id, 10)).state is CommandState.ACCEPTED
            assert await house.is_connected("CP1"), "the end of the older connection is no news"


async def test_calls_sent_without_waiting_are_answered_in_their_order(house: House) -> None:
    async with house.connect("CP1") as socket:
        await boot(socket)
        for number in range(20):
            start = f'{{"connectorId":1,"idTag":"C","meterStart":{number},"timestamp":"{NOON}"}}'
            await socket.send(f'[2,"s{number}","StartTransaction",{start}]')
        answers = [json.loads(await asyncio.wait_for(socket.recv(), 10)) for _ in range(20)]
        assert [answer[1] for answer in answers] == [f"s{number}" for number in range(20)]
        given = [answer[2]["transactionId"] for answer in answers]
        assert given == sorted(set(given))


async def test_nonsense_gets_its_answer_and_costs_nothing_else(house: House) -> None:
    async with house.connect("CP1") as socket:
        await boot(socket)
        assert (await exchange(socket, '[2,"1","NoSuchAction",{}]'))[2] == "NotImplemented"
        missing = await exchange(socket, '[2,"2","StartTransaction",{"connectorId":1}]')
        assert missing[:2] == [4, "2"]
        await socket.send("{nonsense")
        await socket.send('[3,"nobody asked",{}]')
        assert (await exchange(socket, '[2,"3","Heartbeat",{}]'))[0] == 3
        violations = (await message_log.list_violations(house.context, "CP1")).items
        assert {violation.action for violation in violations} >= {"NoSuchAction", "StartTransaction"}


async def test_a_forgiven_violation_is_on_the_stations_page(house: House) -> None:
    async with house.connect("CP1") as socket:
        await boot(socket)
        long_tag = "C" * 40
        answer = await exchange(socket, f'[2,"1","Authorize",{{"idTag":"{long_tag}"}}]')
        assert answer[0] == 3, "one schema violation does not drop a charger"

        async def counted() -> bool:
            return (await stations.get_station(house.context, "CP1")).violation_count == 1

        await house.eventually(counted)


async def test_every_frame_is_in_the_history(house: House) -> None:
    async with house.connect("CP1") as socket:
        await boot(socket)
        frame = '[2, "spaced", "Heartbeat", {} ]'
        await exchange(socket, frame)

        async def there() -> bool:
            found = (await message_log.list_messages(house.context, station_id="CP1", message_id="spaced")).items
            return [(entry.direction.value, entry.action) for entry in found] == [("out", None), ("in", "Heartbeat")]

        await house.eventually(there)
        found = (await message_log.list_messages(house.context, action="Heartbeat")).items
        assert [entry.frame for entry in found] == [frame.encode()]


async def test_a_flood_is_slowed_down_and_nothing_is_lost(tmp_path: Path) -> None:
    settings = msgspec.structs.replace(OPEN, inbox=4, keep_messages=False)
    async with running(tmp_path, settings) as house, house.connect("CP1") as socket:
        await boot(socket)

        async def flood() -> None:
            for number in range(1000):
                await socket.send(f'[2,"f{number}","Heartbeat",{{}}]')

        flooding = asyncio.create_task(flood())
        answers = [json.loads(await asyncio.wait_for(socket.recv(), 10)) for _ in range(1000)]
        await flooding
        assert [answer[:2] for answer in answers] == [[3, f"f{number}"] for number in range(1000)]


async def test_a_removed_station_is_shown_out(house: House) -> None:
    async with house.connect("CP1") as socket:
        await boot(socket)
        await stations.remove_station(house.context, "CP1")
        with pytest.raises(websockets.ConnectionClosed):
            await asyncio.wait_for(socket.recv(), 10)


async def test_an_unknown_token_is_rejected_by_default(tmp_path: Path) -> None:
    settings = CsmsSettings(unknown_stations=UnknownStationPolicy.ACCEPT)
    async with running(tmp_path, settings) as house, house.connect("CP1") as socket:
        await boot(socket)
        verdict = await exchange(socket, '[2,"1","Authorize",{"idTag":"CARD"}]')
        assert verdict[2]["idTagInfo"]["status"] == "Invalid"
        past = datetime(2020, 1, 1, tzinfo=UTC)
        await authorization.put_token(house.context, "CARD", authorization.TokenFields(expires_at=past))
        verdict = await exchange(socket, '[2,"2","Authorize",{"idTag":"card"}]')
        assert verdict[2]["idTagInfo"]["status"] == "Expired"
