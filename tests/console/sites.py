"""What runs behind the console in the tests: a small site with its controller, or a CSMS with a lock on its door."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from forecourt.api.settings import ApiSettings
from forecourt.app.csms import CsmsFile, RunningCsms, running_csms
from forecourt.app.csms_payments import PaymentsFile
from forecourt.app.demo import Demo, running_demo
from forecourt.app.listeners import OcppListener
from forecourt.csms.settings import CsmsSettings, UnknownStationPolicy
from forecourt.sim.sessions import RecordedSession

FIRST = "CP-1"
"""Where a car charges soon, and for hours."""
FREE = "CP-2"
"""Where nobody comes as long as the tests run."""
START = datetime(2026, 5, 4, 9, tzinfo=UTC)
SPEED = 20.0
STARTS_WITHIN_S = 120.0


class Site:
    """A small site that runs in a thread of its own: it goes on while nobody looks."""

    def __init__(self) -> None:
        self.address = ""
        self.demo: Demo | None = None
        self.failed: BaseException | None = None
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()

    def power_w(self, station_id: str) -> float:
        """What really flows there."""
        assert self.demo is not None
        return next(one.evse.power_w for one in self.demo.stations if one.point.station_id == station_id)

    def run(self, folder: Path) -> None:
        """Until told to end."""
        try:
            asyncio.run(self._run(folder))
        except BaseException as error:  # noqa: BLE001 - told to whoever waits for it
            self.failed = error
        finally:
            self._ready.set()

    def wait(self) -> None:
        """Until it can be visited."""
        assert self._ready.wait(STARTS_WITHIN_S), "the site doesn't start"
        if self.failed is not None:
            raise self.failed

    def end(self) -> None:
        """It closes; `run` returns."""
        if self._loop is not None and self._stop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)

    async def _run(self, folder: Path) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with small_site(folder) as demo:
            self.demo, self.address = demo, address_of(demo.csms)
            self._ready.set()
            await self._stop.wait()


@contextmanager
def site_in_background(folder: Path) -> Iterator[Site]:
    """One that runs."""
    site = Site()
    thread = threading.Thread(target=site.run, args=(folder,), name="site", daemon=True)
    thread.start()
    site.wait()
    try:
        yield site
    finally:
        site.end()
        thread.join(STARTS_WITHIN_S)
    if site.failed is not None:
        raise site.failed


@asynccontextmanager
async def small_site(folder: Path) -> AsyncIterator[Demo]:
    """CSMS, controller and four stations: one car comes at once, another later, the others tomorrow."""
    sessions = [
        RecordedSession(
            session_id=f"of {station_id}",
            station_id=station_id,
            arrival=START + timedelta(minutes=minutes),
            departure=START + timedelta(days=4),
            requested_wh=200_000.0,
        )
        for station_id, minutes in ((FIRST, 1), (FREE, 3000), ("CP-3", 3000), ("CP-4", 10))
    ]
    async with running_demo(
        sessions,
        start=START,
        speed=SPEED,
        database=f"sqlite:///{folder}/csms.sqlite",
        csms_port=0,
        controller_port=0,
        api_port=0,
        seed=1,
    ) as demo:
        yield demo


@asynccontextmanager
async def locked_csms(folder: Path) -> AsyncIterator[RunningCsms]:
    """A CSMS that asks who comes, lets every station in, and has drivers' pages where money can be paid (to nobody)."""
    settings = CsmsFile(
        database=f"sqlite:///{folder}/csms.sqlite",
        ocpp=OcppListener(port=0),
        api=ApiSettings(port=0, driver_secret="of these tests only"),
        csms=CsmsSettings(unknown_stations=UnknownStationPolicy.ACCEPT),
        payments=PaymentsFile(fake=True),
    )
    async with running_csms(settings) as csms:
        yield csms


def address_of(csms: RunningCsms) -> str:
    """Of the console."""
    return f"http://127.0.0.1:{csms.api.port}"
