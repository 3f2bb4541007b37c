"""Prices and costs as a driver is shown them: before, while and after charging (OCPP 2.0.1 chapter I; California).

Guarantees
* Costs are what the CSMS says they are: nothing in here reckons one. Energy is in watt-hours, power in watts;
  prices are per kilowatt-hour and hour, as people read them.
"""

from datetime import datetime
from enum import StrEnum

import msgspec

from forecourt.domain.station import ConnectorStatus
from forecourt.domain.transaction import ChargingState


class CostState(StrEnum):
    """What a driver pays for at the moment."""

    CHARGING = "Charging"
    IDLE = "Idle"


class PriceText(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A text for people. `language`: by RFC 5646; None: the station's own."""

    text: str
    language: str | None = None


class ChargingPrice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What charging costs. None: there is no such price."""

    kwh_price: float | None = None
    hour_price: float | None = None
    flat_fee: float | None = None


class IdlePrice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What it costs to stay without charging."""

    grace_minutes: int | None = None
    hour_price: float | None = None


class NextPeriod(msgspec.Struct, frozen=True, kw_only=True):
    """The prices that come next."""

    at: datetime
    charging_price: ChargingPrice
    idle_price: IdlePrice | None = None


class MeterTrigger(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When the CSMS wants a meter value for the cost: at each of these, whichever come."""

    at: datetime | None = None
    energy_wh: float | None = None
    """The energy register; one that it had passed already when this was said counts from the transaction's start."""
    power_w: float | None = None
    """When the power crosses it, either way."""
    charging_states: tuple[ChargingState, ...] = ()
    """When charging at the connector comes into one of these states."""
    connector_states: tuple[ConnectorStatus, ...] = ()
    """When the connector comes into one of these."""
