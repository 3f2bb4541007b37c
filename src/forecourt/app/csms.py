"""`forecourt csms`: the central system as one process: books, bus, stations' sockets and API."""

import contextlib
import logging
import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Annotated, Final, Self, TypeVar

import msgspec
import platformdirs
import typer
from sqlalchemy.exc import SQLAlchemyError

from forecourt.api.server import ApiServer
from forecourt.api.settings import ApiSettings
from forecourt.app.config import ConfigError, load
from forecourt.app.csms_admin import create_admin
from forecourt.app.csms_bus import BusFile, join, made_bus, membership_of, new_process_id
from forecourt.app.csms_contracts import Contracts, ContractsFile
from forecourt.app.csms_payments import Payments, PaymentsFile
from forecourt.app.csms_resources import Resources, ports_of
from forecourt.app.listeners import OcppListener, contexts_of
from forecourt.app.logs import LogFormat, LogLevel, set_up
from forecourt.app.running import Exit, fail, rereading, run_role, stop_signals
from forecourt.app.tls import server_tls
from forecourt.app.tracing import set_up_tracing
from forecourt.bus.nats import NatsBus
from forecourt.console import pages as console_pages
from forecourt.csms import access, people
from forecourt.csms.measures import Measures
from forecourt.csms.ports import Context, StoreUnavailable
from forecourt.csms.records import Event
from forecourt.csms.settings import CsmsSettings
from forecourt.dialect import DIALECTS
from forecourt.domain.clock import Clock
from forecourt.net.beside import Beside
from forecourt.net.clock import RealClock
from forecourt.net.csms_session import CsmsServer
from forecourt.net.loop import collect_seldom
from forecourt.net.tls import FileContext
from forecourt.net.urls import is_loopback
from forecourt.store.engines import make_engine, why
from forecourt.store.migrate import upgrade
from forecourt.store.sql import open_store

log = logging.getLogger(__name__)

T = TypeVar("T", bound=msgspec.Struct)


class CsmsFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The configuration file of a CSMS."""

    database: str | None = None
    """URL of the database; None: a SQLite file in the user's data directory."""
    ocpp: OcppListener | tuple[OcppListener, ...] = OcppListener()
    """`[ocpp]` for one listener, `[[ocpp]]` for each of several."""
    api: ApiSettings = ApiSettings()
    csms: CsmsSettings = CsmsSettings()
    bus: BusFile = BusFile()
    resources: Resources = Resources()
    contracts: ContractsFile = ContractsFile()
    payments: PaymentsFile = PaymentsFile()

    def __post_init__(self) -> None:
        if not self.listeners:
            raise ValueError("ocpp: at least one listener is needed")
        if self.csms.refuse_plain and all(listener.tls is None for listener in self.listeners):
            raise ValueError("csms.refuse_plain: no listener in ocpp has TLS, so that no station could connect")

    @property
    def listeners(self) -> tuple[OcppListener, ...]:
        """Where stations connect."""
        return self.ocpp if isinstance(self.ocpp, tuple) else (self.ocpp,)

    def beside(self, folder: Path) -> Self:
        """With the paths of certificates and keys that are relative to `folder` made absolute."""
        api = self.api
        if api.tls is not None:
            api = msgspec.structs.replace(api, tls=api.tls.beside(folder))
        listeners = tuple(one.beside(folder) for one in self.listeners)
        return msgspec.structs.replace(
            self,
            ocpp=listeners,
            api=api,
            resources=self.resources.beside(folder),
            contracts=self.contracts.beside(folder),
            bus=self.bus.beside(folder),
            payments=self.payments.beside(folder),
        )


class RunningCsms(msgspec.Struct, frozen=True):
    """What `running_csms` gives."""

    context: Context
    stations: CsmsServer
    api: ApiServer
    tls: tuple[FileContext, ...] = ()
    """Of all that listen: to read certificates anew."""


