"""Transactions: begun, authorized, metered and ended, from whatever arrives of them in whatever order.

Guarantees
* Idempotent. A start that is told again gets the transaction id it got before: where the CSMS issues ids a start is
  recognised by connector, token, time and meter (OCPP 1.6 §4.8 and §3.7.1: stations repeat what wasn't answered);
  elsewhere by its id (OCPP 2.0.1 E01).
* Order doesn't matter (OCPP 2.0.1 E: queued messages may overtake each other): each message adds its facts, and the
  record is a function of the facts. A gap in the sequence numbers stays visible.
* Nothing is lost: what is told of a transaction whose start never came is kept as an orphan. An id that we never gave
  to this station is not taken for one of ours.
"""

from datetime import datetime

import msgspec

from forecourt.csms import authorization, billing, connectors, endings, published
from forecourt.csms.errors import NotFound
from forecourt.csms.kept_transactions import keep
from forecourt.csms.metering import register_wh, rejudged, take_readings
from forecourt.csms.paging import page_of, page_start
from forecourt.csms.ports import Books, Context
from forecourt.csms.records import Page, Reading, Transaction, TransactionState
from forecourt.csms.remote_starts import link_start
from forecourt.csms.stations import find_station
from forecourt.csms.work import Work
from forecourt.domain.events import (
    ChargingStateReported,
    MeterSampled,
    Sequence,
    TransactionAnswer,
    TransactionAuthorized,
    TransactionEnded,
    TransactionStarted,
)
from forecourt.domain.meter import MeterValue, ReadingContext
from forecourt.domain.token import AuthorizationStatus, IdToken


def transaction_started(work: Work, event: TransactionStarted, sequence: Sequence | None) -> TransactionAnswer:
    """OCPP 1.6 §4.8 StartTransaction, OCPP 2.0.1 E01, E02."""
    books = work.books.transactions
    start_wh = _boundary_wh(event.meter_values, ReadingContext.TRANSACTION_BEGIN)
    if event.transaction_id is None:
        start_key = _start_key(event, start_wh)
        known = books.by_start_key(work.station.number, start_key)
    else:
        start_key = None
        known = books.by_wire_id(work.station.number, event.transaction_id)
    before = known
    if known is None:
        known = books.add(_blank(work, event.transaction_id, event.evse_id, orphan=False), start_key)
    new_start = known.started_at is None or event.at < known.started_at
    after = known
    if new_start:
        after = msgspec.structs.replace(
            after,
            orphan=False,
            evse_id=event.evse_id,
            connector_id=event.connector_id,
            started_at=event.at,
            reservation_id=after.reservation_id if event.reservation_id is None else event.reservation_id,
            remote_start_id=after.remote_start_id if event.remote_start_id is None else event.remote_start_id,
            meter_start_wh=after.meter_start_wh if start_wh is None else start_wh,
        )
    info = None
    if event.id_token is not None:
        info = authorization.decide(work, event.id_token, starting=True, transaction_number=after.number)
        after = _with_token(after, event.id_token, event.at, info.status)
    if new_start:
        after = _linked(work, after)
    if new_start and before is not None:
        after = rejudged(work, after)
        if before.evse_id is None:
            work.books.transactions.place_readings(after, event.evse_id)
    after = take_readings(work, after, event.evse_id, event.meter_values) or after
    if event.id_token is not None and info is not None and before != after:
        authorization.announce(work, event.id_token, info, after.number)
    after = keep(work, before, _observed(after, sequence), published.TRANSACTION_STARTED if new_start else None)
    if after.state is TransactionState.ACTIVE:
        if new_start:
            endings.supersede(work, after)
        connectors.transaction_runs(work, after)
    return TransactionAnswer(id_token_info=info, transaction_id=after.transaction_id)


def transaction_authorized(work: Work, event: TransactionAuthorized, sequence: Sequence | None) -> TransactionAnswer:
    """A token shown once the transaction had begun (OCPP 2.0.1 E03)."""
    before = _find(work, event.transaction_id)
    known = before or _orphan(work, event.transaction_id, None)
    info = authorization.decide(
        work, event.id_token, starting=True, transaction_number=None if known is None else known.number
    )
    if known is not None:
        after = _with_token(_at_evse(work, known, event.evse_id), event.id_token, event.at, info.status)
        after = msgspec.structs.replace(
            after,
            reservation_id=event.reservation_id if after.reservation_id is None else after.reservation_id,
            remote_start_id=event.remote_start_id if after.remote_start_id is None else after.remote_start_id,
        )
        after = _linked(work, after)
        if after != before:
            authorization.announce(work, event.id_token, info, known.number)
        keep(work, before, _observed(after, sequence), published.TRANSACTION_UPDATED)
    return TransactionAnswer(id_token_info=info)


def meter_sampled(work: Work, event: MeterSampled, sequence: Sequence | None) -> None:
    """Readings, during a transaction or outside one."""
    if event.transaction_id is None:
        take_readings(work, None, event.evse_id, event.meter_values)
        return
    before = _find(work, event.transaction_id)
    known = before or _orphan(work, event.transaction_id, event.evse_id)
    if known is None:
        take_readings(work, None, event.evse_id, event.meter_values, event.transaction_id)
        return
    known = _at_evse(work, known, event.evse_id)
    after = take_readings(work, known, event.evse_id, event.meter_values) or known
    keep(work, before, _observed(after, sequence), None)


