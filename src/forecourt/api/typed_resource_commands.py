"""The bodies of typed commands for reservations, local lists, firmware, logs and certificates.

Guarantees
* As `typed_commands`: a body converts to the domain's request field by field.
"""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from forecourt.api.bodies import Instant, Number
from forecourt.api.command_bodies import CommandBody, ConnectorNumber, IdTokenBody, StationCommandBody
from forecourt.api.local_list_bodies import EntryBody, Version, entries_of
from forecourt.csms import commands, local_lists
from forecourt.csms.command_records import Command
from forecourt.csms.ports import Context
from forecourt.domain.certificate import CertificateHash, CertificateUse, HashAlgorithm
from forecourt.domain.firmware import LogType
from forecourt.domain.requests import (
    CancelReservation,
    CsmsRequest,
    DeleteCertificate,
    GetInstalledCertificateIds,
    GetLocalListVersion,
    GetLog,
    InstallCertificate,
    ListUpdate,
    ReserveNow,
    UpdateFirmware,
)
from forecourt.domain.reservation import ConnectorType

Url = Annotated[str, Meta(min_length=1, max_length=512)]
Pem = Annotated[str, Meta(min_length=1, max_length=5500)]
Hex = Annotated[str, Meta(min_length=1, max_length=128, pattern="^[0-9A-Fa-f]+$")]
Retries = Annotated[int, Meta(ge=0, le=100)]


class ReserveNowCommand(StationCommandBody, frozen=True, kw_only=True):
    """Keep an EVSE free for a token. Without `evse_id`: any EVSE of the station.

    Without `reservation_id` it is given one; with that of another reservation there, it takes that one's place. It is
    kept among `/reservations`.
    """

    asks = ReserveNow

    id_token: IdTokenBody
    expires_at: Instant
    evse_id: ConnectorNumber | None = None
    reservation_id: Number = 0
    group_id_token: IdTokenBody | None = None
    connector_type: ConnectorType | None = None


class CancelReservationCommand(StationCommandBody, frozen=True, kw_only=True):
    """Give a reservation up, by the id that went over the wire."""

    asks = CancelReservation

    reservation_id: Number


class SendLocalListCommand(StationCommandBody, frozen=True, kw_only=True):
    """Send these entries to a station's local list, now, in one message.

    Without `entries`: what `/stations/{station_id}/local-list` says it shall have; without `version`: the next. An
    entry without `status` takes its token off the list. To keep a station's list as it shall be, use the resource.
    """

    update: ListUpdate = ListUpdate.FULL
    entries: Annotated[tuple[EntryBody, ...], Meta(max_length=10_000)] = ()
    version: Version | None = None

    async def issue(self, context: Context, idempotency_key: str | None) -> Command:
        """Ask it. Raises as `commands.issue`, and Invalid for the entries."""
        request = await local_lists.send_as_asked(
            context, self.station_id, self.update, entries_of(self.entries), self.version
        )
        return await commands.issue(
            context, self.station_id, request, timeout_s=self.timeout_s, idempotency_key=idempotency_key
        )


class GetLocalListVersionCommand(StationCommandBody, frozen=True, kw_only=True):
    """Which version does a station's local list have? Rejected: it keeps none."""

    asks = GetLocalListVersion


class UpdateFirmwareCommand(StationCommandBody, frozen=True, kw_only=True):
    """Fetch this firmware and install it. `/firmware-jobs` does that with an image that is kept here.

    What becomes of it is found there, by the `command_id`. With `signature` and `signing_certificate` the station
    verifies it. Without `request_id` it is given one, where the message has one.
    """

    asks = UpdateFirmware

    location: Url
    retrieve_at: Instant
    request_id: Number | None = None
    install_at: Instant | None = None
    signing_certificate: Pem | None = None
    signature: Annotated[str, Meta(min_length=1, max_length=800)] | None = None
    retries: Retries | None = None
    retry_interval_s: Number | None = None


class GetLogCommand(StationCommandBody, frozen=True, kw_only=True):
    """Upload a log to a directory. `/log-jobs` takes it in here.

    What becomes of it is found there, by the `command_id`. Diagnostics without a `request_id` are what a station
    without the security extension has; any other log is given one.
    """

    asks = GetLog

    location: Url
    log_type: LogType = LogType.DIAGNOSTICS
    request_id: Number | None = None
    oldest_at: Instant | None = None
    latest_at: Instant | None = None
    retries: Retries | None = None
    retry_interval_s: Number | None = None


class InstallCertificateCommand(StationCommandBody, frozen=True, kw_only=True):
    """Make a station trust a root certificate (PEM)."""

    asks = InstallCertificate

    use: CertificateUse
    certificate: Pem


class CertificateHashBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names a certificate, as the station that has it named it."""

    algorithm: HashAlgorithm = HashAlgorithm.SHA256
    issuer_name_hash: Hex
    issuer_key_hash: Hex
    serial_number: Annotated[str, Meta(min_length=1, max_length=40)]


class DeleteCertificateCommand(StationCommandBody, frozen=True, kw_only=True):
    """Remove a certificate from a station. `iso15118`: it is one for charging by contract."""

    certificate: CertificateHashBody
    iso15118: bool = False

    def request(self) -> CsmsRequest:
        """What the station is asked."""
        named = msgspec.convert(self.certificate, CertificateHash, from_attributes=True)
        return DeleteCertificate(certificate=named, iso15118=self.iso15118)


class GetInstalledCertificateIdsCommand(StationCommandBody, frozen=True, kw_only=True):
    """Which certificates does a station have? What it says is kept under `/stations/{station_id}/certificates`.

    A station may take one use at a time only.
    """

    asks = GetInstalledCertificateIds

    uses: Annotated[tuple[CertificateUse, ...], Meta(max_length=5)] = ()


TYPED_RESOURCES: Final[dict[str, type[CommandBody]]] = {
    "RESERVE_NOW": ReserveNowCommand,
    "CANCEL_RESERVATION": CancelReservationCommand,
    "SEND_LOCAL_LIST": SendLocalListCommand,
    "GET_LOCAL_LIST_VERSION": GetLocalListVersionCommand,
    "UPDATE_FIRMWARE": UpdateFirmwareCommand,
    "GET_LOG": GetLogCommand,
    "INSTALL_CERTIFICATE": InstallCertificateCommand,
    "DELETE_CERTIFICATE": DeleteCertificateCommand,
    "GET_INSTALLED_CERTIFICATE_IDS": GetInstalledCertificateIdsCommand,
}
