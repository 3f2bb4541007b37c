"""A bill as it is kept and shown: totals, the lines and taxes that they are made of, and the charging periods.

Guarantees
* Lines add up to the total, and so do taxes and what they are on, to the coin; periods add up to the volumes.
* Amounts have all the decimals of their currency's smallest coin.
"""

from datetime import datetime
from decimal import Decimal

import msgspec

from forecourt.csms.tariff_terms import TariffDimension


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """Base of what a bill shows."""


class Price(Shown, frozen=True, kw_only=True):
    """An amount in the currency's coins (OCPI Price)."""

    excl_vat: Decimal
    incl_vat: Decimal


class CostLine(Shown, frozen=True, kw_only=True):
    """What one price component, or a limit of the price, comes to."""

    dimension: TariffDimension | None
    """None: what `min_price` adds, or `max_price` takes off (that is below 0)."""
    price: Decimal | None
    vat: Decimal | None
    step_size: int
    volume: Decimal
    """Kilowatt-hours, hours, or 1."""
    billed_volume: Decimal
    """After `step_size`."""
    cost: Price


class TaxLine(Shown, frozen=True, kw_only=True):
    """The VAT of one rate."""

    vat: Decimal | None
    excl_vat: Decimal
    amount: Decimal


class PeriodDimension(Shown, frozen=True, kw_only=True):
    """How much of something was used in a period (OCPI CdrDimension)."""

    type: TariffDimension
    volume: Decimal
    """Kilowatt-hours or hours."""


class ChargingPeriod(Shown, frozen=True, kw_only=True):
    """A stretch over which the same prices held (OCPI ChargingPeriod). It ends where the next begins."""

    start_date_time: datetime
    dimensions: tuple[PeriodDimension, ...]


class Bill(Shown, frozen=True, kw_only=True):
    """What a session costs, and why."""

    currency: str
    total_cost: Price
    total_fixed_cost: Price
    total_energy_cost: Price
    total_time_cost: Price
    total_parking_cost: Price
    total_energy: Decimal
    """Kilowatt-hours."""
    total_time: Decimal
    """Hours, idle ones included."""
    total_parking_time: Decimal
    """Hours in which the car was connected and wanted nothing."""
    lines: tuple[CostLine, ...]
    """They add up to the total."""
    taxes: tuple[TaxLine, ...]
    """They too."""
    charging_periods: tuple[ChargingPeriod, ...]
