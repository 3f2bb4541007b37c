"""Requests of stations as they go out: with the ids that whoever asked has left to the CSMS; raw ones compact.

Guarantees
* An id of 0 (a request id of None, where the message must have one) is replaced by one that was never given before.
* `as_asked` undoes that, so that the same request under the same idempotency key is known again.
"""

import msgspec

from forecourt.csms import job_books
from forecourt.csms.errors import Invalid
from forecourt.csms.ports import Books, Context
from forecourt.domain.requests import (
    CsmsRequest,
    GetLog,
    GetVariables,
    RequestStartTransaction,
    ReserveNow,
    SetChargingProfile,
    UpdateFirmware,
)


def compact(payload: bytes) -> bytes:
    """A JSON object without blanks between its parts, and every part as it was written. Raises Invalid."""
    try:
        payload.decode()
        text = msgspec.json.format(payload, indent=-1)
    except (ValueError, RecursionError) as error:
        raise Invalid("payload", f"must be JSON: {error}") from error
    if not text.startswith(b"{"):
        raise Invalid("payload", "must be a JSON object")
    return text


def completed(context: Context, books: Books, station_number: int, request: CsmsRequest) -> CsmsRequest:
    """The request with all its ids."""
    match request:
        case SetChargingProfile() if request.profile.id == 0:
            profile = msgspec.structs.replace(request.profile, id=books.charging.next_profile_id())
            return msgspec.structs.replace(request, profile=profile)
        case ReserveNow() if request.reservation_id == 0:
            return msgspec.structs.replace(request, reservation_id=books.resources.next_reservation_id())
        case GetVariables() if request.refs is None and request.request_id == 0:
            return msgspec.structs.replace(request, request_id=books.commands.next_request_id())
        case UpdateFirmware() | GetLog():
            return job_books.numbered(context, books, station_number, request)
        case RequestStartTransaction():
            with_it = request.charging_profile
            if request.remote_start_id == 0:
                request = msgspec.structs.replace(request, remote_start_id=books.commands.next_remote_start_id())
            if with_it is not None and with_it.id == 0:
                with_it = msgspec.structs.replace(with_it, id=books.charging.next_profile_id())
                request = msgspec.structs.replace(request, charging_profile=with_it)
    return request


def as_asked(whole: CsmsRequest, asked: CsmsRequest) -> CsmsRequest:
    """`whole` without the ids that `completed` would give to `asked`."""
    match whole, asked:
        case (SetChargingProfile(), SetChargingProfile()) if asked.profile.id == 0:
            return msgspec.structs.replace(whole, profile=msgspec.structs.replace(whole.profile, id=0))
        case (ReserveNow(), ReserveNow()) if asked.reservation_id == 0:
            return msgspec.structs.replace(whole, reservation_id=0)
        case (GetVariables(), GetVariables()) if asked.request_id == 0:
            return msgspec.structs.replace(whole, request_id=0)
        case (UpdateFirmware(), UpdateFirmware()) if asked.request_id is None:
            return msgspec.structs.replace(whole, request_id=None)
        case (GetLog(), GetLog()) if asked.request_id is None:
            return msgspec.structs.replace(whole, request_id=None)
        case (RequestStartTransaction(), RequestStartTransaction()):
            profile = whole.charging_profile
            if profile is not None and asked.charging_profile is not None and asked.charging_profile.id == 0:
                profile = msgspec.structs.replace(profile, id=0)
            remote_start_id = 0 if asked.remote_start_id == 0 else whole.remote_start_id
            return msgspec.structs.replace(whole, charging_profile=profile, remote_start_id=remote_start_id)
        case _:
            return whole
