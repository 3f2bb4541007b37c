"""How the stations of a fleet show themselves to the CSMS: security profile, passwords, certificates.

Guarantees
* The profile is one of the four (security white paper §2; OCPP 2.0.1 A00), asked for or the highest for which there is
  everything; what it lacks is a ValueError that names the field, before any station runs.
* `{id}` in a path stands for a station's id: each has a certificate of its own. Without it all share one context.
* A password is written as it is in a station's file: hexadecimal digits may stand for octets (`dialect.passwords`).
"""

import ssl
from pathlib import Path
from typing import Annotated, Final, Self

import msgspec

from forecourt.dialect.passwords import password_octets
from forecourt.dialect.port import Dialect
from forecourt.net.backoff import BackoffPolicy
from forecourt.net.certificates import CertificateError
from forecourt.net.handshake import connection_url
from forecourt.net.tls import ClientTls, client_context
from forecourt.net.uplink import Uplink

_ID: Final = "{id}"
_WITH_PASSWORD: Final = frozenset({1, 2})
_LEAST_WITH_TLS: Final = 2
_WITH_CERTIFICATE: Final = 3


class FleetAccess(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[access]` of a scenario."""

    security_profile: Annotated[int, msgspec.Meta(ge=0, le=3)] | None = None
    """None: the highest for which everything is here."""
    password: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    """Of every station that has none in `passwords`."""
    passwords: dict[str, str] = {}
    """By station id."""
    tls: ClientTls = ClientTls()

    def beside(self, folder: Path) -> Self:
        """With paths that are relative to `folder` made absolute."""
        return msgspec.structs.replace(self, tls=self.tls.beside(folder))


class Ways:
    """To one CSMS, at `csms` without a station's id. ValueError: it can't be had so."""

    def __init__(self, access: FleetAccess, csms: str, backoff: BackoffPolicy) -> None:
        self._access = access
        self._csms = csms
        self._backoff = backoff
        self._secure = csms.startswith("wss:")
        self.profile = self._profile()
        own = access.tls.certificate or ""
        self._shared = self._context(access.tls) if self._secure and _ID not in own else None

    def uplink(self, station_id: str, dialect: Dialect) -> Uplink:
        """One station's. ValueError: its certificate can't be used, or it has no password."""
        password = self._access.passwords.get(station_id, self._access.password)
        if self.profile in _WITH_PASSWORD and password is None:
            raise ValueError(f"access.passwords: none for {station_id}, and there is no access.password")
        shown = password if self.profile in _WITH_PASSWORD else None
        return Uplink(
            url=connection_url(self._csms, station_id),
            security_profile=self.profile,
            basic_auth=None if shown is None else (station_id, password_octets(dialect, shown)),
            tls=self._tls(station_id),
            backoff=self._backoff,
        )

    def _tls(self, station_id: str) -> ssl.SSLContext | None:
        if not self._secure or self._shared is not None:
            return self._shared
        tls = self._access.tls
        own = {
            name: path.replace(_ID, station_id)
            for name, path in (("certificate", tls.certificate), ("key", tls.key))
            if path is not None
        }
        return self._context(msgspec.structs.replace(tls, **own))

    def _context(self, tls: ClientTls) -> ssl.SSLContext:
        if self.profile != _WITH_CERTIFICATE:
            tls = msgspec.structs.replace(tls, certificate=None, key=None)
        try:
            return client_context(tls)
        except CertificateError as error:
            raise ValueError(f"access.tls: {error}") from error

    def _profile(self) -> int:
        access = self._access
        has_password = access.password is not None or bool(access.passwords)
        has_certificate = access.tls.certificate is not None
        asked = access.security_profile
        if asked is None:
            if self._secure and has_certificate:
                return _WITH_CERTIFICATE
            return (_LEAST_WITH_TLS if self._secure else 1) if has_password else 0
        if asked in _WITH_PASSWORD and not has_password:
            raise ValueError(f"access.security_profile: {asked} needs access.password or access.passwords")
        if asked == 1 and self._secure:
            raise ValueError("access.security_profile: 1 is without TLS; the CSMS needs a ws:// address, or 2 is meant")
        if asked >= _LEAST_WITH_TLS and not self._secure:
            raise ValueError(f"access.security_profile: {asked} needs a wss:// address of the CSMS")
        if asked == _WITH_CERTIFICATE and not has_certificate:
            raise ValueError("access.security_profile: 3 needs access.tls.certificate")
        return asked
