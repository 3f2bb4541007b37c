"""Any order of lists, reservations, tokens, plugs, faults and restarts keeps what the profiles promise."""

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from forecourt.domain import requests as r
from forecourt.domain.requests import ListUpdate, LocalListEntry
from forecourt.domain.station import OperationalStatus
from forecourt.domain.token import AuthorizationStatus, IdToken, IdTokenInfo
from forecourt.domain.variable import VariableSetting
from forecourt.station import effects as e
from forecourt.station import inputs as i
from forecourt.station.config import EvseConfig
from forecourt.station.variable_table import (
    AUTHORIZE_REMOTE_START,
    CACHE_ENABLED,
    LIST_ENABLED,
    LIST_MOST_ENTRIES,
    LOCAL_PRE_AUTHORIZE,
)
from tests.station.bench import HOUSEHOLD, ONE, TWO, Bench

MOST_LISTED, CACHE_SIZE, EVSES = 3, 2, 2
TAGS = [IdToken(name) for name in ("A", "B", "C", "D", "E")]
INFOS = [
    IdTokenInfo(status=AuthorizationStatus.ACCEPTED),
    IdTokenInfo(status=AuthorizationStatus.ACCEPTED, group_id_token=HOUSEHOLD),
    IdTokenInfo(status=AuthorizationStatus.BLOCKED),
]

tags, numbers, places = st.sampled_from(TAGS), st.integers(1, 4), st.integers(0, EVSES + 1)
evses = st.integers(1, EVSES)
entries = st.lists(st.builds(LocalListEntry, tags, st.sampled_from([None, *INFOS])), max_size=MOST_LISTED + 1).map(
    tuple
)
switches = st.sampled_from([CACHE_ENABLED, LIST_ENABLED, LOCAL_PRE_AUTHORIZE, AUTHORIZE_REMOTE_START])

steps = st.one_of(
    st.builds(r.SendLocalList, version=st.integers(-1, 9), update=st.sampled_from(ListUpdate), entries=entries),
    st.just(r.GetLocalListVersion()),
    st.just(r.ClearCache()),
    st.builds(r.CancelReservation, reservation_id=numbers),
    st.tuples(st.just("reserve"), numbers, places, tags, st.sampled_from([None, HOUSEHOLD]), st.integers(-10, 300)),
    st.builds(r.RequestStartTransaction, id_token=tags, evse_id=st.none() | evses),
    st.builds(
        r.ChangeAvailability, evse_id=st.integers(0, EVSES), operational_status=st.sampled_from(OperationalStatus)
    ),
    st.tuples(st.just("switch"), switches, st.booleans()),
    st.tuples(st.just("says"), tags, st.sampled_from(INFOS)),
    st.tuples(st.just("tap"), tags, st.none() | evses),
    st.tuples(st.sampled_from(["plug", "unplug", "fault", "well", "link", "restart"]), evses),
    st.tuples(st.just("wait"), st.integers(1, 200)),
)


class Story:
    """A bench that lives through steps. `asked`: requests so far, each of which has one reply."""

    def __init__(self, capabilities: Any) -> None:
        self.bench = self._station(capabilities)
        self.capabilities = capabilities
        self.bench.connect()
        self.asked = self.replied = self.restarts = 0

    def _station(self, capabilities: Any, **given: Any) -> Bench:
        return Bench(
            capabilities,
            evses=(EvseConfig(),) * EVSES,
            cache_size=CACHE_SIZE,
            variables={LIST_MOST_ENTRIES: str(MOST_LISTED)},
            **given,
        )

    def live(self, step: Any) -> None:
        bench = self.bench
        match step:
            case ("reserve", number, place, tag, group, for_s):
                expires_at = bench.now.at + timedelta(seconds=for_s)
                self.ask(
                    r.ReserveNow(
                        reservation_id=number,
                        expires_at=expires_at,
                        id_token=tag,
                        evse_id=place or None,
                        group_id_token=group,
                    )
                )
            case ("switch", ref, on):
                self.ask(r.SetVariables(settings=(VariableSetting(ref, "true" if on else "false"),)))
            case ("says", tag, info):
                bench.csms.tokens[tag.key] = info
            case ("tap", tag, place):
                bench.tap(tag, place)
            case ("plug", place):
                bench.plug(place)
            case ("unplug", place):
                bench.unplug(place)
            case ("fault", place):
                bench.tell(i.FaultRaised(place, i.Fault(fault_id="x", inoperative=True)))
            case ("well", place):
                bench.tell(i.FaultCleared(place))
            case ("link", _):
                bench.disconnect() if bench.link else bench.connect()
            case ("restart", _):
                self.restart()
            case ("wait", seconds):
                bench.run(seconds)
            case _:
                self.ask(step)

    def ask(self, request: Any) -> None:
        if self.bench.link:
            self.asked += 1
            self.bench.ask(request)

    def restart(self) -> None:
        before, self.replied = self.bench, self.replied + len(self.bench.took(e.Reply))
        again = self._station(
            self.capabilities,
            journal=before.journal,
            now=before.now,
            csms=before.csms,
            first_id=1000 * (self.restarts + 1),
        )
        assert knowledge(again) == knowledge(before), "what it knew, it knows"
        for evse_id in range(1, EVSES + 1):
            again.plug(evse_id, before.station.parts.evses[evse_id].pilot or i.Pilot.A)
        self.bench = again
        self.restarts += 1
        if before.link:
            again.connect()

    def check(self) -> None:
        bench = self.bench
        parts, kept = bench.station.parts, bench.journal.load()
        assert self.replied + len(bench.took(e.Reply)) == self.asked
        reserved = parts.reservations.entries
        assert sorted(kept.get("reservation", {})) == sorted(str(entry.reservation_id) for entry in reserved)
        held = [entry.evse_id for entry in reserved if entry.evse_id is not None]
        assert len(held) == len(set(held)), "no EVSE is promised twice"
        assert len(reserved) <= EVSES
        for entry in reserved:
            evse = None if entry.evse_id is None else parts.evses[entry.evse_id]
            assert entry.expires_at > bench.now.at
            assert evse is None or (evse.operative and not evse.faulted)
            if evse is not None:
                guest = evse.authorization
                assert guest is None or entry.is_for(guest.id_token, guest.group_id_token)
                assert evse.transaction is None, "a transaction here has used it up"
        assert len(parts.local_list) == len(kept.get("local_list", {})) <= MOST_LISTED
        assert len(parts.cache) == len(kept.get("cache", {})) <= CACHE_SIZE
        if parts.local_list.supported:
            assert not kept.get("cache", {}).keys() & kept.get("local_list", {}).keys()


def knowledge(bench: Bench) -> tuple[Any, ...]:
    parts = bench.station.parts
    reserved = sorted(parts.reservations.entries, key=lambda entry: entry.reservation_id)
    return reserved, parts.local_list.version, [parts.authorizer.known(tag, bench.now.at) for tag in TAGS]


@settings(max_examples=80, deadline=None)
@given(st.sampled_from([ONE, TWO]), st.lists(steps, min_size=20, max_size=40))
def test_whatever_happens_the_profiles_keep_their_promises(capabilities: Any, story: list[Any]) -> None:
    told = Story(capabilities)
    for step in story:
        told.live(step)
        told.check()
