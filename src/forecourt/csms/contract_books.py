"""Certificates of contracts that cars have shown: who issued them, for whom, until when, and what was said of them.

Guarantees
* One record for each certificate of an eMAID, from the first time that it is shown; it says who showed it last, and how
  often it was. Nothing of it decides anything: the verdict is made anew each time (`contracts`).
* One that runs out within `renew_before_s` is `expiring`, one that has is `expired`; each change is an event.
* Of a certificate that a station has only named by hashes, its times are not known, and its issuer only where that is
  one of the roots or issuers of the configuration.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from cryptography import x509

from forecourt.csms import published
from forecourt.csms.contract_records import ContractCertificate, ContractState
from forecourt.csms.errors import NotFound
from forecourt.csms.paging import page_of, page_start
from forecourt.csms.ports import Books, Context
from forecourt.csms.records import Page
from forecourt.csms.revocation import certificates_in, issuer_of
from forecourt.csms.stations import find_station
from forecourt.csms.work import Work
from forecourt.domain.certificate import ContractStatus
from forecourt.domain.requests import Authorize

_WATCHED: Final = (ContractState.GOOD, ContractState.EXPIRING)


def shown(work: Work, request: Authorize, known: Sequence[x509.Certificate], status: ContractStatus) -> None:
    """A car has shown it, and that was said of it."""
    described = _described(request, known)
    if described is None:
        return
    emaid = request.id_token.value
    where = {
        "organisation_id": work.station.organisation_id,
        "id_token_key": emaid.casefold(),
        "serial_number": described["serial_number"],
    }
    columns: dict[str, Any] = {
        **{name: value for name, value in described.items() if value is not None},
        "station_number": work.station.number,
        "station_id": work.station.id,
        "certificate_status": status,
        "seen_at": work.at,
    }
    shelf = work.books.resources.contract_certificates
    found = shelf.find(where, limit=1)
    if not found:
        columns |= {"organisation_id": work.station.organisation_id, "id_token": emaid, "seen_count": 1}
        made = shelf.add(work.at, state=_state(work, status, described["not_after"]), **columns)
        _tell(work.books, made, work.at)
        return
    before = found[0]
    not_after = described["not_after"] or before.not_after
    columns |= {"seen_count": before.seen_count + 1, "state": _state(work, status, not_after)}
    shelf.change(before.number, work.at, **columns)
    if (before.state, before.certificate_status) != (columns["state"], status):
        _tell(work.books, msgspec.structs.replace(before, updated_at=work.at, **columns), work.at)


def _described(request: Authorize, known: Sequence[x509.Certificate]) -> dict[str, Any] | None:
    """What is known of the certificate itself; None: nothing."""
    chain = [] if request.certificate is None else certificates_in(request.certificate)
    if chain:
        leaf = chain[0]
        return {
            "serial_number": f"{leaf.serial_number:x}",
            "issuer": leaf.issuer.rfc4514_string(),
            "subject": leaf.subject.rfc4514_string(),
            "not_before": leaf.not_valid_before_utc,
            "not_after": leaf.not_valid_after_utc,
        }
    if not request.certificate_hashes:
        return None
    named = request.certificate_hashes[0].certificate
    issuer = issuer_of(named, known)
    name = None if issuer is None else issuer.subject.rfc4514_string()
    return {
        "serial_number": named.serial_number.casefold().lstrip("0"),
        "issuer": name,
        "subject": None,
        "not_before": None,
        "not_after": None,
    }


def _state(work: Work, status: ContractStatus, not_after: datetime | None) -> ContractState:
    if not_after is not None and not_after <= work.at:
        return ContractState.EXPIRED
    if status is not ContractStatus.ACCEPTED:
        return ContractState.REFUSED
    soon = work.at + timedelta(seconds=work.settings.resources.renew_before_s)
    return ContractState.EXPIRING if not_after is not None and not_after <= soon else ContractState.GOOD


async def keep(context: Context) -> int:
    """Note which run out soon, and which have; gives how many those were."""
    at = context.clock.now().at
    soon = at + timedelta(seconds=context.settings.resources.renew_before_s)

    def due(books: Books) -> list[tuple[ContractCertificate, ContractState]]:
        shelf = books.resources.contract_certificates
        over = shelf.find({"state": _WATCHED}, due={"not_after": at})
        ending = shelf.find({"state": ContractState.GOOD}, due={"not_after": soon})
        gone = {one.number for one in over}
        return [
            *((one, ContractState.EXPIRED) for one in over),
            *((one, ContractState.EXPIRING) for one in ending if one.number not in gone),
        ]

    def store(books: Books) -> int:
        found = due(books)
        for one, state in found:
            books.resources.contract_certificates.change(one.number, at, state=state)
            _tell(books, msgspec.structs.replace(one, state=state, updated_at=at), at)
        return len(found)

    return await context.store.write(store) if await context.store.read(due) else 0


def _tell(books: Books, one: ContractCertificate, at: datetime) -> None:
    body = published.ContractCertificateBody(certificate=one)
    books.events.append(one.organisation_id, published.CONTRACT_CERTIFICATE_UPDATED, at, one.station_id, body)


# For the API


async def get_contract_certificate(context: Context, number: int) -> ContractCertificate:
    """Raises NotFound."""
    found = await context.store.read(
        lambda books: books.resources.contract_certificates.get(context.organisation_id, number)
    )
    if found is None:
        raise NotFound("contract certificate", number)
    return found


async def list_contract_certificates(
    context: Context,
    *,
    station_id: str | None = None,
    id_token: str | None = None,
    serial_number: str | None = None,
    state: ContractState | None = None,
    expires_before: datetime | None = None,
    created_from: datetime | None = None,
    created_to: datetime | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[ContractCertificate]:
    """Newest first. Raises NotFound for the station, Invalid for the cursor."""
    before = page_start(cursor)

    def query(books: Books) -> list[ContractCertificate]:
        where: dict[str, Any] = {"organisation_id": context.organisation_id}
        if station_id is not None:
            where["station_number"] = find_station(books, context.organisation_id, station_id).number
        if id_token is not None:
            where["id_token_key"] = id_token.casefold()
        if serial_number is not None:
            where["serial_number"] = serial_number.replace(":", "").casefold().lstrip("0")
        if state is not None:
            where["state"] = state
        due = {} if expires_before is None else {"not_after": expires_before}
        return books.resources.contract_certificates.find(
            where, since=created_from, until=created_to, due=due, before=before, limit=limit + 1
        )

    return page_of(await context.store.read(query), limit, lambda one: str(one.number))
