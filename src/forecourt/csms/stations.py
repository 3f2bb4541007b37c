"""Stations, their places, connectors and configuration, as whoever runs them sees and enters them.

Guarantees
* A station's identity is unique over all organisations: it is all that a connection shows.
* Credentials are write only: kept as a salted hash, never given out (security white paper A01.FR.08).
* A password of 32 to 40 hexadecimal digits and the 16 to 20 octets they stand for are one password: some protocols send
  the octets (OCPP-J 1.6 §6.2, errata 3.10; security white paper A00.FR.205), others the text as it is (OCPP 2.0.1
  A00.FR.205), and stations are not all of one mind either.
"""

import asyncio
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

import msgspec

from forecourt.csms.errors import Conflict, Invalid, NotFound
from forecourt.csms.paging import page_of, page_start
from forecourt.csms.ports import Books, Context, DisconnectOrder
from forecourt.csms.records import Configuration, Connector, DesiredVariable, Drift, Location, Page, Station
from forecourt.csms.settings import CsmsSettings
from forecourt.csms.zones import is_zone
from forecourt.domain.station import RegistrationStatus
from forecourt.domain.variable import VariableRef, VariableSetting

LONGEST_IDENTITY: Final = 255

_SCRYPT: Final = {"n": 2**12, "r": 8, "p": 1}
"""About 10 ms and 4 MiB: a station's password has 16 or more random characters (security white paper A00.FR.205)."""

_HEXADECIMAL: Final = re.compile(rb"(?:[0-9A-Fa-f]{2}){16,20}")


class StationFields(msgspec.Struct, frozen=True, kw_only=True):
    """A station as somebody enters it."""

    registration: RegistrationStatus = RegistrationStatus.ACCEPTED
    location_id: int | None = None
    name: str | None = None
    security_profile: int = 0
    lenient_decoding: bool | None = None


class StationChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What to change of a station; UNSET stays as it is."""

    registration: RegistrationStatus | msgspec.UnsetType = msgspec.UNSET
    location_id: int | msgspec.UnsetType | None = msgspec.UNSET
    name: str | msgspec.UnsetType | None = msgspec.UNSET
    security_profile: int | msgspec.UnsetType = msgspec.UNSET
    lenient_decoding: bool | msgspec.UnsetType | None = msgspec.UNSET


class LocationFields(msgspec.Struct, frozen=True, kw_only=True):
    """A location as somebody enters it."""

    name: str
    address: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    time_zone: str | None = None


async def create_station(context: Context, station_id: str, fields: StationFields) -> Station:
    """Enter a station.

    Raises:
        Conflict: there is a station of that identity.
        Invalid: a field.
    """
    check_identity(station_id)
    now = context.clock.now().at

    def store(books: Books) -> Station:
        station = add_station(books, context, station_id, fields, now)
        if station is None:
            raise Conflict(f"there is a station {station_id!r} already")
        return station

    return await context.store.write(store)


def add_station(
    books: Books, context: Context, station_id: str, fields: StationFields, now: datetime
) -> Station | None:
    """Enter one whose identity was checked (`check_identity`); None: it is there already. Raises Invalid."""
    if books.stations.by_identity(station_id) is not None:
        return None
    columns = msgspec.structs.asdict(fields)
    _check(books, context, columns)
    station = books.stations.add(context.organisation_id, station_id, fields.registration, now)
    books.stations.change(station.number, **columns)
    return msgspec.structs.replace(station, **columns)


def check_identity(station_id: str) -> None:
    """Raises Invalid."""
    if not 0 < len(station_id) <= LONGEST_IDENTITY or not station_id.isprintable():
        raise Invalid("id", f"must have 1 to {LONGEST_IDENTITY} printable characters")


async def update_station(context: Context, station_id: str, changes: StationChanges) -> Station:
    """Change a station. One that is rejected loses its connection. Raises NotFound, Invalid."""

    def store(books: Books) -> Station:
        station = find_station(books, context.organisation_id, station_id)
        columns = {name: value for name, value in msgspec.structs.asdict(changes).items() if value is not msgspec.UNSET}
        _check(books, context, columns)
        if columns:
            books.stations.change(station.number, **columns)
        return msgspec.structs.replace(station, **columns)

    station = await context.store.write(store)
    if changes.registration is RegistrationStatus.REJECTED:
        await context.bus.deliver(station.number, DisconnectOrder(reason="the station is not accepted any more"))
    return station


async def remove_station(context: Context, station_id: str) -> None:
    """Take a station out of the books and close its connection; its transactions stay. Raises NotFound."""

    def store(books: Books) -> int:
        number = find_station(books, context.organisation_id, station_id).number
        books.stations.remove(number)
        return number

    number = await context.store.write(store)
    await context.bus.deliver(number, DisconnectOrder(reason="the station was removed"))


async def get_station(context: Context, station_id: str) -> Station:
    """Raises NotFound."""
    return await context.store.read(lambda books: find_station(books, context.organisation_id, station_id))


async def list_stations(
    context: Context,
    *,
    location_id: int | None = None,
    connected: bool | None = None,
    registration: RegistrationStatus | None = None,
    created_from: datetime | None = None,
    created_to: datetime | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[Station]:
    """Newest first. Raises Invalid for the cursor."""
    before = page_start(cursor)
    found = await context.store.read(
        lambda books: books.stations.page(
            context.organisation_id,
            location_id=location_id,
            connected=connected,
            registration=registration,
            created_from=created_from,
            created_to=created_to,
            before=before,
            limit=limit + 1,
        )
    )
    return page_of(found, limit, lambda station: str(station.number))


async def identities(context: Context, numbers: Iterable[int]) -> dict[int, str]:
    """The identities of the stations with these numbers, as far as there are any."""

    def query(books: Books) -> dict[int, str]:
        found = [books.stations.by_number(number) for number in numbers]
        return {
            station.number: station.id
            for station in found
            if station is not None and station.organisation_id == context.organisation_id
        }

    return await context.store.read(query)


async def list_connectors(context: Context, station_id: str) -> tuple[Connector, ...]:
    """What is known of a station's connectors, in their order. Raises NotFound."""

    def query(books: Books) -> tuple[Connector, ...]:
        station = find_station(books, context.organisation_id, station_id)
        return tuple(books.stations.connectors(station.number))

    return await context.store.read(query)


