"""Commands: stored first, ended always, once, and by the table."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from forecourt.csms import charging, commands, stations, upkeep
from forecourt.csms.command_records import Command, CommandState
from forecourt.csms.errors import Conflict, Invalid, NotFound
from forecourt.csms.outcomes import outcome_of, raw_outcome_of
from forecourt.csms.ports import CallOrder, Order, Receipt
from forecourt.csms.records import ProfileState
from forecourt.domain.profile import (
    ChargingProfile,
    ChargingProfileKind,
    ChargingProfilePurpose,
    ChargingRateUnit,
    ChargingSchedule,
    ChargingSchedulePeriod,
    ProfileCriteria,
)
from forecourt.domain.requests import (
    ClearCache,
    ClearChargingProfile,
    CsmsRequestAnswer,
    DataTransferAnswer,
    DataTransferStatus,
    GetVariables,
    GetVariablesAnswer,
    RequestAnswer,
    RequestStartTransaction,
    RequestStatus,
    Reset,
    SetChargingProfile,
    SetVariables,
    SetVariablesAnswer,
    StartAnswer,
    UnlockAnswer,
    UnlockStatus,
)
from forecourt.domain.token import IdToken
from forecourt.domain.variable import (
    SetVariableStatus,
    VariableReading,
    VariableRef,
    VariableSetResult,
    VariableSetting,
)
from tests.csms.worlds import World
from tests.csms.worlds import world as make_world

ACCEPTED = RequestAnswer(outcome=RequestStatus.ACCEPTED)
REJECTED = RequestAnswer(outcome=RequestStatus.REJECTED)
REF = VariableRef("C", "V")


class Holder:
    """Holds a station's socket and keeps what it is ordered."""

    def __init__(self, receipt: Receipt = Receipt.QUEUED) -> None:
        self.orders: list[Order] = []
        self.receipt = receipt

    def __call__(self, order: Order) -> Receipt:
        self.orders.append(order)
        return self.receipt


async def held(world: World, station_id: str = "CS1") -> Holder:
    station = await world.station(station_id)
    holder = Holder()
    world.bus.claim(station.number, holder)
    return holder


async def answer(world: World, command: Command, given: CsmsRequestAnswer, payload: bytes = b"{}") -> Command:
    await commands.answered(world.context, command, payload, commands.request_of(command), given)
    return await commands.get_command(world.context, command.id)


def profile(
    profile_id: int = 0,
    *,
    stack_level: int = 0,
    purpose: ChargingProfilePurpose = ChargingProfilePurpose.TX_DEFAULT,
) -> ChargingProfile:
    return ChargingProfile(
        id=profile_id,
        stack_level=stack_level,
        purpose=purpose,
        kind=ChargingProfileKind.ABSOLUTE,
        schedules=(ChargingSchedule(rate_unit=ChargingRateUnit.A, periods=(ChargingSchedulePeriod(0, 16.0),)),),
    )


async def test_a_command_is_stored_before_it_is_ordered(world: World) -> None:
    holder = await held(world)
    command = await commands.issue(world.context, "CS1", ClearCache())
    assert command.state is CommandState.QUEUED
    assert holder.orders == [CallOrder(command=command)]
    assert await commands.get_command(world.context, command.id) == command
    assert commands.request_of(command) == ClearCache()


async def test_its_states_are_told_and_the_final_one_stays(world: World) -> None:
    await held(world)
    command = await commands.issue(world.context, "CS1", ClearCache())
    await commands.sent(world.context, command, action="ClearCache", payload=b"{}", message_id="m1")
    done = await answer(world, command, ACCEPTED, b'{"status":"Accepted"}')
    assert done.state is CommandState.ACCEPTED
    assert (done.answer, done.message_id) == (b'{"status":"Accepted"}', "m1")
    assert commands.answer_of(done) == ACCEPTED
    assert done.finished_at is not None
    await commands.ended(world.context, command, CommandState.TIMEOUT, "too late")
    await commands.sent(world.context, command, action="X", payload=b"", message_id="m2")
    assert await commands.get_command(world.context, command.id) == done
    states = [msgspec.json.decode(event.body)["state"] for event in world.told if event.type == "command.updated"]
    assert states == ["queued", "sent", "accepted"]


async def test_to_a_station_that_is_not_there_it_is_offline_at_once(world: World) -> None:
    await world.station()
    command = await commands.issue(world.context, "CS1", Reset())
    assert command.state is CommandState.OFFLINE
    assert command.detail == "the station is not connected"
    with pytest.raises(NotFound):
        await commands.issue(world.context, "nobody", Reset())


async def test_where_too_many_wait_it_expires_at_once(world: World) -> None:
    holder = await held(world)
    holder.receipt = Receipt.FULL
    assert (await commands.issue(world.context, "CS1", Reset())).state is CommandState.EXPIRED


