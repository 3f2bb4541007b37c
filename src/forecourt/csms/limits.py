"""Permissions that are limited to locations: the same books, seen through a fence.

Guarantees
* Whoever is limited sees and touches only what stands at its locations: stations, and all that hangs on one. What
  belongs to another is not there, as if it were another organisation's.
* What belongs to the whole organisation can be read where charging needs it (tokens, tariffs), and changed by nobody
  who is limited. Everything that isn't in `FENCE` is refused: a new kind of books is closed until somebody opens it.
* A station is entered, or moved, to one of the locations only.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final, TypeVar, cast

import msgspec

from forecourt.csms.errors import CsmsError
from forecourt.csms.ports import Books, Bus, Context, Lease, Order, Receipt, Store
from forecourt.csms.records import Event, Location, Station, TransactionState

T = TypeVar("T")

_MEMORY_S: Final = 5.0
"""How long an event stream remembers where a station stands."""
_AT_ONCE: Final = 500


class NotAllowed(CsmsError):  # noqa: N818
    """It is for those who aren't limited to locations."""

    def __init__(self) -> None:
        super().__init__("this is for those who aren't limited to locations")


def limited(context: Context, location_ids: Iterable[int]) -> Context:
    """The same for somebody who is limited to these locations."""
    allowed = frozenset(location_ids)
    store = _LimitedStore(context.store, allowed)
    bus = _LimitedBus(context.bus, context.store, allowed)
    return msgspec.structs.replace(context, store=store, bus=bus)


class _Sight:
    """What can be seen, by the books of one unit of work."""

    def __init__(self, books: Books, allowed: frozenset[int]) -> None:
        self.books = books
        self.allowed = allowed
        self._known: dict[int | str, bool] = {}

    def sees(self, record: Any) -> bool:
        """Whether it stands at one of the locations."""
        if isinstance(record, tuple):
            return self.sees(record[0])
        if isinstance(record, Station):
            return record.location_id in self.allowed
        if isinstance(record, Location):
            return record.id in self.allowed
        number = getattr(record, "station_number", None)
        if number is not None:
            return self.of(number)
        station_id = getattr(record, "station_id", None)
        return station_id is not None and self.of(station_id)

    def of(self, station: int | str) -> bool:
        """Whether the station, by number or identity, does."""
        if station not in self._known:
            books = self.books.stations
            found = books.by_number(station) if isinstance(station, int) else books.by_identity(station)
            self._known[station] = found is not None and found.location_id in self.allowed
        return self._known[station]


Rule = Callable[[_Sight, Any, str], Any]


def _free(_sight: _Sight, target: Any, name: str) -> Any:
    """As it is: it is about something that was seen before, or about nothing in particular."""
    return getattr(target, name)


def _one(sight: _Sight, target: Any, name: str) -> Any:
    """One record, or None."""

    def fenced(*args: Any, **named: Any) -> Any:
        record = getattr(target, name)(*args, **named)
        return record if record is not None and sight.sees(record) else None

    return fenced


def _page(key: str) -> Rule:
    """Records in pages by `before` and `limit`: what can't be seen is made up for by what comes after."""

    def rule(sight: _Sight, target: Any, name: str) -> Any:
        def fenced(*args: Any, limit: int = 1000, before: Any = None, **named: Any) -> Any:
            seen: list[Any] = []
            while len(seen) < limit:
                found = getattr(target, name)(*args, before=before, limit=_AT_ONCE, **named)
                seen += [record for record in found if sight.sees(record)]
                if len(found) < _AT_ONCE:
                    break
                last = found[-1][0] if isinstance(found[-1], tuple) else found[-1]
                before = getattr(last, key)
            return seen[:limit]

        return fenced

    return rule


def _list(sight: _Sight, target: Any, name: str) -> Any:
    """Records, all at once."""
    return lambda *args, **named: [record for record in getattr(target, name)(*args, **named) if sight.sees(record)]


