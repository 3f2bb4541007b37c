"""`forecourt stations`: stations of a running CSMS: list, show, configure, import."""

from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from forecourt.app.remote import DryRunOption, JsonOption, KeyOption, UrlOption, connected, import_list, show, show_one
from forecourt.app.running import Exit, fail
from forecourt.client import Conflict, details
from forecourt.client import stations as ops
from forecourt.client.types import Station
from forecourt.csms.records import Configuration
from forecourt.domain.variable import VariableRef

_PATIENCE_S: Final = 60.0
"""For a station that is asked for one thing after the other."""


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


class _Setting(msgspec.Struct, frozen=True):
    """A variable of a station."""

    variable: str
    reported: str | None
    desired: str | None
    outcome: str | None
    """The station's word on the last attempt."""


_SETTINGS: Final[tuple[tuple[str, Any], ...]] = (
    ("variable", lambda one: one.variable),
    ("reported", lambda one: one.reported),
    ("desired", lambda one: one.desired),
    ("station's word", lambda one: one.outcome),
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
    dry_run: DryRunOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Enter the stations of a CSV list, ours or SteVe's charge_box. Those that are there already stay as they are."""
    with connected(url, key) as csms:
        found = import_list(csms, file, ops.import_stations, dry_run=dry_run)
    for station_id in found.known:
        typer.echo(f"{station_id}: is there already, and stays as it is", err=True)
    typer.echo(f"{found.entered} of {found.rows} stations {'would be ' if dry_run else ''}entered")


def configuration(
    station_id: Annotated[str, typer.Argument(metavar="STATION")],
    drifts: Annotated[bool, typer.Option("--drift", help="Only what isn't as it shall be.")] = False,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a station is configured to, and what it shall be."""
    with connected(url, key) as csms:
        _show_configuration(csms.do(details.configuration(station_id)), drifts=drifts, as_json=as_json)


def configure(
    station_id: Annotated[str, typer.Argument(metavar="STATION")],
    wishes: Annotated[
        list[str], typer.Argument(metavar="COMPONENT.VARIABLE=VALUE...", help="By the names of OCPP 2.0.1.")
    ],
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what variables of a station shall be. One that is connected is told at once, another at its next boot."""
    desired = dict(map(_wish, wishes))
    with connected(url, key) as csms:
        found = csms.do(details.set_desired(station_id, desired))
        try:
            found = csms.do(details.synchronise_configuration(station_id), wait_s=_PATIENCE_S)
        except Conflict as error:
            typer.echo(f"{station_id}: {error}; it is told at its next boot", err=True)
        _show_configuration(found, drifts=True, as_json=as_json)


def _wish(text: str) -> tuple[VariableRef, str]:
    name, equals, value = text.partition("=")
    component, dot, variable = name.partition(".")
    if not (equals and dot and component and variable):
        fail(f"{text}: a wish is COMPONENT.VARIABLE=VALUE", Exit.USAGE)
    return VariableRef(component, variable), value


def _show_configuration(found: Configuration, *, drifts: bool, as_json: bool) -> None:
    wishes = {one.ref: one for one in found.desired}
    told = {one.ref: one for one in found.reported}
    adrift = {one.ref for one in found.drift}
    rows = [
        _Setting(
            variable=str(ref),
            reported=None if ref not in told else told[ref].value,
            desired=None if ref not in wishes else wishes[ref].value,
            outcome=None if ref not in wishes else wishes[ref].outcome,
        )
        for ref in sorted({*wishes, *told}, key=str)
        if ref in adrift or not drifts
    ]
    show(rows, _SETTINGS, as_json=as_json)


TASKS: Final = {
    "list": command,
    "show": show_station,
    "configuration": configuration,
    "configure": configure,
    "import": import_stations,
}
