"""`forecourt demo`: a CSMS, a local controller and a site of stations in one process, over real sockets.

Guarantees
* Cars, meters and schedules run on the world's clock, which `--speed` makes faster; protocol deadlines don't.
* The true currents come from the simulated meters, not from anybody's books: `overload_ampere_seconds` is theirs.
* It ends by letting the world stand still, waiting until all has been said, and comparing the books of stations and
  CSMS; the summary says whether they agree, and so does the exit code.
"""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from forecourt.allocation.demand import NodeLimit
from forecourt.api.settings import ApiSettings
from forecourt.app.config import ConfigError
from forecourt.app.csms import CsmsFile, RunningCsms, running_csms
from forecourt.app.csms_payments import PaymentsFile
from forecourt.app.demo_view import show
from forecourt.app.demo_world import furnish, keep_planning, look_ahead, planner_settings, wishes_of
from forecourt.app.listeners import OcppListener
from forecourt.app.logs import LogFormat, LogLevel, set_up
from forecourt.app.running import Exit, run_role, until_stopped
from forecourt.controller.settings import ControllerSettings
from forecourt.controller.surroundings import DimmedTo, SurroundingsSettings
from forecourt.csms import authorization, sites, transactions
from forecourt.csms.authorization import TokenFields
from forecourt.csms.ports import Context
from forecourt.csms.records import Transaction
from forecourt.csms.settings import CsmsSettings, UnknownStationPolicy
from forecourt.dialect import DIALECTS
from forecourt.domain.site import EvseKey, Site
from forecourt.net.clock import ScaledClock
from forecourt.net.controller_session import ControllerServer
from forecourt.net.site_link import SiteLink
from forecourt.sim.demo_site import demo_site, recorded_day
from forecourt.sim.driven_station import DrivenStation, tokens_of
from forecourt.sim.sessions import RecordedSession, SessionFileError, by_station, free_of_overlaps, read_sessions
from forecourt.sim.site_physics import SitePhysics
from forecourt.station.variable_table import SAMPLED_MEASURANDS
from forecourt.store.journal import MemoryJournal

SETTLE_S = 15.0
"""Real seconds that the end waits for the last messages."""

_SITE_NAME: Final = "Demonstration"
_DIMMED_TO_W: Final = 4200.0
_MEASURANDS: Final = "Energy.Active.Import.Register,Power.Active.Import,Current.Import,Current.Offered,SoC"
"""With the limit and the battery, for whoever looks at a station's curves."""
_AT_ONCE: Final = 0.45
"""What part of that is left for each of many."""

PHYSICS_S = 0.1
"""Real seconds between two looks at the fuses; what happens in between is accounted for exactly."""


class DemoSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What `--summary` writes. Loads are per node and line, as a share of the fuse's rating."""

    transactions: int
    transactions_open: int
    energy_kwh: float
    requested_kwh: float
    max_load_ratio: dict[str, dict[str, float]]
    overload_ampere_seconds: float
    calls: int
    call_errors: int
    books_agree: bool
    differences: tuple[str, ...]
    stations: int
    cars: int
    speed: float
    world_start: datetime
    world_end: datetime


