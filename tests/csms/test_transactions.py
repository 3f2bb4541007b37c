"""Transactions: idempotent, in any order, never lost."""

from pathlib import Path

import msgspec
import pytest

from forecourt.csms import authorization, commands, endings, metering, stations, transactions
from forecourt.csms.command_records import CommandState
from forecourt.csms.errors import Conflict, NotFound
from forecourt.csms.ports import Receipt
from forecourt.csms.records import ConnectorView, Transaction, TransactionState
from forecourt.csms.settings import CsmsSettings
from forecourt.domain.events import (
    ChargingStateReported,
    ConnectorStatusReported,
    MeterSampled,
    Sequence,
    TransactionAnswer,
    TransactionAuthorized,
    TransactionEnded,
    TransactionStarted,
)
from forecourt.domain.requests import RequestStartTransaction
from forecourt.domain.station import ConnectorStatus
from forecourt.domain.token import AuthorizationStatus, IdToken, IdTokenType
from forecourt.domain.transaction import ChargingState, StoppedReason, TriggerReason
from tests.csms.worlds import BEGIN, END, World, at, register
from tests.csms.worlds import world as make_world

CARD = IdToken("Card1")


def started(seconds: float = 0, wh: float = 1000.0, transaction_id: str | None = None) -> TransactionStarted:
    return TransactionStarted(
        transaction_id=transaction_id,
        evse_id=1,
        at=at(seconds),
        id_token=CARD,
        meter_values=(register(seconds, wh, BEGIN),),
    )


def ended(transaction_id: str, seconds: float = 3600, wh: float = 8000.0) -> TransactionEnded:
    return TransactionEnded(
        transaction_id=transaction_id,
        at=at(seconds),
        reason=StoppedReason.EV_DISCONNECTED,
        meter_values=(register(seconds, wh, END),),
    )


def numbered(number: int) -> Sequence:
    return Sequence(seq_no=number, trigger_reason=TriggerReason.TRIGGER)


async def all_of(world: World) -> tuple[Transaction, ...]:
    return (await transactions.list_transactions(world.context)).items


async def start(world: World, station: object, event: TransactionStarted) -> str:
    answer = await world.tell(station, event)  # type: ignore[arg-type]
    assert isinstance(answer, TransactionAnswer)
    assert answer.transaction_id is not None
    return answer.transaction_id


async def test_a_transaction_from_start_to_end(world: World) -> None:
    await authorization.put_token(world.context, "CARD1", authorization.TokenFields(group="fleet"))
    station = await world.station()
    answer = await world.tell(station, started())
    assert isinstance(answer, TransactionAnswer)
    assert answer.id_token_info is not None
    assert answer.id_token_info.status is AuthorizationStatus.ACCEPTED
    assert answer.id_token_info.group_id_token == IdToken("fleet", IdTokenType.CENTRAL)
    transaction_id = answer.transaction_id
    assert transaction_id is not None
    assert int(transaction_id) > 0
    await world.tell(
        station, MeterSampled(evse_id=1, transaction_id=transaction_id, meter_values=(register(1800, 4500.0),))
    )
    (running,) = await all_of(world)
    assert running.state is TransactionState.ACTIVE
    assert running.energy_wh == 3500.0
    await world.tell(station, ended(transaction_id))
    (over,) = await all_of(world)
    assert over.state is TransactionState.ENDED
    assert (over.meter_start_wh, over.meter_stop_wh, over.energy_wh) == (1000.0, 8000.0, 7000.0)
    assert (over.started_at, over.ended_at) == (at(0), at(3600))
    assert over.stopped_reason is StoppedReason.EV_DISCONNECTED
    assert over.id_token == "Card1"
    assert over.suspect is None
    readings = await transactions.list_meter_values(world.context, over.number)
    assert [reading.energy_wh for reading in readings] == [1000.0, 4500.0, 8000.0]
    assert [name for name in world.types() if name.startswith("transaction.")] == [
        "transaction.started",
        "transaction.ended",
    ]


async def test_a_start_that_is_told_again_gets_the_same_id(world: World) -> None:
    station = await world.station()
    first = await start(world, station, started())
    assert await start(world, station, started()) == first
    assert len(await all_of(world)) == 1
    assert world.types().count("transaction.started") == 1


