"""TLS: three policies as a table, and contexts made of them that follow their files.

Guarantees
* `modern`: TLS 1.3, and 1.2 with ephemeral keys and authenticated encryption only. `whitepaper`: that, and what else
  the security white paper obliges a CSMS to offer (A00.FR.317, A00.FR.421; OCPP 2.0.1 A00.FR.318, A00.FR.421).
  `inspect`: whatever OpenSSL can still speak except anonymous and unencrypted, to see what a station would do.
* TLS as OpenSSL has it, the CSMS as its server with its certificate (A00.FR.305, FR.306, FR.311, FR.316), of version
  1.2 at least (FR.312); older versions and legacy suites (FR.319) only under `inspect` (FR.324). Both sides look at
  what the other can do and end what is not enough (FR.313, FR.314, FR.321); so they do when a certificate does not
  lead to a root that is trusted, the server's (FR.310) or a client's (FR.403).
* No compression (A00.FR.320), no renegotiation. Keys below 112 bits are refused on either side (A00.FR.501 to 503),
  except under `inspect`.
* A context that can't work is refused when it is made, with a `CertificateError` that names the file.
* A certificate, key or list of roots that is replaced on disk counts from the next handshake on, without a restart; a
  replacement that can't work is logged once, and what there was goes on. Connections stay. A session that began under
  the old files is not resumed: who was trusted by a root that is gone proves itself anew.
* Clients verify the server's path and name (A00.FR.307, A00.FR.308): the subjectAltName where there is one, else the
  commonName, as RFC 2818 has it.
"""

import logging
import os
import socket
import ssl
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from forecourt.net.certificates import CertificateError, check_pair, read_roots, root_files
from forecourt.net.tls_alerts import Handshakes, RememberingObject, TalkingContext, TalkingObject

log = logging.getLogger(__name__)

_LOOK_EVERY_S: Final = 1.0
"""How often handshakes look whether files have changed: a storm of them shouldn't be one of `stat` as well."""


class TlsPolicy(StrEnum):
    """What a TLS endpoint speaks."""

    MODERN = "modern"
    WHITEPAPER = "whitepaper"
    INSPECT = "inspect"


class PolicyRules(msgspec.Struct, frozen=True):
    """One policy in OpenSSL's terms."""

    minimum_version: ssl.TLSVersion
    suites: tuple[str, ...]
    """For TLS 1.2 and below; TLS 1.3 has its own five, and OpenSSL offers the three of them that have AES-GCM or
    ChaCha20."""
    security_level: int
    """2: at least 112 bits, no SHA-1 in signatures. 0: anything; TLS below 1.2 needs it."""


_EPHEMERAL: Final = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-CHACHA20-POLY1305",
)
_OBLIGED: Final = ("AES128-GCM-SHA256", "AES256-GCM-SHA384")
"""TLS_RSA_WITH_AES_128_GCM_SHA256 and TLS_RSA_WITH_AES_256_GCM_SHA384: no forward secrecy, so last."""

POLICIES: Final[dict[TlsPolicy, PolicyRules]] = {
    TlsPolicy.MODERN: PolicyRules(ssl.TLSVersion.TLSv1_2, _EPHEMERAL, 2),
    TlsPolicy.WHITEPAPER: PolicyRules(ssl.TLSVersion.TLSv1_2, (*_EPHEMERAL, *_OBLIGED), 2),
    TlsPolicy.INSPECT: PolicyRules(ssl.TLSVersion.MINIMUM_SUPPORTED, ("ALL", "!aNULL", "!eNULL"), 0),
}


class ClientCertificates(StrEnum):
    """Whether a server asks for them."""

    NONE = "none"
    OPTIONAL = "optional"
    """One that is shown must be good; none need be shown."""
    REQUIRED = "required"


_VERIFY: Final = {
    ClientCertificates.NONE: ssl.CERT_NONE,
    ClientCertificates.OPTIONAL: ssl.CERT_OPTIONAL,
    ClientCertificates.REQUIRED: ssl.CERT_REQUIRED,
}

Files = str | tuple[str, ...]


