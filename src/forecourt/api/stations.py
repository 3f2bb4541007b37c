"""`/stations`: charging stations: connections, EVSEs and connectors, credentials, and what they were forgiven."""

from datetime import datetime
from itertools import groupby
from typing import Annotated

import msgspec
from litestar import Response, Router, delete, get, patch, post, put
from litestar.params import FromPath, FromQuery, JSONBody, PathParameter, QueryParameter
from msgspec import UNSET, Meta, UnsetType

from forecourt.api.authentication import PREFIX, CallerContext
from forecourt.api.bodies import LARGEST_KEY, Asked, Name, StationId, instant
from forecourt.api.configuration import handlers as configuration_handlers
from forecourt.api.lists import DEFAULT_LIMIT, Cursor, Filter, Limit, Listing, listing, shown
from forecourt.api.paths import quoted
from forecourt.api.problems import documented
from forecourt.api.transactions import TransactionList, show_transaction
from forecourt.csms import credentials, message_log, stations, transactions
from forecourt.csms.errors import NotFound
from forecourt.csms.people_records import RotationState
from forecourt.csms.records import Connector, ConnectorView, Station, TransactionState
from forecourt.csms.stations import StationChanges, StationFields
from forecourt.domain.station import (
    BootReason,
    ConnectorError,
    ConnectorStatus,
    RegistrationStatus,
    StationIdentity,
)
from forecourt.domain.transaction import ChargingState

LocationKey = Annotated[int, Meta(ge=1, le=LARGEST_KEY)]
SecurityProfile = Annotated[int, Meta(ge=0, le=3)]
EvsePath = Annotated[int, PathParameter(ge=0, le=LARGEST_KEY)]


class StationBody(Asked, frozen=True, kw_only=True):
    """A station as somebody enters it."""

    id: StationId
    """The identity it connects with."""
    registration: RegistrationStatus = RegistrationStatus.ACCEPTED
    location_id: LocationKey | None = None
    name: Name | None = None
    security_profile: SecurityProfile = 0
    lenient_decoding: bool | None = None
    """Whether its messages may deviate from their schema; null: as `csms.lenient_decoding` says."""


class StationPatch(Asked, frozen=True, kw_only=True):
    """What to change of a station; what isn't there stays."""

    registration: RegistrationStatus | UnsetType = UNSET
    location_id: LocationKey | UnsetType | None = UNSET
    name: Name | UnsetType | None = UNSET
    security_profile: SecurityProfile | UnsetType = UNSET
    lenient_decoding: bool | UnsetType | None = UNSET
    """From its next connection on."""


class CredentialsBody(Asked, frozen=True, kw_only=True):
    """What the station must show from its next connection on (Basic Auth)."""

    password: Annotated[str, Meta(min_length=1, max_length=255)]


class RotationResource(msgspec.Struct, frozen=True, kw_only=True):
    """The last change of a station's password over the air."""

    state: RotationState
    command_id: str | None
    detail: str | None
    created_at: datetime
    updated_at: datetime


class StationResource(msgspec.Struct, frozen=True, kw_only=True):
    """A charging station."""

    id: str
    name: str | None
    location_id: int | None
    registration: RegistrationStatus
    security_profile: int
    has_password: bool
    identity: StationIdentity | None
    """As it said at its last boot."""
    protocol: str | None
    connected: bool
    connection_changed_at: datetime | None
    """Since when it is, or is not, connected; null: it never was."""
    last_seen_at: datetime | None
    booted_at: datetime | None
    boot_reason: BootReason | None
    clock_drift_s: float | None
    """How far its clock is ahead of ours."""
    lenient_decoding: bool | None
    """Whether its messages may deviate from their schema; null: as `csms.lenient_decoding` says."""
    violation_count: int
    created_at: datetime


class StationList(Listing, frozen=True, kw_only=True):
    """Stations, newest first."""

    items: tuple[StationResource, ...]