@pytest.mark.parametrize(
    "other",
    [
        started(seconds=1),
        started(wh=1001.0),
        msgspec.structs.replace(started(), evse_id=2),
        msgspec.structs.replace(started(), id_token=IdToken("Card2")),
    ],
)
async def test_a_start_that_differs_is_another(world: World, other: TransactionStarted) -> None:
    station = await world.station()
    assert await start(world, station, started()) != await start(world, station, other)


async def test_two_stations_never_share_a_start(world: World) -> None:
    one, two = await world.station("CS1"), await world.station("CS2")
    assert await start(world, one, started()) != await start(world, two, started())


async def test_ids_are_not_given_again_after_a_restart(tmp_path: Path) -> None:
    async with make_world(tmp_path) as world:
        station = await world.station()
        first = await start(world, station, started())
    async with make_world(tmp_path) as world:
        assert int(await start(world, station, started(seconds=5))) > int(first)
        assert await start(world, station, started()) == first


async def test_the_end_of_an_unknown_transaction_is_kept_once(world: World) -> None:
    station = await world.station()
    for _ in range(2):
        await world.tell(station, ended("57"))
    (orphan,) = await all_of(world)
    assert orphan.orphan
    assert orphan.reported_id == "57"
    assert orphan.transaction_id is None
    assert orphan.meter_stop_wh == 8000.0
    assert orphan.energy_wh is None
    assert (await transactions.list_transactions(world.context, orphan=True)).items == (orphan,)


async def test_minus_one_and_a_strangers_id_end_nobody_elses_transaction(world: World) -> None:
    one, two = await world.station("CS1"), await world.station("CS2")
    transaction_id = await start(world, one, started())
    await world.tell(two, ended(transaction_id))
    await world.tell(two, ended("-1"))
    await world.tell(two, ended("-1", seconds=7200))
    found = await all_of(world)
    assert len(found) == 4
    assert [entry.state for entry in found if not entry.orphan] == [TransactionState.ACTIVE]


async def test_an_id_of_another_system_does_not_block_ours(world: World) -> None:
    """A stop for an id that our sequence only comes to later."""
    station = await world.station()
    await world.tell(station, ended("2"))
    assert await start(world, station, started()) == "2"
    await world.tell(station, ended("2", seconds=100, wh=1100.0))
    ours = (await transactions.list_transactions(world.context, orphan=False)).items
    assert [entry.energy_wh for entry in ours] == [100.0]


async def test_readings_of_an_unknown_transaction_are_kept(world: World) -> None:
    station = await world.station()
    await world.tell(station, MeterSampled(evse_id=1, transaction_id="9", meter_values=(register(10, 5.0),)))
    (reading,) = await metering.list_readings(world.context, "CS1")
    assert reading.reported_transaction_id == "9"
    assert reading.transaction_number is None


async def test_a_repeated_reading_is_kept_once(world: World) -> None:
    station = await world.station()
    transaction_id = await start(world, station, started())
    event = MeterSampled(evse_id=1, transaction_id=transaction_id, meter_values=(register(10, 1005.0, power_w=900.0),))
    for _ in range(3):
        await world.tell(station, event)
    assert len(await transactions.list_meter_values(world.context, int(transaction_id))) == 2


async def test_a_second_different_end_counts_when_it_is_later(world: World) -> None:
    station = await world.station()
    transaction_id = await start(world, station, started())
    await world.tell(station, ended(transaction_id, seconds=100, wh=1100.0))
    await world.tell(station, ended(transaction_id, seconds=50, wh=1050.0))
    (over,) = await all_of(world)
    assert (over.ended_at, over.energy_wh) == (at(100), 100.0)


async def test_energy_below_the_start_is_kept_marked_and_not_reckoned(world: World) -> None:
    station = await world.station()
    transaction_id = await start(world, station, started())
    await world.tell(station, MeterSampled(evse_id=1, transaction_id=transaction_id, meter_values=(register(60, 3.0),)))
    (running,) = await all_of(world)
    assert running.energy_wh == 0.0
    await world.tell(station, ended(transaction_id, wh=10.0))
    (over,) = await all_of(world)
    assert over.meter_stop_wh == 10.0
    assert over.energy_wh is None
    assert over.suspect == "the register is below its value at the start"
    marks = [reading.suspect for reading in await transactions.list_meter_values(world.context, over.number)]
    assert marks == [None, over.suspect, over.suspect]


