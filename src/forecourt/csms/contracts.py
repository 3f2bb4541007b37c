"""Contracts for charging (ISO 15118 Plug & Charge): who may charge by one, and what stations and cars want to know of
certificates (application note on ISO 15118 §3.2, §4.4, §5; OCPP 2.0.1 C07, M01, M02, M06).

Guarantees
* A contract charges if its certificate is good and its eMAID may: the eMAID is a token like any other, and of the type
  eMAID where it has been entered. A certificate that is not good makes the token Invalid, whatever it is.
* Responders are asked about every certificate that is named; a revoked one is CertificateRevoked. Where no answer can
  be proved the contract is refused, unless `unproved_contracts` says otherwise.
* A chain that comes whole is validated: times, signatures, the eMAID as its common name, and a root that is known here.
* What a car wants about its contract's certificate is passed on unread. Whoever can't be asked has Failed; nothing of
  this is ever an error to a station.
* None of it happens in a unit of work: the books wait for nobody outside.
"""

import asyncio
import base64
import itertools
import logging
from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from forecourt.csms import authorization, contract_books
from forecourt.csms.contract_ports import ContractServices, ContractUnavailable, ResponderUnavailable
from forecourt.csms.ports import Books, Context
from forecourt.csms.records import ConnectedStation
from forecourt.csms.revocation import (
    UNREADABLE,
    Revocation,
    certificates_in,
    judged,
    name_of,
    request_for,
    response_about,
)
from forecourt.csms.work import Work
from forecourt.domain.certificate import ContractStatus, OcspQuery
from forecourt.domain.requests import (
    Authorize,
    AuthorizeAnswer,
    Get15118EVCertificate,
    Get15118EVCertificateAnswer,
    GetCertificateStatus,
    GetCertificateStatusAnswer,
    RequestStatus,
    StationRequest,
    StationRequestAnswer,
)
from forecourt.domain.token import AuthorizationStatus, IdToken, IdTokenInfo, IdTokenType

log = logging.getLogger(__name__)

_LONGEST_RESULT = 5500
"""Characters that an answer of a responder may have on its way to a station (application note §6.5.2)."""
_MOST_CERTIFICATES = 8


def goes_outside(call: object) -> bool:
    """Whether somebody outside has to be asked before this can be answered."""
    if isinstance(call, Authorize):
        return call.certificate is not None or bool(call.certificate_hashes)
    return isinstance(call, GetCertificateStatus | Get15118EVCertificate)


async def answered(context: Context, station: ConnectedStation, call: StationRequest) -> StationRequestAnswer:
    """The answer to such a call. Raises StoreUnavailable."""
    match call:
        case GetCertificateStatus():
            return await _status(context, call)
        case Get15118EVCertificate():
            return await _ev_certificate(context, station, call)
        case Authorize():
            return await _authorize(context, station, call)
    raise TypeError(f"{type(call).__name__} needs nobody outside")


# Who may charge


async def _authorize(context: Context, station: ConnectedStation, request: Authorize) -> AuthorizeAnswer:
    status = await certificate_status(context, request)
    known = _known(context.contracts)

    def decide(books: Books) -> AuthorizeAnswer:
        work = Work(books, context.settings, station, context.clock.now().at)
        books.stations.touch(station.number, work.at, None)
        contract_books.shown(work, request, known, status)
        if status is ContractStatus.ACCEPTED:
            info = _verdict(work, request.id_token)
        else:
            info = IdTokenInfo(status=AuthorizationStatus.INVALID)
        authorization.announce(work, request.id_token, info, None)
        return AuthorizeAnswer(id_token_info=info, certificate_status=status)

    return await context.store.write(decide)


def _verdict(work: Work, id_token: IdToken) -> IdTokenInfo:
    token = work.books.tokens.get(work.station.organisation_id, id_token.value)
    if token is not None and token.type is not IdTokenType.EMAID:
        return IdTokenInfo(status=AuthorizationStatus.INVALID)  # a card's number is no contract
    return authorization.decide(work, id_token, starting=True)


async def certificate_status(context: Context, request: Authorize) -> ContractStatus:
    """What is to be said of a contract's certificate."""
    services, now = context.contracts, context.clock.now().at
    known = _known(services)
    queries = list(request.certificate_hashes)
    if request.certificate is not None:
        chain = certificates_in(request.certificate)
        status = _chain_status(chain, request.id_token, known, now)
        if status is not ContractStatus.ACCEPTED:
            return status
        known += chain
        named = {query.certificate.key for query in queries}
        queries += [query for query in _queries(chain, known) if query.certificate.key not in named]
    verdicts = await asyncio.gather(
        *(_revocation(services, query, known, now) for query in queries[:_MOST_CERTIFICATES])
    )
    if Revocation.REVOKED in verdicts:
        return ContractStatus.CERTIFICATE_REVOKED
    if Revocation.UNKNOWN in verdicts:
        return ContractStatus.CERT_CHAIN_ERROR
    if Revocation.UNPROVED in verdicts and not context.settings.unproved_contracts:
        return ContractStatus.NO_CERTIFICATE_AVAILABLE
    return ContractStatus.ACCEPTED


