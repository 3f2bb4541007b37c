"""`/driver/{code}`: the operations of the page behind a station's QR code, and of nothing else. No key is asked for.

Guarantees
* There is nothing here where no `driver_secret` is set, or for a code that it hasn't made.
* Starting and reserving need a token that may charge, or an authorised payment (`csms.driver`). Wrong codes and tokens
  are counted by address: after too many the answer is 429 for a while.
* No identity of the station, no token and no other driver's doings stand in any answer.
"""

from datetime import datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
import segno
from litestar import Request, Router, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, SkipValidation
from msgspec import Meta

from forecourt.api.authentication import CallerContext
from forecourt.api.bodies import Asked, Name
from forecourt.api.lifetime import CallerLifetime
from forecourt.api.outcomes import wait_for_end
from forecourt.api.problems import Refused, documented
from forecourt.api.settings import ApiSettings
from forecourt.api.wishes import WishBody
from forecourt.csms import cdrs, driver, stations
from forecourt.csms.driver import DriverStation, Visit
from forecourt.csms.errors import Invalid, NotFound
from forecourt.csms.logins import FailureCount
from forecourt.csms.money_records import PaymentState
from forecourt.csms.ports import Context
from forecourt.csms.receipts import Receipt, receipt_of
from forecourt.csms.records import Command, CommandState, ConnectorView, Station
from forecourt.csms.resource_records import ReservationState
from forecourt.csms.tariff_terms import TariffElement

_WAIT_S: Final = 12.0
"""How long a driver waits for the station's word before the page asks again."""
_FAILURES: Final = 20
_WINDOW_S: Final = 600.0

Asking = Request[Any, Any, Any]
AnyContext = NamedDependency[SkipValidation[Context]]
AnySettings = NamedDependency[SkipValidation[ApiSettings]]
Evse = Annotated[int, Meta(ge=1, le=10_000)]
Token = Annotated[str, Meta(min_length=1, max_length=255)]
Handle = Annotated[str, Meta(min_length=1, max_length=64)]


class Strangers:
    """How often each address was wrong."""

    def __init__(self) -> None:
        self._count = FailureCount(_FAILURES, _WINDOW_S)

    def admit(self, address: str, now_s: float) -> None:
        """Raises Refused for one that was wrong too often."""
        if self._count.spent(address, now_s):
            headers = {"retry-after": str(int(_WINDOW_S / _FAILURES))}
            raise Refused(HTTPStatus.TOO_MANY_REQUESTS, "too many wrong codes or tokens; wait a while", headers=headers)

    def wrong(self, address: str, now_s: float) -> None:
        """Once more."""
        self._count.add(address, now_s)


KnownStrangers = NamedDependency[SkipValidation[Strangers]]


class StartBody(Asked, frozen=True, kw_only=True):
    """Begin to charge: with a token, or with a payment."""

    evse_id: Evse | None = None
    id_token: Token | None = None
    payment_id: Handle | None = None


class PayBody(Asked, frozen=True, kw_only=True):
    """Have money held for a session."""

    provider: Name
    method: Name
    evse_id: Evse | None = None


class ReserveBody(Asked, frozen=True, kw_only=True):
    """Keep the place free."""

    id_token: Token
    minutes: Annotated[int, Meta(ge=1, le=120)] = 15
    evse_id: Evse | None = None


class DriverEvse(msgspec.Struct, frozen=True, kw_only=True):
    """Where a car can be plugged in."""

    evse_id: int
    view: ConnectorView
    power_w: float | None


class DriverStationResource(msgspec.Struct, frozen=True, kw_only=True):
    """The station before which a driver stands."""

    name: str | None
    location_name: str | None
    location_address: str | None
    connected: bool
    evses: tuple[DriverEvse, ...]
    currency: str | None
    elements: tuple[TariffElement, ...]
    """What somebody without a contract pays; empty: nothing."""
    tariff_text: str | None
    providers: tuple[str, ...]
    """With whom one can pay on the spot."""
    hold: Decimal
    """What is held for a session, until its cost is known."""
    now: datetime


