"""Commands: asked through the API or by the CSMS itself, stored, and always brought to a final state.

Guarantees
* A command is in the books before anything leaves for the station. It ends in exactly one final state, by the table of
  `outcomes`, and a final state never changes.
* A station that nobody holds a socket of: `offline` at once. Waiting for its turn past the deadline: `expired`, which
  only who holds the socket can say. Sent and not answered by the deadline or before the connection went: `timeout`, as
  nobody knows whether it was carried out; so is what is found open after a crash, or past its deadline while its holder
  can't reach the books, as it may have left before anybody could enter that.
* What the station's protocol has no words for is `rejected`, and never sent.
* An idempotency key names one command for ever: the same request again gives the command that is there.
"""

import asyncio
from collections.abc import Collection
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from opentelemetry.trace import SpanKind

from forecourt.csms import job_books, published, reservations, traces
from forecourt.csms.command_records import Command, CommandOrigin, CommandState
from forecourt.csms.effects import apply_outcome
from forecourt.csms.errors import Conflict, Invalid, NotFound
from forecourt.csms.outcomes import outcome_of, raw_outcome_of
from forecourt.csms.paging import page_of
from forecourt.csms.ports import Books, CallOrder, Context, Receipt
from forecourt.csms.records import Page, ProfileState, Station
from forecourt.csms.request_forms import as_asked, compact, completed
from forecourt.domain.requests import (
    CancelReservation,
    CsmsRequest,
    CsmsRequestAnswer,
    GetLog,
    RequestStartTransaction,
    RequestStopTransaction,
    ReserveNow,
    SetChargingProfile,
    UpdateFirmware,
)

_ENCODER: Final = msgspec.json.Encoder()
_REQUESTS: Final[msgspec.json.Decoder[CsmsRequest]] = msgspec.json.Decoder(CsmsRequest)
_ANSWERS: Final[msgspec.json.Decoder[CsmsRequestAnswer]] = msgspec.json.Decoder(CsmsRequestAnswer)


def request_of(command: Command) -> CsmsRequest:
    """What a typed command asks."""
    return _REQUESTS.decode(command.request)


def answer_of(command: Command) -> CsmsRequestAnswer | None:
    """What the station answered, in the domain's terms; None where there is none."""
    return None if command.result is None else _ANSWERS.decode(command.result)


async def issue(
    context: Context,
    station_id: str,
    request: CsmsRequest,
    *,
    timeout_s: float | None = None,
    idempotency_key: str | None = None,
    origin: CommandOrigin = CommandOrigin.API,
    command_id: str | None = None,
) -> Command:
    """Ask something of a station; returns as soon as it waits for the station's socket (or is `offline`).

    A remote start, a reservation, a profile or a report without an id (0) are given theirs. `command_id` is the
    command's own, where somebody has to know it before it is stored.

    Raises:
        NotFound: the station.
        Conflict: the idempotency key was used for another request.
        Invalid: `timeout_s` is not more than 0.
    """

    def store(books: Books) -> tuple[Command, bool]:
        station = _station(books, context, station_id)
        known = _known(books, blank, station)
        if known is not None:
            if as_asked(request_of(known), request) != _REQUESTS.decode(_ENCODER.encode(request)):
                raise _key_is_taken()
            return known, False
        complete = completed(context, books, station.number, request)
        transaction_number, id_token = None, None
        if isinstance(complete, RequestStopTransaction):
            transaction = books.transactions.by_wire_id(station.number, complete.transaction_id)
            if transaction is not None:
                transaction_number, id_token = transaction.number, transaction.id_token
        elif isinstance(complete, RequestStartTransaction | ReserveNow):
            id_token = complete.id_token.value
        elif isinstance(complete, CancelReservation):
            id_token = reservations.token_of(books, station, complete.reservation_id)
        command = msgspec.structs.replace(
            blank,
            station_number=station.number,
            station_id=station.id,
            request=_ENCODER.encode(complete),
            transaction_number=transaction_number,
            id_token=None if id_token is None else id_token.casefold(),
        )
        books.commands.add(command)
        if isinstance(complete, SetChargingProfile):
            books.charging.add(
                context.organisation_id,
                station.number,
                complete.evse_id,
                complete.profile,
                ProfileState.PENDING,
                command.id,
                command.created_at,
            )
        elif isinstance(complete, ReserveNow):
            reservations.requested(books, command, complete)
        elif isinstance(complete, UpdateFirmware | GetLog):
            deadline = timedelta(seconds=context.settings.resources.job_deadline_s)
            job_books.requested(books, command, complete, command.created_at + deadline)
        _tell(books, command, command.created_at)
        return command, True

    blank = _blank(context, type(request).__name__, timeout_s, idempotency_key, origin, raw=False)
    if command_id is not None:
        blank = msgspec.structs.replace(blank, id=command_id)
    command, fresh = await context.store.write(store)
    return await _dispatch(context, command) if fresh else command