async def test_an_idempotency_key_names_one_command(world: World) -> None:
    holder = await held(world)
    first = await commands.issue(world.context, "CS1", Reset(), idempotency_key="k")
    assert await commands.issue(world.context, "CS1", Reset(), idempotency_key="k") == first
    assert len(holder.orders) == 1
    with pytest.raises(Conflict):
        await commands.issue(world.context, "CS1", ClearCache(), idempotency_key="k")
    with pytest.raises(Conflict):
        await commands.issue_raw(world.context, "CS1", "Reset", b"{}", idempotency_key="k")


async def test_what_cannot_be_is_refused(world: World) -> None:
    await held(world)
    for wrong in (
        commands.issue(world.context, "CS1", Reset(), timeout_s=0),
        commands.issue_raw(world.context, "CS1", "", b"{}"),
        commands.issue_raw(world.context, "CS1", "Reset", b"[]"),
        commands.issue_raw(world.context, "CS1", "Reset", b'{"a":1}x'),
        commands.issue_raw(world.context, "CS1", "Reset", b'{"a":"\xff"}'),
        commands.issue_raw(world.context, "CS1", "Reset", b'{"a":' * 5000),
    ):
        with pytest.raises(Invalid):
            await wrong
    assert (await commands.list_commands(world.context)).items == ()


async def test_a_raw_payload_loses_its_blanks_and_nothing_else(world: World) -> None:
    await held(world)
    given = b' { "z" : 1.0,\n "b": "\\u00e9 \xc3\xa9", "a": [1e5, null , {}], "z": -0, "n": 1234567890123456789.10 } '
    command = await commands.issue_raw(world.context, "CS1", "Made", given)
    kept = b'{"z":1.0,"b":"\\u00e9 \xc3\xa9","a":[1e5,null,{}],"z":-0,"n":1234567890123456789.10}'
    assert command.request == kept


async def test_remote_starts_and_reports_get_numbers_that_never_come_again(tmp_path: Path) -> None:
    request = RequestStartTransaction(id_token=IdToken("CARD"), charging_profile=profile())
    given: list[tuple[int, int]] = []
    for _ in range(2):
        async with make_world(tmp_path) as world:
            if not given:
                await world.station()
            command = await commands.issue(
                msgspec.structs.replace(world.context, new_id=lambda: f"c{len(given)}"), "CS1", request
            )
            asked = commands.request_of(command)
            assert isinstance(asked, RequestStartTransaction)
            assert asked.charging_profile is not None
            given.append((asked.remote_start_id, asked.charging_profile.id))
    assert given == [(1, 1), (2, 2)]


async def test_waiting_ends_with_the_outcome_or_with_time(world: World) -> None:
    await held(world)
    command = await commands.issue(world.context, "CS1", ClearCache())
    assert (await commands.wait(world.context, command.id, 0.01)).state is CommandState.QUEUED
    waiting = asyncio.create_task(commands.wait(world.context, command.id, 10))
    await asyncio.sleep(0)
    await answer(world, command, REJECTED)
    assert (await waiting).state is CommandState.REJECTED
    assert (await commands.wait(world.context, command.id, 10)).state is CommandState.REJECTED


async def test_after_a_crash_none_is_left_open(tmp_path: Path) -> None:
    async with make_world(tmp_path) as world:
        await held(world)
        queued = await commands.issue(world.context, "CS1", ClearCache())
        sent = await commands.issue(world.context, "CS1", Reset())
        await commands.sent(world.context, sent, action="Reset", payload=b"{}", message_id="m")
    async with make_world(tmp_path) as world:
        found = await commands.get_command(world.context, queued.id)
        assert found.state is CommandState.TIMEOUT, "it may have left before that could be entered"
        assert "nobody knows whether it was sent" in str(found.detail)
        assert (await commands.get_command(world.context, sent.id)).state is CommandState.TIMEOUT
        assert await commands.recover(world.context) == 0


async def test_the_sweeper_ends_what_nobody_ends(world: World) -> None:
    await held(world)
    command = await commands.issue(world.context, "CS1", Reset(), timeout_s=10)
    sweeper = upkeep.Sweeper(world.context)
    assert await sweeper.turn() == 0
    world.clock.seconds = 10 + world.context.settings.sweep_interval_s
    assert await sweeper.turn() == 0
    world.clock.seconds += 1
    assert await sweeper.turn() == 1
    assert (await commands.get_command(world.context, command.id)).state is CommandState.TIMEOUT


