"""`forecourt events`: what happens at a running CSMS, as it happens."""

from typing import Annotated

import msgspec
import typer

from forecourt.app.remote import JsonOption, KeyOption, UrlOption, connected


def command(
    types: Annotated[list[str] | None, typer.Option("--type", help="Only this type, such as connector.status.")] = None,
    station: Annotated[str | None, typer.Option(help="Only of this station.")] = None,
    after: Annotated[int | None, typer.Option(min=0, help="Begin after this event.")] = None,
    most: Annotated[int | None, typer.Option("--most", min=1, help="End after so many.")] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Follow what happens at a running CSMS, one line each. A lost connection is made again where it stopped."""
    with connected(url, key) as csms:
        for count, event in enumerate(
            csms.events(types=tuple(types) if types else None, station_id=station, after=after), start=1
        ):
            if as_json:
                typer.echo(msgspec.json.encode(event))
            else:
                at = event.at.isoformat(sep=" ", timespec="milliseconds")
                body = msgspec.json.encode(event.body).decode()
                typer.echo(f"{event.id or '-':>8} {at} {event.type} {event.station_id or '-'} {body}")
            if count == most:
                return
