"""Fixtures: one CSMS for all test cases, as its users start it; its API; a charge point of the tool, booted."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.octt.csms import station_v16
from tests.octt.csms.running import Api, Csms
from tests.octt.csms.station_v16 import ChargePoint


@pytest.fixture(scope="session")
def csms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Csms]:
    """Running until the last test case is over."""
    running = Csms(tmp_path_factory.mktemp("octt"))
    running.start()
    yield running
    running.stop()


@pytest.fixture
async def api(csms: Csms) -> AsyncIterator[Api]:
    """Its API, with the tool's idTags known to it."""
    async with csms.api() as api:
        await api.put(f"/tokens/{station_v16.VALID}", {"group": station_v16.PARENT})
        await api.put(f"/tokens/{station_v16.EXPIRED}", {"expires_at": "2020-01-01T00:00:00Z"})
        await api.put(f"/tokens/{station_v16.BLOCKED}", {"standing": "Blocked"})
        yield api


@pytest.fixture
def identity(request: pytest.FixtureRequest) -> str:
    """Each test case has a charge point of its own."""
    name: str = request.node.name
    return name.removeprefix("test_")[:40].translate(str.maketrans("[ ", "--", "]"))


@pytest.fixture
async def point(csms: Csms, api: Api, identity: str) -> AsyncIterator[ChargePoint]:
    """A charge point that has booted."""
    async with station_v16.connected(csms.ocpp_url, identity) as point:
        await point.boot()
        yield point
