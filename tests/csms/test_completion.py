"""When a car will be done."""

from datetime import datetime, time

import pytest

from forecourt.csms import authorization, completion, wishes
from forecourt.csms.completion import Basis
from forecourt.csms.errors import Conflict, NotFound
from forecourt.csms.records import ConnectedStation
from forecourt.domain.events import MeterSampled, TransactionAnswer, TransactionEnded, TransactionStarted
from forecourt.domain.meter import Measurand, MeterValue, SampledValue
from forecourt.domain.token import IdToken
from tests.csms.worlds import BEGIN, END, World, at, register

CARD = IdToken("CARD")


async def begin(world: World, station: ConnectedStation, seconds: float = 0.0) -> int:
    """A transaction, and its number; the register begins at 1000 Wh."""
    world.clock.seconds = seconds
    started = TransactionStarted(
        transaction_id=None,
        evse_id=1,
        connector_id=1,
        at=at(seconds),
        id_token=CARD,
        meter_values=(register(seconds, 1000.0, BEGIN),),
    )
    answer = await world.tell(station, started)
    assert isinstance(answer, TransactionAnswer)
    assert answer.transaction_id is not None
    return int(answer.transaction_id)


async def sample(
    world: World,
    station: ConnectedStation,
    number: int,
    seconds: float,
    energy_wh: float,
    *,
    power_w: float | None = None,
    soc: float | None = None,
) -> None:
    """What the meter shows then."""
    world.clock.seconds = seconds
    value = register(seconds, 1000.0 + energy_wh, power_w=power_w)
    if soc is not None:
        value = MeterValue(value.at, (*value.samples, SampledValue(soc, Measurand.SOC)))
    await world.tell(station, MeterSampled(evse_id=1, transaction_id=str(number), meter_values=(value,)))


async def end(world: World, station: ConnectedStation, number: int, seconds: float, energy_wh: float) -> None:
    world.clock.seconds = seconds
    ended = TransactionEnded(
        transaction_id=str(number), at=at(seconds), meter_values=(register(seconds, 1000.0 + energy_wh, END),)
    )
    await world.tell(station, ended)


def close_to(expected: datetime, found: datetime | None) -> bool:
    return found is not None and abs((found - expected).total_seconds()) < 1


async def test_what_a_person_wants_is_reached_at_the_power_of_now(world: World) -> None:
    station = await world.station()
    number = await begin(world, station)
    await wishes.put_wish(world.context, number, departs_at=None, energy_wh=10_000.0)
    await sample(world, station, number, 600, 1000.0, power_w=6000.0)
    found = await completion.completion(world.context, number)
    assert (found.basis, found.remaining_wh, found.power_w) == (Basis.WISH, 9000.0, 6000.0)
    assert close_to(at(600 + 5400), found.estimated_at)
    await sample(world, station, number, 1200, 2000.0, power_w=3000.0)
    lowered = await completion.completion(world.context, number)
    assert close_to(at(1200 + 9600), lowered.estimated_at), "half the power, and twice the time for what is left"
    await sample(world, station, number, 1800, 10_500.0, power_w=3000.0)
    reached = await completion.completion(world.context, number)
    assert (reached.remaining_wh, reached.estimated_at) == (0.0, at(1800))


async def test_nothing_is_estimated_that_nothing_speaks_for(world: World) -> None:
    station = await world.station()
    number = await begin(world, station)
    await sample(world, station, number, 600, 1000.0, power_w=6000.0)
    found = await completion.completion(world.context, number)
    assert (found.estimated_at, found.basis, found.remaining_wh, found.power_w) == (None, None, None, 6000.0)
    await wishes.put_wish(world.context, number, departs_at=None, energy_wh=10_000.0)
    await sample(world, station, number, 660, 1000.0, power_w=0.0)
    waiting = await completion.completion(world.context, number)
    assert (waiting.estimated_at, waiting.remaining_wh) == (None, 9000.0), "nothing flows"
    world.clock.seconds = 660 + 1801
    assert (await completion.completion(world.context, number)).power_w is None, "that is too long ago to be now"


async def test_a_battery_is_full_at_as_much_for_a_percent_as_up_to_now(world: World) -> None:
    station = await world.station()
    number = await begin(world, station)
    await sample(world, station, number, 60, 100.0, power_w=6000.0, soc=50.0)
    early = await completion.completion(world.context, number)
    assert (early.soc_percent, early.basis) == (50.0, None), "no percent has gone by"
    await sample(world, station, number, 3660, 6100.0, power_w=6000.0, soc=60.0)
    found = await completion.completion(world.context, number)
    assert (found.basis, found.soc_percent) == (Basis.STATE_OF_CHARGE, 60.0)
    assert found.remaining_wh == pytest.approx(24_000.0)
    assert close_to(at(3660 + 4 * 3600), found.estimated_at)
    await wishes.put_wish(world.context, number, departs_at=None, energy_wh=50_000.0)
    assert (await completion.completion(world.context, number)).basis is Basis.STATE_OF_CHARGE, "more doesn't go in"
    await wishes.put_wish(world.context, number, departs_at=None, energy_wh=12_100.0)
    assert close_to(at(3660 + 3600), (await completion.completion(world.context, number)).estimated_at)


async def test_a_token_takes_what_it_usually_takes(world: World) -> None:
    station = await world.station()
    for visit, energy_wh in enumerate((8_000.0, 40_000.0, 9_000.0)):
        number = await begin(world, station, visit * 40_000)
        if visit == 2:
            await sample(world, station, number, visit * 40_000 + 600, 1000.0, power_w=6000.0)
            assert (await completion.completion(world.context, number)).basis is None, "two are no habit"
        await end(world, station, number, visit * 40_000 + 30_000, energy_wh)
    number = await begin(world, station, 200_000)
    await sample(world, station, number, 200_600, 1000.0)
    found = await completion.completion(world.context, number)
    assert (found.basis, found.remaining_wh) == (Basis.USUAL, 8000.0)
    assert found.power_w == pytest.approx(6000.0), "by the register, where no power is told"
    assert close_to(at(200_600 + 4800), found.estimated_at)
    await sample(world, station, number, 210_000, 9_500.0)
    assert (await completion.completion(world.context, number)).basis is None, "it takes more than usual"


async def test_a_wish_of_the_token_counts_too(world: World) -> None:
    station = await world.station()
    await authorization.put_token(world.context, "CARD", authorization.TokenFields())
    await wishes.put_token_wish(world.context, "CARD", departs=time(7), time_zone="UTC", energy_wh=5000.0)
    number = await begin(world, station)
    await sample(world, station, number, 600, 1000.0, power_w=4000.0)
    found = await completion.completion(world.context, number)
    assert (found.basis, found.remaining_wh) == (Basis.WISH, 4000.0)
    assert close_to(at(600 + 3600), found.estimated_at)


async def test_what_is_over_is_not_estimated(world: World) -> None:
    station = await world.station()
    number = await begin(world, station)
    await end(world, station, number, 600, 1000.0)
    with pytest.raises(Conflict):
        await completion.completion(world.context, number)
    with pytest.raises(NotFound):
        await completion.completion(world.context, 77)
