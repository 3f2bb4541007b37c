"""`forecourt station`: one charging station as a process, on simulated hardware, with a control API."""

import asyncio
import logging
import tempfile
import uuid
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from forecourt.api.control.application import ControlServer
from forecourt.api.control.frames import FrameHistory
from forecourt.api.control.station import ControlledStation
from forecourt.api.settings import ApiSettings
from forecourt.app.config import ConfigError, convert, load
from forecourt.app.libocpp import import_libocpp
from forecourt.app.logs import LogFormat, LogLevel, set_up
from forecourt.app.running import Exit, fail, run_role, until_stopped
from forecourt.app.station_file import StationFile, dialect_of, simulated_evses, station_config, uplink_of
from forecourt.app.station_hardware import mqtt_hardware
from forecourt.app.station_upkeep import StationUpkeep
from forecourt.dialect import DIALECTS
from forecourt.domain.token import IdToken
from forecourt.hardware.kept import KeptHardware
from forecourt.hardware.vehicle import VehicleSpec
from forecourt.net.clock import RealClock
from forecourt.net.station_session import StationSession
from forecourt.station.boot import Registration
from forecourt.station.inputs import SecurityEventNoticed, TokenPresented
from forecourt.station.ports import Hardware, Journal, System
from forecourt.station.readable import JOURNAL_DAMAGED
from forecourt.store.journal import MemoryJournal, SqliteJournal

JOURNAL = "journal.sqlite"
HARDWARE = "hardware.sqlite"
log = logging.getLogger(__name__)

_GLANCE_S = 0.2
"""How often the driver of --charge looks whether the station is in service."""


def command(
    config: Annotated[Path | None, typer.Option(help="Configuration in TOML; what is given here wins over it.")] = None,
    csms: Annotated[
        str | None, typer.Option(help="The CSMS, without the station's id. [default: ws://127.0.0.1:9000/ocpp]")
    ] = None,
    station_id: Annotated[str | None, typer.Option("--id", help="The station's id. [default: station-1]")] = None,
    protocol: Annotated[
        str | None, typer.Option(help=f"One of {', '.join(dialect.subprotocol for dialect in DIALECTS)}.")
    ] = None,
    state_dir: Annotated[
        Path | None, typer.Option(help="Where journal and hardware are kept; without it a restart forgets everything.")
    ] = None,
    control: Annotated[
        str | None,
        typer.Option(help="HOST:PORT, or a port of this machine, for the control API; port 0: any that is free."),
    ] = None,
    import_file: Annotated[
        Path | None,
        typer.Option(
            "--import-libocpp",
            help="Turn this libocpp configuration (JSON) into ours: written to --config, else printed. Starts nothing.",
        ),
    ] = None,
    charge: Annotated[
        str | None, typer.Option(help="Plug in a car at EVSE 1 and present this token, for a first look.")
    ] = None,
    log: Annotated[LogFormat, typer.Option(help="How log lines look.")] = LogFormat.CONSOLE,
    log_level: Annotated[LogLevel, typer.Option(help="The least that is worth a line.")] = LogLevel.INFO,
) -> None:
    """Run a charging station on simulated hardware: it connects, boots, and obeys its CSMS.

    With --state-dir it survives everything: kill it in the middle of a transaction, start it again, and each message
    that a bill depends on still reaches the CSMS, in order and with its original time; its meter goes on, and the car
    is still at the cable.

    With --control HOST:PORT you are the hand at its hardware: POST /evses/1/plug-in, /evses/1/present-token, ...; all
    operations are described at /openapi.json.
    """
    set_up(log, log_level)
    if import_file is not None:
        _import(import_file, config)
        return
    try:
        settings = StationFile() if config is None else load(config, StationFile).beside(config.resolve().parent)
        given = {"csms": csms, "id": station_id, "protocol": protocol}
        settings = _replaced(settings, {name: value for name, value in given.items() if value is not None})
        listen = None if control is None else _listen_at(control)
        _check_hand(settings, None if charge is None else "--charge")
    except ConfigError as error:
        fail(str(error), Exit.USAGE)
    run_role(_serve(settings, state_dir, listen, charge))


def _import(source: Path, target: Path | None) -> None:
    try:
        text = import_libocpp(source)
        if target is None:
            typer.echo(text, nl=False)
            return
        with target.open("x", encoding="utf-8") as file:  # never over a configuration that somebody has written
            file.write(text)
    except ConfigError as error:
        fail(str(error), Exit.USAGE)
    except OSError as error:
        fail(f"{target}: {error.strerror or error}", Exit.UNAVAILABLE)


