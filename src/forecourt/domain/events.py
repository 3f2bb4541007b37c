"""What happened at a station, as the CSMS is told of it.

Guarantees
* An event is a fact of the past with its time; it is the same value whichever OCPP version told it.
* A `Notice` is what one message says: one or more events, to be taken in together and answered together. What only
  some versions tell about the telling (sequence number, why it was sent) stands in its `sequence`, not in the events.
* Every event can be written to a journal and read back: `encode_notice`, `decode_notice`.
"""

from datetime import datetime
from typing import Final

import msgspec

from forecourt.domain.firmware import FirmwareStatus, LogUploadStatus
from forecourt.domain.meter import MeterValue
from forecourt.domain.reservation import ReservationEnd
from forecourt.domain.station import BootReason, ConnectorError, ConnectorStatus, RegistrationStatus, StationIdentity
from forecourt.domain.token import IdToken, IdTokenInfo
from forecourt.domain.transaction import ChargingState, StoppedReason, TriggerReason
from forecourt.domain.variable import VariableReading


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True):
    """Base of all events."""


class StationBooted(Event, frozen=True, kw_only=True):
    """The station has started and asks to be registered. Answered by `BootAnswer`."""

    identity: StationIdentity
    reason: BootReason = BootReason.UNKNOWN


class HeartbeatSent(Event, frozen=True, kw_only=True):
    """The station is alive and wants to know the time. Answered by `HeartbeatAnswer`."""


class ConnectorStatusReported(Event, frozen=True, kw_only=True):
    """A connector's state; EVSE 0 is the station as a whole."""

    evse_id: int
    connector_id: int
    at: datetime | None = None
    """None: the station did not say; the time of arrival counts."""
    connector_status: ConnectorStatus
    error: ConnectorError | None = None


class ChargingStateReported(Event, frozen=True, kw_only=True):
    """What charging does at an EVSE. Implies that the connector is occupied."""

    evse_id: int | None
    """None: the message named only the transaction."""
    connector_id: int | None = 1
    at: datetime | None = None
    charging_state: ChargingState
    transaction_id: str | None = None
    error: ConnectorError | None = None


class TransactionStarted(Event, frozen=True, kw_only=True):
    """A transaction has begun. Answered by `TransactionAnswer`."""

    transaction_id: str | None
    """None where the CSMS issues the id with its answer (`Capabilities.csms_issues_transaction_ids`)."""
    evse_id: int
    connector_id: int = 1
    at: datetime
    id_token: IdToken | None = None
    """None: begun before anyone was authorized; `TransactionAuthorized` follows."""
    meter_values: tuple[MeterValue, ...] = ()
    """At least the energy register at the start, where the station has one."""
    reservation_id: int | None = None
    remote_start_id: int | None = None


class TransactionAuthorized(Event, frozen=True, kw_only=True):
    """A token was presented for a transaction that had begun. Answered by `TransactionAnswer`."""

    transaction_id: str
    at: datetime
    id_token: IdToken
    reservation_id: int | None = None
    """The reservation that this token has used (OCPP 2.0.1 E03.FR.04)."""
    remote_start_id: int | None = None
    evse_id: int | None = None
    """Where it is told with this and with nothing else (OCPP 2.0.1 E01: it may be chosen only now)."""


class MeterSampled(Event, frozen=True, kw_only=True, gc=False):
    """Readings of an EVSE's meter, during a transaction or outside one."""

    evse_id: int | None
    """None: the message named only the transaction. 0: the station's main meter."""
    transaction_id: str | None = None
    meter_values: tuple[MeterValue, ...]


class TransactionEnded(Event, frozen=True, kw_only=True):
    """A transaction is over. Answered by `TransactionAnswer`."""

    transaction_id: str
    evse_id: int | None = None
    """None where the message does not name it."""
    at: datetime
    id_token: IdToken | None = None
    """Who ended it, when somebody did."""
    reason: StoppedReason = StoppedReason.LOCAL
    meter_values: tuple[MeterValue, ...] = ()
    """The energy register at the end, and whatever else was sampled for the bill."""


class VariablesReported(Event, frozen=True, kw_only=True):
    """A part of a report of variables that was asked for (`Capabilities.reports_variables_in_parts`)."""

    request_id: int
    """That of the `GetVariables` it answers."""
    part: int = 0
    """Counts the parts from 0."""
    more: bool = False
    """Another part follows."""
    at: datetime
    """When the report was made."""
    readings: tuple[VariableReading, ...] = ()


