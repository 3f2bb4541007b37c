"""Prices: the examples of OCPI, an oracle that looks at every second, and what must hold for any tariff."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt.csms.bill import Bill
from forecourt.csms.errors import Invalid
from forecourt.csms.money import amount_of, coins
from forecourt.csms.pricing import Segment, Usage, price
from forecourt.csms.tariff_terms import (
    DayOfWeek,
    PriceComponent,
    PriceLimit,
    TariffDimension,
    TariffElement,
    TariffRestrictions,
    TariffTerms,
    check_terms,
)

BERLIN = ZoneInfo("Europe/Berlin")
MONDAY = datetime(2025, 6, 2, tzinfo=UTC)
SATURDAY = datetime(2025, 6, 7, tzinfo=UTC)


def terms(*elements: Any, **more: Any) -> TariffTerms:
    """Elements as lists of (type, price, vat, step), with restrictions as a dict behind if there are any."""
    made = []
    for element in elements:
        components, restrictions = element if isinstance(element, tuple) else (element, None)
        made.append(
            TariffElement(
                price_components=tuple(
                    PriceComponent(
                        type=TariffDimension(kind),
                        price=Decimal(cost),
                        vat=None if vat is None else Decimal(vat),
                        step_size=step,
                    )
                    for kind, cost, vat, step in components
                ),
                restrictions=None if restrictions is None else msgspec.convert(restrictions, TariffRestrictions),
            )
        )
    tariff = TariffTerms(currency=more.pop("currency", "EUR"), elements=tuple(made), **more)
    check_terms(tariff)
    return tariff


def used(start: datetime, *stretches: tuple[float, float, bool], current_a: int | None = None) -> Usage:
    """Stretches as (minutes, kWh, charging)."""
    at, segments = start, []
    for minutes, kwh, charging in stretches:
        end = at + timedelta(minutes=minutes)
        amps = None if current_a is None else Fraction(current_a)
        segments.append(Segment(at, end, Fraction(Decimal(str(kwh))) * 1000, charging, amps))
        at = end
    return Usage(start, at, tuple(segments))


def costs(tariff: TariffTerms, usage: Usage, zone: Any = UTC) -> tuple[str, str]:
    bill = price(tariff, usage, zone)
    assert_consistent(bill)
    return str(bill.total_cost.excl_vat), str(bill.total_cost.incl_vat)


def assert_consistent(bill: Bill) -> None:
    """Parts add up; nothing is below 0."""
    total = bill.total_cost
    assert sum(line.cost.excl_vat for line in bill.lines) == total.excl_vat
    assert sum(line.cost.incl_vat for line in bill.lines) == total.incl_vat
    assert sum(tax.excl_vat for tax in bill.taxes) == total.excl_vat
    assert sum(tax.amount for tax in bill.taxes) == total.incl_vat - total.excl_vat
    assert 0 <= total.excl_vat <= total.incl_vat
    assert all(tax.amount >= 0 and tax.excl_vat >= 0 for tax in bill.taxes)
    for line in bill.lines:
        if line.dimension is not None:
            assert 0 <= line.cost.excl_vat <= line.cost.incl_vat
            assert line.volume <= line.billed_volume
    volumes = dict.fromkeys(TariffDimension, Decimal(0))
    for period in bill.charging_periods:
        for entry in period.dimensions:
            volumes[entry.type] += entry.volume
    assert volumes[TariffDimension.ENERGY] == bill.total_energy
    assert volumes[TariffDimension.PARKING_TIME] == bill.total_parking_time
    charged_and_parked = volumes[TariffDimension.TIME] + volumes[TariffDimension.PARKING_TIME]
    assert abs(charged_and_parked - bill.total_time) <= Decimal("0.000002")
    assert all(before.start_date_time <= after.start_date_time for before, after in pairwise(bill.charging_periods))


ENERGY = ("ENERGY", "0.25", "10", 1)
START_FEE = ("FLAT", "0.50", "20", 1)
COMPLEX = terms(
    [("FLAT", "2.50", "15", 1)],
    ([("TIME", "1.00", "20", 900)], {"max_current": "32"}),
    (
        [("TIME", "2.00", "20", 600)],
        {"min_current": "32", "day_of_week": ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY"]},
    ),
    ([("TIME", "1.25", "20", 600)], {"min_current": "32", "day_of_week": ["SATURDAY", "SUNDAY"]}),
    (
        [("PARKING_TIME", "5.00", "10", 300)],
        {
            "start_time": "09:00",
            "end_time": "18:00",
            "day_of_week": ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY"],
        },
    ),
    ([("PARKING_TIME", "6.00", "10", 300)], {"start_time": "10:00", "end_time": "17:00", "day_of_week": ["SATURDAY"]}),
)
STEPS = terms(
    ([("TIME", "1.20", None, 1800)], {"end_time": "17:00"}),
    ([("TIME", "2.40", None, 900)], {"start_time": "17:00"}),
    ([("PARKING_TIME", "1.00", None, 900)], {"end_time": "20:00"}),
)
BY_POWER = terms(
    ([("ENERGY", "0.20", None, 1)], {"max_power": "16"}),
    ([("ENERGY", "0.35", None, 1)], {"max_power": "32"}),
    [("ENERGY", "0.50", None, 1)],
)
BY_DURATION = terms(
    ([("ENERGY", "0.00", None, 1)], {"max_duration": 1800}),
    ([("ENERGY", "0.25", None, 1)], {"max_duration": 3600}),
    [("ENERGY", "0.40", None, 1)],
)


@pytest.mark.parametrize(
    ("tariff", "usage", "excl", "incl"),
    [
        (terms([ENERGY]), used(MONDAY, (60, 20, True)), "5.00", "5.50"),
        (terms([START_FEE, ENERGY]), used(MONDAY, (60, 20, True)), "5.50", "6.10"),
        (
            terms([ENERGY], min_price=PriceLimit(excl_vat=Decimal("0.50"), incl_vat=Decimal("0.55"))),
            used(MONDAY, (60, 1.9, True)),
            "0.50",
            "0.55",
        ),
        (
            terms([START_FEE, ENERGY, ("PARKING_TIME", "2.00", "20", 900)]),
            used(MONDAY, (60, 20, True), (40, 0, False)),
            "7.00",
            "7.90",
        ),
        (
            terms([START_FEE, ENERGY], max_price=PriceLimit(excl_vat=Decimal(10), incl_vat=Decimal(11))),
            used(MONDAY, (60, 50, True)),
            "10.00",
            "11.00",
        ),
        (
            terms([START_FEE, ENERGY], max_price=PriceLimit(excl_vat=Decimal(10), incl_vat=Decimal(11))),
            used(MONDAY, (60, 30, True)),
            "8.00",
            "8.85",
        ),
        (terms([("TIME", "2.00", "10", 60)]), used(MONDAY, (150, 30, True), (60, 0, False)), "5.00", "5.50"),
        (
            terms([("TIME", "3.00", "10", 60), ("PARKING_TIME", "5.00", "20", 300)]),
            used(MONDAY, (150, 30, True), (42, 0, False)),
            "11.25",
            "12.75",
        ),
        (terms([("TIME", "1.90", "5.2", 300)]), used(MONDAY, (150, 30, True)), "4.75", "5.00"),
        (terms([START_FEE, ("ENERGY", "0.25", "10", 100)]), used(MONDAY, (60, 20.45, True)), "5.63", "6.24"),
        (
            COMPLEX,
            used(MONDAY + timedelta(hours=9, minutes=30), (165, 20, True), (42, 0, False), current_a=16),
            "9.00",
            "10.30",
        ),
        (
            COMPLEX,
            used(SATURDAY + timedelta(hours=13, minutes=30), (114, 20, True), (71, 0, False), current_a=43),
            "12.38",  # OCPI prints 12.28: it takes 114 minutes at 1.25 for 2.28, and they are 2.375
            "13.98",
        ),
        (terms([("FLAT", "0.00", None, 1)]), used(MONDAY, (60, 20, True)), "0.00", "0.00"),
        (STEPS, used(MONDAY + timedelta(hours=16, minutes=55), (10, 1, True), (2, 0, False)), "0.55", "0.55"),
        (STEPS, used(MONDAY + timedelta(hours=16, minutes=35), (35, 1, True)), "1.30", "1.30"),
        (STEPS, used(MONDAY + timedelta(hours=19, minutes=40), (12, 1, True), (20, 0, False)), "0.73", "0.73"),
        (BY_POWER, used(MONDAY, (10, 1, True), (50, 40, True), (7.5, 0.5, True)), "20.30", "20.30"),
        (BY_DURATION, used(MONDAY, (30, 5, True), (10, 1.2, True)), "0.30", "0.30"),
        (
            terms(
                ([("ENERGY", "0.20", None, 500)], {"end_time": "17:00"}),
                [("ENERGY", "0.27", None, 500)],
            ),
            used(MONDAY + timedelta(hours=16), (60, 4.3, True), (60, 1.1, True)),
            "1.18",  # 4.3 at 0.20 and 1.2 at 0.27
            "1.18",
        ),
        (
            terms([("TIME", "1.00", None, 600), ("PARKING_TIME", "2.00", None, 600)]),
            used(MONDAY, (21, 1, True), (16, 0, False)),
            "1.02",  # 21 minutes at 1 and 20 at 2
            "1.02",
        ),
    ],
)
def test_the_examples_of_ocpi(tariff: TariffTerms, usage: Usage, excl: str, incl: str) -> None:
    assert costs(tariff, usage) == (excl, incl)


def test_a_price_changes_at_the_kilowatt_hour() -> None:
    tariff = terms(([("ENERGY", "0.50", None, 1)], {"max_kwh": "5"}), [("ENERGY", "0.30", None, 1)])
    bill = price(tariff, used(MONDAY, (60, 20, True)), UTC)
    assert str(bill.total_cost.excl_vat) == "7.00"
    first, second = bill.charging_periods
    assert second.start_date_time == MONDAY + timedelta(minutes=15)
    assert [entry.volume for entry in (first.dimensions[0], second.dimensions[0])] == [5, 15]


def test_the_clock_is_that_of_the_location() -> None:
    night = terms(([("ENERGY", "0.10", None, 1)], {"start_time": "22:00", "end_time": "06:00"}), [ENERGY])
    usage = used(MONDAY + timedelta(hours=19), (120, 20, True))  # 21:00 to 23:00 in Berlin
    assert costs(night, usage)[0] == "5.00"
    assert costs(night, usage, BERLIN)[0] == "3.50"


def test_an_hour_that_comes_twice_counts_twice_and_one_left_out_never() -> None:
    between = terms(([("TIME", "6.00", None, 1)], {"start_time": "02:00", "end_time": "03:00"}))
    autumn = used(datetime(2025, 10, 25, 22, tzinfo=UTC), (480, 0, True))
    spring = used(datetime(2025, 3, 29, 22, tzinfo=UTC), (480, 0, True))
    summer = used(datetime(2025, 7, 1, 22, tzinfo=UTC), (480, 0, True))
    assert [costs(between, usage, BERLIN)[0] for usage in (autumn, spring, summer)] == ["12.00", "0.00", "6.00"]
    late = terms(([("TIME", "6.00", None, 1)], {"start_time": "02:30", "end_time": "04:00"}))
    assert [costs(late, usage, BERLIN)[0] for usage in (autumn, spring)] == ["12.00", "6.00"]


def test_dates_are_those_of_the_location() -> None:
    holiday = terms(([("FLAT", "1", None, 1)], {"start_date": "2025-06-03", "end_date": "2025-06-04"}))
    assert costs(holiday, used(MONDAY + timedelta(hours=22), (1, 0, True)), BERLIN)[0] == "1.00"
    assert costs(holiday, used(MONDAY + timedelta(hours=21), (1, 0, True)), BERLIN)[0] == "0.00"
    assert costs(holiday, used(MONDAY + timedelta(hours=46), (1, 0, True)), BERLIN)[0] == "0.00"


def test_one_flat_fee_however_many_elements_hold_one() -> None:
    day_and_night = terms(([("FLAT", "1.00", None, 1)], {"end_time": "12:00"}), [("FLAT", "0.40", None, 1)])
    assert costs(day_and_night, used(MONDAY + timedelta(hours=11), (180, 1, True)))[0] == "1.00"
    assert costs(day_and_night, used(MONDAY + timedelta(hours=13), (180, 1, True)))[0] == "0.40"


def test_a_session_of_no_length_owes_its_fee_and_its_energy() -> None:
    assert costs(terms([START_FEE, ENERGY]), Usage(MONDAY, MONDAY, ())) == ("0.50", "0.60")
    at_once = Usage(MONDAY, MONDAY, (Segment(MONDAY, MONDAY, Fraction(2000), True),))
    assert costs(terms([START_FEE, ENERGY]), at_once) == ("1.00", "1.15")


@pytest.mark.parametrize(
    ("currency", "total"), [("JPY", "3"), ("EUR", "2.53"), ("KWD", "2.525"), ("CLF", "2.5250"), ("XOF", "3")]
)
def test_every_currency_has_its_own_coins(currency: str, total: str) -> None:
    assert costs(terms([("ENERGY", "0.2525", None, 1)], currency=currency), used(MONDAY, (60, 10, True)))[0] == total


# Any tariff, any use


def restrictions(unit_wh: int) -> st.SearchStrategy[dict[str, Any]]:
    """Restrictions of every kind; kWh in multiples of `unit_wh`, so that they are met at whole seconds."""
    hours = st.integers(0, 23).map(lambda hour: f"{hour:02}:00") | st.sampled_from(["08:01", "08:02", "08:05"])
    kwh = st.integers(0, 60).map(lambda count: str(Decimal(count * unit_wh) / 1000))
    power = st.integers(0, 30).map(str)
    return st.fixed_dictionaries(
        {},
        optional={
            "start_time": hours,
            "end_time": hours,
            "start_date": st.sampled_from(["2025-06-01", "2025-06-02", "2025-06-03"]),
            "end_date": st.sampled_from(["2025-06-04", "2025-06-05"]),
            "min_kwh": kwh,
            "max_kwh": kwh,
            "min_power": power,
            "max_power": power,
            "min_current": power,
            "max_current": power,
            "min_duration": st.integers(0, 400),
            "max_duration": st.integers(0, 400),
            "day_of_week": st.lists(st.sampled_from([str(day) for day in DayOfWeek]), max_size=4),
        },
    ).filter(lambda made: len(made) <= 5)


COMPONENTS = st.lists(
    st.tuples(
        st.sampled_from([str(kind) for kind in TariffDimension]),
        st.integers(0, 5_000_000).map(lambda value: str(Decimal(value) / 10_000)),
        st.sampled_from([None, "0", "7", "19", "5.5"]),
        st.sampled_from([1, 2, 7, 60, 500]),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda component: component[0],
)


@st.composite
def tariffs(draw: Any, unit_wh: int, step_size: int | None = None) -> TariffTerms:
    """Any tariff that can be."""
    elements = []
    for _ in range(draw(st.integers(1, 4))):
        components = draw(COMPONENTS)
        if step_size is not None:
            components = [(kind, cost, vat, step_size) for kind, cost, vat, _ in components]
        elements.append((components, draw(restrictions(unit_wh))))
    limits = {}
    for name in draw(st.sets(st.sampled_from(["min_price", "max_price"]))):
        excl = Decimal(draw(st.integers(0, 3000))) / 100
        extra = draw(st.none() | st.integers(0, 500))
        incl = None if extra is None else excl + Decimal(extra) / 100
        limits[name] = PriceLimit(excl_vat=excl, incl_vat=incl)
    try:
        return terms(*elements, **limits)
    except Invalid:
        return terms(*[(components, {}) for components, _ in elements])


@st.composite
def uses(draw: Any, unit_wh: int) -> Usage:
    """A few minutes around eight in the morning: in each stretch `unit_wh` flows per second, or nothing."""
    start = MONDAY + timedelta(hours=7, minutes=59, seconds=draw(st.integers(0, 90)), days=draw(st.integers(0, 3)))
    at, segments = start, []
    for _ in range(draw(st.integers(0, 5))):
        seconds = draw(st.integers(1, 120))
        charging = draw(st.booleans())
        flows = draw(st.booleans())
        current = draw(st.none() | st.integers(0, 40).map(Fraction))
        end = at + timedelta(seconds=seconds)
        segments.append(Segment(at, end, Fraction(unit_wh * seconds if flows else 0), charging, current))
        at = end
    return Usage(start, at, tuple(segments))


CASES = st.integers(1, 7).flatmap(lambda unit: st.tuples(tariffs(unit), uses(unit)))


def oracle(tariff: TariffTerms, usage: Usage, zone: Any) -> tuple[Decimal, Decimal]:
    """The totals, by looking at every second for itself; slow, and told apart from the module it judges."""
    volumes: dict[tuple[int, str], Fraction] = {}
    last: dict[str, tuple[int, str]] = {}
    flat: int | None = None
    energy_wh = Fraction(0)
    seconds_so_far = 0

    def component(element: int, kind: str) -> PriceComponent:
        return next(entry for entry in tariff.elements[element].price_components if entry.type == kind)

    def first(kind: str, now: datetime, segment: Segment | None) -> int | None:
        for number, element in enumerate(tariff.elements):
            if any(entry.type == kind for entry in element.price_components) and applies(
                element.restrictions or TariffRestrictions(), now.astimezone(zone), segment
            ):
                return number
        return None

    def applies(given: TariffRestrictions, local: datetime, segment: Segment | None) -> bool:
        minute = local.hour * 60 + local.minute

        def minutes(text: str) -> int:
            return int(text[:2]) * 60 + int(text[3:])

        if given.start_time is not None and given.end_time is not None:
            begin, end = minutes(given.start_time), minutes(given.end_time)
            if begin < end and not begin <= minute < end:
                return False
            if begin >= end and end <= minute < begin:
                return False
        elif minute < minutes(given.start_time or "00:00") or minute >= (minutes(given.end_time or "00:00") or 24 * 60):
            return False
        if given.day_of_week and list(DayOfWeek)[local.weekday()] not in given.day_of_week:
            return False
        if given.start_date is not None and local.date().isoformat() < given.start_date:
            return False
        if given.end_date is not None and local.date().isoformat() >= given.end_date:
            return False
        power = amps = None
        if segment is not None:
            power = segment.energy_wh * 3600 / Fraction((segment.end - segment.start).total_seconds()) / 1000
            amps = segment.current_a
        for value, least, most in (
            (energy_wh / 1000, given.min_kwh, given.max_kwh),
            (power, given.min_power, given.max_power),
            (amps, given.min_current, given.max_current),
            (Fraction(seconds_so_far), given.min_duration, given.max_duration),
        ):
            if (least is not None or most is not None) and value is None:
                return False
            if value is not None and least is not None and value < Fraction(least):
                return False
            if value is not None and most is not None and value >= Fraction(most):
                return False
        return True

    if not usage.segments:
        flat = first("FLAT", usage.start, None)
    for segment in usage.segments:
        length_s = int((segment.end - segment.start).total_seconds())
        for second in range(length_s):
            now = segment.start + timedelta(seconds=second)
            if flat is None:
                flat = first("FLAT", now, segment)
            timed = "TIME" if segment.charging else "PARKING_TIME"
            for kind, volume in (("ENERGY", segment.energy_wh / length_s / 1000), (timed, Fraction(1, 3600))):
                element = first(kind, now, segment)
                if element is not None and volume:
                    key = (element, kind)
                    volumes[key] = volumes.get(key, Fraction(0)) + volume
                    last["ENERGY" if kind == "ENERGY" else "time"] = key
            energy_wh += segment.energy_wh / length_s
            seconds_so_far += 1
    for group, per_unit in (("ENERGY", Fraction(1000)), ("time", Fraction(3600))):
        if group in last:
            key = last[group]
            total = sum((volume for (_, kind), volume in volumes.items() if kind == key[1]), Fraction(0)) * per_unit
            step = component(*key).step_size
            while total % step:  # up to the next block, a step at a time as somebody with a pencil would
                extra = step - total % step
                volumes[key] += extra / per_unit
                total += extra
    excl = incl = Fraction(0)
    if flat is not None:
        volumes[flat, "FLAT"] = Fraction(1)
    for key, volume in volumes.items():
        owed = volume * Fraction(component(*key).price)
        excl += owed
        incl += owed * (1 + Fraction(component(*key).vat or 0) / 100)
    usual = [entry for element in tariff.elements for entry in element.price_components]
    vat = next((entry.vat for entry in usual if entry.type == "ENERGY"), usual[0].vat)
    ratio = incl / excl if excl else 1 + Fraction(vat or 0) / 100
    least, most = tariff.min_price, tariff.max_price
    if least is not None:
        excl = max(excl, Fraction(least.excl_vat))
    if most is not None:
        excl = min(excl, Fraction(most.excl_vat))
    incl = excl * ratio
    if least is not None and least.incl_vat is not None:
        incl = max(incl, Fraction(least.incl_vat))
    if most is not None and most.incl_vat is not None:
        incl = min(incl, Fraction(most.incl_vat))
    return amount_of(coins(excl, "EUR"), "EUR"), amount_of(coins(incl, "EUR"), "EUR")


@given(CASES)
def test_prices_are_those_of_an_oracle_that_looks_at_every_second(case: tuple[TariffTerms, Usage]) -> None:
    tariff, usage = case
    bill = price(tariff, usage, BERLIN)
    assert_consistent(bill)
    assert (bill.total_cost.excl_vat, bill.total_cost.incl_vat) == oracle(tariff, usage, BERLIN)


@given(CASES, st.data())
def test_however_finely_the_use_is_told_the_bill_is_the_same(case: tuple[TariffTerms, Usage], data: Any) -> None:
    tariff, usage = case
    split = []
    for segment in usage.segments:
        length = segment.end - segment.start
        at = segment.start
        for part in sorted(data.draw(st.sets(st.integers(1, 999_999), max_size=3))):
            middle = segment.start + length * part / 1_000_000
            share = Fraction((middle - at) // timedelta(microseconds=1), length // timedelta(microseconds=1))
            split.append(segment._replace(start=at, end=middle, energy_wh=segment.energy_wh * share))
            at = middle
        share = Fraction((segment.end - at) // timedelta(microseconds=1), length // timedelta(microseconds=1))
        split.append(segment._replace(start=at, energy_wh=segment.energy_wh * share))
    assert price(tariff, usage._replace(segments=tuple(split)), BERLIN) == price(tariff, usage, BERLIN)


@given(tariffs(1), uses(1), st.integers(0, 4), st.integers(0, 100_000))
def test_more_energy_never_costs_less(tariff: TariffTerms, usage: Usage, index: int, more_wh: int) -> None:
    """But for what OCPI itself makes so: prices by power, time priced by energy, a surplus by another's step."""
    elements = tuple(
        TariffElement(
            price_components=tuple(
                msgspec.structs.replace(entry, step_size=1) if entry.type is TariffDimension.ENERGY else entry
                for entry in element.price_components
            ),
            restrictions=None
            if element.restrictions is None
            else msgspec.structs.replace(
                element.restrictions,
                min_power=None,
                max_power=None,
                **(
                    {}
                    if {entry.type for entry in element.price_components} == {TariffDimension.ENERGY}
                    else {"min_kwh": None, "max_kwh": None}
                ),
            ),
        )
        for element in tariff.elements
    )
    tariff = msgspec.structs.replace(tariff, elements=elements)
    if usage.segments:
        segments = list(usage.segments)
        place = index % len(segments)
        segments[place] = segments[place]._replace(energy_wh=segments[place].energy_wh + more_wh)
        more = price(tariff, usage._replace(segments=tuple(segments)), BERLIN).total_cost
        less = price(tariff, usage, BERLIN).total_cost
        assert more.excl_vat >= less.excl_vat
        if tariff.min_price is None and tariff.max_price is None:  # a limit without VAT, and then the VAT of the mix
            assert more.incl_vat >= less.incl_vat


