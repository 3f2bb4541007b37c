"""A WebSocket client, and one that stays connected.

Guarantees
* `connect` either returns an open connection or raises a `ConnectFailed` that says why, within its time, and leaves
  nothing behind; also when it is cancelled.
* Every connection request has the user name and password that were given, in HTTP Basic (security white paper
  A00.FR.202, FR.203); a client certificate is shown in the TLS handshake (FR.401, FR.402).
* `KeptConnection` connects, and after every failure or loss waits as its back-off says (OCPP 2.0.1 Part 4 §5.3; OCPP-J
  1.6 errata §3.3 asks the same after 404), never less than the server's Retry-After, until it is stopped.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar
from urllib.parse import unquote, urlsplit

from forecourt.net.backoff import Backoff
from forecourt.net.connection import CloseCode, ConnectFailed, Connection, HandshakeRefused, Limits, ReceiverFactory
from forecourt.net.handshake import basic_authorization
from forecourt.net.opening import open_websocket
from forecourt.net.tls_alerts import explain, tls_security_event

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_RETRY_AFTER_S: Final = 3600.0
"""A Retry-After beyond this is not obeyed: no station should be sent away for longer by mistake."""


async def connect(
    url: str,
    *,
    subprotocols: tuple[str, ...],
    receiver: ReceiverFactory,
    basic_auth: tuple[str, str | bytes] | None = None,
    headers: tuple[tuple[str, str], ...] = (),
    tls: ssl.SSLContext | None = None,
    limits: Limits | None = None,
    timeout_s: float = 30.0,
    require_subprotocol: bool = True,
) -> Connection:
    """Open a connection to `url` (`handshake.connection_url` makes it from endpoint and identity).

    `receiver` is called with the connection as soon as it is open, before the first message. `tls` is for wss only;
    None checks the server against the system's certificates. Redirects are not followed. Without
    `require_subprotocol` a server may omit it in its answer.

    ConnectFailed, and its kinds HandshakeRefused and SubprotocolRefused; ValueError for a URL that can't be used.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"ws", "wss"} or not parts.hostname:
        raise ValueError(f"not a ws:// or wss:// URL: {url!r}")
    if parts.username is not None:
        raise ValueError("credentials belong in basic_auth: a URL ends up in logs")
    secure = parts.scheme == "wss"
    if tls is not None and not secure:
        raise ValueError("TLS is for wss:// URLs")
    if secure and tls is None:
        tls = ssl.create_default_context()
    if basic_auth is not None:
        headers = (("Authorization", basic_authorization(*basic_auth)), *headers)
    path = parts.path or "/"
    try:
        async with asyncio.timeout(timeout_s):
            return await open_websocket(
                host=parts.hostname,
                port=parts.port or (443 if secure else 80),
                host_header=parts.netloc,
                resource=f"{path}?{parts.query}" if parts.query else path,
                identity=unquote(path.rpartition("/")[2]),
                subprotocols=subprotocols,
                require_subprotocol=require_subprotocol,
                headers=headers,
                tls=tls,
                limits=limits or Limits(),
                accept=receiver,
            )
    except TimeoutError as error:
        raise ConnectFailed(f"no connection within {timeout_s:g} s") from error
    except ssl.SSLError as error:
        raise ConnectFailed(explain(error)) from error
    except (OSError, UnicodeError) as error:
        raise ConnectFailed(str(error) or type(error).__name__) from error


INVALID_CSMS_CERTIFICATE = "InvalidCsmsCertificate"


def security_event_of(failure: ConnectFailed) -> str | None:
    """The security event that a charging station reports for a connection it didn't get (security white paper §8;
    OCPP 2.0.1 appendix 1, whose names these are); None: there is none for it."""
    if isinstance(failure, HandshakeRefused):
        return "FailedToAuthenticateAtCsms" if failure.status in {401, 403} else None
    cause = failure.__cause__
    return tls_security_event(cause) if isinstance(cause, ssl.SSLError) else None


class KeptConnection:
    """One connection, over and over. `run` it as a task; `stop` ends it."""

    def __init__(
        self,
        attempt: Callable[[], Coroutine[Any, Any, Connection]],
        *,
        backoff: Backoff,
        up: Callable[[Connection], None] | None = None,
        down: Callable[[ConnectFailed | None, float], None] | None = None,
        sleep: Callable[[float], Coroutine[Any, Any, None]] = asyncio.sleep,
    ) -> None:
        """`attempt` connects once, by `connect` as a rule; it is asked anew each time, so settings may change.

        `up` hears of each connection. `down` hears why an attempt failed (None: a connection was lost, whose receiver
        knows more) and in how many seconds the next one follows.
        """
        self.backoff = backoff
        self.connection: Connection | None = None
        self._attempt = attempt
        self._up = up
        self._down = down
        self._sleep = sleep
        self._stopped = asyncio.Event()
        self._hurry = asyncio.Event()

    async def run(self) -> None:
        """Stay connected until `stop`. What `attempt` raises beyond ConnectFailed ends it: that is a wrong setting."""
        while not self._stopped.is_set():
            failure: ConnectFailed | None = None
            try:
                connection = await self._unless(self._stopped, self._attempt())
            except ConnectFailed as error:
                failure = error
            else:
                if connection is None:
                    return
                await self._live(connection)
                if self._stopped.is_set():
                    return
            wait_s = self._wait_s(failure)
            log.info("%s; next attempt in %.1f s", failure or "the connection was lost", wait_s)
            if self._down is not None:
                self._down(failure, wait_s)
            self._hurry.clear()
            await self._unless(self._hurry, self._sleep(wait_s))

    async def stop(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Close the connection, if there is one, and connect no more. Returns when it is closed."""
        self._stopped.set()
        self._hurry.set()
        if (connection := self.connection) is not None:
            connection.close(code, reason)
            await connection.wait_closed()

    def retry_now(self) -> None:
        """Don't wait any longer for the next attempt, for instance because settings have changed."""
        self._hurry.set()

    async def _live(self, connection: Connection) -> None:
        self.connection = connection
        self.backoff.reset()
        if self._stopped.is_set():  # at the same instant as the success
            connection.close()
        try:
            if self._up is not None:
                self._up(connection)
            await connection.wait_closed()
        finally:
            self.connection = None
            connection.close(CloseCode.GOING_AWAY)  # only when cancelled: otherwise it is closed already

    def _wait_s(self, failure: ConnectFailed | None) -> float:
        wait_s = self.backoff.next_s()
        if isinstance(failure, HandshakeRefused) and failure.retry_after_s is not None:
            return max(wait_s, min(failure.retry_after_s, MAX_RETRY_AFTER_S))
        return wait_s

    @staticmethod
    async def _unless(event: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
        """The result of `work`, or None when `event` came first; then `work` is cancelled."""
        working = asyncio.ensure_future(work)
        waiting = asyncio.ensure_future(event.wait())
        try:
            await asyncio.wait((working, waiting), return_when=asyncio.FIRST_COMPLETED)
            return working.result() if working.done() else None
        finally:
            waiting.cancel()
            working.cancel()
            await asyncio.gather(working, waiting, return_exceptions=True)
