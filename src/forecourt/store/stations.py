"""Stations, connectors, places and configuration in SQL. See `csms.book_ports.StationBooks`.

Guarantees
* What connections, boots and status reports change is gathered and written in few statements per batch, before anything
  looks for it and before the commit: a storm of boots is written as readings are.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, and_, bindparam, delete, func, insert, select, update

from forecourt.csms.records import Connector, ConnectorView, DesiredVariable, Location, ReportedVariable, Station
from forecourt.csms.running import RunningPower
from forecourt.domain.station import BootReason, RegistrationStatus, StationIdentity
from forecourt.domain.variable import VariableReading, VariableRef
from forecourt.store.bulk import Updates, Upserts
from forecourt.store.driver import Found, numbers, run
from forecourt.store.kept import MOST_KEPT, Kept
from forecourt.store.rows import Shape, inserted, within
from forecourt.store.tables import connectors, desired_variables, locations, reported_variables, stations
from forecourt.store.upsert import upsert

_STATION: Final = Shape(Station, stations, stations.c.password_hash.is_not(None).label("has_password"))
_CONNECTOR: Final = Shape(Connector, connectors)
_LOCATION: Final = Shape(Location, locations)
_DESIRED: Final = Shape(DesiredVariable, desired_variables)
_REPORTED: Final = Shape(ReportedVariable, reported_variables)

_BY_NUMBER: Final = _STATION.select().where(stations.c.number == bindparam("key"))
_BY_IDENTITY: Final = _STATION.select().where(stations.c.id == bindparam("key"))
_STANDINGS: Final = select(stations.c.number, stations.c.registration, stations.c.connection_id).where(
    stations.c.number.in_(bindparam("numbers", expanding=True))
)
_AT_THE_DOOR: Final = (
    _STATION.select().add_columns(stations.c.password_hash).where(stations.c.id.in_(bindparam("ids", expanding=True)))
)
_TOUCH: Final = Updates(stations, ("last_seen_at", "clock_drift_s", "number"), kept=("clock_drift_s",))
_SAVE: Final = Upserts(connectors, _CONNECTOR.stored)
_VERSIONS: Final = (
    "SELECT station_number, evse_id, connector_id, xmin::text::bigint FROM connectors"
    " WHERE station_number = ANY(%s::bigint[])"
)
_MOST_TOUCHED: Final = 50_000
_CONNECTOR_AT: Final = _CONNECTOR.select().where(
    connectors.c.station_number == bindparam("number"),
    connectors.c.evse_id == bindparam("evse"),
    connectors.c.connector_id == bindparam("connector"),
)
_CONNECTORS: Final = (
    _CONNECTOR.select()
    .where(connectors.c.station_number == bindparam("number"))
    .order_by(connectors.c.evse_id, connectors.c.connector_id)
)


_KEYS: Final = ("station_number", "evse_id", "connector_id")

_Key = tuple[int, int, int]


class Standing(NamedTuple):
    """What a station's connection and its boot have to know of it."""

    registration: RegistrationStatus
    connection_id: str | None


@cache
def _setting(names: tuple[str, ...]) -> Updates:
    """Sets these columns of a station."""
    return Updates(stations, (*names, "number"))


@cache
def _setting_connector(places: tuple[int, ...]) -> Updates:
    """Sets these columns of a connector."""
    return Updates(connectors, [_CONNECTOR.stored[place] for place in places] + list(_KEYS), keys=len(_KEYS))