class Demo:
    """Everything that runs in a demonstration."""

    def __init__(
        self, csms: RunningCsms, controller: ControllerServer, stations: list[DrivenStation], physics: SitePhysics,
        clock: ScaledClock, site: Site, speed: float,
    ) -> None:  # fmt: skip
        self.csms = csms
        self.controller = controller
        self.stations = stations
        self.physics = physics
        self.clock = clock
        self.site = site
        self.speed = speed
        self.started_at = clock.now().at

    async def watch_fuses(self) -> None:
        """Keep account of what flows."""
        while True:
            self.physics.advance(self.clock.now().elapsed_s)
            await asyncio.sleep(PHYSICS_S)

    async def finish(self) -> DemoSummary:
        """Let the world stand still, wait for the last messages, compare the books."""
        self.clock.freeze()
        self.physics.advance(self.clock.now().elapsed_s)
        deadline_s = asyncio.get_running_loop().time() + SETTLE_S
        while True:
            booked = await self._booked()
            differences = self._differences(booked)
            if not differences or asyncio.get_running_loop().time() > deadline_s:
                break
            await asyncio.sleep(0.2)
        ratios = {
            name: {"L1": ratio.l1, "L2": ratio.l2, "L3": ratio.l3}
            for name, ratio in self.physics.max_load_ratio.items()
        }
        return DemoSummary(
            transactions=sum(len(station.books) for station in self.stations),
            transactions_open=sum(not entry.ended for station in self.stations for entry in station.books.values()),
            energy_kwh=round(sum(station.energy_wh for station in self.stations) / 1000, 3),
            requested_kwh=round(sum(station.requested_wh for station in self.stations) / 1000, 3),
            max_load_ratio=ratios,
            overload_ampere_seconds=self.physics.total_overload_ampere_seconds,
            calls=sum(station.counts.calls for station in self.stations),
            call_errors=sum(station.counts.call_errors for station in self.stations),
            books_agree=not differences,
            differences=tuple(differences),
            stations=len(self.stations),
            cars=sum(station.arrived for station in self.stations),
            speed=self.speed,
            world_start=self.started_at,
            world_end=self.clock.now().at,
        )

    async def _booked(self) -> dict[str, list[Transaction]]:
        """The CSMS's transactions, by station."""
        found: dict[str, list[Transaction]] = {}
        cursor: str | None = None
        while True:
            page = await transactions.list_transactions(self.csms.context, limit=500, cursor=cursor)
            for transaction in page.items:
                found.setdefault(transaction.station_id, []).append(transaction)
            cursor = page.next_cursor
            if cursor is None:
                return found

    def _differences(self, booked: dict[str, list[Transaction]]) -> list[str]:
        found: list[str] = []
        for station in self.stations:
            name = station.point.station_id
            # By what the meter showed: one that took nothing begins where the next does.
            ours = sorted(station.books.values(), key=lambda entry: (entry.start_wh, entry.energy_wh))
            theirs = sorted(
                booked.get(name, []), key=lambda entry: (entry.meter_start_wh or 0.0, entry.energy_wh or 0.0)
            )
            if len(ours) != len(theirs):
                found.append(f"{name}: {len(ours)} transactions at the station, {len(theirs)} at the CSMS")
                continue
            for entry, transaction in zip(ours, theirs, strict=True):
                energy_wh = transaction.energy_wh or 0.0
                if abs(entry.energy_wh - energy_wh) > 0.051:
                    found.append(f"{name}: {entry.energy_wh:.1f} Wh at the station, {energy_wh:.1f} Wh at the CSMS")
                if entry.ended != (transaction.ended_at is not None):
                    found.append(f"{name}: ended at one side only")
        return found


