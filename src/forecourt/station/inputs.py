"""Everything a station can be told: by its link to the CSMS, by its hardware, by the people in front of it.

Guarantees
* An input is a fact that has just happened; its time is the `Now` of the step that takes it in.
* An EVSE id that the station does not have is ignored, whoever says it.
"""

from datetime import datetime
from enum import StrEnum

import msgspec

from forecourt.domain.certificate import ContractAction, InstalledCertificate, OcspQuery
from forecourt.domain.events import NoticeAnswer
from forecourt.domain.firmware import LogUploadStatus
from forecourt.domain.meter import SampledValue
from forecourt.domain.requests import CsmsRequest, DataTransfer, DataTransferAnswer, RequestStatus, StationRequestAnswer
from forecourt.domain.token import IdToken
from forecourt.domain.variable import VariableRef, VariableSetting

# The link


class LinkUp(msgspec.Struct, frozen=True):
    """There is a connection to the CSMS."""


class LinkDown(msgspec.Struct, frozen=True):
    """The connection is gone, and with it the answers to all calls that are still open."""


class ConnectionsFailed(msgspec.Struct, frozen=True):
    """Every address of the CSMS was tried as often as there are attempts, and none let the station in."""


class CallFailure(StrEnum):
    """Why a call got no answer that can be used."""

    ERROR = "the CSMS answered with an error"
    UNREADABLE = "the CSMS answered with something that can't be read"
    TIMEOUT = "no answer in time"
    LOST = "it never left, or the connection went before the answer came"
    INEXPRESSIBLE = "the protocol has no words for it"


class CallAnswered(msgspec.Struct, frozen=True):
    """The CSMS answered a `Send`."""

    call_id: int
    answer: NoticeAnswer | StationRequestAnswer


class CallFailed(msgspec.Struct, frozen=True):
    """A `Send` got no answer."""

    call_id: int
    failure: CallFailure
    description: str = ""


class RequestReceived(msgspec.Struct, frozen=True):
    """The CSMS asks something; answered by a `Reply`, or left alone by a `Disregard`, under the same id."""

    request_id: str
    request: CsmsRequest


# The hardware


class Pilot(StrEnum):
    """States of the control pilot (IEC 61851-1, annex A)."""

    A = "A"
    """No car."""
    B = "B"
    """A car that is not ready to be charged, or has paused."""
    C = "C"
    """A car that is ready, or charging."""
    D = "D"
    """As C, and it wants ventilation."""
    E = "E"
    """No voltage on the pilot: short circuit, or no supply."""
    F = "F"
    """The EVSE is out of order."""

    @property
    def car_connected(self) -> bool:
        """Whether there is a car at the other end of the cable."""
        return self in {Pilot.B, Pilot.C, Pilot.D}

    @property
    def car_ready(self) -> bool:
        """Whether the car takes energy if it is offered."""
        return self in {Pilot.C, Pilot.D}


class PilotChanged(msgspec.Struct, frozen=True):
    """The control pilot has changed, or is reported after a start. The first report of an EVSE ends its ignorance."""

    evse_id: int
    pilot: Pilot


class CableChanged(msgspec.Struct, frozen=True):
    """A plug went into the socket or was pulled out of it. Never reported by an EVSE with a fixed cable."""

    evse_id: int
    present: bool


class MeterReading(msgspec.Struct, frozen=True):
    """What the meter of an EVSE (0: the main meter) reads now: all samples, in base units; contexts are ignored."""

    evse_id: int
    samples: tuple[SampledValue, ...]


class TokenPresented(msgspec.Struct, frozen=True):
    """Somebody held a token to the station, or to one EVSE's own reader."""

    id_token: IdToken
    evse_id: int | None = None


class ContractPresented(msgspec.Struct, frozen=True):
    """A car shows a contract (ISO 15118, PaymentDetailsReq). `chain`: PEM, the contract's certificate first."""

    evse_id: int
    emaid: str
    chain: str


class EvCertificateWanted(msgspec.Struct, frozen=True):
    """A car wants a certificate for its contract; answered by `GiveEvCertificate`. `exi_request`: base64."""

    evse_id: int
    schema_version: str
    action: ContractAction
    exi_request: str


class StopPressed(msgspec.Struct, frozen=True):
    """Somebody pressed the stop button of an EVSE."""

    evse_id: int


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """An error of the hardware. `inoperative`: no energy can be delivered while it lasts."""

    fault_id: str
    """Names it when it is cleared."""
    code: str = "OtherError"
    """An error code of the protocol, such as GroundFailure."""
    inoperative: bool = False
    origin: str = ""
    error_type: str = ""
    """Type and subtype as `type/subtype`."""
    message: str = ""


class FaultRaised(msgspec.Struct, frozen=True):
    """Something is wrong with an EVSE (0: the station as a whole)."""

    evse_id: int
    fault: Fault


class FaultCleared(msgspec.Struct, frozen=True):
    """It is well again. `fault_id` None: everything is."""

    evse_id: int
    fault_id: str | None = None