async def set_password(context: Context, station_id: str, password: str | None) -> None:
    """What the station must show from its next connection on; None: nothing. Raises NotFound, Invalid."""
    if password is not None:
        check_password(context, password)
    hashed = None if password is None else await asyncio.to_thread(hash_password, password.encode())

    def store(books: Books) -> None:
        station = find_station(books, context.organisation_id, station_id)
        books.stations.set_password_hash(station.number, hashed)

    await context.store.write(store)


def check_password(context: Context, password: str) -> None:
    """Raises Invalid."""
    shortest = context.settings.shortest_password
    if len(octets_of(password.encode())) < shortest:
        raise Invalid(
            "password", f"must have at least {shortest} octets, or twice as many hexadecimal digits from 32 on"
        )


def octets_of(password: bytes) -> bytes:
    """The password itself: the octets where hexadecimal digits stand for them."""
    return bytes.fromhex(password.decode()) if _HEXADECIMAL.fullmatch(password) else password


def hash_password(password: bytes) -> str:
    """Salted and slow."""
    salt = secrets.token_bytes(16)
    return f"scrypt:{salt.hex()}:{hashlib.scrypt(octets_of(password), salt=salt, **_SCRYPT).hex()}"


def password_matches(password: bytes, password_hash: str) -> bool:
    """Whether it is the one."""
    _, salt, expected = password_hash.split(":")
    found = hashlib.scrypt(octets_of(password), salt=bytes.fromhex(salt), **_SCRYPT)
    return hmac.compare_digest(found, bytes.fromhex(expected))


# Configuration


async def configuration(context: Context, station_id: str) -> Configuration:
    """As reported, as desired (the settings' wishes included), and where they differ. Raises NotFound."""

    def query(books: Books) -> Configuration:
        station = find_station(books, context.organisation_id, station_id)
        return configuration_of(books, context.settings, station.number)

    return await context.store.read(query)


async def set_desired_variables(
    context: Context, station_id: str, settings: tuple[VariableSetting, ...]
) -> Configuration:
    """Add wishes, or change them; pushed at the next boot. Raises NotFound."""

    def store(books: Books) -> Configuration:
        station = find_station(books, context.organisation_id, station_id)
        for setting in settings:
            books.stations.set_desired(station.number, DesiredVariable(ref=setting.ref, value=setting.value))
        return configuration_of(books, context.settings, station.number)

    return await context.store.write(store)


