"""Cut the power at every point of a story of local list, cache and reservations.

What was answered is kept, what is kept is whole, and a reservation is used once.
"""

from datetime import timedelta
from typing import Any

import pytest

from forecourt.domain import requests as r
from forecourt.domain.clock import Now
from forecourt.domain.events import TransactionStarted
from forecourt.domain.requests import ListUpdate, LocalListEntry
from forecourt.domain.station import Capabilities
from forecourt.domain.token import AuthorizationStatus, IdToken, IdTokenInfo
from forecourt.station.variable_table import LIST_ENTRIES, LOCAL_PRE_AUTHORIZE
from forecourt.store.journal import MemoryJournal
from tests.station.bench import ALICE, BOB, MALLORY, ONE, START, TWO, accepted
from tests.station.test_power_cut import Books, Fragile, PowerCutError

CAROL = IdToken("CAROL")
LISTS = {0: set[str](), 1: {"alice", "bob"}, 2: {"alice", "carol"}, 3: {"bob"}}
"""The tokens of each version of the list."""


class Told:
    """What the CSMS was answered: it may rely on that."""

    def __init__(self) -> None:
        self.version = 0
        self.reserved: set[int] = set()
        self.given_up: set[int] = set()


def update(bench: Fragile, told: Told, version: int, kind: ListUpdate, *entries: LocalListEntry) -> None:
    assert bench.ask(r.SendLocalList(version=version, update=kind, entries=entries)).outcome == "Accepted"
    told.version = version


def reserve(bench: Fragile, told: Told, number: int, evse_id: int, id_token: IdToken, for_s: float) -> None:
    expires_at = START + timedelta(seconds=for_s)
    request = r.ReserveNow(reservation_id=number, expires_at=expires_at, id_token=id_token, evse_id=evse_id)
    assert bench.ask(request).outcome == "Accepted"
    told.reserved.add(number)


def story(bench: Fragile, told: Told) -> None:
    """A list in three versions, a token learnt and one refused, and reservations used, cancelled, expired, replaced."""
    listed = [LocalListEntry(id_token, accepted()) for id_token in (ALICE, BOB, CAROL)]
    bench.connect()
    bench.set(LOCAL_PRE_AUTHORIZE, "true")
    update(bench, told, 1, ListUpdate.FULL, listed[0], listed[1])
    bench.tap(MALLORY, 2)
    bench.tap(CAROL, 2)
    bench.tap(CAROL, 2)
    reserve(bench, told, 1, 1, ALICE, 900)
    reserve(bench, told, 2, 2, BOB, 60)
    update(bench, told, 2, ListUpdate.DIFFERENTIAL, LocalListEntry(BOB), listed[2])
    bench.run(60)
    reserve(bench, told, 3, 2, BOB, 1000)
    reserve(bench, told, 3, 2, CAROL, 1000)
    bench.tap(ALICE, 1)
    bench.plug(1)
    told.given_up.add(3)
    assert bench.ask(r.CancelReservation(reservation_id=3)).outcome == "Accepted"
    update(bench, told, 3, ListUpdate.FULL, listed[1])
    bench.run(30)
    bench.tap(ALICE, 1)
    bench.unplug(1)


def length(capabilities: Capabilities) -> int:
    bench = Fragile(capabilities, csms=Books())
    story(bench, Told())
    return bench.count


def look(cut: Fragile, told: Told, again: Fragile) -> None:
    parts = again.station.parts
    version = parts.local_list.version
    assert version in {told.version, told.version + 1}, "what was answered is kept"
    keys = {key for key in ("alice", "bob", "carol", "mallory") if parts.local_list.is_listed(IdToken(key))}
    assert keys == LISTS[version or 0], "the list is whole, and of its version"
    assert len(parts.local_list) == len(keys)
    assert int(parts.variables.text(LIST_ENTRIES)) == len(keys)
    invalid = IdTokenInfo(status=AuthorizationStatus.INVALID)
    assert parts.cache.info(MALLORY, again.now.at) in {None, invalid}
    assert all(parts.cache.info(IdToken(key), again.now.at) is None for key in keys), "no listed token is cached"
    used = {event.reservation_id for event in events(cut, TransactionStarted)} - {None}
    queued = parts.outbox.depth > 0
    for number, ends_s in ((1, 900.0), (3, 1000.0)):
        kept = number in parts.reservations
        if kept:
            assert number not in used, "a reservation is used once"
            assert again.now.at < START + timedelta(seconds=ends_s)
        elif number in told.reserved and number not in told.given_up:
            assert number == 1, "nobody has used or cancelled it"
            assert used or queued, "it is gone only with the start that has used it"


def events(bench: Fragile, kind: type[Any]) -> list[Any]:
    return [event for notice in bench.csms.booked.values() for event in notice.events if isinstance(event, kind)]  # type: ignore[attr-defined]


@pytest.mark.parametrize("capabilities", [ONE, TWO], ids=["ids issued", "numbered"])
def test_every_point_of_the_story(capabilities: Capabilities) -> None:
    points = length(capabilities)
    assert points > 60
    for point in range(points):
        told = Told()
        cut = Fragile(capabilities, csms=Books(), cut_at=point, answer_lost=True)
        with pytest.raises(PowerCutError):
            story(cut, told)
        again = Fragile(
            capabilities,
            csms=cut.csms,
            journal=MemoryJournal(cut.journal.load()),
            now=Now(10.0, 20.0, cut.now.at),
            first_id=100,
        )
        look(cut, told, again)
        again.plug(1)
        again.connect()
        again.run(400)
        look(cut, told, again)
        assert again.station.parts.outbox.depth == 0
        used = [event.reservation_id for event in events(again, TransactionStarted) if event.reservation_id is not None]
        assert used in ([], [1])
        again.run(1000)
        assert len(again.station.parts.reservations) == 0
        assert "reservation" not in again.journal.load()
