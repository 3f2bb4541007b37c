"""The knobs of the API, with their defaults; the app loads them from TOML.

Guarantees
* Every default is safe to keep: it listens on this machine only, and asks for a key.
* A value that can't be is refused with the name of its field (ValueError). Open access and an address that others reach
  exclude each other.
"""

import ipaddress

import msgspec

from forecourt.net.oidc_settings import OidcSettings
from forecourt.net.tls import ServerTls
from forecourt.net.urls import check_url, is_loopback

SHORTEST_SECRET = 16


class ApiSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set. Times ending in `_s` are seconds, sizes are bytes."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = 8080
    """0: any that is free."""
    tls: ServerTls | None = None
    """None: plain HTTP."""
    open_access: bool = False
    """Ask for no key at all. For a demonstration on one machine: needs a loopback address, and says so at the start."""
    public_url: str | None = None
    """As browsers reach it, such as https://csms.example: where something else ends TLS, or with OIDC."""
    oidc: OidcSettings | None = None
    """None: people sign in with passwords only."""
    driver_secret: str | None = None
    """What the codes of drivers' pages are made with; None: there are no such pages."""

    largest_body: int = 1_048_576
    """A request with a larger body is answered 413."""
    head_timeout_s: float = 10.0
    """A connection on which no complete request head comes for so long is closed."""
    body_timeout_s: float = 30.0
    """A request whose body isn't there after so long is answered 408."""
    stall_timeout_s: float = 30.0
    """Who doesn't take what was written to it for so long is cut off."""
    keep_alive_s: float = 15.0
    """An idle connection is closed after this."""
    stop_timeout_s: float = 5.0
    """How long a stop waits for requests under way."""

    metrics_token: str | None = None
    """Who shows this at /metrics gets them, wherever it comes from; None: nobody by a token."""
    metrics_from: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    """Networks from which /metrics is answered without a token; nobody who comes through a proxy is."""

    heartbeat_s: float = 15.0
    """An event stream with nothing to tell says so this often; a key that was revoked is noticed then."""
    longest_wait_s: float = 60.0
    """The most that `Prefer: wait` is granted."""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65_535:
            raise ValueError("port: must be from 0 to 65535")
        for field in (
            "largest_body", "head_timeout_s", "body_timeout_s", "stall_timeout_s", "keep_alive_s", "stop_timeout_s",
            "heartbeat_s", "longest_wait_s",
        ):  # fmt: skip
            if not getattr(self, field) > 0:
                raise ValueError(f"{field}: must be more than 0")
        if self.open_access and not is_loopback(self.host):
            raise ValueError("open_access: needs a loopback address in host, such as 127.0.0.1")
        if self.metrics_token is not None and len(self.metrics_token) < SHORTEST_SECRET:
            raise ValueError(f"metrics_token: must have at least {SHORTEST_SECRET} characters")
        for network in self.metrics_from:
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                raise ValueError(f"metrics_from: a network such as 10.0.0.0/8 expected: {error}") from error
        if self.public_url is not None:
            check_url("public_url", self.public_url)
        if self.driver_secret is not None and len(self.driver_secret) < SHORTEST_SECRET:
            raise ValueError(f"driver_secret: must have at least {SHORTEST_SECRET} characters")
        if self.oidc is not None and self.public_url is None:
            raise ValueError("oidc: needs public_url, as the identity provider sends people back there")

    @property
    def over_tls(self) -> bool:
        """Whether browsers reach it by TLS."""
        return self.tls is not None or (self.public_url or "").startswith("https://")
