"""`forecourt fleet`: thousands of stations in one process, with a scenario and a report."""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from forecourt.app.config import ConfigError, load, parse
from forecourt.app.logs import LogFormat, LogLevel, set_up
from forecourt.app.running import Exit, fail, run_role, until_stopped
from forecourt.app.station_file import FIRST_GENERATION
from forecourt.dialect import DIALECTS, by_subprotocol
from forecourt.sim.fleet.fleet import Fleet, Model
from forecourt.sim.fleet.report import FleetReport, for_a_person
from forecourt.sim.fleet.scenario import Scenario
from forecourt.sim.fleet.template import StationTemplate, known_templates

_TOLD_EVERY_S = 10.0


def command(
    stations: Annotated[int, typer.Option(min=1, max=100_000, help="How many stations.")] = 100,
    csms: Annotated[
        str, typer.Option(help="The CSMS (or local controller), without a station's id.")
    ] = "ws://127.0.0.1:9000/ocpp",
    template: Annotated[
        list[str] | None,
        typer.Option(help="Model of the stations: a TOML file or a shipped one's name; several take turns."),
    ] = None,
    scenario: Annotated[
        Path | None, typer.Option(help="What happens, in TOML; without it a minute of heartbeats.")
    ] = None,
    protocol: Annotated[
        str, typer.Option(help=f"For models that don't say: {', '.join(dialect.subprotocol for dialect in DIALECTS)}.")
    ] = FIRST_GENERATION,
    id_prefix: Annotated[str, typer.Option(help="Station ids are this and a number.")] = "FLEET-",
    password: Annotated[
        str | None, typer.Option(envvar="FORECOURT_FLEET_PASSWORD", help="For Basic Auth, the same for all.")
    ] = None,
    security_profile: Annotated[
        int | None, typer.Option(min=0, max=3, help="In place of the scenario's. [default: the highest possible]")
    ] = None,
    ca_directory: Annotated[Path | None, typer.Option(help="Certificates that may vouch for a wss:// CSMS.")] = None,
    seed: Annotated[int | None, typer.Option(help="In place of the scenario's.")] = None,
    duration_s: Annotated[
        float | None, typer.Option("--duration", min=0.1, help="In place of the scenario's, in seconds of its world.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write the report here as JSON.")] = None,
    record: Annotated[Path | None, typer.Option(help="Write every frame here, one JSON object a line.")] = None,
    list_templates: Annotated[bool, typer.Option("--list-templates", help="Say which models ship, and end.")] = False,
    log: Annotated[LogFormat, typer.Option(help="How log lines look.")] = LogFormat.CONSOLE,
    log_level: Annotated[LogLevel, typer.Option(help="The least that is worth a line.")] = LogLevel.WARNING,
) -> None:
    """Run thousands of charging stations against a CSMS, and report what they sent and how long answers took.

    They are the very stations that `forecourt station` runs, each with its own socket. Ctrl-C ends the run early, with
    its report.
    """
    set_up(log, log_level)
    if list_templates:
        for name, text in known_templates().items():
            model = parse(text, StationTemplate, source=name)
            typer.echo(f"{name}: {model.vendor_name} {model.model}, {len(model.evses)} EVSE(s)")
        return
    try:
        models = _models(template or [], protocol)
        script = Scenario() if scenario is None else _beside(load(scenario, Scenario), scenario.resolve().parent)
        given = {"seed": seed, "duration_s": duration_s}
        script = msgspec.structs.replace(script, **{name: value for name, value in given.items() if value is not None})
        script = _with_access(script, security_profile, password, ca_directory)
    except ConfigError as error:
        fail(str(error), Exit.USAGE)

    async def work() -> None:
        with nullcontext() if record is None else record.open("wb") as frames:
            try:
                fleet = Fleet(models, stations, csms, script, id_prefix=id_prefix, record=frames)
            except ValueError as error:  # addresses, and values of variables, are judged by those who use them
                raise ConfigError(str(error)) from error
            result = await _watched(fleet)
        if report is not None:
            report.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n")
        typer.echo(for_a_person(result))

    _allow_files()
    run_role(work())


def _beside(script: Scenario, folder: Path) -> Scenario:
    return msgspec.structs.replace(script, access=script.access.beside(folder))


def _with_access(script: Scenario, profile: int | None, password: str | None, ca: Path | None) -> Scenario:
    """With what the command line says in place of the scenario's."""
    given = {"security_profile": profile, "password": password}
    access = msgspec.structs.replace(
        script.access, **{name: value for name, value in given.items() if value is not None}
    )
    if ca is not None:
        access = msgspec.structs.replace(access, tls=msgspec.structs.replace(access.tls, ca=str(ca.resolve())))
    return msgspec.structs.replace(script, access=access)


async def _watched(fleet: Fleet) -> FleetReport:
    """Run it, say now and then how it is, and end it at Ctrl-C."""
    stopped = asyncio.Event()

    async def stop() -> None:
        await until_stopped()
        stopped.set()

    async def tell() -> None:
        while True:
            await asyncio.sleep(_TOLD_EVERY_S)
            ledger = fleet.ledger
            told = f"{fleet.connected}/{len(fleet.stations)} connected, {ledger.frames_sent} frames sent"
            typer.echo(f"{told}, {len(ledger.bookings)} transactions", err=True)

    beside = [asyncio.create_task(stop()), asyncio.create_task(tell())]
    try:
        return await fleet.run(stopped)
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)


def _models(wanted: Sequence[str], protocol: str) -> list[Model]:
    """The templates, each with what it speaks."""
    shipped = known_templates()
    found = []
    for name in wanted:
        if name in shipped:
            found.append(parse(shipped[name], StationTemplate, source=name))
        elif Path(name).suffix == ".toml" or Path(name).exists():
            found.append(load(Path(name), StationTemplate))
        else:
            raise ConfigError(f"--template: neither a file nor one of {', '.join(shipped)}: {name}")
    models = []
    for template in found or [StationTemplate()]:
        try:
            models.append(Model(template, by_subprotocol(template.protocol or protocol)))
        except KeyError:
            known = ", ".join(dialect.subprotocol for dialect in DIALECTS)
            raise ConfigError(f'protocol: expected one of {known}, got "{template.protocol or protocol}"') from None
    return models


def _allow_files() -> None:
    """A socket is an open file: have as many as the system lets us."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - not on every system

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
