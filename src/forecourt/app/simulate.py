"""`forecourt simulate`: what would have become of recorded sessions on a site, algorithm by algorithm."""

import csv
import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from forecourt.app.config import ConfigError
from forecourt.app.running import Exit, fail
from forecourt.app.site_file import load_site
from forecourt.sim.judge import Result, Signals, base_w
from forecourt.sim.power import power_image, power_over_time, power_picture
from forecourt.sim.series import Series, SeriesFileError, read_series
from forecourt.sim.sessions import SessionFileError, read_sessions
from forecourt.sim.simulation import ALGORITHMS, simulate, start_of, with_capacity

_DEFAULT = "unmanaged,first-come,least-laxity,even,real-time,planner,controller"


def command(
    site: Annotated[Path, typer.Argument(help="The site in TOML, as for `forecourt controller`.")],
    sessions: Annotated[
        Path, typer.Argument(help="Recorded sessions: CSV as ACN-Data's are published; may be gzipped.")
    ],
    algorithms: Annotated[str, typer.Option(help=f"Separated by commas, of {', '.join(ALGORITHMS)}.")] = _DEFAULT,
    days: Annotated[float | None, typer.Option(min=0.01, help="Only the sessions of so many days.")] = None,
    capacity_kw: Annotated[
        float | None, typer.Option(min=0.1, help="What the grid connection bears, in place of the file's ratings.")
    ] = None,
    price: Annotated[float, typer.Option(help="Per kWh from the grid.")] = 0.30,
    prices: Annotated[
        Path | None, typer.Option(help="The same over time: CSV with the columns time and a value.")
    ] = None,
    export_price: Annotated[float, typer.Option(help="Per kWh of surplus that isn't used here.")] = 0.08,
    carbon: Annotated[Path | None, typer.Option(help="kg of CO2 per kWh over time: CSV with time and a value.")] = None,
    carbon_price: Annotated[float, typer.Option(min=0, help="What the planner counts a kg of CO2 as.")] = 0.0,
    pv: Annotated[Path | None, typer.Option(help="Watts from PV over time: CSV with time and a value.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Results as JSON.")] = False,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="Write the charging power over time here, a column per algorithm.")
    ] = None,
    svg_file: Annotated[Path | None, typer.Option("--svg", help="Draw it here.")] = None,
    png_file: Annotated[Path | None, typer.Option("--png", help="The same as PNG.")] = None,
) -> None:
    """Run recorded sessions through a site on virtual time, and compare what algorithms make of them.

    `real-time` is the local controller's own rule, `planner` its horizon planner with that rule, `controller` the whole
    controller with its ledger, leases and messages, which isn't told departures. Cars are ideal: they draw what they
    may. Drivers whose station isn't on the site take the first free EVSE.
    """
    names = [name.strip() for name in algorithms.split(",") if name.strip()]
    unknown = [name for name in names if name not in ALGORITHMS]
    if unknown or not names:
        fail(f"--algorithms: expected some of {', '.join(ALGORITHMS)}, got {algorithms!r}", Exit.USAGE)
    try:
        where = load_site(site).site
        if capacity_kw is not None:
            where = with_capacity(where, capacity_kw * 1000.0)
        recorded = read_sessions(sessions)
        if days is not None and recorded:
            until = start_of(recorded) + timedelta(days=days)
            recorded = tuple(session for session in recorded if session.arrival < until)
        if not recorded:
            fail(f"{sessions}: there are no sessions in it", Exit.USAGE)
        signals = Signals(
            import_price=Series.constant(price) if prices is None else read_series(prices),
            export_price=Series.constant(export_price),
            carbon_kg_per_kwh=None if carbon is None else read_series(carbon),
            pv_w=None if pv is None else read_series(pv),
            base_w=base_w(where),
        )
    except (ConfigError, SessionFileError, SeriesFileError) as error:
        fail(str(error), Exit.USAGE)
    runs = simulate(where, recorded, names, signals, carbon_price=carbon_price)
    courses = {name: run.course for name, run in runs.items()}
    start = start_of(recorded)
    try:
        if csv_file is not None:
            with csv_file.open("w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows(power_over_time(courses, start))
        if svg_file is not None:
            svg_file.write_text(power_picture(courses, start), encoding="utf-8")
        if png_file is not None:
            png_file.write_bytes(power_image(courses, start))
    except OSError as error:
        fail(f"{error.filename}: {error.strerror or error}", Exit.UNAVAILABLE)
    results = [run.result for run in runs.values()]
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(results)).decode() + "\n")
    else:
        typer.echo("\n".join(_table(results)))


def _table(results: list[Result]) -> list[str]:
    """For a person."""
    first = results[0]
    away = f", {first.turned_away} turned away" if first.turned_away else ""
    carbon = first.carbon_kg is not None
    lines = [f"{first.sessions} sessions{away}, {first.requested_kwh:.0f} kWh wanted"]
    lines.append(
        f"{'':18}{'energy':>9}{'all met':>9}{'cost':>10}{'kg CO2' if carbon else '':>9}{'peak':>10}"
        f"{'overload':>10}  {'highest load':28}{'decisions':>10}{'each':>9}"
    )
    for one in results:
        each_ms = 1000.0 * one.decide_s / max(one.decisions, 1)
        kg = f"{one.carbon_kg:9.0f}" if one.carbon_kg is not None else " " * 9
        load = f"{one.highest_load_percent:.1f} % of {one.highest_load_at}"
        lines.append(
            f"{one.algorithm:18}{one.delivered_percent:7.2f} %{one.met:9}{one.cost:10.2f}{kg}{one.peak_kw:7.1f} kW"
            f"{one.overload_h:8.1f} h  {load:28}{one.decisions:10}{each_ms:6.2f} ms"
        )
    return lines
