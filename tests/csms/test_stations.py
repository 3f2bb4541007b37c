"""Stations, places, who may connect, what is told of it; keys to the API; upkeep."""

from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from forecourt.csms import (
    access,
    authorization,
    message_log,
    metering,
    provisioning,
    router,
    stations,
    transactions,
    upkeep,
)
from forecourt.csms.errors import Conflict, Invalid, NotFound
from forecourt.csms.logins import Logins
from forecourt.csms.message_log import Frame
from forecourt.csms.ports import DisconnectOrder, Order, Receipt
from forecourt.csms.provisioning import Admitted, NotAdmitted, Shown
from forecourt.csms.published import TYPES
from forecourt.csms.records import ConnectedStation, Direction
from forecourt.csms.register import Register
from forecourt.csms.settings import CsmsSettings, UnknownStationPolicy, UnknownTokenPolicy
from forecourt.domain.events import (
    BootAnswer,
    ConnectorStatusReported,
    HeartbeatAnswer,
    HeartbeatSent,
    MeterSampled,
    Notice,
    StationBooted,
    StationEvent,
    VariablesReported,
)
from forecourt.domain.requests import Authorize, AuthorizeAnswer, DataTransfer, DataTransferAnswer, StationRequest
from forecourt.domain.station import ConnectorStatus, RegistrationStatus, StationIdentity
from forecourt.domain.token import AuthorizationStatus, IdToken, IdTokenType
from forecourt.domain.variable import GetVariableStatus, VariableReading, VariableRef
from tests.csms.worlds import World, at, register
from tests.csms.worlds import world as make_world

IDENTITY = StationIdentity(vendor_name="V", model="M", firmware_version="1.2")
NOTHING = Shown()


def replaced(station: ConnectedStation, connection_id: str) -> ConnectedStation:
    return msgspec.structs.replace(station, connection_id=connection_id)


# Entering


async def test_a_station_is_entered_once_in_all_organisations(world: World) -> None:
    entered = await stations.create_station(world.context, "CS1", stations.StationFields(name="Front"))
    assert await stations.get_station(world.context, "CS1") == entered
    other = msgspec.structs.replace(world.context, organisation_id=2)
    with pytest.raises(Conflict):
        await stations.create_station(other, "CS1", stations.StationFields())
    with pytest.raises(NotFound):
        await stations.get_station(other, "CS1")
    assert (await stations.list_stations(other)).items == ()


