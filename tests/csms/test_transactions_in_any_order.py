"""Whatever order a transaction's messages come in, and however often each, the books end up the same."""

import asyncio
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecourt.csms import transactions
from forecourt.csms.records import Reading, Transaction
from forecourt.domain.events import (
    ChargingStateReported,
    MeterSampled,
    Notice,
    Sequence,
    TransactionAuthorized,
    TransactionEnded,
    TransactionStarted,
)
from forecourt.domain.token import IdToken
from forecourt.domain.transaction import ChargingState, StoppedReason, TriggerReason
from tests.csms.worlds import BEGIN, END, World, at, register
from tests.csms.worlds import world as make_world

CARD = IdToken("CARD")
Books = tuple[Transaction, tuple[Reading, ...]]


@st.composite
def stories(draw: st.DrawFn) -> list[Notice]:
    """A transaction as a station would tell it, with a meter that may be wrong."""
    registers = draw(st.lists(st.floats(0, 60_000).map(lambda wh: round(wh, 1)), min_size=2, max_size=5))
    if draw(st.booleans()):
        registers.sort()
    shown_first = draw(st.booleans())
    token_at_start = CARD if shown_first else None
    start_values = (register(0, registers[0], BEGIN),) if draw(st.booleans()) else ()
    events: list[tuple[object, ...]] = [
        (
            TransactionStarted(
                transaction_id="tx", evse_id=1, at=at(0), id_token=token_at_start, meter_values=start_values
            ),
            ChargingStateReported(evse_id=1, at=at(0), charging_state=ChargingState.EV_CONNECTED, transaction_id="tx"),
        )
    ]
    if not shown_first:
        events.append((TransactionAuthorized(transaction_id="tx", at=at(5), id_token=CARD),))
    for number, wh in enumerate(registers[1:-1], 1):
        seconds = 600 * number
        sampled = MeterSampled(evse_id=1, transaction_id="tx", meter_values=(register(seconds, wh, power_w=3600.0),))
        state = draw(st.sampled_from([ChargingState.CHARGING, ChargingState.SUSPENDED_EV]))
        flow = ChargingStateReported(evse_id=1, at=at(seconds), charging_state=state, transaction_id="tx")
        events.append((sampled, flow) if draw(st.booleans()) else (sampled,))
    end_values = (register(6000, registers[-1], END),) if draw(st.booleans()) else ()
    events.append(
        (
            TransactionEnded(
                transaction_id="tx", at=at(6000), reason=StoppedReason.STOPPED_BY_EV, meter_values=end_values
            ),
        )
    )
    offline = draw(st.booleans())
    return [
        Notice(told, Sequence(seq_no=number, trigger_reason=TriggerReason.TRIGGER, offline=offline))  # type: ignore[arg-type]
        for number, told in enumerate(events)
    ]


class Telling:
    """One world for all examples: each story is told by a station of its own."""

    def __init__(self, folder: Path) -> None:
        self.runner = asyncio.Runner()
        self._entered = make_world(folder)
        self.world: World = self.runner.run(self._entered.__aenter__())
        self._names = (f"CS{number}" for number in count())

    def books_of(self, notices: list[Notice]) -> Books:
        return self.runner.run(self._told(notices))

    async def _told(self, notices: list[Notice]) -> Books:
        station = await self.world.station(next(self._names), issued=False)
        for notice in notices:
            await self.world.tell(station, *notice.events, sequence=notice.sequence)
        (found,) = (await transactions.list_transactions(self.world.context, station_id=station.id)).items
        readings = await transactions.list_meter_values(self.world.context, found.number)
        nameless = msgspec.structs.replace(found, number=0, station_number=0, station_id="")
        return nameless, tuple(
            msgspec.structs.replace(reading, transaction_number=0, station_number=0) for reading in readings
        )

    def close(self) -> None:
        self.runner.run(self._entered.__aexit__(None, None, None))
        self.runner.close()


@pytest.fixture(scope="module")
def telling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Telling]:
    made = Telling(tmp_path_factory.mktemp("books"))
    yield made
    made.close()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_order_and_any_repetition_give_the_same_books(telling: Telling, data: st.DataObject) -> None:
    story = data.draw(stories())
    repeated = data.draw(st.lists(st.sampled_from(story), max_size=4))
    shuffled = data.draw(st.permutations([*story, *repeated]))
    assert sorted_readings(telling.books_of(list(shuffled))) == sorted_readings(telling.books_of(story))


def sorted_readings(books: Books) -> Books:
    """Readings of one instant lie in an order of their own."""
    return books[0], tuple(sorted(books[1], key=lambda reading: (reading.at, repr(reading.samples))))


@settings(max_examples=30, deadline=None)
@given(story=stories(), cut=st.integers(1, 4))
def test_what_is_missing_is_known(telling: Telling, story: list[Notice], cut: int) -> None:
    kept = [notice for notice in story if notice.sequence is not None and notice.sequence.seq_no != cut]
    transaction, _ = telling.books_of(kept)
    whole, _ = telling.books_of(story)
    lost = cut < len(story) - 1
    assert transaction.missing == (((cut, cut),) if lost else ())
    assert whole.missing == ()