class ConnectionResource(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a station is connected, and since when."""

    connected: bool
    connection_changed_at: datetime | None
    last_seen_at: datetime | None
    protocol: str | None
    clock_drift_s: float | None


class ConnectorResource(msgspec.Struct, frozen=True, kw_only=True):
    """A connector; of EVSE 0 and connector 0 the station as a whole."""

    evse_id: int
    connector_id: int
    view: ConnectorView
    """The state as a person thinks of it. Whether the station is connected is no part of it."""
    connector_status: ConnectorStatus | None
    charging_state: ChargingState | None
    error: ConnectorError | None
    status_at: datetime | None
    power_w: float | None
    power_at: datetime | None
    transaction_number: int | None
    updated_at: datetime


class ConnectorList(msgspec.Struct, frozen=True, kw_only=True):
    """A station's connectors, in their order."""

    items: tuple[ConnectorResource, ...]
    next_cursor: str | None = None


class EvseResource(msgspec.Struct, frozen=True, kw_only=True):
    """An EVSE and its connectors."""

    evse_id: int
    connectors: tuple[ConnectorResource, ...]


class EvseList(msgspec.Struct, frozen=True, kw_only=True):
    """A station's EVSEs, in their order."""

    items: tuple[EvseResource, ...]
    next_cursor: str | None = None


class ViolationResource(msgspec.Struct, frozen=True, kw_only=True):
    """Something of a message that broke its schema and was forgiven."""

    id: int
    at: datetime
    action: str
    description: str


class ViolationList(Listing, frozen=True, kw_only=True):
    """Violations, newest first."""

    items: tuple[ViolationResource, ...]


def _show(station: Station) -> StationResource:
    return shown(StationResource, station)


@get("/", summary="List stations", responses=documented())
async def list_stations(
    context: CallerContext,
    location_id: Annotated[int | None, QueryParameter(ge=1, le=LARGEST_KEY)] = None,
    connected: FromQuery[bool | None] = None,
    registration: FromQuery[RegistrationStatus | None] = None,
    created_from: FromQuery[datetime | None] = None,
    created_to: FromQuery[datetime | None] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> StationList:
    page = await stations.list_stations(
        context,
        location_id=location_id,
        connected=connected,
        registration=registration,
        created_from=instant("created_from", created_from),
        created_to=instant("created_to", created_to),
        cursor=cursor,
        limit=limit,
    )
    return listing(StationList, page, _show)


@post("/", summary="Enter a station", responses=documented(409, 408, 413, 415))
async def create_station(context: CallerContext, data: JSONBody[StationBody]) -> Response[StationResource]:
    fields = msgspec.convert(data, StationFields, from_attributes=True)
    station = await stations.create_station(context, data.id, fields)
    headers = {"location": f"{PREFIX}/stations/{quoted(station.id)}"}
    return Response(_show(station), status_code=201, headers=headers)


@get("/{station_id:str}", summary="A station", responses=documented(404))
async def get_station(context: CallerContext, station_id: FromPath[str]) -> StationResource:
    return _show(await stations.get_station(context, station_id))


@patch("/{station_id:str}", summary="Change a station", responses=documented(404, 408, 413, 415))
async def update_station(
    context: CallerContext, station_id: FromPath[str], data: JSONBody[StationPatch]
) -> StationResource:
    changes = StationChanges(**msgspec.structs.asdict(data))
    return _show(await stations.update_station(context, station_id, changes))


@delete(
    "/{station_id:str}",
    summary="Take a station out and close its connection; its transactions stay",
    responses=documented(404),
)
async def remove_station(context: CallerContext, station_id: FromPath[str]) -> None:
    await stations.remove_station(context, station_id)


@get("/{station_id:str}/connection", summary="Whether a station is connected", responses=documented(404))
async def get_connection(context: CallerContext, station_id: FromPath[str]) -> ConnectionResource:
    return shown(ConnectionResource, await stations.get_station(context, station_id))


@put(
    "/{station_id:str}/credentials",
    status_code=204,
    summary="Set what a station must show when it connects; it can't be read back",
    responses=documented(404, 408, 413, 415),
)
async def set_credentials(context: CallerContext, station_id: FromPath[str], data: JSONBody[CredentialsBody]) -> None:
    await stations.set_password(context, station_id, data.password)


@delete("/{station_id:str}/credentials", summary="Ask a station for no credentials any more", responses=documented(404))
async def remove_credentials(context: CallerContext, station_id: FromPath[str]) -> None:
    await stations.set_password(context, station_id, None)


@post(
    "/{station_id:str}/credentials/rotate",
    status_code=202,
    summary="Have a station change its password; nobody learns the new one",
    description="The station is asked to take a new random password (AuthorizationKey, or BasicAuthPassword). Both "
    "count until it has come back with the new one; where it refuses, the old one stays.",
    responses=documented(404, 409),
)
async def rotate_credentials(context: CallerContext, station_id: FromPath[str]) -> RotationResource:
    rotation, _ = await credentials.rotate(context, station_id)
    return shown(RotationResource, rotation)


@get(
    "/{station_id:str}/credentials/rotation",
    summary="A station's last change of its password",
    responses=documented(404),
)
async def get_rotation(context: CallerContext, station_id: FromPath[str]) -> RotationResource:
    return shown(RotationResource, await credentials.get_rotation(context, station_id))


@get("/{station_id:str}/connectors", summary="A station's connectors", responses=documented(404))
async def list_connectors(context: CallerContext, station_id: FromPath[str]) -> ConnectorList:
    found = await stations.list_connectors(context, station_id)
    return ConnectorList(items=tuple(shown(ConnectorResource, connector) for connector in found))


@get("/{station_id:str}/evses", summary="A station's EVSEs and their connectors", responses=documented(404))
async def list_evses(context: CallerContext, station_id: FromPath[str]) -> EvseList:
    return EvseList(items=_evses(await stations.list_connectors(context, station_id)))


@get("/{station_id:str}/evses/{evse_id:int}", summary="An EVSE and its connectors", responses=documented(404))
async def get_evse(context: CallerContext, station_id: FromPath[str], evse_id: EvsePath) -> EvseResource:
    for evse in _evses(await stations.list_connectors(context, station_id)):
        if evse.evse_id == evse_id:
            return evse
    raise NotFound("EVSE", evse_id)


@get("/{station_id:str}/transactions", summary="A station's transactions", responses=documented(404))
async def list_station_transactions(
    context: CallerContext,
    station_id: FromPath[str],
    id_token: Filter = None,
    transaction_id: Filter = None,
    transaction_state: Annotated[TransactionState | None, QueryParameter(name="state")] = None,
    started_from: FromQuery[datetime | None] = None,
    started_to: FromQuery[datetime | None] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> TransactionList:
    page = await transactions.list_transactions(
        context,
        station_id=station_id,
        id_token=id_token,
        transaction_id=transaction_id,
        state=transaction_state,
        started_from=instant("started_from", started_from),
        started_to=instant("started_to", started_to),
        cursor=cursor,
        limit=limit,
    )
    return listing(TransactionList, page, show_transaction)


@get(
    "/{station_id:str}/violations",
    summary="Violations: what was wrong with a station's messages, and was forgiven or refused",
    responses=documented(404),
)
async def list_violations(
    context: CallerContext,
    station_id: FromPath[str],
    action: Filter = None,
    since: FromQuery[datetime | None] = None,
    until: FromQuery[datetime | None] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> ViolationList:
    page = await message_log.list_violations(
        context,
        station_id,
        action=action,
        since=instant("since", since),
        until=instant("until", until),
        cursor=cursor,
        limit=limit,
    )
    return listing(ViolationList, page, lambda violation: shown(ViolationResource, violation))


def _evses(connectors: tuple[Connector, ...]) -> tuple[EvseResource, ...]:
    ordered = sorted(connectors, key=lambda connector: (connector.evse_id, connector.connector_id))
    return tuple(
        EvseResource(evse_id=evse_id, connectors=tuple(shown(ConnectorResource, connector) for connector in group))
        for evse_id, group in groupby(ordered, key=lambda connector: connector.evse_id)
    )


router = Router(
    "/stations",
    route_handlers=[
        list_stations,
        create_station,
        get_station,
        update_station,
        remove_station,
        get_connection,
        set_credentials,
        remove_credentials,
        rotate_credentials,
        get_rotation,
        list_connectors,
        list_evses,
        get_evse,
        list_station_transactions,
        list_violations,
        *configuration_handlers,
    ],
    tags=["Stations"],
)