def charging_state_reported(work: Work, event: ChargingStateReported, sequence: Sequence | None) -> None:
    """What charging does; the latest word counts."""
    after = None
    evse_id, at = event.evse_id, event.at or work.at
    number = -1 if sequence is None else sequence.seq_no
    if event.transaction_id is not None:
        before = _find(work, event.transaction_id)
        known = before or _orphan(work, event.transaction_id, event.evse_id)
        if known is not None:
            after = _at_evse(work, known, event.evse_id)
            evse_id = after.evse_id
            last = (after.charging_state_at, after.charging_state_seq_no)
            if last[0] is None or last[1] is None or (last[0], last[1]) < (at, number):
                after = msgspec.structs.replace(
                    after,
                    charging_state=event.charging_state,
                    charging_state_at=at,
                    charging_state_seq_no=number,
                )
            after = keep(work, before, _observed(after, sequence), published.TRANSACTION_UPDATED)
    if evse_id:
        billing.state_reported(work, evse_id, at, number, event.charging_state)
    if after is not None and after.state is not TransactionState.ACTIVE:
        return
    connectors.charging_state_reported(work, event, after)


def transaction_ended(work: Work, event: TransactionEnded, sequence: Sequence | None) -> TransactionAnswer:
    """OCPP 1.6 §4.10 StopTransaction, OCPP 2.0.1 E06, E07."""
    before = _find(work, event.transaction_id)
    stop_wh = _boundary_wh(event.meter_values, ReadingContext.TRANSACTION_END)
    known = before
    if known is None:
        known = _orphan(work, event.transaction_id, event.evse_id)
    if known is None:
        before, known = _unknown_end(work, event, stop_wh)
    after = _at_evse(work, known, event.evse_id)
    previous = (after.ended_at, -1.0 if after.meter_stop_wh is None else after.meter_stop_wh)
    newly = after.state is not TransactionState.ENDED or (
        previous[0] is not None and previous < (event.at, -1.0 if stop_wh is None else stop_wh)
    )
    if newly:
        after = msgspec.structs.replace(
            after,
            state=TransactionState.ENDED,
            ended_at=event.at,
            stopped_reason=event.reason,
            meter_stop_wh=stop_wh,
            stop_id_token=None if event.id_token is None else event.id_token.value,
            end_seq_no=None if sequence is None else sequence.seq_no,
        )
    after = take_readings(work, after, event.evse_id, event.meter_values) or after
    after = keep(work, before, _observed(after, sequence), published.TRANSACTION_ENDED if newly else None)
    connectors.transaction_over(work, after)
    info = None if event.id_token is None else authorization.decide(work, event.id_token, starting=False)
    # OCPP 2.0.1 I03: the total goes with the answer, where there is no message of its own for it.
    tells = work.settings.money.show_costs and not work.station.capabilities.prices_by_messages
    return TransactionAnswer(id_token_info=info, total_cost=billing.cost_at_end(work, after) if tells else None)


def sequence_told(work: Work, sequence: Sequence) -> TransactionAnswer:
    """A message of a transaction that had nothing to say but its number."""
    if sequence.transaction_id is not None:
        before = _find(work, sequence.transaction_id)
        known = before or _orphan(work, sequence.transaction_id, None)
        if known is not None:
            keep(work, before, _observed(known, sequence), None)
    return TransactionAnswer()


# Inside


def _find(work: Work, transaction_id: str) -> Transaction | None:
    return work.books.transactions.by_wire_id(work.station.number, transaction_id)


def _blank(work: Work, transaction_id: str | None, evse_id: int | None, *, orphan: bool) -> Transaction:
    return Transaction(
        number=0,
        transaction_id=transaction_id,
        organisation_id=work.station.organisation_id,
        station_number=work.station.number,
        station_id=work.station.id,
        evse_id=evse_id,
        orphan=orphan,
        created_at=work.at,
        updated_at=work.at,
    )


def _orphan(work: Work, transaction_id: str, evse_id: int | None) -> Transaction | None:
    """A transaction known by its id only. None where we issue the ids: what we never gave is nobody's."""
    if work.station.capabilities.csms_issues_transaction_ids:
        return None
    return work.books.transactions.add(_blank(work, transaction_id, evse_id, orphan=True))


def _unknown_end(work: Work, event: TransactionEnded, stop_wh: float | None) -> tuple[Transaction | None, Transaction]:
    """The end of a transaction that we never gave that id: kept by itself, once however often it is told.

    Its id stays apart (`reported_id`): one day our own sequence may come to that number.
    """
    key = f"end {event.transaction_id} {event.at.isoformat()} {stop_wh}"
    before = work.books.transactions.by_start_key(work.station.number, key)
    if before is not None:
        return before, before
    blank = _blank(work, None, event.evse_id, orphan=True)
    blank = msgspec.structs.replace(blank, reported_id=event.transaction_id)
    return None, work.books.transactions.add(blank, key)


