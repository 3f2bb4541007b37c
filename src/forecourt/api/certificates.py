"""`/certificates`: those that stations have asked for, and those that are revoked; and what stations have installed."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Response, Router, delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody, PathParameter, QueryParameter
from msgspec import Meta

from forecourt.api.authentication import PREFIX, CallerContext
from forecourt.api.bodies import LARGEST_KEY, Asked, Text, Timeout, instant
from forecourt.api.lifetime import CallerLifetime
from forecourt.api.lists import DEFAULT_LIMIT, Cursor, Filter, Limit, Listing, listing, shown
from forecourt.api.outcomes import CommandResource, IdempotencyKey, Prefer, answer_command, documented_command
from forecourt.api.problems import documented
from forecourt.api.typed_resource_commands import Pem
from forecourt.csms import certificates, commands
from forecourt.csms.certificate_books import ISO15118_USES
from forecourt.csms.certificate_names import issuer_in, read_certificate
from forecourt.csms.errors import Conflict, Invalid
from forecourt.csms.resource_records import Certificate, CertificateState, StationCertificate
from forecourt.domain.certificate import CertificateHash, CertificateSigningUse, CertificateUse
from forecourt.domain.requests import DeleteCertificate, InstallCertificate

CertificateNumber = Annotated[int, PathParameter(ge=1, le=LARGEST_KEY - 1)]


class CertificateResource(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate that a station has asked for; or one, whoever issued it, that is revoked."""

    number: int
    station_id: str | None
    use: CertificateSigningUse
    state: CertificateState
    csr: str | None
    chain: str | None
    """PEM, the leaf first."""
    subject: str | None
    issuer: str | None
    """Who has signed it."""
    serial_number: str | None
    """Hexadecimal."""
    not_before: datetime | None
    not_after: datetime | None
    renewal_requested_at: datetime | None
    revoked_at: datetime | None
    command_id: str | None
    """The command that brought it to the station."""
    detail: str | None
    created_at: datetime
    updated_at: datetime


class CertificateList(Listing, frozen=True, kw_only=True):
    """Certificates, newest first."""

    items: tuple[CertificateResource, ...]


class RevocationBody(Asked, frozen=True, kw_only=True):
    """A certificate that somebody else has issued, and that admits nobody any more."""

    serial_number: Annotated[str, Meta(min_length=1, max_length=80)]
    """Hexadecimal; colons don't matter."""
    note: Text | None = None


