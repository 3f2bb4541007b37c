"""`/contract-certificates`: certificates of contracts (Plug & Charge) that cars have shown at stations."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Router, get
from litestar.params import FromQuery, PathParameter, QueryParameter

from forecourt.api.authentication import CallerContext
from forecourt.api.bodies import LARGEST_KEY, instant
from forecourt.api.lists import DEFAULT_LIMIT, Cursor, Filter, Limit, Listing, listing, shown
from forecourt.api.problems import documented
from forecourt.csms import contract_books
from forecourt.csms.contract_records import ContractCertificate, ContractState
from forecourt.domain.certificate import ContractStatus


class ContractCertificateResource(msgspec.Struct, frozen=True, kw_only=True):
    """A contract's certificate, as far as stations have shown it."""

    number: int
    id_token: str
    """The contract: its eMAID."""
    serial_number: str
    """Hexadecimal."""
    issuer: str | None
    """Who has issued it; null: it was named by hashes only, and its issuer is none that this CSMS knows."""
    subject: str | None
    not_before: datetime | None
    not_after: datetime | None
    """Null: it was named by hashes only."""
    state: ContractState
    certificate_status: ContractStatus
    """What the station was told last."""
    station_id: str
    """Where it was shown last."""
    seen_count: int
    seen_at: datetime
    created_at: datetime
    updated_at: datetime


class ContractCertificateList(Listing, frozen=True, kw_only=True):
    """Certificates of contracts, newest first."""

    items: tuple[ContractCertificateResource, ...]


def _show(one: ContractCertificate) -> ContractCertificateResource:
    return shown(ContractCertificateResource, one)


@get("/", summary="List certificates of contracts that cars have shown", responses=documented(404))
async def list_contract_certificates(
    context: CallerContext,
    station_id: Filter = None,
    id_token: Filter = None,
    serial_number: Filter = None,
    contract_state: Annotated[ContractState | None, QueryParameter(name="state")] = None,
    expires_before: FromQuery[datetime | None] = None,
    created_from: FromQuery[datetime | None] = None,
    created_to: FromQuery[datetime | None] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> ContractCertificateList:
    page = await contract_books.list_contract_certificates(
        context,
        station_id=station_id,
        id_token=id_token,
        serial_number=serial_number,
        state=contract_state,
        expires_before=instant("expires_before", expires_before),
        created_from=instant("created_from", created_from),
        created_to=instant("created_to", created_to),
        cursor=cursor,
        limit=limit,
    )
    return listing(ContractCertificateList, page, _show)


@get("/{number:int}", summary="A certificate of a contract", responses=documented(404))
async def get_contract_certificate(
    context: CallerContext, number: Annotated[int, PathParameter(ge=1, le=LARGEST_KEY - 1)]
) -> ContractCertificateResource:
    return _show(await contract_books.get_contract_certificate(context, number))


router = Router(
    "/contract-certificates",
    route_handlers=[list_contract_certificates, get_contract_certificate],
    tags=["Certificates"],
)
