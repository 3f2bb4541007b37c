"""`forecourt command`: ask something of a station through a running CSMS, and see what came of it."""

from typing import Annotated, Any, Final

import msgspec
import typer

from forecourt.app.remote import JsonOption, KeyOption, UrlOption, WaitOption, connected, show_command
from forecourt.app.running import Exit, fail
from forecourt.client import Operation
from forecourt.client import commands as ops
from forecourt.client.types import Command

StationArgument = Annotated[str, typer.Argument(metavar="STATION")]
_WAIT_S: Final = 30.0


def command() -> None:
    """Ask something of a station: reset, start, stop, unlock, availability, trigger, clear-cache, send, raw.

    The exit code is 0 when the station has accepted, 1 when it has not, or isn't connected.
    """
    typer.echo("what shall be asked? forecourt command --help lists it", err=True)
    raise typer.Exit(Exit.USAGE)


def _ask(operation: Operation[Command], url: str | None, key: str | None, wait_s: float, as_json: bool) -> None:
    with connected(url, key) as csms:
        show_command(csms.do(operation, wait_s=wait_s or None), as_json=as_json)


def reset(
    station_id: StationArgument,
    when_idle: Annotated[bool, typer.Option("--when-idle", help="Not before nothing charges.")] = False,
    hard: Annotated[bool, typer.Option("--hard", help="Without waiting for anything.")] = False,
    url: UrlOption = None,
    key: KeyOption = None,
    wait_s: WaitOption = _WAIT_S,
    as_json: JsonOption = False,
) -> None:
    """Restart a station."""
    _ask(ops.reset(station_id, immediate=not when_idle, graceful=not hard), url, key, wait_s, as_json)


def start(
    station_id: StationArgument,
    token: Annotated[str, typer.Argument(metavar="TOKEN")],
    evse: Annotated[int | None, typer.Option(min=1, help="Else the station chooses.")] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    wait_s: WaitOption = _WAIT_S,
    as_json: JsonOption = False,
) -> None:
    """Start charging as if the token had been presented."""
    _ask(ops.start_session(station_id, token, evse_id=evse), url, key, wait_s, as_json)


def stop(
    transaction: Annotated[int, typer.Argument(metavar="TRANSACTION", help="Its number.", min=1)],
    url: UrlOption = None,
    key: KeyOption = None,
    wait_s: WaitOption = _WAIT_S,
    as_json: JsonOption = False,
) -> None:
    """End a transaction."""
    _ask(ops.stop_session(transaction), url, key, wait_s, as_json)


def unlock(
    station_id: StationArgument,
    evse: Annotated[int, typer.Argument(metavar="EVSE", min=1)],
    connector: Annotated[int, typer.Option(min=1)] = 1,
    url: UrlOption = None,
    key: KeyOption = None,
    wait_s: WaitOption = _WAIT_S,
    as_json: JsonOption = False,
) -> None:
    """Let go of the plug."""
    _ask(ops.unlock_connector(station_id, evse, connector), url, key, wait_s, as_json)


def availability(
    station_id: StationArgument,
    operative: Annotated[bool, typer.Option("--in-use/--out-of-use", help="Which of the two.")],
    evse: Annotated[int, typer.Option(min=0, help="0: the station.")] = 0,
    url: UrlOption = None,
    key: KeyOption = None,
    wait_s: WaitOption = _WAIT_S,
    as_json: JsonOption = False,
) -> None:
    """Take a station or an EVSE into or out of use."""
    _ask(ops.change_availability(station_id, operative, evse_id=evse), url, key, wait_s, as_json)


def trigger(
    station_id: StationArgument,
    message: Annotated[str, typer.Argument(metavar="MESSAGE", help="Such as StatusNotification.")],
    evse: Annotated[int | None, typer.Option(min=1)] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    wait_s: WaitOption = _WAIT_S,
    as_json: JsonOption = False,
) -> None:
    """Make a station say something now."""
    _ask(ops.trigger_message(station_id, message, evse_id=evse), url, key, wait_s, as_json)


def clear_cache(
    station_id: StationArgument,
    url: UrlOption = None,
    key: KeyOption = None,
    wait_s: WaitOption = _WAIT_S,
    as_json: JsonOption = False,
) -> None:
    """Make a station forget the tokens that it has cached."""
    _ask(ops.clear_cache(station_id), url, key, wait_s, as_json)


def send(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As in the API, such as SET_VARIABLES.")],
    station_id: StationArgument,
    body: Annotated[str, typer.Argument(metavar="JSON", help="The command's fields.")] = "{}",
    url: UrlOption = None,
    key: KeyOption = None,
    wait_s: WaitOption = _WAIT_S,
    as_json: JsonOption = False,
) -> None:
    """Ask any of the typed commands of the API."""
    fields = _object(body)
    _ask(ops.issue(name.upper().replace("-", "_"), {**fields, "station_id": station_id}), url, key, wait_s, as_json)


def raw(
    station_id: StationArgument,
    action: Annotated[str, typer.Argument(metavar="ACTION", help="Such as GetConfiguration.")],
    payload: Annotated[str, typer.Argument(metavar="JSON", help="The OCPP payload, sent as it is.")] = "{}",
    url: UrlOption = None,
    key: KeyOption = None,
    wait_s: WaitOption = _WAIT_S,
    as_json: JsonOption = False,
) -> None:
    """Send an OCPP message as it is."""
    _object(payload)
    _ask(ops.raw(station_id, action, payload.encode()), url, key, wait_s, as_json)


def _object(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        fail(f"JSON: must be an object: {error}", Exit.USAGE)


TASKS: Final = {
    "reset": reset,
    "start": start,
    "stop": stop,
    "unlock": unlock,
    "availability": availability,
    "trigger": trigger,
    "clear-cache": clear_cache,
    "send": send,
    "raw": raw,
}
