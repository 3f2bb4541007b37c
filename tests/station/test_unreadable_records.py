"""A record that can't be read costs itself alone: put aside, told, and everything else goes on."""

import pytest

from forecourt.domain.events import MeterSampled, SecurityEventReported, TransactionEnded, TransactionStarted
from forecourt.domain.journal import Put
from forecourt.station import outbox, readable, transactions
from forecourt.station.boot import REASON_KEY
from forecourt.station.boot import SECTION as STATION
from forecourt.station.metering import rows_section
from forecourt.station.outbox import UNKNOWN_ID
from forecourt.station.variable_table import ENDED_MEASURANDS, OFFLINE_TX_FOR_UNKNOWN_ID
from forecourt.store.journal import MemoryJournal
from tests.station.bench import ALICE, ONE, Bench

DAMAGE = b'\xff{"never'


def after_an_outage() -> MemoryJournal:
    """A transaction goes on, and its start and values wait in the outbox."""
    bench = Bench(ONE, has_security=True)
    bench.connect()
    bench.set(OFFLINE_TX_FOR_UNKNOWN_ID, "true")
    bench.set(ENDED_MEASURANDS, "Energy.Active.Import.Register")
    bench.disconnect()
    bench.charging_offline(1, ALICE)
    bench.run(130)
    return bench.journal


def restarted(journal: MemoryJournal, first_id: int = 100) -> Bench:
    return Bench(ONE, has_security=True, journal=journal, first_id=first_id)


def spoilt(journal: MemoryJournal, section: str, key: str) -> None:
    journal.commit([Put(section, key, DAMAGE)])


def aside(journal: MemoryJournal) -> list[str]:
    return list(journal.load().get(readable.SECTION, {}))


def places() -> list[tuple[str, str]]:
    held = after_an_outage().load()
    assert {outbox.QUEUE, transactions.SECTION, "security_log", "variable"} <= set(held)
    return [(section, key) for section, records in held.items() for key in records]


@pytest.mark.parametrize(("section", "key"), places())
def test_any_one_record_may_be_spoilt(section: str, key: str) -> None:
    journal = after_an_outage()
    spoilt(journal, section, key)
    bench = restarted(journal)
    known = section != STATION or key == REASON_KEY
    assert bool(aside(journal)) == known
    assert DAMAGE not in journal.load().get(section, {}).values() or not known
    bench.connect()
    bench.charging(2)
    bench.run(120)
    bench.unplug(2)
    assert bench.csms.told(TransactionStarted)
    assert bench.station.parts.outbox.depth == 0
    if known:
        told = [event for event in bench.csms.told(SecurityEventReported) if event.event_type == "JournalDamaged"]
        assert len(told) == 1
        assert f"{section}/{key}" in (told[0].tech_info or "")


def test_without_its_start_the_rest_of_a_transaction_leaves_all_the_same() -> None:
    journal = after_an_outage()
    first = min(journal.load()[outbox.QUEUE])
    spoilt(journal, outbox.QUEUE, first)
    bench = restarted(journal)
    bench.connect()
    bench.plug(1)
    bench.unplug(1)
    bench.run(60)
    assert bench.csms.told(TransactionStarted) == []
    assert bench.csms.told(MeterSampled)
    assert [event.transaction_id for event in bench.csms.told(TransactionEnded)] == ["own-1"]
    assert bench.station.parts.outbox.depth == 0
    assert bench.station.csms_id_of("own-1") in {UNKNOWN_ID, None}


def test_what_was_put_aside_stays_byte_for_byte_and_is_told_once() -> None:
    journal = after_an_outage()
    spoilt(journal, rows_section("own-1"), "00000000")
    first = min(journal.load()[outbox.QUEUE])
    spoilt(journal, outbox.QUEUE, first)
    bench = restarted(journal)
    assert [record.raw for record in bench.station.parts.unreadable] == [DAMAGE, DAMAGE]
    again = restarted(journal, first_id=200)
    assert again.station.parts.unreadable == ()
    kept = aside(journal)
    assert len(kept) == 2
    assert any(first in place for place in kept)
    spoilt(journal, STATION, REASON_KEY)
    restarted(journal, first_id=300)
    assert aside(journal)[:2] == kept
    assert len(aside(journal)) == 3
