"""What `forecourt demo` shows: each node's load against its rating, line by line, and what each station does.

On a terminal a picture that is drawn anew twice a second; elsewhere, such as in a log file, a line now and then.
"""

import asyncio
import sys
from typing import TYPE_CHECKING, Final

import typer
from rich.bar import Bar
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from forecourt.domain.site import EvseKey
from forecourt.quantities import PHASES

if TYPE_CHECKING:
    from forecourt.app.demo import Demo
    from forecourt.sim.driven_station import DrivenStation

_DRAWN_EVERY_S: Final = 0.5
_TOLD_EVERY_S: Final = 10.0
_BAR_WIDTH: Final = 26


async def show(demo: "Demo") -> None:
    """Show until cancelled."""
    if not sys.stdout.isatty():
        while True:
            await asyncio.sleep(_TOLD_EVERY_S)
            typer.echo(line(demo))
    console = Console()
    with Live(picture(demo, console), console=console, screen=False, auto_refresh=False) as live:
        while True:
            await asyncio.sleep(_DRAWN_EVERY_S)
            live.update(picture(demo, console), refresh=True)


def line(demo: "Demo") -> str:
    """The state in one line."""
    plugged = sum(station.present is not None for station in demo.stations)
    charging = sum(station.evse.power_w > 0 for station in demo.stations)
    power_kw = sum(station.evse.power_w for station in demo.stations) / 1000
    worst = max(max(ratio) for ratio in demo.physics.max_load_ratio.values())
    return (
        f"{demo.clock.now().at:%Y-%m-%d %H:%M} UTC  {plugged} cars plugged in, {charging} charging, "
        f"{power_kw:.1f} kW; highest load so far {worst:.0%} of a fuse"
    )


def picture(demo: "Demo", console: Console) -> RenderableType:
    """The state as a picture that fits the terminal."""
    connected = len(demo.controller.connected)
    head = Text(
        f"{line(demo)}; {connected}/{len(demo.stations)} stations connected, {demo.speed:g} times as fast", style="bold"
    )
    loads = _loads(demo)
    rows = max(5, console.height - len(demo.site.nodes) - 10)
    return Group(head, loads, _stations(demo, rows))


def _loads(demo: "Demo") -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("node")
    for phase in PHASES:
        table.add_column(str(phase), min_width=_BAR_WIDTH + 16)
    load_a = demo.physics.load_a
    for node in demo.site.nodes:
        cells = [_load(load_a[node.name][phase], node.rating_a[phase]) for phase in PHASES]
        table.add_row(node.name, *cells)
    return table


def _load(current_a: float, rating_a: float) -> RenderableType:
    share = current_a / rating_a
    colour = "red" if share > 1 else "yellow" if share > 0.9 else "green"
    grid = Table.grid(padding=(0, 1))
    grid.add_row(
        Bar(rating_a, 0, min(current_a, rating_a), width=_BAR_WIDTH, color=colour, bgcolor="grey23"),
        Text(f"{current_a:5.1f}/{rating_a:g} A", style=colour),
    )
    return grid


def _stations(demo: "Demo", rows: int) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, justify in (
        ("station", "left"),
        ("state", "left"),
        ("kW", "right"),
        ("kWh", "right"),
        ("limit A", "right"),
    ):
        table.add_column(name, justify="right" if justify == "right" else "left")
    table.add_column("why", overflow="ellipsis", no_wrap=True)
    busy = [station for station in demo.stations if station.present is not None]
    busy.sort(key=lambda station: (-station.evse.power_w, station.point.station_id))
    for station in busy[:rows]:
        table.add_row(*_station(demo, station))
    if len(busy) > rows:
        table.add_row(f"… and {len(busy) - rows} more")
    return table


def _station(demo: "Demo", station: "DrivenStation") -> list[str]:
    entries = list(station.books.values())
    energy_kwh = entries[-1].energy_wh / 1000 if entries and not entries[-1].ended else 0.0
    key = EvseKey(station.point.station_id, 1)
    controller = demo.controller.endpoint.controller
    why = "" if controller.shared is None else str(controller.shared.sentence(controller.lines[key])).partition(": ")[2]
    state = "charging" if station.evse.power_w > 0 else "waiting" if station.evse.limit_a < 6 else "plugged in"
    if station.evse.vehicle is not None and station.evse.vehicle.satisfied:
        state = "finished"
    return [
        station.point.station_id,
        state,
        f"{station.evse.power_w / 1000:.1f}",
        f"{energy_kwh:.2f}",
        f"{station.evse.limit_a:.1f}",
        why,
    ]
