"""Prices and costs for the eyes of drivers: told to stations that show them (California pricing requirements; OCPP
2.0.1 chapter I).

Guarantees
* Only with `money.show_costs`, and only to stations that have said that they show costs; they are asked when they boot.
* A driver's price is told when a token was accepted; the cost so far each time that it is reckoned anew, and the final
  cost when the session is billed. All of it is what `billing` makes of the session, with VAT. Where a protocol has no
  message for the price it is not told, and the final cost goes with the answer to the end (OCPP 2.0.1 I03).
* With the cost so far goes when the station should send a meter value for the next: where the price changes by the
  clock or by energy, and when the car stops charging where idling has its price.
* It is a display: what does not arrive is not repeated, and no bill depends on it.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import msgspec

from forecourt.csms import commands, published
from forecourt.csms.bill import Bill
from forecourt.csms.command_records import CommandOrigin
from forecourt.csms.money_records import Session, SessionState, Tariff
from forecourt.csms.ports import Books, Context
from forecourt.csms.pricing import Usage, in_force, next_change
from forecourt.csms.records import ConnectedStation, Transaction, TransactionState
from forecourt.csms.tariff_clock import thresholds_wh
from forecourt.csms.tariff_terms import PriceComponent, TariffDimension, describe
from forecourt.csms.tariffs import tariff_for
from forecourt.csms.work import Work
from forecourt.csms.zones import zone
from forecourt.domain.cost import ChargingPrice, CostState, IdlePrice, MeterTrigger, NextPeriod, PriceText
from forecourt.domain.requests import (
    Authorize,
    AuthorizeAnswer,
    ConnectorUnplugged,
    CostUpdated,
    CsmsRequest,
    GetVariables,
    RequestAnswer,
    RequestStatus,
    ShowFinalCost,
    ShowPrice,
)
from forecourt.domain.token import AuthorizationStatus
from forecourt.domain.transaction import ChargingState
from forecourt.domain.variable import VariableRef

SWITCHES: Final = (
    VariableRef("ConfigurationKey", "CustomDisplayCostAndPrice"),
    VariableRef("TariffCostCtrlr", "Enabled", "Cost"),
)
"""Variables that say that costs are shown: one of them true."""

_AHEAD: Final = timedelta(days=1)
_IDLING: Final = (ChargingState.SUSPENDED_EV, ChargingState.EV_CONNECTED)


async def booted(context: Context, station: ConnectedStation) -> None:
    """Ask whether the station shows costs."""
    if wanted(context):
        known = station.capabilities.variables_in_batches
        request = GetVariables(refs=SWITCHES[1:] if known else SWITCHES[:1])
        await commands.issue(context, station.id, request, origin=CommandOrigin.CSMS)


async def authorized(context: Context, station: ConnectedStation, request: Authorize, answer: AuthorizeAnswer) -> None:
    """A token was asked about: whoever may charge is shown what it costs."""
    if not wanted(context) or answer.id_token_info.status is not AuthorizationStatus.ACCEPTED:
        return
    if not station.capabilities.prices_by_messages:
        return
    at = context.clock.now().at

    def query(books: Books) -> Tariff | None:
        if not _shows(books, station.number):
            return None
        known = books.stations.by_number(station.number)
        return tariff_for(
            books,
            station.organisation_id,
            id_token=request.id_token.value,
            station_id=station.id,
            location_id=None if known is None else known.location_id,
            ad_hoc=False,
            at=at,
        )

    tariff = await context.store.read(query)
    if tariff is not None:
        price = ShowPrice(id_token=request.id_token, texts=(PriceText(text=describe(tariff.terms)),))
        await _tell(context, station.id, price)


async def reckoned(
    context: Context,
    session: Session,
    transaction: Transaction,
    tariff: Tariff | None,
    bill: Bill | None,
    usage: Usage | None,
) -> None:
    """A session was reckoned, and is in the books as it is given here: tell its station."""
    if not wanted(context) or tariff is None or bill is None or usage is None:
        return

    def query(books: Books) -> str | None:
        known = books.stations.by_number(transaction.station_number)
        shows = known is not None and known.connected and _shows(books, transaction.station_number)
        return (known.protocol or "") if shows and known is not None else None

    protocol = await context.store.read(query)
    if transaction.transaction_id is None or protocol is None:
        return
    its = _in_name_of(context, session.organisation_id)
    if transaction.state is TransactionState.ACTIVE:
        cost = _cost(session, transaction, tariff, bill, usage, context.clock.now().at)
        await _tell(its, session.station_id, cost)
    elif session.state is SessionState.COMPLETED and _has_messages(context, protocol):
        final = ShowFinalCost(
            transaction_id=transaction.transaction_id,
            total_cost=float(bill.total_cost.incl_vat),
            texts=(PriceText(text=_summary(bill)),),
        )
        await _tell(its, session.station_id, final)


def unplugged(work: Work, request: ConnectorUnplugged) -> RequestAnswer:
    """A car that had stayed after its transaction has left: told to who listens."""
    transaction = work.books.transactions.by_wire_id(work.station.number, request.transaction_id)
    if transaction is None:
        return RequestAnswer(outcome=RequestStatus.REJECTED)
    body = published.ConnectorUnpluggedBody(transaction_number=transaction.number, at=request.at)
    work.tell(published.CONNECTOR_UNPLUGGED, body)
    return RequestAnswer(outcome=RequestStatus.ACCEPTED)


def wanted(context: Context) -> bool:
    """Whether anybody is told."""
    return context.settings.money.show_costs and context.settings.unsolicited_calls


def _shows(books: Books, station_number: int) -> bool:
    reported = books.stations.reported(station_number)
    return any(entry.ref in SWITCHES and (entry.value or "").casefold() == "true" for entry in reported)


def _has_messages(context: Context, protocol: str) -> bool:
    """Whether a final cost has a message of its own; else it went with the answer to the end."""
    capabilities = context.capabilities.get(protocol)
    return capabilities is None or capabilities.prices_by_messages


def _in_name_of(context: Context, organisation_id: int) -> Context:
    return msgspec.structs.replace(context, organisation_id=organisation_id)


async def _tell(context: Context, station_id: str, request: CsmsRequest) -> None:
    await commands.issue(context, station_id, request, origin=CommandOrigin.CSMS)


def _cost(
    session: Session, transaction: Transaction, tariff: Tariff, bill: Bill, usage: Usage, now: datetime
) -> CostUpdated:
    place = zone(session.time_zone)
    components, charging = in_force(tariff.terms, usage, place)
    change = next_change(tariff.terms, usage, place, until=max(now, usage.end) + _AHEAD)
    following = None
    if change is not None:
        at, later = change
        following = NextPeriod(at=at, charging_price=_charging_price(later), idle_price=_idle_price(later))
    energy_wh = usage.energy_wh
    thresholds = sorted(threshold for threshold in thresholds_wh(tariff.terms) if threshold > energy_wh)
    start_wh = transaction.meter_start_wh
    idles = TariffDimension.PARKING_TIME in {
        component.type for element in tariff.terms.elements for component in element.price_components
    }
    trigger = MeterTrigger(
        at=None if following is None else following.at,
        energy_wh=None if not thresholds or start_wh is None else start_wh + float(thresholds[0]),
        charging_states=_IDLING if idles else (),
    )
    return CostUpdated(
        transaction_id=transaction.transaction_id or "",
        total_cost=float(bill.total_cost.incl_vat),
        at=usage.end,
        register_wh=None if start_wh is None else round(start_wh + float(energy_wh)),
        state=CostState.CHARGING if charging else CostState.IDLE,
        charging_price=_charging_price(components),
        idle_price=_idle_price(components),
        next_period=following,
        trigger=None if trigger == MeterTrigger() else trigger,
    )


def _charging_price(components: dict[TariffDimension, PriceComponent]) -> ChargingPrice:
    return ChargingPrice(
        kwh_price=_price(components.get(TariffDimension.ENERGY)),
        hour_price=_price(components.get(TariffDimension.TIME)),
        flat_fee=_price(components.get(TariffDimension.FLAT)),
    )


def _idle_price(components: dict[TariffDimension, PriceComponent]) -> IdlePrice | None:
    price = _price(components.get(TariffDimension.PARKING_TIME))
    return None if price is None else IdlePrice(hour_price=price)


def _price(component: PriceComponent | None) -> float | None:
    if component is None:
        return None
    with_vat = component.price * (1 + (component.vat or Decimal(0)) / 100)
    return float(round(with_vat, 6))


def _summary(bill: Bill) -> str:
    """What it was for, in a line."""
    hours = bill.total_time
    minutes = int(hours * 60)
    said = f"{bill.total_energy:.3f} kWh, {minutes // 60}:{minutes % 60:02d} h"
    if bill.total_parking_time:
        idle = int(bill.total_parking_time * 60)
        said += f", {idle // 60}:{idle % 60:02d} h of it idle"
    return f"{said}: {bill.total_cost.incl_vat} {bill.currency}"
