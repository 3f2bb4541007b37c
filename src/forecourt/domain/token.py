"""Identity tokens: who wants to charge, and what the CSMS says of it.

Guarantees
* Two tokens are the same driver's when their values are equal without regard to case
  (OCPP 1.6 §7.28 IdToken is a CiString; OCPP 2.0.1 C01, identifierString) — use `IdToken.key`.
* Nothing else is read into a value (OCPP 1.6 §3.9).
"""

from datetime import datetime
from enum import StrEnum

import msgspec


class IdTokenType(StrEnum):
    """What kind of thing carries the identity (OCPP 2.0.1 appendix, IdTokenEnumType)."""

    CENTRAL = "Central"
    DIRECT_PAYMENT = "DirectPayment"
    EMAID = "eMAID"
    EVCCID = "EVCCID"
    ISO14443 = "ISO14443"
    ISO15693 = "ISO15693"
    KEY_CODE = "KeyCode"
    LOCAL = "Local"
    MAC_ADDRESS = "MacAddress"
    NO_AUTHORIZATION = "NoAuthorization"
    VIN = "VIN"


class AuthorizationStatus(StrEnum):
    """The verdict on a token (OCPP 2.0.1 AuthorizationStatusEnumType)."""

    ACCEPTED = "Accepted"
    BLOCKED = "Blocked"
    CONCURRENT_TX = "ConcurrentTx"
    EXPIRED = "Expired"
    INVALID = "Invalid"
    NO_CREDIT = "NoCredit"
    NOT_ALLOWED_TYPE_EVSE = "NotAllowedTypeEVSE"
    NOT_AT_THIS_LOCATION = "NotAtThisLocation"
    NOT_AT_THIS_TIME = "NotAtThisTime"
    UNKNOWN = "Unknown"


class IdToken(msgspec.Struct, frozen=True):
    """An identity presented to a station. A protocol that knows no types means an RFID card: ISO14443."""

    value: str
    type: IdTokenType = IdTokenType.ISO14443

    @property
    def key(self) -> str:
        """What to compare and to look up by: the value without regard to case."""
        return self.value.casefold()


class IdTokenInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the CSMS answers about a token."""

    status: AuthorizationStatus
    expires_at: datetime | None = None
    group_id_token: IdToken | None = None
    """Tokens of one group may stop each other's transactions (1.6: parentIdTag)."""
    evse_ids: tuple[int, ...] = ()
    """Where on the station the token may be used; empty means everywhere."""
    charging_priority: int = 0
    """-9 to 9; higher is more important (OCPP 2.0.1 C11)."""
