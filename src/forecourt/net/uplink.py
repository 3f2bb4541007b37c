"""Where a station finds its CSMS, and what it shows there.

Guarantees
* No password is shown with an `Uplink`.
"""

import ssl
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from forecourt.net.backoff import BackoffPolicy
from forecourt.net.connection import Connection, Limits, ReceiverFactory


class Uplink(msgspec.Struct, frozen=True, kw_only=True):
    """Where the CSMS is, and how to reach it."""

    url: str
    """With the station's identity (`net.handshake.connection_url`)."""
    security_profile: int = 0
    """0 to 3 (security white paper §2; OCPP 2.0.1 A00); the fields below are what it needs."""
    basic_auth: tuple[str, str | bytes] | None = None
    tls: ssl.SSLContext | None = None
    """For wss://; None: what the system trusts. One that follows its files takes in a renewed certificate by itself."""
    backoff: BackoffPolicy = BackoffPolicy()
    connect_timeout_s: float = 30.0

    def __repr__(self) -> str:
        # Never the password.
        return f"Uplink(url={self.url!r}, security_profile={self.security_profile})"


Reach = Callable[[int, str], Sequence[Uplink]]
"""How to reach the CSMS under a security profile with a password, in order of preference; asked for each attempt. It
raises CertificateError when a certificate is missing or can't be used."""


class Dial(Protocol):
    """Connects once: `net.client.connect`."""

    async def __call__(
        self,
        url: str,
        *,
        subprotocols: tuple[str, ...],
        receiver: ReceiverFactory,
        basic_auth: tuple[str, str | bytes] | None,
        tls: ssl.SSLContext | None,
        limits: Limits | None,
        timeout_s: float,
    ) -> Connection:
        """An open connection; ConnectFailed otherwise."""
        ...
