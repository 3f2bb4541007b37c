"""What a tariff says, in the terms of OCPI 2.2.1 (module Tariffs), and what of it can't be.

Guarantees
* A tariff that passed `check_terms` can be priced: every number is bounded, every restriction can match something,
  every price limit is one (`pricing` relies on it).
* Prices are without VAT, each component with its own rate, as OCPI 2.2.1 has it. Reservations have no price here: a
  tariff that asks one is refused, not silently free.
"""

import re
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

import msgspec

from forecourt.csms.errors import Invalid
from forecourt.csms.money import EXPONENTS, check_amount, check_currency


class Terms(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Base of what a tariff is made of."""


class TariffDimension(StrEnum):
    """What is paid for (OCPI TariffDimensionType)."""

    FLAT = "FLAT"
    """A fee for the session."""
    ENERGY = "ENERGY"
    """Per kilowatt-hour; `step_size` in watt-hours."""
    TIME = "TIME"
    """Per hour of charging; `step_size` in seconds."""
    PARKING_TIME = "PARKING_TIME"
    """Per hour in which the car is connected and wants nothing; `step_size` in seconds."""


class DayOfWeek(StrEnum):
    """In the location's time zone."""

    MONDAY = "MONDAY"
    TUESDAY = "TUESDAY"
    WEDNESDAY = "WEDNESDAY"
    THURSDAY = "THURSDAY"
    FRIDAY = "FRIDAY"
    SATURDAY = "SATURDAY"
    SUNDAY = "SUNDAY"


class TariffType(StrEnum):
    """Who a tariff is for. Charging preferences (CHEAP, FAST, GREEN) are none of ours yet."""

    REGULAR = "REGULAR"
    AD_HOC_PAYMENT = "AD_HOC_PAYMENT"
    """For those who pay on the spot."""


class PriceComponent(Terms, frozen=True, kw_only=True):
    """How much of a dimension comes to how much money."""

    type: TariffDimension
    price: Decimal
    """Per kilowatt-hour, per hour, or for the session; without VAT."""
    vat: Decimal | None = None
    """Percent. None: no VAT applies."""
    step_size: int = 1
    """The session's total is billed in blocks of so many watt-hours or seconds. Nothing to a flat fee."""


class TariffRestrictions(Terms, frozen=True, kw_only=True):
    """When an element counts: while all that is given here is so. A minimum is inclusive, a maximum exclusive."""

    start_time: str | None = None
    """HH:MM in the location's time zone."""
    end_time: str | None = None
    """Not after `start_time`: the element goes on into the next day."""
    start_date: str | None = None
    """YYYY-MM-DD in the location's time zone, inclusive."""
    end_date: str | None = None
    """Exclusive."""
    min_kwh: Decimal | None = None
    max_kwh: Decimal | None = None
    min_current: Decimal | None = None
    """Ampere, summed over the phases."""
    max_current: Decimal | None = None
    min_power: Decimal | None = None
    """Kilowatts."""
    max_power: Decimal | None = None
    min_duration: int | None = None
    """Seconds since the session's start."""
    max_duration: int | None = None
    day_of_week: tuple[DayOfWeek, ...] = ()
    """Empty: on every day."""


class TariffElement(Terms, frozen=True, kw_only=True):
    """Components that count under the same restrictions."""

    price_components: tuple[PriceComponent, ...]
    restrictions: TariffRestrictions | None = None


class PriceLimit(Terms, frozen=True, kw_only=True):
    """The least or the most that a session costs (OCPI Price)."""

    excl_vat: Decimal
    incl_vat: Decimal | None = None
    """None: follows from `excl_vat` by the VAT of what was used."""


class TariffTerms(Terms, frozen=True, kw_only=True):
    """What a tariff says. Of several elements with a component of one dimension, the first that counts is taken."""

    currency: str
    """ISO 4217."""
    elements: tuple[TariffElement, ...]
    type: TariffType = TariffType.REGULAR
    name: str | None = None
    alt_text: str | None = None
    """For people, on receipts and in lists (OCPI tariff_alt_text)."""
    alt_url: str | None = None
    min_price: PriceLimit | None = None
    max_price: PriceLimit | None = None
    start_date_time: datetime | None = None
    """Sessions that begin before this are not under this tariff."""
    end_date_time: datetime | None = None
    """Sessions that begin at this moment or later are not under this tariff."""


_TIME: Final = re.compile(r"^([01][0-9]|2[0-3]):[0-5][0-9]$")
_DATE: Final = re.compile(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")
_MOST_ELEMENTS: Final = 100
_LONGEST_STEP: Final = 10_000_000
_LONGEST_DURATION_S: Final = 366 * 86_400
_RANGES: Final = ("kwh", "current", "power")


def check_terms(terms: TariffTerms) -> None:
    """Raises Invalid, naming the field by its path, where the terms can't be."""
    check_currency("currency", terms.currency)
    if not 0 < len(terms.elements) <= _MOST_ELEMENTS:
        raise Invalid("elements", f"must have 1 to {_MOST_ELEMENTS} items")
    for number, element in enumerate(terms.elements):
        path = f"elements[{number}]"
        if not 0 < len(element.price_components) <= len(TariffDimension):
            raise Invalid(f"{path}.price_components", f"must have 1 to {len(TariffDimension)} items")
        seen = set()
        for index, component in enumerate(element.price_components):
            where = f"{path}.price_components[{index}]"
            if component.type in seen:
                raise Invalid(f"{where}.type", "is there already in this element")
            seen.add(component.type)
            _check_component(where, component)
        if element.restrictions is not None:
            _check_restrictions(f"{path}.restrictions", element.restrictions)
    _check_limits(terms)
    begin, end = terms.start_date_time, terms.end_date_time
    for field, moment in (("start_date_time", begin), ("end_date_time", end)):
        if moment is not None and moment.tzinfo is None:
            raise Invalid(field, "must have a time zone")
    if begin is not None and end is not None and begin >= end:
        raise Invalid("end_date_time", "must be after start_date_time")


def _check_component(path: str, component: PriceComponent) -> None:
    check_amount(f"{path}.price", component.price, most=Decimal(1_000_000))
    if component.vat is not None:
        check_amount(f"{path}.vat", component.vat, most=Decimal(100), decimals=4)
    if not 1 <= component.step_size <= _LONGEST_STEP:
        raise Invalid(f"{path}.step_size", f"must be from 1 to {_LONGEST_STEP}")


def _check_restrictions(path: str, restrictions: TariffRestrictions) -> None:
    for field in ("start_time", "end_time"):
        text = getattr(restrictions, field)
        if text is not None and not _TIME.match(text):
            raise Invalid(f"{path}.{field}", "must be a time of day such as 07:30")
    dates = []
    for field in ("start_date", "end_date"):
        text = getattr(restrictions, field)
        if text is not None:
            try:
                dates.append(date.fromisoformat(text if _DATE.match(text) else ""))
            except ValueError:
                raise Invalid(f"{path}.{field}", "must be a date such as 2026-12-24") from None
    if len(dates) == 2 and dates[0] >= dates[1]:
        raise Invalid(f"{path}.end_date", "must be after start_date")
    for quantity in _RANGES:
        least, most = getattr(restrictions, f"min_{quantity}"), getattr(restrictions, f"max_{quantity}")
        for field, value in ((f"min_{quantity}", least), (f"max_{quantity}", most)):
            if value is not None:
                check_amount(f"{path}.{field}", value, most=Decimal(1_000_000))
        if least is not None and most is not None and least >= most:
            raise Invalid(f"{path}.max_{quantity}", f"must be more than min_{quantity}")
    for field in ("min_duration", "max_duration"):
        duration_s = getattr(restrictions, field)
        if duration_s is not None and not 0 <= duration_s <= _LONGEST_DURATION_S:
            raise Invalid(f"{path}.{field}", f"must be from 0 to {_LONGEST_DURATION_S}")
    least_s, most_s = restrictions.min_duration, restrictions.max_duration
    if least_s is not None and most_s is not None and least_s >= most_s:
        raise Invalid(f"{path}.max_duration", "must be more than min_duration")


def _check_limits(terms: TariffTerms) -> None:
    decimals = EXPONENTS[terms.currency]
    for field, limit in (("min_price", terms.min_price), ("max_price", terms.max_price)):
        if limit is None:
            continue
        check_amount(f"{field}.excl_vat", limit.excl_vat, decimals=decimals)
        if limit.incl_vat is not None:
            check_amount(f"{field}.incl_vat", limit.incl_vat, decimals=decimals)
            if limit.incl_vat < limit.excl_vat:
                raise Invalid(f"{field}.incl_vat", "must not be less than excl_vat")
    least, most = terms.min_price, terms.max_price
    if least is None or most is None:
        return
    if least.excl_vat > most.excl_vat:
        raise Invalid("max_price.excl_vat", "must not be less than that of min_price")
    if least.incl_vat is not None and most.incl_vat is not None and least.incl_vat > most.incl_vat:
        raise Invalid("max_price.incl_vat", "must not be less than that of min_price")


def describe(terms: TariffTerms) -> str:
    """The terms in a line, for people."""
    if terms.alt_text:
        return terms.alt_text
    units = {
        TariffDimension.ENERGY: " per kWh",
        TariffDimension.TIME: " per hour of charging",
        TariffDimension.PARKING_TIME: " per hour of idling",
        TariffDimension.FLAT: " per session",
    }
    said = []
    for element in terms.elements:
        under = "" if element.restrictions is None else " (at times)"
        said += [f"{entry.price:f} {terms.currency}{units[entry.type]}{under}" for entry in element.price_components]
    return ", ".join(dict.fromkeys(said)) + ", VAT excluded"
