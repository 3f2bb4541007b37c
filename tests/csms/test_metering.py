"""Power out of samples, and what a person makes of a connector."""

import math
from datetime import UTC, datetime

import msgspec
import pytest

from forecourt.csms.metering import power_w
from forecourt.csms.records import Connector, ConnectorView
from forecourt.csms.stations import same_value
from forecourt.csms.transactions import with_number
from forecourt.csms.views import view_of
from forecourt.domain.meter import Measurand, MeasuredPhase, SampledValue
from forecourt.domain.station import ConnectorStatus
from forecourt.domain.transaction import ChargingState

P, I, U = Measurand.POWER_ACTIVE_IMPORT, Measurand.CURRENT_IMPORT, Measurand.VOLTAGE  # noqa: E741 - as in Ohm's law
L1, L2, L3 = MeasuredPhase.L1, MeasuredPhase.L2, MeasuredPhase.L3


def samples(*told: tuple[Measurand, float, MeasuredPhase | None]) -> list[SampledValue]:
    return [SampledValue(value, measurand, phase) for measurand, value, phase in told]


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (samples((P, 7000.0, None)), 7000.0),
        (samples((P, 7000.0, None), (P, 2000.0, L1), (I, 99.0, L1), (U, 230.0, L1)), 7000.0),
        (samples((P, 2000.0, L1), (P, 2100.0, L2), (P, 1900.0, L3)), 6000.0),
        (samples((I, 10.0, L1), (I, 12.0, L2), (U, 230.0, MeasuredPhase.L1_N), (U, 225.0, MeasuredPhase.L2_N)), 5000.0),
        (samples((I, 10.0, L1), (I, 10.0, L2), (I, 10.0, L3), (U, 230.0, None)), 6900.0),
        (samples((I, 10.0, L1), (I, 10.0, L2), (U, 230.0, L1)), 4600.0),
        (samples((I, 10.0, None), (U, 230.0, None)), 2300.0),
        (samples((I, 10.0, None), (I, 10.0, L1), (U, 230.0, None)), 2300.0),
        (samples((I, 10.0, L1), (U, 400.0, MeasuredPhase.L1_L2)), 4000.0 / math.sqrt(3)),
        (samples((I, 10.0, L1)), None),
        (samples((U, 230.0, L1)), None),
        (samples((I, 1.0, MeasuredPhase.N), (U, 230.0, L1)), None),
        (samples((P, math.nan, None)), None),
        ([], None),
    ],
)
def test_power(told: list[SampledValue], expected: float | None) -> None:
    assert power_w(told) == (None if expected is None else pytest.approx(expected))


NOTHING = Connector(
    organisation_id=1,
    station_number=1,
    station_id="CS1",
    evse_id=1,
    connector_id=1,
    updated_at=datetime(2025, 6, 1, tzinfo=UTC),
)
PLUGGED = msgspec.structs.replace(NOTHING, connector_status=ConnectorStatus.OCCUPIED)
FLOWING = msgspec.structs.replace(PLUGGED, charging_state=ChargingState.CHARGING, transaction_number=1)


@pytest.mark.parametrize(
    ("known", "view"),
    [
        (NOTHING, ConnectorView.UNKNOWN),
        (msgspec.structs.replace(NOTHING, connector_status=ConnectorStatus.AVAILABLE), ConnectorView.UNPLUGGED),
        (msgspec.structs.replace(FLOWING, connector_status=ConnectorStatus.FAULTED), ConnectorView.FAULTED),
        (msgspec.structs.replace(NOTHING, connector_status=ConnectorStatus.RESERVED), ConnectorView.RESERVED),
        (msgspec.structs.replace(NOTHING, connector_status=ConnectorStatus.UNAVAILABLE), ConnectorView.UNAVAILABLE),
        (PLUGGED, ConnectorView.PLUGGED_IN),
        (FLOWING, ConnectorView.CHARGING),
        (msgspec.structs.replace(FLOWING, power_w=49.9), ConnectorView.PLUGGED_IN),
        (msgspec.structs.replace(FLOWING, power_w=50.0), ConnectorView.CHARGING),
        (msgspec.structs.replace(FLOWING, charging_state=ChargingState.SUSPENDED_EVSE), ConnectorView.PLUGGED_IN),
        (msgspec.structs.replace(PLUGGED, transaction_finished=True), ConnectorView.FINISHED),
        (msgspec.structs.replace(FLOWING, transaction_finished=True), ConnectorView.CHARGING),
    ],
)
def test_what_a_person_makes_of_it(known: Connector, view: ConnectorView) -> None:
    assert view_of(known, 50.0) is view


def test_numbers_that_came_make_ranges() -> None:
    ranges: tuple[tuple[int, int], ...] = ()
    for number, expected in (
        (3, ((3, 3),)),
        (4, ((3, 4),)),
        (4, ((3, 4),)),
        (0, ((0, 0), (3, 4))),
        (2, ((0, 0), (2, 4))),
        (1, ((0, 4),)),
        (9, ((0, 4), (9, 9))),
    ):
        ranges = with_number(ranges, number)
        assert ranges == expected


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("60", "60.0", True),
        ("True", "true", True),
        ("a, b", "a,b", True),
        ("a,b", "b,a", False),
        ("A", "a", False),
        ("60", "61", False),
    ],
)
def test_values_that_are_one(one: str, other: str, same: bool) -> None:
    assert same_value(one, other) is same
