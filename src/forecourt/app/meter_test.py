"""`forecourt controller meter-test`: every configured meter and signal read once, as a table."""

import asyncio
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from forecourt.app.running import Exit, run_role
from forecourt.app.site_file import SiteFile, load_site
from forecourt.controller.ports import MeterReading
from forecourt.meters.broker import BrokerLink
from forecourt.meters.modbus import MeterError, ModbusMeters
from forecourt.meters.mqtt import MqttReadings
from forecourt.meters.settings import AnyMeter, ModbusMeter, MqttMeter, OcppMeter, SimulatedMeter
from forecourt.meters.simulated import simulated_reading
from forecourt.quantities import PerPhase

_WIDE: Final = 160


def meter_test(
    config: Annotated[Path, typer.Argument(help="The site in TOML.")],
    wait: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for a meter that publishes by itself.")] = 10.0,
) -> None:
    """Read every meter of a site once and show what it says: import is positive, generation negative.

    Exit code 1: one of them could not be read.
    """
    run_role(_read_all(load_site(config), config.resolve().parent, wait))


async def _read_all(file: SiteFile, folder: Path, wait_s: float) -> None:
    published = asyncio.create_task(_published(file, wait_s))
    modbus = [meter for meter in file.meters if isinstance(meter, ModbusMeter)]
    readers = ModbusMeters(modbus, folder)
    found: dict[str, MeterReading | str] = {}
    for meter in file.meters:
        if isinstance(meter, ModbusMeter):
            try:
                found[meter.name] = await readers.read_once(meter)
            except MeterError as error:
                found[meter.name] = str(error)
        elif isinstance(meter, SimulatedMeter):
            found[meter.name] = simulated_reading(meter)
        elif isinstance(meter, OcppMeter):
            found[meter.name] = f"told by station {meter.station_id} while the controller runs"
    readers.close()
    found |= await published
    console = Console()
    if not console.is_terminal:  # into a file or a pipe: as wide as it is
        console = Console(width=_WIDE)
    console.print(_table(file, found))
    failed = [m for m in file.meters if not isinstance(m, OcppMeter) and isinstance(found.get(m.name, ""), str)]
    if failed:
        raise typer.Exit(Exit.FAILED)


async def _published(file: SiteFile, wait_s: float) -> dict[str, MeterReading | str]:
    meters = [meter for meter in file.meters if isinstance(meter, MqttMeter)]
    if not meters or file.mqtt is None:
        return {}
    found: dict[str, MeterReading | str] = {}
    complete = asyncio.Event()

    def take(name: str, reading: MeterReading) -> None:
        found[name] = reading
        if len(found) == len(meters):
            complete.set()

    readings = MqttReadings(meters, take)
    link = BrokerLink(file.mqtt)
    link.listen(readings.topics, lambda topic, payload, kept: readings.message(topic, payload, retained=kept))
    running = asyncio.create_task(link.run())
    try:
        await asyncio.wait_for(complete.wait(), wait_s)
    except TimeoutError:
        why = f"nothing published within {wait_s:g} s" if link.connected.is_set() else "no connection to the broker"
        for meter in meters:
            found.setdefault(meter.name, why)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    return found


def _table(file: SiteFile, found: dict[str, MeterReading | str]) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("meter", "measures", "kind", "A", "W", "V", "kWh in", "kWh out"):
        table.add_column(title, justify="left" if title in ("meter", "measures", "kind") else "right", no_wrap=True)
    for meter in file.meters:
        reading = found.get(meter.name, "not read")
        of = f"{meter.role.value} {meter.node or file.site.grid.name}"
        if isinstance(reading, str):
            table.add_row(meter.name, of, _kind(meter), f"[red]{reading}[/red]")
            continue
        power = reading.power_per_phase_w
        watts = _number(reading.total_w, 0) + ("" if power is None else f" ({_phases(power, 0)})")
        table.add_row(
            meter.name,
            of,
            _kind(meter),
            _phases(reading.current_a, 1),
            watts,
            _phases(reading.voltage_v, 0),
            _number(None if reading.import_wh is None else reading.import_wh / 1000.0, 1),
            _number(None if reading.export_wh is None else reading.export_wh / 1000.0, 1),
        )
    return table


def _kind(meter: AnyMeter) -> str:
    if isinstance(meter, ModbusMeter):
        return f"{meter.model}, unit {meter.unit_id}"
    return str(type(meter).__struct_config__.tag)


def _phases(values: PerPhase | None, digits: int) -> str:
    return "" if values is None else " ".join(f"{value:.{digits}f}" for value in values)


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