def _start_key(event: TransactionStarted, start_wh: float | None) -> str:
    token = "" if event.id_token is None else event.id_token.key
    return f"start {event.evse_id} {event.connector_id} {event.at.isoformat()} {start_wh} {token}"


def _boundary_wh(meter_values: tuple[MeterValue, ...], context: ReadingContext) -> float | None:
    """The register at the start or end: the reading that says it is, else the first or last there is."""
    named = [register_wh(value.samples, context) for value in meter_values]
    found = [value for value in named if value is not None]
    if not found:
        ordered = sorted(meter_values, key=lambda value: value.at)
        found = [value for value in (register_wh(entry.samples) for entry in ordered) if value is not None]
    if not found:
        return None
    return found[0] if context is ReadingContext.TRANSACTION_BEGIN else found[-1]


def _with_token(transaction: Transaction, id_token: IdToken, at: datetime, verdict: AuthorizationStatus) -> Transaction:
    """The token that was shown first is the one that charges."""
    known = (transaction.token_at, transaction.id_token)
    if known[0] is not None and known[1] is not None and (known[0], known[1]) < (at, id_token.value):
        return transaction
    return msgspec.structs.replace(
        transaction,
        id_token=id_token.value,
        id_token_type=id_token.type,
        token_at=at,
        authorization=transaction.authorization if known[1] == id_token.value else verdict,
    )


def _at_evse(work: Work, transaction: Transaction, evse_id: int | None) -> Transaction:
    """`transaction` at the EVSE that is now known to be its own (OCPP 2.0.1 E01: it may begin before one is chosen)."""
    if transaction.evse_id or not evse_id:
        return transaction
    work.books.transactions.place_readings(transaction, evse_id)
    placed = msgspec.structs.replace(transaction, evse_id=evse_id)
    if placed.state is TransactionState.ACTIVE and placed.started_at is not None:
        connectors.transaction_runs(work, placed)
    return placed


def _linked(work: Work, transaction: Transaction) -> Transaction:
    """Tie it to the command that it follows from, if there is one."""
    if transaction.command_id is not None or transaction.started_at is None:
        return transaction
    command = link_start(
        work.books,
        work.station.number,
        transaction.remote_start_id,
        transaction.id_token,
        transaction.evse_id or 0,
        work.at,
    )
    if command is None:
        return transaction
    work.books.commands.change(command.id, transaction_number=transaction.number)
    return msgspec.structs.replace(transaction, command_id=command.id)


def _observed(transaction: Transaction, sequence: Sequence | None) -> Transaction:
    if sequence is None:
        return transaction
    ranges = with_number(transaction.sequence, sequence.seq_no)
    return msgspec.structs.replace(transaction, sequence=ranges, offline=transaction.offline or sequence.offline)


def with_number(ranges: tuple[tuple[int, int], ...], number: int) -> tuple[tuple[int, int], ...]:
    """`ranges` (closed, ascending, apart) with `number` in one of them."""
    if ranges and number == ranges[-1][1] + 1:
        return (*ranges[:-1], (ranges[-1][0], number))
    if any(first <= number <= last for first, last in ranges):
        return ranges
    merged: list[tuple[int, int]] = []
    for first, last in sorted([*ranges, (number, number)]):
        if merged and first == merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], last)
        else:
            merged.append((first, last))
    return tuple(merged)


# For the API


async def get_transaction(context: Context, number: int) -> Transaction:
    """Raises NotFound."""
    found = await context.store.read(lambda books: books.transactions.get(context.organisation_id, number))
    if found is None:
        raise NotFound("transaction", number)
    return found


async def list_transactions(
    context: Context,
    *,
    station_id: str | None = None,
    id_token: str | None = None,
    transaction_id: str | None = None,
    state: TransactionState | None = None,
    orphan: bool | None = None,
    started_from: datetime | None = None,
    started_to: datetime | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[Transaction]:
    """Newest first. Raises NotFound for the station, Invalid for the cursor."""
    before = page_start(cursor)

    def query(books: Books) -> list[Transaction]:
        number = None if station_id is None else find_station(books, context.organisation_id, station_id).number
        return books.transactions.page(
            context.organisation_id,
            station_number=number,
            id_token=id_token,
            transaction_id=transaction_id,
            state=state,
            orphan=orphan,
            started_from=started_from,
            started_to=started_to,
            before=before,
            limit=limit + 1,
        )

    return page_of(await context.store.read(query), limit, lambda transaction: str(transaction.number))


async def list_meter_values(
    context: Context,
    number: int,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 1000,
) -> tuple[Reading, ...]:
    """A transaction's readings, the earliest first; the next page begins after the last one's `at`. Raises NotFound."""

    def query(books: Books) -> tuple[Reading, ...]:
        transaction = books.transactions.get(context.organisation_id, number)
        if transaction is None:
            raise NotFound("transaction", number)
        found = books.transactions.readings(
            station_number=transaction.station_number,
            transaction_number=number,
            evse_id=None,
            since=since,
            until=until,
            limit=limit,
        )
        return tuple(found)

    return await context.store.read(query)
