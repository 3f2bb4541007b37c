"""An ASGI application on a socket: uvicorn inside the loop that is there.

Guarantees
* It takes no signal, and configures no logging, of the process it runs in.
* A stop gives requests under way `stop_timeout_s` and leaves nothing behind.
* A client that is slow with its head, or doesn't take its answer, is dropped (`connections`).
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from typing import Any, Final

import uvicorn

from forecourt.api.connections import patient_protocols
from forecourt.api.settings import ApiSettings

_BACKLOG: Final = 2048
_LARGEST_HEAD: Final = 65_536
_LARGEST_WEBSOCKET_MESSAGE: Final = 65_536
"""Nothing is expected from a listener."""


class EmbeddedServer:
    """One application. `start`, then `stop`."""

    def __init__(self, application: Any, settings: ApiSettings, tls: ssl.SSLContext | None = None) -> None:
        """Of `settings` host, port and patience count. Without `tls` it is plain HTTP."""
        if settings.tls is not None and tls is None:
            raise ValueError("tls: is asked for, and there is no context for it")
        self._tls = tls
        self._application = application
        self._settings = settings
        self._server: _Guest | None = None
        self._serving: asyncio.Task[None] | None = None
        self._port = 0

    @property
    def port(self) -> int:
        """Where it listens. Only while it runs."""
        assert self._server is not None
        return self._port

    async def start(self) -> None:
        """Listen. OSError when the address can't be had."""
        assert self._server is None
        settings = self._settings
        http, websocket = patient_protocols(settings.head_timeout_s, settings.stall_timeout_s)
        config = uvicorn.Config(
            self._application,
            http=http,
            ws=websocket,
            loop="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=max(1, round(settings.keep_alive_s)),
            timeout_graceful_shutdown=max(1, round(settings.stop_timeout_s)),
            h11_max_incomplete_event_size=_LARGEST_HEAD,
            ws_max_size=_LARGEST_WEBSOCKET_MESSAGE,
        )
        # A context rather than files, as ours follows its files.
        config.load()
        config.ssl = self._tls
        listener = await _listen(settings.host, settings.port)
        self._port = listener.getsockname()[1]
        self._server = _Guest(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        ready = asyncio.create_task(self._server.ready.wait())
        await asyncio.wait({ready, self._serving}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if self._serving.done():
            self._serving.result()

    async def stop(self) -> None:
        """Finish what is under way, close."""
        if self._server is None:
            return
        assert self._serving is not None
        self._server.should_exit = True
        await self._serving
        self._server = None


class _Guest(uvicorn.Server):
    """Uvicorn as a guest."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """They belong to the process."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say when it listens."""
        await super().startup(sockets)
        self.ready.set()


async def _listen(host: str, port: int) -> socket.socket:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"can't listen on {host}, port {port}: {error.strerror or error}") from error
    return listener
