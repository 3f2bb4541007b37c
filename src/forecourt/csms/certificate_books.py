"""What follows in the books from commands about certificates, and what the handshake asks of them.

Guarantees
* What a station has installed is what it listed last, use by use; and what it has been given since. One is deleted by
  the hash that it was listed with (security white paper M04.FR.07).
"""

from datetime import datetime
from typing import Any, Final

import msgspec

from forecourt.csms import published
from forecourt.csms.certificate_names import name_of_root
from forecourt.csms.command_records import Command, CommandState
from forecourt.csms.ports import Books
from forecourt.csms.resource_records import Certificate, CertificateState
from forecourt.domain.certificate import CertificateHash, CertificateUse, HashAlgorithm
from forecourt.domain.requests import (
    CertificateSigned,
    DeleteCertificate,
    GetInstalledCertificateIds,
    GetInstalledCertificateIdsAnswer,
    InstallCertificate,
    RequestAnswer,
    RequestStatus,
)

ISO15118_USES: Final = frozenset({CertificateUse.V2G_ROOT, CertificateUse.MO_ROOT, CertificateUse.V2G_CHAIN})


def enter(books: Books, at: datetime, **columns: Any) -> Certificate:
    """A new one."""
    return books.resources.certificates.add(at, **columns)


def move(books: Books, certificate: Certificate, at: datetime, **columns: Any) -> Certificate:
    """Set columns, and tell of it."""
    books.resources.certificates.change(certificate.number, at, **columns)
    after = msgspec.structs.replace(certificate, updated_at=at, **columns)
    body = published.CertificateBody(certificate=after)
    books.events.append(after.organisation_id, published.CERTIFICATE_UPDATED, at, after.station_id, body)
    return after


def own_names(books: Books, station_number: int, station_id: str) -> set[str]:
    """What a commonName of the station's certificate may be (A00.FR.405)."""
    station = books.stations.by_number(station_number)
    serial_number = None if station is None or station.identity is None else station.identity.serial_number
    return {station_id} | ({serial_number} if serial_number else set())


def is_revoked(books: Books, serial_number: str) -> bool:
    """Whether a certificate of that serial number is revoked."""
    where = {"serial_number": serial_number, "state": CertificateState.REVOKED}
    return bool(books.resources.certificates.find(where, limit=1))


def signed_answered(books: Books, command: Command, _request: CertificateSigned, _answer: object, at: datetime) -> None:
    """CertificateSigned has ended."""
    found = books.resources.certificates.find({"command_id": command.id})
    if not found or found[0].state is not CertificateState.ISSUED:
        return
    certificate = found[0]
    if command.state is CommandState.ACCEPTED:
        before = {"station_number": command.station_number, "use": certificate.use, "state": CertificateState.ACCEPTED}
        for other in books.resources.certificates.find(before):
            move(books, other, at, state=CertificateState.REPLACED)
        move(books, certificate, at, state=CertificateState.ACCEPTED, detail=None)
    elif command.state in {CommandState.REJECTED, CommandState.CALL_ERROR}:
        detail = command.detail or command.error_description or "the station would not have it"
        move(books, certificate, at, state=CertificateState.REJECTED, detail=detail)
    else:
        move(books, certificate, at, detail="no answer; it is sent again at the next boot")


def install_answered(
    books: Books, command: Command, request: InstallCertificate, _answer: object, at: datetime
) -> None:
    """InstallCertificate has ended."""
    if command.state is not CommandState.ACCEPTED:
        return
    try:
        named = name_of_root(request.certificate, HashAlgorithm.SHA256)
    except ValueError:
        named = None
    books.resources.installed.add(
        at,
        organisation_id=command.organisation_id,
        station_number=command.station_number,
        station_id=command.station_id,
        use=request.use,
        named=named,
        pem=request.certificate,
        command_id=command.id,
    )


def delete_answered(books: Books, command: Command, request: DeleteCertificate, answer: object, at: datetime) -> None:  # noqa: ARG001
    """DeleteCertificate has ended. What the station doesn't know isn't there either."""
    gone = isinstance(answer, RequestAnswer) and answer.outcome in {RequestStatus.ACCEPTED, RequestStatus.NOT_FOUND}
    if not gone:
        return
    for one in books.resources.installed.find({"station_number": command.station_number}):
        if one.named is not None and _same(one.named, one.pem, request.certificate):
            books.resources.installed.remove(one.number)


def ids_answered(
    books: Books, command: Command, request: GetInstalledCertificateIds, answer: object, at: datetime
) -> None:
    """GetInstalledCertificateIds has ended: what it says takes the place of what was known of those uses."""
    if not isinstance(answer, GetInstalledCertificateIdsAnswer):
        return
    known = books.resources.installed.find({"station_number": command.station_number})
    of_uses = [one for one in known if not request.uses or one.use in request.uses]
    for one in of_uses:
        books.resources.installed.remove(one.number)
    for told in answer.certificates:
        pems = [one.pem for one in of_uses if one.pem and one.named and _same(one.named, one.pem, told.certificate)]
        books.resources.installed.add(
            at,
            organisation_id=command.organisation_id,
            station_number=command.station_number,
            station_id=command.station_id,
            use=told.use,
            named=told.certificate,
            children=told.children,
            pem=pems[0] if pems else None,
        )


def _same(named: CertificateHash, pem: str | None, other: CertificateHash) -> bool:
    if named.algorithm is not other.algorithm and pem is not None:
        try:
            named = name_of_root(pem, other.algorithm) or named
        except ValueError:
            return False
    return named.key == other.key