class VisitResource(msgspec.Struct, frozen=True, kw_only=True):
    """What a driver began, as it is now."""

    visit: str
    state: CommandState
    """Of the start."""
    charging: bool
    """A transaction runs."""
    over: bool
    detail: str | None
    started_at: datetime | None
    ended_at: datetime | None
    energy_wh: float | None
    cost: Decimal | None
    """With VAT, so far or at the end; null: nothing is charged for, or it isn't known yet."""
    currency: str | None
    billed: bool
    """There is a receipt."""
    departs_at: datetime | None
    """When they want to leave; null: nobody has said it."""
    wanted_energy_wh: float | None
    """Of the whole transaction; null: as much as the car takes."""
    now: datetime


class PaymentStateResource(msgspec.Struct, frozen=True, kw_only=True):
    """A payment as far as its driver has to know."""

    payment_id: str
    state: PaymentState
    amount: Decimal
    currency: str
    detail: str | None


class DriverReservationResource(msgspec.Struct, frozen=True, kw_only=True):
    """A reservation that a driver made."""

    reservation: str
    state: ReservationState
    expires_at: datetime
    evse_id: int | None


class DriverPageResource(msgspec.Struct, frozen=True, kw_only=True):
    """For whoever puts the sticker on the station."""

    code: str
    path: str
    url: str | None
    """Null: the configuration has no `public_url`."""
    qr_svg: str


async def _admitted(
    request: Asking, anybody: Context, settings: ApiSettings, strangers: Strangers, code: str
) -> tuple[Context, Station]:
    """The station that a code is of. Raises Refused, NotFound."""
    address, now_s = _address(request), anybody.clock.now().protocol_s
    strangers.admit(address, now_s)
    if settings.driver_secret is None:
        raise NotFound("station with the code", code[:40])
    try:
        return await driver.station_of(anybody, settings.driver_secret, code)
    except NotFound:
        strangers.wrong(address, now_s)
        raise


def _address(request: Asking) -> str:
    return "" if request.client is None else request.client.host


@get("/{code:str}", summary="The station behind a code", responses=documented(404, 429))
async def driver_station(
    request: Asking, anybody: AnyContext, settings: AnySettings, strangers: KnownStrangers, code: FromPath[str]
) -> DriverStationResource:
    context, station = await _admitted(request, anybody, settings, strangers, code)
    seen = await driver.look(context, station)
    return _station(context, seen)


@post(
    "/{code:str}/start", status_code=200, summary="Begin to charge", responses=documented(404, 408, 409, 413, 415, 429)
)
async def driver_start(
    request: Asking,
    anybody: AnyContext,
    settings: AnySettings,
    strangers: KnownStrangers,
    lifetime: CallerLifetime,
    code: FromPath[str],
    data: JSONBody[StartBody],
) -> VisitResource:
    context, station = await _admitted(request, anybody, settings, strangers, code)
    try:
        command = await driver.start(
            context, station, evse_id=data.evse_id, id_token=data.id_token, payment_id=data.payment_id
        )
    except Invalid:
        strangers.wrong(_address(request), anybody.clock.now().protocol_s)
        raise
    command = await wait_for_end(context, lifetime, command, _WAIT_S)
    return _visit(await driver.visit(context, station, command.id))


@get("/{code:str}/visits/{visit:str}", summary="How it goes", responses=documented(404, 429))
async def driver_visit(
    request: Asking,
    anybody: AnyContext,
    settings: AnySettings,
    strangers: KnownStrangers,
    code: FromPath[str],
    visit: FromPath[str],
) -> VisitResource:
    context, station = await _admitted(request, anybody, settings, strangers, code)
    return _visit(await driver.visit(context, station, visit))