@contextlib.asynccontextmanager
async def running_csms(settings: CsmsFile, clock: Clock | None = None) -> AsyncIterator[RunningCsms]:
    """A CSMS with everything it needs, until the context is left.

    Raises:
        OSError: a port is taken, or the database can't be opened.
        ConfigError: a certificate or key can't be used.
    """
    places = ["ocpp"] if isinstance(settings.ocpp, OcppListener) else [f"ocpp[{k}]" for k in range(len(settings.ocpp))]
    listeners = tuple(one.made(place) for one, place in zip(settings.listeners, places, strict=True))
    api_tls = None if settings.api.tls is None else server_tls(settings.api.tls, "api")
    url = settings.database or _default_database()
    try:
        settings.bus.check(url, settings.csms.unlogged_events)
    except ValueError as error:
        raise ConfigError(str(error)) from error

    async def read_log(after: int, limit: int) -> list[Event]:
        return await store.read(lambda books: books.events.after(after, limit))

    measures = Measures()

    async def newest() -> int:
        return await store.read(lambda books: books.events.newest())

    process_id = new_process_id()
    bus = made_bus(settings.bus, read_log, newest, measures.bus)

    def publish(events: Sequence[Event]) -> None:
        measures.told(events)
        bus.publish(events)

    try:
        store = await open_store(url, publish=publish, unlogged=settings.csms.unlogged_events, measures=measures.store)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    except StoreUnavailable as error:
        raise OSError(f"database: {error}") from error
    contracts, payments = Contracts(settings.contracts), Payments(settings.payments)
    context = Context(
        store=store,
        bus=bus,
        clock=clock or RealClock(),
        new_id=lambda: str(uuid.uuid4()),
        settings=settings.csms,
        contracts=contracts.services,
        payment_providers=payments.providers,
        measures=measures,
        **ports_of(settings.resources, settings.csms, url),
    )
    membership = membership_of(settings.bus, context, process_id)
    stations = CsmsServer(context, {dialect.subprotocol: dialect for dialect in DIALECTS}, membership=membership)
    api = ApiServer(context, settings.api, api_tls, console_pages.beside, lambda: stations.accepting)
    beside = Beside(context)
    follow_files = contexts_of(listeners) + (() if api_tls is None else (api_tls,))
    try:
        await join(settings.bus, bus, process_id)
        await stations.start_listeners(listeners)
        try:
            await api.start()
            beside.start()
            try:
                yield RunningCsms(context, stations, api, follow_files)
            finally:
                await beside.stop()
                await api.stop()
        finally:
            await stations.stop()
    finally:
        await contracts.close()
        await payments.close()
        if isinstance(bus, NatsBus):
            await bus.stop()
        await store.close()


def command(
    config: Annotated[
        Path | None,
        typer.Option(help="Configuration in TOML: database, [ocpp], [api], [csms]. What is given here wins over it."),
    ] = None,
    ocpp_host: Annotated[str | None, typer.Option(help="Address where stations connect. [default: 127.0.0.1]")] = None,
    ocpp_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port where stations connect; 0: any free. [default: 9000]")
    ] = None,
    api_host: Annotated[str | None, typer.Option(help="Address of API and console. [default: 127.0.0.1]")] = None,
    api_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port of API and console; 0: any free. [default: 8080]")
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(
            envvar="FORECOURT_DATABASE",
            help="Database URL: sqlite:////var/lib/forecourt/csms.sqlite, postgresql://USER@HOST/NAME.",
        ),
    ] = None,
    log: Annotated[LogFormat, typer.Option(help="How log lines look.")] = LogFormat.CONSOLE,
    log_level: Annotated[LogLevel, typer.Option(help="The least that is worth a line.")] = LogLevel.INFO,
) -> None:
    """Run the CSMS: stations connect to ws://HOST:9000/ocpp/STATION-ID, you to the API at http://HOST:8080/api/v1.

    With certificates in the configuration it is wss:// and https:// (docs/security.md). SIGHUP reads them anew.

    At its first run it makes an API key and an administrator, and prints the key and a password for one use, this once;
    `forecourt csms create-admin` gives another. Stations nobody has entered are refused unless
    the configuration says otherwise:

      [csms]

      unknown_stations = "accept"

    Stop it with Ctrl-C or SIGTERM: what was answered is in the books, stations reconnect when it is back.
    """
    set_up(log, log_level)
    try:
        settings = _settings(config, ocpp_host, ocpp_port, api_host, api_port, database)
    except ConfigError as error:
        fail(str(error), Exit.USAGE)
    run_role(_serve(settings))