# What can't be


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"currency": "XXX"}, "currency"),
        ({"currency": "eur"}, "currency"),
        ({"elements": []}, "elements"),
        ({"elements": [{"price_components": []}]}, "elements[0].price_components"),
        ({"price": "-1"}, "elements[0].price_components[0].price"),
        ({"price": "NaN"}, "elements[0].price_components[0].price"),
        ({"price": "Infinity"}, "elements[0].price_components[0].price"),
        ({"price": "1e999999"}, "elements[0].price_components[0].price"),
        ({"price": "1e-999999"}, "elements[0].price_components[0].price"),
        ({"price": "0.1234567"}, "elements[0].price_components[0].price"),
        ({"vat": "101"}, "elements[0].price_components[0].vat"),
        ({"step_size": 0}, "elements[0].price_components[0].step_size"),
        ({"restrictions": {"start_time": "24:00"}}, "elements[0].restrictions.start_time"),
        ({"restrictions": {"end_time": "7:00"}}, "elements[0].restrictions.end_time"),
        ({"restrictions": {"start_date": "2025-02-30"}}, "elements[0].restrictions.start_date"),
        (
            {"restrictions": {"start_date": "2025-03-01", "end_date": "2025-03-01"}},
            "elements[0].restrictions.end_date",
        ),
        ({"restrictions": {"min_kwh": 5, "max_kwh": 5}}, "elements[0].restrictions.max_kwh"),
        ({"restrictions": {"min_power": -1}}, "elements[0].restrictions.min_power"),
        ({"restrictions": {"min_duration": 60, "max_duration": 60}}, "elements[0].restrictions.max_duration"),
        ({"restrictions": {"max_duration": -1}}, "elements[0].restrictions.max_duration"),
        ({"min_price": {"excl_vat": "1.005"}}, "min_price.excl_vat"),
        ({"max_price": {"excl_vat": "2", "incl_vat": "1"}}, "max_price.incl_vat"),
        ({"min_price": {"excl_vat": "2"}, "max_price": {"excl_vat": "1"}}, "max_price.excl_vat"),
        (
            {
                "start_date_time": "2025-06-01T00:00:00Z",
                "end_date_time": "2025-06-01T00:00:00Z",
            },
            "end_date_time",
        ),
    ],
)
def test_a_tariff_that_cannot_be_is_refused_by_field(change: dict[str, Any], field: str) -> None:
    component = {"type": "ENERGY", "price": "0.25", "vat": "19", "step_size": 1}
    component |= {name: change[name] for name in ("price", "vat", "step_size") if name in change}
    element: dict[str, Any] = {"price_components": [component]}
    if "restrictions" in change:
        element["restrictions"] = change["restrictions"]
    body = {"currency": "EUR", "elements": [element]}
    body |= {name: value for name, value in change.items() if name not in {*component, "restrictions"}}
    with pytest.raises(Invalid) as refused:
        check_terms(msgspec.convert(body, TariffTerms))
    assert refused.value.field == field