@contextlib.asynccontextmanager
async def running_demo(
    sessions: Sequence[RecordedSession],
    *,
    start: datetime,
    speed: float,
    database: str,
    csms_port: int,
    controller_port: int,
    api_port: int,
    seed: int,
) -> AsyncIterator[Demo]:
    """All roles, running, until the context is left."""
    clock = ScaledClock(start, speed)
    sessions_of = by_station(session for session in sessions if session.departure > start)
    site = demo_site(sorted(sessions_of))
    settings = CsmsFile(
        database=database,
        ocpp=OcppListener(port=csms_port),
        api=ApiSettings(port=api_port, open_access=True, driver_secret="of the demonstration"),  # noqa: S106
        csms=CsmsSettings(unknown_stations=UnknownStationPolicy.ACCEPT),
        payments=PaymentsFile(fake=True),
    )
    async with running_csms(settings, clock) as csms, contextlib.AsyncExitStack() as stack:
        controller = ControllerServer(
            site,
            ControllerSettings(decide_interval_s=max(0.05, 1.0 / speed)),
            upstream_url=f"ws://127.0.0.1:{csms.stations.port}/ocpp",
            dialects={dialect.subprotocol: dialect for dialect in DIALECTS},
            clock=clock,
            new_id=csms.context.new_id,
        )
        surroundings = SurroundingsSettings(
            dimming=_dimming(site), planner=planner_settings(speed), tokens=wishes_of(sessions)
        )
        controller.endpoint.controller.surround(surroundings, clock.now())
        look_ahead(controller.endpoint.controller.surroundings.outlook, start)
        await furnish(csms.context, sorted(sessions_of))
        await controller.start(port=controller_port)
        stack.push_async_callback(controller.stop)
        link = SiteLink(
            controller, site, url=f"ws://127.0.0.1:{csms.api.port}", key=await _site_key(csms.context), clock=clock
        )
        dialects = list(DIALECTS)
        stations = [
            DrivenStation(
                point,
                sessions_of[point.station_id],
                endpoint=f"ws://127.0.0.1:{controller.port}",
                # Every fourth station is of the newer generation: a site as one finds them.
                dialect=dialects[0] if index % 4 == 3 else dialects[-1],
                journal=MemoryJournal(),
                clock=clock,
                seed=seed,
                variables={SAMPLED_MEASURANDS: _MEASURANDS},
                visitors=True,
            )
            for index, point in enumerate(site.evses)
        ]
        for value in tokens_of(stations):
            await authorization.put_token(csms.context, value, TokenFields())
        physics = SitePhysics(site, {EvseKey(s.point.station_id, 1): s.evse for s in stations})
        demo = Demo(csms, controller, stations, physics, clock, site, speed)
        tasks = [asyncio.create_task(station.run()) for station in stations]
        tasks.append(asyncio.create_task(demo.watch_fuses()))
        tasks.append(asyncio.create_task(link.run()))
        tasks.append(asyncio.create_task(keep_planning(controller, link, site, clock)))
        try:
            yield demo
        finally:
            for station in stations:
                await station.session.stop()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _dimming(site: Site) -> DimmedTo:
    """What a grid operator may dim the site to: so much for each EVSE, as the law has it for many of them (§ 14a)."""
    controlled_w = max(_DIMMED_TO_W, len(site.evses) * _DIMMED_TO_W * _AT_ONCE)
    return DimmedTo(node=site.grid.name, limit=NodeLimit(controlled_w=controlled_w))


async def _site_key(context: Context) -> str:
    """A key to tell the CSMS of the site with; books that were kept know the site already."""
    known = (await sites.list_sites(context, limit=500)).items
    mine = next((site for site in known if site.name == _SITE_NAME), None)
    if mine is None:
        return (await sites.create_site(context, _SITE_NAME, None))[1]
    return (await sites.new_key(context, mine.number))[1]


def command(
    speed: Annotated[
        float, typer.Option(min=1.0, max=3600.0, help="How many times faster than real time cars and schedules run.")
    ] = 60.0,
    duration: Annotated[
        float | None, typer.Option(min=1.0, help="End after so many real seconds; otherwise with Ctrl-C.")
    ] = None,
    summary: Annotated[Path | None, typer.Option(help="Write what happened to this file, as JSON.")] = None,
    start: Annotated[
        str | None,
        typer.Option(help="Time of day at which the recording begins, such as 07:30; default: its first car."),
    ] = None,
    sessions: Annotated[
        Path | None,
        typer.Option(help="Another recording of sessions (CSV, may be gzipped), instead of the built-in day."),
    ] = None,
    day: Annotated[str | None, typer.Option(help="Which day of it, such as 2019-05-22; default: its first.")] = None,
    ocpp_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the controller, where the stations connect; 0: any free.")
    ] = 9100,
    csms_port: Annotated[int, typer.Option(min=0, max=65535, help="OCPP port of the CSMS; 0: any free.")] = 9000,
    api_port: Annotated[int, typer.Option(min=0, max=65535, help="Port of API and console; 0: any free.")] = 8080,
    database: Annotated[
        Path | None, typer.Option(help="Keep the CSMS's books in this SQLite file; default: a temporary one.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Chooses the cars that the recording doesn't tell of.")] = 0,
    log: Annotated[LogFormat, typer.Option(help="How log lines look.")] = LogFormat.CONSOLE,
    log_level: Annotated[LogLevel, typer.Option(help="The least that is worth a line.")] = LogLevel.WARNING,
) -> None:
    """Watch a site charge: a recorded day of cars, real stations on real sockets, a fuse that is too small for all.

    Everything runs on this machine and listens on 127.0.0.1 only; the API asks for no key here.
    """
    set_up(log, log_level)
    recorded = _sessions(sessions, day)
    options = _Options(
        speed=speed, duration_s=duration, summary=summary, start=_start(recorded, start), seed=seed,
        controller_port=ocpp_port, csms_port=csms_port, api_port=api_port, database=database,
    )  # fmt: skip
    run_role(_run(recorded, options))