@pytest.mark.parametrize(
    ("station_id", "fields", "field"),
    [
        ("", stations.StationFields(), "id"),
        ("a\nb", stations.StationFields(), "id"),
        ("x" * 256, stations.StationFields(), "id"),
        ("CS1", stations.StationFields(security_profile=4), "security_profile"),
        ("CS1", stations.StationFields(location_id=9), "location_id"),
    ],
)
async def test_what_cannot_be_names_its_field(
    world: World, station_id: str, fields: stations.StationFields, field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        await stations.create_station(world.context, station_id, fields)
    assert refused.value.field == field


async def test_only_what_is_given_changes(world: World) -> None:
    place = await stations.create_location(world.context, stations.LocationFields(name="Yard"))
    await stations.create_station(world.context, "CS1", stations.StationFields(name="Front", location_id=place.id))
    changed = await stations.update_station(world.context, "CS1", stations.StationChanges(name=None))
    assert (changed.name, changed.location_id) == (None, place.id)
    assert await stations.get_station(world.context, "CS1") == changed
    assert await stations.update_station(world.context, "CS1", stations.StationChanges()) == changed


async def test_stations_are_listed_by_place_state_and_registration(world: World) -> None:
    place = await stations.create_location(world.context, stations.LocationFields(name="Yard"))
    await world.station("CS1")
    await stations.create_station(world.context, "CS2", stations.StationFields(location_id=place.id))
    pending = stations.StationFields(registration=RegistrationStatus.PENDING)
    await stations.create_station(world.context, "CS3", pending)

    async def ids(**by: object) -> list[str]:
        return [entry.id for entry in (await stations.list_stations(world.context, **by)).items]  # type: ignore[arg-type]

    assert await ids() == ["CS3", "CS2", "CS1"]
    assert await ids(location_id=place.id) == ["CS2"]
    assert await ids(registration=RegistrationStatus.PENDING) == ["CS3"]
    assert await ids(connected=True) == []
    page = await stations.list_stations(world.context, limit=2)
    assert page.next_cursor is not None
    rest = await stations.list_stations(world.context, cursor=page.next_cursor)
    assert [entry.id for entry in rest.items] == ["CS1"]
    with pytest.raises(Invalid):
        await stations.list_stations(world.context, cursor="1; DROP TABLE stations")


async def test_a_place_that_goes_leaves_its_stations(world: World) -> None:
    place = await stations.create_location(world.context, stations.LocationFields(name="Yard", latitude=52.5))
    await stations.create_station(world.context, "CS1", stations.StationFields(location_id=place.id))
    renamed = await stations.replace_location(world.context, place.id, stations.LocationFields(name="Court"))
    assert (renamed.name, renamed.latitude) == ("Court", None)
    assert (await stations.list_locations(world.context)).items == (renamed,)
    await stations.remove_location(world.context, place.id)
    assert (await stations.get_station(world.context, "CS1")).location_id is None
    for gone in (
        stations.get_location(world.context, place.id),
        stations.remove_location(world.context, place.id),
        stations.replace_location(world.context, place.id, stations.LocationFields(name="X")),
    ):
        with pytest.raises(NotFound):
            await gone
    for wrong in (
        stations.LocationFields(name=""),
        stations.LocationFields(name="x", latitude=91),
        stations.LocationFields(name="x", longitude=-181),
    ):
        with pytest.raises(Invalid):
            await stations.create_location(world.context, wrong)


async def test_a_removed_station_loses_its_connection_and_keeps_its_transactions(world: World) -> None:
    station = await world.station()
    orders: list[Order] = []

    def holder(order: Order) -> Receipt:
        orders.append(order)
        return Receipt.QUEUED

    world.bus.claim(station.number, holder)
    await world.tell(
        station, ConnectorStatusReported(evse_id=1, connector_id=1, connector_status=ConnectorStatus.AVAILABLE)
    )
    await world.tell(station, MeterSampled(evse_id=1, transaction_id="9", meter_values=(register(1, 5.0),)))
    await stations.remove_station(world.context, "CS1")
    assert [type(order) for order in orders] == [DisconnectOrder]
    again = await world.station()
    assert again.number != station.number
    assert await stations.list_connectors(world.context, "CS1") == ()


# Who may connect


async def test_unknown_stations_by_policy(tmp_path: Path) -> None:
    expected = {
        UnknownStationPolicy.REFUSE: None,
        UnknownStationPolicy.ACCEPT: RegistrationStatus.ACCEPTED,
        UnknownStationPolicy.PENDING: RegistrationStatus.PENDING,
    }
    for policy, registration in expected.items():
        folder = tmp_path / policy
        folder.mkdir()
        async with make_world(folder, CsmsSettings(unknown_stations=policy)) as world:
            logins, register = Logins(world.context.settings), Register(world.context.store)
            verdict = await provisioning.admit(world.context, "CS1", NOTHING, logins, register)
            if registration is None:
                assert verdict is NotAdmitted.UNKNOWN_STATION
                assert (await stations.list_stations(world.context)).items == ()
            else:
                assert isinstance(verdict, Admitted)
                assert verdict.station.registration is registration
                assert await provisioning.admit(world.context, "CS1", NOTHING, logins, register) == verdict


async def test_connectivity_is_a_fact_of_its_own_with_the_time_since(world: World) -> None:
    station = await world.station()
    world.clock.seconds = 10
    await world.context.store.write(provisioning.connected(world.context, station))
    world.clock.seconds = 20
    newer = replaced(station, "c2")
    await world.context.store.write(provisioning.connected(world.context, newer))
    world.clock.seconds = 30
    await world.context.store.write(provisioning.disconnected(world.context, station, "lost"))
    shown = await stations.get_station(world.context, "CS1")
    assert (shown.connected, shown.connection_changed_at) == (True, at(20)), "an older connection's end is no news"
    await world.context.store.write(provisioning.disconnected(world.context, newer, "lost"))
    shown = await stations.get_station(world.context, "CS1")
    assert (shown.connected, shown.connection_changed_at, shown.last_seen_at) == (False, at(30), at(20))
    assert world.types() == ["station.connected", "station.connected", "station.disconnected"]


async def test_after_a_crash_nobody_is_connected(tmp_path: Path) -> None:
    async with make_world(tmp_path) as world:
        await world.context.store.write(provisioning.connected(world.context, await world.station()))
    async with make_world(tmp_path) as world:
        assert not (await stations.get_station(world.context, "CS1")).connected
        assert world.types() == ["station.disconnected"]


# What stations say


async def test_a_boot_is_answered_by_the_registration(world: World) -> None:
    station = await world.station()
    world.clock.seconds = 5
    settings = world.context.settings
    for registration, interval_s in (
        (RegistrationStatus.ACCEPTED, settings.heartbeat_interval_s),
        (RegistrationStatus.PENDING, settings.boot_retry_interval_s),
        (RegistrationStatus.REJECTED, settings.boot_retry_interval_s),
    ):
        changes = stations.StationChanges(registration=registration)
        await stations.update_station(world.context, "CS1", changes)
        answer = await world.tell(station, StationBooted(identity=IDENTITY))
        assert answer == BootAnswer(registration=registration, now=at(5), interval_s=interval_s)
    shown = await stations.get_station(world.context, "CS1")
    assert (shown.identity, shown.booted_at, shown.last_seen_at) == (IDENTITY, at(5), at(5))
    await stations.remove_station(world.context, "CS1")
    answer = await world.tell(station, StationBooted(identity=IDENTITY))
    assert isinstance(answer, BootAnswer)
    assert answer.registration is RegistrationStatus.REJECTED


async def test_a_heartbeat_is_answered_with_our_time_and_seen(world: World) -> None:
    station = await world.station()
    world.clock.seconds = 77
    assert await world.tell(station, HeartbeatSent()) == HeartbeatAnswer(now=at(77))
    assert (await stations.get_station(world.context, "CS1")).last_seen_at == at(77)


async def test_clock_drift_is_seen(world: World) -> None:
    station = await world.station()
    status = ConnectorStatusReported(evse_id=1, connector_id=1, at=at(42), connector_status=ConnectorStatus.AVAILABLE)
    await world.tell(station, status)
    assert (await stations.get_station(world.context, "CS1")).clock_drift_s == 42.0
    await world.tell(station, HeartbeatSent())
    assert (await stations.get_station(world.context, "CS1")).clock_drift_s == 42.0


async def test_reported_variables_are_kept(world: World) -> None:
    station = await world.station(issued=False)
    ref = VariableRef("C", "V")
    readings = (
        VariableReading(ref, value="1"),
        VariableReading(VariableRef("C", "X"), GetVariableStatus.UNKNOWN_VARIABLE),
    )
    await world.tell(station, VariablesReported(request_id=1, at=at(0), readings=readings))
    (known,) = (await stations.configuration(world.context, "CS1")).reported
    assert (known.ref, known.value) == (ref, "1")


async def test_tokens_are_judged_as_entered(world: World) -> None:
    station = await world.station()

    async def verdict(value: str, kind: IdTokenType = IdTokenType.ISO14443) -> AuthorizationStatus:
        answer = await router.take(world.context, station, Authorize(id_token=IdToken(value, kind)))
        assert isinstance(answer, AuthorizeAnswer)
        return answer.id_token_info.status

    fields = authorization.TokenFields
    assert await verdict("CARD") is AuthorizationStatus.UNKNOWN
    await authorization.put_token(world.context, "Card", fields(expires_at=at(100)))
    assert await verdict("cARD") is AuthorizationStatus.ACCEPTED
    world.clock.seconds = 100
    assert await verdict("CARD") is AuthorizationStatus.EXPIRED
    await authorization.put_token(world.context, "CARD", fields(standing=AuthorizationStatus.BLOCKED))
    assert await verdict("CARD") is AuthorizationStatus.BLOCKED
    assert await verdict("", IdTokenType.NO_AUTHORIZATION) is AuthorizationStatus.ACCEPTED
    entered = (await authorization.list_tokens(world.context)).items
    assert [token.value for token in entered] == ["CARD"]
    assert entered[0] == await authorization.get_token(world.context, "card")
    await authorization.remove_token(world.context, "card")
    for gone in (authorization.get_token(world.context, "CARD"), authorization.remove_token(world.context, "CARD")):
        with pytest.raises(NotFound):
            await gone
    assert world.types().count("authorization.decided") == 5


async def test_tokens_that_cannot_be_are_refused(world: World) -> None:
    fields = authorization.TokenFields
    for value, wrong in (
        ("", fields()),
        ("x" * 256, fields()),
        ("x", fields(charging_priority=10)),
        ("x", fields(expires_at=datetime(2025, 1, 1))),  # noqa: DTZ001 - that it has none is the point
    ):
        with pytest.raises(Invalid):
            await authorization.put_token(world.context, value, wrong)


async def test_tokens_in_pages_and_by_group(world: World) -> None:
    for number in range(3):
        fields = authorization.TokenFields(group="fleet" if number else None)
        await authorization.put_token(world.context, f"T{number}", fields)
    page = await authorization.list_tokens(world.context, limit=2)
    assert [token.value for token in page.items] == ["T2", "T1"]
    rest = await authorization.list_tokens(world.context, cursor=page.next_cursor)
    assert [token.value for token in rest.items] == ["T0"]
    fleet = await authorization.list_tokens(world.context, group="fleet")
    assert [token.value for token in fleet.items] == ["T2", "T1"]


async def test_unknown_tokens_may_be_accepted(tmp_path: Path) -> None:
    async with make_world(tmp_path, CsmsSettings(unknown_tokens=UnknownTokenPolicy.ACCEPT)) as world:
        answer = await router.take(world.context, await world.station(), Authorize(id_token=IdToken("X")))
        assert isinstance(answer, AuthorizeAnswer)
        assert answer.id_token_info.status is AuthorizationStatus.ACCEPTED


async def test_a_vendors_message_nobody_knows(world: World) -> None:
    answer = await router.take(world.context, await world.station(), DataTransfer(vendor_id="x"))
    assert isinstance(answer, DataTransferAnswer)
    assert answer.outcome == "UnknownVendorId"


def test_the_router_knows_everything_a_station_can_say() -> None:
    assert set(router.TAKERS) == set(StationEvent.__args__)
    assert set(router.ANSWERERS) == set(StationRequest.__args__)


def test_who_is_not_accepted_says_little() -> None:
    boot, beat = Notice((StationBooted(identity=IDENTITY),)), Notice((HeartbeatSent(),))
    ask = Authorize(id_token=IdToken("X"))
    said = {
        status: [router.may_say(status, call) for call in (boot, beat, ask)]
        for status in RegistrationStatus
    }  # fmt: skip
    assert said == {
        RegistrationStatus.ACCEPTED: [True, True, True],
        RegistrationStatus.PENDING: [True, True, False],
        RegistrationStatus.REJECTED: [True, False, False],
    }


# Message history, keys, upkeep


async def test_the_message_history_is_searched(world: World) -> None:
    station = await world.station()
    frames = [
        Frame(at(0), Direction.IN, b'[2,"1","Heartbeat",{}]'),
        Frame(at(1), Direction.OUT, b'[3,"1",{"currentTime":"x"}]'),
        Frame(at(2), Direction.IN, b"nonsense \xff"),
        Frame(at(3), Direction.IN, b"[2]"),
        Frame(at(4), Direction.IN, b"[2,7,8]"),
    ]
    await world.context.store.write(message_log.kept([(station, frame) for frame in frames]))

    async def found(**by: object) -> list[int]:
        page = await message_log.list_messages(world.context, **by)  # type: ignore[arg-type]
        return [int((entry.at - at(0)).total_seconds()) for entry in page.items]

    assert await found() == [4, 3, 2, 1, 0]
    assert await found(station_id="CS1", message_id="1") == [1, 0]
    assert await found(action="Heartbeat") == [0]
    assert await found(direction=Direction.OUT) == [1]
    assert await found(since=at(1), until=at(3)) == [2, 1]
    first = await message_log.list_messages(world.context, limit=3)
    rest = await message_log.list_messages(world.context, cursor=first.next_cursor)
    assert [entry.frame for entry in rest.items] == [frames[1].frame, frames[0].frame]
    assert world.types().count("ocpp.message") == 5
    with pytest.raises(NotFound):
        await message_log.list_messages(world.context, station_id="nobody")


async def test_violations_are_counted_by_message(world: World) -> None:
    station = await world.station()
    await message_log.keep_violations(world.context, station, "BootNotification", ("one", "two"))
    await message_log.keep_violations(world.context, station, "Heartbeat", ("three",))
    listed = (await message_log.list_violations(world.context, "CS1")).items
    assert [entry.description for entry in listed] == ["three", "two", "one"]
    assert (await stations.get_station(world.context, "CS1")).violation_count == 2


async def test_a_key_opens_until_it_is_revoked_or_expires(world: World) -> None:
    key, text = await access.create_api_key(world.context, "ops", ("stations:read",), at(100))
    assert text.startswith("fck_")
    assert await access.verify_api_key(world.context, text) == key
    for wrong in (text + "x", text[:-1], "fck_" + key.id + "_", "nonsense", ""):
        assert await access.verify_api_key(world.context, wrong) is None
    world.clock.seconds = 100
    assert await access.verify_api_key(world.context, text) is None
    other, other_text = await access.create_api_key(world.context, "more", ())
    await access.revoke_api_key(world.context, other.id)
    assert await access.verify_api_key(world.context, other_text) is None
    listed = await access.list_api_keys(world.context)
    assert [(entry.name, entry.revoked_at) for entry in listed] == [("more", at(100)), ("ops", None)]
    with pytest.raises(NotFound):
        await access.revoke_api_key(world.context, other.id)
    for name, expires_at in (("", None), ("x", datetime(2025, 1, 1))):  # noqa: DTZ001 - that it has none is the point
        with pytest.raises(Invalid):
            await access.create_api_key(world.context, name, (), expires_at)
    found = await world.store.read(lambda books: books.access.key(key.id))
    assert found is not None
    assert text.rpartition("_")[2].encode() not in found[1], "the secret itself is not kept"


async def test_what_is_too_old_is_forgotten_and_transactions_never(tmp_path: Path) -> None:
    settings = CsmsSettings(message_retention_s=100, event_retention_s=200, meter_retention_s=300)
    async with make_world(tmp_path, settings) as world:
        station = await world.station()
        await world.context.store.write(message_log.kept([(station, Frame(at(0), Direction.IN, b"[]"))]))
        await world.tell(station, MeterSampled(evse_id=1, meter_values=(register(0, 5.0),)))

        async def left() -> tuple[int, int, int]:
            messages = (await message_log.list_messages(world.context)).items
            events = await world.store.read(lambda books: books.events.after(0, 100))
            return len(messages), len(events), len(await metering.list_readings(world.context, "CS1"))

        for seconds, expected in ((100, (1, 1, 1)), (101, (0, 1, 1)), (201, (0, 0, 1)), (301, (0, 0, 0))):
            world.clock.seconds = seconds
            await upkeep.forget(world.context)
            assert await left() == expected


async def test_events_say_what_their_type_promises(world: World) -> None:
    station = await world.station()
    await world.context.store.write(provisioning.connected(world.context, station))
    await world.tell(station, StationBooted(identity=IDENTITY))
    await world.tell(
        station, ConnectorStatusReported(evse_id=1, connector_id=1, connector_status=ConnectorStatus.OCCUPIED)
    )
    await world.tell(station, MeterSampled(evse_id=1, meter_values=(register(0, 5.0, power_w=7.0),)))
    assert world.types() == ["station.connected", "station.booted", "connector.status", "meter.sample"]
    for event in world.told:
        body = msgspec.json.decode(event.body, type=TYPES[event.type])
        assert msgspec.json.encode(body) == bytes(event.body)
        assert event.station_id == "CS1"


def test_settings_that_cannot_be_name_their_field() -> None:
    for field in ("command_timeout_s", "inbox", "event_retention_s", "meter_retention_s"):
        with pytest.raises(ValueError, match=field):
            msgspec.structs.replace(CsmsSettings(), **{field: 0})
    with pytest.raises(ValueError, match="energy_tolerance_wh"):
        CsmsSettings(energy_tolerance_wh=-1)
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.json.decode(b'{"comand_timeout_s":1}', type=CsmsSettings)


async def test_readings_are_listed_by_time_and_evse(world: World) -> None:
    station = await world.station()
    for evse_id in (1, 2):
        values = tuple(register(seconds, float(seconds)) for seconds in (1, 2, 3))
        await world.tell(station, MeterSampled(evse_id=evse_id, meter_values=values))

    async def found(**by: object) -> list[float | None]:
        return [entry.energy_wh for entry in await metering.list_readings(world.context, "CS1", **by)]  # type: ignore[arg-type]

    assert await found(evse_id=1) == [1.0, 2.0, 3.0]
    assert await found(since=at(2)) == [2.0, 2.0, 3.0, 3.0]
    assert await found(until=at(2), limit=1) == [1.0]
    with pytest.raises(NotFound):
        await transactions.list_meter_values(world.context, 1)