class ServerTls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """TLS of a listener, as it is written in a configuration."""

    certificate: Files
    """PEM: the server's own certificate first, then those between it and the root. Two files serve stations that know
    ECDSA and those that know RSA (A00.FR.317, note)."""
    key: Files | None = None
    """PEM, not encrypted; in the order of `certificate`. None: in the same file."""
    policy: TlsPolicy = TlsPolicy.MODERN
    client_ca: str | None = None
    """Roots of the clients' certificates: a file, or a directory of files."""
    client_certificates: ClientCertificates | None = None
    """None: required where there is a `client_ca`, unless whoever listens knows better."""

    def __post_init__(self) -> None:
        if self.key is not None and len(_files(self.key)) != len(_files(self.certificate)):
            raise ValueError("key: as many files are needed as there are in certificate")
        if self.client_ca is None and self.client_certificates not in {None, ClientCertificates.NONE}:
            raise ValueError("client_ca: is missing, so that no client certificate could be checked")

    def beside(self, folder: Path) -> Self:
        """With paths that are relative to `folder` made absolute."""
        return msgspec.structs.replace(
            self,
            certificate=tuple(str(folder / file) for file in _files(self.certificate)),
            key=None if self.key is None else tuple(str(folder / file) for file in _files(self.key)),
            client_ca=None if self.client_ca is None else str(folder / self.client_ca),
        )


class ClientTls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """TLS towards a server, as it is written in a configuration."""

    ca: str | None = None
    """Roots of the server's certificate: a file, or a directory of files. None: the system's."""
    certificate: str | None = None
    """PEM: our own certificate first, then those between it and the root (security profile 3)."""
    key: str | None = None
    """PEM, not encrypted, readable by its owner only. None: in the same file."""
    server_name: str | None = None
    """The name the server's certificate must bear, where it isn't the one in the URL (a VPN's address, say)."""
    policy: TlsPolicy = TlsPolicy.MODERN

    def __post_init__(self) -> None:
        if self.key is not None and self.certificate is None:
            raise ValueError("certificate: is missing, so that the key is of no use")

    def beside(self, folder: Path) -> Self:
        """With paths that are relative to `folder` made absolute."""
        given = {name: getattr(self, name) for name in ("ca", "certificate", "key")}
        return msgspec.structs.replace(
            self, **{name: str(folder / path) for name, path in given.items() if path is not None}
        )