async def issue_raw(
    context: Context,
    station_id: str,
    action: str,
    payload: bytes,
    *,
    timeout_s: float | None = None,
    idempotency_key: str | None = None,
) -> Command:
    """Send `action` with `payload` as it is, without an opinion of it: compact, its members in the order given.

    Raises:
        NotFound, Conflict, Invalid: as `issue`; and Invalid where action or payload can't be sent at all.
    """
    if not 0 < len(action) <= 64:
        raise Invalid("action", "must have 1 to 64 characters")
    payload = compact(payload)

    def store(books: Books) -> tuple[Command, bool]:
        station = _station(books, context, station_id)
        known = _known(books, blank, station)
        if known is not None:
            if known.request != payload:
                raise _key_is_taken()
            return known, False
        command = msgspec.structs.replace(blank, station_number=station.number, station_id=station.id, request=payload)
        books.commands.add(command)
        _tell(books, command, command.created_at)
        return command, True

    blank = _blank(context, action, timeout_s, idempotency_key, CommandOrigin.API, raw=True)
    command, fresh = await context.store.write(store)
    return await _dispatch(context, command) if fresh else command


async def wait(context: Context, command_id: str, wait_s: float) -> Command:
    """The command, once it is final or `wait_s` real seconds have passed. Raises NotFound."""
    types = frozenset({published.COMMAND_UPDATED})
    async with context.bus.subscribe(context.organisation_id, types=types) as events:
        command = await get_command(context, command_id)
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while not command.state.final:
                    event = await anext(events)
                    if msgspec.json.decode(event.body, type=published.CommandBody).id == command_id:
                        command = await get_command(context, command_id)
    return command


async def get_command(context: Context, command_id: str) -> Command:
    """Raises NotFound."""
    command = await context.store.read(lambda books: books.commands.get(context.organisation_id, command_id))
    if command is None:
        raise NotFound("command", command_id)
    return command


