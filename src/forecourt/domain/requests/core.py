"""Charging, the state of a station, variables and profiles: what one side asks of the other, and what it answers."""

from enum import StrEnum

from forecourt.domain.certificate import ContractStatus, OcspQuery
from forecourt.domain.events import Answer
from forecourt.domain.profile import ChargingProfile, ChargingRateUnit, CompositeSchedule, ProfileCriteria
from forecourt.domain.requests.base import Request, RequestStatus
from forecourt.domain.station import OperationalStatus, ResetType
from forecourt.domain.token import IdToken, IdTokenInfo
from forecourt.domain.variable import ReportBase, VariableReading, VariableRef, VariableSetResult, VariableSetting

# What a station asks of the CSMS


class Authorize(Request, frozen=True, kw_only=True):
    """May this token charge here?

    By contract (C07): `certificate_hashes` are those of the contract's chain, for the CSMS to ask about; `certificate`
    is the chain itself, PEM, where the station can't validate it.
    """

    id_token: IdToken
    certificate: str | None = None
    certificate_hashes: tuple[OcspQuery, ...] = ()


class DataTransfer(Request, frozen=True, kw_only=True):
    """A vendor's own message, in either direction. `content` is the text or JSON text as it came."""

    vendor_id: str
    message_id: str | None = None
    content: str | None = None
    vendor_known: bool = False
    """It is a vendor whose messages this version reads by itself, and none of those."""


# What the CSMS asks of a station


class RequestStartTransaction(Request, frozen=True, kw_only=True):
    """Start charging for this token as if it had been presented. `evse_id` None: the station chooses."""

    id_token: IdToken
    remote_start_id: int = 0
    evse_id: int | None = None
    group_id_token: IdToken | None = None
    charging_profile: ChargingProfile | None = None


class RequestStopTransaction(Request, frozen=True, kw_only=True):
    """End a transaction; its id as the CSMS knows it."""

    transaction_id: str


class Reset(Request, frozen=True, kw_only=True):
    """Restart. `graceful` False: without waiting for anything (1.6: Hard)."""

    reset_type: ResetType = ResetType.IMMEDIATE
    graceful: bool = True
    evse_id: int | None = None


class ChangeAvailability(Request, frozen=True, kw_only=True):
    """Take the station (EVSE 0), an EVSE or a connector into or out of use."""

    evse_id: int
    connector_id: int | None = None
    operational_status: OperationalStatus


class UnlockConnector(Request, frozen=True, kw_only=True):
    """Let go of the plug."""

    evse_id: int
    connector_id: int = 1


class TriggeredMessage(StrEnum):
    """What a station can be asked to say out of turn."""

    BOOT_NOTIFICATION = "BootNotification"
    HEARTBEAT = "Heartbeat"
    METER_VALUES = "MeterValues"
    STATUS_NOTIFICATION = "StatusNotification"
    TRANSACTION_EVENT = "TransactionEvent"
    FIRMWARE_STATUS_NOTIFICATION = "FirmwareStatusNotification"
    DIAGNOSTICS_STATUS_NOTIFICATION = "DiagnosticsStatusNotification"
    LOG_STATUS_NOTIFICATION = "LogStatusNotification"
    SIGN_CHARGING_STATION_CERTIFICATE = "SignChargingStationCertificate"
    SIGN_V2G_CERTIFICATE = "SignV2GCertificate"
    SIGN_COMBINED_CERTIFICATE = "SignCombinedCertificate"
    PUBLISH_FIRMWARE_STATUS_NOTIFICATION = "PublishFirmwareStatusNotification"


class TriggerMessage(Request, frozen=True, kw_only=True):
    """Say this now. `evse_id` None: for the whole station."""

    requested_message: TriggeredMessage | None
    """None: something that this version of the protocol has no word for."""
    evse_id: int | None = None
    connector_id: int | None = None
    extended: bool = False
    """The status of a signed update is meant (`FirmwareStatusReported.extended`), and in general: asked by the message
    of the security extension, where a protocol has two and the plain one has the word, too."""


class SetVariables(Request, frozen=True, kw_only=True):
    """Give variables these values."""

    settings: tuple[VariableSetting, ...]


class GetVariables(Request, frozen=True, kw_only=True):
    """What values do these variables have? None: all of them, as far as `report_base` asks for them."""

    refs: tuple[VariableRef, ...] | None = None
    request_id: int = 0
    """Repeated by the `VariablesReported` that answer a request for all, where a protocol reports in parts."""
    report_base: ReportBase = ReportBase.FULL


class SetChargingProfile(Request, frozen=True, kw_only=True):
    """Install a profile; one of the same id, or the same purpose and stack level on the EVSE, is replaced."""

    evse_id: int
    profile: ChargingProfile


class ClearChargingProfile(Request, frozen=True, kw_only=True):
    """Remove the profiles that match."""

    criteria: ProfileCriteria = ProfileCriteria()


class GetCompositeSchedule(Request, frozen=True, kw_only=True):
    """What do the installed profiles come to over the next `duration_s` seconds?"""

    evse_id: int
    duration_s: int
    rate_unit: ChargingRateUnit | None = None


class ClearCache(Request, frozen=True, kw_only=True):
    """Forget the authorization cache."""


# Answers


class AuthorizeAnswer(Answer, frozen=True, kw_only=True):
    """What the CSMS thinks of a token, and of the contract's certificate where there was one."""

    id_token_info: IdTokenInfo
    certificate_status: ContractStatus | None = None


class DataTransferStatus(StrEnum):
    """The outcome of a vendor's message."""

    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    UNKNOWN_MESSAGE_ID = "UnknownMessageId"
    UNKNOWN_VENDOR_ID = "UnknownVendorId"


class DataTransferAnswer(Answer, frozen=True, kw_only=True):
    """The outcome of a vendor's message, and what it brought."""

    outcome: DataTransferStatus
    content: str | None = None


class UnlockStatus(StrEnum):
    """What became of the plug."""

    UNLOCKED = "Unlocked"
    UNLOCK_FAILED = "UnlockFailed"
    ONGOING_AUTHORIZED_TRANSACTION = "OngoingAuthorizedTransaction"
    UNKNOWN_CONNECTOR = "UnknownConnector"
    NOT_SUPPORTED = "NotSupported"


class UnlockAnswer(Answer, frozen=True, kw_only=True):
    """What became of the plug."""

    outcome: UnlockStatus


class StartAnswer(Answer, frozen=True, kw_only=True):
    """Whether a remote start will be tried; `transaction_id` when one had begun before."""

    outcome: RequestStatus
    transaction_id: str | None = None


class SetVariablesAnswer(Answer, frozen=True, kw_only=True):
    """One result for each setting, in their order."""

    results: tuple[VariableSetResult, ...]


class GetVariablesAnswer(Answer, frozen=True, kw_only=True):
    """The readings; those not found have an outcome that says so."""

    readings: tuple[VariableReading, ...]
    outcome: RequestStatus = RequestStatus.ACCEPTED
    """Anything else: all variables were asked for, and there will be no report."""
    report_follows: bool = False
    """All variables were asked for: the readings come as `VariablesReported`."""


class CompositeScheduleAnswer(Answer, frozen=True, kw_only=True):
    """The schedule, or that there can be none."""

    outcome: RequestStatus
    schedule: CompositeSchedule | None = None