def _known(services: ContractServices) -> list[x509.Certificate]:
    """Whom the operator knows."""
    return [certificate for pem in services.roots for certificate in certificates_in(pem)]


def _chain_status(
    chain: Sequence[x509.Certificate], id_token: IdToken, known: Sequence[x509.Certificate], now: datetime
) -> ContractStatus:
    if not chain or len(chain) > _MOST_CERTIFICATES:
        return ContractStatus.CERT_CHAIN_ERROR
    names = [str(part.value) for part in chain[0].subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if _plain(id_token.value) not in map(_plain, names):
        return ContractStatus.CERT_CHAIN_ERROR
    if any(not one.not_valid_before_utc <= now < one.not_valid_after_utc for one in chain):
        return ContractStatus.CERTIFICATE_EXPIRED
    for certificate, issuer in itertools.pairwise(chain):
        if certificate.issuer != issuer.subject or not _may_sign(issuer):
            return ContractStatus.CERT_CHAIN_ERROR
        if not _issued(certificate, issuer):
            return ContractStatus.SIGNATURE_ERROR
    anchored = any(
        root.not_valid_before_utc <= now < root.not_valid_after_utc and (root == chain[-1] or _issued(chain[-1], root))
        for root in known
    )
    return ContractStatus.ACCEPTED if anchored else ContractStatus.CERT_CHAIN_ERROR


def _plain(emaid: str) -> str:
    return emaid.replace("-", "").casefold()


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except UNREADABLE:
        return False
    return True


def _may_sign(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, *UNREADABLE):
        return False


def _queries(chain: Sequence[x509.Certificate], known: Sequence[x509.Certificate]) -> list[OcspQuery]:
    """What responders can be asked about a chain."""
    found = []
    for certificate in chain:
        issuer = next((one for one in known if one != certificate and _issued(certificate, one)), None)
        url = _responder_of(certificate)
        if issuer is not None and url is not None:
            found.append(OcspQuery(name_of(certificate, issuer), url))
    return found


def _responder_of(certificate: x509.Certificate) -> str | None:
    try:
        places = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except (x509.ExtensionNotFound, *UNREADABLE):
        return None
    for place in places:
        location = place.access_location
        if place.access_method == AuthorityInformationAccessOID.OCSP and isinstance(
            location, x509.UniformResourceIdentifier
        ):
            return location.value
    return None


async def _revocation(
    services: ContractServices, query: OcspQuery, known: Sequence[x509.Certificate], now: datetime
) -> Revocation:
    der = await _asked(services, query)
    return Revocation.UNPROVED if der is None else judged(query.certificate, der, known, now)


async def _asked(services: ContractServices, query: OcspQuery) -> bytes | None:
    if services.responder is None:
        return None
    try:
        return await services.responder.ask(query.responder_url, request_for(query.certificate))
    except ResponderUnavailable as error:
        log.info("no answer about certificate %s: %s", query.certificate.serial_number, error)
    except (ValueError, OverflowError) as error:
        log.info("nobody can be asked about certificate %s: %s", query.certificate.serial_number, error)
    return None


# What stations and cars want to know


async def _status(context: Context, request: GetCertificateStatus) -> GetCertificateStatusAnswer:
    """M06: the responder's answer, for the station to pass on to cars, which believe nobody else."""
    der = await _asked(context.contracts, request.query)
    if der is None or response_about(request.query.certificate, der) is None:
        return GetCertificateStatusAnswer(outcome=RequestStatus.FAILED)
    result = base64.b64encode(der).decode("ascii")
    if len(result) > _LONGEST_RESULT:
        return GetCertificateStatusAnswer(outcome=RequestStatus.FAILED)
    return GetCertificateStatusAnswer(outcome=RequestStatus.ACCEPTED, ocsp_result=result)


async def _ev_certificate(
    context: Context, station: ConnectedStation, request: Get15118EVCertificate
) -> Get15118EVCertificateAnswer:
    """M01, M02."""
    provider = context.contracts.provider
    if provider is None:
        return Get15118EVCertificateAnswer(outcome=RequestStatus.FAILED)
    try:
        given = await provider.answer(station.id, request.schema_version, request.action, request.exi_request)
    except ContractUnavailable as error:
        log.warning("%s: no certificate for a car's contract: %s", station.id, error)
        return Get15118EVCertificateAnswer(outcome=RequestStatus.FAILED)
    return Get15118EVCertificateAnswer(outcome=RequestStatus.ACCEPTED, exi_response=given)
