"""Reservations: asked for by commands, and from then on what their stations say (OCPP 1.6 §5.13, OCPP 2.0.1 chapter H).

Guarantees
* Whatever asked for it (typed, raw, by the API, by the CSMS), a reservation is a resource from the moment its command
  is stored; its state moves in the unit of work that learned of it.
* One that is not used is `expired` at its time by our clock, whether or not the station tells.
* A transaction that names a reservation uses it: it is `in_use` while it runs, `used` after (OCPP 1.6 §4.8).
"""

from datetime import datetime
from typing import Any, Final

import msgspec

from forecourt.csms import published
from forecourt.csms.command_records import Command, CommandState
from forecourt.csms.errors import NotFound
from forecourt.csms.paging import page_of, page_start
from forecourt.csms.ports import Books, Context
from forecourt.csms.records import Page, Station, Transaction, TransactionState
from forecourt.csms.resource_records import HELD, Reservation, ReservationState
from forecourt.csms.stations import find_station
from forecourt.csms.work import Work
from forecourt.domain.events import ReservationEnded
from forecourt.domain.requests import CancelReservation, RequestAnswer, RequestStatus, ReserveNow
from forecourt.domain.reservation import ReservationEnd

_STATES: Final[dict[CommandState, ReservationState]] = {
    CommandState.ACCEPTED: ReservationState.ACCEPTED,
    CommandState.REJECTED: ReservationState.REJECTED,
    CommandState.CALL_ERROR: ReservationState.REJECTED,
    CommandState.TIMEOUT: ReservationState.UNKNOWN,
    CommandState.OFFLINE: ReservationState.NOT_SENT,
    CommandState.EXPIRED: ReservationState.NOT_SENT,
}
_REFUSALS: Final[dict[RequestStatus, ReservationState]] = {
    RequestStatus.OCCUPIED: ReservationState.OCCUPIED,
    RequestStatus.FAULTED: ReservationState.FAULTED,
    RequestStatus.UNAVAILABLE: ReservationState.UNAVAILABLE,
}
_ENDS: Final[dict[ReservationEnd, ReservationState]] = {
    ReservationEnd.EXPIRED: ReservationState.EXPIRED,
    ReservationEnd.REMOVED: ReservationState.REMOVED,
}
_USABLE: Final = (*HELD, ReservationState.IN_USE, ReservationState.EXPIRED, ReservationState.CANCELLED)
"""States from which a transaction may come all the same: messages are late, and clocks differ."""


# What follows from commands


def requested(books: Books, command: Command, request: ReserveNow) -> Reservation:
    """A command to reserve is stored."""
    reservation = books.resources.reservations.add(
        command.created_at,
        organisation_id=command.organisation_id,
        station_number=command.station_number,
        station_id=command.station_id,
        reservation_id=request.reservation_id,
        evse_id=request.evse_id,
        connector_type=request.connector_type,
        id_token=request.id_token.value,
        id_token_type=request.id_token.type,
        group_id_token=None if request.group_id_token is None else request.group_id_token.value,
        expires_at=request.expires_at,
        command_id=command.id,
    )
    _tell(books, reservation, command.created_at)
    return reservation


def reserved(books: Books, command: Command, request: ReserveNow, answer: object, at: datetime) -> None:
    """A command to reserve has ended."""
    known = books.resources.reservations.find({"command_id": command.id})
    reservation = known[0] if known else requested(books, command, request)
    state = _STATES[command.state]
    if command.state is CommandState.REJECTED:
        word = answer.outcome if isinstance(answer, RequestAnswer) else None
        state = ReservationState.NOT_SENT if answer is None and not command.raw else _REFUSALS.get(word, state)  # type: ignore[arg-type]
    if state is ReservationState.ACCEPTED:
        for other in _on_station(books, command.station_number, request.reservation_id, HELD):
            if other.number != reservation.number:
                _move(books, other, ReservationState.REPLACED, at)
    if reservation.state in {ReservationState.REQUESTED, ReservationState.UNKNOWN}:
        detail = command.detail or command.error_description
        _move(books, reservation, state, at, detail=detail)


def cancelled(books: Books, command: Command, request: CancelReservation, _answer: object, at: datetime) -> None:
    """A command to cancel has ended."""
    for reservation in _on_station(books, command.station_number, request.reservation_id, HELD):
        # A station that rejects it knows no such reservation (OCPP 1.6 §5.2): what may have been there isn't.
        gone = command.state is CommandState.ACCEPTED or (
            command.state is CommandState.REJECTED and reservation.state is ReservationState.UNKNOWN
        )
        state = ReservationState.CANCELLED if gone else reservation.state
        _move(books, reservation, state, at, cancel_command_id=command.id)


