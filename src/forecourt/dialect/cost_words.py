"""How costs are written: the JSON of the application note "OCPP & California Pricing Requirements", which OCPP 1.6 puts
inside of DataTransfer, and OCPP 2.0.1 into the customData of CostUpdated.

Guarantees
* Watt-hours and watts here, kilowatt-hours and kilowatts there for what triggers a meter value; prices stay per kWh.
* A state of a connector that triggers a meter value goes by the words of OCPP 1.6, as the note has it.
"""

import math
from typing import Final

import msgspec

from forecourt.dialect.v16_calls import CHARGING_STATES, CONNECTOR_STATES
from forecourt.dialect.wire import Deviations, plain
from forecourt.dialect.wire import said as said_word
from forecourt.domain import cost as c
from forecourt.domain import requests as r
from forecourt.messages import v16 as m
from forecourt.messages.base import Datatype, Instant, settle_instant

VENDOR_ID: Final = "org.openchargealliance.costmsg"

_CHARGING_SAID: Final = {state: word for word, state in CHARGING_STATES.items()}
_CONNECTOR_SAID: Final = {state: word for word, state in CONNECTOR_STATES.items()}


class ChargingPrice(Datatype, frozen=True, kw_only=True):
    """What charging costs."""

    kwh_price: float | None = msgspec.field(default=None, name="kWhPrice")
    hour_price: float | None = msgspec.field(default=None, name="hourPrice")
    flat_fee: float | None = msgspec.field(default=None, name="flatFee")


class IdlePrice(Datatype, frozen=True, kw_only=True):
    """What idling costs."""

    grace_minutes: int | None = msgspec.field(default=None, name="graceMinutes")
    hour_price: float | None = msgspec.field(default=None, name="hourPrice")


class NextPeriod(Datatype, frozen=True, kw_only=True):
    """What comes next."""

    at_time: Instant = msgspec.field(name="atTime")
    charging_price: ChargingPrice = msgspec.field(name="chargingPrice")
    idle_price: IdlePrice | None = msgspec.field(default=None, name="idlePrice")

    def __post_init__(self) -> None:
        settle_instant(self, "at_time", self.at_time)


class TriggerMeterValue(Datatype, frozen=True, kw_only=True):
    """When to send a meter value."""

    at_time: Instant | None = msgspec.field(default=None, name="atTime")
    at_energy_kwh: float | None = msgspec.field(default=None, name="atEnergykWh")
    at_power_kw: float | None = msgspec.field(default=None, name="atPowerkW")
    at_cp_status: tuple[m.ChargePointStatus, ...] | None = msgspec.field(default=None, name="atCPStatus")

    def __post_init__(self) -> None:
        settle_instant(self, "at_time", self.at_time)


class Details(Datatype, frozen=True, kw_only=True):
    """What a cost so far is made of."""

    timestamp: Instant | None = None
    meter_value: float | None = msgspec.field(default=None, name="meterValue")
    state: c.CostState | None = None
    charging_price: ChargingPrice | None = msgspec.field(default=None, name="chargingPrice")
    idle_price: IdlePrice | None = msgspec.field(default=None, name="idlePrice")
    next_period: NextPeriod | None = msgspec.field(default=None, name="nextPeriod")
    trigger_meter_value: TriggerMeterValue | None = msgspec.field(default=None, name="triggerMeterValue")

    def __post_init__(self) -> None:
        settle_instant(self, "timestamp", self.timestamp)


def heard(transaction_id: str, total_cost: float, details: Details, deviations: Deviations) -> r.CostUpdated:
    """What it means."""
    following, trigger = details.next_period, details.trigger_meter_value
    words = () if trigger is None else trigger.at_cp_status or ()
    if total_cost < 0:
        deviations.note("cost", "must not be below 0")
    return r.CostUpdated(
        transaction_id=transaction_id,
        total_cost=total_cost,
        at=plain(details.timestamp),
        register_wh=details.meter_value,
        state=details.state,
        charging_price=None if details.charging_price is None else _price(details.charging_price),
        idle_price=None if details.idle_price is None else _idle(details.idle_price),
        next_period=None
        if following is None
        else c.NextPeriod(
            at=plain(following.at_time),
            charging_price=_price(following.charging_price),
            idle_price=None if following.idle_price is None else _idle(following.idle_price),
        ),
        trigger=None
        if trigger is None
        else c.MeterTrigger(
            at=plain(trigger.at_time),
            energy_wh=_thousandfold(trigger.at_energy_kwh),
            power_w=_thousandfold(trigger.at_power_kw),
            charging_states=tuple(CHARGING_STATES[word] for word in words if word in CHARGING_STATES),
            connector_states=tuple(CONNECTOR_STATES[word] for word in words if word in CONNECTOR_STATES),
        ),
    )


def said(request: r.CostUpdated) -> Details:
    """The same on the wire."""
    following, trigger = request.next_period, request.trigger
    return Details(
        timestamp=request.at,
        meter_value=request.register_wh,
        state=request.state,
        charging_price=None if request.charging_price is None else _price_said(request.charging_price),
        idle_price=None if request.idle_price is None else _idle_said(request.idle_price),
        next_period=None
        if following is None
        else NextPeriod(
            at_time=following.at,
            charging_price=_price_said(following.charging_price),
            idle_price=None if following.idle_price is None else _idle_said(following.idle_price),
        ),
        trigger_meter_value=None
        if trigger is None
        else TriggerMeterValue(
            at_time=trigger.at,
            at_energy_kwh=_thousandth(trigger.energy_wh),
            at_power_kw=_thousandth(trigger.power_w),
            at_cp_status=(
                *(said_word(_CHARGING_SAID, state) for state in trigger.charging_states),
                *(said_word(_CONNECTOR_SAID, state) for state in trigger.connector_states),
            )
            or None,
        ),
    )


def _price(wire: ChargingPrice) -> c.ChargingPrice:
    return c.ChargingPrice(kwh_price=wire.kwh_price, hour_price=wire.hour_price, flat_fee=wire.flat_fee)


def _price_said(meant: c.ChargingPrice) -> ChargingPrice:
    return ChargingPrice(kwh_price=meant.kwh_price, hour_price=meant.hour_price, flat_fee=meant.flat_fee)


def _idle(wire: IdlePrice) -> c.IdlePrice:
    return c.IdlePrice(grace_minutes=wire.grace_minutes, hour_price=wire.hour_price)


def _idle_said(meant: c.IdlePrice) -> IdlePrice:
    return IdlePrice(grace_minutes=meant.grace_minutes, hour_price=meant.hour_price)


def _thousandfold(value: float | None) -> float | None:
    return None if value is None else _tidy(value * 1000.0)


def _thousandth(value: float | None) -> float | None:
    return None if value is None else _tidy(value / 1000.0)


def _tidy(value: float) -> float:
    """Without what binary arithmetic has added."""
    return round(value, 9) if math.isfinite(value) else value
