"""`/driver/{code}`: the operations of the page behind a station's QR code, and of nothing else. No key is asked for.

Guarantees
* There is nothing here where no `driver_secret` is set, or for a code that it hasn't made.
* Starting and reserving need a token that may charge, or an authorised payment (`csms.driver`). Wrong codes and tokens
  are counted by address: after too many the answer is 429 for a while.
* No identity of the station, no token and no other driver's doings stand in any answer.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

import msgspec
import segno
from litestar import Request, Router, delete, get, post, put
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, JSONBody, SkipValidation

from forecourt.api.authentication import CallerContext
from forecourt.api.driver_bodies import (
    DriverEvse,
    DriverPageResource,
    DriverReservationResource,
    DriverStationResource,
    PayBody,
    PaymentStateResource,
    ReserveBody,
    StartBody,
    VisitResource,
)
from forecourt.api.lifetime import CallerLifetime
from forecourt.api.outcomes import wait_for_end
from forecourt.api.problems import Refused, documented
from forecourt.api.settings import ApiSettings
from forecourt.api.wishes import WishBody
from forecourt.csms import cdrs, driver, stations
from forecourt.csms.command_records import Command, CommandState
from forecourt.csms.driver import DriverStation, Visit
from forecourt.csms.errors import Invalid, NotFound
from forecourt.csms.logins import FailureCount
from forecourt.csms.ports import Context
from forecourt.csms.receipts import Receipt, receipt_of
from forecourt.csms.records import Station

_WAIT_S: Final = 12.0
"""How long a driver waits for the station's word before the page asks again."""
_FAILURES: Final = 20
_WINDOW_S: Final = 600.0

AnyContext = NamedDependency[SkipValidation[Context]]
AnySettings = NamedDependency[SkipValidation[ApiSettings]]


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


class Admitted(msgspec.Struct, frozen=True):
    """Who stands before a station, by its code."""

    context: Context
    station: Station
    miss: Callable[[], None]
    """Counts another wrong guess of theirs."""


async def admitted(
    request: Request[Any, Any, Any],
    anybody: AnyContext,
    settings: AnySettings,
    strangers: NamedDependency[SkipValidation[Strangers]],
    code: FromPath[str],
) -> Admitted:
    """The station that a code is of. Raises Refused, NotFound."""
    address = "" if request.client is None else request.client.host
    now_s = anybody.clock.now().protocol_s

    def miss() -> None:
        strangers.wrong(address, now_s)

    strangers.admit(address, now_s)
    if settings.driver_secret is None:
        raise NotFound("station with the code", code[:40])
    try:
        context, station = await driver.station_of(anybody, settings.driver_secret, code)
    except NotFound:
        miss()
        raise
    return Admitted(context, station, miss)


Here = NamedDependency[SkipValidation[Admitted]]


@get("/{code:str}", summary="The station behind a code", responses=documented(404, 429))
async def driver_station(here: Here) -> DriverStationResource:
    seen = await driver.look(here.context, here.station)
    return _station(here.context, seen)


@post(
    "/{code:str}/start", status_code=200, summary="Begin to charge", responses=documented(404, 408, 409, 413, 415, 429)
)
async def driver_start(here: Here, lifetime: CallerLifetime, data: JSONBody[StartBody]) -> VisitResource:
    try:
        command = await driver.start(
            here.context, here.station, evse_id=data.evse_id, id_token=data.id_token, payment_id=data.payment_id
        )
    except Invalid:
        here.miss()
        raise
    command = await wait_for_end(here.context, lifetime, command, _WAIT_S)
    return _visit(await driver.visit(here.context, here.station, command.id))


@get("/{code:str}/visits/{visit:str}", summary="How it goes", responses=documented(404, 429))
async def driver_visit(here: Here, visit: FromPath[str]) -> VisitResource:
    return _visit(await driver.visit(here.context, here.station, visit))


@post(
    "/{code:str}/visits/{visit:str}/stop",
    status_code=200,
    summary="End what one began",
    responses=documented(404, 409, 429),
)
async def driver_stop(here: Here, lifetime: CallerLifetime, visit: FromPath[str]) -> VisitResource:
    command = await driver.stop(here.context, here.station, visit)
    command = await wait_for_end(here.context, lifetime, command, _WAIT_S)
    _must_be_accepted(command)
    return _visit(await driver.visit(here.context, here.station, visit))


@put(
    "/{code:str}/visits/{visit:str}/wish",
    summary="Say when one leaves, and how much energy one wants",
    responses=documented(404, 408, 409, 413, 415, 429),
)
async def driver_wish(here: Here, visit: FromPath[str], data: JSONBody[WishBody]) -> VisitResource:
    return _visit(
        await driver.want(here.context, here.station, visit, departs_at=data.departs_at, energy_wh=data.energy_wh)
    )


@get("/{code:str}/visits/{visit:str}/receipt", summary="The receipt", responses=documented(404, 429))
async def driver_receipt(here: Here, visit: FromPath[str]) -> Receipt:
    found = await driver.visit(here.context, here.station, visit)
    session = None if found.session is None else found.session.session
    if session is None or not driver.is_billed(found) or session.cdr_number is None:
        raise NotFound("receipt of the visit", visit)
    return receipt_of(await cdrs.get_cdr(here.context, session.cdr_number), here.context.settings.money.issuer)


@post(
    "/{code:str}/payments",
    status_code=201,
    summary="Have money held for a session",
    responses=documented(404, 408, 409, 413, 415, 429),
)
async def driver_pay(here: Here, data: JSONBody[PayBody]) -> PaymentStateResource:
    made = await driver.pay(
        here.context, here.station, provider=data.provider, method=data.method, evse_id=data.evse_id
    )
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
    here: Here, lifetime: CallerLifetime, data: JSONBody[ReserveBody]
) -> DriverReservationResource:
    try:
        command, _ = await driver.reserve(
            here.context, here.station, evse_id=data.evse_id, id_token=data.id_token, minutes=data.minutes
        )
    except Invalid:
        here.miss()
        raise
    command = await wait_for_end(here.context, lifetime, command, _WAIT_S)
    return await _reservation(here.context, here.station, command.id)


@get("/{code:str}/reservations/{reservation:str}", summary="A reservation one made", responses=documented(404, 429))
async def driver_reservation(here: Here, reservation: FromPath[str]) -> DriverReservationResource:
    return await _reservation(here.context, here.station, reservation)


@delete(
    "/{code:str}/reservations/{reservation:str}",
    status_code=200,
    summary="Give a reservation back",
    responses=documented(404, 409, 429),
)
async def driver_cancel(here: Here, lifetime: CallerLifetime, reservation: FromPath[str]) -> DriverReservationResource:
    command = await driver.cancel(here.context, here.station, reservation)
    _must_be_accepted(await wait_for_end(here.context, lifetime, command, _WAIT_S))
    return await _reservation(here.context, here.station, reservation)


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
        completes_at=None if found.completion is None else found.completion.estimated_at,
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
    dependencies={"here": Provide(admitted)},
    tags=["Drivers"],
    security=[],
)
