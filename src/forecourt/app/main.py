"""The command line: one command for each role, and one that shows them together.

A command's module is imported when the command is used: a station on a small computer doesn't load a database.
"""

import functools
import inspect
import sys
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from forecourt.app.config import ConfigError
from forecourt.app.running import Exit

REMOTE: Final = ("stations", "tokens", "transactions", "command", "events")
"""Those that ask a running CSMS."""
NOUNS: Final = (
    "api-keys", "audit", "batches", "cdrs", "certificates", "charging-profiles", "commands",
    "contract-certificates", "deliveries",
    "firmware-images", "firmware-jobs", "installed-certificates", "load-groups", "local-list-versions", "locations",
    "log-jobs", "messages", "meter-values", "organisations", "payments", "profile-assignments", "reservations",
    "security-events", "sessions", "site-orders", "site-records", "sites", "stored-profiles", "tariff-assignments",
    "tariffs", "users", "violations", "webhooks",
)  # fmt: skip
"""What a running CSMS has, one by one: `nouns`."""
COMMANDS: Final = ("csms", "controller", "station", "fleet", "simulate", "check", "demo", *REMOTE, *NOUNS)
"""Each is a module of this room with a function `command`; its `TASKS`, if any, are commands below it."""


class _Roles(TyperGroup):
    """The group of all commands, each loaded when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - as click asks
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        if cmd_name in NOUNS:
            return typer.main.get_command(import_module("forecourt.app.nouns").make(cmd_name))
        module = import_module(f"forecourt.app.{cmd_name}")
        role = typer.Typer(
            name=cmd_name, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="markdown"
        )
        tasks: dict[str, Any] = getattr(module, "TASKS", {})
        if not tasks:
            role.command(cmd_name)(module.command)
            return typer.main.get_command(role)
        role.callback(invoke_without_command=True)(_unless_task(module.command))
        for name, task in tasks.items():
            role.command(name)(task)
        return typer.main.get_command(role)


def _unless_task(command: Any) -> Any:
    """`command` for when no task of the role was asked for, with the same options."""

    @functools.wraps(command)
    def run(ctx: typer.Context, **options: Any) -> None:
        if ctx.invoked_subcommand is None:
            command(**options)
        elif given := [name for name in options if _was_given(ctx, name)]:
            raise typer.BadParameter(f"{given[0]}: options of {ctx.invoked_subcommand} are written after it")

    signature = inspect.signature(command, eval_str=True)
    context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    run.__signature__ = signature.replace(parameters=[context, *signature.parameters.values()])  # type: ignore[attr-defined]
    run.__annotations__ = {"ctx": typer.Context, **inspect.get_annotations(command, eval_str=True)}
    return run


def _was_given(ctx: typer.Context, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


app = typer.Typer(
    name="forecourt",
    cls=_Roles,
    help="OCPP in one package: charging station, local controller and CSMS.",
    epilog="Exit codes: 0 all is well, 1 it failed, 2 the command or a configuration is wrong, "
    "3 something outside is missing (a port, a file, a database).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"forecourt {version('forecourt')}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say the version and end.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Entry point of the `forecourt` command."""
    try:
        app()
    except ConfigError as error:
        print(f"forecourt: {error}", file=sys.stderr)
        sys.exit(Exit.USAGE)


if __name__ == "__main__":
    main()
