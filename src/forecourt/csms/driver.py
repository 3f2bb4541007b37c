"""What a driver may do at a station whose code they have: see it, reserve, start, stop, pay, and read what it costs.

Guarantees
* A code is a station's number with a keyed digest (HMAC-SHA-256) of it: it can't be made for another station without
  the secret, is the same as long as the secret is, and nothing of it is kept.
* Nothing starts and nothing is reserved without a token that is in the books and may charge now, or a payment that was
  authorised for this station.
* What a driver began is named by the id of its command, which is random: nobody else's transaction can be seen or
  stopped, and none of another station.
"""

import base64
import hashlib
import hmac
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import msgspec

from forecourt.csms import cdrs, commands, completion, payments, reservations, site_wishes, wishes
from forecourt.csms.authorization import decide
from forecourt.csms.command_records import Command
from forecourt.csms.completion import Completion
from forecourt.csms.errors import Conflict, Invalid, NotFound
from forecourt.csms.group_records import WishInForce
from forecourt.csms.money_records import Payment, PaymentState, SessionState
from forecourt.csms.payments import PaymentFields
from forecourt.csms.ports import Books, Context
from forecourt.csms.records import ConnectedStation, Connector, Location, Station, Transaction
from forecourt.csms.resource_records import Reservation
from forecourt.csms.tariff_terms import TariffTerms
from forecourt.csms.tariffs import tariff_for
from forecourt.csms.work import Work
from forecourt.domain.requests import CancelReservation, RequestStartTransaction, RequestStopTransaction, ReserveNow
from forecourt.domain.token import AuthorizationStatus, IdToken, IdTokenType

_DIGEST_BYTES: Final = 10
_LONGEST_CODE: Final = 40
LONGEST_RESERVATION: Final = timedelta(hours=2)
HOLD: Final = Decimal(50)
"""How much of the tariff's currency is held for a session that is paid on the spot."""


class DriverStation(msgspec.Struct, frozen=True, kw_only=True):
    """What the page shows before anything is done."""

    station: Station
    location: Location | None
    connectors: tuple[Connector, ...]
    terms: TariffTerms | None
    """What somebody without a contract pays; None: nothing is assigned."""


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """What a driver began, as it is now."""

    command: Command
    transaction: Transaction | None
    session: cdrs.SessionView | None
    wish: WishInForce | None
    """When they leave and what they want, once there is a transaction."""
    completion: Completion | None
    """When it will be done, while it runs."""
    now: datetime

    @property
    def over(self) -> bool:
        """Whether nothing more will come of it, but perhaps a receipt."""
        if self.transaction is not None:
            return self.transaction.ended_at is not None
        return self.command.state.final and self.command.state.value != "accepted"


def code_of(secret: str, station_number: int) -> str:
    """The code on the station's sticker."""
    text = f"station {station_number}".encode()
    digest = hmac.digest(secret.encode(), text, hashlib.sha256)[:_DIGEST_BYTES]
    return f"{station_number}-{base64.b32encode(digest).decode().lower()}"


async def station_of(context: Context, secret: str, code: str) -> tuple[Context, Station]:
    """The station that a code is of, and a context of its organisation. Raises NotFound."""
    digits, _, _ = code.partition("-")
    number = int(digits) if len(code) <= _LONGEST_CODE and digits.isascii() and digits.isdigit() else 0
    if not number or number >= 2**63 or not hmac.compare_digest(code.encode(), code_of(secret, number).encode()):
        raise NotFound("station with the code", code[:_LONGEST_CODE])
    station = await context.store.read(lambda books: books.stations.by_number(number))
    if station is None:
        raise NotFound("station with the code", code)
    return msgspec.structs.replace(context, organisation_id=station.organisation_id), station


async def look(context: Context, station: Station) -> DriverStation:
    """The station as somebody who stands before it sees it."""
    now = context.clock.now().at

    def query(books: Books) -> DriverStation:
        known = books.stations.by_number(station.number) or station
        place = known.location_id
        tariff = tariff_for(
            books, known.organisation_id, id_token=None, station_id=known.id, location_id=place, ad_hoc=True, at=now
        )
        return DriverStation(
            station=known,
            location=None if place is None else books.stations.location(known.organisation_id, place),
            connectors=tuple(one for one in books.stations.connectors(known.number) if one.evse_id > 0),
            terms=None if tariff is None else tariff.terms,
        )

    return await context.store.read(query)


async def start(
    context: Context, station: Station, *, evse_id: int | None, id_token: str | None, payment_id: str | None
) -> Command:
    """Begin to charge. Raises Invalid where neither token nor payment let anybody."""
    if payment_id is not None:
        paid = await _authorised_payment(context, station, payment_id)
        token, evse_id = IdToken(paid.id_token, IdTokenType.CENTRAL), paid.evse_id or evse_id
    elif id_token is not None:
        token = await _token(context, station, id_token)
    else:
        raise Invalid("id_token", "is missing, or else payment_id")
    request = RequestStartTransaction(id_token=token, evse_id=evse_id)
    key = None if payment_id is None else f"driver {payment_id}"
    return await commands.issue(context, station.id, request, idempotency_key=key)


