"""`forecourt transactions`: what was charged at the stations of a running CSMS."""

from typing import Annotated, Any, Final

import typer

from forecourt.app.remote import JsonOption, KeyOption, UrlOption, connected, show, show_one
from forecourt.client import details
from forecourt.client import tokens as ops
from forecourt.csms.records import TransactionState

_COLUMNS: Final[tuple[tuple[str, Any], ...]] = (
    ("number", lambda one: one.number),
    ("station", lambda one: one.station_id),
    ("evse", lambda one: one.evse_id),
    ("state", lambda one: one.state),
    ("token", lambda one: one.id_token),
    ("started", lambda one: one.started_at),
    ("ended", lambda one: one.ended_at),
    ("kWh", lambda one: None if one.energy_wh is None else round(one.energy_wh / 1000, 3)),
    ("suspect", lambda one: one.suspect),
)


def command(
    station: Annotated[str | None, typer.Option(help="Only at this station.")] = None,
    token: Annotated[str | None, typer.Option(help="Only by this token.")] = None,
    state: Annotated[TransactionState | None, typer.Option(help="Only in this state.")] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the transactions of a running CSMS, newest first."""
    with connected(url, key) as csms:
        wanted = ops.list_transactions(station_id=station, id_token=token, state=state)
        show(csms.all(wanted), _COLUMNS, as_json=as_json)


def show_transaction(
    number: Annotated[int, typer.Argument(min=1)],
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a transaction."""
    with connected(url, key) as csms:
        show_one(csms.do(ops.get_transaction(number)), as_json=as_json)


def completion(
    number: Annotated[int, typer.Argument(min=1)],
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Estimate when a transaction will be done."""
    with connected(url, key) as csms:
        show_one(csms.do(details.completion(number)), as_json=as_json)


TASKS: Final = {"list": command, "show": show_transaction, "completion": completion}
