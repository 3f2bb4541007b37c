"""`forecourt controller`: the local controller of a site as a process."""

import ssl
import uuid
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer

from forecourt.app.commission import commission
from forecourt.app.config import ConfigError
from forecourt.app.logs import LogFormat, LogLevel, set_up
from forecourt.app.meter_test import meter_test
from forecourt.app.replay import replay
from forecourt.app.running import Exit, fail, rereading, run_role, until_stopped_or
from forecourt.app.site_admin import administered, create_token
from forecourt.app.site_check import check
from forecourt.app.site_file import SiteFile, load_site
from forecourt.app.site_life import living
from forecourt.app.tls import client_tls, server_tls
from forecourt.controller.effects import Decided
from forecourt.dialect import DIALECTS
from forecourt.domain.clock import Now
from forecourt.domain.journal import Journal
from forecourt.net.clock import RealClock
from forecourt.net.controller_listeners import ListeningUpstream
from forecourt.net.controller_session import ControllerServer
from forecourt.net.tls import ClientTls, FileContext
from forecourt.store.controller_journal import ControllerJournal
from forecourt.store.decision_log import DecisionLog


def command(
    config: Annotated[Path | None, typer.Option(help="The site in TOML; its layout is in docs/site-file.md.")] = None,
    upstream: Annotated[
        str | None, typer.Option(help="The CSMS, without a station's id: wss://csms.example/ocpp.")
    ] = None,
    ocpp_host: Annotated[str | None, typer.Option(help="Address where stations connect. [default: 127.0.0.1]")] = None,
    ocpp_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port where stations connect; 0: any free. [default: 9100]")
    ] = None,
    state_dir: Annotated[
        Path | None,
        typer.Option(help="Where the journal is kept; without it, here or in the file, a restart forgets everything."),
    ] = None,
    log: Annotated[LogFormat, typer.Option(help="How log lines look.")] = LogFormat.CONSOLE,
    log_level: Annotated[LogLevel, typer.Option(help="The least that is worth a line.")] = LogLevel.INFO,
) -> None:
    """Run the local controller: stations connect to ws://HOST:9100/STATION-ID, it connects to the CSMS for each.

    What passes is relayed byte for byte. What the cars may draw it decides itself, so that no fuse of the site is
    overloaded, and says so to the stations by charging profiles that expire when nobody renews them.

    With --state-dir it survives everything: kill it on a busy site, start it again, and nothing is overloaded, no
    transaction lost, and no station has to boot (docs/controller.md).

    With certificates in the file both sides are wss:// (docs/security.md). SIGHUP reads them anew.

    It refuses to start while the fallback currents in the file don't fit the fuses.
    """
    set_up(log, log_level)
    if config is None:
        fail("--config: is missing: the site in TOML", Exit.USAGE)
    run_role(_serve(config, upstream, ocpp_host, ocpp_port, state_dir))


async def _serve(
    config: Path, upstream: str | None, ocpp_host: str | None, ocpp_port: int | None, state_dir: Path | None
) -> None:
    file = load_site(config)
    url = upstream or (file.upstream.url if file.upstream is not None else None)
    if url is None:
        raise ConfigError(f"{config}: upstream.url: is missing; give it there or as --upstream")
    listener_tls = None if file.ocpp.tls is None else server_tls(file.ocpp.tls, "ocpp")
    upstream_tls = upstream_context(file, url)
    folder = state_dir or (None if file.state_dir is None else Path(file.state_dir))
    journal = None if folder is None else ControllerJournal(folder)
    if journal is not None and journal.damaged is not None:
        typer.echo(f"The journal could not be read; it is kept as {journal.damaged}, and a new one begins", err=True)
    server = controller_server(file, url, upstream_tls, journal)
    decision_log = None if folder is None else DecisionLog(folder, server.endpoint.controller.recorder())
    if decision_log is not None:
        server.endpoint.on_decided.append(partial(_log_decision, decision_log))
    host = ocpp_host or file.ocpp.host
    await server.start(host, file.ocpp.port if ocpp_port is None else ocpp_port, listener_tls)
    try:
        scheme = "ws" if listener_tls is None else "wss"
        typer.echo(f"Controller: stations connect to {scheme}://{host}:{server.port}/<station id>")
        typer.echo(f"            relayed to {url}/<station id>")
        typer.echo(f"            {len(file.site.evses)} EVSEs on {len(file.site.nodes)} nodes; the fallbacks fit")
        contexts = [context for context in (listener_tls, upstream_tls) if context is not None]
        with rereading(contexts):
            clock = RealClock()
            async with (
                living(file, server, clock, config.parent) as life,
                administered(file.admin, server, life, clock, folder),
            ):
                await until_stopped_or(server.failed)
    finally:
        await server.stop()
        if decision_log is not None:
            decision_log.close()
        if journal is not None:
            journal.close()
    if server.failed.is_set():
        raise OSError(f"{folder}: the journal can't be written; stations fall back until the controller is here again")


def _log_decision(decision_log: DecisionLog, decided: Decided, now: Now) -> None:
    if decided.case is not None:
        decision_log.decided(decided.case, now.at)


def upstream_context(file: SiteFile, upstream_url: str) -> FileContext | None:
    """TLS towards the CSMS; None: none is needed. ConfigError: a certificate or key can't be used."""
    if not upstream_url.startswith("wss:"):
        return None
    return client_tls(ClientTls() if file.upstream is None else file.upstream.tls, "upstream.tls")


def controller_server(
    file: SiteFile, upstream_url: str, upstream_tls: ssl.SSLContext | None = None, journal: Journal | None = None
) -> ControllerServer:
    """A controller for the site of `file`, not yet started."""
    listening = () if file.upstream is None else file.upstream.listeners
    return ControllerServer(
        file.site,
        file.controller,
        upstream_url=upstream_url,
        upstream_tls=upstream_tls,
        dialects={dialect.subprotocol: dialect for dialect in DIALECTS},
        clock=RealClock(),
        new_id=lambda: str(uuid.uuid4()),
        passwords={} if file.upstream is None else file.upstream.passwords,
        journal=journal,
        listeners=[
            ListeningUpstream(
                url=listener.url,
                passwords=listener.passwords,
                tls=client_tls(listener.tls, f"upstream.listeners[{number}].tls")
                if listener.url.startswith("wss:")
                else None,
            )
            for number, listener in enumerate(listening)
        ],
    )


TASKS: Final = {
    "check": check, "commission": commission, "create-token": create_token, "meter-test": meter_test, "replay": replay,
}  # fmt: skip
"""Commands below this one."""
