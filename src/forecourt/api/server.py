"""The API on a socket (`embedded`).

Guarantees
* A stop ends event streams and waits in order, gives requests under way `stop_timeout_s`, and leaves nothing behind.
"""

import logging
import ssl
from collections.abc import Callable
from typing import Any, Final

from forecourt.api.addresses import with_addresses
from forecourt.api.application import make_application
from forecourt.api.authentication import PREFIX
from forecourt.api.embedded import EmbeddedServer
from forecourt.api.lifetime import Lifetime
from forecourt.api.outermost import outermost
from forecourt.api.settings import ApiSettings
from forecourt.csms.ports import Context

log = logging.getLogger(__name__)
UPLOADS: Final = frozenset({f"{PREFIX}/firmware-images", f"{PREFIX}/firmware-images/"})
"""Where the body is a file."""


class ApiServer:
    """The API of one CSMS. `start`, then `stop`."""

    def __init__(
        self,
        context: Context,
        settings: ApiSettings | None = None,
        tls: ssl.SSLContext | None = None,
        pages: Callable[[Any], Any] | None = None,
        accepting: Callable[[], bool] = lambda: True,
    ) -> None:
        """`tls` is what `ApiSettings.tls` says, made; `pages` puts a console's pages around the application;
        `accepting`: whether stations can connect, for /readyz."""
        self._pages = pages
        self._accepting = accepting
        self._context = context
        self._tls = tls
        self._settings = settings or ApiSettings()
        self._lifetime: Lifetime | None = None
        self._server: EmbeddedServer | None = None

    @property
    def port(self) -> int:
        """Where it listens. Only while it runs."""
        assert self._server is not None
        return self._server.port

    async def start(self) -> None:
        """Listen. OSError when the address can't be had."""
        assert self._server is None
        settings = self._settings
        self._lifetime = Lifetime(longest_wait_s=settings.longest_wait_s, heartbeat_s=settings.heartbeat_s)
        application = make_application(self._context, settings, self._lifetime, self._accepting)
        served = with_addresses(outermost(application, settings, UPLOADS), self._context, settings.body_timeout_s)
        self._server = EmbeddedServer(served if self._pages is None else self._pages(served), settings, self._tls)
        try:
            await self._server.start()
        except BaseException:
            self._server = None
            raise
        if settings.open_access:
            log.warning("the API asks for no key: whoever is on this machine can do everything (open_access)")
        log.info("the API listens on %s port %d", settings.host, self.port)

    async def stop(self) -> None:
        """End what lasts, finish what is under way, close."""
        if self._server is None:
            return
        assert self._lifetime is not None
        self._lifetime.stop()
        await self._server.stop()
        self._server = None