async def test_more_energy_than_can_have_flowed_is_suspect(tmp_path: Path) -> None:
    async with make_world(tmp_path, CsmsSettings(maximum_power_w=11_000, energy_tolerance_wh=100)) as world:
        station = await world.station()
        transaction_id = await start(world, station, started())
        await world.tell(station, ended(transaction_id, seconds=3600, wh=12_101.0))
        (over,) = await all_of(world)
        assert over.suspect == "more energy than could have flowed since the start"
        other = await start(world, station, started(seconds=5000))
        await world.tell(station, ended(other, seconds=8600, wh=12_099.0))
        assert (await all_of(world))[0].energy_wh == 11_099.0


async def test_a_transaction_whose_start_comes_last(world: World) -> None:
    station = await world.station(issued=False)
    await world.tell(station, ended("tx-1"), sequence=numbered(2))
    await world.tell(
        station,
        MeterSampled(evse_id=1, transaction_id="tx-1", meter_values=(register(60, 500.0),)),
        sequence=numbered(1),
    )
    (orphan,) = await all_of(world)
    assert orphan.orphan
    assert orphan.missing == ((0, 0),)
    await world.tell(station, started(transaction_id="tx-1"), sequence=numbered(0))
    (whole,) = await all_of(world)
    assert not whole.orphan
    assert whole.missing == ()
    assert whole.state is TransactionState.ENDED
    assert whole.energy_wh == 7000.0
    assert whole.end_seq_no == 2
    marks = {reading.energy_wh: reading.suspect for reading in await transactions.list_meter_values(world.context, 1)}
    assert marks == {1000.0: None, 500.0: "the register is below its value at the start", 8000.0: None}
    assert await stations.list_connectors(world.context, "CS1") == (), "nothing runs there"


async def test_a_message_without_content_still_fills_its_gap(world: World) -> None:
    station = await world.station(issued=False)
    await world.tell(station, started(transaction_id="tx-1"), sequence=numbered(0))
    await world.tell(
        station, sequence=Sequence(seq_no=1, trigger_reason=TriggerReason.TRIGGER, transaction_id="tx-1", at=at(5))
    )
    (running,) = await all_of(world)
    assert running.sequence == ((0, 1),)


async def test_a_token_shown_later_is_the_transactions(world: World) -> None:
    await authorization.put_token(world.context, "card1", authorization.TokenFields())
    station = await world.station(issued=False)
    await world.tell(station, msgspec.structs.replace(started(transaction_id="tx-1"), id_token=None))
    answer = await world.tell(station, TransactionAuthorized(transaction_id="tx-1", at=at(20), id_token=CARD))
    assert isinstance(answer, TransactionAnswer)
    assert answer.id_token_info is not None
    assert answer.id_token_info.status is AuthorizationStatus.ACCEPTED
    (running,) = await all_of(world)
    assert (running.id_token, running.authorization) == ("Card1", AuthorizationStatus.ACCEPTED)


async def test_the_connector_shows_what_a_person_sees(world: World) -> None:
    station = await world.station()
    world.clock.seconds = 60.0

    async def view() -> ConnectorView:
        (connector,) = await stations.list_connectors(world.context, "CS1")
        return connector.view

    def plug(status: ConnectorStatus, seconds: float) -> ConnectorStatusReported:
        return ConnectorStatusReported(evse_id=1, connector_id=1, at=at(seconds), connector_status=status)

    def flow(state: ChargingState, seconds: float) -> ChargingStateReported:
        return ChargingStateReported(evse_id=1, at=at(seconds), charging_state=state)

    await world.tell(station, plug(ConnectorStatus.AVAILABLE, 0))
    assert await view() is ConnectorView.UNPLUGGED
    await world.tell(station, plug(ConnectorStatus.OCCUPIED, 1))
    assert await view() is ConnectorView.PLUGGED_IN
    transaction_id = await start(world, station, started(2))
    await world.tell(station, flow(ChargingState.CHARGING, 3))
    assert await view() is ConnectorView.CHARGING
    for seconds, power_w, shown in ((10, 0.0, ConnectorView.PLUGGED_IN), (20, 7000.0, ConnectorView.CHARGING)):
        values = (register(seconds, 1000.0 + seconds, power_w=power_w),)
        await world.tell(station, MeterSampled(evse_id=1, transaction_id=transaction_id, meter_values=values))
        assert await view() is shown
    await world.tell(station, flow(ChargingState.SUSPENDED_EV, 30))
    assert await view() is ConnectorView.PLUGGED_IN
    await world.tell(station, ended(transaction_id, 40, 1100.0))
    await world.tell(station, flow(ChargingState.EV_CONNECTED, 40))
    assert await view() is ConnectorView.FINISHED
    await world.tell(station, plug(ConnectorStatus.AVAILABLE, 50))
    assert await view() is ConnectorView.UNPLUGGED
    await world.tell(station, plug(ConnectorStatus.FAULTED, 45))
    assert await view() is ConnectorView.UNPLUGGED, "what is older than what is known changes nothing"
    await world.tell(station, plug(ConnectorStatus.FAULTED, 55))
    assert await view() is ConnectorView.FAULTED