def _settings(
    config: Path | None,
    ocpp_host: str | None,
    ocpp_port: int | None,
    api_host: str | None,
    api_port: int | None,
    database: str | None,
) -> CsmsFile:
    settings = CsmsFile() if config is None else load(config, CsmsFile).beside(config.resolve().parent)
    ocpp = (_replaced(settings.listeners[0], host=ocpp_host, port=ocpp_port), *settings.listeners[1:])
    try:
        api = _replaced(settings.api, host=api_host, port=api_port)
    except ValueError as error:
        raise ConfigError(f"api.{error}") from error
    return _replaced(settings, ocpp=ocpp, api=api, database=database)


def database_of(config: Path | None, database: str | None) -> tuple[str, CsmsSettings]:
    """The database that a configuration means, and the CSMS's settings. Raises ConfigError."""
    settings = _settings(config, None, None, None, None, database)
    return settings.database or _default_database(), settings.csms


def _replaced(settings: T, **fields: object) -> T:
    given = {name: value for name, value in fields.items() if value is not None}
    return msgspec.structs.replace(settings, **given)


async def _serve(settings: CsmsFile) -> None:
    set_up_tracing("csms")
    with stop_signals() as stopped:
        async with running_csms(settings) as csms:
            await _tell(settings, csms)
            collect_seldom()
            with rereading(csms.tls):
                await stopped.wait()
                await csms.stations.drain()


async def _tell(settings: CsmsFile, csms: RunningCsms) -> None:
    """Where it listens; and at the first run, how to get in."""
    say = typer.echo
    for listener, port in zip(settings.listeners, csms.stations.ports, strict=True):
        scheme, profiles = "ws" if listener.tls is None else "wss", ", ".join(map(str, sorted(listener.let_in)))
        say(f"CSMS: stations connect to {scheme}://{listener.host}:{port}/ocpp/<station id> (profile {profiles})")
        if listener.tls is None and not is_loopback(listener.host) and not settings.csms.refuse_plain:
            log.warning("stations are let in without TLS at %s port %d", listener.host, port)
    say(f"      API at {'http' if settings.api.tls is None else 'https'}://{settings.api.host}:{csms.api.port}/api/v1")
    if not settings.api.open_access and (key := await access.first_api_key(csms.context)) is not None:
        say(f"      API key, shown this once: {key}")
    if not settings.api.open_access and (password := await people.first_administrator(csms.context)) is not None:
        say(f"      sign in as admin with this password, for one use: {password}")


def _default_database() -> str:
    path = Path(platformdirs.user_data_dir("forecourt", appauthor=False)) / "csms.sqlite"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return f"sqlite:///{path}"


def migrate(
    config: Annotated[Path | None, typer.Option(help="Configuration in TOML, for its `database`.")] = None,
    database: Annotated[
        str | None, typer.Option(envvar="FORECOURT_DATABASE", help="Database URL. What is given here wins.")
    ] = None,
) -> None:
    """Bring the database to this version's schema, and end. The CSMS does it by itself when it starts."""
    set_up(LogFormat.CONSOLE, LogLevel.INFO)
    try:
        url = _settings(config, None, None, None, None, database).database or _default_database()
        engine = make_engine(url)
    except (ConfigError, ValueError) as error:
        fail(str(error), Exit.USAGE)
    try:
        revision = upgrade(engine)
    except SQLAlchemyError as error:
        fail(f"database: {why(error)}", Exit.UNAVAILABLE)
    finally:
        engine.dispose()
    typer.echo(f"{engine.url.render_as_string(hide_password=True)} is at {revision}")


TASKS: Final = {"create-admin": create_admin, "migrate": migrate}
