"""What a station has besides its EVSEs: a place for firmware and logs, and one for certificates and keys.

Guarantees
* `firmware/` and `keys/` in the state directory are readable by their owner only; without a state directory they are
  temporary, and gone with the process.
* The CSMS is verified by the roots that are configured and installed; without any of either, by the system's. What is
  shown to it is the newest of the station's certificates that is valid (A02.FR.09).
* A certificate that the CSMS did not let in is not shown again while there is another that is valid, also after a
  restart (A02.FR.10). After a root has taken the place of another, the one before is fallen back on only where the
  server's certificate does not lead to the new one (M05.FR.13), and is gone after a connection by way of that
  (M05.FR.12).
* File servers are verified by the roots that the system trusts, and by `transfer_ca` besides.
* Diagnostics are JSON lines: who the station is, every variable that may be read, what waits in its outbox, and the
  frames between the two times. No password is in them (A01.FR.12).
"""

import logging
import platform
import socket
import ssl
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Final

import msgspec
from cryptography import x509

from forecourt.api.control.frames import FrameHistory
from forecourt.app.config import ConfigError
from forecourt.app.station_file import (
    LEAST_WITH_TLS,
    WITH_CERTIFICATE,
    StationFile,
    addresses_for,
    is_secure,
    uplink_to,
)
from forecourt.domain.certificate import CertificateUse
from forecourt.domain.variable import GetVariableStatus
from forecourt.hardware.contract_store import ContractKeyStore
from forecourt.hardware.installer import FileInstaller
from forecourt.hardware.sftp_access import SftpAccess
from forecourt.hardware.transfers import TransferSystem
from forecourt.net.certificates import CertificateError, read_roots, root_files
from forecourt.net.client import INVALID_CSMS_CERTIFICATE, security_event_of
from forecourt.net.connection import ConnectFailed, HandshakeRefused
from forecourt.net.tls import ClientTls, client_context
from forecourt.net.uplink import Uplink
from forecourt.station.station import Station
from forecourt.station.variable_table import SECURITY_PROFILE

FIRMWARE: Final = "firmware"
KEYS: Final = "keys"

log = logging.getLogger(__name__)

_encode = msgspec.json.Encoder().encode