class _Options(msgspec.Struct, frozen=True, kw_only=True):
    speed: float
    duration_s: float | None
    summary: Path | None
    start: datetime
    seed: int
    controller_port: int
    csms_port: int
    api_port: int
    database: Path | None


async def _run(sessions: Sequence[RecordedSession], options: _Options) -> None:
    with tempfile.TemporaryDirectory(prefix="forecourt-demo-") as folder:
        path = options.database or Path(folder) / "csms.sqlite"
        async with running_demo(
            sessions,
            start=options.start,
            speed=options.speed,
            database=f"sqlite:///{path}",
            csms_port=options.csms_port,
            controller_port=options.controller_port,
            api_port=options.api_port,
            seed=options.seed,
        ) as demo:
            typer.echo(f"CSMS        ws://127.0.0.1:{demo.csms.stations.port}/ocpp/<station id>")
            typer.echo(f"Controller  ws://127.0.0.1:{demo.controller.port}/<station id>")
            typer.echo(f"API         http://127.0.0.1:{demo.csms.api.port}/api/v1  (open: this machine only)")
            watching = asyncio.create_task(show(demo))
            try:
                await until_stopped(options.duration_s)
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
            result = await demo.finish()
    _report(result, options.summary)


def _report(result: DemoSummary, path: Path | None) -> None:
    text = msgspec.json.format(msgspec.json.encode(result), indent=2).decode()
    if path is not None:
        path.write_text(text + "\n", encoding="utf-8")
    worst = max(max(lines.values()) for lines in result.max_load_ratio.values())
    typer.echo(
        f"{result.cars} cars, {result.transactions} transactions ({result.transactions_open} open), "
        f"{result.energy_kwh:.1f} of {result.requested_kwh:.1f} kWh; highest load {worst:.0%} of a fuse, "
        f"overload {result.overload_ampere_seconds:g} As; {result.calls} calls, {result.call_errors} errors; "
        f"books {'agree' if result.books_agree else 'DIFFER'}"
    )
    for difference in result.differences:
        typer.echo(f"  {difference}")
    if not result.books_agree or result.overload_ampere_seconds > 0:
        raise typer.Exit(Exit.FAILED)


def _sessions(path: Path | None, day: str | None) -> tuple[RecordedSession, ...]:
    try:
        found = recorded_day() if path is None else free_of_overlaps(read_sessions(path))[0]
    except (SessionFileError, OSError) as error:
        raise typer.BadParameter(str(error), param_hint="--sessions") from error
    if not found:
        raise typer.BadParameter(f"{path}: no sessions", param_hint="--sessions")
    if path is None and day is None:
        return found
    wanted = day or found[0].arrival.date().isoformat()
    chosen = tuple(session for session in found if session.arrival.date().isoformat() == wanted)
    if not chosen:
        days = sorted({session.arrival.date().isoformat() for session in found})
        raise typer.BadParameter(f"no sessions on {wanted}; there are {days[0]} to {days[-1]}", param_hint="--day")
    return chosen


def _start(sessions: Sequence[RecordedSession], text: str | None) -> datetime:
    arrivals = sorted(session.arrival for session in sessions)
    first = arrivals[0]
    if text is None:
        return arrivals[len(arrivals) // 10] - timedelta(minutes=2)
    try:
        hours, minutes = (int(part) for part in text.split(":"))
        return first.replace(hour=hours, minute=minutes, second=0, microsecond=0)
    except ValueError as error:
        raise typer.BadParameter(f'expected a time such as 07:30, got "{text}"', param_hint="--start") from error


__all__ = ["ConfigError", "Demo", "DemoSummary", "command", "running_demo"]
