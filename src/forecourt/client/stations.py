"""Operations on stations and their places."""

from typing import Any

from forecourt.client.operations import Listing, Operation, change, get, given, listing
from forecourt.client.types import Connector, Import, Location, Me, Station
from forecourt.domain.station import RegistrationStatus


def list_stations(
    *,
    location_id: int | None = None,
    connected: bool | None = None,
    registration: RegistrationStatus | None = None,
    limit: int = 200,
) -> Listing[Station]:
    """Stations, newest first."""
    return listing(
        Station, "stations", location_id=location_id, connected=connected, registration=registration, limit=limit
    )


def get_station(station_id: str) -> Operation[Station]:
    """A station."""
    return get(Station, "stations", station_id)


def create_station(
    station_id: str,
    *,
    name: Any = ...,
    registration: Any = ...,
    location_id: Any = ...,
    security_profile: Any = ...,
) -> Operation[Station]:
    """Enter a station."""
    body = given(
        id=station_id,
        name=name,
        registration=registration,
        location_id=location_id,
        security_profile=security_profile,
    )
    return change("POST", Station, "stations", body=body)


def import_stations(csv: str, *, dry_run: bool = False) -> Operation[Import]:
    """Enter the stations of a list that aren't there yet; Invalid names each line that can't be."""
    return change("POST", Import, "imports", "stations", body={"csv": csv, "dry_run": dry_run})


def update_station(station_id: str, **fields: Any) -> Operation[Station]:
    """Change what is given: `name`, `location_id`, `registration`, `security_profile`, `lenient_decoding`."""
    return change("PATCH", Station, "stations", station_id, body=fields)


def remove_station(station_id: str) -> Operation[None]:
    """Take a station out."""
    return change("DELETE", type(None), "stations", station_id)


def set_password(station_id: str, password: str) -> Operation[None]:
    """What the station must show from its next connection on."""
    return change("PUT", type(None), "stations", station_id, "credentials", body={"password": password})


def list_connectors(station_id: str) -> Listing[Connector]:
    """A station's connectors."""
    return listing(Connector, "stations", station_id, "connectors")


def list_locations(*, limit: int = 200) -> Listing[Location]:
    """Locations, newest first."""
    return listing(Location, "locations", limit=limit)


def create_location(name: str, **fields: Any) -> Operation[Location]:
    """Enter a location; `address`, `latitude`, `longitude`, `time_zone` may be given."""
    return change("POST", Location, "locations", body={"name": name, **fields})


def me() -> Operation[Me]:
    """Who asks, and what they may."""
    return get(Me, "me")
