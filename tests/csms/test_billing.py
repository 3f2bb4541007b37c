"""Sessions and CDRs: made once, of what is sure; held otherwise, until an operator has decided."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from forecourt.csms import authorization, cdrs, endings, published, stations, tariffs, transactions
from forecourt.csms.authorization import TokenFields
from forecourt.csms.billing import Biller
from forecourt.csms.cdrs import Release
from forecourt.csms.errors import Conflict, Invalid, NotFound
from forecourt.csms.money_records import SessionState, Tariff, TariffScope
from forecourt.csms.records import ConnectedStation
from forecourt.csms.tariff_terms import (
    PriceComponent,
    TariffDimension,
    TariffElement,
    TariffRestrictions,
    TariffTerms,
    TariffType,
)
from forecourt.domain.events import (
    ChargingStateReported,
    MeterSampled,
    Sequence,
    TransactionEnded,
    TransactionStarted,
)
from forecourt.domain.meter import MeterValue, SampledValue, SignedMeterValue
from forecourt.domain.token import IdToken
from forecourt.domain.transaction import ChargingState, TriggerReason
from tests.csms.worlds import BEGIN, END, World, at, register, world

CARD = "CARD1"


def terms(price: str = "0.50", **more: Any) -> TariffTerms:
    component = PriceComponent(type=TariffDimension.ENERGY, price=Decimal(price), vat=Decimal(19))
    idle = PriceComponent(type=TariffDimension.PARKING_TIME, price=Decimal("6.00"), vat=Decimal(19), step_size=60)
    element = TariffElement(price_components=(component, idle), restrictions=more.pop("restrictions", None))
    return TariffTerms(currency="EUR", elements=(element,), **more)


async def tariff(world: World, scope: TariffScope = TariffScope.ORGANISATION, target: str = "", **more: Any) -> Tariff:
    made = await tariffs.create_tariff(world.context, terms(**more))
    await tariffs.assign_tariff(world.context, made.id, scope, target)
    return made


async def begin(
    world: World, station: ConnectedStation, token: str = CARD, seconds: float = 0, wh: float = 1000.0
) -> str:
    if await world.store.read(lambda books: books.tokens.get(1, token)) is None:
        await authorization.put_token(world.context, token, TokenFields())
    own = None if station.capabilities.csms_issues_transaction_ids else f"own-{seconds}"
    answer = await world.tell(
        station,
        TransactionStarted(
            transaction_id=own,
            evse_id=1,
            at=at(seconds),
            id_token=IdToken(token),
            meter_values=(register(seconds, wh, BEGIN),),
        ),
    )
    return own or answer.transaction_id  # type: ignore[union-attr, return-value]


async def end(world: World, station: ConnectedStation, transaction_id: str, seconds: float, wh: float) -> None:
    values = (register(seconds, wh, END),)
    await world.tell(station, TransactionEnded(transaction_id=transaction_id, at=at(seconds), meter_values=values))


async def charge(world: World, station: ConnectedStation, *, wh: float = 10_000.0, **begins: Any) -> None:
    transaction_id = await begin(world, station, **begins)
    await end(world, station, transaction_id, begins.get("seconds", 0) + 3600, begins.get("wh0", 1000.0) + wh)
    world.clock.seconds += 7200
    await Biller(world.context).turn()


async def test_a_transaction_is_billed_once_it_is_over(world: World) -> None:
    made = await tariff(world)
    station = await world.station()
    await charge(world, station)
    (cdr,) = (await cdrs.list_cdrs(world.context)).items
    assert (cdr.session_number, cdr.station_id, cdr.id_token, cdr.evse_id) == (1, "CS1", CARD, 1)
    assert (cdr.started_at, cdr.ended_at) == (at(0), at(3600))
    assert (str(cdr.bill.total_cost.excl_vat), str(cdr.bill.total_cost.incl_vat)) == ("5.00", "5.95")
    assert (cdr.bill.total_energy, cdr.bill.total_time) == (Decimal(10), Decimal(1))
    assert (cdr.tariff_id, cdr.tariff_version, cdr.tariff) == (made.id, 1, made.terms)
    view = await cdrs.get_session(world.context, 1)
    assert (view.session.state, view.session.cdr_number, view.session.cost) == (
        SessionState.COMPLETED,
        cdr.number,
        cdr.bill.total_cost,
    )
    assert await Biller(world.context).turn() == 0
    assert len((await cdrs.list_cdrs(world.context)).items) == 1
    types = [kind for kind in world.types() if kind.startswith(("session", "cdr"))]
    assert types == [published.SESSION_UPDATED, published.CDR_CREATED, published.SESSION_UPDATED]


async def test_a_session_that_runs_says_what_it_costs_so_far(world: World) -> None:
    await tariff(world)
    station = await world.station()
    transaction_id = await begin(world, station)
    await world.tell(
        station,
        MeterSampled(evse_id=1, transaction_id=transaction_id, meter_values=(register(600, 3000.0),)),
    )
    world.clock.seconds = 600
    await Biller(world.context).turn()
    view = await cdrs.get_session(world.context, 1)
    assert view.session.state is SessionState.ACTIVE
    assert view.session.cost is not None
    assert str(view.session.cost.excl_vat) == "1.00"
    await world.tell(
        station,
        MeterSampled(evse_id=1, transaction_id=transaction_id, meter_values=(register(900, 4000.0),)),
    )
    world.clock.seconds = 610
    assert await Biller(world.context).turn() == 0, "not so soon again"
    live = await cdrs.get_session(world.context, 1)
    assert live.bill is not None
    assert str(live.bill.total_cost.excl_vat) == "1.50", "whoever asks gets it as of now"
    world.clock.seconds = 900
    await Biller(world.context).turn()
    assert (await cdrs.get_session(world.context, 1)).session.cost == live.bill.total_cost
    assert (await cdrs.list_cdrs(world.context)).items == ()


async def test_idle_time_is_paid_and_what_the_station_holds_back_is_not(world: World) -> None:
    await tariff(world)
    station = await world.station()
    transaction_id = await begin(world, station)

    async def does(state: ChargingState, seconds: float) -> None:
        await world.tell(station, ChargingStateReported(evse_id=1, at=at(seconds), charging_state=state))

    await does(ChargingState.CHARGING, 1)
    await does(ChargingState.SUSPENDED_EVSE, 1800)
    await does(ChargingState.SUSPENDED_EV, 3000)
    await end(world, station, transaction_id, 3600, 3000.0)
    world.clock.seconds = 3600
    await Biller(world.context).turn()
    (cdr,) = (await cdrs.list_cdrs(world.context)).items
    assert str(cdr.bill.total_energy_cost.excl_vat) == "1.00"
    assert str(cdr.bill.total_parking_cost.excl_vat) == "1.00"
    assert str(cdr.bill.total_parking_time) == "0.166667"


async def test_the_narrowest_tariff_counts(world: World) -> None:
    place = await stations.create_location(world.context, stations.LocationFields(name="Yard"))
    station = await world.station()
    await stations.update_station(world.context, "CS1", stations.StationChanges(location_id=place.id))
    await authorization.put_token(world.context, CARD, TokenFields())
    seen = []
    for number, (scope, target) in enumerate(
        [
            (TariffScope.ORGANISATION, ""),
            (TariffScope.LOCATION, str(place.id)),
            (TariffScope.STATION, "CS1"),
            (TariffScope.TOKEN, CARD.lower()),
        ]
    ):
        made = await tariff(world, scope, target, price=f"0.{number + 1}")
        await charge(world, station, seconds=10_000 * number)
        cdr = (await cdrs.list_cdrs(world.context)).items[0]
        seen.append(cdr.tariff_id == made.id)
    assert seen == [True] * 4


async def test_a_tariff_for_those_who_pay_on_the_spot_is_for_them_only(world: World) -> None:
    await tariff(world, type=TariffType.AD_HOC_PAYMENT)
    station = await world.station()
    await charge(world, station)
    assert (await cdrs.get_session(world.context, 1)).session.state is SessionState.UNPRICED


async def test_the_version_at_the_start_counts(world: World) -> None:
    made = await tariff(world)
    station = await world.station()
    transaction_id = await begin(world, station)
    world.clock.seconds = 60
    again = await tariffs.replace_tariff(world.context, made.id, terms("9.99"))
    assert (again.id, again.version) == (made.id, 2)
    await end(world, station, transaction_id, 3600, 11_000.0)
    world.clock.seconds = 7200
    await Biller(world.context).turn()
    (cdr,) = (await cdrs.list_cdrs(world.context)).items
    assert (cdr.tariff_version, str(cdr.bill.total_cost.excl_vat)) == (1, "5.00")


async def test_a_tariff_out_of_its_time_is_passed_over(world: World) -> None:
    await tariff(world)
    await world.station()
    over = await tariff(world, TariffScope.STATION, "CS1", price="0.90", end_date_time=at(0))
    assert over.terms.end_date_time == at(0)
    station = await stations.get_station(world.context, "CS1")
    speaker = ConnectedStation(organisation_id=1, number=station.number, id="CS1")
    await charge(world, speaker, token="OTHER")
    (cdr,) = (await cdrs.list_cdrs(world.context)).items
    assert cdr.tariff_id != over.id


async def test_the_clock_of_the_location_is_the_tariffs(world: World) -> None:
    fields = stations.LocationFields(name="Yard", time_zone="Asia/Tokyo")
    place = await stations.create_location(world.context, fields)
    station = await world.station()
    await stations.update_station(world.context, "CS1", stations.StationChanges(location_id=place.id))
    evening = TariffRestrictions(start_time="17:00", end_time="18:00")  # 08:00 to 09:00 UTC
    await tariff(world, restrictions=evening)
    await charge(world, station)
    (cdr,) = (await cdrs.list_cdrs(world.context)).items
    assert (cdr.time_zone, str(cdr.bill.total_cost.excl_vat)) == ("Asia/Tokyo", "5.00")


async def test_a_location_has_a_time_zone_that_exists(world: World) -> None:
    with pytest.raises(Invalid) as refused:
        await stations.create_location(world.context, stations.LocationFields(name="Yard", time_zone="Mars/Olympus"))
    assert refused.value.field == "time_zone"


async def test_what_is_suspect_is_held_until_an_operator_releases_it(world: World) -> None:
    await tariff(world)
    station = await world.station()
    await charge(world, station, wh=-900.0)
    session = (await cdrs.get_session(world.context, 1)).session
    assert (session.state, session.held_because) == (
        SessionState.HELD,
        "the register is below its value at the start",
    )
    assert (await cdrs.list_cdrs(world.context)).items == ()
    with pytest.raises(Invalid) as refused:
        await cdrs.release_session(world.context, 1, Release(reason="read by hand"), "key")
    assert refused.value.field == "energy_wh"
    release = Release(reason="read by hand", energy_wh=Decimal(4000), ended_at=at(1800))
    cdr = await cdrs.release_session(world.context, 1, release, "key")
    assert (str(cdr.bill.total_cost.excl_vat), cdr.ended_at) == ("2.00", at(1800))
    assert cdr.correction is not None
    assert (cdr.correction.by, cdr.correction.held_because) == ("key", session.held_because)
    with pytest.raises(Conflict):
        await cdrs.release_session(world.context, 1, release, "key")
    assert (await transactions.get_transaction(world.context, 1)).energy_wh is None, "the books keep what was told"


@pytest.mark.parametrize(
    ("release", "field"),
    [
        (Release(reason=""), "reason"),
        (Release(reason="x", energy_wh=Decimal(-1)), "energy_wh"),
        (Release(reason="x", energy_wh=Decimal("NaN")), "energy_wh"),
        (Release(reason="x", ended_at=datetime(2025, 1, 1)), "ended_at"),  # noqa: DTZ001
    ],
)
async def test_a_release_that_cannot_be_is_refused_by_field(world: World, release: Release, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        await cdrs.release_session(world.context, 1, release, "key")
    assert refused.value.field == field


async def test_a_held_session_can_be_voided(world: World) -> None:
    await tariff(world)
    station = await world.station()
    await charge(world, station, wh=-900.0)
    view = await cdrs.void_session(world.context, 1, "a test of the meter", "key")
    assert (view.session.state, view.session.correction and view.session.correction.reason) == (
        SessionState.VOID,
        "a test of the meter",
    )
    with pytest.raises(Conflict):
        await cdrs.void_session(world.context, 1, "again", "key")
    assert await Biller(world.context).turn() == 0


async def test_what_is_held_for_missing_messages_clears_up_by_itself(world: World) -> None:
    await tariff(world)
    station = await world.station(issued=False)
    await authorization.put_token(world.context, CARD, TokenFields())
    values = (register(0, 1000.0, BEGIN),)
    started = TransactionStarted(transaction_id="t", evse_id=1, at=at(0), id_token=IdToken(CARD), meter_values=values)
    await world.tell(station, started, sequence=Sequence(trigger_reason=TriggerReason.TRIGGER, seq_no=0))
    stopped = TransactionEnded(transaction_id="t", at=at(3600), meter_values=(register(3600, 2000.0, END),))
    await world.tell(station, stopped, sequence=Sequence(trigger_reason=TriggerReason.TRIGGER, seq_no=2))
    world.clock.seconds = 3600
    await Biller(world.context).turn()
    session = (await cdrs.get_session(world.context, 1)).session
    assert (session.state, session.held_because) == (SessionState.HELD, "messages are missing: 1 to 1")
    late = MeterSampled(evse_id=1, transaction_id="t", meter_values=(register(1800, 1900.0),))
    await world.tell(station, late, sequence=Sequence(trigger_reason=TriggerReason.TRIGGER, seq_no=1, offline=True))
    await Biller(world.context).turn()
    assert (await cdrs.get_session(world.context, 1)).session.state is SessionState.COMPLETED


async def test_a_stop_whose_start_never_came_is_held(world: World) -> None:
    await tariff(world)
    station = await world.station()
    await end(world, station, "77", 3600, 2000.0)
    world.clock.seconds = 3600
    await Biller(world.context).turn()
    session = (await cdrs.get_session(world.context, 1)).session
    assert (session.state, session.held_because) == (SessionState.HELD, "its start never came")
    release = Release(reason="seen on the camera", started_at=at(0), energy_wh=Decimal(1000))
    cdr = await cdrs.release_session(world.context, 1, release, "key")
    assert str(cdr.bill.total_cost.excl_vat) == "0.50"


@pytest.mark.parametrize(
    ("seconds", "why"),
    [
        (-10.0, "it ends before it begins"),
        (3 * 86_400.0, "it ends in the future: the station's clock is wrong"),
        (-300 * 86_400.0, "it ends before it begins"),
    ],
)
async def test_a_session_whose_times_cannot_be_is_held(world: World, seconds: float, why: str) -> None:
    await tariff(world)
    station = await world.station()
    transaction_id = await begin(world, station)
    await end(world, station, transaction_id, seconds, 1000.0)
    await Biller(world.context).turn()
    assert (await cdrs.get_session(world.context, 1)).session.held_because == why


async def test_times_at_the_end_of_the_calendar_hold_one_session_and_stop_nobody_else(world: World) -> None:
    await tariff(world, restrictions=TariffRestrictions(start_time="01:00"))
    station = await world.station()
    last = datetime.max.replace(tzinfo=UTC)
    for moment, token in ((last, "FAR"), (datetime.min.replace(tzinfo=UTC), "NEAR")):
        await authorization.put_token(world.context, token, TokenFields())
        values = (MeterValue(moment, (SampledValue(1000.0, context=BEGIN),)),)
        await world.tell(
            station,
            TransactionStarted(transaction_id=None, evse_id=1, at=moment, id_token=IdToken(token), meter_values=values),
        )
        await cdrs_of_all(world)
    await charge(world, station)
    assert len((await cdrs.list_cdrs(world.context)).items) == 1


async def cdrs_of_all(world: World) -> None:
    for view in (await cdrs.list_sessions(world.context)).items:
        await cdrs.get_session(world.context, view.session.number)


async def test_a_refused_token_is_not_billed_unseen(world: World) -> None:
    await tariff(world)
    station = await world.station()
    values = (register(0, 1000.0, BEGIN),)
    answer = await world.tell(
        station,
        TransactionStarted(transaction_id=None, evse_id=1, at=at(0), id_token=IdToken("NOBODY"), meter_values=values),
    )
    await end(world, station, answer.transaction_id, 60, 1100.0)  # type: ignore[union-attr, arg-type]
    world.clock.seconds = 60
    await Biller(world.context).turn()
    assert (await cdrs.get_session(world.context, 1)).session.held_because == "its token was not accepted: Unknown"


async def test_a_transaction_closed_by_hand_is_billed_to_its_last_reading(world: World) -> None:
    await tariff(world)
    station = await world.station()
    transaction_id = await begin(world, station)
    values = (register(600, 3000.0),)
    await world.tell(station, MeterSampled(evse_id=1, transaction_id=transaction_id, meter_values=values))
    world.clock.seconds = 86_400
    await endings.close_transaction(world.context, 1)
    await Biller(world.context).turn()
    (cdr,) = (await cdrs.list_cdrs(world.context)).items
    assert (str(cdr.bill.total_cost.excl_vat), cdr.ended_at) == ("1.00", at(600))
    await end(world, station, transaction_id, 7200, 5000.0)
    await Biller(world.context).turn()
    assert (await cdrs.list_cdrs(world.context)).items == (cdr,), "what was billed stays"
    session = (await cdrs.get_session(world.context, 1)).session
    assert session.changed_since == "energy_wh was 2000.0, and is 4000.0"


async def test_a_cdr_is_taken_back_by_a_credit_and_billed_anew(world: World) -> None:
    await tariff(world)
    station = await world.station()
    await charge(world, station)
    (cdr,) = (await cdrs.list_cdrs(world.context)).items
    credit = await cdrs.credit_cdr(world.context, cdr.number, "wrong car")
    assert (credit.credit_of, credit.remark) == (cdr.number, "wrong car")
    assert credit.bill.total_cost.incl_vat == -cdr.bill.total_cost.incl_vat
    assert sum(line.cost.incl_vat for line in credit.bill.lines) == credit.bill.total_cost.incl_vat
    assert await cdrs.get_cdr(world.context, cdr.number) == cdr
    for number in (cdr.number, credit.number):
        with pytest.raises(Conflict):
            await cdrs.credit_cdr(world.context, number, "again")
    late = TransactionEnded(transaction_id="1", at=at(3700), meter_values=(register(3700, 12_000.0, END),))
    await world.tell(station, late)
    assert await Biller(world.context).turn() == 1
    session = (await cdrs.get_session(world.context, 1)).session
    assert (session.state, session.held_because) == (SessionState.HELD, "CDR 1 was taken back: wrong car")
    again = await cdrs.release_session(world.context, 1, Release(reason="agreed", energy_wh=Decimal(1000)), "key")
    assert (await cdrs.get_session(world.context, 1)).session.cdr_number == again.number
    total = sum(entry.bill.total_cost.excl_vat for entry in (await cdrs.list_cdrs(world.context)).items)
    assert str(total) == "0.50"


async def test_signed_readings_are_kept_for_whoever_verifies_them(world: World) -> None:
    await tariff(world)
    station = await world.station()
    transaction_id = await begin(world, station)
    signed = SignedMeterValue("OCMF|{...}|{...}", "OCMF", "", "key")
    values = (MeterValue(at(3600), (SampledValue(2000.0, context=END, signed=signed),)),)
    await world.tell(station, TransactionEnded(transaction_id=transaction_id, at=at(3600), meter_values=values))
    world.clock.seconds = 3600
    await Biller(world.context).turn()
    (cdr,) = (await cdrs.list_cdrs(world.context)).items
    (value,) = cdr.signed_values
    assert (value.nature, value.signed_data, value.public_key) == ("End", "OCMF|{...}|{...}", "key")


async def test_a_message_between_reckoning_and_writing_down_is_not_lost(world: World) -> None:
    """The transaction changes while it is reckoned: nothing is sealed of what is no longer so."""
    await tariff(world)
    station = await world.station(issued=False)
    transaction_id = await begin(world, station)
    await end(world, station, transaction_id, 3600, 11_000.0)
    world.clock.seconds = 7200
    store = world.context.store
    writes = 0

    class Between:
        def read(self, query: Any) -> Any:
            return store.read(query)

        def write(self, unit: Any) -> Any:
            async def other_first() -> Any:
                nonlocal writes
                writes += 1
                if writes == 1:
                    await end(world, station, transaction_id, 3700, 12_000.0)
                return await store.write(unit)

            return other_first()

    biller = Biller(_with_store(world, Between()))
    await biller.turn()
    assert (await cdrs.list_cdrs(world.context)).items == ()
    await biller.turn()
    (cdr,) = (await cdrs.list_cdrs(world.context)).items
    assert (cdr.ended_at, str(cdr.bill.total_cost.excl_vat)) == (at(3700), "5.50")


def _with_store(world: World, store: Any) -> Any:
    import msgspec

    return msgspec.structs.replace(world.context, store=store)


async def test_lists_are_newest_first_and_come_in_pages(world: World) -> None:
    await tariff(world)
    station = await world.station()
    for number in range(5):
        await charge(world, station, seconds=10_000 * number, token=f"T{number % 2}")
    page = await cdrs.list_cdrs(world.context, limit=2)
    assert [cdr.session_number for cdr in page.items] == [5, 4]
    page = await cdrs.list_cdrs(world.context, limit=2, cursor=page.next_cursor)
    assert [cdr.session_number for cdr in page.items] == [3, 2]
    assert [cdr.session_number for cdr in (await cdrs.list_cdrs(world.context, id_token="t1")).items] == [4, 2]
    views = (await cdrs.list_sessions(world.context, limit=3)).items
    assert [view.session.number for view in views] == [5, 4, 3]
    active = await cdrs.list_sessions(world.context, state=SessionState.ACTIVE)
    assert active.items == ()
    with pytest.raises(NotFound):
        await cdrs.get_cdr(world.context, 99)


async def test_what_ended_before_a_crash_is_billed_after_it(tmp_path: Any) -> None:
    async with world(tmp_path) as first:
        await tariff(first)
        station = await first.station()
        transaction_id = await begin(first, station)
        await end(first, station, transaction_id, 3600, 11_000.0)
    async with world(tmp_path) as second:
        second.clock.seconds = timedelta(hours=2).total_seconds()
        await Biller(second.context).turn()
        assert len((await cdrs.list_cdrs(second.context)).items) == 1