class StationUpkeep:
    """Both of one station, in `folder`. Raises ConfigError, and OSError when `folder` can't be written."""

    def __init__(self, settings: StationFile, folder: Path, frames: FrameHistory) -> None:
        self._settings = settings
        self._frames = frames
        self._shown: Path | None = None
        """The certificate that the latest attempt showed; None: none."""
        self._verified = False
        """Whether the latest attempt verified its server."""
        self._fall_back = False
        """Whether the next attempt trusts the root before the one on trial as well."""
        self.station: Callable[[], Station] | None = None
        """The station that is described in its diagnostics."""
        firmware = folder / FIRMWARE
        self.system = TransferSystem(
            firmware,
            FileInstaller(firmware),
            self.diagnostics,
            tls=_file_servers(settings.transfer_ca),
            sftp_access=_sftp(settings),
        )
        self.security = ContractKeyStore(
            folder / KEYS,
            in_use=self._is_needed,
            given_roots=_given_roots(settings),
            given_pair=_given_pair(settings.tls),
        )

    # Connections

    @property
    def security_profiles(self) -> tuple[int, ...]:
        """Those that there are addresses for."""
        return tuple(profile for profile in range(4) if addresses_for(self._settings, profile))

    def reach(self, profile: int, password: str) -> tuple[Uplink, ...]:
        """The ways to the CSMS, each with what is trusted and shown now.

        Raises:
            CertificateError: a certificate is missing, or can't be used.
        """
        addresses = addresses_for(self._settings, profile)
        self._shown, self._verified = None, False
        tls = self._tls(profile) if any(map(is_secure, addresses)) else None
        return tuple(
            uplink_to(self._settings, address, profile, password, tls if is_secure(address) else None)
            for address in addresses
        )

    def attempted(self, failure: ConnectFailed | None) -> None:
        """How an attempt by way of `reach` ended; None: with a connection."""
        if failure is None:
            if self._verified and not self._fall_back and self.security.root_on_trial:
                try:
                    self.security.settle_root()
                except OSError as error:
                    log.error("the replaced root of the CSMS stays for now: %s", error)  # noqa: TRY400 - says it all
            self._fall_back = False
            if self._shown is not None:
                self.security.shown.prove(self._shown)
            return
        if self.security.root_on_trial and security_event_of(failure) == INVALID_CSMS_CERTIFICATE:
            self._fall_back = not self._fall_back
        elif self._shown is not None and _is_refusal(failure, proven=self.security.shown.is_proven(self._shown)):
            log.warning("the CSMS may not take %s: %s", self._shown.name, failure)
            self.security.shown.refuse(self._shown)

    def _tls(self, profile: int) -> ssl.SSLContext:
        at = datetime.now(UTC)
        try:
            self._verified = True
            roots = self.security.csms_roots(fallback=self._fall_back)
            pairs = self.security.station_certificates(at) if profile == WITH_CERTIFICATE else []
        except OSError as error:
            raise CertificateError(f"{error.filename}: {error.strerror}") from error
        if profile == WITH_CERTIFICATE and not pairs:
            raise CertificateError(f"the station has no certificate that is valid now, on {at:%Y-%m-%d}")
        refused = self.security.shown.is_refused
        if pairs and all(refused(chain) for chain, _ in pairs):
            self.security.shown.forget_refusals()  # the newest again, and so on
        pair = next(((chain, key) for chain, key in pairs if not refused(chain)), None)
        self._shown = None if pair is None else pair[0]
        certificate, key = (None, None) if pair is None else (str(pair[0]), str(pair[1]))
        ca = None if roots is None else str(roots)
        context = client_context(msgspec.structs.replace(self._settings.tls, ca=ca, certificate=certificate, key=key))
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a new root may be signed by the one before (M05.FR.09)
        return context

    def _is_needed(self, root: x509.Certificate) -> bool:
        """Whether the connection would be without any root of the CSMS (M04.FR.06)."""
        others = [one for one in self.security.roots(CertificateUse.CSMS_ROOT) if one != root]
        profile = 0 if self.station is None else self.station().parts.variables.integer(SECURITY_PROFILE)
        return profile >= LEAST_WITH_TLS and not others

    # Logs

    def diagnostics(self, oldest_at: datetime | None, latest_at: datetime | None) -> bytes:
        """The log for GetDiagnostics and GetLog. It may be asked for on any thread."""
        lines = [_encode(self._about())]
        if self.station is not None:
            station = self.station()
            lines += [
                _encode({"variable": str(reading.ref), "value": reading.value})
                for reading in station.parts.variables.read(None)
                if reading.outcome is GetVariableStatus.ACCEPTED
            ]
            outbox = station.parts.outbox
            lines.append(_encode({"outbox": outbox.depth, "set_aside": len(outbox.set_aside)}))
        lines += [
            _encode(frame)
            for frame in reversed(tuple(self._frames.newest_first()))
            if (oldest_at is None or frame.at >= oldest_at) and (latest_at is None or frame.at <= latest_at)
        ]
        return b"".join(line + b"\n" for line in lines)

    def _about(self) -> dict[str, str | None]:
        settings = self._settings
        return {
            "station": settings.id,
            "vendor": settings.vendor_name,
            "model": settings.model,
            "serial_number": settings.serial_number,
            "firmware": settings.firmware_version,
            "software": f"forecourt {metadata.version('forecourt')}, Python {platform.python_version()}",
            "made_at": datetime.now(UTC).isoformat(),
        }


def _is_refusal(failure: ConnectFailed, *, proven: bool) -> bool:
    """Whether it may be our certificate. TLS 1.3 says so after the handshake, if at all: a server may just hang up;
    where the certificate is `proven` that says nothing of it."""
    if isinstance(failure, HandshakeRefused):
        return failure.status in {401, 403}
    cause = failure.__cause__
    if isinstance(cause, ssl.SSLError):
        return security_event_of(failure) is None
    return not proven and not isinstance(cause, ConnectionRefusedError | TimeoutError | socket.gaierror)


def _given_roots(settings: StationFile) -> Sequence[Path]:
    ca = settings.ca_directory or settings.tls.ca
    try:
        return () if ca is None else tuple(root_files(Path(ca)))
    except CertificateError as error:
        raise ConfigError(f"{'tls.ca' if settings.ca_directory is None else 'ca_directory'}: {error}") from error


def _given_pair(tls: ClientTls) -> tuple[Path, Path] | None:
    return None if tls.certificate is None else (Path(tls.certificate), Path(tls.key or tls.certificate))


def _sftp(settings: StationFile) -> SftpAccess | None:
    key = settings.transfer_key
    if settings.transfer_known_hosts is None:
        if key is not None:
            raise ConfigError("transfer_key: is of no use without transfer_known_hosts")
        return None
    if key is not None and not Path(key).is_file():
        raise ConfigError(f"transfer_key: {key}: no such file")
    return SftpAccess(
        known_hosts=Path(settings.transfer_known_hosts),
        host_keys=settings.transfer_host_keys,
        key=None if key is None else Path(key),
    )


def _file_servers(ca: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca is not None:
        try:
            context.load_verify_locations(cadata=read_roots(Path(ca)))
        except CertificateError as error:
            raise ConfigError(f"transfer_ca: {error}") from error
    return context