async def remove_desired_variable(context: Context, station_id: str, ref: VariableRef) -> None:
    """Take a wish back; the station keeps the value. Raises NotFound."""

    def store(books: Books) -> None:
        station = find_station(books, context.organisation_id, station_id)
        if not books.stations.remove_desired(station.number, ref):
            raise NotFound("desired variable", ref)

    await context.store.write(store)


def configuration_of(books: Books, settings: CsmsSettings, number: int) -> Configuration:
    """The configuration of the station with that number."""
    reported = {variable.ref: variable for variable in books.stations.reported(number)}
    desired = {wish.ref: DesiredVariable(ref=wish.ref, value=wish.value) for wish in settings.desired_variables}
    desired |= {wish.ref: wish for wish in books.stations.desired(number)}
    drift = []
    for wish in desired.values():
        known = reported.get(wish.ref)
        value = None if known is None else known.value
        if value is None or not same_value(value, wish.value):
            drift.append(Drift(ref=wish.ref, desired=wish.value, reported=value))
    return Configuration(reported=tuple(reported.values()), desired=tuple(desired.values()), drift=tuple(drift))


def same_value(one: str, other: str) -> bool:
    """Whether two texts are one value: lists without regard to blanks, truth without regard to case, numbers alike."""
    if one == other:
        return True
    return _canonical(one) == _canonical(other)


def _canonical(value: str) -> tuple[str | float, ...]:
    parts: list[str | float] = []
    for part in value.split(","):
        text = part.strip()
        try:
            parts.append(float(text))
        except ValueError:
            parts.append(text.lower() if text.lower() in {"true", "false"} else text)
    return tuple(parts)


# Locations


async def create_location(context: Context, fields: LocationFields) -> Location:
    """Enter a location. Raises Invalid."""
    columns = _location_columns(fields)
    now = context.clock.now().at
    return await context.store.write(lambda books: books.stations.add_location(context.organisation_id, columns, now))


async def replace_location(context: Context, location_id: int, fields: LocationFields) -> Location:
    """Enter a location anew. Raises NotFound, Invalid."""
    columns = _location_columns(fields)

    def store(books: Books) -> Location:
        location = books.stations.location(context.organisation_id, location_id)
        if location is None:
            raise NotFound("location", location_id)
        books.stations.change_location(location_id, **columns)
        return msgspec.structs.replace(location, **columns)

    return await context.store.write(store)


async def get_location(context: Context, location_id: int) -> Location:
    """Raises NotFound."""
    location = await context.store.read(lambda books: books.stations.location(context.organisation_id, location_id))
    if location is None:
        raise NotFound("location", location_id)
    return location


async def list_locations(context: Context, *, cursor: str | None = None, limit: int = 50) -> Page[Location]:
    """Newest first. Raises Invalid for the cursor."""
    before = page_start(cursor)
    found = await context.store.read(
        lambda books: books.stations.locations(context.organisation_id, before=before, limit=limit + 1)
    )
    return page_of(found, limit, lambda location: str(location.id))


async def remove_location(context: Context, location_id: int) -> None:
    """Take it out; its stations stay. Raises NotFound."""

    def store(books: Books) -> None:
        if books.stations.location(context.organisation_id, location_id) is None:
            raise NotFound("location", location_id)
        books.stations.remove_location(location_id)

    await context.store.write(store)


# Inside


def find_station(books: Books, organisation_id: int, station_id: str) -> Station:
    """Raises NotFound."""
    station = books.stations.get(organisation_id, station_id)
    if station is None:
        raise NotFound("station", station_id)
    return station


def _check(books: Books, context: Context, columns: dict[str, Any]) -> None:
    if columns.get("security_profile", 0) not in {0, 1, 2, 3}:
        raise Invalid("security_profile", "must be 0, 1, 2 or 3")
    location_id = columns.get("location_id")
    if location_id is not None and books.stations.location(context.organisation_id, location_id) is None:
        raise Invalid("location_id", "is no location")


def _location_columns(fields: LocationFields) -> dict[str, Any]:
    if not fields.name:
        raise Invalid("name", "must not be empty")
    if fields.latitude is not None and not -90 <= fields.latitude <= 90:
        raise Invalid("latitude", "must be from -90 to 90")
    if fields.longitude is not None and not -180 <= fields.longitude <= 180:
        raise Invalid("longitude", "must be from -180 to 180")
    if fields.time_zone is not None and not is_zone(fields.time_zone):
        raise Invalid("time_zone", "is no time zone of the IANA database, such as Europe/Berlin")
    return msgspec.structs.asdict(fields)