async def test_lists_are_newest_first_in_pages(world: World) -> None:
    await held(world)
    await held(world, "CS2")
    ids = [(await commands.issue(world.context, "CS1", Reset())).id for _ in range(3)]
    other = (await commands.issue(world.context, "CS2", Reset())).id
    page = await commands.list_commands(world.context, limit=2)
    assert [entry.id for entry in page.items] == [other, ids[2]]
    rest = await commands.list_commands(world.context, limit=2, cursor=page.next_cursor)
    assert [entry.id for entry in rest.items] == [ids[1], ids[0]]
    of_one = await commands.list_commands(world.context, station_id="CS1", state=CommandState.QUEUED)
    assert [entry.id for entry in of_one.items] == ids[::-1]


# What counts as accepted

ANSWERS: list[tuple[CsmsRequestAnswer, bool]] = [
    (ACCEPTED, True),
    (RequestAnswer(outcome=RequestStatus.SCHEDULED), True),
    (REJECTED, False),
    (RequestAnswer(outcome=RequestStatus.UNKNOWN), False),
    (StartAnswer(outcome=RequestStatus.ACCEPTED), True),
    (UnlockAnswer(outcome=UnlockStatus.UNLOCKED), True),
    (UnlockAnswer(outcome=UnlockStatus.UNLOCK_FAILED), False),
    (SetVariablesAnswer(results=(VariableSetResult(REF, SetVariableStatus.REBOOT_REQUIRED),)), True),
    (
        SetVariablesAnswer(
            results=(
                VariableSetResult(REF, SetVariableStatus.ACCEPTED),
                VariableSetResult(REF, SetVariableStatus.UNKNOWN_VARIABLE),
            )
        ),
        False,
    ),
    (GetVariablesAnswer(readings=()), True),
    (GetVariablesAnswer(readings=(), outcome=RequestStatus.NOT_SUPPORTED), False),
    (DataTransferAnswer(outcome=DataTransferStatus.ACCEPTED), True),
    (DataTransferAnswer(outcome=DataTransferStatus.UNKNOWN_VENDOR_ID), False),
]


@pytest.mark.parametrize(("given", "accepted"), ANSWERS)
def test_the_table_of_typed_answers(given: CsmsRequestAnswer, accepted: bool) -> None:
    assert (outcome_of(given) is CommandState.ACCEPTED) is accepted


@pytest.mark.parametrize(
    ("payload", "accepted"),
    [
        (b'{"status":"Accepted"}', True),
        (b'{"status":"Scheduled"}', True),
        (b'{"status":"RebootRequired"}', True),
        (b'{"status":"UnlockFailed"}', False),
        (b'{"status":7}', False),
        (b'{"configurationKey":[]}', True),
        (b"{}", True),
        (b'{"setVariableResult":[{"attributeStatus":"Accepted"},{"attributeStatus":"RebootRequired"}]}', True),
        (b'{"setVariableResult":[{"attributeStatus":"Accepted"},{"attributeStatus":"Rejected"}]}', False),
        (b'{"setVariableResult":"nonsense"}', True),
        (b'{"clearMonitoringResult":[{"status":"NotFound","id":1}]}', False),
    ],
)
def test_the_table_of_raw_answers(payload: bytes, accepted: bool) -> None:
    assert (raw_outcome_of(payload) is CommandState.ACCEPTED) is accepted


# What follows from an outcome


async def states(world: World) -> dict[int, ProfileState]:
    return {entry.profile_id: entry.state for entry in (await charging.list_profiles(world.context)).items}


@pytest.mark.parametrize(
    ("ending", "state"),
    [
        (lambda w, c: answer(w, c, ACCEPTED), ProfileState.INSTALLED),
        (lambda w, c: answer(w, c, REJECTED), ProfileState.REJECTED),
        (
            lambda w, c: commands.failed(w.context, c, "NotSupported", "", b"{}", commands.request_of(c)),
            ProfileState.REJECTED,
        ),
        (lambda w, c: commands.ended(w.context, c, CommandState.TIMEOUT, ""), ProfileState.UNKNOWN),
        (lambda w, c: commands.ended(w.context, c, CommandState.OFFLINE, ""), ProfileState.NOT_SENT),
    ],
)
async def test_a_profile_is_as_installed_as_its_station_says(
    world: World, ending: Callable[[World, Command], object], state: ProfileState
) -> None:
    await held(world)
    command, entry = await charging.set_profile(world.context, "CS1", 1, profile())
    assert entry.state is ProfileState.PENDING
    assert entry.profile_id == 1
    await ending(world, command)  # type: ignore[misc]
    assert await states(world) == {1: state}


