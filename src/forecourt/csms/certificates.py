"""Certificates of stations: asked for, checked, signed, accepted, renewed, revoked (security white paper A02, A03; OCPP
2.0.1 chapter A).

Guarantees
* Nothing is signed but what the station may ask for: its request's commonName is the identity it connects with, or the
  serial number it booted with (A00.FR.405), and an organizationName is one of `cpo_names`, where there are any.
* A certificate bears the station's identity or serial number, and the organization it is for (A00.FR.509, FR.511).
* A request that can't be signed is Rejected, else Accepted (A02.FR.11, FR.12).
* Each request is on record with what became of it. The certificate is sent when it is signed, and once more at the next
  boot when no answer came. That is the second half of an answer: it is sent with `unsolicited_calls` off as well.
* The certificate before it counts until the station has accepted the new one (A02.FR.12).
* One that runs out within `renew_before_s` is asked for anew, once a day, of a station that is connected.
* A revoked one admits nobody from then on; a connection that is open with it is closed.
"""

import logging
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from forecourt.csms import commands, published
from forecourt.csms.certificate_books import enter, move, own_names
from forecourt.csms.command_records import Command, CommandOrigin
from forecourt.csms.errors import Conflict, Invalid, NotFound
from forecourt.csms.paging import page_of, page_start
from forecourt.csms.ports import Books, Context, DisconnectOrder
from forecourt.csms.records import ConnectedStation, Page
from forecourt.csms.resource_ports import AuthorityRefused, CertificateAuthority
from forecourt.csms.resource_records import Certificate, CertificateState, StationCertificate
from forecourt.csms.stations import find_station
from forecourt.csms.work import Work
from forecourt.domain.certificate import CertificateSigningUse
from forecourt.domain.requests import (
    CertificateSigned,
    RequestAnswer,
    RequestStatus,
    SignCertificate,
    TriggeredMessage,
    TriggerMessage,
)

log = logging.getLogger(__name__)

_SERIAL: Final = re.compile(r"[1-9a-f][0-9a-f]{0,39}")
_ASK_AGAIN: Final = timedelta(days=1)
_VALID: Final = (CertificateState.ISSUED, CertificateState.ACCEPTED)


# What stations say


def sign_requested(work: Work, request: SignCertificate) -> RequestAnswer:
    """SignCertificate: taken, or refused with the reason (A02.FR.04)."""
    fault, subject = _fault(work, request)
    certificate = enter(
        work.books,
        work.at,
        organisation_id=work.station.organisation_id,
        station_number=work.station.number,
        station_id=work.station.id,
        use=request.use or CertificateSigningUse.CHARGING_STATION,
        said_use=request.use is not None,
        state=CertificateState.REQUESTED if fault is None else CertificateState.REFUSED,
        csr=request.csr,
        subject=subject,
        detail=fault,
    )
    work.tell(published.CERTIFICATE_UPDATED, published.CertificateBody(certificate=certificate))
    if fault is None:
        return RequestAnswer(outcome=RequestStatus.ACCEPTED)
    return RequestAnswer(outcome=RequestStatus.REJECTED, reason_code="InvalidCSR", info=fault[:512])


def _fault(work: Work, request: SignCertificate) -> tuple[str | None, str | None]:
    """Why it can't be signed, and whose it says it is."""
    v2g = request.use is CertificateSigningUse.V2G
    authority = work.v2g_authority if v2g else work.authority
    if authority is None:
        return f"this CSMS has no certificate authority{' for certificates towards cars' if v2g else ''}", None
    try:
        contents = authority.examine(request.csr)
    except ValueError as error:
        return str(error), None
    if contents.fault is not None:
        return contents.fault, contents.subject
    if own_names(work.books, work.station.number, work.station.id).isdisjoint(contents.common_names):
        return "the commonName is not the station's (A00.FR.405)", contents.subject
    owners = work.settings.cpo_names
    if owners and set(owners).isdisjoint(contents.organizations):
        return "the organizationName is none of the operator's (A00.FR.404)", contents.subject
    return None, contents.subject


async def sign_pending(context: Context, station: ConnectedStation) -> None:
    """Sign what the station has asked for, and send it. Never raises for what the authority or the station says."""
    where = {"station_number": station.number, "state": CertificateState.REQUESTED}
    for certificate in reversed(await context.store.read(lambda books: books.resources.certificates.find(where))):
        await _sign(context, certificate)


