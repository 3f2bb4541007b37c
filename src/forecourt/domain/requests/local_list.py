"""The local authorization list and reservations: who may charge without the CSMS being asked, and where.

Guarantees
* An update of the list is applied as a whole or not at all (OCPP 1.6 §5.15, OCPP 2.0.1 D01).
"""

from datetime import datetime
from enum import StrEnum

import msgspec

from forecourt.domain.events import Answer
from forecourt.domain.requests.base import Request
from forecourt.domain.reservation import ConnectorType
from forecourt.domain.token import IdToken, IdTokenInfo


class ListUpdate(StrEnum):
    """What an update does to the list."""

    FULL = "Full"
    """Its entries take the place of the list; without any, the list is emptied."""
    DIFFERENTIAL = "Differential"
    """Its entries are changes to the list."""


class LocalListEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A token on the list. `id_token_info` None takes it off; only a differential update may say that."""

    id_token: IdToken
    id_token_info: IdTokenInfo | None = None


class SendLocalList(Request, frozen=True, kw_only=True):
    """Replace or change the local list. Answered by Accepted, Failed, VersionMismatch or NotSupported."""

    version: int
    """That of the list after the update, above 0 (OCPP 1.6 errata 3.52, D01.FR.18)."""
    update: ListUpdate
    entries: tuple[LocalListEntry, ...] = ()

    @property
    def fault(self) -> str | None:
        """Why this is no update that a CSMS may send, and a station answers with Failed; None: it is one."""
        if self.version < 1:
            return f"{self.version} is no version of a list (OCPP 1.6 errata 3.52, D01.FR.18)"
        if len({entry.id_token.key for entry in self.entries}) != len(self.entries):
            return "a token is in it twice (OCPP 1.6 §6.41, D01.FR.06)"
        if self.update is ListUpdate.FULL and any(entry.id_token_info is None for entry in self.entries):
            return "a full list has nothing to take off (OCPP 1.6 §7.1)"
        return None


class GetLocalListVersion(Request, frozen=True, kw_only=True):
    """Which version does the local list have?"""


class LocalListVersionAnswer(Answer, frozen=True, kw_only=True):
    """The version of the list; 0: it is empty.

    None: the station keeps none, where that can be told (OCPP 1.6 §5.10).
    """

    version: int | None


class ReserveNow(Request, frozen=True, kw_only=True):
    """Keep an EVSE free for this token. One of the same id is replaced (OCPP 1.6 §5.13).

    Answered by Accepted, Faulted, Occupied, Rejected or Unavailable.
    """

    reservation_id: int
    expires_at: datetime
    id_token: IdToken
    evse_id: int | None = None
    """None: any EVSE of the station."""
    group_id_token: IdToken | None = None
    """Tokens of this group may use the reservation, too."""
    connector_type: ConnectorType | None = None
    """Any EVSE with such a connector."""


class CancelReservation(Request, frozen=True, kw_only=True):
    """Give a reservation up."""

    reservation_id: int