def token_of(books: Books, station: Station, reservation_id: int) -> str | None:
    """Whose reservation that is."""
    known = _on_station(books, station.number, reservation_id, tuple(ReservationState))
    return known[0].id_token if known else None


# What stations say


def transaction_noted(work: Work, transaction: Transaction) -> None:
    """A transaction that names a reservation has changed."""
    if transaction.reservation_id is None:
        return
    known = _on_station(work.books, work.station.number, transaction.reservation_id, (*_USABLE, ReservationState.USED))
    if not known:
        return
    reservation = known[0]
    if reservation.transaction_number not in {None, transaction.number}:
        return
    runs = transaction.state is TransactionState.ACTIVE
    state = ReservationState.IN_USE if runs else ReservationState.USED
    if (reservation.state, reservation.transaction_number) != (state, transaction.number):
        _move(work.books, reservation, state, work.at, transaction_number=transaction.number)


def ended(work: Work, event: ReservationEnded) -> None:
    """OCPP 2.0.1 H04: ReservationStatusUpdate."""
    for reservation in _on_station(work.books, work.station.number, event.reservation_id, HELD):
        _move(work.books, reservation, _ENDS[event.end], work.at)


# From time to time, and for the API


async def expire(context: Context) -> int:
    """End what nobody came for; gives how many. A minute of grace is for the station's clock."""
    at = context.clock.now().at

    def due(books: Books) -> list[Reservation]:
        return books.resources.reservations.find({"state": HELD}, due={"expires_at": at})

    if not await context.store.read(due):
        return 0

    def store(books: Books) -> int:
        over = due(books)
        for reservation in over:
            _move(books, reservation, ReservationState.EXPIRED, at)
        return len(over)

    return await context.store.write(store)


async def get_reservation(context: Context, number: int) -> Reservation:
    """Raises NotFound."""
    found = await context.store.read(lambda books: books.resources.reservations.get(context.organisation_id, number))
    if found is None:
        raise NotFound("reservation", number)
    return found


async def of_command(context: Context, command_id: str) -> Reservation:
    """That a command asked for. Raises NotFound."""
    where = {"organisation_id": context.organisation_id, "command_id": command_id}
    found = await context.store.read(lambda books: books.resources.reservations.find(where))
    if not found:
        raise NotFound("reservation of the command", command_id)
    return found[0]


async def list_reservations(
    context: Context,
    *,
    station_id: str | None = None,
    id_token: str | None = None,
    reservation_id: int | None = None,
    state: ReservationState | None = None,
    created_from: datetime | None = None,
    created_to: datetime | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[Reservation]:
    """Newest first. Raises NotFound for the station, Invalid for the cursor."""
    before = page_start(cursor)

    def query(books: Books) -> list[Reservation]:
        where: dict[str, Any] = {"organisation_id": context.organisation_id}
        if station_id is not None:
            where["station_number"] = find_station(books, context.organisation_id, station_id).number
        if id_token is not None:
            where["id_token_key"] = id_token.casefold()
        if reservation_id is not None:
            where["reservation_id"] = reservation_id
        if state is not None:
            where["state"] = state
        return books.resources.reservations.find(
            where, since=created_from, until=created_to, before=before, limit=limit + 1
        )

    return page_of(await context.store.read(query), limit, lambda reservation: str(reservation.number))


# Inside


def _on_station(
    books: Books, station_number: int, reservation_id: int, states: tuple[ReservationState, ...]
) -> list[Reservation]:
    return books.resources.reservations.find(
        {"station_number": station_number, "reservation_id": reservation_id, "state": states}
    )


def _move(books: Books, reservation: Reservation, state: ReservationState, at: datetime, **columns: Any) -> None:
    books.resources.reservations.change(reservation.number, at, state=state, **columns)
    _tell(books, msgspec.structs.replace(reservation, state=state, updated_at=at, **columns), at)


def _tell(books: Books, reservation: Reservation, at: datetime) -> None:
    body = published.ReservationBody(reservation=reservation)
    books.events.append(reservation.organisation_id, published.RESERVATION_UPDATED, at, reservation.station_id, body)