def _record(sight: _Sight, target: Any, name: str) -> Any:
    """Enters the record that it is given first."""

    def fenced(record: Any, *args: Any, **named: Any) -> Any:
        if not sight.sees(record):
            raise NotAllowed
        return getattr(target, name)(record, *args, **named)

    return fenced


def _station_changed(sight: _Sight, target: Any, name: str) -> Any:
    def fenced(number: int, **columns: Any) -> Any:
        if "location_id" in columns and columns["location_id"] not in sight.allowed:
            raise NotAllowed
        return getattr(target, name)(number, **columns)

    return fenced


def _shelved(sight: _Sight, target: Any, name: str) -> Any:
    """Enters a record of these columns on a shelf."""

    def fenced(now: datetime, **columns: Any) -> Any:
        number = columns.get("station_number")
        if number is None or not sight.of(number):
            raise NotAllowed
        return getattr(target, name)(now, **columns)

    return fenced


def _count_active(sight: _Sight, target: Any, _name: str) -> Any:
    return lambda organisation_id: len(_transactions(sight, target, organisation_id, state=TransactionState.ACTIVE))


def _totals(sight: _Sight, target: Any, _name: str) -> Any:
    def fenced(organisation_id: int, started_from: datetime) -> tuple[int, float]:
        found = _transactions(sight, target, organisation_id, started_from=started_from)
        energies = [one.energy_wh for one in found if one.energy_wh is not None and one.suspect is None]
        return len(found), float(sum(energies))

    return fenced


def _transactions(sight: _Sight, target: Any, organisation_id: int, **given: Any) -> list[Any]:
    names = ("station_number", "id_token", "transaction_id", "state", "orphan", "started_from", "started_to")
    filters = dict.fromkeys(names)
    page = _page("number")(sight, target, "page")
    return cast("list[Any]", page(organisation_id, limit=10**9, **{**filters, **given}))


def _all_free(*names: str) -> dict[str, Rule]:
    return dict.fromkeys(names, _free)


_SHELF: Final[dict[str, Rule]] = {
    "get": _one,
    "find": _page("number"),
    "add": _shelved,
    **_all_free("change", "remove"),
}

FENCE: Final[dict[str, dict[str, Rule]]] = {
    "": _all_free("prove_writable"),
    "stations": {
        "get": _one,
        "by_number": _one,
        "page": _page("number"),
        "change": _station_changed,
        "connectors_between": _list,
        "location": _one,
        "locations": _page("id"),
        **_all_free(
            "add", "by_identity", "touch", "remove", "set_password_hash", "password_hash", "connection_id", "connector",
            "connectors", "save_connector", "change_location", "desired", "set_desired", "remove_desired", "reported",
            "set_reported",
        ),
    },
    "tokens": _all_free("get", "page"),
    "transactions": {
        "get": _one,
        "page": _page("number"),
        "active_of_token": _list,
        "count_active": _count_active,
        "totals": _totals,
        **_all_free("by_wire_id", "by_start_key", "active_on", "save", "readings", "mark_readings", "place_readings"),
    },
    "commands": {
        "add": _record,
        "get": _one,
        "by_idempotency_key": _one,
        "page": _page("id"),
        **_all_free("change", "recent_starts", "next_remote_start_id", "next_request_id"),
    },
    "charging": {
        "by_command": _list,
        "page": _page("number"),
        **_all_free("add", "on_station", "set_state", "next_profile_id"),
    },
    "log": {"messages": _page("id"), **_all_free("violations", "add_violations")},
    "events": _all_free("append"),
    "money.tariffs": _all_free(
        "latest", "by_number", "in_force", "versions", "page", "assignments", "assigned_to"
    ),
    "money.billing": {
        "session": _one,
        "sessions": _page("number"),
        "cdr": _one,
        "cdrs": _page("number"),
        "add_cdr": _record,
        **_all_free("save_session", "credited_by", "states"),
    },
    "money.payments": {
        "add": _record,
        "get": _one,
        "page": _page("id"),
        **_all_free("by_id_token", "by_idempotency_key", "change"),
    },
    "people.users": _all_free("organisation", "by_name", "change", "end_sign_ins"),  # one's own password
    "people.audit": _all_free("add", "answered"),
    "people.batches": _all_free("add", "get", "by_idempotency_key", "counts", "items", "change"),
    "people.rotations": _all_free("put", "get", "by_command", "move"),
    "resources": _all_free("next_reservation_id"),
    "resources.reservations": _SHELF,
    "resources.lists": _SHELF,
    "resources.list_versions": _SHELF,
    "resources.firmware_jobs": _SHELF,
    "resources.log_jobs": _SHELF,
    "resources.installed": _SHELF,
    "resources.contract_certificates": _SHELF,
    "resources.security_events": _SHELF,
    "groups.transaction_wishes": _SHELF,
    "groups.token_wishes": _all_free("find"),
    "groups.assignments": _SHELF,
    "groups.stored_profiles": _all_free("get", "find"),
}  # fmt: skip
"""What is open, and how; by the books' place and the method's name."""

