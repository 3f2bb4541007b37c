"""Words of OCPP 2.0.1's requests and answers, as tables from and to the domain's; tokens, places and status infos.

Guarantees
* What is heard is spelt as in the domain. What can't be said becomes the nearest refusal of the message, never
  Accepted; only Scheduled, where a message has no such word, is Accepted: it will be done.
* Token types that only later versions have are refused.
"""

from typing import Any, Final, Protocol

from forecourt.dialect.wire import by_value, clipped, plain, refusing, said
from forecourt.domain.requests import DataTransferStatus, RequestAnswer, RequestStatus, TriggeredMessage, UnlockStatus
from forecourt.domain.station import OperationalStatus, ResetType
from forecourt.domain.token import AuthorizationStatus, IdToken, IdTokenInfo, IdTokenType
from forecourt.messages import v201 as m

# Outcomes, as they are said

START_STOP_SAID: Final = refusing(
    RequestStatus, m.RequestStartStopStatusEnum, m.RequestStartStopStatusEnum.REJECTED
) | {RequestStatus.SCHEDULED: m.RequestStartStopStatusEnum.ACCEPTED}
RESET_SAID: Final = refusing(RequestStatus, m.ResetStatusEnum, m.ResetStatusEnum.REJECTED)
AVAILABILITY_SAID: Final = refusing(
    RequestStatus, m.ChangeAvailabilityStatusEnum, m.ChangeAvailabilityStatusEnum.REJECTED
)
TRIGGER_SAID: Final = refusing(RequestStatus, m.TriggerMessageStatusEnum, m.TriggerMessageStatusEnum.REJECTED) | {
    RequestStatus.NOT_SUPPORTED: m.TriggerMessageStatusEnum.NOT_IMPLEMENTED,
    RequestStatus.SCHEDULED: m.TriggerMessageStatusEnum.ACCEPTED,
}
PROFILE_SAID: Final = refusing(RequestStatus, m.ChargingProfileStatusEnum, m.ChargingProfileStatusEnum.REJECTED) | {
    RequestStatus.SCHEDULED: m.ChargingProfileStatusEnum.ACCEPTED
}
CLEAR_PROFILE_SAID: Final = refusing(
    RequestStatus, m.ClearChargingProfileStatusEnum, m.ClearChargingProfileStatusEnum.UNKNOWN
) | {RequestStatus.SCHEDULED: m.ClearChargingProfileStatusEnum.ACCEPTED}
CLEAR_CACHE_SAID: Final = refusing(RequestStatus, m.ClearCacheStatusEnum, m.ClearCacheStatusEnum.REJECTED) | {
    RequestStatus.SCHEDULED: m.ClearCacheStatusEnum.ACCEPTED
}
COMPOSITE_SAID: Final = refusing(RequestStatus, m.GenericStatusEnum, m.GenericStatusEnum.REJECTED)

UNLOCKS: Final = by_value(m.UnlockStatusEnum, UnlockStatus)
UNLOCKS_SAID: Final = by_value(UnlockStatus, m.UnlockStatusEnum) | {
    UnlockStatus.NOT_SUPPORTED: m.UnlockStatusEnum.UNLOCK_FAILED
}
NO_LOCK_CODES: Final = ("UnsupportedRequest", "FixedCable")
"""Reason codes of the appendix that say of a failed unlocking that there is nothing to unlock; the first is said."""
TRANSFERS: Final = by_value(m.DataTransferStatusEnum, DataTransferStatus)
TRANSFERS_SAID: Final = by_value(DataTransferStatus, m.DataTransferStatusEnum)

# What is asked

RESETS: Final = by_value(m.ResetEnum, ResetType)
RESETS_SAID: Final = by_value(ResetType, m.ResetEnum)
OPERATIONAL: Final = by_value(m.OperationalStatusEnum, OperationalStatus)
OPERATIONAL_SAID: Final = by_value(OperationalStatus, m.OperationalStatusEnum)
TRIGGERS: Final = by_value(m.MessageTriggerEnum, TriggeredMessage)
TRIGGERS_SAID: Final = by_value(TriggeredMessage, m.MessageTriggerEnum)

_TOKEN_TYPES: Final = by_value(m.IdTokenEnum, IdTokenType)
_TOKEN_TYPES_SAID: Final = by_value(IdTokenType, m.IdTokenEnum)
_AUTHORIZATIONS: Final = by_value(m.AuthorizationStatusEnum, AuthorizationStatus)
_AUTHORIZATIONS_SAID: Final = by_value(AuthorizationStatus, m.AuthorizationStatusEnum)

_UNSPECIFIED: Final = "Unspecified"
"""The reason code of the appendix for information without a reason."""


def token(wire: m.IdToken) -> IdToken:
    """Who is meant."""
    return IdToken(wire.id_token, _TOKEN_TYPES[wire.type])


def token_said(meant: IdToken) -> m.IdToken:
    """The same on the wire."""
    return m.IdToken(id_token=meant.value, type=said(_TOKEN_TYPES_SAID, meant.type))


def token_info(wire: m.IdTokenInfo) -> IdTokenInfo:
    """What the CSMS says of a token; its personal message is not taken in."""
    return IdTokenInfo(
        status=_AUTHORIZATIONS[wire.status],
        expires_at=plain(wire.cache_expiry_date_time),
        group_id_token=token(wire.group_id_token) if wire.group_id_token else None,
        evse_ids=wire.evse_id or (),
        charging_priority=wire.charging_priority or 0,
    )


def token_info_said(meant: IdTokenInfo) -> m.IdTokenInfo:
    """The same on the wire."""
    return m.IdTokenInfo(
        status=_AUTHORIZATIONS_SAID[meant.status],
        cache_expiry_date_time=meant.expires_at,
        charging_priority=meant.charging_priority or None,
        evse_id=meant.evse_ids or None,
        group_id_token=token_said(meant.group_id_token) if meant.group_id_token else None,
    )


def status_info(reason_code: str | None, info: str | None) -> m.StatusInfo | None:
    """Why, where there is anything to say."""
    if not reason_code and not info:
        return None
    return m.StatusInfo(reason_code=reason_code or _UNSPECIFIED, additional_info=clipped(info, 512))


def info_of(wire: m.StatusInfo | None) -> tuple[str | None, str | None]:
    """Reason code and information."""
    if wire is None:
        return None, None
    return None if wire.reason_code == _UNSPECIFIED else wire.reason_code, wire.additional_info


def answer(wire: Any) -> RequestAnswer:
    """What every response says that is a status with its reason."""
    reason_code, info = info_of(wire.status_info)
    return RequestAnswer(outcome=RequestStatus(wire.status), reason_code=reason_code, info=info)


class _Reasoned(Protocol):
    @property
    def reason_code(self) -> str | None: ...
    @property
    def info(self) -> str | None: ...


def why(meant: _Reasoned) -> m.StatusInfo | None:
    """The reason of an answer, where it has one."""
    return status_info(meant.reason_code, meant.info)


def evse_said(evse_id: int | None, connector_id: int | None) -> m.EVSE | None:
    """A place on the wire: the station as a whole (EVSE 0) is not named."""
    return m.EVSE(id=evse_id, connector_id=connector_id) if evse_id else None
