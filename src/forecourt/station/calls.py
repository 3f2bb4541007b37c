"""The calls a station has open, and what each of them was for.

Guarantees
* Every `Send` has an id of its own, and exactly one purpose that its answer is brought back to.
* Ordinary calls leave only while the station may speak: connected and accepted (OCPP 1.6 §4.2). Otherwise they are
  dropped: nothing is queued here. What must not be lost is the outbox's business.
* When the connection goes, all open calls end as `CallFailure.LOST`.
"""

from datetime import UTC, datetime
from typing import Final

import msgspec

from forecourt.domain.certificate import CertificateSigningUse, OcspQuery
from forecourt.domain.events import Notice
from forecourt.domain.requests import StationRequest
from forecourt.domain.station import ConnectorError, ConnectorStatus
from forecourt.domain.token import IdToken
from forecourt.domain.transaction import ChargingState
from forecourt.station.effects import Send, Urgency
from forecourt.station.turn import Turn


class ForBoot(msgspec.Struct, frozen=True):
    """To be registered."""


class ForHeartbeat(msgspec.Struct, frozen=True):
    """To be known as alive, and to learn the time."""


class ShownState(msgspec.Struct, frozen=True):
    """The state of a connector as others are told of it."""

    connector_status: ConnectorStatus
    charging_state: ChargingState | None = None
    error: ConnectorError | None = None


class ForStatus(msgspec.Struct, frozen=True):
    """To tell a connector's state."""

    evse_id: int
    shown: ShownState


class ForBilling(msgspec.Struct, frozen=True):
    """To deliver the outbox's message `seq`."""

    seq: int


class ForToken(msgspec.Struct, frozen=True):
    """To know whether a token may charge; `attempt_id` names what it was presented for."""

    attempt_id: int
    id_token: IdToken


class ForApplication(msgspec.Struct, frozen=True):
    """On behalf of an application on the station."""

    reference: str


class ForReport(msgspec.Struct, frozen=True):
    """To deliver the report `seq`."""

    seq: int


class ForSigning(msgspec.Struct, frozen=True):
    """To have a certificate signed."""

    use: CertificateSigningUse


class ForOcsp(msgspec.Struct, frozen=True):
    """To know whether an issuer of the certificate that is shown to cars is revoked."""

    query: OcspQuery


class ForEvCertificate(msgspec.Struct, frozen=True):
    """To get a car a certificate for its contract."""

    evse_id: int


class ForUnplugged(msgspec.Struct, frozen=True):
    """To tell that the car of a transaction, by the station's own id, has left."""

    transaction_id: str


class ForInformation(msgspec.Struct, frozen=True):
    """Nothing follows from the answer."""


Purpose = (
    ForBoot
    | ForHeartbeat
    | ForStatus
    | ForBilling
    | ForToken
    | ForApplication
    | ForReport
    | ForSigning
    | ForOcsp
    | ForEvCertificate
    | ForUnplugged
    | ForInformation
)


class Calls:
    """Ids, purposes, and leave to speak."""

    __slots__ = ("_last_id", "_open", "accepted", "closing", "connected", "last_answer_s", "triggered")

    def __init__(self) -> None:
        self._last_id = 0
        self._open: dict[int, Purpose] = {}
        self.connected = False
        self.accepted = False
        """Whether the CSMS has registered the station since it booted."""
        self.closing = False
        """Whether the station restarts without waiting for answers: what left now would leave again afterwards."""
        self.triggered = False
        """Whether this turn answers a TriggerMessage, which may be obeyed while Pending (OCPP 1.6 §4.2)."""
        self.last_answer_s = 0.0
        """When the CSMS last answered anything, on the protocol's clock."""

    @property
    def may_speak(self) -> bool:
        """Whether calls other than a boot may leave now."""
        return self.connected and not self.closing and (self.accepted or self.triggered)

    @property
    def online(self) -> bool:
        """Whether questions get answers: connected and accepted."""
        return self.connected and not self.closing and self.accepted

    def send(
        self, call: Notice | StationRequest, purpose: Purpose, turn: Turn, urgency: Urgency = Urgency.ORDINARY
    ) -> bool:
        """Make a call. False: it may not leave now and is dropped."""
        if not self.may_speak:
            return False
        self.send_anyway(call, purpose, turn, urgency)
        return True

    def send_anyway(self, call: Notice | StationRequest, purpose: Purpose, turn: Turn, urgency: Urgency) -> None:
        """Make a call that needs no leave: only a boot does not."""
        self._last_id += 1
        self._open[self._last_id] = purpose
        turn.emit(Send(self._last_id, call, urgency))

    def purpose_of(self, call_id: int) -> Purpose | None:
        """What an open call is for; None: it is not open (any more)."""
        return self._open.get(call_id)

    def settle(self, call_id: int) -> Purpose | None:
        """What an ended call was for; None: it is not open (any more)."""
        return self._open.pop(call_id, None)

    def lose_all(self) -> list[Purpose]:
        """The connection is gone: the purposes of all open calls, in the order they were made."""
        purposes = list(self._open.values())
        self._open.clear()
        return purposes

    @property
    def any_open(self) -> bool:
        """Whether the CSMS owes an answer."""
        return bool(self._open)

    def is_open(self, purpose: Purpose) -> bool:
        """Whether a call for this is open."""
        return purpose in self._open.values()


_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(3000, 1, 1, tzinfo=UTC)
"""A time outside of these is no time that a CSMS can mean."""


class StationClock:
    """How far the CSMS's clock is ahead of this process's calendar (OCPP 1.6 §4.2, §4.6)."""

    __slots__ = ("_tolerance_s", "known", "offset_s")

    def __init__(self, tolerance_s: float) -> None:
        self._tolerance_s = tolerance_s
        self.offset_s = 0.0
        self.known = True
        """Whether the time that it gives is one, or only counts from the beginning of `dating`."""

    def learn(self, csms_now: datetime, own_now: datetime) -> bool:
        """Take in the CSMS's time, heard when our calendar said `own_now`. Whether that moved the clock."""
        if not _EARLIEST <= csms_now < _LATEST:
            return False
        offset_s = (csms_now - own_now).total_seconds()
        if self.known and abs(offset_s - self.offset_s) <= self._tolerance_s:
            return False
        self.known = True
        self.offset_s = offset_s
        return True