class LockOutcome(StrEnum):
    """What the plug's lock did."""

    LOCKED = "Locked"
    UNLOCKED = "Unlocked"
    FAILED = "Failed"


class LockChanged(msgspec.Struct, frozen=True):
    """The answer to `LockConnector` or `ReleaseConnector`."""

    evse_id: int
    outcome: LockOutcome


class LocalLimit(msgspec.Struct, frozen=True):
    """Somebody on site limits an EVSE (0: the station), in ampere per phase; None: no longer."""

    evse_id: int
    limit_a: float | None


class EvseEnabled(msgspec.Struct, frozen=True):
    """Somebody on site takes an EVSE out of use, or gives it back; it is in use only where the CSMS wants it, too."""

    evse_id: int
    enabled: bool


class PowerFailing(msgspec.Struct, frozen=True):
    """The supply is gone and a buffer carries the controller for a moment (OCTT TC_032_1)."""


class RestartWanted(msgspec.Struct, frozen=True):
    """Somebody at the station wants it to restart (OCPP 1.6 §7.36, Reboot)."""


class RebootFailed(msgspec.Struct, frozen=True):
    """The system could not restart itself."""


class ResetsAllowed(msgspec.Struct, frozen=True):
    """Whether the hardware can be restarted now; until it says otherwise, it can."""

    allowed: bool


class SecurityEventNoticed(msgspec.Struct, frozen=True):
    """Hardware, system or connection has noticed something that matters for security (security white paper §8)."""

    event_type: str
    tech_info: str | None = None
    critical: bool | None = None
    """None: as the white paper says."""


class SecurityLogCleared(msgspec.Struct, frozen=True):
    """Somebody at the station wants the security log to be empty."""


# The system


class FirmwareStep(StrEnum):
    """What came of something that the system was asked to do with firmware."""

    DOWNLOADED = "downloaded"
    DOWNLOAD_PAUSED = "download paused"
    DOWNLOAD_RESUMED = "download resumed"
    DOWNLOAD_FAILED = "download failed"
    """Also: what was fetched is gone."""
    SIGNATURE_VALID = "signature valid"
    SIGNATURE_INVALID = "signature invalid"
    NOT_BEGUN = "not begun"
    """The power went before anything was installed: what was fetched is there, and can be."""
    REBOOT_NEEDED = "reboot needed"
    """It is installed, and runs after a restart."""
    INSTALLED = "installed"
    INSTALL_FAILED = "install failed"
    INSTALL_UNVERIFIED = "install unverified"
    """It was installed, and then found not to be sound."""


class FirmwareProgress(msgspec.Struct, frozen=True):
    """The answer to `DownloadFirmware`, `VerifyFirmware`, `InstallFirmware` or `ConfirmFirmware`."""

    job_id: int
    step: FirmwareStep
    info: str = ""


class UploadProgress(msgspec.Struct, frozen=True):
    """How an upload ended."""

    job_id: int
    upload_status: LogUploadStatus


class SecurityVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the keeper of certificates says to a question."""

    outcome: RequestStatus
    certificates: tuple[InstalledCertificate, ...] = ()
    queries: tuple[OcspQuery, ...] = ()
    csr: str | None = None
    expires_at: datetime | None = None
    info: str | None = None
    invalid: bool = False
    """The certificate that it was about is not valid."""


class SecurityAnswered(msgspec.Struct, frozen=True):
    """The answer to `AskSecurity`."""

    reference: str
    verdict: SecurityVerdict


# Applications on the station


class DataTransferWanted(msgspec.Struct, frozen=True):
    """An application wants to tell the CSMS something of its vendor's; answered by `DataTransferDone`."""

    reference: str
    request: DataTransfer


class DataTransferAnswered(msgspec.Struct, frozen=True):
    """The application's answer to `PassDataTransfer`."""

    reference: str
    answer: DataTransferAnswer


class VariablesWanted(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody at the station sets variables, then reads some; answered by `VariablesTold`."""

    reference: str
    settings: tuple[VariableSetting, ...] = ()
    refs: tuple[VariableRef, ...] = ()


class ResendWanted(msgspec.Struct, frozen=True):
    """An operator wants messages that were set aside to be sent again. None: all of them."""

    seq: int | None = None


HardwareInput = (
    PilotChanged
    | CableChanged
    | MeterReading
    | TokenPresented
    | ContractPresented
    | EvCertificateWanted
    | StopPressed
    | FaultRaised
    | FaultCleared
    | LockChanged
    | LocalLimit
    | EvseEnabled
    | PowerFailing
    | RestartWanted
    | RebootFailed
    | ResetsAllowed
    | SecurityEventNoticed
    | SecurityLogCleared
    | DataTransferWanted
    | DataTransferAnswered
    | VariablesWanted
)

SystemInput = FirmwareProgress | UploadProgress | SecurityEventNoticed

LinkInput = LinkUp | LinkDown | ConnectionsFailed | CallAnswered | CallFailed | RequestReceived

Input = LinkInput | HardwareInput | SystemInput | SecurityAnswered | ResendWanted