class InstalledResource(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate that a station has."""

    number: int
    use: CertificateUse
    named: CertificateHash | None
    """As the station names it; null: it was given by us and can't be named without its issuer."""
    children: tuple[CertificateHash, ...]
    pem: str | None
    """Where it was given by us."""
    created_at: datetime


class InstalledList(msgspec.Struct, frozen=True, kw_only=True):
    """What a station has installed, as far as it is known."""

    items: tuple[InstalledResource, ...]
    next_cursor: str | None = None


class InstallBody(Asked, frozen=True, kw_only=True):
    """A root certificate that a station shall trust. Without `certificate`: the root of this CSMS's authority."""

    use: CertificateUse = CertificateUse.CSMS_ROOT
    certificate: Pem | None = None
    timeout_s: Timeout | None = None


def _show(certificate: Certificate) -> CertificateResource:
    return shown(CertificateResource, certificate, issuer=issuer_in(certificate.chain))


def _show_installed(certificate: StationCertificate) -> InstalledResource:
    return shown(InstalledResource, certificate)


@get("/", summary="List certificates", responses=documented(404))
async def list_certificates(
    context: CallerContext,
    station_id: Filter = None,
    serial_number: Filter = None,
    use: FromQuery[CertificateSigningUse | None] = None,
    certificate_state: Annotated[CertificateState | None, QueryParameter(name="state")] = None,
    expires_before: FromQuery[datetime | None] = None,
    created_from: FromQuery[datetime | None] = None,
    created_to: FromQuery[datetime | None] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> CertificateList:
    page = await certificates.list_certificates(
        context,
        station_id=station_id,
        state=certificate_state,
        serial_number=serial_number,
        use=use,
        expires_before=instant("expires_before", expires_before),
        created_from=instant("created_from", created_from),
        created_to=instant("created_to", created_to),
        cursor=cursor,
        limit=limit,
    )
    return listing(CertificateList, page, _show)


@get("/{number:int}", summary="A certificate", responses=documented(404))
async def get_certificate(context: CallerContext, number: CertificateNumber) -> CertificateResource:
    return _show(await certificates.get_certificate(context, number))


@post(
    "/{number:int}/revoke",
    status_code=200,
    summary="Admit nobody with a certificate any more; a connection that is open is closed",
    responses=documented(404, 409),
)
async def revoke_certificate(context: CallerContext, number: CertificateNumber) -> CertificateResource:
    return _show(await certificates.revoke(context, number))


@post(
    "/revocations",
    summary="Admit nobody any more with a certificate that somebody else has issued",
    responses=documented(408, 409, 413, 415),
)
async def revoke_serial_number(context: CallerContext, data: JSONBody[RevocationBody]) -> Response[CertificateResource]:
    made = _show(await certificates.revoke_serial(context, data.serial_number, data.note))
    return Response(made, status_code=201, headers={"location": f"{PREFIX}/certificates/{made.number}"})


class PemResource(msgspec.Struct, frozen=True, kw_only=True):
    """Something in PEM."""

    pem: str


@get("/root", summary="The root that stations' certificates end at", responses=documented(409))
async def get_root(context: CallerContext) -> PemResource:
    return PemResource(pem=await certificates.root(context))


@get("/revocation-list", summary="The revocation list (CRL) of this CSMS's authority", responses=documented(409))
async def get_revocation_list(context: CallerContext) -> PemResource:
    pem = await certificates.revocation_list(context)
    if pem is None:
        raise Conflict("the authority is somebody else's, who publishes the list")
    return PemResource(pem=pem)


# On stations


@get("/", summary="What certificates a station has, as far as it is known", responses=documented(404))
async def list_station_certificates(context: CallerContext, station_id: FromPath[str]) -> InstalledList:
    found = await certificates.list_installed(context, station_id)
    return InstalledList(items=tuple(_show_installed(one) for one in found))


@post("/", status_code=202, summary="Make a station trust a root certificate", responses=documented_command())
async def install_station_certificate(
    context: CallerContext,
    lifetime: CallerLifetime,
    station_id: FromPath[str],
    data: JSONBody[InstallBody],
    prefer: Prefer = None,
    idempotency_key: IdempotencyKey = None,
) -> Response[CommandResource]:
    pem = data.certificate or await certificates.root(context)
    try:
        read_certificate(pem)
    except ValueError as error:
        raise Invalid("certificate", str(error)) from None
    request = InstallCertificate(use=data.use, certificate=pem)
    command = await commands.issue(
        context, station_id, request, timeout_s=data.timeout_s, idempotency_key=idempotency_key
    )
    return await answer_command(context, lifetime, command, prefer)


@post(
    "/renew",
    status_code=202,
    summary="Have a station ask for a new certificate of its own",
    description="The request, the certificate and what the station says of it are then found among `/certificates`.",
    responses=documented_command(),
)
async def renew_station_certificate(
    context: CallerContext, lifetime: CallerLifetime, station_id: FromPath[str], prefer: Prefer = None
) -> Response[CommandResource]:
    return await answer_command(context, lifetime, await certificates.renew(context, station_id), prefer)


@delete(
    "/{number:int}",
    status_code=202,
    summary="Remove a certificate from a station",
    responses=documented_command(),
)
async def remove_station_certificate(
    context: CallerContext,
    lifetime: CallerLifetime,
    station_id: FromPath[str],
    number: CertificateNumber,
    prefer: Prefer = None,
) -> Response[CommandResource]:
    known = await certificates.get_installed(context, station_id, number)
    if known.named is None:
        raise Conflict("it is not known how the station names it; ask with GET_INSTALLED_CERTIFICATE_IDS")
    request = DeleteCertificate(certificate=known.named, iso15118=known.use in ISO15118_USES)
    return await answer_command(context, lifetime, await commands.issue(context, station_id, request), prefer)


router = Router(
    "/certificates",
    route_handlers=[
        list_certificates,
        get_certificate,
        revoke_certificate,
        revoke_serial_number,
        get_root,
        get_revocation_list,
    ],
    tags=["Certificates"],
)
station_router = Router(
    "/stations/{station_id:str}/certificates",
    route_handlers=[
        list_station_certificates,
        install_station_certificate,
        renew_station_certificate,
        remove_station_certificate,
    ],
    tags=["Certificates"],
)
