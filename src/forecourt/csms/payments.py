"""Paying on the spot: money is held when a driver begins, and taken, or let go of, when the session is billed.

Guarantees
* Every step is in the books before a provider is asked for it, with an idempotency key of its own made from the
  payment's id: after a crash the same is asked with the same key, so that nobody pays twice, or is forgotten.
* What is captured is the CDR's total, once, and never more than was held; what is missing then is on record
  (`uncollected`). Where nothing is owed, or no session came in time, the money is let go of.
* A provider that can't be reached is asked again, with growing waits; after `payment_attempts` the payment is `failed`,
  with what was said, and waits for a person (`retry`). Nothing fails in silence: every step is an event.
* One payment is for one session: of whoever starts with the token that was made for it.
"""

import logging
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import msgspec

from forecourt.csms import published
from forecourt.csms.errors import Conflict, Invalid, NotFound
from forecourt.csms.money import check_amount, check_currency, coins_of
from forecourt.csms.money_ports import Authorised, Declined, PaymentProvider, ProviderUnavailable
from forecourt.csms.money_records import Payment, PaymentState, Session, SessionState
from forecourt.csms.paging import page_of
from forecourt.csms.ports import Books, Context
from forecourt.csms.records import Page
from forecourt.csms.stations import find_station
from forecourt.domain.token import AuthorizationStatus, IdTokenType

log = logging.getLogger(__name__)

_PREFIX: Final = "PAY"
_DECIDED: Final = frozenset({SessionState.COMPLETED, SessionState.UNPRICED, SessionState.VOID})
_AT_ONCE: Final = 100
_LONGEST_WAIT_S: Final = 3600.0


