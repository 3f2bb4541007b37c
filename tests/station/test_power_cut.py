"""Cut the power at every point of a story, and see that no record is lost, none is booked twice, and none is wrong.

Every effect is a point: the power goes before it is carried out; for a call also after the CSMS has taken it in and
before the station has its answer. A restart follows, with the cars still there, or gone, or too late.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from forecourt.domain import requests as r
from forecourt.domain.clock import Now
from forecourt.domain.events import (
    MeterSampled,
    Notice,
    TransactionAnswer,
    TransactionEnded,
    TransactionStarted,
    encode_notice,
)
from forecourt.domain.journal import Put
from forecourt.domain.station import Capabilities, OperationalStatus
from forecourt.domain.transaction import StoppedReason
from forecourt.station import effects as e
from forecourt.station.inputs import Pilot
from forecourt.station.outbox import QUEUE, OutboxEntry
from forecourt.station.variable_table import (
    ENDED_MEASURANDS,
    OFFLINE_TX_FOR_UNKNOWN_ID,
    RESUMPTION_TIMEOUT,
    STOP_ON_EV_SIDE_DISCONNECT,
)
from forecourt.store.journal import MemoryJournal
from tests.station.bench import ALICE, BOB, ONE, TWO, Bench, Csms

BILLING = (TransactionStarted, MeterSampled, TransactionEnded)


class PowerCutError(Exception):
    """The lights went out."""


class Books(Csms):
    """A CSMS that books every record once, however often it comes, and gives a start its id once."""

    def __init__(self) -> None:
        super().__init__()
        self.booked: dict[bytes, Notice] = {}
        self.ids: dict[str, str] = {}
        self.id_of: Callable[[str], str | None] = lambda _: None

    def answer(self, call: Any, now: Now) -> Any:
        if not isinstance(call, Notice) or not isinstance(call.events[0], BILLING):
            return super().answer(call, now)
        event = call.events[0]
        own_id = event.transaction_id
        if own_id is None:
            return super().answer(call, now)
        self.booked.setdefault(encode_notice(call), call)
        if isinstance(event, TransactionStarted):
            self.ids.setdefault(own_id, str(1000 + len(self.ids)))
            return TransactionAnswer(id_token_info=self.info(event.id_token), transaction_id=self.ids[own_id])
        assert self.id_of(own_id) in {self.ids[own_id], own_id}, "a message with the wrong transaction id"
        return super().answer(call, now)


class Fragile(Bench):
    """A bench whose power goes at effect number `cut_at`; with `answer_lost`, right after the CSMS took a call in."""

    def __init__(self, *args: Any, cut_at: int = -1, answer_lost: bool = False, **options: Any) -> None:
        self.cut_at = -1
        self.answer_lost = answer_lost
        self.count = 0
        self.kept: list[bytes] = []
        super().__init__(*args, **options)
        self.cut_at, self.count = cut_at, 0

    def _perform(self, effect: e.Effect) -> list[e.Effect]:
        self.csms.id_of = self.station.csms_id_of  # type: ignore[attr-defined]
        number, self.count = self.count, self.count + 1
        if number == self.cut_at:
            if self.answer_lost and isinstance(effect, e.Send):
                self.csms.answer(effect.call, self.now)
            raise PowerCutError
        if isinstance(effect, e.Persist):
            self.kept.extend(
                bytes(msgspec.json.decode(change.value, type=OutboxEntry).notice)
                for change in effect.changes
                if isinstance(change, Put) and change.section == QUEUE
            )
        return super()._perform(effect)


def story(bench: Bench) -> None:
    """Two transactions, one of them begun offline, with an outage, a profile and a scheduled change in between."""
    bench.connect()
    bench.set(OFFLINE_TX_FOR_UNKNOWN_ID, "true")
    bench.set(ENDED_MEASURANDS, "Energy.Active.Import.Register")
    bench.charging(1, ALICE)
    bench.run(130)
    bench.disconnect()
    bench.charging_offline(2, BOB)
    bench.run(70)
    bench.tap(ALICE, 1)
    bench.run(30)
    bench.connect()
    bench.ask(r.ChangeAvailability(evse_id=2, operational_status=OperationalStatus.INOPERATIVE))
    bench.run(60)
    bench.ask(r.RequestStopTransaction(transaction_id=bench.station.csms_id_of("own-2") or ""))
    bench.unplug(1)
    bench.unplug(2)


def length(capabilities: Capabilities) -> int:
    bench = Fragile(capabilities, csms=Books())
    story(bench)
    assert len(bench.csms.told(TransactionEnded)) == 2
    return bench.count


def aftermath(cut: Fragile, capabilities: Capabilities, later_s: float, cars: bool) -> Fragile:
    """The station starts again, and everything comes to its end."""
    books = cut.csms
    assert isinstance(books, Books)
    now = Now(10.0, 20.0, cut.now.at.replace(microsecond=0))
    again = Fragile(
        capabilities,
        csms=books,
        journal=MemoryJournal(cut.journal.load()),
        now=now,
        first_id=100,
        reading_persisted_every_s=60.0,
    )
    again.energy_wh = dict(cut.energy_wh)
    again.run(later_s)
    open_before = dict(again.journal.load().get("transaction", {}))
    for evse_id in (1, 2):
        again.plug(evse_id, Pilot.C if cars else Pilot.A)
    again.connect()
    again.run(400)
    for evse_id in (1, 2):
        transaction = again.station.parts.evses[evse_id].transaction
        assert transaction is None or cars
        if transaction is not None:
            assert transaction.transaction_id in open_before
            again.tap(transaction.id_token or ALICE, evse_id)
    again.run(400)
    return again


def check(cut: Fragile, again: Fragile) -> None:
    books = again.csms
    assert isinstance(books, Books)
    assert again.station.parts.outbox.depth == 0
    assert not again.station.parts.outbox.set_aside
    left = again.journal.load()
    assert not {"outbox", "transaction", "transaction_id", "set_aside"} & set(left), left
    assert not [section for section in left if section.startswith("values/")]
    kept = list(dict.fromkeys([*cut.kept, *again.kept]))
    assert list(books.booked) == kept, "what was kept is what was booked, in the order it happened"
    stories: dict[str, list[Any]] = {}
    for notice in books.booked.values():
        event: Any = notice.events[0]
        stories.setdefault(event.transaction_id, []).append((event, notice.sequence))
    for own_id, told in stories.items():
        events = [event for event, _ in told]
        assert isinstance(events[0], TransactionStarted), own_id
        assert isinstance(events[-1], TransactionEnded), own_id
        assert all(isinstance(event, MeterSampled) for event in events[1:-1]), own_id
        instants = [getattr(event, "at", None) or event.meter_values[0].at for event in events]
        assert instants == sorted(instants), own_id
        numbers = [sequence.seq_no for _, sequence in told if sequence]
        assert all(before < after for before, after in pairwise(numbers)), own_id
        register = events[-1].meter_values[-1].samples[0].value
        assert register is not None
        assert register >= 1000.0


@pytest.mark.parametrize("answer_lost", [False, True])
@pytest.mark.parametrize(
    ("later_s", "cars"), [(0.0, True), (0.0, False), (100_000.0, True)], ids=["cars stay", "cars go", "too late"]
)
def test_every_point_of_the_story(answer_lost: bool, later_s: float, cars: bool) -> None:
    points = length(ONE)
    assert points > 50
    for point in range(points):
        cut = Fragile(ONE, csms=Books(), cut_at=point, answer_lost=answer_lost)
        with pytest.raises(PowerCutError):
            story(cut)
        check(cut, aftermath(cut, ONE, later_s, cars))


def test_every_point_of_the_story_with_numbered_events() -> None:
    for point in range(length(TWO)):
        books = Books()
        cut = Fragile(TWO, csms=books, cut_at=point, answer_lost=True)
        with pytest.raises(PowerCutError):
            story(cut)
        again = aftermath(cut, TWO, 0.0, cars=True)
        assert again.station.parts.outbox.depth == 0
        numbers: dict[str, set[int]] = {}
        for call in (*books.booked.values(), *books.calls):
            if isinstance(call, Notice) and call.sequence is not None:
                own_id = str(getattr(call.events[0], "transaction_id", None))
                numbers.setdefault(own_id, set()).add(call.sequence.seq_no)
        for told in numbers.values():
            assert told == set(range(max(told) + 1)), "no number is missing"


def charging_when_the_power_goes(**settings: str) -> Fragile:
    bench = Fragile(csms=Books())
    bench.connect()
    bench.set(RESUMPTION_TIMEOUT, settings.get("resumption", "300"))
    bench.charging(1)
    bench.run(130)
    return bench


def test_tc_032_2_a_transaction_goes_on_when_the_car_is_still_there() -> None:
    cut = charging_when_the_power_goes()
    again = aftermath(cut, ONE, 10.0, cars=True)
    ended = [x.events[0] for x in again.csms.booked.values() if isinstance(x.events[0], TransactionEnded)]  # type: ignore[attr-defined]
    assert [event.reason for event in ended] == [StoppedReason.LOCAL]


@pytest.mark.parametrize(
    ("resumption", "later_s", "cars"), [("0", 0.0, True), ("300", 500.0, True), ("300", 5.0, False)]
)
def test_tc_032_2_or_ends_with_the_last_reading_the_journal_knows(resumption: str, later_s: float, cars: bool) -> None:
    cut = charging_when_the_power_goes(resumption=resumption)
    again = aftermath(cut, ONE, later_s, cars)
    (ended,) = [x.events[0] for x in again.csms.booked.values() if isinstance(x.events[0], TransactionEnded)]  # type: ignore[attr-defined]
    assert ended.reason is StoppedReason.POWER_LOSS
    sampled = [x.events[0] for x in again.csms.booked.values() if isinstance(x.events[0], MeterSampled)]  # type: ignore[attr-defined]
    assert ended.at == sampled[-1].meter_values[0].at
    assert ended.meter_values[-1].samples[0].value == sampled[-1].meter_values[0].samples[0].value


def test_hardware_that_stays_silent_about_the_car_ends_the_transaction() -> None:
    cut = charging_when_the_power_goes()
    again = Bench(journal=MemoryJournal(cut.journal.load()), now=Now(1.0, 1.0, cut.now.at), presence_patience_s=60.0)
    again.connect()
    assert again.states(1) == ["SuspendedEVSE"]
    again.run(60)
    assert again.csms.told(TransactionEnded)[0].reason is StoppedReason.POWER_LOSS


def test_tc_013_and_034_unavailable_survives() -> None:
    bench = Bench()
    bench.connect()
    unavailable = r.ChangeAvailability(evse_id=0, operational_status=OperationalStatus.INOPERATIVE)
    assert bench.ask(unavailable).outcome == "Accepted"
    again = Bench(journal=bench.journal)
    again.connect()
    assert [again.states(evse_id) for evse_id in (0, 1, 2)] == [["Unavailable"]] * 3


def test_settings_and_profiles_survive() -> None:
    from tests.station.test_charging import limit

    bench = Bench()
    bench.connect()
    bench.set(STOP_ON_EV_SIDE_DISCONNECT, "false")
    bench.ask(r.SetChargingProfile(evse_id=1, profile=limit(7.0)))
    again = Bench(journal=bench.journal)
    assert not again.station.parts.variables.boolean(STOP_ON_EV_SIDE_DISCONNECT)
    assert [entry.profile.id for entry in again.station.parts.charging.profiles] == [1]
