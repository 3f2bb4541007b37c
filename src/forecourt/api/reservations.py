"""`/reservations`: places kept free for a token. Making and cancelling one is a command to the station."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Response, Router, delete, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromQuery, JSONBody, PathParameter, QueryParameter

from forecourt.api.authentication import PREFIX, CallerContext
from forecourt.api.bodies import LARGEST_INTEGER, LARGEST_KEY, instant
from forecourt.api.lifetime import CallerLifetime
from forecourt.api.lists import DEFAULT_LIMIT, Cursor, Filter, Limit, Listing, listing, shown
from forecourt.api.outcomes import (
    NEVER_LEFT,
    CommandResource,
    IdempotencyKey,
    Prefer,
    answer_command,
    documented_command,
    granted_wait_s,
    show_command,
    wait_for_end,
)
from forecourt.api.problems import documented
from forecourt.api.typed_resource_commands import ReserveNowCommand
from forecourt.csms import commands, reservations
from forecourt.csms.resource_records import Reservation, ReservationState
from forecourt.domain.requests import CancelReservation
from forecourt.domain.reservation import ConnectorType
from forecourt.domain.token import IdTokenType

ReservationNumber = Annotated[int, PathParameter(ge=1, le=LARGEST_KEY - 1)]


class ReservationResource(msgspec.Struct, frozen=True, kw_only=True):
    """A place kept free for a token."""

    number: int
    """Our key."""
    station_id: str
    reservation_id: int
    """The id that went over the wire."""
    evse_id: int | None
    """Null: any EVSE of the station."""
    connector_type: ConnectorType | None
    id_token: str
    id_token_type: IdTokenType
    group_id_token: str | None
    expires_at: datetime
    state: ReservationState
    command_id: str | None
    cancel_command_id: str | None
    transaction_number: int | None
    """The transaction that has used it."""
    detail: str | None
    created_at: datetime
    updated_at: datetime


class ReservationList(Listing, frozen=True, kw_only=True):
    """Reservations, newest first."""

    items: tuple[ReservationResource, ...]


class ReservationMade(msgspec.Struct, frozen=True, kw_only=True):
    """A reservation, and the command that asked for it."""

    reservation: ReservationResource
    command: CommandResource


def _show(reservation: Reservation) -> ReservationResource:
    return shown(ReservationResource, reservation)


def _documented() -> dict[int, ResponseSpec]:
    responses = documented_command()
    for status, words in ((200, "The station has answered"), (202, "The station has not answered yet")):
        responses[status] = ResponseSpec(data_container=ReservationMade, generate_examples=False, description=words)
    return responses


@get("/", summary="List reservations", responses=documented(404))
async def list_reservations(
    context: CallerContext,
    station_id: Filter = None,
    id_token: Filter = None,
    reservation_id: Annotated[int | None, QueryParameter(ge=0, le=LARGEST_INTEGER)] = None,
    reservation_state: Annotated[ReservationState | None, QueryParameter(name="state")] = None,
    created_from: FromQuery[datetime | None] = None,
    created_to: FromQuery[datetime | None] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> ReservationList:
    page = await reservations.list_reservations(
        context,
        station_id=station_id,
        id_token=id_token,
        reservation_id=reservation_id,
        state=reservation_state,
        created_from=instant("created_from", created_from),
        created_to=instant("created_to", created_to),
        cursor=cursor,
        limit=limit,
    )
    return listing(ReservationList, page, _show)


@get("/{number:int}", summary="A reservation", responses=documented(404))
async def get_reservation(context: CallerContext, number: ReservationNumber) -> ReservationResource:
    return _show(await reservations.get_reservation(context, number))


@post(
    "/",
    status_code=202,
    summary="Keep a place free for a token",
    description="The same as the command RESERVE_NOW, answered with the reservation. A station that isn't connected: "
    "409, and the reservation is kept as `not_sent`.",
    responses=_documented(),
)
async def create_reservation(
    context: CallerContext,
    lifetime: CallerLifetime,
    data: JSONBody[ReserveNowCommand],
    prefer: Prefer = None,
    idempotency_key: IdempotencyKey = None,
) -> Response[Any]:
    command = await data.issue(context, idempotency_key)
    wait_s = granted_wait_s(prefer, lifetime.longest_wait_s)
    if wait_s is not None:
        command = await wait_for_end(context, lifetime, command, wait_s)
    if command.state in NEVER_LEFT:
        return await answer_command(context, lifetime, command, None)
    made = _show(await reservations.of_command(context, command.id))
    return Response(
        ReservationMade(reservation=made, command=show_command(command)),
        status_code=200 if command.state.final else 202,
        headers={"location": f"{PREFIX}/reservations/{made.number}"},
    )


@delete("/{number:int}", status_code=202, summary="Cancel a reservation", responses=documented_command())
async def cancel_reservation(
    context: CallerContext, lifetime: CallerLifetime, number: ReservationNumber, prefer: Prefer = None
) -> Response[CommandResource]:
    known = await reservations.get_reservation(context, number)
    request = CancelReservation(reservation_id=known.reservation_id)
    command = await commands.issue(context, known.station_id, request)
    return await answer_command(context, lifetime, command, prefer)


router = Router(
    "/reservations",
    route_handlers=[list_reservations, get_reservation, create_reservation, cancel_reservation],
    tags=["Reservations"],
)