class SqlStationBooks:
    """See `csms.book_ports.StationBooks`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.touched: dict[int, tuple[datetime, float | None]] = {}
        self.kept: Kept[_Key, Connector] = Kept()
        self.standings: Kept[int, Standing] = Kept()
        self.changes: list[tuple[int, dict[str, Any]]] = []
        """Columns of stations, to be written with the batch."""
        self._places: dict[int, set[_Key]] = {}
        """Of stations all of whose connectors are known: where they are."""
        self._expected: Collection[int] = ()
        """The stations that this batch is about."""
        self.flushes = 0

    def add(self, organisation_id: int, station_id: str, registration: RegistrationStatus, now: datetime) -> Station:
        """Enter a new station."""
        values: dict[str, Any] = {
            "id": station_id,
            "organisation_id": organisation_id,
            "registration": registration,
            "created_at": now,
        }
        key = inserted(self._connection, insert(stations), values)
        self.standings.learn(key, Standing(registration, None))
        return Station(number=key, **values)

    def get(self, organisation_id: int, station_id: str) -> Station | None:
        """By its identity, in this organisation."""
        station = self.by_identity(station_id)
        return station if station is not None and station.organisation_id == organisation_id else None

    def by_number(self, number: int) -> Station | None:
        """By its number."""
        self._write_stations()
        return _STATION.one(self._connection, _BY_NUMBER, {"key": number})

    def by_identity(self, station_id: str) -> Station | None:
        """By its identity, in whichever organisation."""
        self._write_stations()
        return _STATION.one(self._connection, _BY_IDENTITY, {"key": station_id})

    def at_the_door(self, station_ids: Collection[str]) -> dict[str, tuple[Station, str | None]]:
        """Those that there are, with the hashes of their passwords."""
        self._write_stations()
        found = self._connection.execute(_AT_THE_DOOR, {"ids": list(station_ids)})
        return {station.id: (station, row[-1]) for row in found for station in (_STATION.record(row[:-1]),)}

    def change(self, number: int, **columns: Any) -> None:
        """Set columns."""
        self._write_stations()
        self._connection.execute(update(stations).where(stations.c.number == number), columns)
        if "registration" in columns and number in self.standings:
            known = self.standings[number]
            if known is not None:
                self.standings.learn(number, known._replace(registration=columns["registration"]))

    def booted(self, number: int, identity: StationIdentity, reason: BootReason | None, at: datetime) -> None:
        """What it says at a boot; written with the rest of the batch."""
        self.changes.append((number, {"identity": identity, "boot_reason": reason, "booted_at": at}))

    def registration(self, number: int) -> RegistrationStatus | None:
        """Whether it is accepted; None: there is no such station."""
        standing = self._standing(number)
        return None if standing is None else standing.registration

    def _standing(self, number: int) -> Standing | None:
        if number not in self.standings:
            self._write_stations()
            wanted = {number, *self._expected}
            found = self._connection.execute(_STANDINGS, {"numbers": list(wanted)})
            standings = {row[0]: Standing(row[1], row[2]) for row in found}
            for each in wanted:
                if each not in self.standings:
                    self.standings.learn(each, standings.get(each))
            self._expected = ()
        return self.standings[number]

    def touch(self, number: int, at: datetime, clock_drift_s: float | None) -> None:
        """Something came from it; written with the rest of the batch."""
        if clock_drift_s is None and number in self.touched:
            clock_drift_s = self.touched[number][1]
        self.touched[number] = (at, clock_drift_s)

    @property
    def is_behind(self) -> bool:
        """Whether something waits for a later batch."""
        return bool(self.touched) or self.kept.is_behind

    def flush(self, *, whole: bool = True) -> None:
        """Write what was left for the end of the batch; not `whole`: but for what may be written later."""
        if self.touched and (whole or len(self.touched) > _MOST_TOUCHED):
            _TOUCH.run(self._connection, [(at, drift, number) for number, (at, drift) in self.touched.items()])
            self.touched = {}
        self._write_stations()
        self._write_connectors(whole=whole)

    def _write_stations(self) -> None:
        if not self.changes:
            return
        changes, self.changes = self.changes, []
        together: dict[int, dict[str, Any]] = {}
        for number, columns in changes:
            together.setdefault(number, {}).update(columns)
        alike: dict[tuple[str, ...], list[tuple[Any, ...]]] = {}
        for number, columns in together.items():
            alike.setdefault(tuple(columns), []).append((*columns.values(), number))
        for names, rows in alike.items():
            _setting(names).run(self._connection, rows)
        self.flushes += 1

    def _write_connectors(self, *, whole: bool = True) -> None:
        changed = self.kept.take_changed(whole=whole)
        if not changed:
            return
        new: list[tuple[Any, ...]] = []
        alike: dict[tuple[int, ...], list[tuple[Any, ...]]] = {}
        for key, before, after in changed:
            row = _CONNECTOR.row(after)
            if before is None:
                new.append(row)
                continue
            known = _CONNECTOR.row(before)
            places = tuple([place for place, value in enumerate(row) if value != known[place]])
            if places:
                alike.setdefault(places, []).append((*[row[place] for place in places], *key))
        if new:
            _SAVE.run(self._connection, new)
        for places, rows in alike.items():
            _setting_connector(places).run(self._connection, rows)
        self.flushes += 1

    def committed(self, *, keep: bool, version: int | None = None) -> None:
        """The batch is in the database; see `Kept.committed`."""
        self.kept.committed(keep=keep, version=version)
        self.standings.committed(keep=keep)
        self._expected = ()
        if not keep or len(self._places) > MOST_KEPT:
            self._places = {}

    def versions(self, stations: Collection[int]) -> Found:
        """By which transactions the rows of these stations' connectors were written: for `prove`."""
        return run(self._connection, _VERSIONS, (numbers(stations),))

    def prove(self, stations: Collection[int], found: list[tuple[Any, ...]]) -> None:
        """What is remembered of these stations' connectors is believed where nobody has changed it since."""
        self._expected = stations
        self._places = {number: set() for number in stations}
        for number, evse_id, connector_id, _ in found:
            self._places[number].add((number, evse_id, connector_id))
        self.kept.prove(((number, evse_id, connector_id), version) for number, evse_id, connector_id, version in found)

    def remove(self, number: int) -> None:
        """Take it out, with what is only about it."""
        self._write_stations()
        self.standings.learn(number, None)
        for connector in self.connectors(number):
            self.kept.learn((number, connector.evse_id, connector.connector_id), None)
        for table in (connectors, desired_variables, reported_variables):
            self._connection.execute(delete(table).where(table.c.station_number == number))
        self._connection.execute(delete(stations).where(stations.c.number == number))

    def page(
        self,
        organisation_id: int,
        *,
        location_id: int | None,
        connected: bool | None,
        registration: RegistrationStatus | None,
        created_from: datetime | None = None,
        created_to: datetime | None = None,
        before: int | None,
        limit: int,
    ) -> list[Station]:
        """Newest first."""
        self._write_stations()
        query = _STATION.select().where(stations.c.organisation_id == organisation_id)
        if location_id is not None:
            query = query.where(stations.c.location_id == location_id)
        if connected is not None:
            query = query.where(stations.c.connected == connected)
        if registration is not None:
            query = query.where(stations.c.registration == registration)
        query = within(query, stations.c.created_at, created_from, created_to)
        if before is not None:
            query = query.where(stations.c.number < before)
        return _STATION.all(self._connection, query.order_by(stations.c.number.desc()).limit(limit))

    def counts(self) -> tuple[dict[bool, int], dict[ConnectorView, int]]:
        """Of all organisations."""
        self._write_stations()
        self._write_connectors()
        by_link = select(stations.c.connected, func.count()).group_by(stations.c.connected)
        by_view = select(connectors.c.view, func.count()).where(connectors.c.connector_id > 0)
        links = {bool(connected): int(count) for connected, count in self._connection.execute(by_link)}
        views = {view: int(count) for view, count in self._connection.execute(by_view.group_by(connectors.c.view))}
        return links, views

    def set_password_hash(self, number: int, password_hash: str | None) -> None:
        """What its password is checked against; None: it needs none."""
        self.change(number, password_hash=password_hash)

    def password_hash(self, number: int) -> str | None:
        """As it was set."""
        query = select(stations.c.password_hash).where(stations.c.number == number)
        found: str | None = self._connection.execute(query).scalar()
        return found

    def disconnect_all(self, now: datetime, kept: Sequence[str] = ()) -> list[Station]:
        """Nobody is connected whose connection's id doesn't begin with one of `kept`; gives those that were."""
        self._write_stations()
        others = [stations.c.connection_id.not_like(f"{prefix}%") for prefix in kept]
        which = and_(stations.c.connected, *others)
        gone = _STATION.all(self._connection, _STATION.select().where(which))
        values = {"connected": False, "connection_id": None, "connection_changed_at": now}
        self._connection.execute(update(stations).where(which), values)
        for station in gone:
            self.standings.learn(station.number, Standing(station.registration, None))
        return gone

    def set_connection(self, number: int, connection_id: str | None, **columns: Any) -> None:
        """Which connection it has, and what follows; written with the rest of the batch."""
        standing = self._standing(number)
        if standing is not None:
            self.standings.learn(number, standing._replace(connection_id=connection_id))
            self.changes.append((number, {"connection_id": connection_id, **columns}))

    def connection_id(self, number: int) -> str | None:
        """Which connection it has."""
        standing = self._standing(number)
        return None if standing is None else standing.connection_id

    # Connectors

    def connector(self, number: int, evse_id: int, connector_id: int) -> Connector | None:
        """One."""
        key = (number, evse_id, connector_id)
        if key not in self.kept:
            values = {"number": number, "evse": evse_id, "connector": connector_id}
            self.kept.learn(key, _CONNECTOR.one(self._connection, _CONNECTOR_AT, values))
        return self.kept[key]

    def connectors(self, number: int) -> list[Connector]:
        """All of a station, in their order."""
        places = self._places.get(number)
        if places is not None and all(key in self.kept for key in places):
            return [found for key in sorted(places) if (found := self.kept[key]) is not None]
        self._write_connectors()
        all_of_it = _CONNECTOR.all(self._connection, _CONNECTORS, {"number": number})
        places = set()
        for found in all_of_it:
            key = (number, found.evse_id, found.connector_id)
            places.add(key)
            if key not in self.kept:
                self.kept.learn(key, found)
        self._places[number] = places
        return all_of_it

    def connectors_between(self, organisation_id: int, first: int, last: int) -> list[Connector]:
        """All of several stations, in their order."""
        self._write_connectors()
        query = _CONNECTOR.select().where(
            connectors.c.organisation_id == organisation_id, connectors.c.station_number.between(first, last)
        )
        order = (connectors.c.station_number, connectors.c.evse_id, connectors.c.connector_id)
        return _CONNECTOR.all(self._connection, query.order_by(*order))

    def known(self, number: int, evse_id: int, connector_id: int) -> Connector | None:
        """One that is in mind."""
        return self.kept.get((number, evse_id, connector_id))

    def stands(self, connector: Connector) -> bool:
        """Whether nothing has changed it since."""
        return self.kept.peek((connector.station_number, connector.evse_id, connector.connector_id)) is connector

    def owe(self, power: RunningPower) -> None:
        """From now on `power` knows what its connector is."""
        connector = power.record
        self.kept.owe((connector.station_number, connector.evse_id, connector.connector_id), power)

    def save_connector(self, connector: Connector, *, metered: bool = False) -> None:
        """Insert, or replace the one of the same place."""
        key = (connector.station_number, connector.evse_id, connector.connector_id)
        self.kept.change(key, connector, soon=metered)
        places = self._places.get(key[0])
        if places is not None:
            places.add(key)

    # Locations

    def add_location(self, organisation_id: int, columns: dict[str, Any], now: datetime) -> Location:
        """Enter one."""
        values = {"organisation_id": organisation_id, "created_at": now, **columns}
        key = inserted(self._connection, insert(locations), values)
        return Location(id=key, **values)

    def location(self, organisation_id: int, location_id: int) -> Location | None:
        """One."""
        query = _LOCATION.select().where(locations.c.organisation_id == organisation_id, locations.c.id == location_id)
        return _LOCATION.one(self._connection, query, {})

    def locations(self, organisation_id: int, *, before: int | None, limit: int) -> list[Location]:
        """Newest first."""
        query = _LOCATION.select().where(locations.c.organisation_id == organisation_id)
        if before is not None:
            query = query.where(locations.c.id < before)
        return _LOCATION.all(self._connection, query.order_by(locations.c.id.desc()).limit(limit))

    def change_location(self, location_id: int, **columns: Any) -> None:
        """Set columns."""
        self._connection.execute(update(locations).where(locations.c.id == location_id), columns)

    def remove_location(self, location_id: int) -> None:
        """Take it out; its stations stay."""
        self._connection.execute(update(stations).where(stations.c.location_id == location_id), {"location_id": None})
        self._connection.execute(delete(locations).where(locations.c.id == location_id))

    # Configuration

    def desired(self, number: int) -> list[DesiredVariable]:
        """What shall be."""
        query = _DESIRED.select().where(desired_variables.c.station_number == number)
        return _DESIRED.all(self._connection, query.order_by(desired_variables.c.ref))

    def set_desired(self, number: int, variable: DesiredVariable) -> None:
        """Insert or replace."""
        values = {"station_number": number, **_DESIRED.values(variable)}
        self._connection.execute(upsert(self._connection, desired_variables), values)

    def remove_desired(self, number: int, ref: VariableRef) -> bool:
        """Whether there was one."""
        query = delete(desired_variables).where(
            desired_variables.c.station_number == number, desired_variables.c.ref == ref
        )
        return self._connection.execute(query).rowcount > 0

    def reported(self, number: int) -> list[ReportedVariable]:
        """What is."""
        query = _REPORTED.select().where(reported_variables.c.station_number == number)
        return _REPORTED.all(self._connection, query.order_by(reported_variables.c.ref))

    def set_reported(self, number: int, readings: Iterable[VariableReading], now: datetime) -> None:
        """Insert or replace."""
        rows = [
            {
                "station_number": number,
                "ref": reading.ref,
                "value": reading.value,
                "mutability": reading.mutability,
                "reported_at": now,
            }
            for reading in readings
        ]
        if rows:
            self._connection.execute(upsert(self._connection, reported_variables), rows)
