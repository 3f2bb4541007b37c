"""What all commands do alike that ask a running CSMS: where it is, how answers are shown, how it ends.

Guarantees
* Options win over the environment, and that over the file `client.toml` in the user's configuration directory.
* A key is read from option, environment or file, and never shown.
* Errors are one line on standard error; the exit code says whose they are (`Exit`).
"""

import contextlib
import os
import ssl
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import platformdirs
import typer
from rich.console import Console
from rich.table import Table

from forecourt.app.config import ConfigError, load
from forecourt.app.running import Exit, fail
from forecourt.client import ApiError, Client, Invalid, Operation, Unreachable
from forecourt.client.types import Command, Import
from forecourt.csms.command_records import CommandState

DEFAULT_URL: Final = "http://127.0.0.1:8080"

UrlOption = Annotated[
    str | None, typer.Option("--url", envvar="FORECOURT_URL", help=f"The CSMS. [default: {DEFAULT_URL}]")
]
KeyOption = Annotated[str | None, typer.Option("--key", envvar="FORECOURT_KEY", show_envvar=True, help="An API key.")]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON, one line each, for programs.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Look at the list only, and say what would be entered.")]
WaitOption = Annotated[float, typer.Option("--wait", min=0, max=60, help="Seconds to wait for the station's answer.")]


class ClientFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`client.toml`: where the CSMS is."""

    url: str = DEFAULT_URL
    key: str | None = None
    ca: str | None = None
    """Roots to trust, where the system doesn't trust the server's."""


def settings_file() -> Path:
    """Where it is looked for."""
    given = os.environ.get("FORECOURT_CLIENT_CONFIG")
    return Path(given) if given else Path(platformdirs.user_config_dir("forecourt", appauthor=False)) / "client.toml"


@contextlib.contextmanager
def connected(url: str | None, key: str | None) -> Iterator[Client]:
    """A client; what goes wrong with it ends the process with its sentence."""
    path = settings_file()
    try:
        known = load(path, ClientFile) if path.exists() else ClientFile()
        tls: ssl.SSLContext | bool = True if known.ca is None else ssl.create_default_context(cafile=known.ca)
    except (ConfigError, OSError) as error:
        fail(str(error), Exit.USAGE)
    try:
        with Client(url or known.url, key or known.key, tls=tls) as client:
            yield client
    except Unreachable as error:
        fail(str(error), Exit.UNAVAILABLE)
    except Invalid as error:
        fail(str(error), Exit.USAGE)
    except ApiError as error:
        fail(str(error), Exit.FAILED)
    except BrokenPipeError:
        # Whoever read has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def import_list(csms: Client, file: Path, wanted: Callable[..., Operation[Import]], *, dry_run: bool) -> Import:
    """Have a list in CSV entered; each line that can't be is said, and ends the process."""
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        fail(f"{file}: {error}", Exit.USAGE)
    try:
        found = csms.do(wanted(text, dry_run=dry_run))
    except Invalid as error:
        for one in error.errors:
            typer.echo(f"{file}: {one.field}: {one.message}", err=True)
        fail(f"{file}: nothing was entered" if error.errors else str(error), Exit.USAGE)
    for note in found.notes:
        typer.echo(f"{file}: line {note.line}: {note.field} {note.message}", err=True)
    return found


def show(items: Iterable[Any], columns: Sequence[tuple[str, Any]], *, as_json: bool) -> None:
    """A table, or a line of JSON for each; columns are a heading and how to get the cell."""
    if as_json:
        for item in items:
            typer.echo(msgspec.json.encode(item))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading, _ in columns:
        table.add_column(heading, overflow="fold")
    count = 0
    for item in items:
        count += 1
        table.add_row(*(_cell(of(item)) for _, of in columns))
    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
    if count:
        console.print(table)
    else:
        typer.echo("none")


def show_one(item: msgspec.Struct, *, as_json: bool) -> None:
    """All fields of one thing."""
    if as_json:
        typer.echo(msgspec.json.encode(item))
        return
    names = item.__struct_fields__
    width = max(map(len, names))
    for name in names:
        typer.echo(f"{name:<{width}}  {_cell(getattr(item, name))}")


def show_command(command: Command, *, as_json: bool) -> None:
    """What became of a command; ends with 1 unless it was accepted, or is under way."""
    if as_json:
        typer.echo(msgspec.json.encode(command))
    else:
        why = command.detail or command.error_description or ""
        typer.echo(f"{command.station_id}: {command.name} {command.state}{f': {why}' if why else ''}")
        if command.answer is not None:
            typer.echo(msgspec.json.encode(command.answer))
    if command.state not in {CommandState.ACCEPTED, CommandState.QUEUED, CommandState.SENT}:
        raise typer.Exit(Exit.FAILED)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, msgspec.Struct | dict | list | tuple):
        return msgspec.json.encode(value).decode()
    isoformat = getattr(value, "isoformat", None)
    return isoformat(sep=" ", timespec="seconds") if isoformat else str(value)