async def booted(context: Context, station: ConnectedStation) -> None:
    """Send what it never answered."""
    where = {"station_number": station.number, "state": (CertificateState.REQUESTED, CertificateState.ISSUED)}
    for certificate in reversed(await context.store.read(lambda books: books.resources.certificates.find(where))):
        if certificate.state is CertificateState.REQUESTED:
            await _sign(context, certificate)
        else:
            await _send(context, certificate)


async def _sign(context: Context, certificate: Certificate) -> None:
    v2g = certificate.use is CertificateSigningUse.V2G
    authority, at = context.contracts.authority if v2g else context.authority, context.clock.now().at
    columns: dict[str, Any]
    if authority is None or certificate.csr is None:
        return
    try:
        issued = await authority.issue(certificate.csr, certificate.station_id or "", at)
    except AuthorityRefused as error:
        log.warning("%s: no certificate: %s", certificate.station_id, error)
        columns = {"state": CertificateState.REFUSED, "detail": str(error)}
    else:
        columns = {"state": CertificateState.ISSUED, **msgspec.structs.asdict(issued)}

    def store(books: Books) -> Certificate | None:
        known = books.resources.certificates.get(certificate.organisation_id, certificate.number)
        if known is None or known.state is not CertificateState.REQUESTED:
            return None
        return move(books, known, at, **columns)

    signed = await context.store.write(store)
    if signed is not None and signed.state is CertificateState.ISSUED:
        await _send(context, signed)


async def _send(context: Context, certificate: Certificate) -> None:
    at, command_id = context.clock.now().at, context.new_id()
    await context.store.write(lambda books: move(books, certificate, at, command_id=command_id))
    request = CertificateSigned(
        certificate_chain=certificate.chain or "", use=certificate.use if certificate.said_use else None
    )
    station_id = certificate.station_id or ""
    await commands.issue(context, station_id, request, origin=CommandOrigin.CSMS, command_id=command_id)


# From time to time


async def keep(context: Context) -> int:
    """Note what has run out, ask for what soon will; gives how many that were."""
    at = context.clock.now().at
    soon = at + timedelta(seconds=context.settings.resources.renew_before_s)

    def over(books: Books) -> list[Certificate]:
        return books.resources.certificates.find({"state": _VALID}, due={"not_after": at})

    def end(books: Books) -> int:
        found = over(books)
        for certificate in found:
            move(books, certificate, at, state=CertificateState.EXPIRED)
        return len(found)

    def due(books: Books) -> list[Certificate]:
        found = books.resources.certificates.find({"state": CertificateState.ACCEPTED}, due={"not_after": soon})
        return [one for one in found if _asked_before(one, at - _ASK_AGAIN) and _connected(books, one)]

    count = await context.store.write(end) if await context.store.read(over) else 0
    for certificate in await context.store.read(due) if context.settings.unsolicited_calls else ():
        its = msgspec.structs.replace(context, organisation_id=certificate.organisation_id)
        await its.store.write(_noting_renewal(certificate, at))
        await renew(its, certificate.station_id or "", origin=CommandOrigin.CSMS, use=certificate.use)
        count += 1
    return count


def _noting_renewal(certificate: Certificate, at: datetime) -> Callable[[Books], Certificate]:
    return lambda books: move(books, certificate, at, renewal_requested_at=at)


def _asked_before(certificate: Certificate, at: datetime) -> bool:
    return certificate.renewal_requested_at is None or certificate.renewal_requested_at <= at


def _connected(books: Books, certificate: Certificate) -> bool:
    station = None if certificate.station_number is None else books.stations.by_number(certificate.station_number)
    return station is not None and station.connected


# For the API


async def renew(
    context: Context,
    station_id: str,
    origin: CommandOrigin = CommandOrigin.API,
    use: CertificateSigningUse = CertificateSigningUse.CHARGING_STATION,
) -> Command:
    """Have the station ask for a new certificate (A02.FR.01; towards cars: application note on ISO 15118 §3.1.1).

    Raises NotFound.
    """
    request = TriggerMessage(requested_message=TriggeredMessage.SIGN_CHARGING_STATION_CERTIFICATE, extended=True)
    if use is CertificateSigningUse.V2G:
        request = TriggerMessage(requested_message=TriggeredMessage.SIGN_V2G_CERTIFICATE)
    return await commands.issue(context, station_id, request, origin=origin)


async def get_certificate(context: Context, number: int) -> Certificate:
    """Raises NotFound."""
    found = await context.store.read(lambda books: books.resources.certificates.get(context.organisation_id, number))
    if found is None:
        raise NotFound("certificate", number)
    return found


