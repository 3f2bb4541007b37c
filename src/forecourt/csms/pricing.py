"""What a session costs: a tariff's terms, put to what was used (OCPI 2.2.1, modules Tariffs and CDRs).

Guarantees
* Pure and exact: all is reckoned in fractions; nothing is rounded before the totals (`money`). However finely the use
  is told, as long as it is the same use, the bill is the same to the last coin.
* Of several elements with a component of one dimension, the first whose restrictions hold at that moment counts; where
  none holds, nothing is owed for that dimension.
* Restrictions are looked at moment by moment: a price changes where the clock strikes (in the location's time zone,
  summer time and all), where so much energy has flowed, or so much time has passed since the start. Between two
  readings energy is taken to flow evenly, so that the moment and the energy of a change are interpolated.
* `step_size` rounds a session's total up once for ENERGY and once for TIME and PARKING_TIME together: by the component
  that was in force last, and the surplus is owed at that component's price.
* One flat fee for a session: of the first FLAT component that holds.
* `min_price` and `max_price` bound the totals without and with VAT each.
* No total is below 0, and none with VAT is below the one without.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Final, NamedTuple

from forecourt.csms.bill import Bill, ChargingPeriod, CostLine, PeriodDimension, Price, TaxLine
from forecourt.csms.money import EXPONENTS, amount_of, coins, coins_of, decimal_of, divided
from forecourt.csms.tariff_clock import Moment, TariffClock, from_us, thresholds_wh, to_us
from forecourt.csms.tariff_terms import PriceComponent, TariffDimension, TariffTerms

_HOUR_US: Final = 3_600_000_000
_DIGITS: Final = 6
"""Of the volumes that are shown: a milliwatt-hour, and four milliseconds."""


class Segment(NamedTuple):
    """A stretch of a session over which energy flowed evenly."""

    start: datetime
    end: datetime
    energy_wh: Fraction
    charging: bool
    """False: the car was connected and wanted nothing."""
    current_a: Fraction | None = None
    """Summed over the phases; None: not measured, so that no restriction on it holds."""


class Usage(NamedTuple):
    """A session as its meter tells it: segments in order, each beginning where the one before ends."""

    start: datetime
    end: datetime
    segments: tuple[Segment, ...]

    @property
    def energy_wh(self) -> Fraction:
        """All of it."""
        return sum((segment.energy_wh for segment in self.segments), Fraction(0))


class _Piece(NamedTuple):
    """A stretch over which nothing changes that a price could depend on. Times in microseconds since 1970."""

    start_us: Fraction
    end_us: Fraction
    energy_wh: Fraction
    charging: bool
    active: dict[TariffDimension, int]
    """By dimension the element in force."""


class _Owed:
    """What has come together for one component."""

    def __init__(self, component: PriceComponent) -> None:
        self.component = component
        self.volume = Fraction(0)
        self.surplus = Fraction(0)
        """By `step_size`."""

    @property
    def excl_vat(self) -> Fraction:
        return (self.volume + self.surplus) * Fraction(self.component.price)

    @property
    def tax(self) -> Fraction:
        return self.excl_vat * Fraction(self.component.vat or 0) / 100


def price(terms: TariffTerms, usage: Usage, zone: tzinfo) -> Bill:
    """The bill of a session that is over, or of one that runs as if it ended now.

    Args:
        terms: Checked (`tariff_terms.check_terms`).
        usage: No segment with energy below 0.
        zone: The location's.
    """
    pieces = list(_pieces(terms, usage, zone))
    owed: dict[tuple[int, TariffDimension], _Owed] = {}
    _add_flat_fee(terms, usage, zone, pieces, owed)
    for piece in pieces:
        for dimension, volume in _volumes(piece):
            if volume and dimension in piece.active:
                _owed(terms, owed, piece.active[dimension], dimension).volume += volume
    _apply_steps(pieces, owed)
    order = list(TariffDimension)
    lines = [owed[key] for key in sorted(owed, key=lambda key: (order.index(key[1]), key[0]))]
    return _bill(terms, usage, pieces, lines)


def in_force(terms: TariffTerms, usage: Usage, zone: tzinfo) -> tuple[dict[TariffDimension, PriceComponent], bool]:
    """What is paid at the end of `usage`, by dimension; and whether the car charges then."""
    last: _Piece | None = None
    for piece in _pieces(terms, usage, zone):
        last = piece
    if last is None:
        return {}, True
    return {dimension: _component(terms, number, dimension) for dimension, number in last.active.items()}, last.charging


def next_change(
    terms: TariffTerms, usage: Usage, zone: tzinfo, *, until: datetime
) -> tuple[datetime, dict[TariffDimension, PriceComponent]] | None:
    """When the clock next changes what is paid if nothing else does, and to what; None: not before `until`."""
    now, charging = in_force(terms, usage, zone)
    end_us = to_us(usage.end)
    current_a = usage.segments[-1].current_a if usage.segments else None
    for at_us in sorted(TariffClock(terms, usage.start, until, zone).cuts_us):
        if at_us <= end_us or at_us >= to_us(until):
            continue
        at = from_us(at_us)
        just_after = from_us(at_us + 1)
        still = Segment(usage.end, at, Fraction(0), charging, current_a)
        then = Segment(at, just_after, Fraction(0), charging, current_a)
        later, _ = in_force(terms, Usage(usage.start, just_after, (*usage.segments, still, then)), zone)
        if later != now:
            return at, later
    return None


def _component(terms: TariffTerms, number: int, dimension: TariffDimension) -> PriceComponent:
    return next(entry for entry in terms.elements[number].price_components if entry.type is dimension)


# Which price holds when


def _pieces(terms: TariffTerms, usage: Usage, zone: tzinfo) -> Iterator[_Piece]:
    begin_us = to_us(usage.start)
    clock = TariffClock(terms, usage.start, usage.end, zone)
    thresholds = sorted(thresholds_wh(terms))
    so_far_wh = Fraction(0)
    for segment in usage.segments:
        start_us, end_us = to_us(segment.start), to_us(segment.end)
        length_us = end_us - start_us
        cuts = {Fraction(0), Fraction(1)}
        if length_us:
            cuts |= {Fraction(at - start_us, length_us) for at in clock.cuts_us if start_us < at < end_us}
        if segment.energy_wh:
            for threshold in thresholds:
                where = (threshold - so_far_wh) / segment.energy_wh
                if 0 < where < 1:
                    cuts.add(where)
        power_kw = None if not length_us else segment.energy_wh * _HOUR_US / length_us / 1000
        ordered = sorted(cuts)
        for begin, end in pairwise(ordered):
            at_us = start_us + begin * length_us
            moment = Moment(
                at_us=at_us.__floor__(),
                since_start_us=at_us - begin_us,
                energy_kwh=(so_far_wh + begin * segment.energy_wh) / 1000,
                power_kw=power_kw,
                current_a=segment.current_a,
            )
            yield _Piece(
                at_us,
                start_us + end * length_us,
                (end - begin) * segment.energy_wh,
                segment.charging,
                clock.active(moment),
            )
        so_far_wh += segment.energy_wh


# How much is owed


def _volumes(piece: _Piece) -> tuple[tuple[TariffDimension, Fraction], ...]:
    """Kilowatt-hours and hours."""
    timed = TariffDimension.TIME if piece.charging else TariffDimension.PARKING_TIME
    return (TariffDimension.ENERGY, piece.energy_wh / 1000), (timed, (piece.end_us - piece.start_us) / _HOUR_US)


def _owed(
    terms: TariffTerms,
    owed: dict[tuple[int, TariffDimension], _Owed],
    element: int,
    dimension: TariffDimension,
) -> _Owed:
    key = (element, dimension)
    if key not in owed:
        owed[key] = _Owed(_component(terms, element, dimension))
    return owed[key]


def _add_flat_fee(
    terms: TariffTerms,
    usage: Usage,
    zone: tzinfo,
    pieces: Sequence[_Piece],
    owed: dict[tuple[int, TariffDimension], _Owed],
) -> None:
    found = next((piece.active for piece in pieces if TariffDimension.FLAT in piece.active), None)
    if found is None and not pieces:
        begin = Moment(to_us(usage.start), Fraction(0), Fraction(0), None, None)
        found = TariffClock(terms, usage.start, usage.end, zone).active(begin)
    if found is not None and TariffDimension.FLAT in found:
        _owed(terms, owed, found[TariffDimension.FLAT], TariffDimension.FLAT).volume = Fraction(1)


def _apply_steps(pieces: Sequence[_Piece], owed: dict[tuple[int, TariffDimension], _Owed]) -> None:
    """OCPI 2.2.1 CDR object, step_size."""
    for dimensions, per_unit in (
        ((TariffDimension.ENERGY,), 1000),
        ((TariffDimension.TIME, TariffDimension.PARKING_TIME), 3600),
    ):
        last = None
        for piece in pieces:
            for dimension, volume in _volumes(piece):
                if volume and dimension in dimensions and dimension in piece.active:
                    last = (piece.active[dimension], dimension)
        if last is None:
            continue
        entry = owed[last]
        total = sum((other.volume for key, other in owed.items() if key[1] is last[1]), Fraction(0)) * per_unit
        step = entry.component.step_size
        blocks = -((-total / step).__floor__())
        entry.surplus = (blocks * step - total) / per_unit


# The bill


def _bill(terms: TariffTerms, usage: Usage, pieces: Sequence[_Piece], owed: Sequence[_Owed]) -> Bill:
    currency = terms.currency
    excl, tax = sum((entry.excl_vat for entry in owed), Fraction(0)), sum((entry.tax for entry in owed), Fraction(0))
    sum_excl, sum_incl = coins(excl, currency), coins(excl + tax, currency)
    scale = 10 ** EXPONENTS[currency]
    parts_excl = divided(sum_excl, [entry.excl_vat * scale for entry in owed])
    parts_tax = divided(sum_incl - sum_excl, [entry.tax * scale for entry in owed])
    lines = [
        CostLine(
            dimension=entry.component.type,
            price=entry.component.price,
            vat=entry.component.vat,
            step_size=entry.component.step_size,
            volume=decimal_of(entry.volume, _DIGITS).normalize() + 0,
            billed_volume=decimal_of(entry.volume + entry.surplus, _DIGITS).normalize() + 0,
            cost=_price(part_excl, part_excl + part_tax, currency),
        )
        for entry, part_excl, part_tax in zip(owed, parts_excl, parts_tax, strict=True)
    ]
    total_excl, total_incl = _limited(terms, excl, tax)
    if (total_excl, total_incl) != (sum_excl, sum_incl):
        lines.append(_limit_line(currency, total_excl - sum_excl, total_incl - sum_incl))
    parking_us = sum((piece.end_us - piece.start_us for piece in pieces if not piece.charging), Fraction(0))
    return Bill(
        currency=currency,
        total_cost=_price(total_excl, total_incl, currency),
        total_fixed_cost=_sum(lines, TariffDimension.FLAT, currency),
        total_energy_cost=_sum(lines, TariffDimension.ENERGY, currency),
        total_time_cost=_sum(lines, TariffDimension.TIME, currency),
        total_parking_cost=_sum(lines, TariffDimension.PARKING_TIME, currency),
        total_energy=decimal_of(usage.energy_wh / 1000, _DIGITS),
        total_time=decimal_of(Fraction(to_us(usage.end) - to_us(usage.start), _HOUR_US), _DIGITS),
        total_parking_time=decimal_of(parking_us / _HOUR_US, _DIGITS),
        lines=tuple(lines),
        taxes=_taxes(terms, owed, total_excl, total_incl),
        charging_periods=tuple(_periods(pieces)),
    )


def _limited(terms: TariffTerms, excl: Fraction, tax: Fraction) -> tuple[int, int]:
    """The totals in coins, within `min_price` and `max_price`: each bounds both totals."""
    currency = terms.currency
    bounded = excl
    if terms.min_price is not None:
        bounded = max(bounded, Fraction(terms.min_price.excl_vat))
    if terms.max_price is not None:
        bounded = min(bounded, Fraction(terms.max_price.excl_vat))
    rate = tax / excl if excl else Fraction(_usual_vat(terms) or 0) / 100
    total_excl = coins(bounded, currency)
    total_incl = coins(bounded * (1 + rate), currency)
    if terms.min_price is not None and terms.min_price.incl_vat is not None:
        total_incl = max(total_incl, coins_of(terms.min_price.incl_vat, currency))
    if terms.max_price is not None and terms.max_price.incl_vat is not None:
        total_incl = min(total_incl, coins_of(terms.max_price.incl_vat, currency))
    return total_excl, total_incl


def _usual_vat(terms: TariffTerms) -> Decimal | None:
    """The rate of a minimum when nothing was used: that of energy, else of whatever the tariff names first."""
    named = [component for element in terms.elements for component in element.price_components]
    return next((entry.vat for entry in named if entry.type is TariffDimension.ENERGY), named[0].vat)


def _limit_line(currency: str, excl_coins: int, incl_coins: int) -> CostLine:
    return CostLine(
        dimension=None,
        price=None,
        vat=None,
        step_size=1,
        volume=Decimal(1),
        billed_volume=Decimal(1),
        cost=_price(excl_coins, incl_coins, currency),
    )


def _taxes(terms: TariffTerms, owed: Sequence[_Owed], total_excl: int, total_incl: int) -> tuple[TaxLine, ...]:
    """By rate; a limit of the price changes all rates in proportion."""
    by_rate: dict[Decimal | None, tuple[Fraction, Fraction]] = {}
    for entry in owed:
        if entry.excl_vat:
            # 19 and 19.0 are one rate.
            rate = None if entry.component.vat is None else entry.component.vat.normalize() + 0
            excl, tax = by_rate.get(rate, (Fraction(0), Fraction(0)))
            by_rate[rate] = (excl + entry.excl_vat, tax + entry.tax)
    if not by_rate:
        by_rate[_usual_vat(terms)] = (Fraction(0), Fraction(0))
    rates = sorted(by_rate, key=lambda rate: (rate is None, rate or Decimal(0)))
    parts_excl = _in_proportion(total_excl, [by_rate[rate][0] for rate in rates])
    parts_tax = _in_proportion(total_incl - total_excl, [by_rate[rate][1] for rate in rates])
    return tuple(
        TaxLine(
            vat=None if rate is None else Decimal(f"{rate:f}"),
            excl_vat=amount_of(part_excl, terms.currency),
            amount=amount_of(part_tax, terms.currency),
        )
        for rate, part_excl, part_tax in zip(rates, parts_excl, parts_tax, strict=True)
    )


def _in_proportion(total: int, weights: Sequence[Fraction]) -> list[int]:
    whole = sum(weights, Fraction(0))
    if not whole:
        return [total, *[0] * (len(weights) - 1)]
    return divided(total, [total * weight / whole for weight in weights])


def _periods(pieces: Sequence[_Piece]) -> Iterator[ChargingPeriod]:
    """Neighbours with the same prices are one period. Volumes are rounded as running sums, so that they add up."""
    merged: list[_Piece] = []
    for piece in pieces:
        last = merged[-1] if merged else None
        if last is not None and (last.active, last.charging) == (piece.active, piece.charging):
            merged[-1] = last._replace(end_us=piece.end_us, energy_wh=last.energy_wh + piece.energy_wh)
        else:
            merged.append(piece)
    sums = dict.fromkeys(TariffDimension, Fraction(0))
    for piece in merged:
        dimensions = []
        for dimension, volume in _volumes(piece):
            before = decimal_of(sums[dimension], _DIGITS)
            sums[dimension] += volume
            dimensions.append(PeriodDimension(type=dimension, volume=decimal_of(sums[dimension], _DIGITS) - before))
        yield ChargingPeriod(start_date_time=from_us(piece.start_us.__floor__()), dimensions=tuple(dimensions))


def _sum(lines: Sequence[CostLine], dimension: TariffDimension, currency: str) -> Price:
    own = [line.cost for line in lines if line.dimension is dimension]
    zero = amount_of(0, currency)
    return Price(
        excl_vat=sum((cost.excl_vat for cost in own), zero), incl_vat=sum((cost.incl_vat for cost in own), zero)
    )


def _price(excl_coins: int, incl_coins: int, currency: str) -> Price:
    return Price(excl_vat=amount_of(excl_coins, currency), incl_vat=amount_of(incl_coins, currency))