class PaymentFields(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody asks to be held."""

    provider: str
    method: str
    amount: Decimal
    currency: str
    station_id: str
    evse_id: int | None = None


async def request_payment(context: Context, fields: PaymentFields, idempotency_key: str | None = None) -> Payment:
    """Enter a payment and ask its provider to hold the money; gives it as it is after that.

    A provider that can't be reached now is asked again later: the payment is `requested` until then.

    Raises:
        NotFound: the station.
        Invalid: a field.
        Conflict: the idempotency key was used for another payment.
    """
    check_currency("currency", fields.currency)
    check_amount("amount", fields.amount)
    try:
        if coins_of(fields.amount, fields.currency) <= 0:
            raise Invalid("amount", "must be more than 0")
    except ValueError:
        raise Invalid("amount", f"is finer than the smallest coin of {fields.currency}") from None
    if fields.provider not in context.payment_providers:
        known = ", ".join(sorted(context.payment_providers)) or "none"
        raise Invalid("provider", f"is no payment provider here; there are: {known}")
    if not fields.method:
        raise Invalid("method", "must not be empty")
    now = context.clock.now().at
    timeout = timedelta(seconds=context.settings.money.payment_start_timeout_s)
    # 20 characters at most are what every station takes (OCPP 1.6 §7.28).
    token = f"{_PREFIX}{secrets.token_hex(8).upper()}"
    made = Payment(
        id=context.new_id(),
        organisation_id=context.organisation_id,
        **msgspec.structs.asdict(fields),
        id_token=token,
        expires_at=now + timeout,
        created_at=now,
        updated_at=now,
    )

    def store(books: Books) -> Payment:
        find_station(books, context.organisation_id, fields.station_id)
        if idempotency_key is not None:
            known = books.money.payments.by_idempotency_key(context.organisation_id, idempotency_key)
            if known is not None:
                if any(getattr(known, name) != getattr(fields, name) for name in fields.__struct_fields__):
                    raise Conflict("the idempotency key was used for another payment")
                return known
        books.money.payments.add(made, idempotency_key)
        _tell(books, made, now)
        return made

    payment = await context.store.write(store)
    if payment.id == made.id:
        await Cashier(context).attend(payment)
    return await get_payment(context, payment.id)


async def get_payment(context: Context, payment_id: str) -> Payment:
    """Raises NotFound."""
    return await context.store.read(lambda books: _find(books, context.organisation_id, payment_id))


async def list_payments(
    context: Context,
    *,
    state: PaymentState | None = None,
    station_id: str | None = None,
    id_token: str | None = None,
    session_number: int | None = None,
    created_from: datetime | None = None,
    created_to: datetime | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[Payment]:
    """Newest first."""
    found = await context.store.read(
        lambda books: books.money.payments.page(
            context.organisation_id,
            state=state,
            station_id=station_id,
            id_token=id_token,
            session_number=session_number,
            created_from=created_from,
            created_to=created_to,
            before=cursor,
            limit=limit + 1,
        )
    )
    return page_of(found, limit, lambda payment: payment.id)


async def cancel_payment(context: Context, payment_id: str) -> Payment:
    """Let go of the money before a session has begun.

    Raises:
        NotFound, or Conflict when it isn't authorised, or a session has begun.
    """
    now = context.clock.now().at

    def store(books: Books) -> Payment:
        payment = _find(books, context.organisation_id, payment_id)
        if payment.state is not PaymentState.AUTHORISED or payment.session_number is not None:
            raise Conflict(f"payment {payment_id} is {payment.state}" + (", in use" if payment.session_number else ""))
        return _moved(books, payment, now, state=PaymentState.RELEASING, detail="cancelled")

    await Cashier(context).attend(await context.store.write(store))
    return await get_payment(context, payment_id)


async def retry_payment(context: Context, payment_id: str) -> Payment:
    """Try a failed payment again, at the step where it failed, with the same key.

    Raises:
        NotFound, or Conflict when it hasn't failed.
    """
    now = context.clock.now().at

    def store(books: Books) -> Payment:
        payment = _find(books, context.organisation_id, payment_id)
        if payment.state is not PaymentState.FAILED:
            raise Conflict(f"payment {payment_id} is {payment.state}, it has not failed")
        return _moved(books, payment, now, state=_failed_at(payment))

    await Cashier(context).attend(await context.store.write(store))
    return await get_payment(context, payment_id)


class Cashier:
    """Moves payments on: asks providers, one step at a time. Call `turn` every now and then."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def turn(self) -> int:
        """Look once; gives how many payments were looked at."""
        now = self._context.clock.now().at
        found = await self._context.store.read(lambda books: books.money.payments.to_do(now, _AT_ONCE))
        for payment in found:
            if payment.state is PaymentState.AUTHORISED:
                await self.move(payment, state=PaymentState.RELEASING, detail="no session came in time")
            else:
                await self.attend(payment)
        return len(found)

    async def attend(self, payment: Payment) -> None:
        """Ask the provider for the step that a payment is at; write down what came of it."""
        provider = self._context.payment_providers.get(payment.provider)
        if provider is None:
            await self._again(payment, f"there is no provider {payment.provider!r} any more")
            return
        try:
            changes = await _STEPS[payment.state](provider, payment)
        except ProviderUnavailable as error:
            await self._again(payment, str(error) or "the provider can't be reached")
        except Exception as error:
            # Another's library: whatever it raises, the payment stays in sight and is tried again.
            log.exception("payment %s: its provider has failed", payment.id)
            await self._again(payment, f"the provider failed: {type(error).__name__}")
        else:
            await self.move(payment, **changes)

    async def _again(self, payment: Payment, why: str) -> None:
        money = self._context.settings.money
        attempts = payment.attempts + 1
        if attempts >= money.payment_attempts:
            await self.move(payment, state=PaymentState.FAILED, detail=why, attempts=attempts)
            return
        wait_s = min(_LONGEST_WAIT_S, money.payment_retry_s * 2 ** (attempts - 1))
        at = self._context.clock.now().at + timedelta(seconds=wait_s)
        await self.move(payment, detail=why, attempts=attempts, next_attempt_at=at)

    async def move(self, payment: Payment, **changes: Any) -> Payment:
        """Write the step down, unless the payment has moved on meanwhile."""
        now = self._context.clock.now().at

        def store(books: Books) -> Payment:
            known = _find(books, payment.organisation_id, payment.id)
            if any(getattr(known, name) != getattr(payment, name) for name in ("state", "attempts", "session_number")):
                return known
            return _moved(books, known, now, **changes)

        return await self._context.store.write(store)


def settle_payment(books: Books, session: Session, now: datetime) -> None:
    """Take what a session costs, or let go; in the unit that decides upon it. While it is open nothing is done."""
    if session.payment_id is None or session.state not in _DECIDED:
        return
    payment = books.money.payments.get(session.organisation_id, session.payment_id)
    if payment is None or payment.session_number != session.number:
        return
    lost = payment.state is PaymentState.FAILED and payment.captured is None and payment.uncollected is None
    if payment.state is not PaymentState.AUTHORISED and not lost:
        return
    owed = session.cost.incl_vat if session.state is SessionState.COMPLETED and session.cost is not None else Decimal(0)
    if lost:  # its provider has let go of the money while the session ran
        if owed > 0:
            _moved(books, payment, now, uncollected=owed)
    elif owed <= 0:
        _moved(books, payment, now, state=PaymentState.RELEASING, detail="nothing is owed")
    elif session.currency != payment.currency:
        why = f"the session costs {session.currency}, and {payment.currency} is held"
        _moved(books, payment, now, state=PaymentState.FAILED, detail=why, uncollected=owed)
    else:
        captured = min(owed, payment.amount)
        _moved(
            books,
            payment,
            now,
            state=PaymentState.CAPTURING,
            captured=captured,
            uncollected=owed - captured if owed > captured else None,
        )


# The steps: what a provider is asked, and what follows


async def _authorise(provider: PaymentProvider, payment: Payment) -> dict[str, Any]:
    answer = await provider.authorise(
        payment_id=payment.id,
        idempotency_key=f"{payment.id}-authorise",
        method=payment.method,
        amount=payment.amount,
        currency=payment.currency,
        description=f"Charging at {payment.station_id}",
    )
    if isinstance(answer, Authorised):
        return {"state": PaymentState.AUTHORISED, "reference": answer.reference, "detail": None}
    return {"state": PaymentState.DECLINED, "detail": answer.reason}


async def _capture(provider: PaymentProvider, payment: Payment) -> dict[str, Any]:
    assert payment.reference is not None
    assert payment.captured is not None
    answer = await provider.capture(
        idempotency_key=f"{payment.id}-capture",
        reference=payment.reference,
        amount=payment.captured,
        currency=payment.currency,
    )
    return _done(answer, PaymentState.CAPTURED)


async def _release(provider: PaymentProvider, payment: Payment) -> dict[str, Any]:
    assert payment.reference is not None
    answer = await provider.release(idempotency_key=f"{payment.id}-release", reference=payment.reference)
    return _done(answer, PaymentState.RELEASED)


def _done(answer: Declined | None, state: PaymentState) -> dict[str, Any]:
    return {"state": state} if answer is None else {"state": PaymentState.FAILED, "detail": answer.reason}


_STEPS: Final[dict[PaymentState, Callable[[PaymentProvider, Payment], Any]]] = {
    PaymentState.REQUESTED: _authorise,
    PaymentState.CAPTURING: _capture,
    PaymentState.RELEASING: _release,
}


def _failed_at(payment: Payment) -> PaymentState:
    if payment.reference is None:
        return PaymentState.REQUESTED
    return PaymentState.RELEASING if payment.captured is None else PaymentState.CAPTURING


# Inside


def _find(books: Books, organisation_id: int, payment_id: str) -> Payment:
    found = books.money.payments.get(organisation_id, payment_id)
    if found is None:
        raise NotFound("payment", payment_id)
    return found


def _moved(books: Books, payment: Payment, now: datetime, **changes: Any) -> Payment:
    """Save a payment in its next state, or with another attempt; its token lives as long as it can be started with."""
    if changes.get("state", payment.state) is not payment.state:
        changes = {"attempts": 0, "next_attempt_at": None, **changes}
    after = msgspec.structs.replace(payment, **changes, updated_at=now)
    books.money.payments.change(payment.id, **changes, updated_at=now)
    if after.state is PaymentState.AUTHORISED and payment.state is PaymentState.REQUESTED:
        columns = {
            "type": IdTokenType.CENTRAL,
            "standing": AuthorizationStatus.ACCEPTED,
            "expires_at": None,
            "group": None,
            "charging_priority": 0,
            "note": f"payment {payment.id}",
        }
        books.tokens.upsert(payment.organisation_id, payment.id_token, columns, now)
    elif after.state is not PaymentState.AUTHORISED:
        books.tokens.remove(payment.organisation_id, payment.id_token)
    _tell(books, after, now)
    return after


def _tell(books: Books, payment: Payment, at: datetime) -> None:
    body = published.PaymentBody(payment=payment)
    books.events.append(payment.organisation_id, published.PAYMENT_UPDATED, at, payment.station_id, body)
