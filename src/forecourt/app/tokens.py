"""`forecourt tokens`: tokens of a running CSMS: list, put, remove, import."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from forecourt.app.remote import DryRunOption, JsonOption, KeyOption, UrlOption, connected, import_list, show, show_one
from forecourt.client import tokens as ops
from forecourt.domain.token import AuthorizationStatus

_COLUMNS: Final[tuple[tuple[str, Any], ...]] = (
    ("token", lambda one: one.value),
    ("type", lambda one: one.type),
    ("standing", lambda one: one.standing),
    ("expires", lambda one: one.expires_at),
    ("group", lambda one: one.group),
    ("note", lambda one: one.note),
)
ValueArgument = Annotated[str, typer.Argument(metavar="TOKEN")]


def command(
    group: Annotated[str | None, typer.Option(help="Only those of this group.")] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the tokens of a running CSMS."""
    with connected(url, key) as csms:
        show(csms.all(ops.list_tokens(group=group)), _COLUMNS, as_json=as_json)


def put_token(
    value: ValueArgument,
    standing: Annotated[AuthorizationStatus, typer.Option(help="The verdict.")] = AuthorizationStatus.ACCEPTED,
    expires_at: Annotated[datetime | None, typer.Option(help="Until when it counts; in UTC.")] = None,
    group: Annotated[str | None, typer.Option(help="Tokens of one group may stop each other's transactions.")] = None,
    note: Annotated[str | None, typer.Option(help="For people.")] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Enter a token, or replace it."""
    until = None if expires_at is None else expires_at.replace(tzinfo=UTC)
    with connected(url, key) as csms:
        token = csms.do(ops.put_token(value, standing=standing, expires_at=until, group=group, note=note))
        show_one(token, as_json=as_json)


def remove_token(value: ValueArgument, url: UrlOption = None, key: KeyOption = None) -> None:
    """Take a token out."""
    with connected(url, key) as csms:
        csms.do(ops.remove_token(value))


def import_tokens(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", exists=True, dir_okay=False)],
    dry_run: DryRunOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Enter the tokens of a CSV list, ours or SteVe's ocpp_tag; those that are there are replaced."""
    with connected(url, key) as csms:
        found = import_list(csms, file, ops.import_tokens, dry_run=dry_run)
    would = "would be " if dry_run else ""
    typer.echo(f"{found.entered} tokens {would}entered, {len(found.known)} of them replaced")


TASKS: Final = {"list": command, "put": put_token, "remove": remove_token, "import": import_tokens}