async def list_certificates(
    context: Context,
    *,
    station_id: str | None = None,
    state: CertificateState | None = None,
    serial_number: str | None = None,
    use: CertificateSigningUse | None = None,
    expires_before: datetime | None = None,
    created_from: datetime | None = None,
    created_to: datetime | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[Certificate]:
    """Newest first. Raises NotFound for the station, Invalid for the cursor."""
    before = page_start(cursor)

    def query(books: Books) -> list[Certificate]:
        where: dict[str, Any] = {"organisation_id": context.organisation_id}
        if station_id is not None:
            where["station_number"] = find_station(books, context.organisation_id, station_id).number
        if state is not None:
            where["state"] = state
        if serial_number is not None:
            where["serial_number"] = plain_serial(serial_number)
        if use is not None:
            where["use"] = use
        due = {} if expires_before is None else {"not_after": expires_before}
        return books.resources.certificates.find(
            where, since=created_from, until=created_to, due=due, before=before, limit=limit + 1
        )

    return page_of(await context.store.read(query), limit, lambda certificate: str(certificate.number))


async def revoke(context: Context, number: int) -> Certificate:
    """Admit nobody with it any more. Raises NotFound, Conflict."""
    at = context.clock.now().at

    def store(books: Books) -> Certificate:
        certificate = books.resources.certificates.get(context.organisation_id, number)
        if certificate is None:
            raise NotFound("certificate", number)
        if certificate.serial_number is None or certificate.state is CertificateState.REVOKED:
            raise Conflict(f"certificate {number} is {certificate.state}")
        return move(books, certificate, at, state=CertificateState.REVOKED, revoked_at=at)

    revoked = await context.store.write(store)
    if revoked.station_number is not None:
        await context.bus.deliver(revoked.station_number, DisconnectOrder(reason="its certificate was revoked"))
    return revoked


async def revoke_serial(context: Context, serial_number: str, note: str | None = None) -> Certificate:
    """Admit nobody any more with a certificate that somebody else has issued. Raises Invalid, Conflict."""
    serial, at = plain_serial(serial_number), context.clock.now().at
    where = {"organisation_id": context.organisation_id, "serial_number": serial}

    def store(books: Books) -> Certificate:
        if books.resources.certificates.find(where, limit=1):
            raise Conflict(f"certificate {serial} is in the books already")
        columns = {"serial_number": serial, "state": CertificateState.REVOKED, "revoked_at": at, "detail": note}
        return enter(books, at, organisation_id=context.organisation_id, **columns)

    return await context.store.write(store)


async def authority_of(context: Context) -> CertificateAuthority:
    """Raises Conflict."""
    if context.authority is None:
        raise Conflict("this CSMS has no certificate authority: set `authority` in its configuration")
    return context.authority


async def root(context: Context) -> str:
    """The root that stations' certificates end at, PEM. Raises Conflict."""
    authority = await authority_of(context)
    try:
        return await authority.root()
    except AuthorityRefused as error:
        raise Conflict(str(error)) from error


async def revocation_list(context: Context) -> str | None:
    """The CRL, PEM; None: somebody else publishes it. Raises Conflict."""
    authority = await authority_of(context)
    where = {"organisation_id": context.organisation_id, "state": CertificateState.REVOKED}
    found = await context.store.read(lambda books: books.resources.certificates.find(where, limit=100_000))
    revoked = [(one.serial_number, one.revoked_at) for one in found if one.serial_number and one.revoked_at]
    try:
        return await authority.revocation_list(revoked, context.clock.now().at)
    except AuthorityRefused as error:
        raise Conflict(str(error)) from error


async def list_installed(context: Context, station_id: str) -> tuple[StationCertificate, ...]:
    """What a station has installed, as far as it is known. Raises NotFound."""

    def query(books: Books) -> tuple[StationCertificate, ...]:
        number = find_station(books, context.organisation_id, station_id).number
        return tuple(books.resources.installed.find({"station_number": number}))

    return await context.store.read(query)


async def get_installed(context: Context, station_id: str, number: int) -> StationCertificate:
    """Raises NotFound."""
    for one in await list_installed(context, station_id):
        if one.number == number:
            return one
    raise NotFound("installed certificate", number)


def plain_serial(text: str) -> str:
    """A serial number as it is kept: hexadecimal, small letters, without colons and leading zeros. Raises Invalid."""
    digits = text.replace(":", "").lower().lstrip("0")
    if not _SERIAL.fullmatch(digits):
        raise Invalid("serial_number", "must be hexadecimal, above 0 and of 20 octets at most (RFC 5280 §4.1.2.2)")
    return digits