async def visit(context: Context, station: Station, command_id: str) -> Visit:
    """What came of a start. Raises NotFound."""
    command = await _command(context, station, command_id)
    if not isinstance(commands.request_of(command), RequestStartTransaction):
        raise NotFound("visit", command_id)
    session = None
    number = command.transaction_number
    if number is not None:
        try:
            session = await cdrs.get_session(context, number)
        except NotFound:
            session = None
    transaction = wish = estimate = None
    if number is not None:
        transaction = await context.store.read(lambda books: books.transactions.get(context.organisation_id, number))
        wish = await wishes.get_wish(context, number)
        with suppress(Conflict):  # it is over
            estimate = await completion.completion(context, number)
    now = context.clock.now().at
    return Visit(command=command, transaction=transaction, session=session, wish=wish, completion=estimate, now=now)


async def want(
    context: Context, station: Station, command_id: str, *, departs_at: datetime | None, energy_wh: float | None
) -> Visit:
    """Say when they leave and how much energy they want; a site's controller is told. Raises NotFound, Invalid;
    Conflict where nothing charges."""
    found = await visit(context, station, command_id)
    if found.transaction is None:
        raise Conflict("nothing charges yet")
    await wishes.put_wish(context, found.transaction.number, departs_at=departs_at, energy_wh=energy_wh)
    await site_wishes.pass_on(
        context, found.transaction, departs_at=departs_at, energy_wh=energy_wh, who="the driver, at the station's page"
    )
    return await visit(context, station, command_id)


async def stop(context: Context, station: Station, command_id: str) -> Command:
    """End what was begun. Raises NotFound; Conflict where nothing runs."""
    found = await visit(context, station, command_id)
    transaction = found.transaction
    if transaction is None or transaction.transaction_id is None or transaction.ended_at is not None:
        raise Conflict("nothing charges now that could be stopped")
    return await commands.issue(context, station.id, RequestStopTransaction(transaction_id=transaction.transaction_id))


async def pay(context: Context, station: Station, *, provider: str, method: str, evse_id: int | None) -> Payment:
    """Have money held for one session here. Raises Invalid; Conflict where there is no tariff to pay by."""
    seen = await look(context, station)
    if seen.terms is None:
        raise Conflict("nothing is charged for here: there is no tariff to pay by")
    fields = PaymentFields(
        provider=provider,
        method=method,
        amount=HOLD,
        currency=seen.terms.currency,
        station_id=station.id,
        evse_id=evse_id,
    )
    return await payments.request_payment(context, fields)


async def reserve(
    context: Context, station: Station, *, evse_id: int | None, id_token: str, minutes: int
) -> tuple[Command, Reservation]:
    """Keep the station free for a token. Raises Invalid."""
    lasts = timedelta(minutes=minutes)
    if not timedelta() < lasts <= LONGEST_RESERVATION:
        raise Invalid("minutes", f"must be from 1 to {LONGEST_RESERVATION // timedelta(minutes=1)}")
    token = await _token(context, station, id_token)
    until = context.clock.now().at + lasts
    request = ReserveNow(reservation_id=0, expires_at=until, id_token=token, evse_id=evse_id)
    command = await commands.issue(context, station.id, request)
    return command, await reservations.of_command(context, command.id)


async def reservation(context: Context, station: Station, command_id: str) -> Reservation:
    """What came of it. Raises NotFound."""
    await _command(context, station, command_id)
    return await reservations.of_command(context, command_id)


async def cancel(context: Context, station: Station, command_id: str) -> Command:
    """Give a reservation back. Raises NotFound."""
    made = await reservation(context, station, command_id)
    return await commands.issue(context, station.id, CancelReservation(reservation_id=made.reservation_id))


def is_billed(found: Visit) -> bool:
    """Whether there is a receipt."""
    session = None if found.session is None else found.session.session
    return session is not None and session.state is SessionState.COMPLETED and session.cdr_number is not None


# Inside


async def _token(context: Context, station: Station, value: str) -> IdToken:
    now = context.clock.now().at

    def query(books: Books) -> IdToken | None:
        known = books.tokens.get(context.organisation_id, value)
        if known is None:
            return None
        token = IdToken(known.value, known.type)
        there = ConnectedStation(organisation_id=station.organisation_id, number=station.number, id=station.id)
        work = Work(books=books, settings=context.settings, station=there, at=now)
        accepted = decide(work, token, starting=True).status is AuthorizationStatus.ACCEPTED
        return token if accepted else None

    token = await context.store.read(query)
    if token is None:
        raise Invalid("id_token", "may not charge here now")
    return token


async def _authorised_payment(context: Context, station: Station, payment_id: str) -> Payment:
    payment = await payments.get_payment(context, payment_id)
    if payment.station_id != station.id:
        raise NotFound("payment", payment_id)
    if payment.state is not PaymentState.AUTHORISED:
        raise Conflict(f"the payment is {payment.state}, so that nothing can begin with it")
    return payment


async def _command(context: Context, station: Station, command_id: str) -> Command:
    command = await commands.get_command(context, command_id)
    if command.station_number != station.number:
        raise NotFound("command", command_id)
    return command