async def test_a_profile_takes_the_place_of_its_like(world: World) -> None:
    await held(world)

    async def install(evse_id: int, wanted: ChargingProfile) -> int:
        command, entry = await charging.set_profile(world.context, "CS1", evse_id, wanted)
        await answer(world, command, ACCEPTED)
        return entry.number

    async def state_of(number: int) -> ProfileState:
        entries = (await charging.list_profiles(world.context)).items
        return {entry.number: entry.state for entry in entries}[number]

    first = await install(1, profile(10))
    elsewhere = await install(2, profile(11))
    above = await install(1, profile(12, stack_level=1))
    assert await state_of(first) is ProfileState.INSTALLED
    same_place = await install(1, profile(13))
    assert await state_of(first) is ProfileState.REPLACED
    same_id = await install(2, profile(13, stack_level=5))
    assert await state_of(same_place) is ProfileState.REPLACED
    assert [await state_of(number) for number in (elsewhere, above, same_id)] == [ProfileState.INSTALLED] * 3


async def test_clearing_marks_what_matches(world: World) -> None:
    await held(world)
    for evse_id, wanted in ((1, profile(10)), (2, profile(11)), (2, profile(12, stack_level=1))):
        command, _ = await charging.set_profile(world.context, "CS1", evse_id, wanted)
        await answer(world, command, ACCEPTED)
    command = await charging.clear_profiles(world.context, "CS1", ProfileCriteria(evse_id=2, stack_level=1))
    await answer(world, command, ACCEPTED)
    there, gone = ProfileState.INSTALLED, ProfileState.CLEARED
    assert await states(world) == {10: there, 11: there, 12: gone}
    command = await commands.issue(world.context, "CS1", ClearChargingProfile())
    await answer(world, command, RequestAnswer(outcome=RequestStatus.UNKNOWN))
    assert set((await states(world)).values()) == {gone}, "a station that knows of none has none"


async def test_a_raw_command_that_can_be_read_has_its_effects(world: World) -> None:
    await held(world)
    command = await commands.issue_raw(world.context, "CS1", "SetChargingProfile", b'{"x":1}')
    request = SetChargingProfile(evse_id=1, profile=profile(7))
    await commands.answered(world.context, command, b'{"status":"Accepted"}', request, ACCEPTED)
    assert await states(world) == {7: ProfileState.INSTALLED}


@pytest.mark.parametrize(
    ("evse_id", "schedules"),
    [
        (-1, profile().schedules),
        (1, ()),
        (1, (ChargingSchedule(rate_unit=ChargingRateUnit.A, periods=()),)),
        (1, (ChargingSchedule(rate_unit=ChargingRateUnit.A, periods=(ChargingSchedulePeriod(5, 1.0),)),)),
        (
            1,
            (
                ChargingSchedule(
                    rate_unit=ChargingRateUnit.A,
                    periods=(ChargingSchedulePeriod(0, 1.0), ChargingSchedulePeriod(0, 2.0)),
                ),
            ),
        ),
    ],
)
async def test_a_profile_that_cannot_be_is_refused(
    world: World, evse_id: int, schedules: tuple[ChargingSchedule, ...]
) -> None:
    await held(world)
    with pytest.raises(Invalid):
        await charging.set_profile(
            world.context, "CS1", evse_id, msgspec.structs.replace(profile(), schedules=schedules)
        )


async def test_variables_are_known_by_what_the_station_says(world: World) -> None:
    await held(world)
    wishes = (VariableSetting(REF, "60"), VariableSetting(VariableRef("C", "W"), "b,a"))
    before = await stations.set_desired_variables(world.context, "CS1", wishes)
    assert [drift.reported for drift in before.drift] == [None, None]
    read = await commands.issue(world.context, "CS1", GetVariables(refs=tuple(wish.ref for wish in wishes)))
    readings = (VariableReading(REF, value="60.0"), VariableReading(wishes[1].ref, value="a, b"))
    await answer(world, read, GetVariablesAnswer(readings=readings))
    (drift,) = (await stations.configuration(world.context, "CS1")).drift
    assert (drift.ref, drift.desired, drift.reported) == (wishes[1].ref, "b,a", "a, b")
    push = await commands.issue(world.context, "CS1", SetVariables(settings=(wishes[1],)))
    results = (VariableSetResult(wishes[1].ref, SetVariableStatus.REBOOT_REQUIRED),)
    await answer(world, push, SetVariablesAnswer(results=results))
    after = await stations.configuration(world.context, "CS1")
    assert len(after.drift) == 1, "it takes a reboot"
    assert {wish.ref: wish.outcome for wish in after.desired} == {REF: None, wishes[1].ref: "RebootRequired"}
    push = await commands.issue(world.context, "CS1", SetVariables(settings=(wishes[1],)))
    await answer(
        world, push, SetVariablesAnswer(results=(VariableSetResult(wishes[1].ref, SetVariableStatus.ACCEPTED),))
    )
    assert (await stations.configuration(world.context, "CS1")).drift == ()
    await stations.remove_desired_variable(world.context, "CS1", REF)
    assert len((await stations.configuration(world.context, "CS1")).desired) == 1
    with pytest.raises(NotFound):
        await stations.remove_desired_variable(world.context, "CS1", REF)
