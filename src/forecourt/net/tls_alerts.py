"""What TLS says when it fails: to the log, to the peer, and to whoever runs a client.

Guarantees
* A server's failed handshake is logged with its reason (A00.FR.323, A00.FR.408: it is recommended to log a security
  event), each reason once in a while, and the peer gets the alert that says why: event loops would drop both.
* Handshakes that are under way at a server are bounded in number: a new one beyond that is dropped.
* A client says in words why it didn't connect, also when the server's alert came after its own handshake, as it does in
  TLS 1.3; and which security event a charging station makes of it (A00.FR.309, A00.FR.315, A00.FR.322).
"""

import asyncio
import logging
import ssl
import time
from collections.abc import Callable
from typing import Any, Final

security_log = logging.getLogger("forecourt.security")

_SAY_AGAIN_S: Final = 60.0
"""A reason for failed handshakes is logged once in this time, with how often it occurred: scanners are many."""

_FORGOTTEN_AFTER_S: Final = 15.0
"""Longer than a handshake may take (`ServerLimits.handshake_timeout_s`)."""


# Servers


class Handshakes:
    """Those of one listener: how many are under way, and why they fail."""

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most
        self._number = 0
        self._begun_s: dict[int, float] = {}
        self._said: dict[str, tuple[float, int]] = {}
        self.told: Callable[[str], None] | None = None
        """Who else is told when it is said; in the loop's thread."""

    def begin(self) -> int:
        """A number for one that begins. SSLError: there are too many."""
        now_s = time.monotonic()
        # Nobody tells of those that ended by a lost connection, or by the loop's patience.
        while self._begun_s and now_s - next(iter(self._begun_s.values())) > _FORGOTTEN_AFTER_S:
            del self._begun_s[next(iter(self._begun_s))]
        if len(self._begun_s) >= self._most:
            self._say("too many handshakes at once")
            raise ssl.SSLError(ssl.SSL_ERROR_SSL, "too many handshakes at once")
        self._number += 1
        self._begun_s[self._number] = now_s
        return self._number

    def end(self, number: int) -> None:
        """It is over."""
        self._begun_s.pop(number, None)

    def note(self, error: ssl.SSLError) -> None:
        """One more. The reasons are OpenSSL's, and few."""
        self._say(getattr(error, "verify_message", None) or _reason(error).replace("_", " ").lower() or str(error))

    def _say(self, reason: str) -> None:
        now_s = time.monotonic()
        said_s, unsaid = self._said.get(reason, (-_SAY_AGAIN_S, 0))
        if now_s - said_s >= _SAY_AGAIN_S:
            security_log.warning("%s: a handshake failed: %s (and %d before it)", self._name, reason, unsaid)
            self._said[reason] = (now_s, 0)
            if self.told is not None:
                self.told(reason)
        else:
            self._said[reason] = (said_s, unsaid + 1)


class TalkingContext(ssl.SSLContext):
    handshakes: Handshakes


class TalkingObject(ssl.SSLObject):
    """Says why a handshake failed: to the log, and to the peer. Event loops do neither: they drop the connection with
    the alert unsent, and a station would have to guess whether its certificate or the network is to blame."""

    outgoing: ssl.MemoryBIO
    _number: int | None = None
    _failure: ssl.SSLError | None = None

    def do_handshake(self) -> None:
        """As ever; but a failure is first told as a wish for more, so that the loop sends what there is to send. It is
        raised when the peer says anything more; one that says nothing is ended by the loop's handshake timeout."""
        assert isinstance(self.context, TalkingContext)
        handshakes = self.context.handshakes
        if self._failure is not None:
            raise self._failure
        if self._number is None:
            self._number = handshakes.begin()
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            handshakes.end(self._number)
            raise
        except ssl.SSLError as error:
            handshakes.end(self._number)
            handshakes.note(error)
            if not self.outgoing.pending:
                raise
            self._failure = error
            raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "the alert has to leave first") from error
        handshakes.end(self._number)


# Clients


class RememberingObject(ssl.SSLObject):
    """Keeps the alert that ended a connection. In TLS 1.3 a server looks at our certificate when our handshake is over,
    and event loops don't tell what came after it."""

    alert: ssl.SSLError | None = None

    def read(self, len: int = 1024, buffer: Any = None) -> Any:  # noqa: A002 - it is called so
        """As ever."""
        try:
            return super().read(len) if buffer is None else super().read(len, buffer)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, ssl.SSLZeroReturnError, ssl.SSLEOFError):
            raise
        except ssl.SSLError as error:
            self.alert = error
            raise


def alert_of(transport: asyncio.BaseTransport) -> ssl.SSLError | None:
    """What the server said when it ended the connection, as far as it was TLS that it said it in."""
    ssl_object = transport.get_extra_info("ssl_object")
    return ssl_object.alert if isinstance(ssl_object, RememberingObject) else None


def explain(error: ssl.SSLError) -> str:
    """Why a handshake failed, in words for whoever runs the client."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate is not trusted: {error.verify_message}"
    reason = _reason(error)
    if reason in _WORDS:
        return _WORDS[reason]
    return f"TLS failed: {reason.replace('_', ' ').lower() or error}"


_VERSION: Final = "the server speaks no version of TLS that is allowed here"
_SUITE: Final = "the server and we have no TLS cipher suite in common"
_WORDS: Final = {
    "UNSUPPORTED_PROTOCOL": _VERSION,
    "TLSV1_ALERT_PROTOCOL_VERSION": _VERSION,
    "WRONG_VERSION_NUMBER": "the server does not speak TLS at this port",
    "HTTP_REQUEST": "the server does not speak TLS at this port",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": _SUITE,
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "the server asks for a client certificate",
    "TLSV1_ALERT_UNKNOWN_CA": "the server does not trust the issuer of our certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "the server does not take our certificate",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": "the server does not take our certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "the server says that our certificate has expired",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "the server says that our certificate is revoked",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "the server does not take our certificate",
    "TLSV1_ALERT_DECRYPT_ERROR": "the server does not take our certificate's signature",
}


def tls_security_event(error: ssl.SSLError) -> str | None:
    """The security event that a charging station reports for such a failure (A00.FR.309, A00.FR.315, A00.FR.322), by
    the list of OCPP 2.0.1; None: there is none for it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "InvalidCsmsCertificate"
    return {_VERSION: "InvalidTLSVersion", _SUITE: "InvalidTLSCipherSuite"}.get(_WORDS.get(_reason(error), ""))


def _reason(error: ssl.SSLError) -> str:
    """OpenSSL's word for it; an error that isn't OpenSSL's has none."""
    return getattr(error, "reason", None) or ""