class FileContext(ssl.SSLContext):
    """A context to hand to whoever listens or connects: each handshake runs in one that is made of the files as they
    are. `ServerTls` and `ClientTls` become one by `server_context` and `client_context`."""

    handshakes: Handshakes | None = None
    """Those of a listener."""

    def __new__(cls, protocol: int, *_arguments: Any) -> Self:
        """What this context itself could do is never asked for."""
        return super().__new__(cls, protocol)

    def __init__(
        self,
        _protocol: int,
        build: Callable[[], ssl.SSLContext],
        watched: Callable[[], tuple[Path, ...]],
        server_name: str | None = None,
    ) -> None:
        """`build` makes a context of the files, `watched` are the files. Raises CertificateError."""
        self._build = build
        self._watched = watched
        self._server_name = server_name
        self._looked_s = time.monotonic()
        self._state = self._read_state()
        self._current = build()

    def reload(self) -> bool:
        """Read the files anew, changed or not; False when they can't be used, and what there was goes on."""
        self._looked_s = time.monotonic()
        self._state = self._read_state()
        try:
            self._current = self._build()
        except CertificateError as error:
            log.error("the new certificates can't be used, the old ones stay: %s", error)  # noqa: TRY400 - says it all
            return False
        log.info("certificates were read anew: %s", ", ".join(str(path) for path in self._watched()))
        return True

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Begin a handshake: what event loops call."""
        self._look()
        name = server_hostname if server_side else self._server_name or server_hostname
        made = self._current.wrap_bio(incoming, outgoing, server_side, name, session)
        if isinstance(made, TalkingObject):
            made.outgoing = outgoing
        return made

    def wrap_socket(self, sock: socket.socket, *arguments: Any, **named: Any) -> ssl.SSLSocket:
        """Begin a handshake on a socket: what libraries call that have their own sockets (MQTT)."""
        self._look()
        if self._server_name is not None:
            named["server_hostname"] = self._server_name
        return self._current.wrap_socket(sock, *arguments, **named)

    def _look(self) -> None:
        now_s = time.monotonic()
        if now_s - self._looked_s >= _LOOK_EVERY_S:
            self._looked_s = now_s
            if self._read_state() != self._state:
                self.reload()

    def _read_state(self) -> tuple[object, ...]:
        try:
            return tuple(_stamp(path) for path in self._watched())
        except (OSError, CertificateError) as error:
            return (str(error),)


def server_context(
    settings: ServerTls,
    *,
    client_certificates: ClientCertificates | None = None,
    name: str = "TLS",
    most_handshakes: int = 2_000,
) -> FileContext:
    """A listener's context. `client_certificates` is for settings that leave it open; `name` is for the log.
    `most_handshakes` may be under way at once.

    Raises:
        CertificateError: a file can't be used; the text names it.
    """
    certificates = [Path(file) for file in _files(settings.certificate)]
    keys = certificates if settings.key is None else [Path(file) for file in _files(settings.key)]
    asked = settings.client_certificates or client_certificates or ClientCertificates.REQUIRED
    if settings.client_ca is None:
        asked = ClientCertificates.NONE
    handshakes = Handshakes(name, most_handshakes)

    def build() -> ssl.SSLContext:
        context = TalkingContext(ssl.PROTOCOL_TLS_SERVER)
        context.handshakes = handshakes
        context.sslobject_class = TalkingObject
        _obey(context, settings.policy)
        for certificate, key in zip(certificates, keys, strict=True):
            check_pair(certificate, key)
            _load_pair(context, certificate, key)
        if settings.client_ca is not None:
            context.load_verify_locations(cadata=read_roots(Path(settings.client_ca)))
        context.verify_mode = _VERIFY[asked]
        return context

    def watched() -> tuple[Path, ...]:
        return (*certificates, *keys, *_root_paths(settings.client_ca))

    made = FileContext(ssl.PROTOCOL_TLS_SERVER, build, watched)
    made.handshakes = handshakes
    return made


def client_context(settings: ClientTls, *, at_any_time: bool = False) -> FileContext:
    """A client's context. `at_any_time`: its certificate may be over, or not have begun yet; the server judges that.

    Raises:
        CertificateError: a file can't be used; the text names it.
    """
    certificate = None if settings.certificate is None else Path(settings.certificate)
    key = certificate if settings.key is None else Path(settings.key)

    def build() -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.sslobject_class = RememberingObject
        _obey(context, settings.policy)
        if certificate is not None and key is not None:
            check_pair(certificate, key, owner_only=True, at_any_time=at_any_time)
            _load_pair(context, certificate, key)
        if settings.ca is None:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        else:
            context.load_verify_locations(cadata=read_roots(Path(settings.ca)))
        return context

    def watched() -> tuple[Path, ...]:
        own = () if certificate is None or key is None else (certificate, key)
        return (*own, *_root_paths(settings.ca))

    return FileContext(ssl.PROTOCOL_TLS_CLIENT, build, watched, settings.server_name)


def _obey(context: ssl.SSLContext, policy: TlsPolicy) -> None:
    rules = POLICIES[policy]
    context.set_ciphers(":".join((*rules.suites, f"@SECLEVEL={rules.security_level}")))
    context.minimum_version = rules.minimum_version
    context.maximum_version = ssl.TLSVersion.MAXIMUM_SUPPORTED
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    # What is installed as trusted is trusted, whether it signed itself or not (security white paper §7.1, note).
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN


def _load_pair(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    try:
        context.load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError) as error:
        raise CertificateError(f"{certificate}: OpenSSL does not take it: {error}") from error


def _files(files: Files) -> tuple[str, ...]:
    return (files,) if isinstance(files, str) else files


def _root_paths(ca: str | None) -> tuple[Path, ...]:
    return () if ca is None else tuple(dict.fromkeys((Path(ca), *root_files(Path(ca)))))


def _stamp(path: Path) -> tuple[str, int, int, int]:
    found = os.stat(path)  # noqa: PTH116 - on the way of every handshake
    return str(path), found.st_ino, found.st_size, found.st_mtime_ns
