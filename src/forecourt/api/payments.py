"""`/payments`: money held for a session and taken at its end. Start with the payment's `id_token`."""

from datetime import datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter, SkipValidation

from forecourt.api.authentication import PREFIX, CallerContext
from forecourt.api.bodies import LARGEST_KEY, Asked, Name, Number, StationId, instant
from forecourt.api.lists import DEFAULT_LIMIT, Cursor, Filter, Limit, Listing, listing, shown
from forecourt.api.outcomes import IdempotencyKey
from forecourt.api.paths import quoted
from forecourt.api.problems import Refused, documented
from forecourt.csms import payments
from forecourt.csms.money_ports import Forged, ProviderUnavailable
from forecourt.csms.money_records import Payment, PaymentState
from forecourt.csms.payment_notices import notice
from forecourt.csms.payments import PaymentFields
from forecourt.csms.ports import Context


class PaymentBody(Asked, frozen=True, kw_only=True):
    """What is to be held."""

    provider: Name
    method: Name
    """What the provider knows the driver's card or account by; never a card number."""
    amount: Decimal
    currency: Name
    station_id: StationId
    evse_id: Number | None = None


class PaymentResource(msgspec.Struct, frozen=True, kw_only=True):
    """Money held with a payment provider for one session."""

    id: str
    provider: str
    currency: str
    amount: Decimal
    """What is held."""
    station_id: str
    evse_id: int | None
    id_token: str
    """Who starts with it pays by this payment."""
    state: PaymentState
    session_id: int | None
    reference: str | None
    """The provider's name for it."""
    captured: Decimal | None
    uncollected: Decimal | None
    """What the session cost beyond what was held."""
    detail: str | None
    attempts: int
    next_attempt_at: datetime | None
    expires_at: datetime
    """Without a session by then it is let go of."""
    created_at: datetime
    updated_at: datetime


class PaymentList(Listing, frozen=True, kw_only=True):
    """Payments, newest first."""

    items: tuple[PaymentResource, ...]


def _show(payment: Payment) -> PaymentResource:
    return shown(PaymentResource, payment, session_id=payment.session_number)


@get("/", summary="List payments", responses=documented())
async def list_payments(
    context: CallerContext,
    station_id: Filter = None,
    id_token: Filter = None,
    session_id: Annotated[int | None, QueryParameter(ge=1, le=LARGEST_KEY)] = None,
    payment_state: Annotated[PaymentState | None, QueryParameter(name="state")] = None,
    created_from: FromQuery[datetime | None] = None,
    created_to: FromQuery[datetime | None] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> PaymentList:
    page = await payments.list_payments(
        context,
        station_id=station_id,
        id_token=id_token,
        session_number=session_id,
        state=payment_state,
        created_from=instant("created_from", created_from),
        created_to=instant("created_to", created_to),
        cursor=cursor,
        limit=limit,
    )
    return listing(PaymentList, page, _show)


@post("/", summary="Have money held for a session", responses=documented(404, 408, 409, 413, 415))
async def create_payment(
    context: CallerContext, data: JSONBody[PaymentBody], idempotency_key: IdempotencyKey = None
) -> Response[PaymentResource]:
    fields = msgspec.convert(data, PaymentFields, from_attributes=True)
    made = _show(await payments.request_payment(context, fields, idempotency_key))
    return Response(made, status_code=201, headers={"location": f"{PREFIX}/payments/{quoted(made.id)}"})


@get("/{payment_id:str}", summary="A payment", responses=documented(404))
async def get_payment(context: CallerContext, payment_id: FromPath[str]) -> PaymentResource:
    return _show(await payments.get_payment(context, payment_id))


@post(
    "/{payment_id:str}/cancel",
    status_code=200,
    summary="Let go of the money before a session has begun",
    responses=documented(404, 409),
)
async def cancel_payment(context: CallerContext, payment_id: FromPath[str]) -> PaymentResource:
    return _show(await payments.cancel_payment(context, payment_id))


@post(
    "/{payment_id:str}/retry",
    status_code=200,
    summary="Try a failed payment again, at the step where it failed",
    responses=documented(404, 409),
)
async def retry_payment(context: CallerContext, payment_id: FromPath[str]) -> PaymentResource:
    return _show(await payments.retry_payment(context, payment_id))


@post(
    "/notices/{provider_name:str}",
    status_code=204,
    summary="What a payment provider tells by itself; its signature stands for a key",
    responses=documented(404, 408, 413),
    security=[],
)
async def hear_notice(
    request: Request[Any, Any, Any], anybody: NamedDependency[SkipValidation[Context]], provider_name: FromPath[str]
) -> None:
    try:
        await notice(anybody, provider_name, await request.body(), request.headers.get("stripe-signature"))
    except Forged as error:
        raise Refused(HTTPStatus.BAD_REQUEST, str(error)) from None
    except ProviderUnavailable as error:
        raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, f"try again later: {error}") from None


router = Router(
    "/payments",
    route_handlers=[list_payments, create_payment, get_payment, cancel_payment, retry_payment, hear_notice],
    tags=["Payments"],
)
