"""`forecourt stations`: stations of a running CSMS: list, show, import."""

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from forecourt.app.remote import JsonOption, KeyOption, UrlOption, connected, show, show_one
from forecourt.app.running import Exit, fail
from forecourt.client import Conflict
from forecourt.client import stations as ops
from forecourt.client.imports import ImportFailed, read_stations
from forecourt.client.types import Station


def _model(station: Station) -> str | None:
    return None if station.identity is None else f"{station.identity.vendor_name} {station.identity.model}"


_COLUMNS: Final[tuple[tuple[str, Any], ...]] = (
    ("station", lambda one: one.id),
    ("name", lambda one: one.name),
    ("connected", lambda one: one.connected),
    ("since", lambda one: one.connection_changed_at),
    ("registration", lambda one: one.registration),
    ("model", _model),
    ("firmware", lambda one: None if one.identity is None else one.identity.firmware_version),
    ("protocol", lambda one: one.protocol),
)
_CONNECTORS: Final[tuple[tuple[str, Any], ...]] = (
    ("evse", lambda one: one.evse_id),
    ("connector", lambda one: one.connector_id),
    ("state", lambda one: one.view),
    ("power W", lambda one: one.power_w),
    ("transaction", lambda one: one.transaction_number),
    ("since", lambda one: one.status_at),
)


def command(
    connected_only: Annotated[bool, typer.Option("--connected", help="Only those that are connected.")] = False,
    location: Annotated[int | None, typer.Option(help="Only those at this location.")] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the stations of a running CSMS."""
    with connected(url, key) as csms:
        wanted = ops.list_stations(connected=True if connected_only else None, location_id=location)
        show(csms.all(wanted), _COLUMNS, as_json=as_json)


def show_station(
    station_id: Annotated[str, typer.Argument(metavar="STATION")],
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a station and its connectors."""
    with connected(url, key) as csms:
        show_one(csms.do(ops.get_station(station_id)), as_json=as_json)
        if not as_json:
            typer.echo()
        show(csms.all(ops.list_connectors(station_id)), _CONNECTORS, as_json=as_json)


def import_stations(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", exists=True, dir_okay=False)],
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Enter the stations of a CSV list, ours or SteVe's charge_box. Those that are there already stay as they are."""
    try:
        rows = read_stations(file.read_text(encoding="utf-8"))
    except (ImportFailed, UnicodeDecodeError) as error:
        fail(f"{file}: {error}", Exit.USAGE)
    entered = 0
    with connected(url, key) as csms:
        for station_id, fields in rows:
            hashed = fields.get("password", "") is None
            password = fields.pop("password", None)
            try:
                csms.do(ops.create_station(station_id, **fields))
            except Conflict as error:
                typer.echo(f"{station_id}: {error}", err=True)
                continue
            if password is not None:
                csms.do(ops.set_password(station_id, password))
            if hashed:
                typer.echo(f"{station_id}: its password is a hash, which nobody can show: set another one", err=True)
            entered += 1
    typer.echo(f"{entered} of {len(rows)} stations entered")


TASKS: Final = {"list": command, "show": show_station, "import": import_stations}