async def _serve(settings: StationFile, state_dir: Path | None, listen: ApiSettings | None, charge: str | None) -> None:
    async with AsyncExitStack() as closing:
        journals = _journals(state_dir)
        for journal in journals:
            closing.callback(journal.close)
        folder = state_dir or Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="forecourt-station-")))
        frames = FrameHistory()
        upkeep = StationUpkeep(settings, folder, frames)
        closing.push_async_callback(upkeep.system.close)
        driver: asyncio.Task[None] | None = None
        linked: asyncio.Task[None] | None = None
        if settings.hardware.kind == "mqtt":
            board, link = mqtt_hardware(settings.hardware, settings.id, settings.evse_configs)
            session = station_session(settings, journals[0], board, frames, upkeep, board.system)
            board.wake = lambda: session.tell(())
            linked = asyncio.create_task(link.run())
            closing.push_async_callback(_ended, linked)
            if listen is not None:
                await _control(ControlledStation(settings.id, session, board, frames), listen, closing)
        else:
            hardware = KeptHardware(simulated_evses(settings), journals[1], RealClock().now())
            session = station_session(settings, journals[0], hardware, frames, upkeep)
            if listen is not None:
                await _control(ControlledStation(settings.id, session, hardware, frames), listen, closing)
            if charge is not None:
                driver = asyncio.create_task(_begin_charging(session, hardware, charge))
        running = asyncio.create_task(session.run())
        for journal in journals:
            asyncio.get_running_loop().call_soon(_tell_damage, journal, session)
        typer.echo(f"Station {settings.id}: {session.uplink.url} ({settings.protocol})")
        stopped = asyncio.create_task(until_stopped())
        ends = {running, stopped} if linked is None else {running, stopped, linked}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if driver is not None:
            driver.cancel()
        await session.stop()
        await running
        if linked is not None and linked.done():
            linked.result()  # a station that is deaf to its hardware must not look well


async def _control(station: ControlledStation, listen: ApiSettings, closing: AsyncExitStack) -> None:
    control = ControlServer(station, listen)
    await control.start()
    closing.push_async_callback(control.stop)
    typer.echo(f"Control: http://{listen.host}:{control.port}/state")


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _tell_damage(journal: MemoryJournal | SqliteJournal, session: StationSession) -> None:
    """A journal that could not be read is worth a word: what it held is not lost, but has to be looked for there."""
    if isinstance(journal, SqliteJournal) and journal.damaged is not None:
        log.error("%s: damaged; it was put aside as %s, and a new one begun", journal.path, journal.damaged)
        what = f"{journal.path.name} was damaged, and is kept as {journal.damaged.name}"
        session.tell([SecurityEventNoticed(JOURNAL_DAMAGED, what, critical=True)])


def _journals(state_dir: Path | None) -> tuple[MemoryJournal | SqliteJournal, MemoryJournal | SqliteJournal]:
    """The station's, and its hardware's."""
    if state_dir is None:
        return MemoryJournal(), MemoryJournal()
    return SqliteJournal(state_dir / JOURNAL), SqliteJournal(state_dir / HARDWARE)


def station_session(
    settings: StationFile,
    journal: Journal,
    hardware: Hardware,
    frames: FrameHistory,
    upkeep: StationUpkeep,
    system: System | None = None,
) -> StationSession:
    """A station as configured, not yet running. `system` stands in for the one of `upkeep`.

    Raises:
        ConfigError: a value can't be.
    """
    dialect, uplink = dialect_of(settings), uplink_of(settings)
    config = msgspec.structs.replace(station_config(settings), security_profiles=upkeep.security_profiles)
    try:
        session = StationSession(
            config,
            dialect,
            journal,
            hardware,
            uplink,
            clock=RealClock(),
            new_id=lambda: str(uuid.uuid4()),
            on_frame=frames.note,
            system=system or upkeep.system,
            security=upkeep.security,
            reach=upkeep.reach,
            attempted=upkeep.attempted,
            return_after_s=settings.csms_return_after_s,
        )
    except ValueError as error:  # the values of variables are judged by the station itself
        raise ConfigError(f"variables: {error}") from error
    upkeep.station = lambda: session.endpoint.station
    return session


async def _begin_charging(session: StationSession, hardware: KeptHardware, token: str) -> None:
    """A driver comes and waits for the station to be in service; a car that is there had its driver already."""
    if hardware.evses[1].vehicle is not None:
        return
    session.tell(hardware.plug_in(1, VehicleSpec(), session.clock.now()))
    while session.endpoint.station.parts.boot.registration is not Registration.ACCEPTED:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(_GLANCE_S)
    session.tell([TokenPresented(IdToken(token), 1)])


def _replaced(settings: StationFile, given: dict[str, str]) -> StationFile:
    """`settings` with what the command line gave, judged as the file would be."""
    convert(given, StationFile, source="the command line")
    return msgspec.structs.replace(settings, **given)


def _check_hand(settings: StationFile, option: str | None) -> None:
    kind = settings.hardware.kind
    if option is not None and kind != "simulated":
        raise ConfigError(f'{option}: is a hand at simulated hardware; here hardware.kind is "{kind}"')


def _listen_at(text: str) -> ApiSettings:
    host, colon, port = text.rpartition(":")
    if not colon:
        host = "127.0.0.1"
    host = host.strip("[]")
    if not (port.isascii() and port.isdecimal() and int(port) <= 65_535) or not host:
        raise ConfigError(f'--control: expected HOST:PORT such as 127.0.0.1:8100, got "{text}"')
    return ApiSettings(host=host, port=int(port))