async def test_a_stale_one_is_closed_by_hand_and_its_late_end_counts(world: World) -> None:
    station = await world.station()
    transaction_id = await start(world, station, started())
    await world.tell(
        station, MeterSampled(evse_id=1, transaction_id=transaction_id, meter_values=(register(60, 1010.0),))
    )
    closed = await endings.close_transaction(world.context, int(transaction_id))
    assert (closed.state, closed.ended_at, closed.energy_wh) == (TransactionState.CLOSED, at(60), 10.0)
    with pytest.raises(Conflict):
        await endings.close_transaction(world.context, int(transaction_id))
    await world.tell(station, ended(transaction_id))
    (over,) = await all_of(world)
    assert (over.state, over.energy_wh) == (TransactionState.ENDED, 7000.0)
    with pytest.raises(NotFound):
        await transactions.get_transaction(world.context, 4711)


async def test_one_token_one_transaction_where_the_settings_say_so(tmp_path: Path) -> None:
    async with make_world(tmp_path, CsmsSettings(concurrent_transactions=False)) as world:
        await authorization.put_token(world.context, "card1", authorization.TokenFields())
        one, two = await world.station("CS1"), await world.station("CS2")

        async def verdict(station: object) -> AuthorizationStatus:
            answer = await world.tell(station, started())  # type: ignore[arg-type]
            assert isinstance(answer, TransactionAnswer)
            assert answer.id_token_info is not None
            return answer.id_token_info.status

        assert await verdict(one) is AuthorizationStatus.ACCEPTED
        assert await verdict(two) is AuthorizationStatus.CONCURRENT_TX
        assert await verdict(one) is AuthorizationStatus.ACCEPTED, "told again it is the same transaction"


async def test_the_command_that_led_to_it_is_linked(world: World) -> None:
    station = await world.station()
    command = await commands.issue(world.context, "CS1", RequestStartTransaction(id_token=CARD, evse_id=1))
    assert command.state is CommandState.OFFLINE
    assert int(await start(world, station, started())) == 1
    assert (await all_of(world))[0].command_id is None, "a command that was never sent started nothing"
    lease = world.bus.claim(station.number, lambda _: Receipt.QUEUED)
    command = await commands.issue(world.context, "CS1", RequestStartTransaction(id_token=CARD, evse_id=1))
    await start(world, station, started(seconds=9))
    linked = (await all_of(world))[0]
    assert linked.command_id == command.id
    assert (await commands.get_command(world.context, command.id)).transaction_number == linked.number
    lease.release()


async def test_lists_are_newest_first_in_pages_and_filtered(world: World) -> None:
    one, two = await world.station("CS1"), await world.station("CS2")
    for seconds in range(5):
        await start(world, one, started(seconds))
    last = await start(world, two, started(100))
    page = await transactions.list_transactions(world.context, limit=4)
    assert [entry.number for entry in page.items] == [6, 5, 4, 3]
    rest = await transactions.list_transactions(world.context, limit=4, cursor=page.next_cursor)
    assert ([entry.number for entry in rest.items], rest.next_cursor) == ([2, 1], None)
    of_two = await transactions.list_transactions(world.context, station_id="CS2", id_token="CARD1")
    assert [str(entry.number) for entry in of_two.items] == [last]
    early = await transactions.list_transactions(world.context, started_from=at(1), started_to=at(3))
    assert [entry.number for entry in early.items] == [3, 2]
    assert (await transactions.list_transactions(world.context, state=TransactionState.ENDED)).items == ()
