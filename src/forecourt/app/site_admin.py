"""The administration of a running controller: its start, and tokens for people.

Guarantees
* It stops nothing: where its port is taken the controller runs without it, and it is tried again.
* The first token is made at the first start and printed once.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Final

import typer

from forecourt.api.settings import ApiSettings
from forecourt.api.site.application import AdministrationServer
from forecourt.api.site.site import AdministeredSite
from forecourt.api.site.tokens import FIRST, Tokens
from forecourt.app.config import ConfigError
from forecourt.app.running import Exit, fail
from forecourt.app.site_admin_settings import Administration
from forecourt.app.site_life import SiteLife
from forecourt.app.tls import server_tls
from forecourt.domain.clock import Clock
from forecourt.meters.signals import ApiSignal
from forecourt.net.controller_session import ControllerServer
from forecourt.net.urls import is_loopback

log = logging.getLogger(__name__)

_AGAIN_S: Final = 10.0


@contextlib.asynccontextmanager
async def administered(
    settings: Administration, server: ControllerServer, life: SiteLife, clock: Clock, state_dir: Path | None
) -> AsyncIterator[AdministrationServer | None]:
    """Let people in while the block runs; None: not for now.

    Raises:
        ConfigError: a certificate or the file with the tokens can't be used.
    """
    if not settings.enabled:
        yield None
        return
    try:
        tokens = Tokens(state_dir)
    except (OSError, ValueError) as error:
        raise ConfigError(f"the tokens of the administration can't be read: {error}") from error
    tls = None if settings.tls is None else server_tls(settings.tls, "admin")
    api = ApiSettings(host=settings.host, port=settings.port, tls=settings.tls)
    dim = None
    if life.dimming is not None and isinstance(life.dimming.settings.signal, ApiSignal):
        dim = life.dimming.take
    administration = AdministrationServer(AdministeredSite(server, clock, dim), tokens, api, tls)
    again: asyncio.Task[None] | None = None
    try:
        await administration.start()
        _say(settings, administration, tokens)
    except OSError as error:
        log.warning("the administration can't be reached: %s; tried again every %g s", error, _AGAIN_S)
        again = asyncio.create_task(_start_later(settings, administration, tokens))
    try:
        yield administration
    finally:
        if again is not None:
            again.cancel()
            await asyncio.gather(again, return_exceptions=True)
        await administration.stop()


def create_token(
    state_dir: Annotated[Path, typer.Option(help="The controller's state directory.")],
    name: Annotated[str, typer.Argument(help="Who is to have it; the log of changes says so.")] = FIRST,
) -> None:
    """Make a token for the administration, in place of an older one of that name, and print it.

    A controller that runs takes it after its next start.
    """
    try:
        tokens = Tokens(state_dir)
        text = tokens.make(name)
    except (OSError, ValueError) as error:
        fail(f"{state_dir}: {error}", Exit.UNAVAILABLE)
    typer.echo(f"token of {name}, shown this once: {text}")


async def _start_later(settings: Administration, administration: AdministrationServer, tokens: Tokens) -> None:
    while True:
        await asyncio.sleep(_AGAIN_S)
        with contextlib.suppress(OSError):
            await administration.start()
            _say(settings, administration, tokens)
            return


def _say(settings: Administration, administration: AdministrationServer, tokens: Tokens) -> None:
    scheme = "http" if settings.tls is None else "https"
    typer.echo(f"            looked after at {scheme}://{settings.host}:{administration.port}/")
    if (text := tokens.first()) is not None:
        typer.echo(f"            token for it, shown this once: {text}")
    if settings.tls is None and not is_loopback(settings.host):
        log.warning("the administration is reached without TLS at %s (allow_plain)", settings.host)
