"""A vendor's own messages, between the CSMS and an application on the station (OCPP 1.6 §4.3, §5.6).

Guarantees
* What the CSMS says is handed on where the vendor is one that the application speaks for (`data_transfer_vendors`);
  any other is UnknownVendorId, and a message of a vendor that the stack itself reads is UnknownMessageId (§4.3).
* Each is answered once: as the application says, or Rejected where it says nothing in time.
* What the application says goes to the CSMS, and its answer comes back; None where none can be had. Nothing is queued.
"""

import msgspec

from forecourt.domain.requests import DataTransfer, DataTransferAnswer, DataTransferStatus
from forecourt.station.calls import Calls, ForApplication
from forecourt.station.config import StationConfig
from forecourt.station.effects import DataTransferDone, PassDataTransfer, Reply, Urgency
from forecourt.station.inputs import DataTransferAnswered, DataTransferWanted
from forecourt.station.turn import Turn


class _Waiting(msgspec.Struct, frozen=True):
    request_id: str
    until_s: float


class VendorMessages:
    """The messages of the CSMS that the application has not answered yet."""

    __slots__ = ("_calls", "_config", "_last", "_vendors", "_waiting")

    def __init__(self, config: StationConfig, calls: Calls) -> None:
        self._config = config
        self._calls = calls
        self._vendors = frozenset(vendor.casefold() for vendor in config.data_transfer_vendors)
        self._waiting: dict[str, _Waiting] = {}
        self._last = 0

    def asked(self, request_id: str, request: DataTransfer, turn: Turn) -> None:
        """The CSMS says something of a vendor's."""
        if request.vendor_id.casefold() in self._vendors:
            self._last += 1
            reference = str(self._last)
            self._waiting[reference] = _Waiting(request_id, turn.now.protocol_s + self._config.hardware_patience_s)
            turn.emit(PassDataTransfer(reference, request))
            return
        known = request.vendor_known
        outcome = DataTransferStatus.UNKNOWN_MESSAGE_ID if known else DataTransferStatus.UNKNOWN_VENDOR_ID
        turn.emit(Reply(request_id, DataTransferAnswer(outcome=outcome)))

    def answered(self, told: DataTransferAnswered, turn: Turn) -> None:
        """The application has answered."""
        waiting = self._waiting.pop(told.reference, None)
        if waiting is not None:
            turn.emit(Reply(waiting.request_id, told.answer))

    def wanted(self, wanted: DataTransferWanted, turn: Turn) -> None:
        """The application says something to the CSMS."""
        if not self._calls.send(wanted.request, ForApplication(wanted.reference), turn, Urgency.ORDINARY):
            turn.emit(DataTransferDone(wanted.reference, None))

    def link_down(self) -> None:
        """Whoever asked is gone."""
        self._waiting.clear()

    def next_deadline_s(self) -> float | None:
        """When to call `expire`, on the protocol's clock."""
        return min((waiting.until_s for waiting in self._waiting.values()), default=None)

    def expire(self, turn: Turn) -> None:
        """Time has passed."""
        rejected = DataTransferAnswer(outcome=DataTransferStatus.REJECTED)
        for reference, waiting in tuple(self._waiting.items()):
            if turn.now.protocol_s >= waiting.until_s:
                self.answered(DataTransferAnswered(reference, rejected), turn)