@post(
    "/{code:str}/visits/{visit:str}/stop",
    status_code=200,
    summary="End what one began",
    responses=documented(404, 409, 429),
)
async def driver_stop(
    request: Asking,
    anybody: AnyContext,
    settings: AnySettings,
    strangers: KnownStrangers,
    lifetime: CallerLifetime,
    code: FromPath[str],
    visit: FromPath[str],
) -> VisitResource:
    context, station = await _admitted(request, anybody, settings, strangers, code)
    command = await driver.stop(context, station, visit)
    command = await wait_for_end(context, lifetime, command, _WAIT_S)
    _must_be_accepted(command)
    return _visit(await driver.visit(context, station, visit))


@put(
    "/{code:str}/visits/{visit:str}/wish",
    summary="Say when one leaves, and how much energy one wants",
    responses=documented(404, 408, 409, 413, 415, 429),
)
async def driver_wish(
    request: Asking,
    anybody: AnyContext,
    settings: AnySettings,
    strangers: KnownStrangers,
    code: FromPath[str],
    visit: FromPath[str],
    data: JSONBody[WishBody],
) -> VisitResource:
    context, station = await _admitted(request, anybody, settings, strangers, code)
    return _visit(await driver.want(context, station, visit, departs_at=data.departs_at, energy_wh=data.energy_wh))


@get("/{code:str}/visits/{visit:str}/receipt", summary="The receipt", responses=documented(404, 429))
async def driver_receipt(
    request: Asking,
    anybody: AnyContext,
    settings: AnySettings,
    strangers: KnownStrangers,
    code: FromPath[str],
    visit: FromPath[str],
) -> Receipt:
    context, station = await _admitted(request, anybody, settings, strangers, code)
    found = await driver.visit(context, station, visit)
    session = None if found.session is None else found.session.session
    if session is None or not driver.is_billed(found) or session.cdr_number is None:
        raise NotFound("receipt of the visit", visit)
    return receipt_of(await cdrs.get_cdr(context, session.cdr_number), context.settings.money.issuer)


@post(
    "/{code:str}/payments",
    status_code=201,
    summary="Have money held for a session",
    responses=documented(404, 408, 409, 413, 415, 429),
)
async def driver_pay(
    request: Asking,
    anybody: AnyContext,
    settings: AnySettings,
    strangers: KnownStrangers,
    code: FromPath[str],
    data: JSONBody[PayBody],
) -> PaymentStateResource:
    context, station = await _admitted(request, anybody, settings, strangers, code)
    made = await driver.pay(context, station, provider=data.provider, method=data.method, evse_id=data.evse_id)
    return PaymentStateResource(
        payment_id=made.id, state=made.state, amount=made.amount, currency=made.currency, detail=made.detail
    )


@post(
    "/{code:str}/reservations",
    status_code=201,
    summary="Keep the place free for a token",
    responses=documented(404, 408, 409, 413, 415, 429),
)
async def driver_reserve(
    request: Asking,
    anybody: AnyContext,
    settings: AnySettings,
    strangers: KnownStrangers,
    lifetime: CallerLifetime,
    code: FromPath[str],
    data: JSONBody[ReserveBody],
) -> DriverReservationResource:
    context, station = await _admitted(request, anybody, settings, strangers, code)
    try:
        command, _ = await driver.reserve(
            context, station, evse_id=data.evse_id, id_token=data.id_token, minutes=data.minutes
        )
    except Invalid:
        strangers.wrong(_address(request), anybody.clock.now().protocol_s)
        raise
    command = await wait_for_end(context, lifetime, command, _WAIT_S)
    return await _reservation(context, station, command.id)


@get("/{code:str}/reservations/{reservation:str}", summary="A reservation one made", responses=documented(404, 429))
async def driver_reservation(
    request: Asking,
    anybody: AnyContext,
    settings: AnySettings,
    strangers: KnownStrangers,
    code: FromPath[str],
    reservation: FromPath[str],
) -> DriverReservationResource:
    context, station = await _admitted(request, anybody, settings, strangers, code)
    return await _reservation(context, station, reservation)


