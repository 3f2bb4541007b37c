"""Connector states, whatever a station's clock says."""

from datetime import timedelta

from forecourt.csms import stations
from forecourt.csms.records import ConnectedStation, Connector
from forecourt.domain.events import ConnectorStatusReported, StationBooted
from forecourt.domain.station import ConnectorStatus, StationIdentity
from tests.csms.worlds import World, at

YEAR_S = timedelta(days=365).total_seconds()
BOOT = StationBooted(identity=StationIdentity(vendor_name="Vendor", model="Model"))


async def report(world: World, station: ConnectedStation, status: ConnectorStatus, seconds: float) -> Connector:
    """What is known once that is told. `seconds`: by the station's clock."""
    event = ConnectorStatusReported(evse_id=1, connector_id=1, at=at(seconds), connector_status=status)
    await world.tell(station, event)
    (connector,) = await stations.list_connectors(world.context, "CS1")
    return connector


async def test_what_is_older_than_what_is_known_changes_nothing(world: World) -> None:
    station = await world.station()
    world.clock.seconds = 100.0
    await report(world, station, ConnectorStatus.FAULTED, 50)
    assert (await report(world, station, ConnectorStatus.AVAILABLE, 40)).connector_status is ConnectorStatus.FAULTED


async def test_a_clock_that_was_ahead_does_not_make_deaf(world: World) -> None:
    station = await world.station()
    known = await report(world, station, ConnectorStatus.AVAILABLE, 70 * YEAR_S)
    assert known.status_at == at(0)
    world.clock.seconds = 10.0
    known = await report(world, station, ConnectorStatus.FAULTED, 9)
    assert known.connector_status is ConnectorStatus.FAULTED
    assert known.status_at == at(9)


async def test_after_a_boot_the_clock_begins_anew(world: World) -> None:
    station = await world.station()
    world.clock.seconds = 100.0
    await report(world, station, ConnectorStatus.OCCUPIED, 99)
    await world.tell(station, BOOT)
    known = await report(world, station, ConnectorStatus.AVAILABLE, -50 * YEAR_S)
    assert known.connector_status is ConnectorStatus.AVAILABLE
    known = await report(world, station, ConnectorStatus.OCCUPIED, -50 * YEAR_S + 5)
    assert known.connector_status is ConnectorStatus.OCCUPIED