_ROOMS: Final = {place[:k] for place in FENCE for k in (place.find("."),) if k > 0}


class _Fenced:
    """Books behind the fence."""

    def __init__(self, sight: _Sight, target: Any, place: str = "") -> None:
        self._sight = sight
        self._target = target
        self._place = place

    def __getattr__(self, name: str) -> Any:
        rule = FENCE.get(self._place, {}).get(name)
        if rule is not None:
            return rule(self._sight, self._target, name)
        inner = f"{self._place}.{name}" if self._place else name
        if inner in FENCE or inner in _ROOMS:
            return _Fenced(self._sight, getattr(self._target, name), inner)
        raise NotAllowed


class _LimitedStore:
    def __init__(self, store: Store, allowed: frozenset[int]) -> None:
        self._store = store
        self._allowed = allowed

    def write(self, unit: Callable[[Books], T]) -> "asyncio.Future[T]":
        return self._store.write(lambda books: unit(self._fenced(books)))

    def read(self, query: Callable[[Books], T]) -> "asyncio.Future[T]":
        return self._store.read(lambda books: query(self._fenced(books)))

    def _fenced(self, books: Books) -> Books:
        return cast("Books", _Fenced(_Sight(books, self._allowed), books))


class _LimitedBus:
    def __init__(self, bus: Bus, store: Store, allowed: frozenset[int]) -> None:
        self._bus = bus
        self._store = store
        self._allowed = allowed
        self._known: dict[str, tuple[float, bool]] = {}

    def publish(self, events: Any) -> None:
        self._bus.publish(events)

    def claim(self, station_number: int, holder: Callable[[Order], Receipt]) -> Lease:
        return self._bus.claim(station_number, holder)

    async def deliver(self, station_number: int, order: Order) -> Receipt:
        return await self._bus.deliver(station_number, order)

    @asynccontextmanager
    async def subscribe(self, organisation_id: int | None, **named: Any) -> AsyncIterator[AsyncIterator[Event]]:
        async with self._bus.subscribe(organisation_id, **named) as events:
            yield self._seen(events)

    async def _seen(self, events: AsyncIterator[Event]) -> AsyncIterator[Event]:
        async for event in events:
            if event.station_id is not None and await self._sees(event.station_id):
                yield event

    async def _sees(self, station_id: str) -> bool:
        now_s = time.monotonic()
        known = self._known.get(station_id)
        if known is None or now_s - known[0] > _MEMORY_S:
            found = await self._store.read(lambda books: books.stations.by_identity(station_id))
            known = (now_s, found is not None and found.location_id in self._allowed)
            self._known[station_id] = known
        return known[1]