@delete(
    "/{code:str}/reservations/{reservation:str}",
    status_code=200,
    summary="Give a reservation back",
    responses=documented(404, 409, 429),
)
async def driver_cancel(
    request: Asking,
    anybody: AnyContext,
    settings: AnySettings,
    strangers: KnownStrangers,
    lifetime: CallerLifetime,
    code: FromPath[str],
    reservation: FromPath[str],
) -> DriverReservationResource:
    context, station = await _admitted(request, anybody, settings, strangers, code)
    command = await driver.cancel(context, station, reservation)
    _must_be_accepted(await wait_for_end(context, lifetime, command, _WAIT_S))
    return await _reservation(context, station, reservation)


@get(
    "/stations/{station_id:str}/driver-page",
    summary="The address of a station's page for drivers, and its QR code",
    responses=documented(404),
    tags=["Drivers"],
)
async def get_driver_page(
    context: CallerContext, settings: AnySettings, station_id: FromPath[str]
) -> DriverPageResource:
    if settings.driver_secret is None:
        raise NotFound("page for drivers, as api.driver_secret isn't set: of station", station_id)
    station = await stations.get_station(context, station_id)
    code = driver.code_of(settings.driver_secret, station.number)
    path = f"/d/{code}"
    url = None if settings.public_url is None else settings.public_url.rstrip("/") + path
    picture = segno.make(url or path, error="m").svg_inline(scale=4, border=2, dark="#000", light="#fff")
    return DriverPageResource(code=code, path=path, url=url, qr_svg=picture)


def _station(context: Context, seen: DriverStation) -> DriverStationResource:
    location, terms = seen.location, seen.terms
    return DriverStationResource(
        name=seen.station.name,
        location_name=None if location is None else location.name,
        location_address=None if location is None else location.address,
        connected=seen.station.connected,
        evses=tuple(
            DriverEvse(evse_id=one.evse_id, view=one.view, power_w=one.power_w)
            for one in seen.connectors
            if one.connector_id == 1
        ),
        currency=None if terms is None else terms.currency,
        elements=() if terms is None else terms.elements,
        tariff_text=None if terms is None else terms.alt_text,
        providers=tuple(sorted(context.payment_providers)),
        hold=driver.HOLD,
        now=context.clock.now().at,
    )


def _visit(found: Visit) -> VisitResource:
    transaction, view = found.transaction, found.session
    session = None if view is None else view.session
    cost = None if view is None or view.bill is None else view.bill.total_cost.incl_vat
    if session is not None and session.cost is not None and driver.is_billed(found):
        cost = session.cost.incl_vat
    return VisitResource(
        visit=found.command.id,
        state=found.command.state,
        charging=transaction is not None and transaction.ended_at is None,
        over=found.over,
        detail=found.command.detail,
        started_at=None if transaction is None else transaction.started_at,
        ended_at=None if transaction is None else transaction.ended_at,
        energy_wh=None if transaction is None else transaction.energy_wh,
        cost=cost,
        currency=None if session is None else session.currency,
        billed=driver.is_billed(found),
        departs_at=None if found.wish is None else found.wish.departs_at,
        wanted_energy_wh=None if found.wish is None else found.wish.energy_wh,
        now=found.now,
    )


async def _reservation(context: Context, station: Station, handle: str) -> DriverReservationResource:
    made = await driver.reservation(context, station, handle)
    return DriverReservationResource(
        reservation=handle, state=made.state, expires_at=made.expires_at, evse_id=made.evse_id
    )


def _must_be_accepted(command: Command) -> None:
    if command.state is not CommandState.ACCEPTED:
        raise Refused(HTTPStatus.CONFLICT, "the station did not do it; try again, or ask at the station")


router = Router(
    "/driver",
    route_handlers=[
        driver_station,
        driver_start,
        driver_visit,
        driver_stop,
        driver_wish,
        driver_receipt,
        driver_pay,
        driver_reserve,
        driver_reservation,
        driver_cancel,
    ],
    tags=["Drivers"],
    security=[],
)