class FirmwareStatusReported(Event, frozen=True, kw_only=True):
    """How far an update of the firmware has come."""

    firmware_status: FirmwareStatus
    request_id: int | None = None
    """That of the `UpdateFirmware` it is about; None: it had none, or there is no update."""
    extended: bool = False
    """There is no request id, and yet it is about signed updates, where a protocol tells them apart."""


class LogStatusReported(Event, frozen=True, kw_only=True):
    """How far the upload of a log has come."""

    upload_status: LogUploadStatus
    request_id: int | None = None
    """That of the `GetLog` it is about; None: it had none, or there is no upload."""
    extended: bool = False
    """There is no request id, and yet it is about a log, not diagnostics, where a protocol tells them apart."""


class SecurityEventReported(Event, frozen=True, kw_only=True):
    """Something that matters for security has happened (security white paper §8, OCPP 2.0.1 appendix 1)."""

    event_type: str
    """By the list of the OCPP 2.0.1 appendices, or a vendor's own."""
    at: datetime
    tech_info: str | None = None


class ChargingNeedsReported(Event, frozen=True, kw_only=True):
    """What a car says of its visit (OCPP 2.0.1 K15.FR.01). What it doesn't say is None."""

    evse_id: int
    departs_at: datetime | None = None
    energy_wh: float | None = None
    """Wanted from now on."""
    battery_wh: float | None = None
    soc_percent: float | None = None
    full_soc_percent: float | None = None
    """When the car considers itself full."""


class ReservationEnded(Event, frozen=True, kw_only=True):
    """A reservation is gone without having been used or cancelled (`Capabilities.reports_reservation_ends`)."""

    reservation_id: int
    end: ReservationEnd


StationEvent = (
    StationBooted
    | HeartbeatSent
    | ConnectorStatusReported
    | ChargingStateReported
    | TransactionStarted
    | TransactionAuthorized
    | MeterSampled
    | TransactionEnded
    | VariablesReported
    | FirmwareStatusReported
    | LogStatusReported
    | SecurityEventReported
    | ChargingNeedsReported
    | ReservationEnded
)


class Sequence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a numbered transaction message says about itself (OCPP 2.0.1 E, `seqNo`, `triggerReason`, `offline`)."""

    seq_no: int
    trigger_reason: TriggerReason
    offline: bool = False
    number_phases_used: int | None = None
    cable_max_current_a: int | None = None
    transaction_id: str | None = None
    """Only with a notice without events: the transaction whose message had nothing else to say."""
    at: datetime | None = None
    """Likewise: when it was said."""


class Notice(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Everything one message from a station tells."""

    events: tuple[StationEvent, ...]
    sequence: Sequence | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True):
    """Base of all answers, to notices and to requests."""


class BootAnswer(Answer, frozen=True, kw_only=True):
    """Whether the station is registered. `interval_s`: heartbeats when accepted, else until the next attempt."""

    registration: RegistrationStatus
    now: datetime
    interval_s: int


class HeartbeatAnswer(Answer, frozen=True, kw_only=True):
    """The CSMS's time."""

    now: datetime


class TransactionAnswer(Answer, frozen=True, kw_only=True):
    """What the CSMS says to the start, a later authorization, or the end of a transaction."""

    id_token_info: IdTokenInfo | None = None
    transaction_id: str | None = None
    """The id the CSMS issued, where it issues them."""
    total_cost: float | None = None


class Acknowledged(Answer, frozen=True, kw_only=True):
    """Taken in; nothing to say."""


NoticeAnswer = BootAnswer | HeartbeatAnswer | TransactionAnswer | Acknowledged

_NOTICE_ENCODER: Final = msgspec.json.Encoder()
_NOTICE_DECODER: Final = msgspec.json.Decoder(Notice)


def encode_notice(notice: Notice) -> bytes:
    """`notice` as compact JSON, for a journal."""
    return _NOTICE_ENCODER.encode(notice)


def decode_notice(raw: bytes) -> Notice:
    """What `encode_notice` wrote.

    Raises:
        msgspec.DecodeError: `raw` is not what it wrote.
    """
    return _NOTICE_DECODER.decode(raw)
