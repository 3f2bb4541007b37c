"""Where stations connect, as a configuration says it, made into what listens.

Guarantees
* A listener without TLS lets in the security profiles 0 and 1 only, one with TLS never profile 1; by default 0 and 1,
  or 2, or (where it asks for client certificates) 3 (security white paper §2; OCPP 2.0.1 part 2 A00). Profile 0 over
  TLS, which no specification knows, has to be allowed by name.
* What can't work is a `ConfigError` that names the listener, the file and what is wrong; nothing listens by then.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, Self

import msgspec

from forecourt.app.tls import server_tls
from forecourt.net.csms_session import Listener
from forecourt.net.tls import ClientCertificates, FileContext, ServerTls

_WITHOUT_TLS: Final = frozenset({0, 1})
_WITH_TLS: Final = frozenset({0, 2, 3})


class OcppListener(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where stations connect."""

    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 9000
    tls: ServerTls | None = None
    """None: plain `ws`."""
    profiles: Annotated[tuple[int, ...], msgspec.Meta(min_length=1)] | None = None
    """Security profiles that are let in; None: see above."""

    def __post_init__(self) -> None:
        if self.profiles is None:
            return
        profiles = set(self.profiles)
        if wrong := profiles - (_WITHOUT_TLS if self.tls is None else _WITH_TLS):
            how = "without" if self.tls is None else "with"
            raise ValueError(f"profiles: {min(wrong)} is no security profile of a listener {how} TLS")
        if 3 in profiles and not self.asks_for_certificates:
            raise ValueError("profiles: 3 needs a tls.client_ca, and client certificates that are asked for")

    @property
    def asks_for_certificates(self) -> bool:
        """Whether a station can show one here."""
        tls = self.tls
        return tls is not None and tls.client_ca is not None and tls.client_certificates is not ClientCertificates.NONE

    @property
    def let_in(self) -> frozenset[int]:
        """The security profiles that are let in."""
        if self.profiles is not None:
            return frozenset(self.profiles)
        if self.tls is None:
            return _WITHOUT_TLS
        if not self.asks_for_certificates:
            return frozenset({2})
        return frozenset({2, 3} if self.tls.client_certificates is ClientCertificates.OPTIONAL else {3})

    def beside(self, folder: Path) -> Self:
        """With paths that are relative to `folder` made absolute."""
        return self if self.tls is None else msgspec.structs.replace(self, tls=self.tls.beside(folder))

    def made(self, place: str) -> Listener:
        """What listens; `place` is where it stands in the configuration.

        Raises:
            ConfigError: a certificate or key can't be used.
        """
        tls = None
        if self.tls is not None:
            only = self.let_in == {3}
            tls = server_tls(self.tls, place, ClientCertificates.REQUIRED if only else ClientCertificates.OPTIONAL)
        return Listener(host=self.host, port=self.port, tls=tls, profiles=self.let_in)


def contexts_of(listeners: Sequence[Listener]) -> tuple[FileContext, ...]:
    """Those that follow files."""
    return tuple(listener.tls for listener in listeners if isinstance(listener.tls, FileContext))