async def list_commands(
    context: Context,
    *,
    station_id: str | None = None,
    state: CommandState | None = None,
    id_token: str | None = None,
    created_from: datetime | None = None,
    created_to: datetime | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[Command]:
    """Newest first. Raises NotFound for the station."""

    def query(books: Books) -> list[Command]:
        number = None if station_id is None else _station(books, context, station_id).number
        return books.commands.page(
            context.organisation_id,
            station_number=number,
            state=state,
            id_token=id_token,
            created_from=created_from,
            created_to=created_to,
            before=cursor,
            limit=limit + 1,
        )

    return page_of(await context.store.read(query), limit, lambda command: command.id)


# For whoever holds the station's socket


async def sent(context: Context, command: Command, *, action: str, payload: bytes, message_id: str) -> None:
    """It has left."""
    at = context.clock.now().at

    def store(books: Books) -> None:
        known = books.commands.get(command.organisation_id, command.id)
        if known is not None and known.state is CommandState.QUEUED:
            changes: dict[str, Any] = {
                "state": CommandState.SENT,
                "sent_at": at,
                "action": action,
                "payload": payload,
                "message_id": message_id,
            }
            books.commands.change(command.id, **changes)
            _tell(books, msgspec.structs.replace(known, **changes), at)

    await context.store.write(store)


async def answered(
    context: Context,
    command: Command,
    payload: bytes,
    request: CsmsRequest | None,
    answer: CsmsRequestAnswer | None,
    detail: str | None = None,
) -> None:
    """The station's result came. `answer` None: it isn't in the domain's terms."""
    state = raw_outcome_of(payload) if command.raw or answer is None else outcome_of(answer)
    result = None if answer is None else _ENCODER.encode(answer)
    changes = {"answer": payload, "result": result, "detail": detail}
    await finish(context, command, state, changes, request, answer)


async def failed(
    context: Context,
    command: Command,
    code: str,
    description: str,
    details: bytes,
    request: CsmsRequest | None,
    detail: str | None = None,
) -> None:
    """The station's error came."""
    changes = {"answer": details, "error_code": code, "error_description": description, "detail": detail}
    await finish(context, command, CommandState.CALL_ERROR, changes, request)


async def ended(
    context: Context, command: Command, state: CommandState, detail: str, request: CsmsRequest | None = None
) -> None:
    """No answer will come: `state` says why, `detail` in words."""
    await finish(context, command, state, {"detail": detail}, request)


async def finish(
    context: Context,
    command: Command,
    state: CommandState,
    changes: dict[str, Any],
    request: CsmsRequest | None = None,
    answer: CsmsRequestAnswer | None = None,
) -> Command:
    """Bring a command to its final state, with all that follows from it in the books, unless it is in one already."""
    at = context.clock.now().at

    def store(books: Books) -> Command:
        known = books.commands.get(command.organisation_id, command.id)
        if known is None or known.state.final:
            return command if known is None else known
        return _finished(books, known, state, changes, request, answer, at)

    return await context.store.write(store)


async def recover(context: Context) -> int:
    """After a start: end what a process that is gone has left open. Gives how many there were.

    They are `timeout`, also those that were waiting: one may have left and its entry be lost with the process.
    """
    at = context.clock.now().at
    return await context.store.write(lambda books: gone_with(books, None, at))


def gone_with(books: Books, station_numbers: Collection[int] | None, at: datetime) -> int:
    """Whoever had commands for these stations (None: for any) in hand is gone. Gives how many there were."""
    unfinished = [
        command
        for command in books.commands.unfinished()
        if station_numbers is None or command.station_number in station_numbers
    ]
    for command in unfinished:
        detail = "the CSMS was restarted"
        if command.state is not CommandState.SENT:
            detail += ", and nobody knows whether it was sent"
        _finished(books, command, CommandState.TIMEOUT, {"detail": detail}, None, None, at)
    return len(unfinished)


# Inside


def _station(books: Books, context: Context, station_id: str) -> Station:
    station = books.stations.get(context.organisation_id, station_id)
    if station is None:
        raise NotFound("station", station_id)
    return station


def _known(books: Books, asked: Command, station: Station) -> Command | None:
    """The command that was made with the same key, if it is the same in all but its request."""
    key = asked.idempotency_key
    known = None if key is None else books.commands.by_idempotency_key(asked.organisation_id, key)
    if known is not None and (known.station_number, known.name, known.raw, known.timeout_s) != (
        station.number,
        asked.name,
        asked.raw,
        asked.timeout_s,
    ):
        raise _key_is_taken()
    return known


def _key_is_taken() -> Conflict:
    return Conflict("the idempotency key was used for another command")


def _blank(
    context: Context,
    name: str,
    timeout_s: float | None,
    idempotency_key: str | None,
    origin: CommandOrigin,
    *,
    raw: bool,
) -> Command:
    if timeout_s is None:
        timeout_s = context.settings.command_timeout_s
    elif not timeout_s > 0:
        raise Invalid("timeout_s", "must be more than 0")
    return Command(
        id=context.new_id(),
        organisation_id=context.organisation_id,
        station_number=0,
        station_id="",
        origin=origin,
        name=name,
        raw=raw,
        request=b"{}",
        timeout_s=timeout_s,
        idempotency_key=idempotency_key,
        created_at=context.clock.now().at,
    )


async def _dispatch(context: Context, command: Command) -> Command:
    about = {"forecourt.station": command.station_id, "forecourt.command": command.id}
    with traces.span(f"command {command.name}", SpanKind.PRODUCER, about) as span:
        order = CallOrder(command=command, trace=traces.carrier())
        receipt = await context.bus.deliver(command.station_number, order)
        span.set_attribute("forecourt.receipt", receipt.value)
    if receipt is Receipt.QUEUED:
        return command
    if receipt is Receipt.NO_HOLDER:
        state, detail = CommandState.OFFLINE, "the station is not connected"
    else:
        state, detail = CommandState.EXPIRED, "too many commands wait for the station"
    request = None if command.raw else request_of(command)
    return await finish(context, command, state, {"detail": detail}, request)


def _finished(
    books: Books,
    command: Command,
    state: CommandState,
    changes: dict[str, Any],
    request: CsmsRequest | None,
    answer: CsmsRequestAnswer | None,
    at: datetime,
) -> Command:
    changes = {"state": state, "finished_at": at, **changes}
    command = msgspec.structs.replace(command, **changes)
    books.commands.change(command.id, **changes)
    if request is None and not command.raw:
        request = request_of(command)
    if request is not None:
        apply_outcome(books, command, request, answer, at)
    _tell(books, command, at)
    return command


def _tell(books: Books, command: Command, at: datetime) -> None:
    body = published.command_body(command)
    books.events.append(command.organisation_id, published.COMMAND_UPDATED, at, command.station_id, body)
